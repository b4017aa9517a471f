"""Where do many files lie, and how does one of them come to this machine?

An address is a path of this machine, or a URI that Apache Arrow (``file://``, ``s3://``, ``gs://``)
or fsspec understands. Whoever asks a storage has credentials where its own tools look for them.
Imports errors.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pyarrow import ArrowInvalid, ArrowNotImplementedError
from pyarrow.fs import FileSystem, FSSpecHandler, LocalFileSystem, PyFileSystem

from errors import UserError

CANNOT_FETCH = "cannot_fetch"  # may be otherwise the next time
REFUSED = (
    "credential", "access_denied", "access denied", "accessdenied", "forbidden", "unauthorized",
    "unauthenticated", "permission", "invalidaccesskeyid", "signaturedoesnotmatch", "401", "403",
)  # fmt: skip
"""What storages say, in small letters, to those whom they do not know."""


@dataclass(frozen=True)
class Place:
    """A file or folder somewhere.

    Attributes:
        files: the storage.
        path: in it.
        root: what makes a URI of a path without its first slash: ``file:///``, ``s3://``.
    """

    files: FileSystem
    path: str
    root: str

    def uri(self, path: str) -> str:
        """The URI of a path in this storage."""
        return self.root + quote(path.lstrip("/"))

    @property
    def local(self) -> bool:
        """It lies in the file system of this machine."""
        return isinstance(self.files, LocalFileSystem)


def place_of(address: str) -> Place:
    """Where an address leads; nothing is asked yet, but S3 for the region of a bucket.

    Raises:
        UserError: ``bad_listing`` for an unknown kind of address; ``no_credentials``.
    """
    if "://" not in address:
        return Place(LocalFileSystem(), str(Path(address).expanduser().absolute()), "file:///")
    parts = urlsplit(address)
    with asking(address):
        files, base, root = _storage(parts.scheme, parts.netloc, parts.query)
    path = base.rstrip("/") + unquote(parts.path)
    return Place(files, path, root)


def storage_of(uri: str) -> str:
    """Scheme and host: ``s3://bucket``."""
    return "/".join(uri.partition("?")[0].split("/")[:3])


def address_of(uri: str, source: str) -> str:
    """The URI of a file with the settings of its storage, where the source names that storage."""
    _, mark, settings = source.partition("?")
    return uri + mark + settings if storage_of(uri) == storage_of(source) else uri


def ask_each(uris: Iterable[str], source: str) -> None:
    """Read the first byte of one file of each storage; one that is not there is no refusal.

    Args:
        uris: of files.
        source: where they were listed; see `address_of`.

    Raises:
        UserError: ``no_credentials``, or ``bad_listing`` where a storage cannot be reached.
    """
    first: dict[str, str] = {}
    for uri in uris:
        first.setdefault(storage_of(uri), uri)
    for uri in first.values():
        place = place_of(address_of(uri, source))
        if not place.local:
            with (
                asking(uri),
                suppress(FileNotFoundError),
                place.files.open_input_stream(place.path) as file,
            ):
                file.read(1)


@lru_cache(maxsize=64)  # a client for each file would ask for the region each time
def _storage(scheme: str, host: str, query: str) -> tuple[FileSystem, str, str]:
    """A storage, the path that its host stands for, and what its URIs begin with."""
    uri = f"{scheme}://{host}" + (f"?{query}" if query else "")
    try:
        files, base = FileSystem.from_uri(uri if host else f"{scheme}:///")
        return files, base, f"{scheme}:///" if scheme == "file" else f"{scheme}://"
    except (ArrowInvalid, ArrowNotImplementedError) as unknown:
        import fsspec

        try:
            files, base = fsspec.core.url_to_fs(f"{scheme}://{host}")
        except (ImportError, ValueError) as error:
            raise UserError(
                "bad_listing",
                f"Addresses that begin with {scheme}:// cannot be read here: {error}.",
            ) from unknown
        return PyFileSystem(FSSpecHandler(files)), base, f"{scheme}://"


@contextmanager
def asking(address: str) -> Iterator[None]:
    """Turn a storage's refusal into a sentence.

    Raises:
        UserError: ``no_credentials``, or ``bad_listing`` where it cannot be reached or read.
    """
    try:
        yield
    except OSError as error:
        words = " ".join(str(error).split())
        name = address.partition("?")[0]
        if any(word in words.lower() for word in REFUSED):
            raise UserError(
                "no_credentials",
                f"{name} does not let you in. Its credentials are looked for where its own tools "
                f"look (for s3:// AWS_ACCESS_KEY_ID or a profile, for gs:// "
                f"GOOGLE_APPLICATION_CREDENTIALS). It said: {words[:300]}",
            ) from error
        raise UserError("bad_listing", f"{name} cannot be read: {words[:300]}.") from error


@contextmanager
def fetched(address: str) -> Iterator[Path]:
    """A path of this machine with the content of a file; a copy is deleted afterwards.

    Raises:
        UserError: ``cannot_fetch`` where the storage does not give it.
    """
    try:
        place = place_of(address)
    except UserError as error:
        raise UserError(CANNOT_FETCH, error.sentence) from error
    if place.local:
        yield Path(place.path)
        return
    with tempfile.TemporaryDirectory(prefix="deepfake-batch-") as folder:
        copy = Path(folder) / (Path(place.path).name or "file")
        try:
            with place.files.open_input_stream(place.path) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except OSError as error:
            words = " ".join(str(error).split())[:300]
            raise UserError(CANNOT_FETCH, f"The file could not be fetched: {words}.") from error
        yield copy
