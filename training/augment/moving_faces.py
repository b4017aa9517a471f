"""How is a moving face warped, masked, tinted and softened, frame by frame?

The tools of `training.temporal.faults` and of the nuisances of `training.temporal.data`. Imports
media.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detectors.preprocess import resized
from media.mesh import BROWS, EYES, FEW_INNER, FEW_RIGID, LIPS_OUTER, LOWER_FACE

WARP_GRID = 20  # nodes a side of the coarse grid on which displacements are computed


@dataclass(frozen=True)
class FaceClip:
    """A stretch of one clip in its steady frame.

    Attributes:
        frames: (n, s, s, 3) uint8 RGB.
        landmarks: (n, 468, 2) float32, pixels of `frames`.
    """

    frames: np.ndarray
    landmarks: np.ndarray


def wander(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    """(n, k) float32 unit-variance noise over time, from trembling to drifting (AR(1))."""
    keep = rng.choice([0.0, 0.5, 0.8, 0.95])
    noise = rng.standard_normal((n, k))
    for t in range(1, n):
        noise[t] = keep * noise[t - 1] + np.sqrt(1 - keep**2) * noise[t]
    return noise.astype(np.float32)


def smooth_over_time(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing along axis 0 (frames), edges repeated; same shape, float32."""
    flat = values.reshape(len(values), -1).astype(np.float32)
    radius = int(np.ceil(2.5 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-3)) ** 2)
    padded = np.pad(flat, ((radius, radius), (0, 0)), mode="edge")
    rows = [sum(k * padded[t + i] for i, k in enumerate(kernel)) for t in range(len(flat))]
    return (np.stack(rows) / kernel.sum()).reshape(values.shape).astype(np.float32)


def polygon_mask(points: np.ndarray, side: int, feather_px: float) -> np.ndarray:
    """(side, side, 1) float32 0..1: the points' convex hull with a soft edge."""
    mask = np.zeros((side, side), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.float32)).astype(np.int32), 255)
    soft = cv2.GaussianBlur(mask, (0, 0), max(feather_px, 0.5))
    return (soft.astype(np.float32) / 255)[..., None]


def masks(
    rng: np.random.Generator, face_clip: FaceClip, indices: tuple[int, ...], tremble_px: float
) -> np.ndarray:
    """(n, s, s, 1) masks over the named landmarks: one scale and softness, trembling per frame."""
    n, side = len(face_clip.frames), face_clip.frames.shape[1]
    feather, scale = rng.uniform(1.5, 8), rng.uniform(0.85, 1.12)
    offsets = tremble_px * wander(rng, n, 2 * len(indices)).reshape(n, -1, 2)
    points = face_clip.landmarks[:, list(indices)]
    middle = points.mean(1, keepdims=True)
    points = middle + scale * (points - middle) + offsets
    return np.stack([polygon_mask(p, side, feather) for p in points])


def part_masks(rng: np.random.Generator, face_clip: FaceClip, tremble_px: float) -> np.ndarray:
    """Masks over a random part: mostly the inner face, sometimes its lower half or a detail."""
    part = rng.choice(4, p=[0.55, 0.2, 0.15, 0.1])
    return masks(
        rng, face_clip, (FEW_INNER, LOWER_FACE, LIPS_OUTER, EYES + BROWS)[part], tremble_px
    )


def blend(real: np.ndarray, fake: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(n, s, s, 3) uint8: `fake` where the mask is 1."""
    mixed = real.astype(np.float32) * (1 - mask) + fake.astype(np.float32) * mask
    return np.clip(mixed, 0, 255).astype(np.uint8)


def shift_field(image: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Sample the image at x + coarse(x); coarse: (g, g, 2) px on a regular grid."""
    side = image.shape[0]
    field = cv2.resize(coarse.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    xs, ys = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    return cv2.remap(
        image, xs + field[..., 0], ys + field[..., 1], cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )  # fmt: skip


def warp_to(image: np.ndarray, have: np.ndarray, want: np.ndarray, pinned: bool) -> np.ndarray:
    """Move the landmarks `have` of the image to `want`, smoothly in between (thin-plate spline).

    Args:
        image: (s, s, 3) uint8.
        have, want: (k, 2) pixels.
        pinned: keep the image's border where it is (a background that is glued).
    """
    side = image.shape[0]
    if pinned:
        ring = np.linspace(0, side, 4)[:-1]
        border = [(x, 0) for x in ring] + [(side, y) for y in ring]
        border += [(side - x, side) for x in ring] + [(0, side - y) for y in ring]
        have, want = np.vstack([have, border]), np.vstack([want, border])
    scaled = want / side
    system = _plate(scaled, scaled)
    system[np.diag_indices(len(want))] += 1e-3  # tolerance: mesh landmarks tremble
    line = np.hstack([np.ones((len(want), 1)), scaled])
    full = np.block([[system, line], [line.T, np.zeros((3, 3))]])
    weights = np.linalg.solve(full, np.vstack([have - want, np.zeros((3, 2))]))
    nodes = (np.arange(WARP_GRID) + 0.5) / WARP_GRID
    at = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2)
    field = np.hstack([_plate(at, scaled), np.ones((len(at), 1)), at]) @ weights
    return shift_field(image, field.reshape(WARP_GRID, WARP_GRID, 2))


def _plate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The thin-plate kernel r² log r between two point sets."""
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return 0.5 * squared * np.log(squared + 1e-9)


def similarity(have: np.ndarray, want: np.ndarray) -> np.ndarray:
    """The (2, 3) similarity that takes points `have` to `want` best (least squares)."""
    a, b = have - have.mean(0), want - want.mean(0)
    turn = (a * b).sum(), (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()
    cos, sin = np.array(turn) / max((a**2).sum(), 1e-6)
    rotation = np.array([[cos, -sin], [sin, cos]])
    return np.hstack([rotation, (want.mean(0) - rotation @ have.mean(0))[:, None]])


def move_rigidly(image: np.ndarray, have: np.ndarray, want: np.ndarray) -> np.ndarray:
    """The image moved so that its head lies where another frame's head lies."""
    matrix = similarity(have[list(FEW_RIGID)], want[list(FEW_RIGID)])
    side = image.shape[0]
    return cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101)


def low_pass(frames: np.ndarray, share: float) -> np.ndarray:
    """Down to `share` of the side and up again, frame by frame."""
    side = frames.shape[1]
    small = max(int(side * share), 8)
    return resized(resized(frames, small), side, cv2.INTER_CUBIC)


def sharpen(frames: np.ndarray, amount: float) -> np.ndarray:
    """Unsharp masking, frame by frame."""
    return np.stack([
        cv2.addWeighted(f, 1 + amount, cv2.GaussianBlur(f, (0, 0), 1.5), -amount, 0) for f in frames
    ])  # fmt: skip


def tint(rng: np.random.Generator, frames: np.ndarray, amount: float, flicker: float) -> np.ndarray:
    """Color gain and offset: one constant error plus one that wanders over time; float32."""
    n = len(frames)
    gain = rng.normal(0, 0.06, 3) * amount + 0.03 * flicker * wander(rng, n, 3)
    offset = rng.normal(0, 7, 3) * amount + 4 * flicker * wander(rng, n, 3)
    return frames.astype(np.float32) * (1 + gain[:, None, None]) + offset[:, None, None]


def match_color(fake: np.ndarray, real: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Give `fake` the color mean and spread of `real` under the mask, frame by frame; float32."""
    fake, real = fake.astype(np.float32), real.astype(np.float32)
    weight = mask / np.maximum(mask.sum((1, 2), keepdims=True), 1)
    means = [(x * weight).sum((1, 2), keepdims=True) for x in (fake, real)]
    spreads = [
        np.sqrt((((x - m) ** 2) * weight).sum((1, 2), keepdims=True) + 1)
        for x, m in zip((fake, real), means, strict=True)
    ]
    return (fake - means[0]) * np.clip(spreads[1] / spreads[0], 0.6, 1.6) + means[1]


def random_fields(rng: np.random.Generator, n: int, nodes: int, sigma_px: float) -> np.ndarray:
    """(n, nodes, nodes, 2) displacements that wander over time, of `sigma_px` each."""
    return sigma_px * wander(rng, n, nodes * nodes * 2).reshape(n, nodes, nodes, 2)
