"""How is the temporal checkpoint trained and exported?

    python -m training.temporal train DATA RUN      resumable; DATA: see `training.data.talking`
    python -m training.temporal pairs DATA RUN      only makes pairs (another --seed: more of them)
    python -m training.temporal export RUN FOLDER   a checkpoint folder in Hub layout

The network of `training.temporal.initial_weights` sees pairs of a real shot and the same shot with
a self-made fault, both through one encoder. Imports `training.data.talking`,
`training.temporal.data`, `training.temporal.faults`, `training.temporal.initial_weights`.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import VideoMAEForVideoClassification

from evaluation.metrics import auc
from training.cards.writer import write_card
from training.data.talking import Talking
from training.temporal.card import CARD, MEAN, STD
from training.temporal.data import FRAMES, OUT_PX, FaceClips, Pairs
from training.temporal.faults import FAULTS
from training.temporal.initial_weights import PATCH_PX, TUBELET, WIDTH, empty_model, new_model

log = logging.getLogger(__name__)

GRID = OUT_PX // PATCH_PX
BLOCK = 5  # 25 of the 49 places are seen in training, so a step costs half
TOUCHED_LEVELS = (2.0, 6.0)  # mean change (of 255) of a token: at most untouched, at least touched
TOUCHED_SHARE = 0.05  # share of touched tokens from which a clip counts as faulty
AVERAGE = 0.99  # weight averaging (EMA) a step


@dataclass(frozen=True)
class Recipe:
    """Numbers of one training run."""

    minutes: float = 60
    pairs: int = 16  # a step
    rate: float = 8e-4
    token_loss: float = 0.5
    pair_loss: float = 0.5
    warmup: float = 0.08  # share of the run
    decay: float = 0.05
    check_minutes: float = 5
    seed: int = 1


def patches(clips: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """(b, 16, 112, 112, 3) uint8 to the kept tubes' pixels, (b, 8, k, 3, 2, 16, 16) float, 0..1."""
    steps = FRAMES // TUBELET
    split = clips.reshape(len(clips), steps, TUBELET, GRID, PATCH_PX, GRID, PATCH_PX, 3)
    split = split.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(2, 3)
    return split[:, :, keep].float() / 255


def normalized(pixels: torch.Tensor) -> torch.Tensor:
    """(…, 3, 2, 16, 16) pixels of tubes, 0..1, with ImageNet's mean and deviation taken out."""
    mean, std = (torch.tensor(v).reshape(3, 1, 1, 1) for v in (MEAN, STD))
    return (pixels - mean) / std


def tokens_and_logits(
    model: nn.Module, pixels: torch.Tensor, keep: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The forward pass of the kept tubes alone.

    Args:
        pixels: (b, 8, k, 3, 2, 16, 16), 0..1, from `patches`.
        keep: (k,) places of the 7x7 grid.

    Returns:
        (b, 8 * k, 384) last tokens and (b, 2) logits.
    """
    pixels = normalized(pixels)
    embeddings = model.videomae.embeddings
    projection = embeddings.patch_embeddings.projection
    hidden = nn.functional.linear(pixels.flatten(3), projection.weight.flatten(1), projection.bias)
    positions = embeddings.position_embeddings.reshape(1, FRAMES // TUBELET, GRID * GRID, WIDTH)
    hidden = (hidden + positions[:, :, keep].detach()).flatten(1, 2)
    for layer in model.videomae.encoder.layer:
        hidden = layer(hidden)
    return hidden, model.classifier(model.fc_norm(hidden.mean(1)))


def draw_places() -> torch.Tensor:
    """25 of the 49 places: a 5x5 block or a scatter, equally often (PatchDropout)."""
    if torch.rand(()) < 0.5:
        return torch.randperm(GRID * GRID)[: BLOCK * BLOCK].sort().values
    top, left = torch.randint(GRID - BLOCK + 1, (2,)).tolist()
    grid = torch.arange(GRID * GRID).reshape(GRID, GRID)
    return grid[top : top + BLOCK, left : left + BLOCK].flatten()


def make_pairs(data: Path, bank: Path, count: int, seed: int) -> None:
    """Write ``count`` pairs as BANK/SEED.npy; a file that is there is not made again."""
    bank.mkdir(parents=True, exist_ok=True)
    file = bank / f"{seed}.npy"
    if file.exists():
        return
    shape = (count, 2, FRAMES, OUT_PX, OUT_PX, 3)
    array = np.lib.format.open_memmap(file.with_suffix(".new"), "w+", np.uint8, shape)
    stream = iter(Pairs(FaceClips(Talking(data), "train"), seed))
    for i in range(count):
        array[i] = next(stream)[0]
        if (i + 1) % 200 == 0:
            log.info("%d of %d pairs", i + 1, count)
    array.flush()
    file.with_suffix(".new").rename(file)


class Bank:
    """All pairs of a folder; those that are written meanwhile join in."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, np.random.default_rng(seed)
        self.files: dict[Path, np.ndarray] = {}

    def batch(self, n: int) -> torch.Tensor:
        """(n, 2, 16, 112, 112, 3) uint8."""
        for file in self.folder.glob("*.npy"):
            if file not in self.files:
                self.files[file] = np.load(file, mmap_mode="r")
        arrays = list(self.files.values())
        ends = np.cumsum([len(a) for a in arrays])
        picked = []
        for place in self.rng.integers(ends[-1], size=n):
            which = int(np.searchsorted(ends, place, side="right"))
            picked.append(self.vary(np.asarray(arrays[which][place - ends[which]])))
        return torch.tensor(np.stack(picked))

    def vary(self, pair: np.ndarray) -> np.ndarray:
        """Mirror, play backwards, shift and color both clips of a pair alike."""
        rng = self.rng
        pair = pair[:, ::-1] if rng.random() < 0.5 else pair
        pair = pair[..., ::-1, :] if rng.random() < 0.5 else pair
        pair = np.roll(pair, rng.integers(-5, 6, 2), (2, 3))
        levels = 255 * (np.arange(256) / 255) ** np.exp(rng.normal(0, 0.15))
        return np.clip(levels + rng.normal(0, 6), 0, 255).astype(np.uint8)[pair]


def loss_of(model: nn.Module, head: nn.Module, pairs: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Class of the clip, fake above its own real, and which tokens the fault touched.

    Where the fault left the seen tubes alone, or the encoder wiped it out, the fake counts as real.
    """
    keep, n = draw_places(), len(pairs)
    pixels = patches(pairs.transpose(0, 1).flatten(0, 1), keep)  # all real ones, then all fake ones
    low, high = TOUCHED_LEVELS
    change = 255 * (pixels[n:] - pixels[:n]).abs().mean((3, 4, 5, 6))
    mask = ((change - low) / (high - low)).clamp(0, 1).flatten(1)
    tokens, logits = tokens_and_logits(model, pixels, keep)
    margin = logits[:, 1] - logits[:, 0]
    faulty = (mask.mean(1) / TOUCHED_SHARE).clamp(0, 1)
    measure = nn.functional.binary_cross_entropy_with_logits
    clip_loss = measure(margin, torch.cat([torch.zeros(n), faulty]) * 0.98 + 0.01)
    pair_loss = (faulty * nn.functional.softplus(margin[:n] - margin[n:])).mean()
    wanted = torch.cat([torch.zeros_like(mask), mask])
    token_loss = measure(head(tokens)[..., 0], wanted)
    return clip_loss + recipe.pair_loss * pair_loss + recipe.token_loss * token_loss


def validation_pairs(data: Path, split: str, each: int, seed: int) -> dict:
    """The same `each` pairs for every fault, of the persons of one split."""
    face_clips, pairs, numbers, people = FaceClips(Talking(data), split), [], [], []
    for fault in FAULTS:
        stream = iter(Pairs(face_clips, seed, fault))
        for _ in range(each):
            pair, number, person = next(stream)
            pairs.append(pair)
            numbers.append(number)
            people.append(person)
    return {"pairs": np.stack(pairs), "fault": np.array(numbers), "person": np.array(people)}


@torch.inference_mode()
def raw_scores(model: nn.Module, clips: np.ndarray, batch: int = 8) -> np.ndarray:
    """(n,) logit(fake) - logit(real) of (n, 16, 112, 112, 3) uint8 clips."""
    model.eval()
    every = torch.arange(GRID * GRID)
    parts = [
        tokens_and_logits(model, patches(torch.tensor(clips[i : i + batch]), every), every)[
            1
        ].numpy()
        for i in range(0, len(clips), batch)
    ]
    model.train()
    return np.concatenate([p[:, 1] - p[:, 0] for p in parts])


def auc_of(real: np.ndarray, fake: np.ndarray) -> float:
    """Area under the ROC curve of two arrays of scores; NaN if one is empty."""
    return auc(np.repeat([0, 1], [len(real), len(fake)]), np.r_[real, fake])


def by_fault(scores: np.ndarray, fault: np.ndarray) -> dict[str, float]:
    """(n, 2) scores of pairs: AUC over all, and of each fault against all real shots."""
    result = {"all": auc_of(scores[:, 0], scores[:, 1])}
    for number, name in enumerate(FAULTS):
        result[name] = auc_of(scores[:, 0], scores[fault == number, 1])
    return {name: round(value, 3) for name, value in result.items()}


def score_pairs(model: nn.Module, pairs: np.ndarray) -> np.ndarray:
    """(n, 2, 16, ...) pairs to (n, 2) raw scores."""
    return np.stack([raw_scores(model, pairs[:, 0]), raw_scores(model, pairs[:, 1])], 1)


class Trainer:
    """Everything that a stopped run needs to go on: weights, optimizer, average, time spent."""

    def __init__(self, run: Path, tubes: torch.Tensor, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.file = recipe, run / "state.pt"
        self.model, self.head = new_model(tubes), nn.Linear(WIDTH, 1)
        self.both = nn.ModuleDict({"model": self.model, "head": self.head})
        self.optimizer = _optimizer(self.both, recipe)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.spent, self.seed, self.steps = 0.0, recipe.seed, 0
        if self.file.exists():
            state = torch.load(self.file, weights_only=False)
            self.both.load_state_dict(state["both"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.average = state["average"]
            self.spent, self.seed = state["spent"], state["seed"] + 1

    def step(self, pairs: torch.Tensor) -> float:
        """One step of the optimizer and of the weight average; returns the loss."""
        _set_rate(self.optimizer, self.spent / (60 * self.recipe.minutes), self.recipe)
        loss = loss_of(self.model, self.head, pairs, self.recipe)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.both.parameters(), 1.0)
        self.optimizer.step()
        self.steps += 1
        keep = min(AVERAGE, self.steps / (self.steps + 10))
        for name, value in self.model.state_dict().items():
            self.average[name].mul_(keep).add_(value, alpha=1 - keep)
        return loss.item()

    def check(self, check: dict) -> None:
        """Log the averaged weights' AUC by fault on persons that training does not see; save."""
        subset = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        result = by_fault(score_pairs(self.model, check["pairs"]), check["fault"])
        self.model.load_state_dict(subset)
        log.info("validation %s", json.dumps(result))
        state = {"both": self.both.state_dict(), "optimizer": self.optimizer.state_dict()}
        state |= {"average": self.average, "spent": self.spent, "seed": self.seed}
        torch.save(state, self.file.with_suffix(".new"))
        self.file.with_suffix(".new").replace(self.file)


def train(data: Path, run: Path, recipe: Recipe, pairs: int) -> None:
    """Train for `recipe.minutes` in all, over any number of starts."""
    run.mkdir(parents=True, exist_ok=True)
    check_file = run / "validation.npz"
    if not check_file.exists():
        np.savez(check_file, **validation_pairs(data, "val", 8, 5))
    if not list((run / "bank").glob("*.npy")):
        make_pairs(data, run / "bank", pairs, recipe.seed)
    check = dict(np.load(check_file))
    trainer = Trainer(run, _tubes(Bank(run / "bank", recipe.seed)), recipe)
    bank = Bank(run / "bank", trainer.seed)  # another seed after each start: no draw is repeated
    start = time.monotonic() - trainer.spent
    checked, losses = trainer.spent, []
    while trainer.spent < 60 * recipe.minutes:
        losses.append(trainer.step(bank.batch(recipe.pairs)))
        trainer.spent = time.monotonic() - start
        if trainer.steps % 20 == 0:
            minutes = trainer.spent / 60
            log.info(f"{minutes:.1f} min step {trainer.steps} loss {np.mean(losses[-20:]):.3f}")
        if trainer.spent - checked > 60 * recipe.check_minutes:
            checked = trainer.spent
            trainer.check(check)
    trainer.check(check)


def _tubes(bank: Bank) -> torch.Tensor:
    """Normalized pixels of real shots, (n, 3, 2, 16, 16)."""
    every = torch.arange(GRID * GRID)
    return normalized(patches(bank.batch(16)[:, 0], every).flatten(0, 2))


def _optimizer(both: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; the whitened patch embedding moves a tenth as fast."""
    slow = [p for n, p in both.named_parameters() if "patch_embeddings" in n]
    rest = [p for n, p in both.named_parameters() if "patch_embeddings" not in n]
    groups = [
        {"params": p, "lr": rate, "base": rate}
        for p, rate in ((rest, recipe.rate), (slow, recipe.rate / 10))
    ]
    return torch.optim.AdamW(groups, weight_decay=recipe.decay, betas=(0.9, 0.98))


def _set_rate(optimizer: torch.optim.Optimizer, progress: float, recipe: Recipe) -> None:
    """Linear warm-up, cosine to a fiftieth."""
    rise = min(progress / recipe.warmup, 1.0)
    fall = 0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * min(progress, 1.0)))
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * max(rise, 0.02) * fall


def export(run: Path, folder: Path) -> None:
    """The averaged weights as bf16 safetensors with the transformers config."""
    state = torch.load(run / "state.pt", weights_only=False)
    model = empty_model()
    model.load_state_dict(state["average"])
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    write_card(folder, CARD)


def load(folder: Path) -> VideoMAEForVideoClassification:
    """A checkpoint folder as a float32 model."""
    return VideoMAEForVideoClassification.from_pretrained(folder, dtype=torch.float32)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("task", choices=("pairs", "train", "export"))
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--pairs", type=int, default=4000, help="how many to make, a bank")
    parser.add_argument("--seed", type=int, default=1, help="of a bank of pairs")
    parser.add_argument("--minutes", type=float, default=Recipe.minutes)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    if args.task == "train":
        train(args.first, args.second, Recipe(minutes=args.minutes), args.pairs)
    elif args.task == "pairs":
        make_pairs(args.first, args.second / "bank", args.pairs, args.seed)
    else:
        export(args.first, args.second)
