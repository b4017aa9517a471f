"""When did which detector see what?

Rows of cells on one time axis: a row for each detector and person, cut into the windows that were
examined, and a row for speech. The templates draw them; nothing here draws. Imports analysis
(types), media.windows, report.words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis import Analysis
from detectors.base import Finding, WindowScore
from report.language import ENGLISH, Language
from report.roles import title
from report.words import MOST_SHOWN, clock, signed, strength
from verdict.explain import name_of

WITHOUT_ROW = ("no_face", "no_pictures", "no_checkpoint")  # what is said once, of the whole file
MOST_PEOPLE = 3  # rows of one detector; the most suspicious people
MOST_TICKS = 7
SHORT_GAP_S = 0.5  # that nobody would see on the axis
TICK_STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)


@dataclass(frozen=True)
class Cell:
    """One window of one row.

    Attributes:
        left, width: shares of the axis, %.
        start_s: where a click moves the player.
        height: of the bar, 0..50 % of the row; up for and down against manipulation.
        side: ``for``, ``against`` or ``speech``.
        value: the number as text, or nothing.
        words: what a pointer over it says.
    """

    left: float
    width: float
    start_s: float
    height: float
    side: str
    value: str
    words: str


@dataclass(frozen=True)
class Row:
    """One detector and person, or speech.

    Attributes:
        title: of the detector.
        person: letter of the person where there are several; else empty.
        cells: the windows with a number.
        counted: it is part of the sum; otherwise its bars are dashed.
        note: why there is no number, or empty.
        words: the row in one sentence, for those who do not see it.
    """

    title: str
    person: str
    cells: tuple[Cell, ...]
    counted: bool
    note: str
    words: str


@dataclass(frozen=True)
class Timeline:
    """Rows on one axis.

    Attributes:
        duration_s: length of the axis.
        rows: of detectors; the last is speech.
        examined: (left, width) in % of the axis.
        stops: starts of the windows, in seconds, for the keyboard.
        ticks: (place in %, label).
        gaps: parts of the file were not examined.
    """

    duration_s: float
    rows: tuple[Row, ...]
    examined: tuple[tuple[float, float], ...]
    stops: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]
    gaps: bool


def timeline(analysis: Analysis, language: Language = ENGLISH) -> Timeline | None:
    """The rows of an analysis; None for a still image, which has no time."""
    if analysis.duration_s <= 0:
        return None
    end = analysis.duration_s
    people = [o.person for o in analysis.verdict.people][:MOST_PEOPLE]
    subset = [f for f in analysis.findings if f.person is None or f.person in people]
    subset = [f for f in subset if f.reason is None or f.reason.code not in WITHOUT_ROW]
    several = len({f.person for f in subset if f.person is not None}) > 1
    counted = {name for o in analysis.verdict.people for name in o.contributions}
    rows = [
        _row(finding, finding.detector in counted, several, end, language) for finding in subset
    ]
    examined = analysis.windows
    return Timeline(
        duration_s=end,
        rows=(*rows, _speech(analysis, language)),
        examined=tuple(_place(s.start_s, s.stop_s, end) for s in examined),
        stops=tuple(round(s.start_s, 3) for s in examined),
        ticks=_ticks(end, language),
        gaps=analysis.examined_s < end - SHORT_GAP_S,
    )


def _place(start_s: float, stop_s: float, end_s: float) -> tuple[float, float]:
    """(left, width) in % of the axis."""
    left = 100 * max(0.0, start_s) / end_s
    return round(left, 3), round(100 * min(stop_s, end_s) / end_s - left, 3)


def _row(finding: Finding, counted: bool, several: bool, end_s: float, language: Language) -> Row:
    name = language(title(finding.detector))
    person = (finding.person or "").removeprefix("Face ") if several else ""
    cells = tuple(_cell(w, end_s, language) for w in finding.windows)
    note = language(finding.reason.sentence) if finding.reason is not None else ""
    who = f" ({name_of(finding.person, language)})" if finding.person and several else ""
    words = note or strength(finding.value or 0.0, language)
    return Row(name, person, cells, counted, note, f"{name}{who}: {words}")


def _cell(window: WindowScore, end_s: float, language: Language) -> Cell:
    start_s, stop_s, value = window.start_s, window.stop_s, window.value
    left, width = _place(start_s, stop_s, end_s)
    height = 50 * float(np.clip(abs(value) / MOST_SHOWN, 0.0, 1.0))
    words = language(
        "{a} to {b}: {words} ({value})",
        a=clock(start_s, language), b=clock(min(stop_s, end_s), language),
        words=strength(value, language), value=signed(value, language),
    )  # fmt: skip
    side = "for" if value >= 0 else "against"
    return Cell(
        left, width, round(start_s, 3), round(height, 2), side, signed(value, language), words
    )


def _speech(analysis: Analysis, language: Language) -> Row:
    """The lowest row: where somebody is heard speaking."""
    end, name = analysis.duration_s, language("Speech")
    if not analysis.has_audio:
        note = language("no sound in the file")
        return Row(name, "", (), True, note, f"{name}: {note}")
    cells, several = [], len({turn.voice for turn in analysis.turns}) > 1
    for start_s, stop_s in analysis.speech_s:
        left, width = _place(start_s, stop_s, end)
        voice = _voice_at(analysis, start_s) if several else ""
        template = "{a} to {b}: voice {voice}" if voice else "{a} to {b}: speech"
        words = language(
            template, a=clock(start_s, language), b=clock(stop_s, language), voice=voice
        )
        cells.append(Cell(left, width, round(start_s, 3), 0.0, "speech", voice, words))
    total = sum(stop - start for start, stop in analysis.speech_s)
    note = "" if cells else language("nobody is heard speaking")
    words = note or language("{total} of speech", total=clock(total, language))
    return Row(name, "", tuple(cells), True, note, f"{name}: {words}")


def _voice_at(analysis: Analysis, time_s: float) -> str:
    """The letter of the voice whose turn it is; empty where that is not known."""
    turns = (turn for turn in analysis.turns if turn.start_s <= time_s < turn.stop_s)
    return next((turn.voice for turn in turns), "")


def _ticks(end_s: float, language: Language) -> tuple[tuple[float, str], ...]:
    step = next((s for s in TICK_STEPS_S if end_s / s <= MOST_TICKS), TICK_STEPS_S[-1])
    moments = np.arange(0, end_s + 1e-9, step)
    return tuple((round(100 * float(t) / end_s, 3), _short(float(t), language)) for t in moments)


def _short(time_s: float, language: Language) -> str:
    """3 → "3 s", 0.5 → "0.5 s", 75 → "1:15"."""
    if time_s < 60:
        return f"{language.number(time_s, 'g')} s"
    return f"{int(time_s) // 60}:{int(time_s) % 60:02d}"
