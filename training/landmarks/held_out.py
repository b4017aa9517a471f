"""How good is a linear judge of video files on tools and sources that it never saw?

Ridge logistic regression on measures of windows (one row each, with name, tier, label, kind and
group), and its scores on files when every tool is left out together with every source of real
videos. Shared by the recipes of `landmarks` and `temporal`. Imports `detectors` and `training`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from detectors.landmarks.classifier import LIMIT, LinearClassifier, standard
from evaluation.calibrate import fit_calibration
from hub.checkpoint import Calibration
from training.cards.writer import auc_figure, share_figure

log = logging.getLogger(__name__)

PROTOCOL = (
    "development and talking clips, mean of the windows of a file, scores of judges that saw "
    "neither that tool nor that source"
)


def names_of(rows: pd.DataFrame, judged: str) -> tuple[str, ...]:
    """The columns whose names begin with ``judged``."""
    return tuple(column for column in rows.columns if column.startswith(judged))


def fit(
    rows: pd.DataFrame, names: Sequence[str], strength: float, limit: float = LIMIT
) -> LinearClassifier:
    """Ridge logistic regression; real and fake weigh the same, kinds by the root of their size."""
    names = tuple(names)
    values = rows[list(names)].to_numpy(float)
    mean, spread = values.mean(0), values.std(0) + 1e-6
    weight = rows["kind"].map(rows["kind"].value_counts()).to_numpy(float) ** -0.5
    for label in (0, 1):
        subset = (rows["label"] == label).to_numpy()
        weight[subset] *= 0.5 * len(rows) / weight[subset].sum()
    model = LogisticRegression(C=strength, max_iter=2000)
    model.fit(standard(values, mean, spread, limit), rows["label"], sample_weight=weight)
    return LinearClassifier(names, mean, spread, model.coef_[0], float(model.intercept_[0]), limit)


def scores(classifier: LinearClassifier, rows: pd.DataFrame) -> np.ndarray:
    """Raw log-odds of every row."""
    return classifier.scores(rows[list(classifier.names)].to_numpy(float))


def held_out(
    rows: pd.DataFrame, names: Sequence[str], strength: float, limit: float = LIMIT
) -> pd.DataFrame:
    """File scores from judges that saw neither the file's tool nor a given source, nor both.

    Returns:
        One row a file and tier and opponent: name, tier, label, kind, group, against, raw. For a
        fake, ``against`` is the source of reals that was left out with it; for a real, the tool.
    """
    tools = sorted(rows["kind"][rows["label"] == 1].unique())
    sources = sorted(rows["kind"][rows["label"] == 0].unique())
    result = []
    for tool in tools:
        for source in sources:
            unseen = rows["kind"].isin([tool, source])
            classifier = fit(rows[~unseen], names, strength, limit)
            data = rows[unseen].assign(raw=scores(classifier, rows[unseen]))
            data["against"] = np.where(data["label"] == 1, source, tool)
            result.append(data)
    keys = ["name", "tier", "label", "kind", "group", "against"]
    return pd.concat(result).groupby(keys, as_index=False)["raw"].mean()


def mean_auc(data: pd.DataFrame) -> float:
    """AUC over all pairs of a fake and a real file, each pair judged by a judge that saw neither
    the one's tool nor the other's source.
    """
    right = total = 0.0
    for (tool, source), fakes in data[data["label"] == 1].groupby(["kind", "against"]):
        reals = data[(data["kind"] == source) & (data["against"] == tool)]["raw"].to_numpy()
        higher = fakes["raw"].to_numpy()[:, None] > reals
        right, total = right + higher.sum(), total + higher.size
    return right / total


def figures(data: pd.DataFrame, scale: float, offset: float) -> list[dict]:
    """All figures of the card from held-out scores of files."""
    result = []
    files = data.groupby(["name", "tier", "label", "kind", "group"], as_index=False)["raw"].mean()
    devset = ~files["kind"].str.startswith("talking")
    for tier in files["tier"].unique():
        part = files[(files["tier"] == tier) & devset]
        protocol = f"{PROTOCOL}, {tier}"
        columns = (part["label"], part["raw"], part["group"])
        result.append(auc_figure(f"AUC, talking heads, {tier}", *columns, protocol))
    clean = files[files["tier"] == "clean"]
    ours = files[(files["tier"] == "clean") & devset]
    for tool in sorted(clean["kind"][clean["label"] == 1].unique()):
        part = ours[(ours["label"] == 0) | (ours["kind"] == tool)]
        columns = (part["label"], part["raw"], part["group"])
        result.append(auc_figure(f"AUC, {tool}", *columns, f"{PROTOCOL}, clean"))
    for source, part in clean[clean["label"] == 0].groupby("kind"):
        alarm = scale * part["raw"] + offset > 0
        protocol = f"{PROTOCOL}, clean; alarm: log-odds above 0"
        result.append(share_figure(f"false alarms, {source}", alarm, part["group"], 0, protocol))
    return result


def calibrated(data: pd.DataFrame) -> Calibration:
    """The line from held-out raw scores to log-odds."""
    files = data.groupby(["name", "tier", "label"], as_index=False)["raw"].mean()
    return fit_calibration(
        files["label"].to_numpy(),
        files["raw"].to_numpy(),
        "development and talking clips, as they are and re-encoded, scores of judges that saw "
        "neither the tool nor the source",
    )


def log_figures(result: list[dict], data: pd.DataFrame) -> None:
    """Say the figures, and how well development clips are ranked, by tier."""
    for figure in result:
        log.info("%s: %s", figure["name"], figure["value"])
    devset = data[~(data["kind"] + data["against"]).str.contains("talking-")]
    for tier, part in devset.groupby("tier"):
        log.info(
            "AUC over pairs of a tool and a source, both unseen, %s: %.3f", tier, mean_auc(part)
        )
