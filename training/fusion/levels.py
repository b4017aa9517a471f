"""How far do real recordings lie apart, and what is a reference worth?

``python -m training.fusion.levels RESULTS…`` reads folders that ``cli.py evaluate`` wrote, measures
each voting detector's spread between and within real sources (`verdict.reference.LevelSpread`), and
judges references by sources that the spread did not see: every fake and every real is scored again
with some other reals of its own source given as references. ``--write`` puts the spreads into
``verdict/fusion.json``. Imports evaluation and verdict.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from detectors.registry import role_of
from evaluation.metrics import auc
from hub.role import Modality
from training.fusion.table import read_files
from verdict.fusion import PARAMETERS_FILE, fusion_parameters
from verdict.reference import LevelSpread

LEAST = 2  # real recordings of a source, below which its own spread is not known
COUNTS = (0, 1, 3)  # references given
SEED = 0


def spread(values: np.ndarray, sources: np.ndarray) -> LevelSpread:
    """The components of variance of one detector's calibrated numbers of real recordings.

    Every source weighs the same; the variance of a mean of few recordings is taken off the variance
    between the means (method of moments).

    Args:
        values: (n,) calibrated log-likelihood ratios.
        sources: (n,) names.
    """
    groups = [values[sources == name] for name in np.unique(sources)]
    groups = [group for group in groups if len(group) >= LEAST]
    means = np.array([group.mean() for group in groups])
    within = float(np.mean([group.var(ddof=1) for group in groups]))
    noise = within * float(np.mean([1 / len(group) for group in groups]))
    between = max(0.0, float(means.var(ddof=1)) - noise)
    return LevelSpread(round(float(means.mean()), 3), round(between**0.5, 3), round(within**0.5, 3))


def voters() -> list[str]:
    """Detectors of images that have a weight: a camera has no level of a foreign voice."""
    weights = fusion_parameters().weights
    return [n for n, w in weights.items() if w > 0 and role_of(n).modality == Modality.IMAGE]


def referenced(table: pd.DataFrame, name: str, count: int) -> np.ndarray:
    """(n,) numbers of a detector with ``count`` other reals of the same source as references.

    The spread is measured without the source. Files whose source has too few other reals, or none,
    get NaN.
    """
    rng = np.random.default_rng(SEED)
    values, source = table[f"{name}_log_odds"].to_numpy(float), table["source"].to_numpy(str)
    group = table["group"].astype(str).to_numpy()
    usable = (table["label"] == 0).to_numpy() & np.isfinite(values)
    spreads = {
        key: spread(values[usable & (source != key)], source[usable & (source != key)])
        for key in np.unique(source[source != ""])
    }
    result = np.full(len(values), np.nan)
    for row in np.flatnonzero(np.isfinite(values) & (source != "")):
        others = np.flatnonzero(usable & (source == source[row]) & (group != group[row]))
        if len(others) >= max(COUNTS):
            chosen = rng.choice(others, count, replace=False)
            result[row] = values[row] - spreads[source[row]].shift(values[chosen].tolist())
    return result


def judged(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """AUC over all files whose source has references, by detector and number of references."""
    labels = table["label"].to_numpy(int)
    rows = []
    for name in names:
        row: dict[str, object] = {"detector": name}
        for count in COUNTS:
            values = referenced(table, name, count)
            known = np.isfinite(values)
            reals, fakes = (values[known & (labels == k)] for k in (0, 1))
            row |= {"reals": len(reals), "fakes": len(fakes)}
            row[f"AUC, {count}"] = round(auc(labels[known], values[known]), 3)
            row[f"spread of reals, {count}"] = round(float(reals.std()), 2)
        rows.append(row)
    return pd.DataFrame(rows)


def measured(table: pd.DataFrame, names: Sequence[str]) -> Mapping[str, LevelSpread]:
    """Detector → its spread over all real files."""
    real = table[table["label"] == 0]
    result = {}
    for name in names:
        values = real[f"{name}_log_odds"].to_numpy(float)
        known = np.isfinite(values)
        result[name] = spread(values[known], real["source"].to_numpy(str)[known])
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="into verdict/fusion.json")
    chosen = parser.parse_args()
    table, names = read_files(chosen.results, []), voters()
    spreads = {name: asdict(one) for name, one in measured(table, names).items()}
    print(json.dumps(spreads, indent=2))
    print(judged(table, names).to_string(index=False))
    if chosen.write:
        fitted = json.loads(PARAMETERS_FILE.read_text("utf-8"))
        fitted["level_spreads"] = spreads
        PARAMETERS_FILE.write_text(json.dumps(fitted, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
