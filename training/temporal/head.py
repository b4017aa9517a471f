"""Where does the last layer of the embedded temporal checkpoint come from?

The body learned from self-made faults; which of its pooled features tell the tools that people meet
from filmed faces is fitted here, on labeled videos. `python -m training.temporal.head collect DATA
FOLDER OUT` walks them as the app does, `fit FOLDER OUT` refits the classifier of FOLDER, calibrates
and measures it on scores of judges that saw neither that tool nor that source, and writes them to
OUT/held-out.csv for the fusion. Imports `detectors`, `media` and `training`.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from detectors.landmarks.classifier import LinearClassifier
from detectors.preprocess import to_input
from detectors.temporal import runs_of
from media.tracks import FaceTrack
from media.windows import Window
from training.cards.writer import with_figures, write_card
from training.data.labeled_videos import collect, items
from training.landmarks.held_out import calibrated, figures, fit, held_out, log_figures, names_of
from training.temporal.card import CARD
from training.temporal.train import load

log = logging.getLogger(__name__)

JUDGED = "pooled_"
STRENGTH = 0.003  # inverse of the ridge
TALKING_EVERY = 2  # one of so many talking clips of `training.data.labeled_videos`


class Eyes:
    """The checkpoint's body: what the classifier sees of a window."""

    def __init__(self, folder: Path) -> None:
        self.model, self.card = load(folder).eval(), CARD
        self.seen: list[torch.Tensor] = []
        self.model.classifier.register_forward_pre_hook(lambda _, given: self.seen.append(given[0]))

    @torch.inference_mode()
    def look(self, window: Window, track: FaceTrack) -> dict | None:
        """The 192 pooled features, means of the runs of one window; None without a run."""
        runs = runs_of(window, track, self.card)
        if not runs:
            return None
        self.seen.clear()
        self.model(pixel_values=torch.stack([to_input(run, self.card) for run in runs]))
        pooled = self.seen[0].mean(0).tolist()
        return {f"{JUDGED}{n:03d}": value for n, value in enumerate(pooled)}


def files(data: Path) -> pd.DataFrame:
    """The files of `training.data.labeled_videos`, with fewer talking clips."""
    table = items(data)
    talking = table["kind"].str.startswith("talking")
    return pd.concat([table[~talking], table[talking][::TALKING_EVERY]])


def refit(folder: Path, out: Path) -> None:
    """Fit the classifier on all labeled videos, write checkpoint, card and held-out scores."""
    rows = pd.read_parquet(out / "pooled.parquet")
    names = names_of(rows, JUDGED)
    # a linear layer has no limit to what it takes from one feature
    classifier = fit(rows, names, STRENGTH, limit=np.inf)
    data = held_out(rows, names, STRENGTH, limit=np.inf)
    _write_classifier(folder / "model.safetensors", classifier)
    line = calibrated(data)
    result = figures(data, line.scale, line.offset)
    write_card(folder, with_figures(CARD, result, line))
    data.to_csv(out / "held-out.csv", index=False)
    log_figures(result, data)


def _write_classifier(file: Path, classifier: LinearClassifier) -> None:
    """Put a linear judge of pooled features into the network's last layer."""
    tensors = load_file(file)
    weight = classifier.weights / classifier.spread
    offset = classifier.offset - float(weight @ classifier.mean)
    kind = tensors["classifier.weight"].dtype
    fake = torch.from_numpy(weight).float() / 2
    tensors["classifier.weight"] = torch.stack([-fake, fake]).to(kind)
    tensors["classifier.bias"] = torch.tensor([-offset / 2, offset / 2]).to(kind)
    save_file(tensors, file, metadata={"format": "pt"})


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fit the last layer of the temporal checkpoint.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("collect", help="look at the labelled videos")
    command.add_argument("data", type=Path)
    command.add_argument("folder", type=Path)
    command.add_argument("out", type=Path)
    command = commands.add_parser("fit", help="fit, calibrate, measure and write")
    command.add_argument("folder", type=Path)
    command.add_argument("out", type=Path)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if chosen.command == "collect":
        chosen.out.mkdir(parents=True, exist_ok=True)
        eyes = Eyes(chosen.folder)
        collect(files(chosen.data), chosen.out / "pooled.parquet", eyes.look)
    else:
        refit(chosen.folder, chosen.out)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    main()
