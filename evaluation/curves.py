"""Which curves lie behind the figures?

ROC, reliability, risk against coverage, Tippett plot, and the best calibration in hindsight, all
on plain arrays. Knows nothing of files or detectors. Imports numpy and scipy.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import isotonic_regression

RELIABILITY_BINS = 15  # of equal mass (Nixon et al., 2019, arXiv:1904.01685)
LARGEST_LLR = 50.0  # natural log; beyond it a probability is 0 or 1 in double precision anyway


def probabilities(llrs: np.ndarray) -> np.ndarray:
    """(n,) log-odds to probabilities 0..1."""
    return 1 / (1 + np.exp(-np.clip(llrs, -LARGEST_LLR, LARGEST_LLR)))


def both_classes(labels: np.ndarray) -> bool:
    """There is at least one real and one fake."""
    return bool(0 < np.count_nonzero(labels) < len(labels))


def counts_above(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fakes and reals at or above each distinct score, from the highest on."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    true = np.cumsum(labels[order])[ends]
    return true, ends + 1 - true


def roc(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates at all thresholds, from (0, 0) to (1, 1).

    Args:
        labels: (n,) 0 real, 1 fake; both occur.
        scores: (n,) higher means more fake.
    """
    true, false = counts_above(labels, scores)
    return np.r_[0.0, false / false[-1]], np.r_[0.0, true / true[-1]]


def reliability(
    labels: np.ndarray, chances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean probability, share of fakes and number of files in each of the equal-mass bins.

    Args:
        labels: (n,) 0 or 1.
        chances: (n,) probabilities of fake.
    """
    order = np.argsort(chances, kind="stable")
    bins = [part for part in np.array_split(order, min(RELIABILITY_BINS, len(order))) if len(part)]
    stated = np.array([chances[part].mean() for part in bins])
    true = np.array([labels[part].mean() for part in bins])
    return stated, true, np.array([len(part) for part in bins])


def risk_coverage(labels: np.ndarray, llrs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of wrong answers among the surest, as more and more files are answered.

    Args:
        labels: (n,) 0 or 1.
        llrs: (n,); the answer is its sign, its size is the confidence.

    Returns:
        coverage (n,) and risk (n,), both 0..1 (Geifman and El-Yaniv, 2017).
    """
    order = np.argsort(-np.abs(llrs), kind="stable")
    wrong = ((llrs[order] >= 0) != (labels[order] == 1)).astype(float)
    count = np.arange(1, len(order) + 1)
    return count / len(order), np.cumsum(wrong) / count


def tippett(labels: np.ndarray, llrs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which share of fakes, and of reals, has at least a given likelihood ratio.

    Args:
        labels: (n,) 0 or 1; both occur.
        llrs: (n,) natural log-likelihood ratios.

    Returns:
        ascending log10 likelihood ratios (k,), and the shares of fakes and of reals at or above
        each, 0..1 (Evett and Buckleton, 1996). The reals above 0 are the misleading evidence.
    """
    values = np.unique(llrs)
    fakes, reals = np.sort(llrs[labels == 1]), np.sort(llrs[labels == 0])
    above = [
        1 - np.searchsorted(subset, values, side="left") / len(subset) for subset in (fakes, reals)
    ]
    return values / np.log(10), above[0], above[1]


def best_llrs(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """The log-likelihood ratios of the best rising calibration in hindsight.

    Pool adjacent violators (Ayer et al., 1955) on the labels in the order of the scores, real and
    fake weighing the same together.

    Args:
        labels: (n,) 0 or 1; both occur.
        scores: (n,) higher means more fake; equal scores get equal answers.
        weights: (n,) of the files within their class; equal by default.

    Returns:
        (n,) natural log; -inf and inf where only one class occurs.
    """
    _, member = np.unique(scores, return_inverse=True)
    weights = np.ones(len(labels)) if weights is None else weights
    fakes, reals = (np.bincount(member, weights * (labels == label)) for label in (1, 0))
    fakes, reals = fakes / fakes.sum(), reals / reals.sum()
    chances = isotonic_regression(fakes / (fakes + reals), weights=fakes + reals).x
    with np.errstate(divide="ignore"):
        return (np.log(chances) - np.log1p(-chances))[member]
