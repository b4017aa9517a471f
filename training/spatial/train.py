"""Where does the embedded spatial checkpoint come from?

`python -m training.spatial train CROPS RUN --base BASE` trains it (again: resumes), `export RUN
FOLDER` writes the folder, `update RUN FOLDER` brings an older one up to date by a small file, and
`evaluate FOLDER CROPS` calibrates it and fills its card. The network is that of
`training.spatial.network`. Imports `training`.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import Dinov2ForImageClassification

from training.spatial import data as spatial_data
from training.spatial import export as spatial_export
from training.spatial.figures import selection_figures
from training.spatial.network import (
    LAYERS,
    PatchLogits,
    new_network,
    normalized,
    spatial_config,
)

log = logging.getLogger(__name__)

FROZEN_BLOCKS = 2  # their low-level filters are good, and their backward pass is saved
KEPT_PATCHES = 0.5  # share of the patch tokens that training sees (PatchDropout, arXiv:2208.07220)
FULL_TOKENS_FROM = 0.98  # the last part of the run sees all tokens
PAIRS = 16
LEARNING_RATE = 1.2e-4
LAYER_DECAY = 0.8
WEIGHT_DECAY = 0.05
WARMUP_STEPS = 100
DECAY_FROM = 0.88  # constant rate until this share of the run, then a cosine to zero
EMA = 0.998
SMOOTHING = 0.05
PATCH_LOSS = 0.3
PAIR_LOSS = 0.5
PUBLISHED = ("swap", "gan", "generated")  # kinds of pairs whose fake others made
FITTED_ON = "DFDC, StyleGAN, FFHQ, portraits, talking faces and self-made fakes, held out"
SAVE_EVERY_S = 240
VALIDATE_EVERY_S = 1200


# --- training ------------------------------------------------------------------------------------


@dataclass
class Run:
    """Everything that a resumed run needs."""

    model: PatchLogits
    optimizer: torch.optim.Optimizer
    average: dict[str, torch.Tensor]
    step: int = 0


def new_run(start: Path) -> Run:
    """A run at its first step, from a checkpoint folder or from the folder of the base weights."""
    if (start / "config.json").exists():
        network = Dinov2ForImageClassification.from_pretrained(start, dtype=torch.float32)
    else:
        network = new_network(start)
    model = PatchLogits(network)
    body = model.network.dinov2
    for parameter in [
        *body.embeddings.parameters(),
        *body.encoder.layer[:FROZEN_BLOCKS].parameters(),
    ]:
        parameter.requires_grad_(False)
    groups = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = WEIGHT_DECAY if parameter.ndim > 1 else 0.0
            groups.append(
                {"params": [parameter], "lr_scale": _lr_scale(name), "weight_decay": decay}
            )
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98))
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    return Run(model, optimizer, average)


def _lr_scale(name: str) -> float:
    """Layer-wise decay; the head and the patch scale learn ten times faster than the last block."""
    if "encoder.layer." in name:
        return LAYER_DECAY ** (LAYERS - 1 - int(name.split("encoder.layer.")[1].split(".")[0]))
    return 1.0 if "layernorm" in name else 10.0


def _rate(step: int, steps: int) -> float:
    """Warm-up, constant, cosine to zero."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    late = max(0.0, (step / steps - DECAY_FROM) / (1 - DECAY_FROM))
    return 0.5 * (1 + math.cos(math.pi * min(late, 1.0)))


def train(crops: Path, folder: Path, base: Path, steps: int, rerender: Path | None) -> None:
    """Train for ``steps`` in all, from the saved state of ``folder`` if there is one.

    A polite end of the process (SIGTERM) saves the state first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = new_run(base)
    if (folder / "state.pt").exists():
        _restore(run, folder / "state.pt")
        log.info("resumed at step %d", run.step)
    forward = torch.compile(run.model)
    saved = validated = last = time.monotonic()
    losses, stop = [], []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    for batch in _loaded(crops, seed=run.step + 1, rerender=rerender):
        losses.append(_one_step(run, forward, batch, steps))
        if run.step % 50 == 0:
            pace = (time.monotonic() - last) / 50
            log.info(
                "step %d loss %s %.2f s/step", run.step, np.mean(losses[-50:], 0).round(3), pace
            )
            last = time.monotonic()
        now, done = time.monotonic(), run.step >= steps or bool(stop)
        if done or now - saved > SAVE_EVERY_S:
            _save(run, folder / "state.pt")
            saved = now
        if run.step >= steps or now - validated > VALIDATE_EVERY_S:
            log.info("step %d %s", run.step, json.dumps(selection_figures(averaged(run), crops)))
            validated = last = time.monotonic()
        if done:
            return


def _one_step(run: Run, forward, batch: spatial_data.Batch, steps: int) -> list[float]:
    """One optimizer step; returns the losses of images and patches, the shares of `_ranked`."""
    run.model.train()
    pixels, labels = normalized(batch.images), torch.from_numpy(batch.labels).float()
    masks = torch.from_numpy(batch.masks).flatten(1)
    selected = None
    if run.step < FULL_TOKENS_FROM * steps:
        count = int(masks.shape[1] * KEPT_PATCHES)
        half = torch.rand(len(labels) // 2, masks.shape[1]).argsort(1)[:, :count]
        selected = torch.cat([half, half])  # a real face and its fake lose the same patches
        masks = masks.gather(1, selected)
    logit, shares = forward(pixels, selected)
    goal = labels * (1 - SMOOTHING) + SMOOTHING / 2
    loss = nn.functional.binary_cross_entropy_with_logits(logit, goal)
    fake, real = logit[len(labels) // 2 :], logit[: len(labels) // 2]
    pair_loss = nn.functional.softplus(real - fake).mean()  # a fake must exceed its own real
    known = masks >= 0
    touched = (run.model.scale * shares + run.model.bias)[known]
    patch_loss = nn.functional.binary_cross_entropy_with_logits(touched, masks[known])
    rate = _rate(run.step, steps)
    for group in run.optimizer.param_groups:
        group["lr"] = float(LEARNING_RATE * rate * group["lr_scale"])
    run.optimizer.zero_grad(set_to_none=True)
    (loss + PATCH_LOSS * patch_loss + PAIR_LOSS * pair_loss).backward()
    nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimizer.step()
    run.step += 1
    _average(run)
    return [loss.item(), patch_loss.item(), *_ranked(batch.kinds, (fake > real).tolist())]


def _ranked(kinds: list[str], right: list[bool]) -> list[float]:
    """Share of the pairs whose fake scores higher: published fakes, self-made fakes."""
    published = [r for k, r in zip(kinds, right, strict=True) if k in PUBLISHED]
    made = [r for k, r in zip(kinds, right, strict=True) if k not in PUBLISHED]
    return [float(np.mean(part)) if part else 0.5 for part in (published, made)]


def _average(run: Run) -> None:
    keep = min(EMA, (1 + run.step) / (10 + run.step))
    with torch.no_grad():
        for name, value in run.model.state_dict().items():
            run.average[name].lerp_(value, 1 - keep)


def averaged(run: Run) -> PatchLogits:
    """A copy of the model with the averaged weights, ready to judge."""
    model = PatchLogits(Dinov2ForImageClassification(run.model.network.config))
    model.load_state_dict(run.average)
    return model.eval()


def _save(run: Run, path: Path) -> None:
    state = {
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "average": run.average,
        "step": run.step,
    }
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def _restore(run: Run, path: Path) -> None:
    state = torch.load(path, weights_only=False)  # our own file of this run
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.average, run.step = state["average"], state["step"]


class _Stream(torch.utils.data.IterableDataset):
    """`spatial_data.batches` in a worker process."""

    def __init__(self, crops: Path, seed: int, rerender: Path | None) -> None:
        self.crops, self.seed, self.rerender = crops, seed, rerender

    def __iter__(self) -> Iterator[spatial_data.Batch]:
        torch.set_num_threads(1)
        decoder = None
        if self.rerender is not None:
            from training.data.autoencoder import Rerenderer

            decoder = Rerenderer(self.rerender)
        return spatial_data.batches(self.crops, PAIRS, self.seed, decoder)


def _loaded(crops: Path, seed: int, rerender: Path | None) -> Iterator[spatial_data.Batch]:
    stream = _Stream(crops, seed, rerender)
    return iter(
        torch.utils.data.DataLoader(
            stream, batch_size=None, num_workers=1, prefetch_factor=6, collate_fn=_as_is
        )
    )


def _as_is(batch: spatial_data.Batch) -> spatial_data.Batch:
    return batch


def export(folder: Path, out: Path) -> None:
    """Write the averaged weights of a run as an uncalibrated checkpoint folder."""
    model, step = _trained(folder)
    change = spatial_export.write(model, out)
    log.info("step %d to %s; bfloat16 moves a logit by %.4f at most", step, out, change)


def _trained(folder: Path) -> tuple[PatchLogits, int]:
    """The averaged model of a run, and its step."""
    state = torch.load(folder / "state.pt", weights_only=True)
    model = PatchLogits(Dinov2ForImageClassification(spatial_config()))
    model.load_state_dict(state["average"])
    return model.eval(), state["step"]


def evaluate(folder: Path, crops: Path) -> None:
    """Calibrate a checkpoint folder, log what it reaches, and write its card."""
    model = spatial_export.load(folder)
    other = spatial_export.scores(model, crops, selection=False)
    chosen = spatial_export.scores(model, crops, selection=True, tiers=("clean",))
    spatial_export.calibrate(folder, other, FITTED_ON)
    for table, half in ((other, "chose nothing"), (chosen, "selection half")):
        for figure in spatial_export.figure_words(table, half):
            log.info("{name}: {value} ({low} to {high})".format(**figure))
    spatial_export.store(folder, spatial_export.self_made(other, "held-out half"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Train, judge and export the spatial checkpoint.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train", help="train, or resume")
    command.add_argument("crops", type=Path, help="made by training.face_crops")
    command.add_argument("run", type=Path)
    command.add_argument(
        "--base", type=Path, required=True, help="base weights, or a checkpoint folder"
    )
    command.add_argument("--steps", type=int, default=2000)
    command.add_argument("--rerender", type=Path, help="made by training.autoencoder")
    command = commands.add_parser("export", help="write an uncalibrated checkpoint folder")
    command.add_argument("run", type=Path)
    command.add_argument("folder", type=Path)
    command = commands.add_parser("evaluate", help="calibrate a folder, write its figures and card")
    command.add_argument("folder", type=Path)
    command.add_argument("crops", type=Path)
    for command in commands.choices.values():
        command.add_argument("--threads", type=int, default=2)
    return parser


def main() -> None:
    """Command line."""
    args = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    if args.command == "train":
        train(args.crops, args.run, args.base, args.steps, args.rerender)
    elif args.command == "export":
        export(args.run, args.folder)
    else:
        evaluate(args.folder, args.crops)
    main()
