"""Does a recurrent network see in frozen features what moves wrongly?

    python -m training.temporal.recurrent collect DATA OUT    class tokens of labeled videos
    python -m training.temporal.recurrent fit OUT FOLDER      trains, measures, writes a checkpoint

`detectors.frozen.recurrent` on runs of 16 frames. Figures are of networks that saw nothing of a
file's tool, page or set. The checkpoint is a second one for `temporal`:
hub/alternatives/clip-lstm. Imports `detectors`, `evaluation`, `hub`, `media` and `training`.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch import nn

from detectors.frozen.backbone import load_backbone
from detectors.frozen.layout import MEAN, RECURRENT, SIZE_PX, STD, WIDTH
from detectors.frozen.recurrent import RecurrentHead
from detectors.preprocess import to_input
from detectors.temporal import runs_of
from evaluation.calibrate import fit_calibration
from hub.catalog import BACKBONES
from hub.checkpoint import Card
from media.tracks import FaceTrack
from media.windows import Window
from training.cards.writer import auc_figure, share_figure, with_figures, write_folder
from training.data.labeled_videos import collect
from training.data.manifests import devset_items
from training.data.wild import clip_items
from training.probes.heads import source_folds

log = logging.getLogger(__name__)

BACKBONE = "clip-vit-b16"
FRAMES = 16
COLLECTED = (4, 6, 8)  # layers whose class tokens are collected
MOST_OF_KIND = 3  # clips of wild, of one tool or of one source of reals on one page
FOLDS = 6
PROTOCOL = (
    "clips of tools and of their pages, one window, networks that saw neither its tool nor its "
    f"page or set ({FOLDS} folds)"
)
CARD = Card(
    detector="temporal",
    title="Bidirectional LSTM on frozen CLIP class tokens",
    votes=False,
    license="research use (weights learned from research-only data)",
    margin=0.0,
    size_px=SIZE_PX,
    mean=MEAN,
    std=STD,
    frames=FRAMES,
    rate_hz=12.5,
    fake_indices=(0,),
    real_indices=(),
    labels_known_by="One number, high for manipulated, by the recipe that trained it.",
    trained_on=(
        "Clips of talking heads, face swaps and lip-sync of 29 tools against real "
        "clips of 16 sources, by our own runs of tools and from the pages of others, research use",
    ),
    limits=(
        "It has no vote: on tools that it had not seen, a line on the mean of the same tokens, "
        "which is what a still image says, was better.",
        "It learned from some two hundred clips; what other tools leave, it may not see.",
        "Not evidence about a person: it must not be the only ground for an accusation, a "
        "dismissal, a block or a publication.",
    ),
)


@dataclass(frozen=True)
class Recipe:
    """Numbers of one training run."""

    layer: int = 8  # of the backbone
    hidden: int = 32
    epochs: int = 30
    rate: float = 2e-3
    decay: float = 1e-2
    batch: int = 16
    noise: float = 0.1  # deviation that is added to each token, in units of its change
    seed: int = 1


class Tokens:
    """The frozen backbone: class tokens of one run of a window."""

    def __init__(self) -> None:
        self.backbone = load_backbone(BACKBONES / BACKBONE, "cpu")

    @torch.inference_mode()
    def read(self, window: Window, track: FaceTrack) -> dict | None:
        """Of the middle run (COLLECTED x FRAMES x WIDTH) float16 as bytes; None without a run."""
        runs = runs_of(window, track, CARD)
        if not runs:
            return None
        layers = self.backbone(to_input(runs[len(runs) // 2], CARD), max(COLLECTED), True)
        tokens = torch.stack([layers[layer - 1][:, 0] for layer in COLLECTED])
        return {"tokens": tokens.numpy().astype(np.float16).tobytes()}


def files(data: Path) -> pd.DataFrame:
    """The clips, in an order of chance: path, label, kind, group, and where each comes from."""
    devset = [
        {"path": i.path, "label": i.label, "kind": i.kind.split("+")[0], "group": i.group,
         "source": f"devset-{i.kind if i.label else i.source}"}
        for i in devset_items(data / "devset")
    ]  # fmt: skip
    wild = pd.DataFrame([
        {"path": i.path, "label": i.label, "kind": i.kind, "group": i.group, "source": i.source}
        for i in clip_items(data / "wild" / "clips")
    ])  # fmt: skip
    mixed = wild.sample(frac=1, random_state=0)
    few = mixed.groupby(["kind", "source"]).head(MOST_OF_KIND)
    more = mixed[mixed["label"] == 0].groupby("source").head(3 * MOST_OF_KIND)
    table = pd.concat([pd.DataFrame(devset), few, more]).drop_duplicates("path")
    return table.sample(frac=1, random_state=0)


def families(rows: pd.DataFrame) -> np.ndarray:
    """(n,) number of what belongs together: files that share a source or a tool, in any number
    of steps.
    """
    names = np.arange(len(rows))
    fake = (rows["label"] == 1).to_numpy()
    tools = np.where(fake, rows["kind"], rows["source"])
    while True:
        joined = pd.Series(names).groupby(rows["source"].to_numpy()).transform("min")
        joined = joined.groupby(tools).transform("min").to_numpy()
        if (joined == names).all():
            return names
        names = joined


def tokens_of(rows: pd.DataFrame, layer: int) -> torch.Tensor:
    """(n, FRAMES, WIDTH) float32 of the rows of `collect`."""
    raw = b"".join(rows["tokens"])
    values = np.frombuffer(raw, np.float16).reshape(len(rows), len(COLLECTED), FRAMES, WIDTH)
    return torch.from_numpy(values[:, COLLECTED.index(layer)].astype(np.float32))


def train(tokens: torch.Tensor, labels: np.ndarray, recipe: Recipe) -> RecurrentHead:
    """A head of least weighted log loss; real and fake weigh the same.

    Args:
        tokens: (n, frames, WIDTH) class tokens.
        labels: (n,) 1 for fake.
        recipe: how.
    """
    torch.manual_seed(recipe.seed)
    head = RecurrentHead(recipe.layer, recipe.hidden)
    target = torch.from_numpy(np.asarray(labels, np.float32))
    share = float(target.mean())
    weight = torch.where(target > 0, 0.5 / share, 0.5 / (1 - share))
    optimizer = torch.optim.AdamW(head.parameters(), recipe.rate, weight_decay=recipe.decay)
    steps = recipe.epochs * -(-len(tokens) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps)
    spread = (tokens - tokens.mean(1, keepdim=True)).std()
    for _ in range(recipe.epochs):
        for index in torch.randperm(len(tokens)).split(recipe.batch):
            batch = tokens[index]
            if torch.rand(()) < 0.5:
                batch = batch.flip(1)  # time may run backwards
            noisy = batch + recipe.noise * spread * torch.randn_like(batch)
            loss = nn.functional.binary_cross_entropy_with_logits(
                head(noisy), target[index], weight[index]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return head.eval()


def held_out(rows: pd.DataFrame, recipe: Recipe) -> np.ndarray:
    """(n,) raw scores of networks that saw nothing of a file's tool, page or set."""
    tokens, labels = tokens_of(rows, recipe.layer), rows["label"].to_numpy()
    folds = source_folds(labels, families(rows), FOLDS)
    result = np.full(len(rows), np.nan)
    for fold in np.unique(folds):
        unseen = folds == fold
        head = train(tokens[~unseen], labels[~unseen], recipe)
        with torch.inference_mode():
            result[unseen] = head(tokens[unseen]).numpy()
        log.info("fold %d: %d real, %d fake", fold, *np.bincount(labels[unseen], minlength=2))
    return result


def fit(out: Path, folder: Path, recipe: Recipe) -> None:
    """Train on all, write the checkpoint with the figures of networks that saw less."""
    rows = pd.read_parquet(out / "tokens.parquet")
    raw, labels = held_out(rows, recipe), rows["label"].to_numpy()
    line = fit_calibration(labels, raw, PROTOCOL)
    groups, real = rows["group"].to_numpy(), labels == 0
    alarms = line.apply(raw[real]) > 0
    measured = [
        auc_figure("AUC, all", labels, raw, groups, PROTOCOL),
        share_figure("false alarms", alarms, groups[real], 0, f"{PROTOCOL}; log-odds above 0"),
    ]
    for figure in measured:
        log.info("%s: %s (%s to %s)", *(figure[k] for k in ("name", "value", "low", "high")))
    head = train(tokens_of(rows, recipe.layer), labels, recipe)
    write(head, folder, with_figures(CARD, measured, line))
    rows.drop(columns="tokens").assign(raw=raw).to_csv(out / "held-out.csv", index=False)


def write(head: RecurrentHead, folder: Path, card: Card) -> None:
    """The folder of a checkpoint, in half precision."""
    tensors = {name: value.half().numpy() for name, value in head.state_dict().items()}
    config = {
        "model_type": RECURRENT, "frozen_backbone": BACKBONE, "layer": head.layer,
        "hidden": head.lstm.hidden_size,
    }  # fmt: skip
    write_folder(folder, tensors, config, card, "clip-lstm")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="A recurrent network on frozen features.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("collect", help="class tokens of labeled videos")
    command.add_argument("data", type=Path)
    command.add_argument("out", type=Path)
    command = commands.add_parser("fit", help="train, measure and write a checkpoint")
    command.add_argument("out", type=Path)
    command.add_argument("folder", type=Path)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if chosen.command == "collect":
        chosen.out.mkdir(parents=True, exist_ok=True)
        file = chosen.out / "tokens.parquet"
        collect(files(chosen.data), file, Tokens().read, ("clean",), most=1)
    else:
        fit(chosen.out, chosen.folder, Recipe())


if __name__ == "__main__":
    main()
