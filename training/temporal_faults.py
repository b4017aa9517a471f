"""Which self-made faults teach what fakes do over time?

Each fault takes a real shot in its steady frame (`align.steady`) and returns it with the face
altered the way a family of tools alters it: swappers, lip-sync, talking heads, re-rendering. Half
are faint. Nothing is trained or saved here. Imports numpy and OpenCV only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

# Sparse landmarks that carry a face's motion (indices into the 468-point mesh).
OVAL = (10, 297, 284, 389, 454, 361, 397, 379, 400, 152, 176, 150, 172, 132, 234, 162, 54, 67)
LIPS_OUTER = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91)
LIPS_INNER = (78, 81, 13, 311, 308, 402, 14, 178)
EYES = (33, 159, 133, 145, 362, 386, 263, 374)
BROWS = (70, 105, 107, 336, 334, 300)
NOSE = (1, 4, 98, 327, 6, 168)
SPARSE = OVAL + LIPS_OUTER + LIPS_INNER + EYES + BROWS + NOSE
RIGID = (33, 133, 362, 263, 168, 6, 1, 4, 234, 454)  # points that hardly follow expression
LOWER = (234, 132, 172, 150, 176, 152, 400, 379, 397, 361, 454, 4)
INNER = (70, 105, 334, 300, 454, 361, 397, 379, 152, 150, 172, 132, 234)
LIP_SYNC_PX = 96  # Wav2Lip renders the whole face at 96 pixels (Prajwal et al. 2020)
WARP_GRID = 20  # nodes a side of the coarse grid on which displacements are computed
ENHANCED_SHARE = 0.25  # of the swapped and lip-synced faces are drawn anew at the end
RESTORED_SHARE = 0.7  # of the animated pictures were drawn, as crisp as a generator draws them
FACE_SHARE = 0.8  # a face is about this share of the steady crop's side


@dataclass(frozen=True)
class Shot:
    """A stretch of one clip in its steady frame.

    Attributes:
        frames: (n, s, s, 3) uint8 RGB.
        landmarks: (n, 468, 2) float32, pixels of `frames`.
    """

    frames: np.ndarray
    landmarks: np.ndarray


Drawer = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Sources:
    """What a fault may draw from besides its own shot.

    Attributes:
        same, other: the same person elsewhere, somebody else.
        restore: draws one picture anew, slowly and as crisp as a generator would.
        enhance: draws one picture anew, fast enough for every frame.
    """

    same: Shot
    other: Shot
    restore: Drawer
    enhance: Drawer


Fault = Callable[[np.random.Generator, Shot, Sources, float], np.ndarray]


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
    rng: np.random.Generator, shot: Shot, indices: tuple[int, ...], tremble_px: float
) -> np.ndarray:
    """(n, s, s, 1) masks over the named landmarks: one scale and softness, trembling per frame."""
    n, side = len(shot.frames), shot.frames.shape[1]
    feather, scale = rng.uniform(1.5, 8), rng.uniform(0.85, 1.12)
    offsets = tremble_px * wander(rng, n, 2 * len(indices)).reshape(n, -1, 2)
    points = shot.landmarks[:, list(indices)]
    middle = points.mean(1, keepdims=True)
    points = middle + scale * (points - middle) + offsets
    return np.stack([polygon_mask(p, side, feather) for p in points])


def part_masks(rng: np.random.Generator, shot: Shot, tremble_px: float) -> np.ndarray:
    """Masks over a random part: mostly the inner face, sometimes its lower half or a detail."""
    part = rng.choice(4, p=[0.55, 0.2, 0.15, 0.1])
    return masks(rng, shot, (INNER, LOWER, LIPS_OUTER, EYES + BROWS)[part], tremble_px)


def blend(real: np.ndarray, fake: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(n, s, s, 3) uint8: `fake` where the mask is 1."""
    mixed = real.astype(np.float32) * (1 - mask) + fake.astype(np.float32) * mask
    return np.clip(mixed, 0, 255).astype(np.uint8)


def shift_field(picture: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Sample the picture at x + coarse(x); coarse: (g, g, 2) px on a regular grid."""
    side = picture.shape[0]
    field = cv2.resize(coarse.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    xs, ys = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    return cv2.remap(
        picture, xs + field[..., 0], ys + field[..., 1], cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )  # fmt: skip


def warp_to(picture: np.ndarray, have: np.ndarray, want: np.ndarray, pinned: bool) -> np.ndarray:
    """Move the landmarks `have` of the picture to `want`, smoothly in between (thin-plate spline).

    Args:
        picture: (s, s, 3) uint8.
        have, want: (k, 2) pixels.
        pinned: keep the picture's border where it is (a background that is glued).
    """
    side = picture.shape[0]
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
    return shift_field(picture, field.reshape(WARP_GRID, WARP_GRID, 2))


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


def move_rigidly(picture: np.ndarray, have: np.ndarray, want: np.ndarray) -> np.ndarray:
    """The picture moved so that its head lies where another frame's head lies."""
    matrix = similarity(have[list(RIGID)], want[list(RIGID)])
    side = picture.shape[0]
    return cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101)


def low_pass(frames: np.ndarray, share: float) -> np.ndarray:
    """Down to `share` of the side and up again, frame by frame."""
    side = frames.shape[1]
    small = max(int(side * share), 8)
    return np.stack([
        cv2.resize(cv2.resize(f, (small, small), interpolation=cv2.INTER_AREA), (side, side),
                   interpolation=cv2.INTER_CUBIC)
        for f in frames
    ])  # fmt: skip


def sharpen(frames: np.ndarray, amount: float) -> np.ndarray:
    """Unsharp masking, frame by frame."""
    return np.stack([
        cv2.addWeighted(f, 1 + amount, cv2.GaussianBlur(f, (0, 0), 1.5), -amount, 0) for f in frames
    ])  # fmt: skip


def enhanced(rng: np.random.Generator, frames: np.ndarray, sources: Sources) -> np.ndarray:
    """Every frame drawn anew by itself, as a face enhancer after another tool does it."""
    share = rng.uniform(0.3, 0.8)
    drawn = np.stack([sources.enhance(f, rng) for f in frames]).astype(np.float32)
    return np.clip(share * drawn + (1 - share) * frames, 0, 255).astype(np.uint8)


def tint(rng: np.random.Generator, frames: np.ndarray, amount: float, flicker: float) -> np.ndarray:
    """Colour gain and offset: one constant error plus one that wanders over time; float32."""
    n = len(frames)
    gain = rng.normal(0, 0.06, 3) * amount + 0.03 * flicker * wander(rng, n, 3)
    offset = rng.normal(0, 7, 3) * amount + 4 * flicker * wander(rng, n, 3)
    return frames.astype(np.float32) * (1 + gain[:, None, None]) + offset[:, None, None]


def match_colour(fake: np.ndarray, real: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Give `fake` the colour mean and spread of `real` under the mask, frame by frame; float32."""
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


def flicker_blend(
    rng: np.random.Generator, shot: Shot, sources: Sources, strength: float
) -> np.ndarray:
    """Self-blend (SBI, arXiv:2204.08376) whose mask, colour and warp flicker over time."""
    fake = shot.frames
    if rng.random() < 0.6:
        share = rng.uniform(0.45, 0.9)
        fake = low_pass(fake, share) if rng.random() < 0.6 else sharpen(fake, rng.uniform(0.2, 0.8))
    if rng.random() < 0.7:
        fields = random_fields(rng, len(fake), 4, 1.2 * strength)
        fake = np.stack([shift_field(f, d) for f, d in zip(fake, fields, strict=True)])
    mask = part_masks(rng, shot, 2.5 * strength)
    return blend(shot.frames, tint(rng, fake, rng.uniform(0, 1) * strength, 1.3 * strength), mask)


def face_swap(
    rng: np.random.Generator, shot: Shot, sources: Sources, strength: float
) -> np.ndarray:
    """Another person's inner face, warped on frame by frame with its own trembling alignment."""
    donor = sources.other if rng.random() < 0.75 else sources.same
    n = len(shot.frames)
    still = rng.random() < 0.25  # an identity photo instead of a moving donor
    pick = np.full(n, rng.integers(n)) if still else np.arange(n)
    tremble = rng.uniform(0.1, 1.2) * strength
    drift = tremble * wander(rng, n, 2)[:, None] + 0.4 * tremble * wander(
        rng, n, 2 * len(SPARSE)
    ).reshape(n, -1, 2)
    want = smooth_over_time(shot.landmarks[:, list(SPARSE)], rng.uniform(0.3, 1.5)) + drift
    fake = np.stack([
        warp_to(donor.frames[i], donor.landmarks[i][list(SPARSE)], w, pinned=False)
        for i, w in zip(pick, want, strict=True)
    ])  # fmt: skip
    if rng.random() < 0.7:
        fake = low_pass(fake, rng.uniform(0.4, 0.9))
    if rng.random() < ENHANCED_SHARE:
        fake = enhanced(rng, fake, sources)
    elif rng.random() < 0.3:
        fake = sharpen(fake, rng.uniform(0.3, 1.0))
    mask = masks(rng, shot, INNER, 1.5 * strength)
    matched = match_colour(fake, shot.frames, mask)
    mask = mask * rng.uniform(0.75, 1.0)
    return blend(shot.frames, tint(rng, matched, 0.5 * strength, 0.7 * strength), mask)


def lip_sync(rng: np.random.Generator, shot: Shot, sources: Sources, strength: float) -> np.ndarray:
    """The lower face of another moment, at the tool's low resolution, pasted on frame by frame."""
    donor = sources.same
    mesh_warp = rng.random() < 0.4
    moved = []
    for i, want in enumerate(shot.landmarks):
        have = donor.landmarks[i]
        if mesh_warp:  # a generator that keeps the jaw line: only the inside changes
            points = list(OVAL + EYES + NOSE)
            moved.append(warp_to(donor.frames[i], have[points], want[points], pinned=False))
        else:
            moved.append(move_rigidly(donor.frames[i], have, want))
    fake = np.stack(moved)
    if rng.random() < 0.8:
        px = LIP_SYNC_PX * rng.uniform(0.7, 1.6)
        fake = low_pass(fake, min(px / (FACE_SHARE * fake.shape[1]), 1.0) * rng.uniform(0.6, 1))
    if rng.random() < ENHANCED_SHARE:
        fake = enhanced(rng, fake, sources)
    elif rng.random() < 0.3:
        fake = sharpen(fake, rng.uniform(0.2, 0.8))
    if rng.random() < 0.35:
        mask = _box_masks(rng, shot, 1.5 * strength)
    else:
        part = LOWER if rng.random() < 0.7 else LIPS_OUTER
        mask = masks(rng, shot, part, 1.2 * strength)
    matched = match_colour(fake, shot.frames, mask) if rng.random() < 0.7 else fake
    return blend(shot.frames, tint(rng, matched, 0.4 * strength, 0.5 * strength), mask)


def _box_masks(rng: np.random.Generator, shot: Shot, tremble_px: float) -> np.ndarray:
    """Rectangles over the lower face with an edge from hard to soft."""
    n, side = len(shot.frames), shot.frames.shape[1]
    result = np.zeros((n, side, side, 1), np.float32)
    feather = rng.uniform(0.5, 6)
    shake = tremble_px * wander(rng, n, 4)
    for i, points in enumerate(shot.landmarks[:, list(LOWER)]):
        low, high = points.min(0) + shake[i, :2], points.max(0) + shake[i, 2:]
        corners = np.array([[low[0], low[1]], [high[0], low[1]], high, [low[0], high[1]]])
        result[i] = polygon_mask(corners, side, feather)
    return result


def held_face(
    rng: np.random.Generator, shot: Shot, sources: Sources, strength: float
) -> np.ndarray:
    """The face alone is frozen, repeated, delayed or mixed with its neighbours in time."""
    n = len(shot.frames)
    kind = rng.integers(4)
    if kind == 0:  # every second or third picture of the face is new
        step = rng.integers(2, 4)
        take = (np.arange(n) // step) * step
    elif kind == 1:  # frozen for a while
        start = rng.integers(0, n // 2)
        take = np.where(np.arange(n) >= start, start, np.arange(n))
    elif kind == 2:  # delayed against the head
        take = np.clip(np.arange(n) - rng.integers(2, 6), 0, None)
    else:  # order disturbed
        take = np.clip(np.arange(n) + rng.integers(-2, 3, n), 0, n - 1)
    rigid = rng.random() < 0.8
    fake = shot.frames[take]
    if rigid:
        places = zip(fake, shot.landmarks[take], shot.landmarks, strict=True)
        fake = np.stack([move_rigidly(frame, have, want) for frame, have, want in places])
    return blend(shot.frames, fake, part_masks(rng, shot, 0.5 * strength) * min(1, 0.5 + strength))


def trembling_warp(
    rng: np.random.Generator, shot: Shot, sources: Sources, strength: float
) -> np.ndarray:
    """The face's shape trembles or swims, while the head and the background do not."""
    fields = random_fields(
        rng, len(shot.frames), rng.integers(3, 9), rng.uniform(0.8, 2.2) * strength
    )
    fake = np.stack([shift_field(f, d) for f, d in zip(shot.frames, fields, strict=True)])
    if rng.random() < 0.3:
        fake = low_pass(fake, rng.uniform(0.5, 0.9))
    return blend(shot.frames, fake, part_masks(rng, shot, 0.0))


def temporal_smear(
    rng: np.random.Generator, shot: Shot, sources: Sources, strength: float
) -> np.ndarray:
    """The face is averaged over time in the head's own frame, as over-smooth generators do."""
    middle = shot.landmarks.mean(0)
    still = np.stack([
        move_rigidly(f, p, middle) for f, p in zip(shot.frames, shot.landmarks, strict=True)
    ])  # fmt: skip
    smeared = smooth_over_time(still, rng.uniform(0.8, 4) * (0.4 + strength)).astype(np.uint8)
    back = np.stack([
        move_rigidly(f, middle, p) for f, p in zip(smeared, shot.landmarks, strict=True)
    ])  # fmt: skip
    if rng.random() < 0.4:
        back = sharpen(back, rng.uniform(0.3, 1.0))
    return blend(shot.frames, back, part_masks(rng, shot, 0.5 * strength))


def sticking_texture(
    rng: np.random.Generator, shot: Shot, sources: Sources, strength: float
) -> np.ndarray:
    """Fine texture stays where it was on the screen or on the head, the coarse face moves on."""
    sigma, keep = rng.uniform(1.5, 4), rng.integers(len(shot.frames))
    coarse = np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in shot.frames]).astype(np.float32)
    fine = shot.frames[keep].astype(np.float32) - coarse[keep]
    follow = rng.random() < 0.5
    stuck = np.stack([
        move_rigidly(fine, shot.landmarks[keep], p) if follow else fine for p in shot.landmarks
    ])  # fmt: skip
    own = shot.frames.astype(np.float32) - coarse
    fake = coarse + own * (1 - strength) + stuck * strength * rng.uniform(0.7, 1.2)
    return blend(shot.frames, np.clip(fake, 0, 255), part_masks(rng, shot, 0.0))


def talking_head(
    rng: np.random.Generator, shot: Shot, sources: Sources, strength: float
) -> np.ndarray:
    """One picture, filmed or drawn, animated by its own clip's or somebody else's landmarks."""
    n = len(shot.frames)
    key = rng.integers(n)
    still, crisp = shot.frames[key], rng.random() < RESTORED_SHARE
    if crisp:
        still = sources.restore(still, rng)
    own_motion = rng.random() < 0.6
    driver = shot if own_motion else (sources.same if rng.random() < 0.4 else sources.other)
    track = smooth_over_time(driver.landmarks[:, list(SPARSE)], rng.uniform(0.6, 2.5))
    have = shot.landmarks[key][list(SPARSE)]
    want = have + (track - track[key]) * rng.uniform(0.7, 1.1)
    pinned, swim = rng.random() < 0.6, random_fields(rng, n, 5, rng.uniform(0, 0.8))
    swim = smooth_over_time(swim, rng.uniform(0.5, 2))
    fake = np.stack([
        shift_field(warp_to(still, have, w, pinned), s)
        for w, s in zip(want, swim, strict=True)
    ])  # fmt: skip
    if own_motion and rng.random() < 0.7:  # a painted mouth: right shape, too little detail
        lips = Shot(fake, shot.landmarks)
        mouth = low_pass(shot.frames, rng.uniform(0.2, 0.5))
        fake = blend(fake, mouth, masks(rng, lips, LIPS_OUTER, 0.4))
    if crisp and rng.random() < 0.5:
        fake = enhanced(rng, fake, sources)
    if not crisp and rng.random() < 0.5:
        fake = low_pass(fake, rng.uniform(0.45, 1.0))
    if not crisp and rng.random() < 0.5:
        fake = sharpen(fake, rng.uniform(0.2, 1.0))
    if rng.random() < 0.3:  # pasted back into the moving picture
        return blend(shot.frames, fake, masks(rng, shot, OVAL, 0.3))
    return fake


FAULTS: dict[str, Fault] = {
    "flicker_blend": flicker_blend,
    "face_swap": face_swap,
    "lip_sync": lip_sync,
    "held_face": held_face,
    "trembling_warp": trembling_warp,
    "temporal_smear": temporal_smear,
    "sticking_texture": sticking_texture,
    "talking_head": talking_head,
}
SHARES = (0.1, 0.2, 0.16, 0.06, 0.06, 0.05, 0.05, 0.32)  # how often training draws each


def draw_strength(rng: np.random.Generator) -> float:
    """0.25 to 1.3; half of the faults are faint (at most 0.5)."""
    return float(rng.uniform(0.25, 0.5) if rng.random() < 0.5 else rng.uniform(0.5, 1.3))
