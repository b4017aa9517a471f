"""What do the measures of a face say? A linear classifier that names what it reads.

Works on plain arrays. Imports nothing of the project.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LIMIT = 3.0  # spreads; what no training window showed says no more than this


@dataclass(frozen=True)
class LinearClassifier:
    """A linear model on the measures.

    Attributes:
        names: the measures that it reads, in order.
        mean, spread: (k,) float32 of the training windows.
        weights: (k,) float32, log-odds per spread.
        offset: log-odds of a mean face.
        limit: spreads from the mean; further out counts as this.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    offset: float
    limit: float = LIMIT

    def log_odds(self, measures: dict[str, float]) -> float:
        """Raw log-odds of one window's measures."""
        return float(self.scores(np.array([measures[name] for name in self.names])))

    def scores(self, values: np.ndarray) -> np.ndarray:
        """(…,) raw log-odds of (…, k) measures in the order of ``names``."""
        scaled = standard(values, self.mean, self.spread, self.limit)
        return scaled @ self.weights + self.offset


def standard(
    values: np.ndarray, mean: np.ndarray, spread: np.ndarray, limit: float = LIMIT
) -> np.ndarray:
    """(…, k) measures in spreads from the mean; further out than ``limit`` counts as that."""
    return np.clip((values - mean) / spread, -limit, limit)
