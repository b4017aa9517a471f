"""What is the outcome for one file, and how is it written to ``scores.csv``?

The table that metrics and reports start from: one row a file, in the manifest's order. Imports hub
(names of the detectors), report.cells and evaluation.manifest.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detectors.registry import names
from evaluation.manifest import Item
from report.cells import text_cell

PARTS = ("log_odds", "status", "reason")
FACTS = ("path", "label", "group", "kind", "level", "probability", "log_odds")


def columns() -> tuple[str, ...]:
    """The names of all columns; three a detector."""
    return (*FACTS, *(f"{name}_{part}" for name in names() for part in PARTS))


@dataclass(frozen=True)
class Number:
    """What one detector says about a file.

    Attributes:
        log_odds: calibrated if the checkpoint is; None where there is no number.
        status: ``counted``, ``uncalibrated``, ``experimental`` or ``not_applicable``.
        reason: code of the reason why there is no number, else empty.
    """

    log_odds: float | None
    status: str
    reason: str


@dataclass(frozen=True)
class Score:
    """What the program says about one file.

    Attributes:
        item: the file and its truth.
        level: one of the five levels.
        probability: 0..1, or None when nothing could be counted.
        log_odds: the fused sum, or None.
        person: whom the numbers are about.
        detectors: the number of each detector for that person.
    """

    item: Item
    level: str
    probability: float | None
    log_odds: float | None
    person: str | None
    detectors: Mapping[str, Number]


def write_scores(path: Path, scores: Sequence[Score]) -> None:
    """Write ``scores.csv``; an empty cell means that there is no number."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns())
        writer.writerows(_row(score) for score in scores)


def _row(score: Score) -> list[object]:
    item = score.item
    name, group, kind = map(text_cell, (item.name, item.group, item.kind))
    row: list[object] = [name, item.label, group, kind, score.level]
    row += [_cell(score.probability), _cell(score.log_odds)]
    for name in names():
        number = score.detectors[name]
        row += [_cell(number.log_odds), number.status, number.reason]
    return row


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
