"""Where does the embedded landmarks checkpoint come from?

`python -m training.landmarks MOTION FOLDER` (MOTION: written by `training.data.labeled_videos`)
fits the linear judge on measures of real and animated faces, as they are and re-encoded. It is
calibrated and measured only on scores of judges that saw neither that tool nor that source of real
videos: every tool is left out together with every source. Writes the folder and, beside the
measures, `held-out.csv` with those scores, from which the fusion is fitted. Takes seconds. Imports
`detectors`, `evaluation`, `hub` and `training`.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from detectors.landmarks.detector import MODEL_TYPE
from hub.checkpoint import Card
from training.cards.writer import with_figures, write_folder
from training.landmarks.held_out import calibrated, figures, fit, held_out, log_figures, names_of

log = logging.getLogger(__name__)

STRENGTH = 0.003  # inverse of the ridge; 0.001 to 0.1 were tried (LOG.md)
JUDGED = "skin_"  # measures of the landmarks alone make it worse on unseen tools (LOG.md)
CARD = Card(
    detector="landmarks",
    title="Detail of the skin and how it changes, a linear judge",
    size_px=224,
    fake_indices=(1,),
    real_indices=(0,),
    labels_known_by="Its recipe (training/landmarks/) gives animated faces the higher score.",
    license="research use (numbers learned from research-only data)",
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


def export(rows: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Fit, calibrate, measure and write the checkpoint folder; returns the held-out scores."""
    names = names_of(rows, JUDGED)
    classifier, data = fit(rows, names, STRENGTH), held_out(rows, names, STRENGTH)
    calibration = calibrated(data)
    tensors = {
        name: getattr(classifier, name).astype(np.float32) for name in ("mean", "spread", "weights")
    }
    tensors["offset"] = np.array([classifier.offset], np.float32)
    result = figures(data, calibration.scale, calibration.offset)
    config = {"model_type": MODEL_TYPE, "measures": list(names)}
    card = with_figures(CARD, result, calibration)
    write_folder(folder, tensors, config, card)
    log_figures(result, data)
    return data


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fit the embedded landmarks checkpoint.")
    parser.add_argument("motion", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    data = export(pd.read_parquet(arguments.motion / "motion.parquet"), arguments.folder)
    data.to_csv(arguments.motion / "held-out.csv", index=False)
