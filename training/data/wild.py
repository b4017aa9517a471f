"""Which faces and clips show many tools, many cameras and many people?

Unpacks ``wild/faces.parquet`` and lists ``wild/clips``, split by whole pages and sets, and tells
what the file names say of the people: age, sex and ancestry as the sets' own makers noted them.
Imports evaluation.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from evaluation.manifest import Item

PEOPLE = "people.csv"  # path, technique, age, sex, ancestry
SEXES = ("male", "female")
ANCESTRIES = ("White", "Black", "Asian", "Indian", "other")  # UTKFace's words, by its numbers
UTKFACE_NAME = re.compile(r"^(\d{1,3})_([01])_([0-4])_\d+")  # age_sex_race_date
AAF_NAME = re.compile(r"A(\d{2})\.")  # All-Age-Faces: number, then A and the age


def items(folder: Path, out: Path) -> dict[str, list[Item]]:
    """The manifests ``wild`` (faces) and ``wild-clips``; writes ``people.csv`` beside them.

    Args:
        folder: holds ``faces.parquet`` and ``clips/labels.csv``.
        out: the faces are unpacked to ``out/wild``.
    """
    table = pd.read_parquet(folder / "faces.parquet")
    faces = unpacked(table, out / "wild")
    clips = clip_items(folder / "clips")
    rows = [*table.to_dict("records"), *pd.read_csv(folder / "clips/labels.csv").to_dict("records")]
    people = [person(item, row) for item, row in zip([*faces, *clips], rows, strict=True)]
    pd.DataFrame(people).to_csv(out / PEOPLE, index=False)
    return {"wild": faces, "wild-clips": clips}


def unpacked(table: pd.DataFrame, folder: Path) -> list[Item]:
    """One file a row, as it was published, named by its row."""
    folder.mkdir(parents=True, exist_ok=True)
    result = []
    for number, row in enumerate(table.to_dict("records")):
        path = folder / f"{number:05d}.jpg"
        if not path.is_file():
            path.write_bytes(row["image"])
        result.append(_item(f"{folder.name}/{path.name}", path, row))
    return result


def clip_items(folder: Path) -> list[Item]:
    """The clips of ``labels.csv``, where they lie."""
    rows = pd.read_csv(folder / "labels.csv").to_dict("records")
    paths = [(folder / str(row["file"])).resolve() for row in rows]
    return [_item(str(path), path, row) for path, row in zip(paths, rows, strict=True)]


def _item(name: str, path: Path, row: dict) -> Item:
    label = int(row["label"])
    kind = family(str(row["tool"])) if label else "real"
    return Item(name, path, label, str(row["group"]), kind, str(row["source"]))


def family(tool: str) -> str:
    """A tool's name as one word: ``generated.photos (StyleGAN family)`` is generated.photos."""
    return re.sub(r"[^a-z0-9.]+", "-", tool.lower().split(" (")[0]).strip("-")


def person(item: Item, row: dict) -> dict[str, object]:
    """What is known of the person: technique of the fake, age in years, sex, ancestry; or None."""
    known: dict[str, object] = {"path": item.name, "technique": row["kind"]}
    return known | appearance(str(row["source"]), str(row.get("path", "")))


def appearance(source: str, path: str) -> dict[str, object]:
    """Age in years, sex and ancestry, as a set's makers noted them in a file's name; or None."""
    name = Path(path).name
    if source == "utkface" and (result := UTKFACE_NAME.match(name)):
        age, sex, ancestry = map(int, result.groups())
        return {"age": age, "sex": SEXES[sex], "ancestry": ANCESTRIES[ancestry]}
    if source == "aaf" and (result := AAF_NAME.search(name)):
        return {"age": int(result[1]), "sex": None, "ancestry": "Asian"}
    return {"age": None, "sex": None, "ancestry": None}
