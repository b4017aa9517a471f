"""Which files are measured, and what is known about each?

Reads a CSV with the columns ``path,label`` and optionally ``group,kind,source,video``, a folder
with ``real/`` and ``fake/`` in it, or the list of another benchmark (`evaluation.formats`). A path
may be a folder of stored frames of one video. Opens none of the files. Imports errors,
evaluation.formats, media.sniff and report.cells.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from errors import UserError
from evaluation import formats
from media.sniff import may_be_media
from report.cells import plain_text, text_cell

COLUMNS = ("path", "label", "group", "kind", "source", "video")
READERS = {".json": formats.read_json, ".txt": formats.read_list}  # of other benchmarks
LABELS = {"0": 0, "1": 1, "real": 0, "fake": 1}
FOLDERS = {"real": 0, "fake": 1}


@dataclass(frozen=True)
class Item:
    """One file with its truth.

    Attributes:
        name: the path as the manifest writes it; the first column of ``scores.csv``.
        path: where the file is.
        label: 0 real, 1 fake.
        group: files that share a person or a source; intervals and folds are drawn over groups.
        kind: how it was made, ``real`` or ``fake`` when nobody says.
        source: where it comes from, may be empty.
        video: name of the video that a stored frame belongs to, else empty.
    """

    name: str
    path: Path
    label: int
    group: str = ""
    kind: str = ""
    source: str = ""
    video: str = ""

    @property
    def unit(self) -> str:
        """The group, or the file itself where no group was given."""
        return self.group or self.name


def read_manifest(path: str | Path) -> tuple[Item, ...]:
    """Read a manifest or a folder.

    Args:
        path: a CSV file, or a folder that holds ``real/`` and ``fake/``.

    Raises:
        UserError: ``bad_manifest`` with the line and what is wrong with it.
    """
    path = Path(path)
    items = _read(path)
    if not items:
        raise UserError("bad_manifest", f"“{path.name}” lists no files.")
    return items


def _read(path: Path) -> tuple[Item, ...]:
    if path.is_dir():
        return _from_folder(path)
    suffix = path.suffix.lower()
    if suffix in READERS and path.is_file():
        return tuple(_listed(entry, path) for entry in READERS[suffix](path))
    return _from_csv(path)


def _listed(entry: formats.Listed, manifest: Path) -> Item:
    """An entry of another benchmark's list."""
    kind = entry.kind or ("fake" if entry.label else "real")
    where = _located(entry.path, manifest)
    return Item(entry.path, where, entry.label, entry.group, kind, entry.source, entry.video)


def write_manifest(path: Path, items: Sequence[Item]) -> None:
    """Write items as a CSV that `read_manifest` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for item in items:
            texts = (item.name, item.group, item.kind, item.source, item.video)
            name, *rest = map(text_cell, texts)
            writer.writerow((name, item.label, *rest))


def _from_csv(path: Path) -> tuple[Item, ...]:
    if not path.is_file():
        raise UserError(
            "bad_manifest", f"There is no manifest “{path}”, nor a folder with real/ and fake/."
        )
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError("bad_manifest", f"“{path.name}” is not a CSV text: {error}.") from error
    if rows and formats.is_fakeavceleb(rows[0]):
        entries = [formats.fakeavceleb_row(row, line, path) for line, row in enumerate(rows, 2)]
        return tuple(_listed(entry, path) for entry in entries)
    for column in ("path", "label"):
        if rows and column not in rows[0]:
            raise UserError("bad_manifest", f"“{path.name}” has no column “{column}”.")
    items = (_item(row, line, path) for line, row in enumerate(rows, 2))
    return tuple(frame for item in items for frame in _frames(item))


def _frames(item: Item) -> list[Item]:
    """A folder of stored face frames is one video: an item for each frame; a file is itself."""
    if not item.path.is_dir():
        return [item]
    frames = formats.frames_of(item.path)
    if not frames:
        raise UserError("bad_manifest", f"“{item.name}” is a folder without images.")
    video = item.video or item.name
    return [
        replace(
            item,
            name=f"{item.name.rstrip('/')}/{frame.name}",
            path=frame,
            group=item.group or video,
            video=video,
        )
        for frame in frames
    ]


def _item(row: Mapping[str, str | None], line: int, manifest: Path) -> Item:
    values = {column: plain_text((row.get(column) or "").strip()) for column in COLUMNS}
    if not values["path"]:
        raise UserError("bad_manifest", f"Line {line} of “{manifest.name}” names no file.")
    label = LABELS.get(values["label"].lower())
    if label is None:
        raise UserError(
            "bad_manifest",
            f"Line {line} of “{manifest.name}”: label must be 0 (real) or 1 (fake), "
            f"got “{values['label'][:20]}”.",
        )
    kind = values["kind"] or ("fake" if label else "real")
    path = _located(values["path"], manifest)
    rest = (values["group"], kind, values["source"], values["video"])
    return Item(values["path"], path, label, *rest)


def _located(name: str, manifest: Path) -> Path:
    """A relative path starts at the manifest; if nothing is there, at the working folder."""
    beside = manifest.parent / Path(name).expanduser()
    return beside if beside.exists() or not Path(name).exists() else Path(name)


def _from_folder(folder: Path) -> tuple[Item, ...]:
    missing = [name for name in FOLDERS if not (folder / name).is_dir()]
    if missing:
        raise UserError("bad_manifest", f"“{folder.name}” has no folder “{missing[0]}” in it.")
    items = []
    for name, label in FOLDERS.items():
        for path in sorted((folder / name).rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if path.is_file() and not hidden and may_be_media(path):
                items.append(_labeled_by_folder(path, folder / name, label))
    return tuple(items)


def _labeled_by_folder(path: Path, root: Path, label: int) -> Item:
    """A sub-folder says the kind of a fake and the source of a real file."""
    inner = path.relative_to(root).parts[:-1]
    words = inner[0] if inner else ""
    name = path.relative_to(root.parent).as_posix()
    if label:
        return Item(name, path, label, "", words or "fake", "")
    return Item(name, path, label, "", "real", words)
