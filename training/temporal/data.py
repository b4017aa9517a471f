"""How do talking clips become pairs of a real and a faulty shot that left through the same encoder?

`Pairs` draws a real shot of a person of one split, lets one fault of `training.temporal.faults`
alter it, and sends both through one `Nuisance`: the same camera, light, frame rate, blur, noise and
H.264. What differs between the two is the fault. Imports `media`, `training.data.talking` and
`training.temporal.faults`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from detectors.preprocess import resized
from media import align
from media.degrade import through_h264
from media.rates import MOTION_HZ
from training.augment import moving_faces as moving
from training.augment.moving_faces import FaceClip
from training.data.talking import Talking
from training.temporal import faults
from training.temporal.faults import Sources

CANVAS_PX = 144  # side of the steady crop in which faults are made
OUT_PX = 112
FRAMES = 16
LEAD = (
    2  # frames that are encoded before the pass, so that it does not always begin with a key frame
)
CLEAN_SHARE = 0.3  # shots that are only encoded, lightly: a start that can be learned from
MATCHED_SHARE = 0.75  # pairs whose sharper shot is blurred until softness tells nothing
MOTION_LIMIT = 0.35  # a head that moves by more than this share of the canvas leaves the wide crop


def indices_at_rate(times_s: np.ndarray, start_s: float, n: int) -> np.ndarray | None:
    """The nearest frames to n moments at 25 Hz from `start_s`; None when the clip is too short."""
    wanted = start_s + np.arange(n) / MOTION_HZ
    if wanted[-1] > times_s[-1] + 0.5 / MOTION_HZ:
        return None
    return np.abs(times_s[None] - wanted[:, None]).argmin(1)


class FaceClips:
    """Real shots of the persons of one split.

    Args:
        talking: the prepared clips.
        split: train, val or test.
    """

    def __init__(self, talking: Talking, split: str) -> None:
        self.talking = talking
        index = talking.index[talking.index["split"] == split]
        self.clips = {
            part: {
                p: g.to_dict("records") for p, g in index[index["set"] == part].groupby("person")
            }
            for part in ("ar", "en")
        }
        self.persons = {part: sorted(clips) for part, clips in self.clips.items()}

    def draw(self, rng: np.random.Generator) -> tuple[FaceClip, dict]:
        """A shot of a random person and the clip it is from; each set equally often."""
        while True:
            part = ("ar", "en")[rng.integers(2)]
            sizes = np.array([len(self.clips[part][p]) for p in self.persons[part]]) ** 0.5
            clips = self.clips[part][str(rng.choice(self.persons[part], p=sizes / sizes.sum()))]
            clip = clips[rng.integers(len(clips))]
            face_clip = self.cut(clip, rng)
            if face_clip is not None:
                return face_clip, clip

    def cut(self, clip: dict, rng: np.random.Generator) -> FaceClip | None:
        """A random stretch of one clip; None when the face is not there throughout."""
        rows = slice(clip["first"], clip["first"] + clip["n"])
        part = clip["set"]
        times = self.talking.times_s[part][rows]
        spare = times[-1] - (FRAMES + LEAD - 1) / MOTION_HZ
        if not spare > -0.5 / MOTION_HZ:
            return None
        picked = indices_at_rate(times, rng.uniform(0, max(spare, 0)), FRAMES + LEAD)
        bad = self.talking.faded[part][rows] | ~self.talking.valid[part][rows]
        if picked is None or bad[picked].any():
            return None
        picked = picked + clip["first"]
        points = np.stack([self.talking.landmarks_frame[part][i] for i in picked])
        matrix = align.steady_matrix(points, CANVAS_PX)
        moved = np.stack([align.move(p, matrix) for p in points])
        if np.ptp(moved.mean(1), axis=0).max() > MOTION_LIMIT * CANVAS_PX:
            return None
        crops = np.stack([self.talking.wide[part][i] for i in picked])
        return FaceClip(align.steady(crops, points, CANVAS_PX), moved)

    def sources(self, rng: np.random.Generator, clip: dict) -> Sources:
        """Donors of a fault: the same clip at another moment, and another person."""
        same = None
        while same is None:
            same = self.cut(clip, rng)
        if rng.random() < 0.5:  # backwards: another mouth at every moment of a short clip
            same = FaceClip(same.frames[::-1], same.landmarks[::-1])
        while True:
            other, where = self.draw(rng)
            if where["clip"] != clip["clip"]:
                return Sources(same, other)


@dataclass(frozen=True)
class Nuisance:
    """What happens to real and fake alike between camera and detector; drawn once a pair."""

    seed: int

    def apply(self, frames: np.ndarray) -> np.ndarray:
        """(n, s, s, 3) uint8 to (16, 112, 112, 3) uint8, the same changes for the same seed."""
        rng = np.random.default_rng(self.seed)
        if rng.random() < CLEAN_SHARE:
            return _to_input(rng, through_h264(frames, int(rng.integers(18, 29)))[-FRAMES:])
        if rng.random() < 0.5:
            frames = frames[::-1]
        frames = _camera(rng, frames)
        frames = _frame_rate(rng, frames)
        frames = _light(rng, frames)
        frames = _filters(rng, frames)
        frames = _noise(rng, frames)
        for _ in range(rng.choice([0, 1, 2], p=[0.1, 0.7, 0.2])):
            frames = _transcode(rng, frames)
        start = rng.integers(len(frames) - FRAMES + 1)
        return _to_input(rng, frames[start : start + FRAMES])


def _camera(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """A hand-held or panning camera: one similarity a frame, over the whole image."""
    if rng.random() < 0.4:
        return frames
    n, side = len(frames), frames.shape[1]
    amount = rng.uniform(0, 1) ** 2
    path = (
        np.cumsum(moving.wander(rng, n, 4), 0) if rng.random() < 0.5 else moving.wander(rng, n, 4)
    )
    path = moving.smooth_over_time(path, rng.uniform(0.3, 2)) * amount
    result = []
    for frame, (x, y, turn, zoom) in zip(frames, path, strict=True):
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), 0.5 * turn, 1 + 0.006 * zoom)
        matrix[:, 2] += 1.5 * x, 1.5 * y
        result.append(
            cv2.warpAffine(frame, matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101)
        )
    return np.stack(result)


def _frame_rate(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Whole images repeated or left out, as a change of frame rate or a bad line does."""
    n, kind = len(frames), rng.random()
    if kind < 0.7:
        return frames
    moments = np.arange(n)
    if kind < 0.85:  # recorded at a lower rate, shown at 25 Hz
        step = MOTION_HZ / rng.choice([10, 12.5, 15, 18, 20, 23.976, 24])
        moments = np.floor(np.floor(moments / step + rng.random()) * step)
    elif kind < 0.93:  # a stutter
        at, held = rng.integers(1, n - 1), rng.integers(1, 5)
        moments = np.where((moments > at) & (moments <= at + held), at, moments)
    else:  # blended by a converter
        mix = rng.uniform(0.2, 0.5)
        mixed = frames[:-1].astype(np.float32) * (1 - mix) + frames[1:] * np.float32(mix)
        return np.concatenate([frames[:1], mixed.astype(np.uint8)])
    return frames[np.clip(moments, 0, n - 1).astype(int)]


def _light(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Gamma, color cast, and brightness that flickers or drifts as lamps and exposure do."""
    gamma, cast = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.06, 3))
    level = np.float32(255) * np.linspace(0, 1, 256, dtype=np.float32) ** gamma
    table = np.clip(level[:, None] * cast + rng.normal(0, 8), 0, 255)
    frames = np.stack([table[:, c].astype(np.uint8)[frames[..., c]] for c in range(3)], -1)
    if rng.random() < 0.35:
        gain = 1 + rng.uniform(0, 0.05) * moving.wander(rng, len(frames), 1)
        frames = np.clip(frames * gain[:, :, None, None], 0, 255).astype(np.uint8)
    return frames


def _filters(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Defocus, sharpening, beauty filter, denoising over time: of whole images."""
    kind = rng.random()
    if kind < 0.12:
        return np.stack([cv2.GaussianBlur(f, (0, 0), rng.uniform(0.4, 1.8)) for f in frames])
    if kind < 0.3:
        return moving.sharpen(frames, rng.uniform(0.2, 1.2))
    if kind < 0.38:
        return np.stack([cv2.bilateralFilter(f, 5, 25, 3) for f in frames])
    if kind < 0.5:
        return moving.smooth_over_time(frames, rng.uniform(0.3, 0.7)).astype(np.uint8)
    if kind < 0.6:
        return moving.low_pass(frames, rng.uniform(0.4, 0.9))
    return frames


def _noise(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Sensor noise, new in every frame; sometimes a caption or a logo that stands still."""
    if rng.random() < 0.35:
        spread = rng.uniform(1, 8)
        noise = rng.standard_normal(frames.shape, dtype=np.float32) * spread
        frames = np.clip(frames + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.1:
        frames = frames.copy()
        side = frames.shape[1]
        top = int(rng.choice([rng.uniform(0, 0.1), rng.uniform(0.8, 0.95)]) * side)
        color = rng.integers(0, 256, 3)
        frames[:, top : top + int(rng.integers(6, 24))] = color.astype(np.uint8)
    return frames


def _transcode(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Resize and H.264 at CRF 18 to 38."""
    side = int(frames.shape[1] * rng.uniform(0.6, 1.5)) // 2 * 2
    method = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)[
        rng.integers(4)
    ]
    preset = str(rng.choice(["ultrafast", "superfast", "veryfast"]))
    return through_h264(resized(frames, side, method), int(rng.integers(18, 39)), preset)


def _to_input(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Crop jitter and mirror, the same for all frames, and the network's size."""
    side = frames.shape[1]
    scale = OUT_PX / side / rng.uniform(0.86, 1.02)
    angle = np.deg2rad(rng.normal(0, 4))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    rotation = np.array([[cos, sin], [-sin, cos]])
    if rng.random() < 0.5:
        rotation[0] *= -1
    center = side / 2 + rng.normal(0, 0.025 * side, 2)
    matrix = np.hstack([rotation, (OUT_PX / 2 - rotation @ center)[:, None]])
    return np.stack([align.cut(f, matrix, OUT_PX) for f in frames])


def equally_sharp(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both shots, the sharper one blurred as a whole to the other's sharpness.

    Warps and decoders soften a face; without this, "soft" would mean "fake", while the tools that
    people meet are often sharper than a phone.
    """
    if sharpness(a) < sharpness(b):
        second, first = equally_sharp(b, a)
        return first, second
    wanted, low, high = sharpness(b), 0.2, 3.0
    for _ in range(5):  # bisection; 0.1 px is fine enough
        sigma = (low + high) / 2
        low, high = (sigma, high) if sharpness(_blurred(a[::6], sigma)) > wanted else (low, sigma)
    return (_blurred(a, low), b) if low > 0.2 else (a, b)


def sharpness(frames: np.ndarray) -> float:
    """Median over a few frames of the Laplacian's variance."""
    few = frames[:: max(len(frames) // 3, 1)]
    return float(
        np.median(
            [cv2.Laplacian(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var() for f in few]
        )
    )


def _blurred(frames: np.ndarray, sigma: float) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in frames])


class Pairs(torch.utils.data.IterableDataset):
    """Endless pairs: (2, 16, 112, 112, 3) uint8 (real, fake), fault number, person."""

    def __init__(self, face_clips: FaceClips, seed: int, only: str | None = None) -> None:
        self.face_clips, self.seed, self.only = face_clips, seed, only

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        cv2.setNumThreads(1)
        while True:
            yield self.pair(rng)

    def pair(self, rng: np.random.Generator) -> tuple[np.ndarray, int, str]:
        """One pair."""
        face_clip, clip = self.face_clips.draw(rng)
        names = list(faults.FAULTS)
        number = (
            names.index(self.only) if self.only else int(rng.choice(len(names), p=faults.SHARES))
        )
        fault = faults.FAULTS[names[number]]
        sources = self.face_clips.sources(rng, clip)
        strength = faults.draw_strength(rng)
        fake = fault(rng, face_clip, sources, strength)
        real = face_clip.frames
        if rng.random() < MATCHED_SHARE:
            real, fake = equally_sharp(real, fake)
        nuisance = Nuisance(int(rng.integers(2**31)))
        return np.stack([nuisance.apply(real), nuisance.apply(fake)]), number, clip["person"]
