"""How do the mouths of real speakers look after the wild has had them?

Random changes of mouth crops that keep the moment: place, size, light, resolution, JPEG, noise,
hands before the mouth, lost and repeated frames. Imports nothing of the project but the crop's
size.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.sync.network import CROP_PX
from media.degrade import recompress

ROTATION_RAD, ZOOM, SHIFT_PX, JITTER_PX = 0.14, 0.08, 5.0, 0.5


def disturbed_mouths(
    mouths: np.ndarray, rng: np.random.Generator
) -> tuple[Tensor, np.ndarray, float]:
    """One piece of mouths as a float tensor.

    Args:
        mouths: (n, 96, 96) uint8.
        rng: where chance comes from.

    Returns:
        (n, 88, 88) float32 0..255; (n,) which frame each of them shows; the zoom that was applied.
    """
    order = repeated(len(mouths), rng)
    frames = mouths[order]
    moved, zoom = _moved(torch.from_numpy(frames).float(), rng)
    if rng.random() < 0.15:  # neighboring frames melt, as in long exposure or strong compression
        share = rng.uniform(0.2, 0.5)
        moved = torch.cat([moved[:1], (1 - share) * moved[1:] + share * moved[:-1]])
    moved = _coarse(_lit(moved, rng), rng)
    if rng.random() < 0.4:
        moved = moved + rng.uniform(1, 8) * torch.randn(moved.shape)
    if rng.random() < 0.15:
        _cover(moved, rng)
    return moved.clamp(0, 255), order, zoom


def repeated(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) frame numbers: a lower frame rate, single lost frames, one frame late or early."""
    order = np.arange(n)
    chance = rng.random()
    if chance < 0.1:
        order = order // 2 * 2
    elif chance < 0.3:
        lost = rng.random(n) < rng.uniform(0.03, 0.2)
        lost[0] = False
        order = np.maximum.accumulate(np.where(lost, 0, order))
    if rng.random() < 0.2:
        order = order + int(rng.choice([-1, 1]))
    return np.clip(order, 0, n - 1)


def _moved(frames: Tensor, rng: np.random.Generator) -> tuple[Tensor, float]:
    """Turn, zoom, shift, tremble and mirror, and cut to 88 pixels."""
    n = len(frames)
    zoom = float(rng.uniform(1 - ZOOM, 1 + ZOOM))
    angle = rng.uniform(-ROTATION_RAD, ROTATION_RAD)
    scale = CROP_PX / frames.shape[-1] / zoom
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    mirror = rng.choice([-1.0, 1.0])
    shift = rng.uniform(-SHIFT_PX, SHIFT_PX, 2) + rng.normal(0, JITTER_PX, (n, 2))
    matrix = np.zeros((n, 2, 3), np.float32)
    matrix[:, 0, :2], matrix[:, 1, :2] = (mirror * cos, -sin), (mirror * sin, cos)
    matrix[:, :, 2] = shift * 2 / frames.shape[-1]
    field = F.affine_grid(torch.from_numpy(matrix), [n, 1, CROP_PX, CROP_PX], align_corners=False)
    cut = F.grid_sample(frames[:, None], field, padding_mode="reflection", align_corners=False)
    return cut[:, 0], zoom


def _lit(frames: Tensor, rng: np.random.Generator) -> Tensor:
    """Gamma, contrast, brightness and a light from one side."""
    frames = 255 * (frames / 255).clamp(0, 1) ** float(np.exp(rng.uniform(-0.5, 0.5)))
    ramp = torch.linspace(-1, 1, CROP_PX) * float(rng.uniform(-0.3, 0.3))
    ramp = ramp[None, :] if rng.random() < 0.5 else ramp[:, None]
    return frames * (1 + ramp) * float(rng.uniform(0.6, 1.2)) + float(rng.uniform(-20, 20))


def _coarse(frames: Tensor, rng: np.random.Generator) -> Tensor:
    """Seen from afar (14 to 60 pixels across) and compressed."""
    side = int(rng.integers(14, 61)) if rng.random() < 0.5 else CROP_PX
    if side < CROP_PX:
        frames = F.interpolate(frames[:, None], (side, side), mode="area")[:, 0]
    if rng.random() < 0.3:
        frames = _jpeg(frames, int(rng.integers(15, 80)))
    if side < CROP_PX:
        size = (CROP_PX, CROP_PX)
        frames = F.interpolate(frames[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    return frames


def _jpeg(frames: Tensor, quality: int) -> Tensor:
    images = frames.clamp(0, 255).byte().numpy()
    return torch.from_numpy(np.stack([recompress(image, quality) for image in images])).float()


def _cover(frames: Tensor, rng: np.random.Generator) -> None:
    """A plain patch over a part of the crop (hand, microphone, screen text)."""
    height, width = rng.integers(10, 40, 2)
    top, left = rng.integers(0, CROP_PX - height), rng.integers(0, CROP_PX - width)
    frames[:, top : top + height, left : left + width] = float(rng.uniform(0, 255))
