"""How far does one come without looking at any face?

A data set whose real and fake files differ in size, rate or codec can be "solved" from its
metadata. These baselines stand beside every figure; far from one half, the set is unsafe. Imports
evaluation.run (its records) and scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold

from evaluation.curves import both_classes
from evaluation.manifest import Item
from evaluation.metrics import AUC, auc, measure_with_intervals
from evaluation.run import ScoreRecord

UNSAFE = 0.6  # AUC of metadata alone above which a set is called unsafe
FOLDS = 5
TREES = 200
FEATURES = ("width_px", "height_px", "fps", "bit_rate", "duration_s", "bytes")


def metadata_table(records: Sequence[ScoreRecord]) -> np.ndarray:
    """(n, 6) float64: the logarithm of one plus each of `FEATURES`; rows of NaN if unreadable."""
    return np.log1p(np.array([_facts(record) for record in records]))


def metadata_baseline(items: Sequence[Item], records: Sequence[ScoreRecord]) -> dict:
    """Figures of two guesses that see no image.

    Returns:
        ``metadata`` (random forest on size, rate, bit rate, length and file size; cross-validated
        over groups) and ``file_size`` (bytes alone, in its better direction), each with ``auc``.
    """
    table = metadata_table(records)
    readable = ~np.isnan(table).any(axis=1)
    labels = np.array([item.label for item in items])[readable]
    groups = np.array([item.unit for item in items])[readable]
    return {
        "metadata": _forest(table[readable], labels, groups),
        "file_size": _one_feature(table[readable][:, FEATURES.index("bytes")], labels, groups),
        "unsafe_above": UNSAFE,
    }


def folds_over_groups(
    labels: np.ndarray, groups: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Train and test rows of folds that keep groups whole; empty when there is too little."""
    fewest = min(len(np.unique(groups[labels == label])) for label in (0, 1))
    folds = min(FOLDS, fewest)
    if folds < 2:
        return []
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    return [
        (train, test)
        for train, test in splitter.split(groups[:, None], labels, groups)
        if both_classes(labels[train])
    ]


def _forest(table: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> dict:
    folds = folds_over_groups(labels, groups) if both_classes(labels) else []
    if not folds:
        return {"auc": None, "note": "too few groups of each class to cross-validate"}
    guessed = np.full(len(labels), 0.5)
    for train, test in folds:
        forest = RandomForestClassifier(TREES, min_samples_leaf=2, random_state=0)
        guessed[test] = forest.fit(table[train], labels[train]).predict_proba(table[test])[:, 1]
    result = measure_with_intervals([AUC], labels, guessed, groups)
    return result | {"note": f"{len(folds)} folds"}


def _one_feature(values: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> dict:
    if not both_classes(labels):
        return {"auc": None, "note": "one class only"}
    sign = 1.0 if auc(labels, values) >= 0.5 else -1.0
    note = "larger files are fake" if sign > 0 else "smaller files are fake"
    return measure_with_intervals([AUC], labels, sign * values, groups) | {"note": note}


def _facts(record: ScoreRecord) -> list[float]:
    if not record.facts:
        return [float("nan")] * len(FEATURES)
    facts = dict(record.facts)
    length_s = float(facts["duration_s"])
    facts["bit_rate"] = 8 * float(facts["bytes"]) / length_s if length_s > 0 else 0.0
    return [float(facts[name]) for name in FEATURES]
