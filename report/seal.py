"""How is it noticed that a report was changed after it was made?

A report carries the SHA-256 of everything else in it. `analyze` writes that hash into a log as
well, one line a report, each line bound to the one before: who keeps the last line elsewhere can
prove later that nothing was changed, added or taken out before it. This is no signature: who
changes a report can make a new hash, but not in a log that others keep. Imports errors only.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock

FIELD = "report_sha256"
LOG_NAME, LOCK_NAME = "reports.log", ".reports.log.lock"
START = "0" * 64  # the line before the first
MOST_LINE_BYTES = 1000  # three hashes and a level have some 250
LARGEST_WHOLE = 2.0**53  # beyond, floats are no longer exact whole numbers


def report_hash(report: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of a report without its own hash.

    It is taken of the values, sorted and without spaces, so that another order or layout of the
    same JSON has the same hash; 1.0 and 1 count as the same number, as in RFC 8785.
    """
    rest = {name: value for name, value in report.items() if name != FIELD}
    text = json.dumps(_plain(rest), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def sealed(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report with its hash."""
    return {**report, FIELD: report_hash(report)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    whole = isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_WHOLE
    return int(value) if whole else value


# ---------------------------------------------------------------- the log


@dataclass(frozen=True)
class Line:
    """One line of the log: a report, and the chain up to it.

    Attributes:
        report: hash of the report.
        file: SHA-256 of the file that it is about.
        level: of its verdict.
        chain: hash of the line before and of this one.
    """

    report: str
    file: str
    level: str
    chain: str

    def text(self) -> str:
        """The line, without its end; no names of files stand in it."""
        return f"report {self.report} file {self.file} chain {self.chain} {self.level}"


def next_line(report: Mapping[str, Any], before: str = START) -> Line:
    """The line of a report after the line whose chain is ``before``."""
    words = (str(report[FIELD]), str(report["file"]["sha256"]), str(report["verdict"]["level"]))
    return Line(*words, chain=_chain(before, *words))


def append(folder: Path, report: Mapping[str, Any]) -> Line:
    """Add a report to the log of a folder and return its line; one process at a time."""
    path = folder / LOG_NAME
    with FileLock(folder / LOCK_NAME), path.open("ab+") as file:
        line = next_line(report, _last_chain(file))
        file.write(line.text().encode() + b"\n")
    return line


def _last_chain(file: BinaryIO) -> str:
    """The chain of the last line of a log; the rest of it is not read."""
    stop = file.seek(0, os.SEEK_END)
    file.seek(max(0, stop - MOST_LINE_BYTES))
    lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return _read(lines[-1]).chain if lines else START


class Chain:
    """The lines that one process writes, each bound to the one before; for any thread.

    Args:
        write: takes each line, in order.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self._before = write, START
        self._lock = threading.Lock()

    def add(self, report: Mapping[str, Any]) -> None:
        """Write the line of a report."""
        with self._lock:
            line = next_line(report, self._before)
            self._write(line.text())
            self._before = line.chain


def read_log(path: Path) -> list[Line]:
    """The lines of a log; none where there is no log. What is no line ends up as an empty one."""
    if not path.is_file():
        return []
    return [_read(text) for text in path.read_text("utf-8", "replace").splitlines() if text.strip()]


def first_break(lines: list[Line]) -> int | None:
    """Number, from 1, of the first line that does not follow from the one before, or None."""
    before = START
    for number, line in enumerate(lines, 1):
        if line.chain != _chain(before, line.report, line.file, line.level):
            return number
        before = line.chain
    return None


def _read(text: str) -> Line:
    words = text.split(" ", 6)
    if len(words) != 7 or words[::2][:3] != ["report", "file", "chain"]:
        return Line("", "", "", "")
    return Line(words[1], words[3], words[6], words[5])


def _chain(before: str, *words: str) -> str:
    return hashlib.sha256("\n".join((before, *words)).encode()).hexdigest()
