"""Which manifests do the figures of the model cards come from?

``python -m training.data.manifests DATA OUT`` writes manifests for ``python cli.py evaluate``: the
development clips, the held-out faces and portraits (unpacked as they were published, byte by byte),
the same faces after JPEG 40 and at half size, faces and clips of many tools and cameras (`wild`,
with what is known of their people), and with ``--talking`` real clips of people unseen in training
and all real clips with their own and with a foreign voice. Imports evaluation and media.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from evaluation.manifest import Item, write_manifest
from evaluation.tiers import Tier, write_video
from media.clip import Clip
from media.degrade import encode, shrink
from media.speech import speech_stretches
from training.data import wild

LOW_QUALITY = 40  # quality of the re-encoded copies
SHARED_ROOMS = ("dialogue_", "meeting_")  # recordings of the same people
CLIPS_A_PERSON = 8
LEAST_SPEECH_S = 0.8  # below, no detector can compare voice and lips
DUBBED_EVERY = 2  # one of so many clips
DUBBED = Tier("dubbed", long_side_px=1280, crf=20, jpeg=90, audio_bps=96_000)
LOSSLESS_LIKE = 95  # quality at which half-size copies are kept


def devset_items(folder: Path) -> list[Item]:
    """The labeled clips; what they are made from is not known, so each is its own group.

    Args:
        folder: holds ``labels.csv`` with file,label,kind,seconds.
    """
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    items = []
    for row in rows:
        fake = row["label"] == "fake"
        path = (folder / row["file"]).resolve()
        kind, source = (row["kind"], "") if fake else ("real", row["kind"])
        items.append(Item(str(path), path, int(fake), group_of(path.stem), kind, source))
    return items


def group_of(stem: str) -> str:
    """Clips that show one face or one room share a group, as far as their names tell.

    A clip and its super-resolved copy belong together, and what one generator made of one face;
    so do all pieces of the acted dialogue and of the meeting.
    """
    if stem.startswith(SHARED_ROOMS):
        return stem.split("_")[0]
    return stem.removesuffix("_SR").removesuffix("_512").split("-")[0]


def face_items(
    parquet: Path, folder: Path, change: Callable[[bytes], bytes] | None = None
) -> list[Item]:
    """Unpack the held-out faces of a parquet file as JPEG files.

    Args:
        parquet: columns image, label, kind, source, name, pair, group, split.
        folder: where the images go.
        change: from JPEG bytes to JPEG bytes; as published when None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for index, row in enumerate(pd.read_parquet(parquet).itertuples()):
        if row.split != "val":
            continue
        path = folder / f"{index:05d}.jpg"
        if not path.is_file():
            path.write_bytes(row.image if change is None else change(row.image))
        label = int(row.label)
        kind, source = (row.kind, row.source) if label else ("real", row.source)
        name = f"{folder.name}/{path.name}"
        items.append(Item(name, path, label, f"{row.source}-{row.group}", kind, source))
    return items


def jpeg_40(data: bytes) -> bytes:
    """The image compressed once more, hard."""
    return encode(_decoded(data), LOW_QUALITY)


def half_size(data: bytes) -> bytes:
    """The image at half its width and height."""
    image = _decoded(data)
    size = (image.shape[1] // 2, image.shape[0] // 2)
    return encode(shrink(image, size), LOSSLESS_LIKE)


def _decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def talking_items(clips: Path, index: Path) -> list[Item]:
    """Real clips of people whom no recipe was trained on, at most a few of each person.

    Args:
        clips: folder of the talking clips.
        index: index.parquet of `training.data.talking_people`.
    """
    table = pd.read_parquet(index)
    table = table[table["split"].isin(["val", "test"])]
    items = []
    for person, subset in table.groupby("person"):
        for name in subset["clip"].iloc[:CLIPS_A_PERSON]:
            path = (clips / f"{name}.mp4").resolve()
            source = f"talking-{name.split('_')[0]}"
            items.append(Item(str(path), path, 0, str(person), "real", source))
    return items


def dubbed_items(reals: list[Item], folder: Path) -> list[Item]:
    """Real clips with speech, each twice, written alike: with its own sound, and with that of the
    next clip of somebody else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    voices = []
    for item in reals:
        with Clip(item.path) as clip:
            audio = clip.audio(0.0, clip.duration_s)
        spoken = 0.0 if audio is None else float(np.ptp(speech_stretches(audio, 0.0), 1).sum())
        if audio is not None and spoken >= LEAST_SPEECH_S:
            voices.append((item, audio))
    items = []
    for number, (item, subset) in list(enumerate(voices))[::DUBBED_EVERY]:
        others = voices[number + 1 :] + voices[:number]
        foreign = next(s for other, s in others if other.group != item.group)
        for label, audio in enumerate((subset, np.resize(foreign, len(subset)))):
            path = folder / f"{number:03d}-{'foreign' if label else 'own'}-sound.mp4"
            if not path.is_file():
                with Clip(item.path) as clip:
                    write_video(clip, path, DUBBED, audio)
            kind, source = "dubbed" if label else "real", f"resounded-{item.source}"
            items.append(Item(f"{folder.name}/{path.name}", path, label, item.unit, kind, source))
    return items


def write_all(data: Path, out: Path, every: int, index: Path | None = None) -> list[Path]:
    """Write all manifests; of the faces every ``every``-th group member is taken."""
    out.mkdir(parents=True, exist_ok=True)
    made = {"devset": devset_items(data / "devset")}
    if index is not None:
        made["talking"] = talking_items(data / "talking", index)
        reals = [i for i in (*made["devset"], *made["talking"]) if i.label == 0]
        made["dubbed"] = dubbed_items(reals, out / "dubbed")
    if (data / "wild").is_dir():
        made |= wild.items(data / "wild", out)
    parquet = data / "faces-val.parquet"
    for name, change in (("faces", None), ("faces-jpeg40", jpeg_40), ("faces-half", half_size)):
        made[name] = face_items(parquet, out / name, change)[::every]
    made["portraits"] = face_items(data / "portraits.parquet", out / "portraits")
    paths = []
    for name, items in made.items():
        paths.append(out / f"{name}.csv")
        write_manifest(paths[-1], items)
    return paths


def main() -> None:
    """Read the folders from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with devset/ and faces-val.parquet")
    parser.add_argument("out", type=Path, help="where manifests and unpacked images go")
    parser.add_argument("--talking", type=Path, help="index.parquet, for the talking clips")
    parser.add_argument("--every", type=int, default=2, help="take every n-th face only")
    chosen = parser.parse_args()
    for path in write_all(chosen.data, chosen.out, chosen.every, chosen.talking):
        print(path)


if __name__ == "__main__":
    main()
