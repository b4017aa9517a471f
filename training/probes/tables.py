"""Which tables of features does each head learn from, and which judge it?

Reads what `training.probes.views` wrote. Imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

JUDGED = {"generation": ("faces-wild",), "mouth": ("pairs-wild",)}  # sources left out in turn
COPIES = {"generation": ("degraded-wild",)}  # of judged faces: left out with them, judge apart
ALWAYS = {  # learned from by every head
    "generation": (
        "faces-faces-train",
        "faces-outside-train",
        "faces-portraits",
        "faces-talking",
    ),
    "mouth": ("pairs-talking", "pairs-portraits", "pairs-faces-train"),
}


@dataclass(frozen=True)
class Table:
    """Features of faces, (n, features) float32, and what is known of them.

    Attributes:
        features: in the order of ``rows``.
        rows: at least label (0 real, 1 fake) and source.
    """

    features: np.ndarray
    rows: pd.DataFrame

    @property
    def labels(self) -> np.ndarray:
        """(n,) 0 real, 1 fake."""
        return self.rows["label"].to_numpy().astype(int)

    @property
    def sources(self) -> np.ndarray:
        """(n,) where each face comes from; one source never has two names."""
        return self.rows["source"].to_numpy().astype(str)

    def and_(self, other: Table) -> Table:
        """Both tables, this one first."""
        rows = pd.concat([self.rows, other.rows], ignore_index=True)
        return Table(np.concatenate([self.features, other.features]), rows)


def read(folder: Path, names: Sequence[str]) -> Table:
    """Several tables one below the other; the set is written before each source.

    A table is named for what is seen and of which set: ``faces-wild`` and ``degraded-wild`` are of
    the same sources.
    """
    features, rows = [], []
    for name in names:
        features.append(np.load(folder / f"{name}.npy").astype(np.float32))
        table = pd.read_parquet(folder / f"{name}.parquet")
        table["part"] = name
        table["source"] = [f"{name.partition('-')[2]}/{source}" for source in table["source"]]
        rows.append(table)
    return Table(np.concatenate(features), pd.concat(rows, ignore_index=True))
