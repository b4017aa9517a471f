"""How are the lists of other benchmarks read?

DeepfakeBench's JSON (Yan et al., 2023), lists of ``path`` and ``label`` as ForensicHub writes them,
GenD's text lists of stored frames, and ``meta_data.csv`` of FakeAVCeleb. What a label means is read
from its words; the numbers that a benchmark gives to its words are never used, they differ from one
to the next. Opens none of the listed files. Imports errors and hub.labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from errors import UserError
from hub.labels import meaning

FRAMES_A_VIDEO = 32  # evenly spread, as DeepfakeBench tests
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
# FaceForensics++ names its fakes by method: Deepfakes, Face2Face, FaceSwap, NeuralTextures,
# FaceShifter (preprocessing/rearrange.py of DeepfakeBench)
FAKE_LABELS = frozenset(["ff-df", "ff-f2f", "ff-fs", "ff-nt", "ff-fh"])
ALL_REAL = "realvideo-realaudio"  # the one type of FakeAVCeleb in which nothing is fake
TEST_SPLIT = "test"
SPLITS = ("train", "val", TEST_SPLIT)


@dataclass(frozen=True)
class Listed:
    """One listed file.

    Attributes:
        path: as the list writes it.
        label: 0 real, 1 fake.
        video: name of the video that a stored frame belongs to, else empty.
        group: files of one person or video.
        kind: how a fake was made.
        source: name of the set.
    """

    path: str
    label: int
    video: str = ""
    group: str = ""
    kind: str = ""
    source: str = ""


def read_json(path: Path) -> list[Listed]:
    """DeepfakeBench's nested JSON, or a list of objects with ``path`` and ``label``.

    Raises:
        UserError: ``bad_manifest`` with what is wrong.
    """
    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise _bad(path, f"is not a JSON text: {str(error)[:80]}") from error
    result = list(_flat(data, path) if isinstance(data, list) else _nested(data, path))
    if not result:
        raise _bad(path, "lists no files")
    return result


def _flat(rows: list[Any], path: Path) -> Iterator[Listed]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping) or not {"path", "label"} <= set(row):
            raise _bad(path, f"entry {number} has no “path” and “label”")
        given = row["label"]
        if isinstance(given, bool) or given not in (0, 1, "0", "1"):
            label = label_of(str(given), path)
        else:
            label = int(given)
        yield Listed(str(row["path"]), label)


def _nested(data: Any, path: Path) -> Iterator[Listed]:
    """Data set → label → split (→ compression) → video → ``{"label", "frames"}``."""
    videos = list(_videos(data, ()))
    if any(TEST_SPLIT in keys for keys, _ in videos):
        videos = [(keys, video) for keys, video in videos if TEST_SPLIT in keys]
    for keys, video in videos:
        word, frames = str(video["label"]), [str(frame) for frame in video["frames"]]
        label = label_of(word, path)
        name = "/".join(key for key in keys if key not in SPLITS)
        kind = word if label else "real"
        for frame in spread(sorted(frames)):
            yield Listed(_posix(frame), label, name, name, kind, keys[0])


def _videos(data: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping]]:
    if not isinstance(data, Mapping):
        return
    if "label" in data and isinstance(data.get("frames"), list):
        yield keys, data
        return
    for key, inner in data.items():
        yield from _videos(inner, (*keys, str(key)))


def label_of(word: str, path: Path) -> int:
    """0 or 1 by the words of a label, such as ``CelebDFv2_real`` or ``FF-DF``.

    Raises:
        UserError: ``bad_manifest`` for a word that says neither.
    """
    sense = "fake" if word.lower() in FAKE_LABELS else meaning(word)
    if sense not in ("fake", "real"):
        raise _bad(path, f"has the label “{word[:40]}”, which says neither real nor fake")
    return int(sense == "fake")


def read_list(path: Path) -> list[Listed]:
    """GenD's text list: one stored frame a line, ``…/SET/SOURCE/VIDEO/FRAME``; SOURCE says which.

    A source that is not called real, in whole words, is the name of a method, and its files fake.

    Raises:
        UserError: ``bad_manifest`` for a path that is too short to say, or a source that has
            “real” within another word.
    """
    result = []
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        if not (name := line.strip()):
            continue
        parts = PurePosixPath(_posix(name)).parts
        if len(parts) < 3:
            raise _bad(path, f"line {number} is not SOURCE/VIDEO/FRAME")
        source, video = parts[-3], "/".join(parts[-3:-1])
        label = _label_of_source(source, path)
        kind = source if label else "real"
        data_set = parts[-4] if len(parts) > 3 else source
        result.append(Listed(_posix(name), label, video, video, kind, data_set))
    if not result:
        raise _bad(path, "lists no files")
    return result


def _label_of_source(source: str, path: Path) -> int:
    sense = meaning(source)
    if sense is None and "real" in source.lower():
        raise _bad(path, f"has the source “{source[:40]}”, which says neither real nor fake")
    return int(sense != "real")


def is_fakeavceleb(columns: Mapping[str, Any]) -> bool:
    """The header of FakeAVCeleb's ``meta_data.csv``."""
    return {"source", "method", "category", "type", "path"} <= set(columns)


def fakeavceleb_row(row: Mapping[str | None, Any], line: int, path: Path) -> Listed:
    """One row: folder and file name stand in two columns, one of which has no name.

    Everything but real video with real audio is fake; ``source`` is the person.
    """
    texts = [str(cell).strip() for cell in row.values() if isinstance(cell, str)]
    texts += [
        str(cell).strip() for cells in row.values() if isinstance(cells, list) for cell in cells
    ]
    name = next((text for text in reversed(texts) if text.lower().endswith(".mp4")), "")
    if not name or not (kind := str(row["type"] or "").strip()):
        raise _bad(path, f"line {line} names no file or no type")
    folder = next((text for text in reversed(texts) if "/" in text and text != name), "")
    label = int(kind.lower() != ALL_REAL)
    method = str(row["method"] or kind).strip()
    where = name if "/" in name or not folder else f"{folder.rstrip('/')}/{name}"
    return Listed(where, label, "", str(row["source"]), method if label else "real", "FakeAVCeleb")


def frames_of(folder: Path) -> list[Path]:
    """Stored frames of one video, evenly spread; empty if the folder holds no images."""
    result = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)
    return spread(result)


def spread(frames: list[Any]) -> list[Any]:
    """At most `FRAMES_A_VIDEO` of them, evenly spread, in their order."""
    if len(frames) <= FRAMES_A_VIDEO:
        return frames
    step = len(frames) / FRAMES_A_VIDEO
    return [frames[int(number * step)] for number in range(FRAMES_A_VIDEO)]


def _posix(path: str) -> str:
    return path.replace("\\", "/")


def _bad(path: Path, why: str) -> UserError:
    return UserError("bad_manifest", f"“{path.name}” {why}.")
