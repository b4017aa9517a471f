"""How good is the spatial checkpoint, and on whom does it raise false alarms?

Figures of the selection half during training, of the calibration half at the end. No group is in
both halves. Imports `media` and `training`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from evaluation.metrics import auc
from media.degrade import recompress, rescale
from training.augment import pseudo_fakes
from training.augment.pseudo_fakes import Donors, Face
from training.data.face_crops import load_part
from training.data.sources import TALKING_SETS, Source, trimmed
from training.spatial import data as spatial_data
from training.spatial.network import normalized

FALSE_ALARMS = 0.1  # share of real DFDC faces above the threshold that sources are compared at
FRAMES_PER_PERSON = 24  # of the talking clips
SELF_MADE = 40  # a source
QUICK = 400  # DFDC faces that are looked at during training
BATCH = 48
DEGRADATIONS = {
    "clean": lambda image: image,
    "jpeg40": lambda image: recompress(image, 40),
    "half size": lambda image: rescale(image, 0.5),
    "half size, jpeg40": lambda image: recompress(rescale(image, 0.5), 40),
}


def is_selection(group: str) -> bool:
    """Which half of the held-out groups may choose a checkpoint; the other half calibrates it."""
    return hashlib.sha256(str(group).encode()).digest()[0] % 2 == 0


def held_out(crops: Path, selection: bool) -> pd.DataFrame:
    """One row a held-out face of one half: set, row, label, source, kind, group."""
    tables = []
    for part in ("faces-val", "portraits"):
        table = load_part(crops, part)[2]
        table = table.assign(part=part, row=np.arange(len(table)))
        tables.append(table[table["split"] == "val"])
    for name in TALKING_SETS:
        if (crops / "talking" / "index.parquet").exists():
            tables.append(_talking_rows(crops / "talking", name))
    rows = pd.concat(tables)[["part", "row", "label", "source", "kind", "group"]]
    return rows[[is_selection(g) == selection for g in rows.group]].reset_index(drop=True)


def _talking_rows(folder: Path, name: str) -> pd.DataFrame:
    """A few spread frames of every held-out person."""
    index = pd.read_parquet(folder / "index.parquet")
    index = index[(index["set"] == name) & index["split"].isin(["val", "test"])]
    frames = np.load(folder / f"{name}_frames.npz")
    good = frames["valid"] & ~frames["faded"]
    result = []
    for person, clips in index.groupby("person"):
        rows = np.concatenate([np.arange(c.first, c.first + c.n) for c in clips.itertuples()])
        rows = rows[good[rows]]
        for row in rows[np.linspace(0, len(rows) - 1, FRAMES_PER_PERSON).astype(int)]:
            result.append((name, row, 0, name, "real", f"{name}-{person}"))
    columns = ["part", "row", "label", "source", "kind", "group"]
    return pd.DataFrame(result, columns=columns)


class Faces:
    """The held-out faces' images, by row of a table from `training.landmarks.held_out`."""

    def __init__(self, crops: Path) -> None:
        self._arrays = {p: load_part(crops, p)[:2] for p in ("faces-val", "portraits")}
        for name in TALKING_SETS:
            if (crops / "talking" / "index.parquet").exists():
                stems = (f"{name}_wide", f"{name}_landmarks_crop")
                self._arrays[name] = tuple(
                    np.load(crops / "talking" / f"{stem}.npy", mmap_mode="r") for stem in stems
                )

    def face(self, part: str, row: int) -> Face:
        """One face with its surroundings."""
        images, marks = self._arrays[part]
        return trimmed(Face(np.asarray(images[row]), np.asarray(marks[row])))


def to_input(
    face: Face, degrade: Callable[[np.ndarray], np.ndarray] = DEGRADATIONS["clean"]
) -> np.ndarray:
    """The network's input as the app makes it: the tight crop, no jitter."""
    side = face.image.shape[0]
    image = cv2.resize(degrade(face.image), (side, side), interpolation=cv2.INTER_LINEAR)
    return spatial_data.cut_input(image, spatial_data.cut_matrix(face, side))


def logits(model, images: list[np.ndarray]) -> np.ndarray:
    """Raw logit of every (168, 168, 3) image."""
    result = []
    with torch.no_grad():
        for start in range(0, len(images), BATCH):
            result.append(model(normalized(np.stack(images[start : start + BATCH])))[0].numpy())
    return np.concatenate(result)


def ranking(table: pd.DataFrame, real: str, fake: str) -> float:
    """AUC of one source's fakes against one source's reals."""
    part = table[
        ((table.source == real) & (table.label == 0))
        | ((table.source == fake) & (table.label == 1))
    ]
    return auc(part.label.to_numpy(), part.raw.to_numpy())


def alarms(table: pd.DataFrame) -> dict[str, float]:
    """Share of each source's real faces above the threshold of 10 % of DFDC's."""
    reals = table[table.label == 0]
    threshold = reals.raw[reals.source == "dfdc"].quantile(1 - FALSE_ALARMS)
    return {s: round(float((g.raw > threshold).mean()), 3) for s, g in reals.groupby("source")}


def self_made(crops: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Self-made fakes of held-out reals and their originals, both degraded alike; a fixed draw."""
    faces, rng, rows = Faces(crops), np.random.default_rng(0), []
    reals = table[table.label == 0]
    for source, group in reals.groupby("source"):
        part, chosen = (
            group.part.iloc[0],
            group.row.to_numpy()[:: max(1, len(group) // SELF_MADE)][:SELF_MADE],
        )
        pool = Source(*faces._arrays[part], reals=chosen)
        for row in chosen:
            face = faces.face(part, row)
            fake, mask = pseudo_fakes.make(face, Donors(pool.similar), rng)
            pair = spatial_data.degraded_pair(face, Face(fake, face.landmarks), mask, rng)
            rows += [(source, label, pair[label]) for label in (0, 1)]
    return pd.DataFrame(rows, columns=["source", "label", "image"])


def selection_figures(model, crops: Path) -> dict:
    """Short figures of the selection half, for the training log."""
    table, faces = held_out(crops, selection=True), Faces(crops)
    dfdc = table.index[table.source == "dfdc"]
    table = table.drop(dfdc[QUICK:]).reset_index(drop=True)
    inputs = [to_input(faces.face(r.part, r.row)) for r in table.itertuples()]
    table["raw"] = logits(model, inputs)
    made = self_made(crops, table)
    made["raw"] = logits(model, list(made.image))
    subset = {s: round(ranking(made, s, s), 3) for s in sorted(made.source.unique())}
    return {
        "dfdc": round(ranking(table, "dfdc", "dfdc"), 4),
        "gan": round(ranking(table, "ffhq", "stylegan"), 4),
        "alarms": alarms(table),
        "self-made": subset,
    }
