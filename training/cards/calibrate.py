"""Which line turns the raw scores of our own checkpoints into log-odds?

``python -m training.cards.calibrate RESULTS --detector NAME --folder CHECKPOINT`` fits it on a
folder that ``cli.py evaluate`` wrote and stores it in the checkpoint's card and page. (A user's own
calibration is ``cli.py calibrate``.) Imports evaluation, hub and training.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from detectors.registry import names
from errors import UserError
from evaluation.calibrate import fit_calibration
from evaluation.evaluate import LINES
from evaluation.manifest import read_manifest
from evaluation.run import raw_of, read_lines
from hub.checkpoint import Calibration, Card
from hub.selfcheck import check_sign
from training.cards import page


def labeled_raws(folders: Sequence[Path], detector: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and raw scores (n,) of all files of some result folders that have a number."""
    pairs = []
    for folder in folders:
        raws = {name: raw_of(k, detector) for (name, _), k in read_lines(folder / LINES).items()}
        pairs += [(item.label, raws.get(item.name)) for item in read_manifest(folder / "items.csv")]
    scored = [pair for pair in pairs if pair[1] is not None]
    return np.array([label for label, _ in scored]), np.array([raw for _, raw in scored])


def calibrate_card(folders: Sequence[Path], detector: str, checkpoint: Path) -> Calibration:
    """Fit the line and write it into ``card.json`` and ``README.md``.

    Raises:
        UserError: when the raw scores point the wrong way: no line can mend that.
    """
    labels, raws = labeled_raws(folders, detector)
    check = check_sign(labels.tolist(), raws.tolist())
    if check.auc is None or check.auc <= 0.5:
        raise UserError("calibration_failed", f"Not calibrated: {check.sentence}")
    words = ", ".join(folder.name for folder in folders)
    line = fit_calibration(labels, raws, f"{words} (file level)")
    card = Card.from_json((checkpoint / "card.json").read_text("utf-8"))
    page.write(checkpoint, replace(card, calibration=line), page.read_figures(checkpoint))
    return line


def main() -> None:
    """Read the folders from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="folders of cli.py evaluate")
    parser.add_argument("--detector", required=True, choices=names())
    parser.add_argument("--folder", required=True, type=Path, help="checkpoint folder")
    chosen = parser.parse_args()
    print(calibrate_card(chosen.results, chosen.detector, chosen.folder))


if __name__ == "__main__":
    main()
