"""Which faces do the probes see? `python -m training.probes.crops DATA MAN CROPS` cuts them once.

DATA holds ``wild/``, ``devset/``, ``talking/`` and ``faces-*.parquet``, MAN what
`training.data.external` wrote. Of a clip four frames are cut. Imports evaluation and media.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.manifest import Item, read_manifest
from media.clip import Clip
from media.faces import FaceFinder
from training.data.face_crops import cut_face, prepare, save_part
from training.data.manifests import devset_items
from training.data.wild import clip_items

log = logging.getLogger(__name__)

PLACES = (1 / 7, 3 / 7, 4 / 7, 6 / 7)  # of a clip's length, where a frame is cut
TABLES = ("faces-train", "faces-val", "portraits")


def frames(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """(time_s, (h, w, 3) uint8 RGB): the image itself, or four frames of a clip."""
    with Clip(path) as clip:
        for place in PLACES if clip.duration_s else (0.0,):
            start_s = place * clip.duration_s
            yield from [next(iter(clip.frames(start_s, start_s + 1.0)))]


def cut_files(items: Sequence[Item], part: str, out: Path) -> None:
    """Cut the largest face of each frame of some files; writes what `load_part` reads."""
    cuts, rows = [], []
    with FaceFinder() as finder:
        for item in items:
            for time_s, image in frames(item.path):
                faces = finder.find(image)
                if faces:
                    cuts.append(cut_face(image, faces[0].landmarks))
                    rows.append((item.path.name, item.label, item.kind, item.source, time_s))
    columns = ["file", "label", "kind", "source", "time_s"]
    save_part(out, part, cuts, pd.DataFrame(rows, columns=columns))
    log.info("%s: %d faces", part, len(rows))


def main() -> None:
    """Command line; what is there is kept."""
    parser = argparse.ArgumentParser(description="Cut the face crops of the probes.")
    parser.add_argument("data", type=Path)
    parser.add_argument("manifests", type=Path, help="studio.csv, outside-train.csv")
    parser.add_argument("crops", type=Path)
    chosen = parser.parse_args()
    chosen.crops.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        if not (chosen.crops / f"{name}-meta.parquet").exists():
            prepare(chosen.data / f"{name}.parquet", chosen.crops)
    if not (chosen.crops / "wild-meta.parquet").exists():
        prepare(chosen.data / "wild" / "faces.parquet", chosen.crops, "wild")
    files = {
        "wild-clips": clip_items(chosen.data / "wild" / "clips"),
        "devset": devset_items(chosen.data / "devset"),
        "studio": read_manifest(chosen.manifests / "studio.csv"),
        "outside-train": read_manifest(chosen.manifests / "outside-train.csv"),
        "talking": [
            Item(path.name, path, 0, path.stem, "real", f"talking-{path.name[:2]}")
            for path in sorted((chosen.data / "talking").glob("*.mp4"))
        ],
    }
    for part, items in files.items():
        if not (chosen.crops / f"{part}-meta.parquet").exists():
            cut_files(items, part, chosen.crops)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
