"""How do many analyses become one table? A row a file, for spreadsheets and scripts.

Rows are made from reports as `report.export.to_json` writes them, so that stored ones fit too; a
file that could not be read is ``{"file": {"name": …}, "error": {"code": …, "sentence": …}}``.
Imports detectors (names).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from detectors.registry import DETECTORS

DETECTOR_COLUMNS = tuple(detector.name for detector in DETECTORS)
COLUMNS = (
    "file", "sha256", "kind", "level", "probability", "log_odds", *DETECTOR_COLUMNS,
    "person", "error", "sentence",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet run a cell."""


def row(report: Mapping[str, Any]) -> list[str]:
    """One row, in the order of ``COLUMNS``; detectors' cells are what they added to the sum."""
    file, error = report["file"], report.get("error")
    if error:
        empty = [""] * (len(COLUMNS) - 3)
        return [_text(file["name"]), *empty, _text(error["code"]), _text(error["sentence"])]
    verdict = report["verdict"]
    added = verdict["contributions"]
    return [
        _text(file["name"]),
        file["sha256"],
        file["kind"],
        verdict["level"],
        _number(verdict["probability"]),
        _number(verdict["log_odds"]),
        *(_number(added.get(name)) for name in DETECTOR_COLUMNS),
        _text(verdict["person"] or ""),
        "",
        _text(report["explanation"][0] if report["explanation"] else ""),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _text(value: str) -> str:
    """Text that no spreadsheet takes for a formula: file names come from strangers."""
    return f"'{value}" if value.startswith(FORMULA) else value


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
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", newline="", encoding="utf-8")
            self._write_cells(list(COLUMNS))
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, report: Mapping[str, Any]) -> None:
        """Add the row of one report."""
        if self._file is not None:
            self._write_cells(row(report))

    def _write_cells(self, cells: list[str]) -> None:
        assert self._file is not None
        csv.writer(self._file, lineterminator="\n").writerow(cells)
        self._file.flush()
