"""Which images do the probes learn from, and what does the frozen backbone say of them?

Reads crops that `training.data.face_crops` cut, and writes one table of features a part. A mouth is
taken from a real face, and the same face with a self-made lip-sync beside it, through the same
degradation. Imports detectors and training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from detectors.frozen.backbone import ClipBackbone, load_backbone
from detectors.frozen.layout import MEAN, SIZE_PX, STD
from detectors.frozen.probe import Part, features
from detectors.frozen.views import VIEWS
from detectors.preprocess import to_input
from hub.catalog import BACKBONES
from hub.checkpoint import Card
from training.augment.lip_sync import degrade, degrade_hard, redraw
from training.data.face_crops import load_part

BACKBONE = "clip-vit-b16"
PARTS = (  # class tokens say what is drawn, mean patch tokens of early layers how
    *(Part(layer, "class") for layer in (6, 8, 10, 12)),
    *(Part(layer, "patches") for layer in (4, 8)),
)
INPUT = Card(  # how every probe prepares its images
    detector="generation",
    title="Frozen features",
    size_px=SIZE_PX,
    mean=MEAN,
    std=STD,
    fake_indices=(0,),
    real_indices=(),
    labels_known_by="fitted on labelled faces",
)
WHOLE = ("face", "mouth")  # what generation looks at
Choice = Callable[[pd.DataFrame], np.ndarray]  # rows of a part to their (k,) places
BATCH = 16
DEGRADED_SEED = 3000
CLEAN_EVERY = 6  # of so many mouths one pair is used without degradation too


def feature_table(
    crops: Iterable[np.ndarray], views: Sequence[str], rows: pd.DataFrame, out: Path
) -> None:
    """Write OUT.npy, (n, views x features) float16, and OUT.parquet, one row a face.

    Args:
        crops: (320, 320, 3) uint8 RGB wide crop each, in the order of ``rows``.
        views: what is looked at, of `detectors.frozen.views.VIEWS`; `PARTS` of each.
        rows: what is known of the faces.
        out: path without suffix.
    """
    backbone, result, batch = load_backbone(BACKBONES / BACKBONE, "cpu"), [], []
    for crop in crops:
        batch.append(crop)
        if len(batch) == BATCH:
            result.append(_features(backbone, np.stack(batch), views))
            batch = []
    if batch:
        result.append(_features(backbone, np.stack(batch), views))
    np.save(out.with_suffix(".npy"), np.concatenate(result))
    rows.reset_index(drop=True).to_parquet(out.with_suffix(".parquet"))


def _features(backbone: ClipBackbone, crops: np.ndarray, views: Sequence[str]) -> np.ndarray:
    looks = [features(backbone(to_input(VIEWS[v](crops), INPUT)), PARTS).numpy() for v in views]
    return np.concatenate(looks, 1).astype(np.float16)


def faces(crops: Path, part: str, choose: Choice | None, out: Path) -> None:
    """Features of the faces of a part, in `WHOLE`; of all where none is chosen."""
    images, _, rows = load_part(crops, part)
    index = np.arange(len(rows)) if choose is None else choose(rows)
    feature_table((images[row] for row in index), WHOLE, rows.iloc[index], out)


def degraded_faces(crops: Path, part: str, out: Path) -> None:
    """Features of half of the same faces after what files go through; both classes alike.

    Every second one as one more resize and JPEG leave it, the others as several messengers do.
    """
    images, _, rows = load_part(crops, part)
    index = np.flatnonzero(np.arange(len(rows)) % 4 < 2)

    def degraded() -> Iterator[np.ndarray]:
        for row in index:
            rng = np.random.default_rng(DEGRADED_SEED + row)
            yield (degrade, degrade_hard)[row % 2](np.ascontiguousarray(images[row]), rng)

    feature_table(degraded(), WHOLE, rows.iloc[index], out)


def mouth_pairs(crops: Path, part: str, chosen: np.ndarray, hard: np.ndarray, out: Path) -> None:
    """Features of real mouths and of the same mouths drawn again.

    Args:
        crops: folder of `training.data.face_crops`.
        part: its name.
        chosen: (k,) rows of real faces; every sixth pair is used without degradation too.
        hard: (j,) further rows, whose pairs are degraded hard.
        out: path without suffix; its table has ``label``, ``crop`` (row in the part) and
            ``degraded`` (0 not, 1 once, 2 hard).
    """
    images, landmarks, rows = load_part(crops, part)
    jobs = [
        (int(row), level)
        for place, row in enumerate(chosen)
        for level in ((1, 0) if place % CLEAN_EVERY == 0 else (1,))
    ] + [(int(row), 2) for row in hard]

    def both() -> Iterator[np.ndarray]:
        for row, level in jobs:
            yield from _pair(np.ascontiguousarray(images[row]), landmarks[row], row, level)

    index = np.repeat([row for row, _ in jobs], 2)
    table = rows.iloc[index].copy()
    table["label"] = np.tile([0, 1], len(jobs))
    table["crop"], table["degraded"] = index, np.repeat([level for _, level in jobs], 2)
    feature_table(both(), ("mouth",), table, out)


def _pair(real: np.ndarray, landmarks: np.ndarray, row: int, level: int) -> list[np.ndarray]:
    """A real face and its self-made fake, degraded alike and mirrored alike."""
    hard = level == 2
    rng = np.random.default_rng((5000 if hard else 1000) + row)
    step = -1 if rng.random() < 0.5 else 1
    result = []
    for face in (real, redraw(real, landmarks, rng)):
        same = np.random.default_rng((11 if hard else 7) * row + 1)  # for both of the pair
        result.append((degrade_hard if hard else degrade)(face, same) if level else face)
    # both regions lie in the middle columns, so that the crop may be mirrored as a whole
    return [np.ascontiguousarray(face[:, ::step]) for face in result]


def regions(crops: Path, part: str, view: str, out: Path) -> None:
    """Features of one region, "mouth" or "eyes", of the faces of a part."""
    images, _, rows = load_part(crops, part)
    feature_table(images, (view,), rows, out)


def pair_eyes(crops: Path, part: str, pairs: pd.DataFrame, out: Path) -> None:
    """Features of the eyes of the real faces of a table of pairs, degraded as their mouths are."""
    images, landmarks, _ = load_part(crops, part)

    def reals() -> Iterator[np.ndarray]:
        for row, level in zip(pairs["crop"], pairs["degraded"], strict=True):
            yield _pair(np.ascontiguousarray(images[row]), landmarks[row], row, level)[0]

    feature_table(reals(), ("eyes",), pairs, out)
