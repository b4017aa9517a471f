"""How are the faces cut that image recipes read?

`python -m training.data.face_crops DATA OUT` cuts them once (DATA: a folder with
faces-train.parquet, faces-val.parquet, portraits.parquet), with ``--outside MANIFEST`` also those
of `training.data.external`. Imports `evaluation` and `media`.
"""

from __future__ import annotations

import argparse
import io
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from evaluation.manifest import read_manifest
from media import align
from media.faces import FaceFinder
from media.image import read_image
from media.sniff import sniff

log = logging.getLogger(__name__)

PARTS = ("faces-train", "faces-val", "portraits")
EXTERNAL = "outside-train"  # the part that `training.data.external` gives
LEAST_FACE_PX = 45.0  # tight side of a face that is worth learning from
MOMENTS = 6  # images of one clip


def prepare(parquet: Path, out: Path, name: str | None = None) -> None:
    """Find and cut the faces of one table; writes NAME-img.npy, NAME-lm.npy, NAME-meta.parquet."""
    name = name or parquet.stem
    table = pd.read_parquet(parquet)
    cuts, rows = [], []
    with FaceFinder() as finder:
        for row, data in enumerate(table["image"]):
            image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            faces = finder.find(image)
            if faces:
                cuts.append(cut_face(image, faces[0].landmarks))
                rows.append(row)
    log.info("%s: a face in %d of %d images", name, len(rows), len(table))
    meta = table.drop(columns="image").iloc[rows].reset_index(drop=True)
    save_part(out, name, cuts, meta)


def prepare_external(manifest: Path, out: Path) -> None:
    """Find and cut all faces of the images and clips of `training.data.external`."""
    cuts, rows = [], []
    with FaceFinder() as finder:
        for item in read_manifest(manifest):
            for number, image in enumerate(_moments(item.path)):
                for face in finder.find(image):
                    native = align.TIGHT_SIDE * align.face_scale_px(face.landmarks)
                    if native < LEAST_FACE_PX:
                        continue
                    cuts.append(cut_face(image, face.landmarks))
                    name = f"{item.path.name}-{number}"
                    rows.append((name, item.label, item.kind, item.source, item.group, native))
    log.info("%s: %d faces", EXTERNAL, len(rows))
    columns = ["name", "label", "kind", "source", "group", "native_px"]
    save_part(out, EXTERNAL, cuts, pd.DataFrame(rows, columns=columns))


def cut_face(image: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The wide crop of a face, and its landmarks there."""
    matrix = align.face_matrix(landmarks)
    return align.cut(image, matrix, align.CROP_PX), align.move(landmarks, matrix)


def save_part(out: Path, part: str, cuts: list[tuple[np.ndarray, np.ndarray]], meta) -> None:
    """The files that `load_part` reads."""
    crops, marks = zip(*cuts, strict=True)
    np.save(out / f"{part}-img.npy", np.stack(crops))
    np.save(out / f"{part}-lm.npy", np.stack(marks))
    meta.to_parquet(out / f"{part}-meta.parquet")


def _moments(path: Path) -> list[np.ndarray]:
    """An image, or a few pages of a moving one, RGB."""
    kind = sniff(path)
    pages, _ = read_image(path, kind.name)
    places = np.linspace(0, len(pages) - 1, min(MOMENTS, len(pages))).astype(int)
    return [pages[place][1] for place in places]


def load_part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Crops, landmarks and table of one prepared part."""
    return (
        np.load(folder / f"{part}-img.npy", mmap_mode="r"),
        np.load(folder / f"{part}-lm.npy", mmap_mode="r"),
        pd.read_parquet(folder / f"{part}-meta.parquet"),
    )


def main() -> None:
    """Command line: prepare the crops."""
    parser = argparse.ArgumentParser(description="Cut the face crops that the image recipes read.")
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--outside", type=Path, help="outside-train.csv of training.outside")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        if not (arguments.out / f"{part}-meta.parquet").exists():
            prepare(arguments.data / f"{part}.parquet", arguments.out)
    if arguments.outside:
        prepare_external(arguments.outside, arguments.out)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
