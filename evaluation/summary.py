"""What do all scores together say about the program on this data?

Builds the content of ``metrics.json`` from the rows of ``scores.csv``. Missing numbers are never
replaced: they lower the coverage, and whether missing itself gives the truth away is measured.
Imports evaluation.metrics and verdict (names of the levels).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from detectors.base import Status
from detectors.registry import names
from evaluation.curves import risk_coverage
from evaluation.metrics import (
    AUC,
    INDICATIVE_BELOW,
    measure,
    measure_with_intervals,
    metrics_for,
)
from evaluation.scores import Score
from verdict.levels import Level

ALARMS = (Level.STRONG, Level.SOME)
ANSWERS = (Level.STRONG, Level.SOME, Level.NONE)
DETECTOR_RESAMPLES = 500
UNNAMED = "not named"


def summarize(scores: Sequence[Score], kinds: Sequence[str]) -> dict:
    """All figures of one run.

    Args:
        scores: one a file.
        kinds: ``video``, ``image`` or empty for unreadable, one a file.
    """
    return {
        "data": _data(scores, kinds),
        "fused": fused_figures(scores),
        "by_file_kind": _by_file_kind(scores, kinds),
        "abstention": abstention(scores),
        "levels": _levels(scores),
        "detectors": {name: detector_figures(scores, name) for name in names()},
        "false_alarms_by_source": false_alarms(scores),
        "by_kind_of_fake": by_kind(scores),
    }


def columns(scores: Sequence[Score], detector: str | None = None) -> tuple[np.ndarray, ...]:
    """Labels (n,), log-odds (n,) with NaN where there is none, and groups (n,)."""
    values = [
        score.log_odds if detector is None else score.detectors[detector].log_odds
        for score in scores
    ]
    labels = np.array([score.item.label for score in scores], dtype=int)
    groups = np.array([score.item.unit for score in scores])
    return labels, np.array([np.nan if v is None else v for v in values], dtype=float), groups


def fused_figures(scores: Sequence[Score]) -> dict:
    """Ranking and calibration of the fused log-odds, where there are any."""
    labels, values, groups = columns(scores)
    there = np.isfinite(values)
    return measure_with_intervals(
        metrics_for(calibrated=True), labels[there], values[there], groups[there]
    )


def abstention(scores: Sequence[Score]) -> dict:
    """Coverage, and whether having no number already gives the truth away."""
    labels, values, _ = columns(scores)
    there = np.isfinite(values)
    answered = np.array([score.level in ANSWERS for score in scores])
    right = np.array([(s.level in ALARMS) == bool(s.item.label) for s in scores])
    return {
        **coverage(labels, there),
        "answered_share": float(answered.mean()),
        "answered_accuracy": float(right[answered].mean()) if answered.any() else None,
        "area_under_risk_coverage": (
            float(risk_coverage(labels[there], values[there])[1].mean()) if there.any() else None
        ),
    }


def auc_if_any(labels: np.ndarray, values: np.ndarray) -> float | None:
    """The AUC, or None where one class is missing."""
    return measure([AUC], labels, values).get(AUC.name)


def coverage(labels: np.ndarray, there: np.ndarray) -> dict[str, float | int | None]:
    """Share of files that have a number, in all and by class, and the AUC of having one."""
    by_class = {
        f"coverage_{name}": float(there[subset].mean()) if subset.any() else None
        for name, subset in (("real", labels == 0), ("fake", labels == 1))
    }
    return {
        "n_applicable": int(there.sum()),
        "coverage": float(there.mean()),
        **by_class,
        "auc_of_applicability": auc_if_any(labels, there.astype(float)),
    }


def detector_figures(scores: Sequence[Score], name: str) -> dict:
    """One detector alone, where it is applicable."""
    labels, values, groups = columns(scores, name)
    there = np.isfinite(values)
    numbers = [score.detectors[name] for score in scores]
    calibrated = any(number.status in (Status.COUNTED, Status.EXPERIMENTAL) for number in numbers)
    result = measure_with_intervals(
        metrics_for(calibrated), labels[there], values[there], groups[there], DETECTOR_RESAMPLES
    )
    return {
        **coverage(labels, there),
        "where_applicable": result,
        "status": dict(Counter(number.status for number in numbers)),
        "reasons": dict(Counter(number.reason for number in numbers if number.reason)),
    }


def false_alarms(scores: Sequence[Score]) -> list[dict]:
    """Real files by source: how many were called suspicious."""
    reals = [score for score in scores if score.item.label == 0]
    return [
        {"source": source, **_alarm_counts(subset)}
        for source, subset in _parted(reals, lambda score: source_of(score) or UNNAMED)
    ]


def source_of(score: Score) -> str:
    """Where a real file comes from: its source, or what the manifest calls its kind."""
    kind = score.item.kind
    return score.item.source or ("" if kind == "real" else kind)


def by_kind(scores: Sequence[Score]) -> list[dict]:
    """Fake files by how they were made: how many were caught, and their AUC against all reals."""
    reals = [score for score in scores if score.item.label == 0]
    fakes = [score for score in scores if score.item.label == 1]
    rows = []
    for kind, subset in _parted(fakes, lambda score: score.item.kind or UNNAMED):
        labels, values, groups = columns([*reals, *subset])
        there = np.isfinite(values)
        result = measure_with_intervals(
            [AUC], labels[there], values[there], groups[there], DETECTOR_RESAMPLES
        )
        rows.append({"kind": kind, **_alarm_counts(subset), **result})
    return rows


def compare(scores: Sequence[Score], clean: Sequence[Score]) -> dict:
    """What re-encoding changed: figures at the unchanged threshold, and flipped verdicts."""
    alarm = np.array([score.level in ALARMS for score in scores])
    before = np.array([score.level in ALARMS for score in clean])
    labels, values, groups = columns(scores)
    there = np.isfinite(values)
    result = measure_with_intervals([AUC], labels[there], values[there], groups[there])
    real, fake = labels == 0, labels == 1
    return {
        "auc": result.get("auc"),
        "coverage": float(there.mean()),
        "fpr_at_unchanged_threshold": float(alarm[real].mean()) if real.any() else None,
        "tpr_at_unchanged_threshold": float(alarm[fake].mean()) if fake.any() else None,
        "flipped_verdicts": float((alarm != before).mean()),
        "changed_levels": float(
            np.mean([a.level != b.level for a, b in zip(scores, clean, strict=True)])
        ),
        "detector_auc": {name: _detector_auc(scores, name) for name in names()},
    }


def _detector_auc(scores: Sequence[Score], name: str) -> float | None:
    labels, values, _ = columns(scores, name)
    there = np.isfinite(values)
    return auc_if_any(labels[there], values[there])


def _data(scores: Sequence[Score], kinds: Sequence[str]) -> dict:
    labels = [score.item.label for score in scores]
    return {
        "n": len(scores),
        "n_real": labels.count(0),
        "n_fake": labels.count(1),
        "n_groups": len({score.item.unit for score in scores}),
        "n_unreadable": sum(not kind for kind in kinds),
        "indicative": len(scores) < INDICATIVE_BELOW,
    }


def _by_file_kind(scores: Sequence[Score], kinds: Sequence[str]) -> dict:
    result = {}
    for kind in sorted(set(kinds) - {""}):
        subset = [score for score, k in zip(scores, kinds, strict=True) if k == kind]
        labels, values, _ = columns(subset)
        there = np.isfinite(values)
        result[kind] = {"n": len(subset), "auc": auc_if_any(labels[there], values[there])}
    return result


def _levels(scores: Sequence[Score]) -> dict[str, dict[str, int]]:
    counts = Counter((score.level, score.item.label) for score in scores)
    return {level: {"real": counts[level, 0], "fake": counts[level, 1]} for level in tuple(Level)}


def _alarm_counts(subset: Sequence[Score]) -> dict[str, float | int | None]:
    values = [score.log_odds for score in subset if score.log_odds is not None]
    return {
        "n": len(subset),
        "strong": sum(score.level == Level.STRONG for score in subset),
        "some": sum(score.level == Level.SOME for score in subset),
        "alarm_share": sum(score.level in ALARMS for score in subset) / len(subset),
        "not_assessed": len(subset) - len(values),
        "median_log_odds": float(np.median(values)) if values else None,
    }


def _parted(scores: Iterable[Score], by: Callable[[Score], str]) -> list[tuple[str, list[Score]]]:
    parts: dict[str, list[Score]] = {}
    for score in scores:
        parts.setdefault(by(score), []).append(score)
    return sorted(parts.items())
