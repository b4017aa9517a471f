"""How good are scores against the truth?

A metric is one entry of `METRICS`: whatever stands there is computed by `evaluate`, written to
``metrics.json`` with its interval and shown in the report. Figures on plain arrays, the same values
as scikit-learn's (tests compare), but quick enough for thousands of bootstrap draws. Knows nothing
of files or detectors. Imports evaluation.bootstrap and evaluation.curves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.bootstrap import RESAMPLES, intervals
from evaluation.curves import (
    best_llrs,
    both_classes,
    counts_above,
    probabilities,
    reliability,
    roc,
)

INDICATIVE_BELOW = 200  # files; below, a figure is called indicative
TPR_POINT, FPR_POINT = 0.90, 0.05  # operating points that are reported
_ROUNDING = 1e-12  # of a rate, when it is compared with an operating point


@dataclass(frozen=True)
class Metric:
    """One figure.

    Attributes:
        name: key in ``metrics.json``, snake_case.
        title: for people, without abbreviations.
        function: from labels (n,), 0 real and 1 fake, both present, and scores (n,), higher means
            more fake, to a number.
        higher_is_better: the direction.
        calibrated: it means something for natural log-likelihood ratios only, not for any score.
    """

    name: str
    title: str
    function: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool
    calibrated: bool = False


# --- ranking: any score will do ------------------------------------------------------------------


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, 0..1; ties count half; NaN without both classes."""
    if not both_classes(labels):
        return float("nan")
    fpr, tpr = roc(labels, scores)
    return float(np.trapezoid(tpr, fpr))


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Precision, averaged over the recall that each threshold adds, 0..1."""
    true, false = counts_above(labels, scores)
    recall = np.r_[0.0, true / true[-1]]
    return float(np.sum(np.diff(recall) * true / (true + false)))


def equal_error_rate(labels: np.ndarray, scores: np.ndarray) -> float:
    """Where misses equal false alarms, between the points of the ROC curve, 0..1."""
    fpr, tpr = roc(labels, scores)
    gap = fpr - (1 - tpr)  # rises from -1 to 1
    above = int(np.argmax(gap >= 0))
    if above == 0 or gap[above] == gap[above - 1]:
        return float(fpr[above])
    share = -gap[above - 1] / (gap[above] - gap[above - 1])
    return float(fpr[above - 1] + share * (fpr[above] - fpr[above - 1]))


def fpr_at_90_tpr(labels: np.ndarray, scores: np.ndarray) -> float:
    """Least share of reals above a threshold that 90 % of fakes reach."""
    fpr, tpr = roc(labels, scores)
    return float(fpr[tpr >= TPR_POINT - _ROUNDING].min())


def tpr_at_5_fpr(labels: np.ndarray, scores: np.ndarray) -> float:
    """Largest share of fakes above a threshold that at most 5 % of reals reach."""
    fpr, tpr = roc(labels, scores)
    return float(tpr[fpr <= FPR_POINT + _ROUNDING].max())


# --- calibration: natural log-likelihood ratios --------------------------------------------------


def _gap(labels: np.ndarray, chances: np.ndarray) -> float:
    """Mean distance between what the bins of `reliability` state and what is true, 0..1."""
    stated, true, count = reliability(labels, chances)
    return float(np.average(np.abs(stated - true), weights=count))


def expected_calibration_error(labels: np.ndarray, llrs: np.ndarray) -> float:
    """Mean distance of stated probability and share of fakes, every file counted once, 0..1."""
    return _gap(labels, probabilities(llrs))


def calibration_error_at_equal_odds(labels: np.ndarray, llrs: np.ndarray) -> float:
    """The same with the log-odds moved to the share of fakes among the files first, 0..1.

    The product's probabilities are stated for equal odds beforehand: where two of three files are
    real, a perfect one must look too high without it.
    """
    share = np.clip(labels.mean(), 1e-6, 1 - 1e-6)
    return _gap(labels, probabilities(llrs + np.log(share / (1 - share))))


def brier_score(labels: np.ndarray, llrs: np.ndarray) -> float:
    """Mean squared distance of probability and truth, 0..1."""
    return float(np.mean((probabilities(llrs) - labels) ** 2))


def log_loss(labels: np.ndarray, llrs: np.ndarray) -> float:
    """Mean negative log-likelihood of the truth, nats."""
    return float(np.mean(np.logaddexp(0, np.where(labels == 1, -llrs, llrs))))


def accuracy(labels: np.ndarray, llrs: np.ndarray) -> float:
    """Share of files on the right side of probability one half, 0..1."""
    return float(np.mean((llrs >= 0) == (labels == 1)))


def cllr(labels: np.ndarray, llrs: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Cost of log-likelihood ratios, bits: 0 is perfect, 1 is what "no evidence" costs.

    Real and fake weigh the same (Brümmer and du Preez, Computer Speech and Language 20, 2006);
    ``weights`` (n,) are those of the files within their class.
    """
    costs = np.logaddexp(0, np.where(labels == 1, -llrs, llrs)) / np.log(2)
    weights = np.ones(len(labels)) if weights is None else weights
    by_class = [
        np.average(costs[subset], weights=weights[subset]) for subset in (labels == 0, labels == 1)
    ]
    return float(np.mean(by_class))


def cllr_min(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """What `cllr` would be with the best rising calibration in hindsight: the ranking's share.

    The rest, ``cllr - cllr_min``, is what calibration costs.
    """
    return cllr(labels, best_llrs(labels, scores, weights), weights)


AUC = Metric("auc", "Area under the ROC curve (AUC)", auc, True)
METRICS: tuple[Metric, ...] = (
    AUC,
    Metric("ap", "Average precision", average_precision, True),
    Metric("eer", "Equal error rate", equal_error_rate, False),
    Metric("fpr_at_90_tpr", "False alarms where 90 % of fakes are caught", fpr_at_90_tpr, False),
    Metric("tpr_at_5_fpr", "Fakes caught at 5 % false alarms", tpr_at_5_fpr, True),
    Metric("cllr_min", "Cost of the ranking (Cllr_min), bits", cllr_min, False),
    Metric("cllr", "Cost of log-likelihood ratios (Cllr), bits", cllr, False, calibrated=True),
    Metric("accuracy", "Right at probability one half", accuracy, True, calibrated=True),
    Metric(
        "ece",
        "Expected calibration error (15 equal-mass bins)",
        expected_calibration_error,
        False,
        calibrated=True,
    ),
    Metric(
        "ece_equal_odds",
        "The same, corrected for the share of fakes among the files",
        calibration_error_at_equal_odds,
        False,
        calibrated=True,
    ),
    Metric("brier", "Brier score", brier_score, False, calibrated=True),
    Metric("log_loss", "Log loss, nats", log_loss, False, calibrated=True),
)


def metrics_for(calibrated: bool) -> list[Metric]:
    """Those of `METRICS` that mean something for a calibrated, or for any, score."""
    return [metric for metric in METRICS if calibrated or not metric.calibrated]


def measure(metrics: Sequence[Metric], labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Name → value; empty without both classes."""
    if not both_classes(labels):
        return {}
    return {metric.name: metric.function(labels, scores) for metric in metrics}


def measure_with_intervals(
    metrics: Sequence[Metric],
    labels: np.ndarray,
    scores: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    resamples: int = RESAMPLES,
) -> dict[str, dict[str, float | None]]:
    """Each figure as ``{value, low, high}``, 95 % over groups; empty without both classes."""
    values = measure(metrics, labels, scores)
    if not values:
        return {}
    limits = intervals(lambda rows: measure(metrics, labels[rows], scores[rows]), groups, resamples)
    return {
        name: dict(
            zip(("value", "low", "high"), (value, *limits.get(name, (None, None))), strict=True)
        )
        for name, value in values.items()
    }
