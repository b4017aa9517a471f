"""Which figures do other benchmarks print, for the same scores?

DeepfakeBench and those after it rank single frames, and videos by the mean probability of their
frames; others rank whole files. Accuracy is at probability one half. Beside our own figures, so
that papers can be compared. Imports evaluation.metrics, evaluation.curves and evaluation.scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.curves import both_classes, probabilities
from evaluation.metrics import accuracy, auc, average_precision, equal_error_rate, tpr_at_5_fpr
from evaluation.scores import Score

TITLES = {
    "frame_auc": "AUC over frames",
    "video_auc": "AUC over videos (mean probability of their frames)",
    "file_auc": "AUC over files",
    "eer": "Equal error rate",
    "ap": "Average precision",
    "accuracy": "Accuracy at probability one half",
    "accuracy_real": "… of what is real",
    "accuracy_fake": "… of what is fake",
    "tpr_at_5_fpr": "Fakes caught at 5 % false alarms",
}
"""Of frames where stored frames of videos were measured, else of whole files."""


def benchmark_figures(scores: Sequence[Score]) -> dict[str, float]:
    """The figures of `TITLES`, of stored frames or of whole files; empty unless both classes occur.

    What has no number is left out, as benchmarks do that were given only found faces.

    Returns:
        ``frame_auc`` and ``video_auc`` where rows are stored frames, else ``file_auc``; the rest
        either way, each 0..1.
    """
    known = [score for score in scores if score.log_odds is not None]
    labels = np.array([score.item.label for score in known], dtype=int)
    llrs = np.array([score.log_odds for score in known], dtype=float)
    if not both_classes(labels):
        return {}
    right = (llrs >= 0) == (labels == 1)
    return {
        **_ranks(known, labels, llrs),
        "eer": equal_error_rate(labels, llrs),
        "ap": average_precision(labels, llrs),
        "accuracy": accuracy(labels, llrs),
        "accuracy_real": float(right[labels == 0].mean()),
        "accuracy_fake": float(right[labels == 1].mean()),
        "tpr_at_5_fpr": tpr_at_5_fpr(labels, llrs),
    }


def _ranks(known: Sequence[Score], labels: np.ndarray, llrs: np.ndarray) -> dict[str, float]:
    """AUC over files; over frames and over their videos where any row is a stored frame."""
    if not any(score.item.video for score in known):
        return {"file_auc": auc(labels, llrs)}
    videos = np.array([score.item.video or score.item.name for score in known])
    _, first, member = np.unique(videos, return_index=True, return_inverse=True)
    means = np.bincount(member, probabilities(llrs)) / np.bincount(member)
    return {"frame_auc": auc(labels, llrs), "video_auc": auc(labels[first], means)}
