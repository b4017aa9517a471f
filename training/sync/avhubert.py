"""How is a tiny AV-HuBERT made whose way through the app is proved on real speech?

`python -m training.sync.avhubert DATA OUT` (DATA: the folder of `training.data.talking`) trains the
encoder of `detectors.sync.avhubert` on real speech, lips alone against voice alone, and writes
OUT/checkpoint in the layout of enactic/japanese-avhubert-base and OUT/figures.json: clips in step
against the same clips with their voice moved, on people that were not trained on. It is no
competitor of the published weights. Imports detectors.sync, evaluation and its neighbors.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from detectors.sync.avhubert import AVHubert, Shape
from detectors.sync.network import CROP_PX
from detectors.sync.offset import compare
from detectors.sync.towers import LIP_MEAN, LIP_STD, AVHubertTowers, audio_rows
from evaluation.metrics import auc
from media import align
from media.rates import AUDIO_HZ, MOTION_HZ
from training.data.talking_people import person_by_name
from training.sync.data import NEAREST_S, Talk

log = logging.getLogger(__name__)

SHAPE = Shape(
    width=128, layers=2, heads=2, inner=256, stem=8, positions=(128, 16),
    concatenates=True, prelu=True, norm_first=True,
)  # fmt: skip
FRAMES = 20  # of one training window; the short clips have 29
APART = 8  # frames by which both windows of a pair may lie apart, so that edges tell no time
CLIPS = 12  # in one batch
SHARPNESS = 0.07  # temperature of the contrastive loss (van den Oord et al. 2018)
RATE, DECAY = 1e-3, 0.05
HELD_OUT = 3  # every third English-speaking person is tested on
TEST_FRAMES = 75  # 3 s
MOVED = (15, 40)  # frames by which a tested voice is moved, 0.6 to 1.6 s
SAMPLES = AUDIO_HZ // MOTION_HZ


@dataclass(frozen=True)
class Spoken:
    """One clip on the grid of 25 Hz.

    Attributes:
        person: who speaks, "ar" for all short clips.
        mouths: (n, 96, 96) uint8.
        samples: (n x 640,) float32, 16 kHz, of the same stretch.
        speech: (n,) bool.
    """

    person: str
    mouths: np.ndarray
    samples: np.ndarray
    speech: np.ndarray


def read_clips(data: Path) -> list[Spoken]:
    """All stretches, long enough for a window, that show a face throughout."""
    talk, result = Talk(data), []
    images = {s: np.load(data / f"{s}_mouth.npy", mmap_mode="r") for s in talk.frames}
    for _, row in talk.index.iterrows():
        times_s, good = talk.times(row)
        audio, part = talk.audio(row), str(row["set"])
        n = min(int(np.nanmax(times_s) * MOTION_HZ), len(audio) // SAMPLES)
        speech = np.asarray(talk.speech(audio)[: n * SAMPLES].reshape(n, SAMPLES).any(1))
        person = "ar" if part == "ar" else person_by_name(str(row["clip"]))
        for first, index in _runs(times_s, good, n):
            stop = first + len(index)
            mouths = np.array(images[part][row["first"] + index])
            samples = audio[first * SAMPLES : stop * SAMPLES]
            result.append(Spoken(person, mouths, samples, speech[first:stop]))
    return result


def _runs(times_s: np.ndarray, good: np.ndarray, n: int) -> list[tuple[int, np.ndarray]]:
    """First tick and frames of each unbroken run of the ``n`` ticks of 25 Hz."""
    where = np.flatnonzero(good)
    if not len(where):
        return []
    moments = np.arange(n) / MOTION_HZ
    nearest = where[np.abs(times_s[where][None] - moments[:, None]).argmin(1)]
    near = np.abs(times_s[nearest] - moments) < NEAREST_S
    edges = np.flatnonzero(np.diff(np.concatenate([[False], near, [False]]).astype(int)))
    runs = zip(edges[::2], edges[1::2], strict=True)
    return [(int(a), nearest[a:b]) for a, b in runs if b - a >= FRAMES]


def split(clips: Sequence[Spoken]) -> tuple[list[Spoken], list[Spoken]]:
    """Clips to train on, and clips of other people to test on."""
    people = sorted({clip.person for clip in clips} - {"ar"})
    held_out = set(people[HELD_OUT - 1 :: HELD_OUT])
    trained = [clip for clip in clips if clip.person not in held_out]
    return trained, [clip for clip in clips if clip.person in held_out]


@dataclass(frozen=True)
class Batch:
    """Windows of lips and of voice, and where they show the same moment.

    Attributes:
        lips: (b, n, 88, 88) float32, normalized.
        audio: (b, n, 104) float32, normalized.
        lips_at, audio_at: (b,) first frame of each window within its clip.
    """

    lips: Tensor
    audio: Tensor
    lips_at: np.ndarray
    audio_at: np.ndarray


def make_batch(
    clips: Sequence[Spoken], rows: Sequence[np.ndarray], rng: np.random.Generator
) -> Batch:
    """Draw windows from different clips; longer clips are drawn more often.

    Args:
        clips: to draw from.
        rows: (n, 104) audio of each clip (`towers.audio_rows`).
        rng: draws clips, places, mirror and crop.
    """
    lengths = np.array([len(clip.mouths) for clip in clips], float)
    chosen = rng.choice(len(clips), min(CLIPS, len(clips)), False, lengths / lengths.sum())
    lips, audio, starts = [], [], []
    for index in chosen:
        spare = len(clips[index].mouths) - FRAMES
        first = int(rng.integers(spare + 1))
        second = int(np.clip(first + rng.integers(-APART, APART + 1), 0, spare))
        lips.append(_jittered(clips[index].mouths[first : first + FRAMES], rng))
        audio.append(rows[index][second : second + FRAMES])
        starts.append((first, second))
    at = np.array(starts)
    return Batch(
        torch.from_numpy(np.stack(lips)), torch.from_numpy(np.stack(audio)), at[:, 0], at[:, 1]
    )


def _jittered(mouths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An 88-pixel crop at a random place, mirrored half of the time, in another light."""
    y, x = rng.integers(0, align.MOUTH_PX - CROP_PX + 1, 2)
    crop = mouths[:, y : y + CROP_PX, x : x + CROP_PX].astype(np.float32) / 255
    crop = crop[..., ::-1] if rng.random() < 0.5 else crop
    crop = (crop - crop.mean()) * rng.uniform(0.8, 1.2) + crop.mean() + rng.uniform(-0.1, 0.1)
    return np.ascontiguousarray((crop - LIP_MEAN) / LIP_STD, np.float32)


def contrastive_loss(network: AVHubert, batch: Batch) -> Tensor:
    """Which frame of audio, of all in the batch, belongs to these lips? And the other way round."""
    observed = F.normalize(network(lips=batch.lips), dim=-1)
    speech = F.normalize(network(audio=batch.audio), dim=-1)
    b, n, width = observed.shape
    logits = observed.reshape(-1, width) @ speech.reshape(-1, width).T / SHARPNESS
    moments = np.arange(n)[None]
    lag = batch.lips_at - batch.audio_at
    partner = moments + lag[:, None]  # (b, n): which frame of the audio window is the same moment
    inside = torch.from_numpy((partner >= 0) & (partner < n)).flatten()
    target = torch.from_numpy(partner + n * np.arange(b)[:, None]).flatten()
    lips, audio = torch.nonzero(inside)[:, 0], target[inside]
    return F.cross_entropy(logits[lips], audio) + F.cross_entropy(logits.T[audio], lips)


def train(clips: Sequence[Spoken], minutes: float, seed: int = 0) -> tuple[AVHubert, int]:
    """Train for so long; returns the network and the number of steps."""
    torch.manual_seed(seed)
    network, rng = AVHubert(SHAPE), np.random.default_rng(seed)
    rows = [audio_rows(clip.samples)[: len(clip.mouths)] for clip in clips]
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    stop, step = time.monotonic() + 60 * minutes, 0
    begun = time.monotonic()
    while time.monotonic() < stop:
        done = (time.monotonic() - begun) / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50, 2 * (1 - done) + 0.02)
        loss = contrastive_loss(network, make_batch(clips, rows, rng))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 25 == 0:
            log.info("step %d, loss %.3f", step, loss.item() / 2)
    return network.eval(), step


def measure(network: AVHubert, clips: Sequence[Spoken], seed: int = 0) -> dict[str, float]:
    """AUC of 3 s in step against the same 3 s with the voice moved within its clip."""
    towers, rng = AVHubertTowers(network), np.random.default_rng(seed)
    labels, raws = [], []
    for clip in clips:
        audio, lips = towers.embed_audio(clip.samples), towers.embed_mouths(clip.mouths)
        for start in range(0, len(lips) - TEST_FRAMES + 1, TEST_FRAMES):
            part = slice(start, start + TEST_FRAMES)
            lag = int(rng.integers(*MOVED)) * int(rng.choice([-1, 1]))
            for label, moved in ((0, audio), (1, np.roll(audio, lag, 0))):
                speech = np.roll(clip.speech, lag)[part] if label else clip.speech[part]
                result = compare(lips[part], moved[part], speech)
                if result is not None:
                    labels.append(label)
                    raws.append(towers.judge(result.measures)[0])
    people = len({clip.person for clip in clips})
    return {"auc": auc(np.array(labels), np.array(raws)), "windows": len(labels), "people": people}


def save(network: AVHubert, folder: Path) -> None:
    """Write the encoder in the layout of transformers' HuBERT, its weight norm included."""
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    at = "encoder.pos_conv_embed.conv."
    weight = tensors.pop(at + "weight")
    tensors[at + "parametrizations.weight.original0"] = weight.norm(dim=(0, 1), keepdim=True)
    tensors[at + "parametrizations.weight.original1"] = weight
    config = {
        "model_type": "avhubert",
        "architectures": ["AVHubertModel"],
        "encoder_attention_heads": SHAPE.heads,
        "do_stable_layer_norm": True,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=25.0, help="of training")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    trained, tested = split(read_clips(args.data))
    log.info("%d clips to train on, %d to test on", len(trained), len(tested))
    network, steps = train(trained, args.minutes)
    save(network, args.out / "checkpoint")
    figures = measure(network, tested) | {"steps": steps}
    (args.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    log.info("%s", figures)


if __name__ == "__main__":
    main()
