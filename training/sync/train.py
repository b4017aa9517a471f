"""How is the embedded sync checkpoint made?

`python -m training.sync DATA OUT` (DATA: the folder of `training.data.talking`) prepares what the
frozen ear hears, trains on real speech only with lip outlines, fits and calibrates the judge,
measures, and writes the folder OUT/checkpoint. With `--steps` a second stage follows, in which the
stream of mouth images learns from the first. The same command resumes. Imports `media.align`,
`detectors.sync.network` and its neighbors `sync_*`.
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from detectors.sync.network import CROP_PX, SyncConfig, SyncModel
from detectors.sync.offset import FAR, IN_STEP, MAX_LAG, offset_curve
from media import align
from training.data.whisper_weights import ear_state
from training.sync.batches import Feeder, ear_input, outlines
from training.sync.data import Pieces, Stills, make_pieces
from training.sync.export import export
from training.sync.learner import Learner

log = logging.getLogger(__name__)

VARIANTS = 4  # of each training clip's sound, the untouched one included
WEIGHTS = {"frame": 1.0, "curve": 1.0, "clip": 0.5, "lips": 1.0, "stills": 1.0}
CHECK_EVERY, SAVE_EVERY = 100, 25  # steps
LEAST = 20  # frames of speech that a piece of the quick check must have
WIDER = 2  # the first stage is cheap: larger batches


@dataclass(frozen=True)
class Plan:
    """What one training run does."""

    config: SyncConfig
    lip_steps: int = 200
    steps: int = 0
    rate: float = 1e-3
    decay: float = 0.05
    average: float = 0.99  # of the weights, over steps
    seed: int = 0


@dataclass
class Run:
    """Everything that a training run keeps between steps."""

    learner: Learner
    averaged: Learner
    optimizer: torch.optim.Optimizer
    file: Path
    step: int = 0

    @classmethod
    def begin(cls, plan: Plan, base: Path, folder: Path) -> Run:
        """A new run, or the one that was interrupted."""
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(plan.seed)
        learner = Learner(plan.config)
        if plan.config.ear == "whisper":
            learner.model.ear.load_state_dict(ear_state(base, plan.config.ear_layers))
        moving = [p for p in learner.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(moving, plan.rate, weight_decay=plan.decay, betas=(0.9, 0.98))
        run = cls(learner, copy.deepcopy(learner), optimizer, folder / "state.pt")
        if run.file.exists():
            state = torch.load(run.file, weights_only=True)
            run.learner.load_state_dict(state["learner"])
            run.averaged.load_state_dict(state["averaged"])
            run.optimizer.load_state_dict(state["optimizer"])
            run.step = state["step"]
        return run

    def save(self) -> None:
        """Write the state; a kill in between leaves the one before."""
        parts = {k: getattr(self, k).state_dict() for k in ("learner", "averaged", "optimizer")}
        fresh = self.file.with_suffix(".new")
        torch.save(parts | {"step": self.step}, fresh)
        fresh.replace(self.file)

    def learn(self, batch: dict[str, Tensor], plan: Plan, eyes: bool) -> dict[str, float]:
        """One step; returns the losses."""
        done = self.step - plan.lip_steps if eyes else self.step
        share = done / (plan.steps if eyes else plan.lip_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = plan.rate * min((done + 1) / 40, 0.03 + 0.97 * _cosine(share))
        self.learner.train()
        losses = self.learner(batch, eyes)
        self.optimizer.zero_grad(set_to_none=True)
        sum(WEIGHTS[k] * v for k, v in losses.items()).backward()
        nn.utils.clip_grad_norm_(self.learner.parameters(), 3.0)
        self.optimizer.step()
        _average(self.averaged, self.learner, min(plan.average, (done + 1) / (done + 10)))
        self.step += 1
        return {k: v.item() for k, v in losses.items()}


def _cosine(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, keep: float) -> None:
    """Moving average of weights and of the normalization's statistics."""
    values = model.state_dict()
    for name, mine in averaged.state_dict().items():
        if mine.is_floating_point():
            mine.lerp_(values[name], 1 - keep)
        else:
            mine.copy_(values[name])


def train(plan: Plan, run: Run, feeder: Feeder, check) -> None:
    """Both stages, from where the run stands; `check(eyes)` measures on the validation people."""
    started, sums = time.time(), {}
    if run.step == 0:
        lips = np.concatenate([feeder.lips[s] for s in feeder.lips])
        lips = lips[np.abs(lips).sum(1) > 0]
        for learner in (run.learner, run.averaged):
            learner.model.lips.mean.copy_(torch.from_numpy(lips.mean(0)))
            learner.model.lips.spread.copy_(torch.from_numpy(lips.std(0) + 0.01))
    while run.step < plan.lip_steps + plan.steps:
        eyes = run.step >= plan.lip_steps
        if run.step == plan.lip_steps:  # the second stage begins with the averaged weights
            run.learner.load_state_dict(run.averaged.state_dict())
            run.learner.hand_over()
            run.averaged.load_state_dict(run.learner.state_dict())
        batch = feeder.batch(eyes, 1 if eyes else WIDER)
        losses = run.learn(batch, plan, eyes)
        sums = {k: 0.95 * sums.get(k, v) + 0.05 * v for k, v in losses.items()}
        last = run.step in (plan.lip_steps, plan.lip_steps + plan.steps)
        if run.step % SAVE_EVERY == 0 or last:
            run.save()
            text = " ".join(f"{k} {v:.3f}" for k, v in sums.items())
            log.info("step %d, %.0f s: %s", run.step, time.time() - started, text)
        if run.step % CHECK_EVERY == 0 or last:
            log.info("val after %d: %s", run.step, check(eyes))


@torch.inference_mode()
def quick_check(
    model: SyncModel, eyes: bool, pieces: Pieces, outline: dict[str, np.ndarray]
) -> dict[str, float]:
    """AUC in step against shifted by 6 to 15 frames, and lag accuracy, on untouched pieces.

    Args:
        model: the network.
        eyes: look at images too, not at lip outlines alone.
        pieces: of the validation people.
        outline: lip outlines by set.
    """
    rng = np.random.default_rng(1)
    lags = np.abs(np.arange(-MAX_LAG, MAX_LAG + 1))
    result = {}
    for part, table in pieces.table[pieces.table["variant"] == 0].groupby("set"):
        right, wrong, hits = [], [], []
        for _, row in table.iterrows():
            frames = slice(row["first"], row["first"] + row["n"])
            speech = pieces.speech[frames]
            if speech.sum() < LEAST:
                continue
            lips = torch.from_numpy(outline[part][pieces.frames[frames]])[None]
            observed = model.look(lips, _mouths(pieces, row) if eyes else None)[0].numpy()
            audio = model.sound(ear_input(pieces, model.config, row["first"], row["n"])[None])[0]
            shift = int(rng.integers(FAR, MAX_LAG + 1) * rng.choice([-1, 1]))
            for leads, by in ((right, 0), (wrong, shift)):
                curve = offset_curve(
                    observed, audio.roll(by, 0).numpy(), MAX_LAG, np.roll(speech, by)
                )
                leads.append(np.nanmax(curve[lags <= IN_STEP]) - np.nanmax(curve[lags >= FAR]))
                if by == 0:
                    hits.append(lags[int(np.nanargmax(curve))] <= 2)
        leads = np.array(right)[:, None] > np.array(wrong)[None]
        values = {"auc": leads.mean(), "lag": np.mean(hits)}
        result |= {f"{part}_{name}": round(float(value), 3) for name, value in values.items()}
    return result


def _mouths(pieces: Pieces, row) -> Tensor:
    edge = (align.MOUTH_PX - CROP_PX) // 2
    inner = np.ascontiguousarray(pieces.mouth(row)[:, edge:-edge, edge:-edge])
    return torch.from_numpy(inner).float()[None]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--base", type=Path, help="folder for the Whisper weights (default OUT/base)"
    )
    parser.add_argument("--stills", type=Path, help="folder of still faces (faces-train-*.npy)")
    parser.add_argument("--lip-steps", type=int, default=Plan.lip_steps)
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--ear", choices=("whisper", "mel"), default="whisper")
    parser.add_argument("--taps", type=int, nargs="+", default=[0, 3])
    parser.add_argument("--version", default="0.1.0", help="of the checkpoint")
    parser.add_argument("--run", default="run", help="name of the run inside OUT")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    base = args.base or args.out / "base"
    caches = {split: args.out / "pieces" / split for split in ("train", "val")}
    for split, cache in caches.items():
        make_pieces(args.data, cache, base, split, VARIANTS if split == "train" else 1)
    eyes = ("lips", "mouth") if args.steps else ("lips",)
    taps = tuple(args.taps)
    config = SyncConfig(eyes=eyes, ear=args.ear, ear_taps=taps, ear_layers=max(taps))
    plan = Plan(config, args.lip_steps, args.steps)
    pieces = {split: Pieces.load(cache, args.data, split) for split, cache in caches.items()}
    stills = Stills(args.stills) if args.stills and args.steps else None
    run = Run.begin(plan, base, args.out / args.run)
    feeder = Feeder(pieces["train"], args.data, config, plan.seed + run.step, stills)
    outline = outlines(args.data, pieces["val"])

    def check(eyes: bool) -> dict[str, float]:
        return quick_check(run.averaged.eval().model, eyes, pieces["val"], outline)

    train(plan, run, feeder, check)
    export(run.averaged.eval().model, args.data, args.out / "checkpoint", args.version)
