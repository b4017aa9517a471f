"""Which figures do benchmarks of stored frames print, for the same scores?

DeepfakeBench and those after it rank single frames, and videos by the mean probability of their
frames; accuracy is at probability one half. Beside our own figures, so that papers can be compared.
Imports evaluation.metrics, evaluation.curves and evaluation.scores.
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
    "eer": "Equal error rate over frames",
    "ap": "Average precision over frames",
    "accuracy": "Accuracy over frames at probability one half",
    "accuracy_real": "… of real frames",
    "accuracy_fake": "… of fake frames",
    "tpr_at_5_fpr": "Fakes caught at 5 % false alarms, frames",
}


def benchmark_figures(scores: Sequence[Score]) -> dict[str, float]:
    """The figures of `TITLES`; empty unless frames of videos were measured and both classes occur.

    Frames without a number are left out, as benchmarks do that were given only found faces.
    """
    if not any(score.item.video for score in scores):
        return {}
    known = [score for score in scores if score.log_odds is not None]
    labels = np.array([score.item.label for score in known], dtype=int)
    llrs = np.array([score.log_odds for score in known], dtype=float)
    if not both_classes(labels):
        return {}
    videos = np.array([score.item.video or score.item.name for score in known])
    _, first, member = np.unique(videos, return_index=True, return_inverse=True)
    means = np.bincount(member, probabilities(llrs)) / np.bincount(member)
    right = (llrs >= 0) == (labels == 1)
    return {
        "frame_auc": auc(labels, llrs),
        "video_auc": auc(labels[first], means),
        "eer": equal_error_rate(labels, llrs),
        "ap": average_precision(labels, llrs),
        "accuracy": accuracy(labels, llrs),
        "accuracy_real": float(right[labels == 0].mean()),
        "accuracy_fake": float(right[labels == 1].mean()),
        "tpr_at_5_fpr": tpr_at_5_fpr(labels, llrs),
    }
