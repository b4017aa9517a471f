"""Which pairs of a real and a fake face does the spatial detector learn from?

`batches` draws pairs without end: every fake comes with a real face of the same source, both
degraded by the same draw, so that neither the source nor the encoder can be the cue. Imports
`media` and `training`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from media import align
from media.degrade import JPEG, WEBP, recompress, rescale
from training.augment import pseudo_fakes
from training.augment.degradations import degraded
from training.augment.pseudo_fakes import Donors, Face
from training.data import external
from training.data.sources import Source, read_restored, training_sources

BESIDE_GENERATED = (*external.LEARNED, "ffhq", "web-portraits")  # reals beside generated ones
INPUT_PX = 168  # side of the network's input: 12 x 12 patches of 14 pixels
# share of the pairs; "swap", "gan" and "generated" are other people's fakes, the rest are made of
# that source's reals
MIX = {
    "swap": 0.26,
    "gan": 0.17,
    "generated": 0.14,
    "restored": 0.14,
    "dfdc": 0.05,
    "ffhq": 0.05,
    "web-portraits": 0.05,
    "officials": 0.06,
    "athletes": 0.03,
    "ar": 0.03,
    "en": 0.02,
}


@dataclass(frozen=True)
class Batch:
    """Reals first, then their fakes.

    Attributes:
        images: (2n, 168, 168, 3) uint8.
        labels: (2n,) int64, 0 real, 1 fake.
        masks: (2n, 12, 12) float32, share of each patch that was touched; -1 where unknown.
        kinds: n names of `MIX`, one a pair.
    """

    images: np.ndarray
    labels: np.ndarray
    masks: np.ndarray
    kinds: list[str]


def batches(folder: Path, pairs: int, seed: int, rerender=None) -> Iterator[Batch]:
    """Training batches without end; the same seed gives the same batches."""
    cv2.setNumThreads(1)
    sources = training_sources(folder)
    read_restored(sources, folder)
    result = {*sources, "swap", "gan"}  # "generated" is a source of its own
    if any(source.restored for source in sources.values()):
        result.add("restored")
    kinds = [k for k in MIX if k in result]
    share = np.array([MIX[k] for k in kinds]) / sum(MIX[k] for k in kinds)
    rng = np.random.default_rng(seed)
    while True:
        chosen = [kinds[i] for i in rng.choice(len(kinds), size=pairs, p=share)]
        drawn = [_one_pair(kind, sources, rerender, rng) for kind in chosen]
        reals, fakes, masks = zip(*drawn, strict=True)
        untouched = np.zeros((12, 12), np.float32)
        yield Batch(
            np.stack([*reals, *fakes]),
            np.repeat([0, 1], pairs),
            np.stack([untouched] * pairs + list(masks)),
            chosen,
        )


def _one_pair(kind: str, sources: dict[str, Source], rerender, rng) -> tuple:
    """Real image, fake image, patch mask of the fake."""
    if kind in ("swap", "gan"):
        fake, real = sources["dfdc" if kind == "swap" else "ffhq"].pair(rng)
        side = fake.image.shape[0]
        mask = np.full((side, side), 1.0 if kind == "gan" else -1.0, np.float32)
    elif kind == "generated":
        fake, real = generated_pair(sources, rng)
        mask = np.ones(fake.image.shape[:2], np.float32)
    elif kind == "restored":
        source = sources[str(rng.choice([n for n, s in sources.items() if s.restored]))]
        image, real, mask = source.restored_pair(rng)
        fake = Face(image, real.landmarks)
    else:
        source = sources[kind]
        place = int(rng.integers(len(source.reals)))
        real = source.face(source.reals[place])
        moment = (lambda g: source.moment_near(place, g)) if len(source.moments) else None
        image, mask = pseudo_fakes.make(real, Donors(source.similar, moment, rerender), rng)
        fake = Face(image, real.landmarks)
    return degraded_pair(real, fake, mask, rng)


def generated_pair(sources: dict[str, Source], rng: np.random.Generator) -> tuple[Face, Face]:
    """A generated face and a real one of another person, brought to one size and one encoder.

    The smaller of the two faces sets the size, or the finer image would give itself away.
    """
    drawn = sources["generated"]
    beside = sources[str(rng.choice([n for n in BESIDE_GENERATED if n in sources]))]
    rows = int(rng.choice(drawn.fakes[:, 0])), int(rng.choice(beside.reals))
    least = min(drawn.native(rows[0]), beside.native(rows[1]), float(align.TIGHT_PX))
    seed = int(rng.integers(2**31))
    faces = [drawn.face(rows[0]), beside.face(rows[1])]
    fake, real = (
        Face(sized(f.image, least / f.tight_px, np.random.default_rng(seed)), f.landmarks)
        for f in faces
    )
    return fake, real


def sized(image: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """An image that was once smaller and encoded so; uint8 of the same shape."""
    scale *= rng.uniform(0.75, 0.98)
    codec = WEBP if rng.random() < 0.5 else JPEG
    small = recompress(rescale(image, scale), int(rng.integers(60, 96)), codec)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def degraded_pair(real: Face, fake: Face, mask: np.ndarray, rng: np.random.Generator) -> tuple:
    """Both faces through the same draw of degradation and the same jitter of the cut."""
    seed = int(rng.integers(2**31))
    jitter = _jitter(rng)
    out = []
    for face in (real, fake):
        image = degraded(face.image, face.tight_px, np.random.default_rng(seed))
        matrix = cut_matrix(face, face.image.shape[0], *jitter[:4])
        # a slightly different face finder result for each of the two
        matrix[:, 2] += rng.normal(0, 1.0, 2)
        out.append((cut_input(image, matrix), matrix))
    size = (align.TIGHT_PX, align.TIGHT_PX)
    patch = cv2.warpAffine(mask, out[1][1], size, borderMode=cv2.BORDER_REPLICATE)
    patch = cv2.resize(patch, (12, 12), interpolation=cv2.INTER_AREA)
    real_px, fake_px = out[0][0], out[1][0]
    if jitter[4]:
        real_px, fake_px, patch = real_px[:, ::-1], fake_px[:, ::-1], patch[:, ::-1]
    return real_px, fake_px, patch


def _jitter(rng: np.random.Generator) -> tuple[float, float, float, float, bool]:
    """Scale, turn (rad), shift x and y (in tight sides), flip."""
    turn = np.deg2rad(np.clip(rng.normal(0, 4), -10, 10))
    shift = rng.uniform(-0.05, 0.05, 2)
    return rng.uniform(0.88, 1.12), turn, shift[0], shift[1], bool(rng.random() < 0.5)


def cut_matrix(
    face: Face, side: int, scale: float = 1.0, turn: float = 0.0, dx: float = 0.0, dy: float = 0.0
) -> np.ndarray:
    """(2, 3) from the pixels of a face's image to its tight crop of 224 pixels, jittered."""
    zoom = align.TIGHT_PX / (face.tight_px * scale)
    cos, sin = zoom * np.cos(turn), zoom * np.sin(turn)
    turned = np.array([[cos, -sin], [sin, cos]])
    center = np.full(2, side / 2) + np.array([dx, dy]) * face.tight_px
    return np.hstack([turned, (align.TIGHT_PX / 2 - turned @ center)[:, None]])


def cut_input(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(168, 168, 3) uint8 network input: the tight crop, then area averaging, as in the app."""
    tight = cv2.warpAffine(
        image,
        matrix,
        (align.TIGHT_PX, align.TIGHT_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return cv2.resize(tight, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA)
