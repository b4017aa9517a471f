"""How far do real recordings lie apart, and what is a reference worth?

``python -m training.fusion.levels NAME=SCORES…`` measures the spread of detectors' calibrated
numbers between and within real recordings (`verdict.reference.LevelSpread`), and what references
are worth: every file of a group that shows real and fake is scored again with the other reals of
its group given as references. SCORES is a folder of ``cli.py evaluate``, or a CSV with
``label,source,group,llr`` of held-out scores, as `training.probes` writes it. ``--write`` puts the
spreads into ``verdict/fusion.json``. Imports evaluation and verdict.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.metrics import auc
from training.fusion.table import read_files
from verdict.fusion import PARAMETERS_FILE
from verdict.reference import LevelSpread

LEAST = 2  # real files of a group, below which its own spread is not known
COLUMNS = ("label", "source", "group", "llr")


def read_scores(name: str, path: Path) -> pd.DataFrame:
    """`COLUMNS` of all files in which the detector has a calibrated number."""
    if path.is_dir():
        table = read_files([path], []).rename(columns={f"{name}_log_odds": "llr"})
    else:
        table = pd.read_csv(path)
    table = table[list(COLUMNS)].dropna(subset=["llr"])
    return table.assign(group=table["source"].astype(str) + "/" + table["group"].astype(str))


def spread(real: pd.DataFrame) -> LevelSpread:
    """The components of variance of one detector's calibrated numbers of real files.

    Every group weighs the same; the variance of a mean of few files is taken off the variance
    between the means (method of moments). The mean is that of the sources.
    """
    values = [group.to_numpy(float) for _, group in real.groupby("group")["llr"]]
    several = [group for group in values if len(group) >= LEAST]
    means = np.array([group.mean() for group in several])
    within = float(np.mean([group.var(ddof=1) for group in several]))
    noise = within * float(np.mean([1 / len(group) for group in several]))
    between = max(0.0, float(means.var(ddof=1)) - noise)
    mean = real.groupby("source")["llr"].mean().mean()
    return LevelSpread(round(float(mean), 3), round(between**0.5, 3), round(within**0.5, 3))


@dataclass(frozen=True)
class Pairing:
    """One file and the reals of its group that it does not hold itself."""

    label: int
    source: str
    llr: float
    references: list[float]


def pairings(table: pd.DataFrame) -> Iterator[Pairing]:
    """Every file of the groups that show both classes and at least two reals."""
    for _, group in table.groupby("group"):
        reals = group[group["label"] == 0]
        if len(reals) < LEAST or len(reals) == len(group):
            continue
        for row, file in group.iterrows():
            others = reals.drop(index=row, errors="ignore")["llr"].tolist()
            yield Pairing(int(file["label"]), str(file["source"]), float(file["llr"]), others)


def gain(table: pd.DataFrame, level: LevelSpread) -> pd.DataFrame:
    """AUC without and with references, over all sources and in each."""
    files = pd.DataFrame([asdict(pairing) for pairing in pairings(table)])
    files["with"] = [
        llr - level.shift(others)
        for llr, others in zip(files["llr"], files["references"], strict=True)
    ]
    rows = []
    for name, part in [("all", files), *files.groupby("source")]:
        if part["label"].nunique() == 2:
            labels = part["label"].to_numpy()
            before, after = (auc(labels, part[column].to_numpy()) for column in ("llr", "with"))
            rows.append((name, len(part), round(before, 3), round(after, 3)))
    return pd.DataFrame(rows, columns=["source", "files", "AUC without", "AUC with references"])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", nargs="+", metavar="NAME=SCORES")
    parser.add_argument("--write", action="store_true", help="into verdict/fusion.json")
    chosen = parser.parse_args()
    spreads = {}
    for text in chosen.scores:
        name, _, path = text.partition("=")
        table = read_scores(name, Path(path))
        level = spread(table[table["label"] == 0])
        spreads[name] = asdict(level)
        print(name, level, gain(table, level).to_string(index=False), sep="\n")
    if chosen.write:
        fitted = json.loads(PARAMETERS_FILE.read_text("utf-8"))
        fitted["level_spreads"] |= spreads
        PARAMETERS_FILE.write_text(json.dumps(fitted, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
