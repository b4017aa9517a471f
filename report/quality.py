"""How good is it, and on which real files does it err? The figures of the cards, for readers.

``quality.toml`` says which rows of ``hub/defaults/*/figures.csv`` are shown under which words;
every number comes from there. Imports hub.catalog and the words of this room.
"""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hub import catalog
from report.language import ENGLISH, Language
from report.render import render

SHOWN = Path(__file__).with_name("quality.toml")
CHANCE = 0.5  # an AUC that says nothing; the left end of its scale
SHARES = ("alarms", "people")  # parts whose figures are shares of real faces
MOST_ALARMS = 0.2  # share at the right end of the scale of false alarms


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        what: of what, in the reader's language.
        value: as it is read: "0.79" or "1 %".
        interval: "0.76 to 0.81", or empty where none was given.
        count: on how many files or faces.
        place, low, high: % of the scale, for the drawing.
    """

    what: str
    value: str
    interval: str
    count: str
    place: float
    low: float
    high: float


@cache
def measured(detector: str) -> dict[str, dict[str, str]]:
    """The rows of a card's ``figures.csv`` by name; of rows with one name the last counts."""
    path = catalog.DEFAULTS / detector / "figures.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


@cache
def shown() -> dict[str, list[dict[str, str]]]:
    """Which rows, by part of the page: ``headline``, ``ranking``, ``alarms`` and ``people``."""
    return tomllib.loads(SHOWN.read_text("utf-8"))


def quality(language: Language = ENGLISH) -> str:
    """The part of the tab About on how good it is, as HTML."""
    return render("quality", language, **{part: figures(part, language) for part in shown()})


def figures(part: str, language: Language = ENGLISH) -> list[Figure]:
    """The figures of one part of the page."""
    return [_figure(entry, part in SHARES, language) for entry in shown()[part]]


def _figure(entry: dict[str, str], is_share: bool, language: Language) -> Figure:
    row = measured(entry["detector"])[entry["figure"]]
    value = float(row["value"])
    both = bool(row["low"] and row["high"]) and row["low"] != row["high"]
    low, high = (float(row["low"]), float(row["high"])) if both else (value, value)
    n_real, n_fake = int(row["n_real"]), int(row["n_fake"])
    count = language("{n:,} real", n=n_real) if is_share else language(
        "{n:,} fake against {m:,} real", n=n_fake, m=n_real
    )  # fmt: skip
    words = _percent if is_share else _two_digits
    a, b = (words(v, language) for v in (low, high))
    interval = language("{a} to {b}", a=a, b=b) if both else ""
    places = (_place(v, is_share) for v in (value, low, high))
    return Figure(language(entry["what"]), words(value, language), interval, count, *places)


def _two_digits(value: float, language: Language) -> str:
    return language.number(value, ".2f")


def _percent(value: float, language: Language) -> str:
    return f"{language.number(100 * value, '.1f' if 0 < value < 0.1 else '.0f')} %"


def _place(value: float, is_share: bool) -> float:
    """Where a value lies on its scale, 0..100 %."""
    share = value / MOST_ALARMS if is_share else (value - CHANCE) / (1 - CHANCE)
    return round(100 * min(1.0, max(0.0, share)), 1)
