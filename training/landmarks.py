"""Where does the embedded landmarks checkpoint come from?

`python -m training.landmarks MOTION FOLDER` (MOTION: written by `training.motion_data`) fits the
linear judge on measures of real and animated faces, as they are and re-encoded. It is calibrated
and measured only on scores of judges that saw neither that tool nor that source of real videos:
every tool is left out together with every source. Writes the folder and, beside the measures,
`held-out.csv` with those scores, from which the fusion is fitted. Takes seconds. Imports
`detectors`, `evaluation`, `hub` and `training`.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from detectors.landmarks import MODEL_TYPE
from detectors.landmarks_model import Judge, standard
from evaluation.calibrate import fit_calibration
from hub.checkpoint import Card
from training.small_cards import auc_figure, share_figure, with_figures, write_folder

log = logging.getLogger(__name__)

STRENGTH = 0.003  # inverse of the ridge; 0.001 to 0.1 were tried (LOG.md)
JUDGED = "skin_"  # measures of the landmarks alone make it worse on unseen tools (LOG.md)
CARD = Card(
    detector="landmarks",
    title="Detail of the skin and how it changes, a linear judge",
    size_px=224,
    fake_indices=(1,),
    real_indices=(0,),
    labels_known_by="Its recipe (training/landmarks.py) gives animated faces the higher score.",
    licence="research use (numbers learned from research-only data)",
    votes=True,
    trained_on=(
        "27 clips of talking heads made from one photo (AniTalker, EDTalk, SadTalker, Sonic), as "
        "they are and re-encoded, research use",
        "33 real clips of the same set (GRID, hand-held and studio speakers, meeting, acted "
        "dialogue), 66 clips of Arabic news presenters and 55 of actors speaking English (real), "
        "research use",
    ),
    limits=(
        "Learned from four tools that animate one photo; other tools may look otherwise.",
        "Crisp studio recordings of a kind that it never saw look like generated faces to it: 62 % "
        "of the news presenters' clips when these were left out of the fit.",
        "Face swaps keep the movement of a real performance and pass.",
        "A person who sits still, reads, acts, or is filmed in low quality can look unusual here.",
        "Not evidence about a person: it must not be the only ground for an accusation, a "
        "dismissal, a block or a publication.",
    ),
)
INTRO = (
    "Measures 1.5 seconds or more of a face at up to 25 pictures a second. In four bands of detail "
    "and three regions of the face that 468 landmarks have aligned (brows, cheeks, mouth): how "
    "much detail there is, how fast it changes and how evenly. A linear judge adds these up; "
    "positive scores speak for an animated face. Blinks, mouth and head movement are measured and "
    "shown, but not judged: they did not carry over to unseen tools."
)
RECIPE = (
    "`training/motion_data.py`, then `training/landmarks.py`: ridge logistic regression on "
    "standardised measures of windows, each file clean, at 768 px and CRF 28, and at 512 px and "
    "CRF 35; tools and sources weigh by the square root of their windows. Figures and calibration "
    "come from judges that saw neither the tool nor the source of the real video."
)
PROTOCOL = (
    "development and talking clips, mean of the windows of a file, scores of judges that saw "
    "neither that tool nor that source"
)


def names_of(rows: pd.DataFrame) -> tuple[str, ...]:
    """The measures that a judge reads."""
    return tuple(c for c in rows.columns if c.startswith(JUDGED))


def fit(rows: pd.DataFrame, strength: float = STRENGTH) -> Judge:
    """Ridge logistic regression; real and fake weigh the same, kinds by the root of their size."""
    names = names_of(rows)
    values = rows[list(names)].to_numpy(float)
    mean, spread = values.mean(0), values.std(0) + 1e-6
    weight = rows["kind"].map(rows["kind"].value_counts()).to_numpy(float) ** -0.5
    for label in (0, 1):
        own = (rows["label"] == label).to_numpy()
        weight[own] *= 0.5 * len(rows) / weight[own].sum()
    model = LogisticRegression(C=strength, max_iter=2000)
    model.fit(standard(values, mean, spread), rows["label"], sample_weight=weight)
    return Judge(names, mean, spread, model.coef_[0], float(model.intercept_[0]))


def scores(judge: Judge, rows: pd.DataFrame) -> np.ndarray:
    """Raw log-odds of every row."""
    return judge.scores(rows[list(judge.names)].to_numpy(float))


def held_out(rows: pd.DataFrame, strength: float = STRENGTH) -> pd.DataFrame:
    """File scores from judges that saw neither the file's tool nor a given source, nor both.

    Returns:
        One row a file and tier and opponent: name, tier, label, kind, group, against, raw. For a
        fake, ``against`` is the source of reals that was left out with it; for a real, the tool.
    """
    tools = sorted(rows["kind"][rows["label"] == 1].unique())
    sources = sorted(rows["kind"][rows["label"] == 0].unique())
    found = []
    for tool in tools:
        for source in sources:
            unseen = rows["kind"].isin([tool, source])
            told = rows[unseen].assign(raw=scores(fit(rows[~unseen], strength), rows[unseen]))
            told["against"] = np.where(told["label"] == 1, source, tool)
            found.append(told)
    keys = ["name", "tier", "label", "kind", "group", "against"]
    return pd.concat(found).groupby(keys, as_index=False)["raw"].mean()


def mean_auc(told: pd.DataFrame) -> float:
    """AUC over all pairs of a fake and a real file, each pair judged by a judge that saw neither
    the one's tool nor the other's source."""
    right = total = 0.0
    for (tool, source), fakes in told[told["label"] == 1].groupby(["kind", "against"]):
        reals = told[(told["kind"] == source) & (told["against"] == tool)]["raw"].to_numpy()
        higher = fakes["raw"].to_numpy()[:, None] > reals
        right, total = right + higher.sum(), total + higher.size
    return right / total


def figures(told: pd.DataFrame, scale: float, offset: float) -> list[dict]:
    """All figures of the card from held-out scores of files."""
    found = []
    files = told.groupby(["name", "tier", "label", "kind", "group"], as_index=False)["raw"].mean()
    devset = ~files["kind"].str.startswith("talking")
    for tier in files["tier"].unique():
        part = files[(files["tier"] == tier) & devset]
        protocol = f"{PROTOCOL}, {tier}"
        columns = (part["label"], part["raw"], part["group"])
        found.append(auc_figure(f"AUC, talking heads, {tier}", *columns, protocol))
    clean = files[files["tier"] == "clean"]
    ours = files[(files["tier"] == "clean") & devset]
    for tool in sorted(clean["kind"][clean["label"] == 1].unique()):
        part = ours[(ours["label"] == 0) | (ours["kind"] == tool)]
        columns = (part["label"], part["raw"], part["group"])
        found.append(auc_figure(f"AUC, {tool}", *columns, f"{PROTOCOL}, clean"))
    for source, part in clean[clean["label"] == 0].groupby("kind"):
        alarm = scale * part["raw"] + offset > 0
        protocol = f"{PROTOCOL}, clean; alarm: log-odds above 0"
        found.append(share_figure(f"false alarms, {source}", alarm, part["group"], 0, protocol))
    return found


def export(rows: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Fit, calibrate, measure and write the checkpoint folder; returns the held-out scores."""
    judge, told = fit(rows), held_out(rows)
    files = told.groupby(["name", "tier", "label"], as_index=False)["raw"].mean()
    calibration = fit_calibration(
        files["label"].to_numpy(),
        files["raw"].to_numpy(),
        "development and talking clips, as they are and re-encoded, scores of judges that saw "
        "neither the tool nor the source",
    )
    tensors = {
        name: getattr(judge, name).astype(np.float32) for name in ("mean", "spread", "weights")
    }
    tensors["offset"] = np.array([judge.offset], np.float32)
    found = figures(told, calibration.scale, calibration.offset)
    card = with_figures(CARD, found, calibration)
    config = {"model_type": MODEL_TYPE, "measures": list(judge.names)}
    write_folder(folder, tensors, config, card, INTRO, RECIPE)
    for figure in card.figures:
        log.info("%s: %s", figure["name"], figure["value"])
    devset = told[~(told["kind"] + told["against"]).str.contains("talking-")]
    for tier, part in devset.groupby("tier"):
        log.info(
            "AUC over pairs of a tool and a source, both unseen, %s: %.3f", tier, mean_auc(part)
        )
    return told


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fit the embedded landmarks checkpoint.")
    parser.add_argument("motion", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    told = export(pd.read_parquet(arguments.motion / "motion.parquet"), arguments.folder)
    told.to_csv(arguments.motion / "held-out.csv", index=False)


if __name__ == "__main__":
    main()
