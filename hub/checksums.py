"""Is this file the one that we mean?

Checksums of large files, computed once for each state of a file, and small files written so that a
reader never sees half of one. Imports errors.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import lru_cache
from pathlib import Path

from errors import writing


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file as 64 hex digits; remembered until size or time change."""
    state = path.stat()
    return _sha256(str(path.resolve()), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _sha256(path: str, size_bytes: int, changed_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Write a small text file in one step, so that two processes cannot mix their halves.

    Raises:
        UserError: ``cannot_write``.
    """
    with writing(f"The file {path.name}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
