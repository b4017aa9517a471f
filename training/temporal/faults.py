"""Which self-made faults teach what fakes do over time?

Each fault takes a real shot in its steady frame (`align.steady`) and returns it with the face
altered the way a family of tools alters it: swappers, lip-sync, talking heads, re-rendering. Half
are faint. Nothing is trained or saved here. Imports media and
`training.augment.moving_faces`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from media.mesh import EYES, FEW_INNER, FEW_OF_NOSE, LIPS_OUTER, LOWER_FACE, OVAL, SPARSE
from training.augment.moving_faces import (
    FaceClip,
    blend,
    low_pass,
    masks,
    match_color,
    move_rigidly,
    part_masks,
    polygon_mask,
    random_fields,
    sharpen,
    shift_field,
    smooth_over_time,
    tint,
    wander,
    warp_to,
)

LIP_SYNC_PX = 96  # Wav2Lip renders the whole face at 96 pixels (Prajwal et al. 2020)
FACE_SHARE = 0.8  # a face is about this share of the steady crop's side


@dataclass(frozen=True)
class Sources:
    """What a fault may draw from besides its own shot: same person elsewhere, somebody else."""

    same: FaceClip
    other: FaceClip


Fault = Callable[[np.random.Generator, FaceClip, Sources, float], np.ndarray]


def flicker_blend(
    rng: np.random.Generator, face_clip: FaceClip, sources: Sources, strength: float
) -> np.ndarray:
    """Self-blend (SBI, arXiv:2204.08376) whose mask, color and warp flicker over time."""
    fake = face_clip.frames
    if rng.random() < 0.6:
        share = rng.uniform(0.45, 0.9)
        fake = low_pass(fake, share) if rng.random() < 0.6 else sharpen(fake, rng.uniform(0.2, 0.8))
    if rng.random() < 0.7:
        fields = random_fields(rng, len(fake), 4, 1.2 * strength)
        fake = np.stack([shift_field(f, d) for f, d in zip(fake, fields, strict=True)])
    mask = part_masks(rng, face_clip, 2.5 * strength)
    return blend(
        face_clip.frames, tint(rng, fake, rng.uniform(0, 1) * strength, 1.3 * strength), mask
    )


def face_swap(
    rng: np.random.Generator, face_clip: FaceClip, sources: Sources, strength: float
) -> np.ndarray:
    """Another person's inner face, warped on frame by frame with its own trembling alignment."""
    donor = sources.other if rng.random() < 0.75 else sources.same
    n = len(face_clip.frames)
    still = rng.random() < 0.25  # an identity photo instead of a moving donor
    pick = np.full(n, rng.integers(n)) if still else np.arange(n)
    tremble = rng.uniform(0.1, 1.2) * strength
    drift = tremble * wander(rng, n, 2)[:, None] + 0.4 * tremble * wander(
        rng, n, 2 * len(SPARSE)
    ).reshape(n, -1, 2)
    want = smooth_over_time(face_clip.landmarks[:, list(SPARSE)], rng.uniform(0.3, 1.5)) + drift
    fake = np.stack([
        warp_to(donor.frames[i], donor.landmarks[i][list(SPARSE)], w, pinned=False)
        for i, w in zip(pick, want, strict=True)
    ])  # fmt: skip
    if rng.random() < 0.7:
        fake = low_pass(fake, rng.uniform(0.4, 0.9))
    if rng.random() < 0.3:
        fake = sharpen(fake, rng.uniform(0.3, 1.0))
    mask = masks(rng, face_clip, FEW_INNER, 1.5 * strength)
    matched = match_color(fake, face_clip.frames, mask)
    mask = mask * rng.uniform(0.75, 1.0)
    return blend(face_clip.frames, tint(rng, matched, 0.5 * strength, 0.7 * strength), mask)


def lip_sync(
    rng: np.random.Generator, face_clip: FaceClip, sources: Sources, strength: float
) -> np.ndarray:
    """The lower face of another moment, at the tool's low resolution, pasted on frame by frame."""
    donor = sources.same
    mesh_warp = rng.random() < 0.4
    moved = []
    for i, want in enumerate(face_clip.landmarks):
        have = donor.landmarks[i]
        if mesh_warp:  # a generator that keeps the jaw line: only the inside changes
            points = list(OVAL + EYES + FEW_OF_NOSE)
            moved.append(warp_to(donor.frames[i], have[points], want[points], pinned=False))
        else:
            moved.append(move_rigidly(donor.frames[i], have, want))
    fake = np.stack(moved)
    if rng.random() < 0.8:
        px = LIP_SYNC_PX * rng.uniform(0.7, 1.6)
        fake = low_pass(fake, min(px / (FACE_SHARE * fake.shape[1]), 1.0) * rng.uniform(0.6, 1))
    if rng.random() < 0.3:
        fake = sharpen(fake, rng.uniform(0.2, 0.8))
    if rng.random() < 0.35:
        mask = _box_masks(rng, face_clip, 1.5 * strength)
    else:
        part = LOWER_FACE if rng.random() < 0.7 else LIPS_OUTER
        mask = masks(rng, face_clip, part, 1.2 * strength)
    matched = match_color(fake, face_clip.frames, mask) if rng.random() < 0.7 else fake
    return blend(face_clip.frames, tint(rng, matched, 0.4 * strength, 0.5 * strength), mask)


def _box_masks(rng: np.random.Generator, face_clip: FaceClip, tremble_px: float) -> np.ndarray:
    """Rectangles over the lower face with an edge from hard to soft."""
    n, side = len(face_clip.frames), face_clip.frames.shape[1]
    result = np.zeros((n, side, side, 1), np.float32)
    feather = rng.uniform(0.5, 6)
    shake = tremble_px * wander(rng, n, 4)
    for i, points in enumerate(face_clip.landmarks[:, list(LOWER_FACE)]):
        low, high = points.min(0) + shake[i, :2], points.max(0) + shake[i, 2:]
        corners = np.array([[low[0], low[1]], [high[0], low[1]], high, [low[0], high[1]]])
        result[i] = polygon_mask(corners, side, feather)
    return result


def held_face(
    rng: np.random.Generator, face_clip: FaceClip, sources: Sources, strength: float
) -> np.ndarray:
    """The face alone is frozen, repeated, delayed or mixed with its neighbors in time."""
    n = len(face_clip.frames)
    kind = rng.integers(4)
    if kind == 0:  # every second or third image of the face is new
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
    fake = face_clip.frames[take]
    if rigid:
        places = zip(fake, face_clip.landmarks[take], face_clip.landmarks, strict=True)
        fake = np.stack([move_rigidly(frame, have, want) for frame, have, want in places])
    return blend(
        face_clip.frames, fake, part_masks(rng, face_clip, 0.5 * strength) * min(1, 0.5 + strength)
    )


def trembling_warp(
    rng: np.random.Generator, face_clip: FaceClip, sources: Sources, strength: float
) -> np.ndarray:
    """The face's shape trembles or swims, while the head and the background do not."""
    fields = random_fields(
        rng, len(face_clip.frames), rng.integers(3, 9), rng.uniform(0.8, 2.2) * strength
    )
    fake = np.stack([shift_field(f, d) for f, d in zip(face_clip.frames, fields, strict=True)])
    if rng.random() < 0.3:
        fake = low_pass(fake, rng.uniform(0.5, 0.9))
    return blend(face_clip.frames, fake, part_masks(rng, face_clip, 0.0))


def temporal_smear(
    rng: np.random.Generator, face_clip: FaceClip, sources: Sources, strength: float
) -> np.ndarray:
    """The face is averaged over time in the head's own frame, as over-smooth generators do."""
    middle = face_clip.landmarks.mean(0)
    still = np.stack([
        move_rigidly(f, p, middle)
        for f, p in zip(face_clip.frames, face_clip.landmarks, strict=True)
    ])  # fmt: skip
    smeared = smooth_over_time(still, rng.uniform(0.8, 4) * (0.4 + strength)).astype(np.uint8)
    back = np.stack([
        move_rigidly(f, middle, p) for f, p in zip(smeared, face_clip.landmarks, strict=True)
    ])  # fmt: skip
    if rng.random() < 0.4:
        back = sharpen(back, rng.uniform(0.3, 1.0))
    return blend(face_clip.frames, back, part_masks(rng, face_clip, 0.5 * strength))


def sticking_texture(
    rng: np.random.Generator, face_clip: FaceClip, sources: Sources, strength: float
) -> np.ndarray:
    """Fine texture stays where it was on the screen or on the head, the coarse face moves on."""
    sigma, keep = rng.uniform(1.5, 4), rng.integers(len(face_clip.frames))
    coarse = np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in face_clip.frames]).astype(
        np.float32
    )
    fine = face_clip.frames[keep].astype(np.float32) - coarse[keep]
    follow = rng.random() < 0.5
    stuck = np.stack([
        move_rigidly(fine, face_clip.landmarks[keep], p) if follow else fine
        for p in face_clip.landmarks
    ])  # fmt: skip
    detail = face_clip.frames.astype(np.float32) - coarse
    fake = coarse + detail * (1 - strength) + stuck * strength * rng.uniform(0.7, 1.2)
    return blend(face_clip.frames, np.clip(fake, 0, 255), part_masks(rng, face_clip, 0.0))


def talking_head(
    rng: np.random.Generator, face_clip: FaceClip, sources: Sources, strength: float
) -> np.ndarray:
    """One image animated by landmark motion: its own clip's or somebody else's."""
    n = len(face_clip.frames)
    key = rng.integers(n)
    own_motion = rng.random() < 0.6
    driver = face_clip if own_motion else (sources.same if rng.random() < 0.4 else sources.other)
    track = smooth_over_time(driver.landmarks[:, list(SPARSE)], rng.uniform(0.6, 2.5))
    have = face_clip.landmarks[key][list(SPARSE)]
    want = have + (track - track[key]) * rng.uniform(0.7, 1.1)
    pinned, swim = rng.random() < 0.6, random_fields(rng, n, 5, rng.uniform(0, 0.8))
    swim = smooth_over_time(swim, rng.uniform(0.5, 2))
    fake = np.stack([
        shift_field(warp_to(face_clip.frames[key], have, w, pinned), s)
        for w, s in zip(want, swim, strict=True)
    ])  # fmt: skip
    if own_motion and rng.random() < 0.7:  # a painted mouth: right shape, too little detail
        lips = FaceClip(fake, face_clip.landmarks)
        mouth = low_pass(face_clip.frames, rng.uniform(0.2, 0.5))
        fake = blend(fake, mouth, masks(rng, lips, LIPS_OUTER, 0.4))
    if rng.random() < 0.5:  # many tools are as sharp as a film
        fake = low_pass(fake, rng.uniform(0.45, 1.0))
    if rng.random() < 0.5:
        fake = sharpen(fake, rng.uniform(0.2, 1.0))
    if rng.random() < 0.3:  # pasted back into the moving image
        return blend(face_clip.frames, fake, masks(rng, face_clip, OVAL, 0.3))
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
SHARES = (0.14, 0.2, 0.16, 0.08, 0.1, 0.07, 0.05, 0.2)  # how often training draws each


def draw_strength(rng: np.random.Generator) -> float:
    """0.25 to 1.3; half of the faults are faint (at most 0.5)."""
    return float(rng.uniform(0.25, 0.5) if rng.random() < 0.5 else rng.uniform(0.5, 1.3))
