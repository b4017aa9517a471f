"""Which pairs of a real and a fake face does the spatial detector learn from?

`python -m training.spatial_data DATA OUT` cuts the face crops once (DATA: a folder with
faces-train.parquet, faces-val.parquet, portraits.parquet), with ``--outside MANIFEST`` also those
of `training.outside`. `batches` then draws pairs without end:
every fake comes with a real face of the same source, both degraded by the same draw, so that
neither the source nor the encoder can be the cue. Imports `evaluation`, `media`, `training`.
"""

from __future__ import annotations

import argparse
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from evaluation.manifest import read_manifest
from media import align
from media.faces import FaceFinder
from media.picture import read_picture
from training import pseudo_fakes, textures
from training.pseudo_fakes import Donors, Face
from training.wear import degraded

log = logging.getLogger(__name__)

PARTS = ("faces-train", "faces-val", "portraits")
TALKING_SETS = ("ar", "en")
OUTSIDE = "outside-train"  # name of the part that `training.outside` gives
PORTRAITS = ("officials", "athletes")  # its real people
BESIDE_GENERATED = (*PORTRAITS, "ffhq", "web-portraits")  # reals beside generated ones
LEAST_FACE_PX = 45.0  # tight side of a face that is worth learning from
MOMENTS = 6  # pictures of one clip
FACES_A_MAKER = 12  # every generator, or made-up person, weighs the same
INPUT_PX = 168  # side of the network's input: 12 x 12 patches of 14 pixels
CANDIDATES = 12  # faces looked at to find a donor of similar pose
WORK_SIDE = 1.4  # the part of the wide crop that training touches, in tight sides
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
# through which region a restored face is pasted back; most generators draw all of it
CRISP_REALS = 0.45  # of their reals are sharpened as cameras do it: crisp alone must not mean fake
RESTORED_REGIONS = ("all", "all", "all", "face", "face", "inner", "lower", "mouth", "eyes")


@dataclass
class Source:
    """Real faces of one origin, with their published fakes if there are any.

    Attributes:
        pictures: (n, side, side, 3) uint8 wide crops (a memory map).
        landmarks: (n, 468, 2) float32 in pixels of the crops.
        reals: rows of real faces.
        fakes: rows of published fakes and the row of each one's own original, (m, 2).
        moments: for talking clips (clip number of every real row); empty for photos.
        restored: reals that a restoration network drew anew (see `training.restorer`), each with
            its place in ``reals``.
        native_px: tight side of each row's face before it was cut, (n,); empty where unknown.
    """

    pictures: np.ndarray
    landmarks: np.ndarray
    reals: np.ndarray
    fakes: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))
    moments: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    restored: list[tuple[np.ndarray, int]] = field(default_factory=list)
    native_px: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def face(self, row: int) -> Face:
        """The face of one row with a little of its surroundings."""
        return trimmed(Face(np.asarray(self.pictures[row]), np.asarray(self.landmarks[row])))

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
            crisp = textures.sharpened(real.picture, rng, rng.uniform(0.3, 1.0))
            real = Face(crisp, real.landmarks)
        mask = pseudo_fakes.region_mask(str(rng.choice(RESTORED_REGIONS)), real, rng)
        ratio = 1.0 if rng.random() < 0.5 else rng.uniform(0.4, 0.9)
        return pseudo_fakes.blend(real.picture, drawn, mask * ratio), real, mask

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
    side = face.picture.shape[0]
    keep = min(int(face.tight_px * WORK_SIDE), side)
    start = (side - keep) // 2
    part = face.picture[start : start + keep, start : start + keep]
    return Face(np.ascontiguousarray(part), face.landmarks - start)


# --- preparation ---------------------------------------------------------------------------------


def prepare(parquet: Path, out: Path) -> None:
    """Find and cut the faces of one table; writes NAME-img.npy, NAME-lm.npy, NAME-meta.parquet."""
    table = pd.read_parquet(parquet)
    crops, marks, rows = [], [], []
    with FaceFinder() as finder:
        for row, data in enumerate(table["image"]):
            picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            faces = finder.find(picture)
            if faces:
                matrix = align.face_matrix(faces[0].landmarks)
                crops.append(align.cut(picture, matrix, align.CROP_PX))
                marks.append(align.move(faces[0].landmarks, matrix))
                rows.append(row)
    log.info("%s: a face in %d of %d pictures", parquet.stem, len(rows), len(table))
    np.save(out / f"{parquet.stem}-img.npy", np.stack(crops))
    np.save(out / f"{parquet.stem}-lm.npy", np.stack(marks))
    meta = table.drop(columns="image").iloc[rows].reset_index(drop=True)
    meta.to_parquet(out / f"{parquet.stem}-meta.parquet")


def prepare_outside(manifest: Path, out: Path) -> None:
    """Find and cut all faces of the pictures and clips of `training.outside`, as `prepare`."""
    crops, marks, rows = [], [], []
    with FaceFinder() as finder:
        for item in read_manifest(manifest):
            for number, picture in enumerate(_moments(item.path)):
                for face in finder.find(picture):
                    native = align.TIGHT_SIDE * align.face_scale_px(face.landmarks)
                    if native < LEAST_FACE_PX:
                        continue
                    matrix = align.face_matrix(face.landmarks)
                    crops.append(align.cut(picture, matrix, align.CROP_PX))
                    marks.append(align.move(face.landmarks, matrix))
                    name = f"{item.path.name}-{number}"
                    rows.append((name, item.label, item.kind, item.source, item.group, native))
    log.info("%s: %d faces", OUTSIDE, len(rows))
    np.save(out / f"{OUTSIDE}-img.npy", np.stack(crops))
    np.save(out / f"{OUTSIDE}-lm.npy", np.stack(marks))
    columns = ["name", "label", "kind", "source", "group", "native_px"]
    pd.DataFrame(rows, columns=columns).to_parquet(out / f"{OUTSIDE}-meta.parquet")


def _moments(path: Path) -> list[np.ndarray]:
    """A picture, or a few pages of a moving one, RGB."""
    pages, _ = read_picture(path, path.suffix)
    places = np.linspace(0, len(pages) - 1, min(MOMENTS, len(pages))).astype(int)
    return [pages[place][1] for place in places]


def outside_sources(folder: Path) -> dict[str, Source]:
    """Its real people, and generated faces, which have no original of their own."""
    pictures, marks, table = load_part(folder, OUTSIDE)
    native = table["native_px"].to_numpy()
    sources = {}
    for name in PORTRAITS:
        rows = np.flatnonzero(table["source"] == name)
        sources[name] = Source(pictures, marks, rows, native_px=native)
    made = table.index[table["label"] == 1].to_series().groupby(table["group"])
    drawn = np.concatenate([np.resize(rows, FACES_A_MAKER) for _, rows in made])
    fakes = np.stack([drawn, np.full_like(drawn, -1)], 1)
    sources["generated"] = Source(pictures, marks, np.zeros(0, int), fakes, native_px=native)
    return sources


def load_part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Crops, landmarks and table of one prepared part."""
    return (
        np.load(folder / f"{part}-img.npy", mmap_mode="r"),
        np.load(folder / f"{part}-lm.npy", mmap_mode="r"),
        pd.read_parquet(folder / f"{part}-meta.parquet"),
    )


def training_sources(folder: Path) -> dict[str, Source]:
    """All sources of the training split that are prepared in ``folder``."""
    pictures, marks, table = load_part(folder, "faces-train")
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
        "dfdc": Source(pictures, marks, real["dfdc"], np.array(swaps)),
        "ffhq": Source(pictures, marks, real["ffhq"], np.stack([gan, partners], 1)),
    }
    pictures, marks, table = load_part(folder, "portraits")
    train = np.flatnonzero((table["split"] == "train") & (table.label == 0))
    sources["web-portraits"] = Source(pictures, marks, train)
    for name in TALKING_SETS:
        if (folder / "talking" / "index.parquet").exists():
            sources[name] = talking_source(folder / "talking", name, "train")
    if (folder / f"{OUTSIDE}-meta.parquet").exists():
        sources |= outside_sources(folder)
    return sources


def read_restored(sources: dict[str, Source], folder: Path) -> None:
    """Give the sources the faces that `training.restorer` drew, 0.3 MB each."""
    for name, source in sources.items():
        for file in sorted((folder / "restored").glob(f"{name}-*.npz")):
            with np.load(file) as shard:
                source.restored += zip(shard["pictures"], shard["places"].tolist(), strict=True)


def talking_source(folder: Path, name: str, split: str) -> Source:
    """Real frames of talking clips of one split (see `training.talking_data`)."""
    index = pd.read_parquet(folder / "index.parquet")
    clips = index[(index["set"] == name) & (index["split"] == split)]
    frames = np.load(folder / f"{name}_frames.npz")
    good = frames["valid"] & ~frames["faded"]
    rows = [np.arange(c.first, c.first + c.n) for c in clips.itertuples()]
    clip = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    row = np.concatenate(rows)
    kept = good[row]
    return Source(
        np.load(folder / f"{name}_wide.npy", mmap_mode="r"),
        np.load(folder / f"{name}_landmarks_crop.npy", mmap_mode="r"),
        row[kept],
        moments=clip[kept],
    )


# --- pairs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """Reals first, then their fakes.

    Attributes:
        pictures: (2n, 168, 168, 3) uint8.
        labels: (2n,) int64, 0 real, 1 fake.
        masks: (2n, 12, 12) float32, share of each patch that was touched; -1 where unknown.
        kinds: n names of `MIX`, one a pair.
    """

    pictures: np.ndarray
    labels: np.ndarray
    masks: np.ndarray
    kinds: list[str]


def batches(folder: Path, pairs: int, seed: int, rerender=None) -> Iterator[Batch]:
    """Training batches without end; the same seed gives the same batches."""
    cv2.setNumThreads(1)
    sources = training_sources(folder)
    read_restored(sources, folder)
    found = {*sources, "swap", "gan"}  # "generated" is a source of its own
    if any(source.restored for source in sources.values()):
        found.add("restored")
    kinds = [k for k in MIX if k in found]
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
    """Real picture, fake picture, patch mask of the fake."""
    if kind in ("swap", "gan"):
        fake, real = sources["dfdc" if kind == "swap" else "ffhq"].pair(rng)
        side = fake.picture.shape[0]
        mask = np.full((side, side), 1.0 if kind == "gan" else -1.0, np.float32)
    elif kind == "generated":
        fake, real = generated_pair(sources, rng)
        mask = np.ones(fake.picture.shape[:2], np.float32)
    elif kind == "restored":
        source = sources[str(rng.choice([n for n, s in sources.items() if s.restored]))]
        picture, real, mask = source.restored_pair(rng)
        fake = Face(picture, real.landmarks)
    else:
        source = sources[kind]
        place = int(rng.integers(len(source.reals)))
        real = source.face(source.reals[place])
        moment = (lambda g: source.moment_near(place, g)) if len(source.moments) else None
        picture, mask = pseudo_fakes.make(real, Donors(source.similar, moment, rerender), rng)
        fake = Face(picture, real.landmarks)
    return degraded_pair(real, fake, mask, rng)


def generated_pair(sources: dict[str, Source], rng: np.random.Generator) -> tuple[Face, Face]:
    """A generated face and a real one of another person, brought to one size and one encoder.

    The smaller of the two faces sets the size, or the finer picture would give itself away.
    """
    drawn = sources["generated"]
    beside = sources[str(rng.choice([n for n in BESIDE_GENERATED if n in sources]))]
    rows = int(rng.choice(drawn.fakes[:, 0])), int(rng.choice(beside.reals))
    least = min(drawn.native(rows[0]), beside.native(rows[1]), float(align.TIGHT_PX))
    seed = int(rng.integers(2**31))
    faces = [drawn.face(rows[0]), beside.face(rows[1])]
    fake, real = (
        Face(sized(f.picture, least / f.tight_px, np.random.default_rng(seed)), f.landmarks)
        for f in faces
    )
    return fake, real


def sized(picture: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """A picture that was once smaller and encoded so; uint8 of the same shape."""
    scale *= rng.uniform(0.75, 0.98)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    webp = rng.random() < 0.5
    quality = cv2.IMWRITE_WEBP_QUALITY if webp else cv2.IMWRITE_JPEG_QUALITY
    options = [quality, int(rng.integers(60, 96))]
    small = cv2.imdecode(cv2.imencode(".webp" if webp else ".jpg", small, options)[1], 1)
    return cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def degraded_pair(real: Face, fake: Face, mask: np.ndarray, rng: np.random.Generator) -> tuple:
    """Both faces through the same draw of degradation and the same jitter of the cut."""
    seed = int(rng.integers(2**31))
    jitter = _jitter(rng)
    out = []
    for face in (real, fake):
        worn = degraded(face.picture, face.tight_px, np.random.default_rng(seed))
        matrix = cut_matrix(face, face.picture.shape[0], *jitter[:4])
        # a slightly different face finder result for each of the two
        matrix[:, 2] += rng.normal(0, 1.0, 2)
        out.append((cut_input(worn, matrix), matrix))
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
    """(2, 3) from the pixels of a face's picture to its tight crop of 224 pixels, jittered."""
    zoom = align.TIGHT_PX / (face.tight_px * scale)
    cos, sin = zoom * np.cos(turn), zoom * np.sin(turn)
    turned = np.array([[cos, -sin], [sin, cos]])
    centre = np.full(2, side / 2) + np.array([dx, dy]) * face.tight_px
    return np.hstack([turned, (align.TIGHT_PX / 2 - turned @ centre)[:, None]])


def cut_input(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(168, 168, 3) uint8 network input: the tight crop, then area averaging, as in the app."""
    tight = cv2.warpAffine(
        picture,
        matrix,
        (align.TIGHT_PX, align.TIGHT_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return cv2.resize(tight, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Command line: prepare the crops."""
    parser = argparse.ArgumentParser(
        description="Cut the face crops that the spatial recipe reads."
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--outside", type=Path, help="outside-train.csv of training.outside")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        if not (arguments.out / f"{part}-meta.parquet").exists():
            prepare(arguments.data / f"{part}.parquet", arguments.out)
    if arguments.outside:
        prepare_outside(arguments.outside, arguments.out)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
