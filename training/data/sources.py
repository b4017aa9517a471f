"""Whose faces do the image recipes learn from?

The real faces of each origin, the published fakes beside them, what a restoration network drew of
them, and faces that generators drew. Reads what `training.data.face_crops`, `training.data.talking`
and `training.data.restorer` prepared. Imports `media` and `training`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from media import align
from training.augment import artifacts, pseudo_fakes
from training.augment.pseudo_fakes import Face
from training.data import external
from training.data.face_crops import EXTERNAL, load_part

TALKING_SETS = ("ar", "en")
FACES_A_MAKER = 12  # every generator, or made-up person, weighs the same
CANDIDATES = 12  # faces looked at to find a donor of similar pose
WORK_SIDE = 1.4  # the part of the wide crop that training touches, in tight sides
CRISP_REALS = 0.45  # of the reals beside restored faces are sharpened: crisp must not mean fake
# through which region a restored face is pasted back; most generators draw all of it
RESTORED_REGIONS = ("all", "all", "all", "face", "face", "inner", "lower", "mouth", "eyes")


@dataclass
class Source:
    """Real faces of one origin, with their published fakes if there are any.

    Attributes:
        images: (n, side, side, 3) uint8 wide crops (a memory map).
        landmarks: (n, 468, 2) float32 in pixels of the crops.
        reals: rows of real faces.
        fakes: rows of published fakes and the row of each one's own original, (m, 2); -1 where a
            generated face has none.
        moments: for talking clips (clip number of every real row); empty for photos.
        restored: reals that a restoration network drew anew (see `training.data.restorer`), each
            with its place in ``reals``.
        native_px: tight side of each row's face before it was cut, (n,); empty where unknown.
    """

    images: np.ndarray
    landmarks: np.ndarray
    reals: np.ndarray
    fakes: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))
    moments: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    restored: list[tuple[np.ndarray, int]] = field(default_factory=list)
    native_px: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def face(self, row: int) -> Face:
        """The face of one row with a little of its surroundings."""
        return trimmed(Face(np.asarray(self.images[row]), np.asarray(self.landmarks[row])))

    def similar(self, rng: np.random.Generator, marks: np.ndarray) -> Face:
        """A real face whose pose and expression are nearest to ``marks`` among a few drawn."""
        rows = self.reals[rng.integers(len(self.reals), size=CANDIDATES)]
        wanted = _shape(marks)
        distances = [np.abs(_shape(self.landmarks[row]) - wanted).sum() for row in rows]
        # the best one may be the face itself
        return self.face(rows[int(np.argsort(distances)[0 if min(distances) > 1e-3 else 1])])

    def pair(self, rng: np.random.Generator) -> tuple[Face, Face]:
        """A published fake and its own original."""
        fake, real = self.fakes[rng.integers(len(self.fakes))]
        return self.face(fake), self.face(real)

    def restored_pair(self, rng: np.random.Generator) -> tuple[np.ndarray, Face, np.ndarray]:
        """A face that a restoration network drew, its real, and the mask of what was pasted."""
        drawn, place = self.restored[rng.integers(len(self.restored))]
        real = self.face(self.reals[place])
        if rng.random() < CRISP_REALS:
            crisp = artifacts.sharpened(real.image, rng, rng.uniform(0.3, 1.0))
            real = Face(crisp, real.landmarks)
        mask = pseudo_fakes.region_mask(str(rng.choice(RESTORED_REGIONS)), real, rng)
        ratio = 1.0 if rng.random() < 0.5 else rng.uniform(0.4, 0.9)
        return pseudo_fakes.blend(real.image, drawn, mask * ratio), real, mask

    def native(self, row: int) -> float:
        """Tight side of a face before it was cut, pixels; that of the crop where unknown."""
        return float(self.native_px[row]) if len(self.native_px) else float(align.TIGHT_PX)

    def moment_near(self, place: int, rng: np.random.Generator) -> Face:
        """Another moment of the clip that the real row at ``place`` belongs to."""
        same = np.flatnonzero(self.moments == self.moments[place])
        return self.face(self.reals[rng.choice(same)])


def _shape(marks: np.ndarray) -> np.ndarray:
    """Landmarks without place and size, (67, 2)."""
    few = np.asarray(marks[pseudo_fakes.SKIN], np.float32)
    few = few - few.mean(0)
    return few / few.std()


def trimmed(face: Face) -> Face:
    """Keep the central `WORK_SIDE` tight sides: what lies further out never reaches the network."""
    side = face.image.shape[0]
    keep = min(int(face.tight_px * WORK_SIDE), side)
    start = (side - keep) // 2
    part = face.image[start : start + keep, start : start + keep]
    return Face(np.ascontiguousarray(part), face.landmarks - start)


def training_sources(folder: Path) -> dict[str, Source]:
    """All sources of the training split that are prepared in ``folder``."""
    images, marks, table = load_part(folder, "faces-train")
    row_of = {name: row for row, name in table["name"].items() if table.label[row] == 0}
    swaps = [
        (row, row_of[pair])
        for row, pair in table["pair"].items()
        if table.kind[row] == "face-swap" and pair in row_of
    ]
    real = {s: np.flatnonzero((table.source == s) & (table.label == 0)) for s in ("dfdc", "ffhq")}
    gan = np.flatnonzero(table.source == "stylegan")
    partners = np.resize(real["ffhq"], len(gan))
    sources = {
        "dfdc": Source(images, marks, real["dfdc"], np.array(swaps)),
        "ffhq": Source(images, marks, real["ffhq"], np.stack([gan, partners], 1)),
    }
    images, marks, table = load_part(folder, "portraits")
    train = np.flatnonzero((table["split"] == "train") & (table.label == 0))
    sources["web-portraits"] = Source(images, marks, train)
    for name in TALKING_SETS:
        if (folder / "talking" / "index.parquet").exists():
            sources[name] = talking_source(folder / "talking", name, "train")
    if (folder / f"{EXTERNAL}-meta.parquet").exists():
        sources |= external_sources(folder)
    return sources


def external_sources(folder: Path) -> dict[str, Source]:
    """Its real people, and generated faces, which have no original of their own."""
    images, marks, table = load_part(folder, EXTERNAL)
    native = table["native_px"].to_numpy()
    sources = {}
    for name in external.LEARNED:
        rows = np.flatnonzero(table["source"] == name)
        sources[name] = Source(images, marks, rows, native_px=native)
    made = table.index[table["label"] == 1].to_series().groupby(table["group"])
    drawn = np.concatenate([np.resize(rows, FACES_A_MAKER) for _, rows in made])
    fakes = np.stack([drawn, np.full_like(drawn, -1)], 1)
    sources["generated"] = Source(images, marks, np.zeros(0, int), fakes, native_px=native)
    return sources


def read_restored(sources: dict[str, Source], folder: Path) -> None:
    """Give the sources the faces that `training.data.restorer` drew, 0.3 MB each."""
    for name, source in sources.items():
        for file in sorted((folder / "restored").glob(f"{name}-*.npz")):
            with np.load(file) as shard:
                source.restored += zip(shard["pictures"], shard["places"].tolist(), strict=True)


def talking_source(folder: Path, name: str, split: str) -> Source:
    """Real frames of talking clips of one split (see `training.data.talking`)."""
    index = pd.read_parquet(folder / "index.parquet")
    clips = index[(index["set"] == name) & (index["split"] == split)]
    frames = np.load(folder / f"{name}_frames.npz")
    good = frames["valid"] & ~frames["faded"]
    rows = [np.arange(c.first, c.first + c.n) for c in clips.itertuples()]
    clip = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    row = np.concatenate(rows)
    selected = good[row]
    return Source(
        np.load(folder / f"{name}_wide.npy", mmap_mode="r"),
        np.load(folder / f"{name}_landmarks_crop.npy", mmap_mode="r"),
        row[selected],
        moments=clip[selected],
    )
