"""Which descriptions of real and fake faces does the frequency detector learn from?

A bank of pairs: every fake beside a real face of the same source, both degraded by the same draw of
resizing and encoding, both described by `detectors.frequency.features.describe`; and the held-out
faces under four conditions. Imports `media`, `detectors` and `training`.
"""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from detectors.frequency.features import DESCRIBED_PX, LENGTH, describe, image_blocks_db
from media import align
from media.degrade import JPEG, WEBP, recompress, rescale
from training.augment import artifacts, pseudo_fakes
from training.augment.degradations import degraded
from training.augment.pseudo_fakes import Donors, Face
from training.data.face_crops import load_part
from training.data.sources import Source, training_sources
from training.spatial.data import generated_pair

log = logging.getLogger(__name__)

SHARD_PAIRS = 250
# how many shards hold which shares of pairs; "swap", "gan" and "generated" are other people's
# fakes, the rest are made of that source's reals
MIXES = (
    (100, {"swap": 0.73, "gan": 0.2, "web-portraits": 0.07}),
    (24, {"generated": 0.55, "officials": 0.35, "athletes": 0.1}),
)
CONDITIONS = ("clean", "jpeg40", "half", "web")  # how validation images are degraded
PUBLISHED_PX = {"dfdc": 224.0, "ffhq": 256.0, "stylegan": 256.0}  # width of the published image
FACE_SHARE = 0.9  # of that width is the face, roughly
DEGRADED_EVERY = 4  # one of so many held-out faces is also described degraded


# --- pairs ---------------------------------------------------------------------------------------


def write_shard(sources: dict[str, Source], mix: dict[str, float], file: Path, seed: int) -> None:
    """Some pairs into one file: (2n, 1029) descriptions (real, fake, real, …) and (n,) kinds."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(list(mix), p=list(mix.values()), size=SHARD_PAIRS)
    data = np.zeros((2 * SHARD_PAIRS, LENGTH), np.float32)
    for number, kind in enumerate(kinds):
        data[2 * number : 2 * number + 2] = _described_pair(str(kind), sources, rng)
    np.savez(file, told=data, kinds=kinds)


def read_bank(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """All shards: (2n, 1029) descriptions and (n,) kinds."""
    parts = [np.load(file) for file in sorted(folder.glob("shard-*.npz"))]
    return np.concatenate([p["told"] for p in parts]), np.concatenate([p["kinds"] for p in parts])


def write_bank(crops: Path, folder: Path) -> None:
    """All shards that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    mixes = [mix for count, mix in MIXES for _ in range(count)]
    files = [folder / f"shard-{number:03d}.npz" for number in range(len(mixes))]
    missing = [number for number, file in enumerate(files) if not file.exists()]
    sources = training_sources(crops) if missing else {}
    for number in missing:
        write_shard(sources, mixes[number], files[number], number)
        log.info("shard %d of %d", number + 1, len(files))


def _described_pair(kind: str, sources: dict[str, Source], rng: np.random.Generator) -> np.ndarray:
    """(2, 1029): real and fake of one source, degraded and cut alike."""
    if kind in ("swap", "gan"):
        fake, real = sources["dfdc" if kind == "swap" else "ffhq"].pair(rng)
    elif kind == "generated":
        fake, real = generated_pair(sources, rng)
    else:
        source = sources[kind]
        real = source.face(source.reals[rng.integers(len(source.reals))])
        image, _ = pseudo_fakes.make(real, Donors(source.similar), rng)
        fake = Face(image, real.landmarks)
    seed = int(rng.integers(2**31))
    scale = None if rng.random() < 0.5 else rng.uniform(0.85, 1.2)
    shift = rng.uniform(-6, 6, 2)
    data = []
    for face in (real, fake):
        image = degraded_image(face, np.random.default_rng(seed))
        data.append(describe(cut_look(image, face.tight_px, scale, shift + rng.normal(0, 1, 2))))
    return np.stack(data)


def degraded_image(face: Face, rng: np.random.Generator) -> np.ndarray:
    """What happened to an image on its way: nothing, little, or as much as other detectors
    bear.
    """
    chance = rng.random()
    if chance < 0.25:
        return face.image
    if chance < 0.5:
        return degraded(face.image, face.tight_px, rng)
    return _lightly_worn(face.image, rng)


def _lightly_worn(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A resize by a third and one good encoding: fine detail is weakened, not gone."""
    shape = image.shape[1::-1]
    if rng.random() < 0.5:
        zoom = float(rng.uniform(0.6, 1.3))
        kernel = int(rng.choice(artifacts.KERNELS))
        image = rescale(image, zoom, kernel)
    if rng.random() < 0.7:
        codec = JPEG if rng.random() < 0.7 else WEBP
        image = recompress(image, int(rng.integers(60, 99)), codec)
    if image.shape[1::-1] != shape:
        image = cv2.resize(image, shape, interpolation=cv2.INTER_LINEAR)
    return image


def cut_look(
    image: np.ndarray, tight_px: float, scale: float | None, shift: np.ndarray
) -> np.ndarray:
    """The part of a face that is described, (208, 208, 3) uint8.

    Args:
        image: (side, side, 3), the face in its middle.
        tight_px: side of the tight crop in it.
        scale: of the face against the app's; None takes the pixels as they are, without resampling.
        shift: (2,) pixels.
    """
    middle = np.array(image.shape[1::-1]) / 2
    if scale is None:
        corner = np.round(middle - DESCRIBED_PX / 2 + shift).astype(int)
        x, y = np.clip(corner, 0, np.array(image.shape[1::-1]) - DESCRIBED_PX)
        return np.ascontiguousarray(image[y : y + DESCRIBED_PX, x : x + DESCRIBED_PX])
    zoom = align.TIGHT_PX / tight_px * scale
    matrix = np.hstack([np.eye(2) * zoom, (DESCRIBED_PX / 2 - zoom * (middle + shift))[:, None]])
    return align.cut(image, matrix, DESCRIBED_PX)


# --- validation ----------------------------------------------------------------------------------


def write_validation(data: Path, crops: Path, file: Path) -> None:
    """Describe the held-out published faces under every condition.

    The prepared crops are taken as they are, not resampled again; others are degraded after
    the cut. Writes descriptions (n, 1029) into an npz and beside it a table of the rows: condition,
    label, source, kind, group, file_bytes, native_px (of the published crop), blocks_db, and
    face_px, for which the width of the published image stands in.
    """
    given: list[np.ndarray] = []
    rows: list[dict] = []
    for part in ("faces-val", "portraits"):
        images, _, table = load_part(crops, part)
        published = pd.read_parquet(data / f"{part}.parquet", columns=["name", "image"])
        sizes = published.set_index("name")["image"].map(len)
        for number, row in enumerate(table.itertuples()):
            if row.split != "val":
                continue
            for condition in CONDITIONS if number % DEGRADED_EVERY == 0 else CONDITIONS[:1]:
                crop = worn_by(condition, np.asarray(images[number]))
                given.append(describe(cut_look(crop, align.TIGHT_PX, None, np.zeros(2))))
                rows.append(_about(row, condition, crop) | {"file_bytes": int(sizes[row.name])})
        log.info("%s: %d looks", part, len(rows))
    np.savez(file, told=np.stack(given))
    pd.DataFrame(rows).to_parquet(file.with_suffix(".parquet"))


def _about(row, condition: str, crop: np.ndarray) -> dict:
    """The facts of one described face that the figures need."""
    shown_px = PUBLISHED_PX.get(row.source, float(row.face_px)) * FACE_SHARE
    return {name: getattr(row, name) for name in ("label", "source", "kind", "group")} | {
        "condition": condition,
        "native_px": float(row.face_px),
        "blocks_db": image_blocks_db(crop[None]),
        "face_px": shown_px / 2 if condition in ("half", "web") else shown_px,
    }


def worn_by(condition: str, image: np.ndarray) -> np.ndarray:
    """As it is, as JPEG of quality 40, at half size, or at half size as WebP of quality 40."""
    side = image.shape[1::-1]
    if condition in ("half", "web"):
        image = rescale(image, 0.5)
    if condition in ("jpeg40", "web"):
        image = recompress(image, 40, JPEG if condition == "jpeg40" else WEBP)
    if image.shape[1::-1] != side:
        image = cv2.resize(image, side, interpolation=cv2.INTER_LINEAR)
    return image
