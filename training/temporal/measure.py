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

from hub.checkpoint import Card
from training.cards.writer import with_figures, write_card
from training.temporal.card import CARD, INTRO, RECIPE
from training.temporal.faults import FAULTS
from training.temporal.train import (
    auc,
    load,
    score_pairs,
    validation_pairs,
)

log = logging.getLogger(__name__)

RESAMPLES = 1000


def interval(value, groups: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """A statistic with its bootstrap 95 % interval over groups.

    Args:
        value: function of an index array into the samples; may return nan, which is left out.
        groups: (n,) labels; whole groups are drawn with replacement.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    draws = []
    for _ in range(RESAMPLES):
        picked = rng.integers(len(members), size=len(members))
        draws.append(value(np.concatenate([members[i] for i in picked])))
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return (
        round(float(value(np.arange(len(groups)))), 3),
        round(float(low), 3),
        round(float(high), 3),
    )


def fault_figures(scores: np.ndarray, fault: np.ndarray, person: np.ndarray) -> list[dict]:
    """AUC over all faults and by fault, with intervals over persons."""
    figures = []
    for name in ("all", *FAULTS):
        chosen = np.ones(len(fault), bool) if name == "all" else fault == list(FAULTS).index(name)

        def value(rows: np.ndarray, chosen: np.ndarray = chosen) -> float:
            fake = scores[rows[chosen[rows]], 1]
            return auc(scores[rows, 0], fake) if len(fake) else np.nan

        middle, low, high = interval(value, person)
        figures.append({"name": f"AUC, self-made {name}", "value": middle, "low": low, "high": high,
                        "n_real": len(scores), "n_fake": int(chosen.sum())})  # fmt: skip
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
    found = fault_figures(scores, check["fault"], check["person"])
    return [figure | {"protocol": protocol} for figure in found]


def write_results(folder: Path, found: list[dict]) -> None:
    """Put the figures into the card, in place of figures of the same name."""
    file = folder / "card.json"
    before = Card.from_json(file.read_text("utf-8")) if file.exists() else CARD
    names = {f["name"] for f in found}
    kept = [f for f in before.figures if f["name"] not in names]
    card = with_figures(CARD, kept + found, before.calibration)
    write_card(folder, card, INTRO, RECIPE)


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
    found = measure_faults(args.data, args.folder, args.each, args.cache)
    print(json.dumps(found, indent=1, default=int))
    if args.write:
        write_results(args.folder, found)


if __name__ == "__main__":
    main()
