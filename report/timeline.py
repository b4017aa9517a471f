"""When did which detector see what?

One picture: a row for each detector, cut into the windows that were examined, with bars on one
symmetric scale of log-odds, and a row for speech. Also turns a click on that picture into a moment.
Uses matplotlib's objects, never pyplot, so that visitors do not share state. Imports analysis
(types), media.windows, report.words.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from analysis import Analysis
from detectors.base import Finding
from media.windows import Stretch, plan
from report.draw import heat_colours
from report.words import MOST_SHOWN, STATUS, clock, signed, strength, title

WIDTH_IN, ROW_IN, FOOT_IN, HEAD_IN, DPI = 9.6, 0.62, 0.62, 0.34, 125
LEFT, RIGHT = 0.185, 0.985  # share of the width where the time axis begins and ends
MOST_LANES = 3  # people drawn in one row; the most suspicious ones
GREY, INK = "#E4E4E4", "#222222"


@dataclass(frozen=True)
class Moment:
    """A stretch that can be jumped to, with a sentence on what was seen there."""

    time_s: float
    words: str


def timeline(analysis: Analysis) -> np.ndarray | None:
    """Draw the timeline.

    Returns:
        (h, w, 3) uint8 RGB, or None for a still picture, which has no time.
    """
    if analysis.duration_s <= 0:
        return None
    rows = list(dict.fromkeys(f.detector for f in analysis.findings))
    height = HEAD_IN + FOOT_IN + ROW_IN * (len(rows) + 1)
    figure = Figure(figsize=(WIDTH_IN, height), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((LEFT, FOOT_IN / height, RIGHT - LEFT, 1 - (FOOT_IN + HEAD_IN) / height))
    people = [o.person for o in analysis.verdict.people][:MOST_LANES]
    for place, name in enumerate(rows):
        own = [f for f in analysis.findings if f.detector == name]
        _row(axes, len(rows) - place, own, people, analysis)
    _speech(axes, analysis)
    _frame(axes, rows, analysis)
    canvas.draw()
    buffer = np.asarray(canvas.buffer_rgba())
    return np.ascontiguousarray(buffer[..., :3])


def time_at(analysis: Analysis, x_px: float, width_px: float = WIDTH_IN * DPI) -> float | None:
    """The moment under a click, in seconds; None left or right of the time axis."""
    share = (x_px / width_px - LEFT) / (RIGHT - LEFT)
    if analysis.duration_s <= 0 or not -0.01 <= share <= 1.01:
        return None
    return float(np.clip(share, 0, 1) * analysis.duration_s)


def moments(analysis: Analysis) -> tuple[Moment, ...]:
    """The examined stretches, each with its strongest evidence: for those who cannot click."""
    found = []
    for stretch in _examined(analysis):
        scores = [
            (window.log_odds, finding)
            for finding in analysis.findings
            if finding.status == "counted"
            for window in finding.windows
            if abs(window.start_s - stretch.start_s) < 1e-3
        ]
        words = "nothing counted"
        if scores:
            value, finding = max(scores, key=lambda pair: pair[0])
            words = f"{title(finding.detector).lower()} {signed(value)}"
        until = clock(min(stretch.stop_s, analysis.duration_s))
        found.append(Moment(stretch.start_s, f"{clock(stretch.start_s)} to {until}: {words}"))
    return tuple(found)


def alt_text(analysis: Analysis) -> str:
    """What the timeline shows, for those who do not see it."""
    parts = [f"Timeline of {analysis.duration_s:.1f} seconds."]
    for finding in analysis.findings:
        who = f" ({finding.person})" if finding.person else ""
        if finding.log_odds is None:
            parts.append(f"{title(finding.detector)}{who}: could not judge.")
            continue
        top = max(finding.windows, key=lambda w: w.log_odds, default=None)
        when = f", highest from {clock(top.start_s)}" if top is not None else ""
        status = "" if finding.status == "counted" else f", {STATUS[finding.status]}"
        parts.append(f"{title(finding.detector)}{who}: {strength(finding.log_odds)}{when}{status}.")
    return " ".join(parts)


def png(picture: np.ndarray) -> bytes:
    """A (h, w, 3) uint8 RGB picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _examined(analysis: Analysis) -> tuple[Stretch, ...]:
    return plan(analysis.duration_s, analysis.settings.mode)


def _row(
    axes: Axes, centre: float, own: list[Finding], people: list[str | None], analysis: Analysis
) -> None:
    """One detector: lanes for people, a bar for each window, hatches where there is no number."""
    named = [p for p in people if any(f.person == p for f in own)]
    lanes = named or [None]
    height = 0.84 / len(lanes)
    for place, person in enumerate(lanes):
        middle = centre + 0.42 - height * (place + 0.5)
        _hatch(axes, 0.0, analysis.duration_s, middle, height)
        finding = next((f for f in own if f.person == person), own[0])
        for stretch in _examined(analysis):
            _lane_window(axes, stretch, finding, middle, height, analysis.duration_s)
        if len(lanes) > 1 and person is not None:
            letter = person.removeprefix("Face ")
            axes.text(
                analysis.duration_s * 0.004, middle, letter, fontsize=8, va="center", color=INK,
                bbox={"fc": "white", "ec": "none", "pad": 1.2},
            )  # fmt: skip


def _lane_window(
    axes: Axes, stretch: Stretch, finding: Finding, middle: float, height: float, end_s: float
) -> None:
    """The bar of one window: up and vermilion for, down and blue against manipulation."""
    window = next((w for w in finding.windows if abs(w.start_s - stretch.start_s) < 1e-3), None)
    if window is None:
        return
    start, stop = window.start_s, min(window.stop_s, end_s)
    value = float(np.clip(window.log_odds, -MOST_SHOWN, MOST_SHOWN))
    ground = Rectangle(
        (start, middle - height / 2), stop - start, height, fc="white", ec=GREY, lw=0.8
    )
    axes.add_patch(ground)
    colour = heat_colours(np.array(value), MOST_SHOWN)[..., :3] / 255
    counted = finding.status == "counted"
    bar = Rectangle(
        (start, middle),
        stop - start,
        value / MOST_SHOWN * height / 2,
        fc=tuple(colour) if counted else "white",
        ec=INK,
        lw=0.8,
        ls="-" if counted else (0, (2, 2)),
    )
    axes.add_patch(bar)
    axes.plot([start, stop], [middle, middle], color="#888888", lw=0.8)
    if height > 0.4 and (stop - start) / end_s > 0.05:
        off = -0.27 if value >= 0 else 0.27
        axes.text(
            (start + stop) / 2, middle + off * height, signed(window.log_odds),
            ha="center", va="center", fontsize=8, color=INK,
        )  # fmt: skip


def _hatch(axes: Axes, start_s: float, stop_s: float, middle: float, height: float) -> None:
    box = (start_s, middle - height / 2), stop_s - start_s, height
    axes.add_patch(Rectangle(*box, fc="#F4F4F4", ec="#C4C4C4", hatch="////", lw=0))


def _speech(axes: Axes, analysis: Analysis) -> None:
    """The lowest row: where somebody is heard speaking."""
    end = analysis.duration_s
    if not analysis.has_audio:
        _hatch(axes, 0.0, end, 0.0, 0.5)
        axes.text(
            end / 2, 0, "no sound in the file", ha="center", va="center", fontsize=8,
            color=INK, bbox={"fc": "white", "ec": "none", "pad": 1.5},
        )  # fmt: skip
        return
    _hatch(axes, 0.0, end, 0.0, 0.5)
    for stretch in _examined(analysis):
        start, stop = stretch.start_s, min(stretch.stop_s, end)
        axes.add_patch(Rectangle((start, -0.25), stop - start, 0.5, fc="white", ec=GREY, lw=0.8))
    for start, stop in analysis.speech_s:
        axes.add_patch(Rectangle((start, -0.16), stop - start, 0.32, fc="#009E73", ec="none"))


def _frame(axes: Axes, rows: list[str], analysis: Analysis) -> None:
    axes.set_xlim(0, analysis.duration_s)
    axes.set_ylim(-0.45, len(rows) + 0.55)
    axes.set_yticks([*range(len(rows), 0, -1), 0], [*(_broken(title(r)) for r in rows), "Speech"])
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    axes.tick_params(axis="x", labelsize=9)
    axes.set_xlabel("seconds", fontsize=9)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    words = (
        f"Bars up: for manipulation; down: against (log-odds, full height {MOST_SHOWN:.0f}). "
        "Dashed: not counted. Hatched: no number."
    )
    axes.set_title(words, fontsize=8.5, color="#444444", loc="left", pad=5)


def _broken(words: str) -> str:
    """A label of at most two lines."""
    if len(words) <= 16 or " " not in words:
        return words
    spaces = [i for i, letter in enumerate(words) if letter == " "]
    middle = min(spaces, key=lambda i: abs(i - len(words) / 2))
    return words[:middle] + "\n" + words[middle + 1 :]
