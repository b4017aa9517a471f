"""How do many analyses become one table? A row a file, for spreadsheets and scripts.

Rows are made from reports as `report.export.to_json` writes them, so that stored ones fit too; a
file that could not be read is ``{"file": {"name": …}, "error": {"code": …, "sentence": …}}``.
Imports detectors (names).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from detectors.registry import names
from errors import writing
from report.cells import text_cell

BEFORE = ("file", "sha256", "kind", "level", "probability", "log_odds")
AFTER = ("person", "error", "sentence")


def columns() -> tuple[str, ...]:
    """The names of all columns; between the others one a detector."""
    return (*BEFORE, *names(), *AFTER)


def row(report: Mapping[str, Any]) -> list[str]:
    """One row, in the order of `columns`; detectors' cells are what they added to the sum."""
    file, error = report["file"], report.get("error")
    if error:
        empty = [""] * (len(columns()) - 3)
        return [
            text_cell(file["name"]),
            *empty,
            text_cell(error["code"]),
            text_cell(error["sentence"]),
        ]
    verdict = report["verdict"]
    added = verdict["contributions"]
    return [
        text_cell(file["name"]),
        file["sha256"],
        file["kind"],
        verdict["level"],
        _number(verdict["probability"]),
        _number(verdict["log_odds"]),
        *(_number(added.get(name)) for name in names()),
        text_cell(verdict["person"] or ""),
        "",
        text_cell(report["explanation"][0] if report["explanation"] else ""),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


class TableWriter:
    """Writes rows as they come, so that a run that is stopped leaves those that were done.

    Args:
        path: the CSV file; None writes nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: TextIO | None = None

    def __enter__(self) -> TableWriter:
        if self.path is not None:
            with writing(f"The table {self.path.name}"):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("w", newline="", encoding="utf-8")
            self._write_cells(list(columns()))
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with suppress(OSError):  # a full disk has been told when the row was written
                self._file.close()

    def write(self, report: Mapping[str, Any]) -> None:
        """Add the row of one report."""
        if self._file is not None:
            self._write_cells(row(report))

    def _write_cells(self, cells: list[str]) -> None:
        assert self._file is not None and self.path is not None
        with writing(f"The table {self.path.name}"):
            csv.writer(self._file, lineterminator="\n").writerow(cells)
            self._file.flush()
