"""Does a stored report still hold?

Takes the JSON of an earlier analysis and a fresh one of the file at hand, and says what differs:
file, checkpoints, settings, versions, numbers. Imports analysis and report.export.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from analysis import Analysis, Settings
from errors import UserError
from report import seal
from report.export import to_json
from report.roles import title
from report.schema import SCHEMA_VERSION, Stored
from report.words import signed

SAME = 1e-3  # log-odds; another processor rounds differently in the last digits
MOST_BYTES = 10_000_000  # of a report; an hour end to end has some 4 MB


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was.

    Attributes:
        what: ``report`` (edited), ``log``, ``file``, ``references``, ``settings``,
            ``checkpoint``, ``version``,
            ``level``, ``log_odds`` or ``finding``.
        before, now: the two values as text.
        sentence: for the user.
    """

    what: str
    before: str
    now: str
    sentence: str


def read_report(path: str | Path) -> dict[str, Any]:
    """Read a stored report.

    Raises:
        UserError: ``bad_report`` when it is none, or too large for one.
    """
    name = Path(path).name
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UserError("bad_report", f"{name} is larger than a report can be.")
        stored = json.loads(data.decode("utf-8"), parse_constant=_number_of, parse_float=_number_of)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError("bad_report", f"{name} is not a readable JSON report.") from error
    try:
        Stored.model_validate_json(data, strict=True)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "its structure"
        raise UserError(
            "bad_report", f"{name} is no report of this program: {where} is missing or wrong."
        ) from error
    if stored["schema_version"].split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise UserError(
            "bad_report",
            f"The report has format {stored['schema_version']}; this program reads "
            f"{SCHEMA_VERSION}.",
        )
    return stored


def _number_of(text: str) -> float:
    """A number of JSON; NaN, Infinity and 1e999 are none."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def settings_of(stored: Mapping[str, Any]) -> Settings:
    """The settings that a stored report was made with, each checkpoint at its exact revision."""
    chosen = stored["settings"]
    return Settings(
        mode=chosen["mode"],
        detectors=tuple(chosen["detectors"]),
        checkpoints={n: _pinned(n, spec, stored) for n, spec in chosen["checkpoints"].items()},
        fake_labels={n: tuple(labels) for n, labels in chosen["fake_labels"].items()},
        device=chosen["device"],
        stability=chosen["stability"],
    )


def compare(stored: Mapping[str, Any], fresh: Analysis) -> tuple[Difference, ...]:
    """What differs between a stored report and a fresh analysis; empty when it holds."""
    now = to_json(fresh)
    before_log_odds, now_log_odds = (r["verdict"].get("log_odds") for r in (stored, now))
    result = [
        *edited(stored),
        *_one("file", stored["file"].get("sha256"), now["file"]["sha256"],
              "This is not the same file: its SHA-256 differs."),
        *_one("references", _hashes(stored), _hashes(now),
              "The reference recordings differ: give those that the report names."),
        *_each("settings", stored["settings"], now["settings"], "The setting {} differs"),
        *_each("checkpoint", stored["checkpoints"], now["checkpoints"],
               "The checkpoint of “{}” differs", title),
        *_each("version", stored["versions"], now["versions"], "Another version of {} was used"),
        *_one("level", stored["verdict"].get("level"), now["verdict"]["level"],
              "The level of the verdict differs."),
        *_number("log_odds", "the verdict", before_log_odds, now_log_odds),
    ]  # fmt: skip
    before_by, now_by = _findings(stored), _findings(now)
    for key in dict.fromkeys((*before_by, *now_by)):
        name = f"“{title(key[0])}” ({key[1] or 'whole file'})"
        result += _number("finding", name, before_by.get(key), now_by.get(key))
    return tuple(result)


def edited(stored: Mapping[str, Any]) -> list[Difference]:
    """What the report's own hash says about it."""
    before, now = stored.get(seal.FIELD), seal.report_hash(stored)
    if before == now:
        return []
    if before is None:
        text = "The report carries no hash, so whether it was edited cannot be said."
        return [Difference("report", "no hash", now, text)]
    text = "The report was edited after it was made: its hash does not fit its content."
    return [Difference("report", str(before), now, text)]


def logged(stored: Mapping[str, Any], log: Path) -> list[Difference]:
    """What a log of reports says about one of them; nothing where there is no log."""
    lines = seal.read_log(log)
    broken = seal.first_break(lines)
    result = []
    if broken is not None:
        text = f"{log.name} was changed: line {broken} does not follow from the line before it."
        result.append(Difference("log", "", str(broken), text))
    if lines and stored.get(seal.FIELD) not in {line.report for line in lines}:
        text = f"{log.name} does not know this report's hash: one of the two was changed."
        result.append(Difference("log", str(stored.get(seal.FIELD)), "", text))
    return result


def _pinned(name: str, spec: str, stored: Mapping[str, Any]) -> str:
    """``owner/repo`` becomes ``owner/repo@revision`` where the report knows which it was."""
    label = str(stored["checkpoints"].get(name, ""))
    is_repo = "/" in spec and not spec.startswith(("/", ".", "~"))
    return label if is_repo and "@" not in spec and label.startswith(f"{spec}@") else spec


def _one(what: str, before: object, now: object, sentence: str) -> list[Difference]:
    if before == now:
        return []
    text = f"{sentence} Before: {_short(before)}. Now: {_short(now)}."
    return [Difference(what, str(before), str(now), text)]


def _each(
    what: str, before: Mapping[str, Any], now: Mapping[str, Any], sentence: str,
    named: Callable[[str], str] = str,
) -> list[Difference]:  # fmt: skip
    names = dict.fromkeys((*before, *now))
    return [
        difference
        for name in names
        for difference in _one(
            what, before.get(name), now.get(name), f"{sentence.format(named(name))}."
        )
    ]


def _number(what: str, name: str, before: float | None, now: float | None) -> list[Difference]:
    if before == now:
        return []
    both = isinstance(before, int | float) and isinstance(now, int | float)
    if both and abs((before or 0) - (now or 0)) <= SAME:
        return []
    words = [signed(v) if isinstance(v, int | float) else "no number" for v in (before, now)]
    text = f"The log-odds of {name} differ. Before: {words[0]}. Now: {words[1]}."
    return [Difference(what, str(before), str(now), text)]


def _findings(report: Mapping[str, Any]) -> dict[tuple[str, str | None], float | None]:
    return {(f["detector"], f["person"]): f["log_odds"] for f in report["findings"]}


def _hashes(report: Mapping[str, Any]) -> list[str]:
    """SHA-256 of the references; reports before schema 1.6 had none."""
    return [reference["sha256"] for reference in report.get("references", [])]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= 80 else text[:77] + "…"
