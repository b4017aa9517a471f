"""Does a score hold for tools and cameras that nothing was fitted on?

Each fold leaves out one tool family and one real source at once; calibration and threshold come
from the rest. Every family and every source weighs the same, however many files it has. Works on
plain arrays. Imports the rest of evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from evaluation.bootstrap import Interval, interval
from evaluation.calibrate import platt
from evaluation.curves import both_classes
from evaluation.metrics import auc, cllr, cllr_min

LEAST = 5  # files with a number, below which a family or a source has no figure of its own
FALSE_ALARMS = 0.05  # share of reals above the threshold, the mean over the sources
FREE_DIRECTION = 1e-9  # slopes smaller than this point nowhere


@dataclass(frozen=True)
class Truth:
    """What is known about n files.

    Attributes:
        labels: (n,) 0 real, 1 fake.
        families: (n,) tool family of a fake; empty for a real.
        sources: (n,) where a real comes from; of a fake, the source of reals that it was made of or
            published beside, empty if there is none.
    """

    labels: np.ndarray
    families: np.ndarray
    sources: np.ndarray

    def only(self, rows: np.ndarray) -> Truth:
        """Some of the files, by mask or number."""
        return Truth(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def parts(self) -> np.ndarray:
        """(n,) the family of a fake, the source of a real."""
        return np.where(self.labels == 1, self.families, self.sources)

    def weights(self) -> np.ndarray:
        """(n,) so that every family weighs the same among fakes, every source among reals."""
        keys = np.char.add(self.labels.astype(str), self.parts.astype(str))
        _, member, count = np.unique(keys, return_inverse=True, return_counts=True)
        return 1.0 / count[member]


def folds(truth: Truth) -> np.ndarray:
    """(n,) fold of each file: one family and one source each, a family with its own source.

    Where there are more of one than of the other, the last folds hold only one of them.
    """
    families = _names(truth.families[truth.labels == 1])
    place = {("fake", name): number for number, name in enumerate(families)}
    free = list(range(max(len(families), len(_names(truth.sources[truth.labels == 0])))))
    later = []
    for source in _names(truth.sources[truth.labels == 0]):
        made = truth.families[(truth.labels == 1) & (truth.sources == source)]
        subset = [place["fake", name] for name in _names(made) if place["fake", name] in free]
        if not subset:
            later.append(source)
            continue
        place["real", source] = subset[0]
        free.remove(subset[0])
    place |= {("real", source): free[number] for number, source in enumerate(later)}
    kinds = np.where(truth.labels == 1, "fake", "real")
    return np.array([place[key] for key in zip(kinds, truth.parts, strict=True)])


def _names(values: np.ndarray) -> list[str]:
    """Distinct names, the most frequent first."""
    names, count = np.unique(values, return_counts=True)
    return [str(names[k]) for k in np.lexsort((names, -count))]


@dataclass(frozen=True)
class Judged:
    """What a score says of files whose family or source was left out; NaN without a number.

    Attributes:
        scores: (n,) the direction in which higher means more fake.
        llrs: (n,) calibrated on the other folds.
        flagged: (n,) bool, above the threshold that 5 % of the reals of other folds reach.
    """

    scores: np.ndarray
    llrs: np.ndarray
    flagged: np.ndarray


def judge(
    scores: np.ndarray,
    truth: Truth,
    fold: np.ndarray,
    *,
    calibrated: bool = False,
    free_direction: bool = False,
) -> Judged:
    """Calibrate and threshold a score, each fold on all others.

    Args:
        scores: (n,) NaN where there is no number.
        truth: of the files.
        fold: (n,) from `folds`.
        calibrated: the scores are natural log-likelihood ratios already, and stay what they are.
        free_direction: a quantity such as the size of a file, whose direction is learned; a
            detector that points the wrong way is worth nothing instead.
    """
    llrs, oriented = np.full(len(scores), np.nan), scores.astype(float).copy()
    flagged = np.zeros(len(scores), dtype=bool)
    known = np.isfinite(scores)
    for number in np.unique(fold):
        test, train = known & (fold == number), known & (fold != number)
        rest = truth.only(train)
        if not both_classes(rest.labels):
            continue
        slope, offset = (1.0, 0.0)
        if not calibrated:
            slope, offset = platt(rest.labels, scores[train], rest.weights())
        sign = -1.0 if free_direction and slope < 0 else 1.0
        pointing = calibrated or sign * slope > FREE_DIRECTION
        llrs[test] = slope * scores[test] + offset if pointing else 0.0
        oriented[test] *= sign
        flagged[test] = sign * scores[test] > threshold(sign * scores[train], rest)
    return Judged(oriented, llrs, flagged)


def threshold(scores: np.ndarray, truth: Truth) -> float:
    """The least score above which at most 5 % of the reals lie, every source weighing the same."""
    real = truth.labels == 0
    values, weights = scores[real], truth.weights()[real]
    order = np.argsort(-values, kind="stable")
    above = np.cumsum(weights[order]) / weights.sum()  # share at or above each value
    allowed = np.count_nonzero(above <= FALSE_ALARMS)
    return float(values[order][min(allowed, len(order) - 1)])


@dataclass(frozen=True)
class Row:
    """One line of the table; shares and AUCs 0..1, costs in bits.

    Attributes:
        coverage: share of the files with a number.
        auc_within: mean over sources that hold both classes, their own fakes against their reals.
        auc_across: mean over all pairs of a family and a source that is not its own.
        auc_across_interval: 95 %, families drawn anew.
        tpr: fakes flagged, mean over families.
        fpr: reals flagged, mean over sources.
        worst_source, worst_fpr: the source with most reals flagged.
        cllr, cllr_min: cost of the left-out likelihood ratios, and of their ranking alone.
    """

    name: str
    coverage: float
    auc_within: float
    auc_across: float
    auc_across_interval: Interval | None
    tpr: float
    fpr: float
    worst_source: str
    worst_fpr: float
    cllr: float
    cllr_min: float


def row(name: str, judged: Judged, truth: Truth) -> Row:
    """All figures of one score."""
    known = np.isfinite(judged.llrs)
    subset, llrs = truth.only(known), judged.llrs[known]
    pairs = across(judged.scores[known], subset)
    by_source = flagged_by(judged, truth, truth.sources, label=0)
    by_family = flagged_by(judged, truth, truth.families, label=1)
    worst = max(by_source, key=lambda source: by_source[source], default="")
    weights = subset.weights()
    return Row(
        name,
        coverage=float(known.mean()),
        auc_within=_mean(list(within(judged.scores[known], subset).values())),
        auc_across=_mean(pairs.ravel().tolist()),
        auc_across_interval=interval(
            lambda rows: _mean(pairs[rows].ravel().tolist()), np.arange(len(pairs)).astype(str)
        ),
        tpr=_mean(list(by_family.values())),
        fpr=_mean(list(by_source.values())),
        worst_source=worst,
        worst_fpr=by_source.get(worst, float("nan")),
        cllr=cllr(subset.labels, llrs, weights),
        cllr_min=cllr_min(subset.labels, llrs, weights),
    )


def within(scores: np.ndarray, truth: Truth) -> dict[str, float]:
    """Source → AUC of its own fakes against its own reals, where there are enough of both."""
    result = {}
    for source in _names(truth.sources[truth.sources != ""]):
        subset = truth.sources == source
        if min(np.bincount(truth.labels[subset], minlength=2)) >= LEAST:
            result[source] = auc(truth.labels[subset], scores[subset])
    return result


def across(scores: np.ndarray, truth: Truth, families: list[str] | None = None) -> np.ndarray:
    """(families, sources) AUC of each family against each source that is not its own, else NaN."""
    fake, real = truth.labels == 1, truth.labels == 0
    families = families if families is not None else _large(truth.families[fake])
    sources = _large(truth.sources[real])
    result = np.full((len(families), len(sources)), np.nan)
    for i, family in enumerate(families):
        for j, source in enumerate(sources):
            chosen = fake & (truth.families == family) & (truth.sources != source)
            chosen |= real & (truth.sources == source)
            if truth.labels[chosen].sum() >= LEAST:
                result[i, j] = auc(truth.labels[chosen], scores[chosen])
    return result


def flagged_by(judged: Judged, truth: Truth, by: np.ndarray, label: int) -> dict[str, float]:
    """Share of the files of one class above their threshold, for each large enough part.

    Args:
        by: (n,) name of the part; files with an empty one are left out.
    """
    known = np.isfinite(judged.llrs) & (truth.labels == label) & (by != "")
    return {name: float(judged.flagged[known & (by == name)].mean()) for name in _large(by[known])}


def _large(names: np.ndarray) -> list[str]:
    return [name for name in _names(names) if np.count_nonzero(names == name) >= LEAST]


def _mean(values: list[float]) -> float:
    """Mean of the finite ones, NaN without any."""
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")
