"""What do the detectors say while the video plays?

One caption a window that was examined: each person with the strongest numbers, as WebVTT for any
player. Imports analysis (types), media.windows and the words of this room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from analysis import Analysis
from detectors.base import Finding
from media.windows import Stretch
from report.language import ENGLISH, Language
from report.roles import title
from report.words import signed
from verdict.explain import name_of

MOST_PEOPLE, MOST_NUMBERS = 3, 3  # in one caption: more cannot be read in three seconds
SAME_S = 0.01  # two moments this close are one


@dataclass(frozen=True)
class Cue:
    """One caption.

    Attributes:
        start_s, stop_s: when it is shown.
        text: one line a person.
    """

    start_s: float
    stop_s: float
    text: str


def cues(analysis: Analysis, language: Language = ENGLISH) -> tuple[Cue, ...]:
    """A caption for each window that was examined and in which somebody could be judged."""
    people = [opinion.person for opinion in analysis.verdict.people][:MOST_PEOPLE]
    result = []
    for window in analysis.windows:
        lines = [_line(analysis.findings, p, window, language) for p in people]
        text = "\n".join(line for line in lines if line)
        if text:
            stop_s = min(window.stop_s, analysis.duration_s)
            result.append(Cue(window.start_s, stop_s, text))
    return tuple(result)


def _line(
    findings: Sequence[Finding], person: str | None, window: Stretch, language: Language
) -> str:
    """ "Face A: Mouth and chin +3.1 · Lips and voice −1.5"; empty without a number."""
    values = [
        (w.value, finding.detector)
        for finding in findings
        if finding.person in (person, None)
        for w in finding.windows
        if abs(w.start_s - window.start_s) < SAME_S
    ]
    values.sort(key=lambda pair: -abs(pair[0]))
    numbers = [
        f"{language(title(name))} {signed(v, language)}" for v, name in values[:MOST_NUMBERS]
    ]
    name = language("whole file") if person is None else name_of(person, language)
    return f"{name}: {' · '.join(numbers)}" if numbers else ""


def cut_to(all_cues: Sequence[Cue], stretches: Sequence[Stretch]) -> tuple[Cue, ...]:
    """The same for a video that shows these stretches only, one after the other."""
    result, shown_s = [], 0.0
    for stretch in stretches:
        for cue in all_cues:
            start_s, stop_s = max(cue.start_s, stretch.start_s), min(cue.stop_s, stretch.stop_s)
            if stop_s - start_s > SAME_S:
                move_s = shown_s - stretch.start_s
                result.append(replace(cue, start_s=start_s + move_s, stop_s=stop_s + move_s))
        shown_s += stretch.stop_s - stretch.start_s
    return tuple(result)


def to_vtt(all_cues: Sequence[Cue]) -> str:
    """Captions as a WebVTT file (W3C)."""
    blocks = [
        f"{_clock(cue.start_s)} --> {_clock(cue.stop_s)}\n{escape(cue.text, quote=False)}"
        for cue in all_cues
    ]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def _clock(time_s: float) -> str:
    """75.25 → "00:01:15.250"."""
    thousandths = round(time_s * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
