"""Does a checkpoint's score point the right way on files whose truth is known?

A label map can be right in form and wrong in fact. A few labeled files are enough to see a
detector that works backwards. numpy only; imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIN_OF_EACH = 3
"""Fewer real or fake files than this say nothing about the direction."""
SURE = 0.05
"""Chance of an AUC this far from one half when the score knows nothing; below it we speak up."""
SHUFFLES = 2000
"""Random reorderings for that chance: its standard error at 0.05 is 0.005."""


@dataclass(frozen=True)
class SignCheck:
    """What a few labeled files say about the direction of a score.

    Attributes:
        auc: share of (fake, real) pairs in which the fake scores higher, 0…1; None if too few.
        chance: how often a score that knows nothing comes as far from 0.5, 0…1; None if too few.
        verdict: ``right``, ``inverted``, ``blind`` or ``too_few``.
        sentence: for the user.
    """

    auc: float | None
    chance: float | None
    verdict: str
    sentence: str
    n_real: int
    n_fake: int


def check_sign(labels: Sequence[int], scores: Sequence[float]) -> SignCheck:
    """Say whether a score points the right way.

    Args:
        labels: (n,) 1 for fake, 0 for real.
        scores: (n,) raw log-odds; files without a number must be left out.
    """
    if len(labels) != len(scores):
        raise ValueError(f"expected as many scores as labels, got {len(scores)}, {len(labels)}")
    truth = np.asarray(labels, dtype=bool)
    values = np.asarray(scores, dtype=np.float64)
    finite = np.isfinite(values)
    truth, values = truth[finite], values[finite]
    n_fake, n_real = int(truth.sum()), int((~truth).sum())
    if min(n_fake, n_real) < MIN_OF_EACH:
        sentence = (
            f"{n_real} real and {n_fake} fake files are too few to check the direction; give at "
            f"least {MIN_OF_EACH} of each."
        )
        return SignCheck(None, None, "too_few", sentence, n_real, n_fake)
    ranks = _ranks(values)
    value = _share_in_order(ranks[truth], n_real)
    chance = _chance(ranks, n_fake, value)
    on = f"AUC {value:.2f} on your {n_real + n_fake} files"
    if chance > SURE:
        verdict, sentence = (
            "blind",
            (f"{on}: no direction can be told; chance alone does this {chance:.0%} of the time."),
        )
    elif value < 0.5:
        verdict, sentence = (
            "inverted",
            (f"{on}: the labels look inverted. Choose the other label as fake and check again."),
        )
    else:
        verdict, sentence = "right", f"{on}: the labels point the right way."
    return SignCheck(value, chance, verdict, sentence, n_real, n_fake)


def _chance(ranks: np.ndarray, n_fake: int, observed: float) -> float:
    """Return the two-sided permutation p-value of an AUC; seeded, so that it repeats."""
    generator = np.random.default_rng(0)
    far = 0
    for _ in range(SHUFFLES):
        shuffled = _share_in_order(generator.permutation(ranks)[:n_fake], len(ranks) - n_fake)
        far += abs(shuffled - 0.5) >= abs(observed - 0.5) - 1e-12
    return (far + 1) / (SHUFFLES + 1)


def _share_in_order(ranks_of_fakes: np.ndarray, n_real: int) -> float:
    """Return the AUC as the share of (fake, real) pairs in order (Mann and Whitney, 1947)."""
    n_fake = len(ranks_of_fakes)
    return float((ranks_of_fakes.sum() - n_fake * (n_fake + 1) / 2) / (n_fake * n_real))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
