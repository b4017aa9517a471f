"""How good is a temporal checkpoint on self-made faults of persons kept for test?

`python -m training.temporal.measure DATA FOLDER` prints JSON and, with `--write`, puts
the figures into the card. Imports `hub` and `training`.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import cv2
import numpy as np
import torch

from evaluation.bootstrap import interval
from hub.checkpoint import Card
from training.cards import page
from training.cards.writer import with_figures, write_card
from training.temporal.card import CARD
from training.temporal.faults import FAULTS
from training.temporal.train import (
    auc_of,
    load,
    score_pairs,
    validation_pairs,
)

log = logging.getLogger(__name__)


def fault_figures(scores: np.ndarray, fault: np.ndarray, person: np.ndarray) -> list[dict]:
    """AUC over all faults and by fault, with intervals over persons."""
    figures = []
    for name in ("all", *FAULTS):
        chosen = np.ones(len(fault), bool) if name == "all" else fault == list(FAULTS).index(name)

        def value(rows: np.ndarray, chosen: np.ndarray = chosen) -> float:
            fake = scores[rows[chosen[rows]], 1]
            return auc_of(scores[rows, 0], fake)

        low, high = interval(value, person) or (None, None)
        figures.append(
            {
                "name": f"AUC, self-made {name}",
                "value": round(value(np.arange(len(person))), 3),
                "low": low and round(low, 3),
                "high": high and round(high, 3),
                "n_real": len(scores),
                "n_fake": int(chosen.sum()),
            }
        )
    return figures


def cached_pairs(data: Path, split: str, each: int, cache: Path) -> dict:
    """The pairs of one split; made once."""
    file = cache / f"pairs-{split}-{each}.npz"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(file, **validation_pairs(data, split, each, {"val": 12, "test": 11}[split]))
    return dict(np.load(file))


def measure_faults(data: Path, folder: Path, each: int, cache: Path) -> list[dict]:
    """Figures of a checkpoint on the test persons."""
    check = cached_pairs(data, "test", each, cache)
    scores = score_pairs(load(folder), check["pairs"])
    people = len({*check["person"]})
    protocol = (
        f"talking clips, {people} persons unseen in training, 16 frames at 25 Hz, steady crop, "
        "real and fake through the same encoder (H.264 CRF 18 to 38), intervals over persons"
    )
    result = fault_figures(scores, check["fault"], check["person"])
    return [figure | {"protocol": protocol} for figure in result]


def write_results(folder: Path, result: list[dict]) -> None:
    """Put the figures into the card, in place of figures of the same name."""
    file = folder / "card.json"
    before = Card.from_json(file.read_text("utf-8")) if file.exists() else CARD
    names = {f["name"] for f in result}
    rows = page.read_figures(folder) if file.exists() else []
    selected = [row for row in rows if row["name"] not in names]
    card = with_figures(CARD, selected + result, before.calibration)
    write_card(folder, card)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=24, help="pairs a fault")
    parser.add_argument("--cache", type=Path, default=Path("runs-cache"))
    parser.add_argument("--write", action="store_true", help="put the results into card.json")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    result = measure_faults(args.data, args.folder, args.each, args.cache)
    print(json.dumps(result, indent=1, default=int))
    if args.write:
        write_results(args.folder, result)


if __name__ == "__main__":
    main()
