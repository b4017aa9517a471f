"""Where do the rows go, and which files have one already?

``OUT/verdicts-FINGERPRINT/rows/*.parquet`` is the result, and all that a later run asks. A part is
written under another name and then renamed, or by Ray in two phases; what a killed run left half
done is deleted before the next one begins. Imports batch.rows and batch.storage.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import compute, parquet
from pyarrow.fs import FileSelector, FileType

from batch.rows import SCHEMA, Row, table
from batch.storage import CANNOT_FETCH, Place, asking, place_of
from errors import UserError, writing

COMPRESSION = "zstd"  # of every part, whoever writes it
PENDING = ".pending.parquet"  # how Ray calls what it has begun to write
ROW_BYTES = 4_000  # of a row with seven findings, twice what was measured
RESERVE_BYTES = 100_000_000  # must stay free beside the rows
READERS = 16  # of parts at the same time
OUTCOMES = pa.schema([SCHEMA.field("id"), SCHEMA.field("error")])


@dataclass(frozen=True)
class Output:
    """The folder of one run's rows, and of all runs with the same fingerprint.

    Attributes:
        place: of the folder.
    """

    place: Place

    def inner(self, name: str) -> Place:
        """A folder in it."""
        return replace(self.place, path=f"{self.place.path}/{name}")

    @property
    def rows(self) -> Place:
        """The folder of the parts."""
        return self.inner("rows")

    def begin(self, facts: Mapping[str, Any], files: int) -> None:
        """Make the folders, and see whether there is room for the rows.

        Raises:
            UserError: ``cannot_write`` or ``no_credentials``.
        """
        with asking(self.place.uri(self.place.path)), writing("The output folder"):
            for folder in (self.rows, self.inner("strikes"), self.inner("files")):
                self.place.files.create_dir(folder.path)
            with self.place.files.open_output_stream(self.inner("settings.json").path) as file:
                file.write((json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())
        if self.place.local:
            free, needed = shutil.disk_usage(self.place.path).free, files * ROW_BYTES
            if free < needed + RESERVE_BYTES:
                raise UserError(
                    "cannot_write",
                    f"{files} rows need about {needed / 1e6:.0f} MB and some room, and the disk of "
                    f"{self.place.path} has {free / 1e6:.0f} MB left.",
                )

    def without_a_row(self, files: pa.Table) -> tuple[pa.Table, pa.ChunkedArray]:
        """The files to examine; what a killed run left half done is deleted.

        Returns:
            Those of the files without a row, or whose row says that they could not be fetched; and
            the ids of the latter.

        Raises:
            UserError: ``schema_differs`` when a part has another shape than this program writes.
        """
        self._tidy()
        with ThreadPoolExecutor(READERS) as readers:
            parts = list(readers.map(self._outcomes, self._files("rows")))
        rows = pa.concat_tables([OUTCOMES.empty_table(), *parts])
        errors = compute.call_function("coalesce", [rows["error"], ""])
        may_come = compute.call_function("equal", [errors, CANNOT_FETCH])
        done = rows.filter(compute.call_function("invert", [may_come]))["id"]
        todo = files.filter(compute.call_function("invert", [_among(files["id"], done)]))
        again = rows.filter(may_come)["id"]
        return todo, again.filter(_among(again, todo["id"]))

    def take_out(self, ids: pa.ChunkedArray) -> None:
        """Delete the rows of files that are examined again.

        Raises:
            UserError: ``cannot_write``.
        """
        for path in self._files("rows") if len(ids) else ():
            part = parquet.read_table(path, filesystem=self.place.files)
            rest = part.filter(compute.call_function("invert", [_among(part["id"], ids)]))
            if len(rest) < len(part):
                self._write(rest, PurePosixPath(path).name)

    def _tidy(self) -> None:
        pending = [p for p in self._files("journal") if p.endswith(PENDING)]
        begun = tuple(PurePosixPath(p).name.removesuffix(PENDING) for p in pending)
        for path in self._files("rows"):
            name = PurePosixPath(path).name
            if name.startswith(".") or (begun and name.startswith(begun)):
                self.place.files.delete_file(path)
        if self.place.files.get_file_info(self.inner("journal").path).type != FileType.NotFound:
            self.place.files.delete_dir(self.inner("journal").path)

    def _outcomes(self, path: str) -> pa.Table:
        try:
            with parquet.ParquetFile(path, filesystem=self.place.files) as part:
                if part.schema_arrow.equals(SCHEMA):
                    return part.read(OUTCOMES.names)
                words = "has other columns than this program writes"
        except (pa.ArrowInvalid, OSError) as error:
            words = f"is no table ({' '.join(str(error).split())[:100]})"
        raise UserError(
            "schema_differs",
            f"{self.place.uri(path)} {words}: move it away, or choose another folder with --out.",
        )

    def write(self, rows: Sequence[Row], name: str) -> None:
        """Write a part: all of it, or nothing.

        Raises:
            UserError: ``cannot_write``.
        """
        self._write(table(rows), name)

    def _write(self, rows: pa.Table, name: str) -> None:
        hidden, final = f"{self.rows.path}/.{name}", f"{self.rows.path}/{name}"
        with writing("The rows"):
            parquet.write_table(rows, hidden, filesystem=self.place.files, compression=COMPRESSION)
            self.place.files.move(hidden, final)

    def forgive(self) -> None:
        """Take back the strikes of files that were at work when somebody stopped the run."""
        for path in self._files("strikes"):
            if self.place.files.get_file_info(path).size == 1:
                self.place.files.delete_file(path)

    def counts(self) -> dict[str, int]:
        """How many rows have which level, or which error; most frequent first."""
        rows = parquet.read_table(
            self.rows.path, columns=["level", "error"], filesystem=self.place.files
        )
        words = compute.call_function("coalesce", [rows["level"], rows["error"]])
        pairs = sorted(words.value_counts().to_pylist(), key=lambda pair: -pair["counts"])
        return {pair["values"]: pair["counts"] for pair in pairs}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other run writes here meanwhile, as far as this machine's file system can tell.

        Raises:
            UserError: ``busy``.
        """
        if not self.place.local:
            yield
            return
        import fcntl

        with Path(self.place.path, ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(
                    "busy", f"Another run writes to {self.place.path} at the moment."
                ) from error
            yield

    def _files(self, folder: str) -> list[str]:
        inside = FileSelector(self.inner(folder).path, recursive=True, allow_not_found=True)
        entries = self.place.files.get_file_info(inside)
        return sorted(info.path for info in entries if info.type == FileType.File)


def output_for(out: str, fingerprint: str) -> Output:
    """The folder below ``out`` for this fingerprint."""
    place = place_of(out)
    return Output(replace(place, path=f"{place.path.rstrip('/')}/verdicts-{fingerprint}"))


def _among(ids: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
    """For each id whether it is one of the others."""
    return compute.call_function("is_in", [ids], compute.SetLookupOptions(others))
