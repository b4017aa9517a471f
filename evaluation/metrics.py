"""How good are scores against the truth?

Figures on plain arrays: ranking, calibration, abstention, and bootstrap intervals over groups.
Knows nothing of files or detectors. The same values as scikit-learn's (tests compare), but quick
enough for thousands of bootstrap draws. Imports numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

RESAMPLES = 1000  # of a bootstrap: its percentiles are then steady to about 0.003
MIN_RESAMPLES = 100  # fewer resamples with both classes in them give no interval
ECE_BINS = 15  # equal-mass bins (Nixon et al., Measuring Calibration in Deep Learning, 2019)
INDICATIVE_BELOW = 200  # files; below, a figure is called indicative
TPR_POINT, FPR_POINT = 0.90, 0.05  # operating points that are reported
Figures = dict[str, float]


def probabilities(log_odds: np.ndarray) -> np.ndarray:
    """(n,) log-odds to probabilities 0..1."""
    return 1 / (1 + np.exp(-np.clip(log_odds, -50, 50)))


def both_classes(labels: np.ndarray) -> bool:
    """There is at least one real and one fake."""
    return bool(0 < np.count_nonzero(labels) < len(labels))


def roc(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates at all thresholds, from (0, 0) to (1, 1).

    Args:
        labels: (n,) 0 real, 1 fake; both occur.
        scores: (n,) higher means more fake.
    """
    true, false = _counts(labels, scores)
    return np.r_[0.0, false / false[-1]], np.r_[0.0, true / true[-1]]


def _counts(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fakes and reals at or above each distinct score, from the highest on."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    true = np.cumsum(labels[order])[ends]
    return true, ends + 1 - true


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve, 0..1; None without both classes."""
    return auc_figure(labels, scores)["auc"] if both_classes(labels) else None


def auc_figure(labels: np.ndarray, scores: np.ndarray) -> Figures:
    """The AUC alone, under its name; both classes must occur."""
    fpr, tpr = roc(labels, scores)
    return {"auc": float(np.trapezoid(tpr, fpr))}


def ranking(labels: np.ndarray, scores: np.ndarray) -> Figures:
    """AUC, average precision, equal error rate and two operating points.

    Args:
        labels: (n,) 0 real, 1 fake; both occur.
        scores: (n,) higher means more fake.
    """
    fpr, tpr = roc(labels, scores)
    true, false = _counts(labels, scores)
    return {
        "auc": float(np.trapezoid(tpr, fpr)),
        "ap": float(np.sum(np.diff(tpr) * true / (true + false))),
        "eer": equal_error_rate(fpr, tpr),
        "fpr_at_90_tpr": float(fpr[tpr >= TPR_POINT - 1e-12].min()),
        "tpr_at_5_fpr": float(tpr[fpr <= FPR_POINT + 1e-12].max()),
    }


def equal_error_rate(fpr: np.ndarray, tpr: np.ndarray) -> float:
    """Where misses equal false alarms, between the points of a ROC curve, 0..1."""
    gap = fpr - (1 - tpr)  # rises from -1 to 1
    above = int(np.argmax(gap >= 0))
    if above == 0 or gap[above] == gap[above - 1]:
        return float(fpr[above])
    share = -gap[above - 1] / (gap[above] - gap[above - 1])
    return float(fpr[above - 1] + share * (fpr[above] - fpr[above - 1]))


def reliability(
    labels: np.ndarray, chances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean probability, share of fakes and number of files in each of `ECE_BINS` equal-mass bins.

    Args:
        labels: (n,) 0 or 1.
        chances: (n,) probabilities of fake.
    """
    order = np.argsort(chances, kind="stable")
    bins = [part for part in np.array_split(order, min(ECE_BINS, len(order))) if len(part)]
    said = np.array([chances[part].mean() for part in bins])
    true = np.array([labels[part].mean() for part in bins])
    return said, true, np.array([len(part) for part in bins])


def calibration(labels: np.ndarray, log_odds: np.ndarray) -> Figures:
    """Expected calibration error, Brier score and log loss of probabilities from log-odds.

    ``ece`` counts every file once. ``ece_equal_odds`` moves the log-odds to the share of fakes
    among the files first: the product's probabilities are said for equal odds beforehand, and
    where two of three files are real a perfect one must look too high without it.
    """
    chances = probabilities(log_odds)
    share = np.clip(labels.mean(), 1e-6, 1 - 1e-6)
    moved = probabilities(log_odds + np.log(share / (1 - share)))
    return {
        "ece": _gap(labels, chances),
        "ece_equal_odds": _gap(labels, moved),
        "brier": float(np.mean((chances - labels) ** 2)),
        "log_loss": float(np.mean(np.logaddexp(0, np.where(labels == 1, -log_odds, log_odds)))),
    }


def _gap(labels: np.ndarray, chances: np.ndarray) -> float:
    """Mean distance between what the bins of `reliability` say and what is true, 0..1."""
    said, true, count = reliability(labels, chances)
    return float(np.average(np.abs(said - true), weights=count))


def risk_coverage(labels: np.ndarray, log_odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of wrong answers among the surest, as more and more files are answered.

    Args:
        labels: (n,) 0 or 1.
        log_odds: (n,); the answer is its sign, its size is the confidence.

    Returns:
        coverage (n,) and risk (n,), both 0..1 (Geifman and El-Yaniv, 2017).
    """
    order = np.argsort(-np.abs(log_odds), kind="stable")
    wrong = ((log_odds[order] >= 0) != (labels[order] == 1)).astype(float)
    count = np.arange(1, len(order) + 1)
    return count / len(order), np.cumsum(wrong) / count


def intervals(
    figures: Callable[..., Mapping[str, float]],
    columns: Sequence[np.ndarray],
    groups: Sequence[str] | np.ndarray,
    resamples: int = RESAMPLES,
) -> dict[str, tuple[float, float]]:
    """95 % intervals by drawing whole groups with replacement (percentile bootstrap).

    Args:
        figures: from the columns to named figures.
        columns: arrays of n rows, the labels first.
        groups: (n,) names of people or sources; one group is drawn as a whole.
        resamples: how often.

    Returns:
        name → (low, high); empty where too few draws held both classes. Seeded, so that it repeats.
    """
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    rows = [np.flatnonzero(member == g) for g in range(len(names))]
    generator = np.random.default_rng(0)
    drawn: list[Mapping[str, float]] = []
    for _ in range(resamples if len(rows) > 1 else 0):
        chosen = np.concatenate([rows[g] for g in generator.integers(0, len(rows), len(rows))])
        if both_classes(columns[0][chosen]):
            drawn.append(figures(*(column[chosen] for column in columns)))
    if len(drawn) < min(MIN_RESAMPLES, resamples):
        return {}
    found = {}
    for name in drawn[0]:
        low, high = np.quantile([figure[name] for figure in drawn], (0.025, 0.975))
        found[name] = (float(low), float(high))
    return found


def with_intervals(
    figures: Callable[..., Mapping[str, float]],
    columns: Sequence[np.ndarray],
    groups: Sequence[str] | np.ndarray,
    resamples: int = RESAMPLES,
) -> dict[str, dict[str, float | None]]:
    """Each figure as ``{value, low, high}``; empty without both classes."""
    if not both_classes(columns[0]):
        return {}
    values, found = figures(*columns), intervals(figures, columns, groups, resamples)
    nothing = (None, None)
    return {
        name: {
            "value": value,
            "low": found.get(name, nothing)[0],
            "high": found.get(name, nothing)[1],
        }
        for name, value in values.items()
    }
