"""Which files are examined?

All of a folder, of a prefix in a storage, or of a manifest: a CSV with a column ``path`` or
``uri``. A file's id is a hash of its URI. Opens none of the files. Imports batch.storage and rooms
to the left.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import pyarrow as pa
from pyarrow.fs import FileSelector, FileType

from batch.storage import Place, asking, place_of
from errors import UserError
from media.sniff import may_be_media
from report.cells import plain_text

ID_HEX = 32  # 128 bits: among 10 million files two equal ones are as likely as 1 in 10^25
COLUMNS = ("uri", "path")
FILES = pa.schema([("id", pa.string()), ("uri", pa.string())])


def id_of(uri: str) -> str:
    """A hash of a URI, in hexadecimal digits."""
    return hashlib.sha256(uri.encode()).hexdigest()[:ID_HEX]


def listing(source: str) -> pa.Table:
    """The files of a source, each once.

    Args:
        source: a folder, a manifest, or a URI of one of both.

    Returns:
        A table of `FILES` in the order of the source.

    Raises:
        UserError: ``bad_listing`` or ``no_credentials``.
    """
    place = place_of(source)
    name = source.partition("?")[0]
    with asking(name):
        kind = place.files.get_file_info(place.path).type
        if kind == FileType.Directory:
            uris = _in_folder(place)
        elif kind == FileType.File:
            uris = _in_manifest(place)
        else:
            raise UserError("bad_listing", f"There is no folder and no manifest “{name}”.")
    uris = list(dict.fromkeys(uris))
    if not uris:
        raise UserError("bad_listing", f"“{name}” lists no files.")
    return pa.table([[id_of(uri) for uri in uris], uris], FILES)


def _in_folder(place: Place) -> Iterable[str]:
    entries = place.files.get_file_info(FileSelector(place.path, recursive=True))
    depth = len(PurePosixPath(place.path).parts)
    for path in sorted(info.path for info in entries if info.type == FileType.File):
        inner = PurePosixPath(path).parts[depth:]
        if may_be_media(path) and not any(part.startswith(".") for part in inner):
            yield place.uri(path)


def _in_manifest(place: Place) -> Iterable[str]:
    name = PurePosixPath(place.path).name
    with place.files.open_input_stream(place.path) as stream:
        text = io.TextIOWrapper(io.BytesIO(stream.readall()), "utf-8-sig", newline="")
    try:
        rows = csv.DictReader(text)
        column = next((c for c in COLUMNS if c in (rows.fieldnames or ())), None)
        if column is None:
            raise UserError("bad_listing", f"“{name}” has no column “path” or “uri”.")
        for line, row in enumerate(rows, 2):
            cell = plain_text((row[column] or "").strip())
            if not cell:
                raise UserError("bad_listing", f"Line {line} of “{name}” names no file.")
            yield _located(cell, place)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError("bad_listing", f"“{name}” is not a CSV text: {error}.") from error


def _located(cell: str, manifest: Place) -> str:
    """The URI of an entry; a relative path starts at the manifest."""
    if "://" in cell:
        scheme, _, rest = cell.partition("://")
        return f"{scheme}://{quote(rest, safe='/%:@+,=~!$&()*;')}"
    if manifest.local:
        beside = Path(manifest.path).parent / Path(cell).expanduser()
        return Path(os.path.normpath(beside)).as_uri()
    return manifest.uri(str(PurePosixPath(manifest.path).parent / cell))
