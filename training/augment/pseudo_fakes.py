"""What do manipulations leave on a face, and how is that imitated on a real one?

A self-made fake is a product of three independent choices: a *content* (the face itself moved a
little, another person's face, another moment, an animated or liquified face), one or two
*artifacts* (what a decoder, an up-sampler or a color match does to it) and a *region* with an edge
through which the result is pasted back. Mixing families so teaches traces and not one tool. The
idea is that of self-blended images (Shiohara & Yamasaki 2022, arXiv:2204.08376). Imports
`media.align` and `training.augment.artifacts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from media import align
from media.mesh import INNER_FACE, LEFT_EYE_AND_BROW, LIPS, NOSE, RIGHT_EYE_AND_BROW
from training.augment import artifacts

SKIN = slice(None, None, 7)  # 67 landmarks are enough to drive a smooth warp
GRID = 18  # nodes a side of the coarse displacement grid
FAINT_SHARE = 0.5  # half of the fakes stay close to what the eye accepts


@dataclass(frozen=True)
class Face:
    """A face with its surroundings.

    Attributes:
        image: (side, side, 3) uint8 RGB.
        landmarks: (468, 2) float32, pixels of ``image``.
    """

    image: np.ndarray
    landmarks: np.ndarray

    @property
    def tight_px(self) -> float:
        """Side of the tight crop (see `media.align`) in pixels of this image."""
        return align.TIGHT_SIDE * align.face_scale_px(self.landmarks)


@dataclass(frozen=True)
class Donors:
    """What a fake may borrow from: all real faces of the same source.

    Attributes:
        another: draws another person's face in a pose near that of the landmarks that it is given.
        moment: draws another moment of the same person, or is None.
        rerender: passes an image through a learned decoder, or is None.
    """

    another: Callable[[np.random.Generator, np.ndarray], Face]
    moment: Callable[[np.random.Generator], Face] | None = None
    rerender: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None


def make(face: Face, donors: Donors, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One self-made fake.

    Args:
        face: the real face that is manipulated.
        donors: other faces and a decoder to borrow from.
        rng: decides everything.

    Returns:
        The fake, uint8 of the face's shape, and the mask of what was touched, (side, side) float32
        0..1.
    """
    strength = rng.uniform(0.35, 0.65) if rng.random() < FAINT_SHARE else rng.uniform(0.6, 1.0)
    family = FAMILIES[rng.choice(len(FAMILIES), p=WEIGHTS)]
    content = _content(family.content, face, donors, rng, strength)
    for name in family.artifacts:
        for option in rng.permutation(name.split("|"))[:1]:
            content = _artifact(str(option), content, face, donors, rng, strength)
    mask = region_mask(str(rng.choice(family.regions)), face, rng)
    ratio = 1.0 if rng.random() < 0.7 else rng.uniform(0.5, 0.9)
    if family.poisson and rng.random() < family.poisson:
        return _poisson(face.image, content, mask), mask
    return blend(face.image, content, mask * ratio), mask


def blend(below: np.ndarray, above: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """``above`` where the mask is 1, ``below`` where it is 0; uint8."""
    alpha = mask[..., None]
    mixed = below.astype(np.float32) * (1 - alpha) + above.astype(np.float32) * alpha
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _poisson(below: np.ndarray, above: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Gradient-domain paste (Perez et al. 2003); falls back to `blend` for an empty mask."""
    hard = (mask > 0.5).astype(np.uint8) * 255
    hard[:2], hard[-2:], hard[:, :2], hard[:, -2:] = 0, 0, 0, 0
    if cv2.countNonZero(hard) < 64:
        return blend(below, above, mask)
    x, y, width, height = cv2.boundingRect(hard)
    center = (x + width // 2, y + height // 2)
    return cv2.seamlessClone(above, below, hard, center, cv2.NORMAL_CLONE)


# --- regions -------------------------------------------------------------------------------------


def region_mask(name: str, face: Face, rng: np.random.Generator) -> np.ndarray:
    """A soft mask over one part of the face, (side, side) float32 0..1."""
    side = face.image.shape[0]
    if name == "all":
        return np.ones((side, side), np.float32)
    small = side // 2  # half size: a soft mask needs no more, and it costs a quarter
    points = region_points(name, face, rng) / 2
    mask = np.zeros((small, small), np.float32)
    if name == "box":
        low, high = points.min(0).astype(int), points.max(0).astype(int)
        cv2.rectangle(mask, low.tolist(), high.tolist(), 1.0, -1)
    else:
        hull = cv2.convexHull(points.astype(np.float32)).astype(np.int32)
        cv2.fillConvexPoly(mask, hull, 1.0)
        mask = displace(mask, _elastic(small, 0.02 * face.tight_px, rng))
    soft_px = rng.choice([0.6, rng.uniform(1.0, 0.08 * face.tight_px)])
    mask = cv2.GaussianBlur(mask, (0, 0), soft_px)
    return np.clip(cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR), 0, 1)


def region_points(name: str, face: Face, rng: np.random.Generator) -> np.ndarray:
    """The landmarks whose hull is the region, grown or shrunk at random, (n, 2) pixels."""
    marks = face.landmarks
    nose_y = marks[list(NOSE), 1].mean()
    chosen = {
        "face": marks,
        "inner": marks[list(INNER_FACE)],
        "lower": marks[marks[:, 1] > nose_y],
        "box": marks[marks[:, 1] > nose_y],
        "mouth": marks[list(LIPS)],
        "eyes": marks[[*RIGHT_EYE_AND_BROW, *LEFT_EYE_AND_BROW]],
        "eye": marks[list(RIGHT_EYE_AND_BROW if rng.random() < 0.5 else LEFT_EYE_AND_BROW)],
        "nose": marks[list(NOSE)],
    }[name]
    grow = rng.uniform(1.05, 1.5) if name in ("mouth", "eye", "nose") else rng.uniform(0.85, 1.12)
    middle = chosen.mean(0)
    return middle + (chosen - middle) * grow


# --- contents ------------------------------------------------------------------------------------


def _content(
    name: str, face: Face, donors: Donors, rng: np.random.Generator, strength: float
) -> np.ndarray:
    """The image that will be pasted, aligned with the face; uint8 of the face's shape."""
    if name == "self":
        return shifted_copy(face, rng, strength)
    if name == "other":
        other = donors.another(rng, face.landmarks)
        return match_color(fit(other, face.landmarks, face.image.shape[0]), face)
    if name == "moment" and donors.moment is not None:
        other = donors.moment(rng)
        return similarity_fit(other, face)
    if name in ("animated", "moment"):
        return animated(face, donors.another(rng, face.landmarks), rng, strength)
    if name == "liquid":
        return liquified(face, rng, strength)
    return face.image


def shifted_copy(face: Face, rng: np.random.Generator, strength: float) -> np.ndarray:
    """The same face, slightly scaled, shifted and bent, as in self-blended images."""
    side = face.image.shape[0]
    scale = 1 + rng.uniform(-0.05, 0.05) * strength
    shift = rng.uniform(-0.03, 0.03, 2) * face.tight_px * strength
    middle = face.landmarks.mean(0)
    matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float64)
    matrix[:, 2] = middle + shift - scale * middle
    moved = cv2.warpAffine(
        face.image,
        matrix,
        (side, side),
        flags=artifacts.drawn_kernel(rng),
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return displace(moved, _elastic(side, 0.012 * face.tight_px * strength, rng))


def fit(source: Face, target_marks: np.ndarray, side: int) -> np.ndarray:
    """The source's face warped onto the target's landmarks; (side, side, 3) uint8."""
    back = similarity(target_marks, source.landmarks)
    rest = source.landmarks[SKIN] - align.move(target_marks[SKIN], back)
    field = scattered_field(target_marks[SKIN], rest, side)
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    map_x = (back[0, 0] * xs + back[0, 1] * ys + back[0, 2]).astype(np.float32) + field[..., 0]
    map_y = (back[1, 0] * xs + back[1, 1] * ys + back[1, 2]).astype(np.float32) + field[..., 1]
    return cv2.remap(
        source.image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def similarity_fit(source: Face, target: Face) -> np.ndarray:
    """The source moved, turned and scaled onto the target, its expression kept."""
    side = target.image.shape[0]
    matrix = similarity(source.landmarks, target.landmarks)
    return cv2.warpAffine(source.image, matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101)


def animated(face: Face, driver: Face, rng: np.random.Generator, strength: float) -> np.ndarray:
    """One image moved towards another face's expression, its border glued to the background."""
    wanted = align.move(driver.landmarks, similarity(driver.landmarks, face.landmarks))
    share = rng.uniform(0.3, 1.0) * strength
    goal = face.landmarks + share * (wanted - face.landmarks)
    turn = rng.uniform(-0.06, 0.06, 2) * face.tight_px * strength  # a small turn of the head
    depth = 1 - ((goal - goal.mean(0)) ** 2).sum(1, keepdims=True) / face.tight_px**2 * 2
    goal = goal + turn * np.clip(depth, 0, 1)
    side = face.image.shape[0]
    field = scattered_field(goal[SKIN], face.landmarks[SKIN] - goal[SKIN], side)
    return displace(face.image, field)


def liquified(face: Face, rng: np.random.Generator, strength: float) -> np.ndarray:
    """One to three local pushes or pinches around features."""
    side = face.image.shape[0]
    ys, xs = np.mgrid[0:GRID, 0:GRID].astype(np.float32) * (side / GRID) + side / GRID / 2
    field = np.zeros((GRID, GRID, 2), np.float32)
    for _ in range(rng.integers(1, 4)):
        x, y = face.landmarks[rng.choice(INNER_FACE)]
        reach = rng.uniform(0.08, 0.25) * face.tight_px
        bell = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * reach**2))[..., None]
        if rng.random() < 0.5:
            field += bell * rng.uniform(-0.06, 0.06, 2) * face.tight_px * strength
        else:
            field += bell * np.stack([xs - x, ys - y], -1) * rng.uniform(-0.35, 0.35) * strength
    return displace(face.image, cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC))


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares (2, 3) similarity from source to target points (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    norm = (a**2).sum()
    cos = (a * b).sum() / norm
    sin = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / norm
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.hstack([turn, (target.mean(0) - turn @ source.mean(0))[:, None]])


def scattered_field(points: np.ndarray, offsets: np.ndarray, side: int) -> np.ndarray:
    """Smooth (side, side, 2) float32 field: ``offsets`` at ``points``, 0 at the border."""
    axis = (np.arange(GRID) + 0.5) * side / GRID
    nodes = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    ring = np.linspace(0, side, 7)
    anchors = [(x, y) for x in ring for y in ring if x in (0, side) or y in (0, side)]
    places = np.concatenate([points, np.array(anchors)])
    values = np.concatenate([offsets, np.zeros((len(anchors), 2))])
    distance = ((nodes[:, None] - places[None]) ** 2).sum(-1) + (0.02 * side) ** 2
    weights = distance**-1.5
    field = (weights / weights.sum(1, keepdims=True)) @ values
    field = field.reshape(GRID, GRID, 2).astype(np.float32)
    return cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC)


def displace(image: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Fetch every pixel from where the (h, w, 2) field points, relative to itself."""
    height, width = image.shape[:2]
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    return cv2.remap(
        image,
        xs + field[..., 0],
        ys + field[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def _elastic(side: int, reach_px: float, rng: np.random.Generator) -> np.ndarray:
    coarse = rng.normal(0, reach_px, (6, 6, 2)).astype(np.float32)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def match_color(image: np.ndarray, face: Face) -> np.ndarray:
    """Give the image the mean and spread of the face's colors (Reinhard 2001)."""
    low = np.clip(face.landmarks.min(0), 0, None).astype(int)
    high = face.landmarks.max(0).astype(int)
    window = (slice(low[1], max(high[1], low[1] + 2)), slice(low[0], max(high[0], low[0] + 2)))
    ours, theirs = image[window].reshape(-1, 3), face.image[window].reshape(-1, 3)
    gain = np.clip(theirs.std(0) / (ours.std(0) + 1), 0.5, 2)
    moved = (image.astype(np.float32) - ours.mean(0)) * gain + theirs.mean(0)
    return np.clip(moved, 0, 255).astype(np.uint8)


# --- artifacts ------------------------------------------------------------------------------------


def _artifact(
    name: str,
    image: np.ndarray,
    face: Face,
    donors: Donors,
    rng: np.random.Generator,
    strength: float,
) -> np.ndarray:
    """What a tool does to the pixels that it renders."""
    if name == "decoder":
        if donors.rerender is not None:
            return donors.rerender(image, rng)
        name = "lowpass"
    if name == "lowpass":
        return artifacts.low_passed(image, rng.uniform(80, 165) / face.tight_px, rng)
    return {
        "color": artifacts.color_drift,
        "upsampled": artifacts.upsampled,
        "sharp": artifacts.sharpened,
        "smooth": artifacts.smoothed,
        "grain": artifacts.grain,
        "codec": artifacts.recompressed,
        "none": lambda image, rng, strength: image,
    }[name](image, rng, strength)


# --- families ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Family:
    """A kind of tool: its content, its artifacts in order ("a|b": one of them), where it pastes."""

    weight: float
    content: str
    artifacts: tuple[str, ...]
    regions: tuple[str, ...]
    poisson: float = 0.0


FACE_PARTS = ("face", "face", "inner", "inner", "lower", "mouth", "eyes", "eye", "nose")
FAMILIES = (
    # self-blended images: the same face, a little elsewhere and a little different
    Family(0.22, "self", ("color|sharp|lowpass|smooth|grain|codec", "color|none|none"), FACE_PARTS),
    # face swaps: another person's face at a decoder's resolution
    Family(0.18, "other", ("lowpass|decoder|none", "sharp|none|color"), ("face", "inner"), 0.2),
    # swap autoencoders, restoration: the inner face rendered anew
    Family(0.14, "same", ("decoder|lowpass|upsampled", "sharp|none|none"), ("face", "inner")),
    # lip-sync: another moment's lower face at 96 px
    Family(0.14, "moment", ("lowpass|decoder", "color|sharp|none"), ("lower", "box", "mouth")),
    # talking heads from one photo: everything warped and rendered anew
    Family(
        0.12, "animated", ("decoder|lowpass|smooth", "sharp|none|upsampled"), ("all", "all", "face")
    ),
    # edits: parts from another face, local warps
    Family(0.06, "other", ("none|lowpass", "none|sharp"), ("mouth", "eyes", "eye", "nose"), 0.3),
    Family(0.06, "liquid", ("smooth|lowpass|none",), ("face", "all", "inner")),
    # generators: the whole image from an up-sampling network
    Family(0.08, "same", ("decoder|upsampled", "none|sharp"), ("all",)),
)
WEIGHTS = np.array([family.weight for family in FAMILIES]) / sum(f.weight for f in FAMILIES)
