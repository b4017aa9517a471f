"""Is this face like anything that the head learned from?

A linear head says something of every image, of those too that are unlike all it has seen, and there
it is wrong more often. The distance to the nearest faces that it learned from tells how far to
trust it (deep nearest neighbors; Sun et al. 2022, arXiv:2204.06507): the log-odds of an unfamiliar
face are brought nearer to zero. Imports layout; torch where a network is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Familiarity:
    """Faces that a head learned from, and how far new ones lie from them.

    Attributes:
        part: (first, last) column of the feature vector that is compared; of unit length.
        bank: (n, columns) float32 tensor, the same columns of n known faces.
        neighbors: of so many nearest ones the mean distance is taken.
        distances: (101,) rising distances of real faces whose source the bank did not hold: the
            percentiles 0..100.
        shrinkage: share of the log-odds that is taken off the most unfamiliar face, 0..1.
    """

    part: tuple[int, int]
    bank: torch.Tensor
    neighbors: int
    distances: np.ndarray
    shrinkage: float

    def percentile(self, features: torch.Tensor) -> np.ndarray:
        """How unfamiliar each face is.

        Args:
            features: (n, all columns) float32.

        Returns:
            (n,) float64, 0..1: the share of real faces of other sources that lie nearer.
        """
        import torch

        compared = features[:, slice(*self.part)]
        distances = torch.cdist(compared, self.bank).topk(self.neighbors, largest=False).values
        mean = distances.mean(dim=1).double().cpu().numpy()
        return np.interp(mean, self.distances, np.linspace(0, 1, len(self.distances)))

    def trusted(self, percentiles: np.ndarray) -> np.ndarray:
        """(n,) factors of the log-odds, 1 for what is most familiar."""
        return 1 - self.shrinkage * percentiles
