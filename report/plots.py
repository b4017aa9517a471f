"""How is a measured line drawn, so that it shows the thing to everybody?

Turns the curves of a finding into places on a small drawing with words for those who do not see
it; the templates write the SVG. What a curve runs along decides how it is drawn: time window by
window, lags with their best match, a spectrum against those of real faces. Imports
detectors.exhibits and the words of this room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.base import Finding
from detectors.exhibits import Axis, Curve
from report.language import ENGLISH, Language
from report.words import clock

WIDTH = 320.0  # of every drawing, in its own units; the card scales it
SIDE = 8.0  # left and right of the lines
NAME = 20.0  # height of the line's name above it
LANE = {Axis.TIME_S: 34.0, Axis.LAG_MS: 84.0, Axis.CYCLES_A_PIXEL: 84.0}  # height of a line
TICKS = 16.0  # height of the numbers below
MOST_WINDOWS = 4  # that are drawn side by side; the strongest of a long clip
MOST_POINTS = 150  # of one line: more cannot be told apart
LAG_TICKS_MS = (-400, 0, 400)
CYCLE_TICKS = (0.1, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class Lane:
    """One line and what lies behind it.

    Attributes:
        name: what it is.
        top: of its name, in units of the drawing.
        base: of its lowest point.
        lines: points of each unbroken piece, as SVG writes them.
        middle: points of the middle of real recordings, or empty.
        band: corners of where eight of ten of them lie, or empty.
        marks: places where something happened.
    """

    name: str
    top: float
    base: float
    lines: tuple[str, ...]
    middle: str = ""
    band: str = ""
    marks: tuple[float, ...] = ()


@dataclass(frozen=True)
class Plot:
    """A drawing of `WIDTH` x ``height`` units.

    Attributes:
        lanes: one below the other, on one axis.
        ticks: (place, text) below.
        zone: (left, width) of where recordings have their maximum, or None.
        best: (place, text) of the maximum, or None.
        seams: places where a window ends and another begins.
        caption: what is drawn.
        words: the same with its numbers, for those who do not see it.
    """

    height: float
    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    zone: tuple[float, float] | None
    best: tuple[float, str] | None
    seams: tuple[float, ...]
    caption: str
    words: str


def plots(finding: Finding, language: Language = ENGLISH) -> tuple[Plot, ...]:
    """The curves of a finding, one drawing for each axis that they run along."""
    draw = {Axis.TIME_S: _over_time, Axis.LAG_MS: _lags, Axis.CYCLES_A_PIXEL: _spectrum}
    curves = [curve for curve in finding.curves if np.isfinite(curve.y).any()]
    axes = dict.fromkeys(curve.axis for curve in curves)
    return tuple(
        draw[axis](_by_name([c for c in curves if c.axis == axis]), finding, language)
        for axis in axes
    )


def _by_name(curves: Sequence[Curve]) -> dict[str, list[Curve]]:
    result: dict[str, list[Curve]] = {}
    for curve in curves:
        result.setdefault(curve.name, []).append(curve)
    return result


# ---------------------------------------------------------------- one kind of drawing each


def _over_time(groups: dict[str, list[Curve]], finding: Finding, language: Language) -> Plot:
    """The windows side by side; what lies between them was not examined."""
    windows = _strongest_windows(next(iter(groups.values())), finding)
    place = _Strip([(float(c.x[0]), float(c.x[-1])) for c in windows])
    stops = place.windows
    lanes = []
    for number, (name, curves) in enumerate(groups.items()):
        subset = [c for c in curves if place.holds(float(c.x[0]))]
        lane = _lane(language(name), number, Axis.TIME_S, subset, place.at)
        marks = tuple(place.at(m) for c in subset for m in c.marks)
        lanes.append(replace(lane, marks=marks))
    every = [c for curves in groups.values() for c in curves]
    moments = [m for c in every for m in c.marks if place.holds(m)]
    marked = language(next((c.marked for c in every if c.marked), ""))
    names = language(" and ").join(language(name) for name in groups)
    where = ", ".join(clock(m, language) for m in moments) or language("none seen")
    return Plot(
        height=len(lanes) * (NAME + LANE[Axis.TIME_S]) + TICKS,
        lanes=tuple(lanes),
        ticks=tuple((place.at(start), clock(start, language)) for start, _ in stops),
        zone=None,
        best=None,
        seams=tuple(place.at(start) for start, _ in stops[1:]),
        caption=language("Over time, window by window; marks: {what}.", what=marked),
        words=f"{names[:1].upper()}{names[1:]}. {marked[:1].upper()}{marked[1:]}: {where}.",
    )


def _lags(groups: dict[str, list[Curve]], finding: Finding, language: Language) -> Plot:
    """How well two things agree when one is moved, and where they agree best."""
    name, curves = next(iter(groups.items()))
    curve = _mean(curves)
    place = _linear(float(curve.x[0]), float(curve.x[-1]))
    best_ms = float(curve.x[int(np.nanargmax(curve.y))])
    zone = None if curve.zone is None else (place(curve.zone[0]), place(curve.zone[1]))
    best = language("best at {a}", a=milliseconds(best_ms))
    reach = 0.0 if curve.zone is None else curve.zone[1]
    return Plot(
        height=NAME + LANE[Axis.LAG_MS] + TICKS,
        lanes=(_lane(language(name), 0, Axis.LAG_MS, [curve], place),),
        ticks=tuple((place(t), milliseconds(t)) for t in LAG_TICKS_MS),
        zone=None if zone is None else (zone[0], round(zone[1] - zone[0], 1)),
        best=(place(best_ms), milliseconds(best_ms)),
        seams=(),
        caption=language(
            "The voice moved against the lips; shaded: where recordings lie, up to {a}.",
            a=f"±{reach:.0f} ms",
        ),
        words=language(
            "{name}: {best}, with {most}; {zero} unmoved.", name=language(name), best=best,
            most=language.number(float(np.nanmax(curve.y)), ".2f"), zero=_at_zero(curve, language),
        ),
    )  # fmt: skip


def _at_zero(curve: Curve, language: Language) -> str:
    value = float(curve.y[int(np.abs(curve.x).argmin())])
    return language.number(value, ".2f") if np.isfinite(value) else "–"


def _spectrum(groups: dict[str, list[Curve]], finding: Finding, language: Language) -> Plot:
    """The power from coarse to fine against that of real faces."""
    name, curves = next(iter(groups.items()))
    curve = _mean(curves)
    place = _linear(0.0, float(curve.x[-1]))
    inside, caption = "", language("From coarse to fine, in cycles a pixel.")
    if curve.typical is not None:
        low, _, high = curve.typical
        share = float(np.mean((curve.y >= low) & (curve.y <= high)))
        inside = language("{n} % of it lies where real faces lie.", n=round(100 * share))
        caption += " " + language("Shaded: eight of ten real faces.") + " " + inside
    return Plot(
        height=NAME + LANE[Axis.CYCLES_A_PIXEL] + TICKS,
        lanes=(_lane(language(name), 0, Axis.CYCLES_A_PIXEL, [curve], place),),
        ticks=tuple((place(t), language.number(t, "g")) for t in CYCLE_TICKS),
        zone=None,
        best=None,
        seams=(),
        caption=caption,
        words=f"{language(name)}. {inside}".strip(),
    )


# ---------------------------------------------------------------- places


class _Strip:
    """Windows side by side on the drawing: which place is a moment at?"""

    def __init__(self, windows: list[tuple[float, float]]) -> None:
        self.windows = windows
        lengths = np.array([max(stop - start, 1e-3) for start, stop in windows])
        edges = SIDE + (WIDTH - 2 * SIDE) * np.concatenate([[0.0], np.cumsum(lengths)]) / sum(
            lengths
        )
        self._edges = edges

    def holds(self, moment_s: float) -> bool:
        """The moment lies in one of the windows."""
        return any(start <= moment_s <= stop for start, stop in self.windows)

    def at(self, moment_s: float) -> float:
        """Its place; that of the nearest edge where it lies in none."""
        for number, (start, stop) in enumerate(self.windows):
            if moment_s <= stop or number == len(self.windows) - 1:
                share = (moment_s - start) / max(stop - start, 1e-3)
                left, right = self._edges[number : number + 2]
                return round(float(left + min(1.0, max(0.0, share)) * (right - left)), 1)
        return SIDE


def _linear(first: float, last: float) -> Callable[[float], float]:
    def place(value: float) -> float:
        return round(SIDE + (WIDTH - 2 * SIDE) * (value - first) / (last - first), 1)

    return place


def _strongest_windows(curves: list[Curve], finding: Finding) -> list[Curve]:
    """At most `MOST_WINDOWS` of the curves of one name, in the order of time."""
    values = {round(w.start_s, 3): w.value for w in finding.windows}
    starts = sorted(values)

    def value(curve: Curve) -> float:
        before = [s for s in starts if s <= float(curve.x[0]) + 1e-3]
        return values[before[-1]] if before else -np.inf

    selected = sorted(curves, key=value, reverse=True)[:MOST_WINDOWS]
    return sorted(selected, key=lambda c: float(c.x[0]))


def _mean(curves: list[Curve]) -> Curve:
    """Curves of several windows on one axis as one; windows that could not be compared are out."""
    subset = [c for c in curves if len(c.x) == len(curves[0].x)]
    rows = np.stack([c.y for c in subset])
    seen_somewhere = np.isfinite(rows).any(0)
    middle = np.full(rows.shape[1], np.nan)
    middle[seen_somewhere] = np.nanmean(rows[:, seen_somewhere], axis=0)
    return replace(subset[0], y=middle)


def _lane(
    name: str, number: int, axis: Axis, curves: list[Curve], place: Callable[[float], float]
) -> Lane:
    """One line per curve on one scale of values."""
    top = number * (NAME + LANE[axis])
    high_y, low_y = top + NAME, top + NAME + LANE[axis] - 3
    parts = [c.y for c in curves] + [c.typical.ravel() for c in curves if c.typical is not None]
    values = np.concatenate(parts)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))

    def points(x: np.ndarray, y: np.ndarray) -> str:
        rows = low_y - (low_y - high_y) * (y - low) / max(high - low, 1e-9)
        return " ".join(f"{place(float(a)):g},{b:.1f}" for a, b in zip(x, rows, strict=True))

    typical = curves[0].typical
    band = middle = ""
    if typical is not None:
        x = curves[0].x
        middle = points(x, typical[1])
        band = points(np.concatenate([x, x[::-1]]), np.concatenate([typical[0], typical[2][::-1]]))
    lines = tuple(points(x, y) for curve in curves for x, y in _pieces(curve))
    return Lane(name[:1].upper() + name[1:], top, low_y, lines, middle, band)


def _pieces(curve: Curve) -> list[tuple[np.ndarray, np.ndarray]]:
    """The unbroken pieces of a curve, thinned to what an eye can tell apart."""
    step = max(1, len(curve.x) // MOST_POINTS)
    x, y = curve.x[::step], curve.y[::step]
    breaks = np.flatnonzero(np.diff(np.isfinite(y).astype(int))) + 1
    return [
        (a, b)
        for a, b in zip(np.split(x, breaks), np.split(y, breaks), strict=True)
        if len(a) > 1 and np.isfinite(b).all()
    ]


def milliseconds(value: float) -> str:
    """−120 → "−120 ms", 0 → "0 ms", with a sign wherever there is one to show."""
    return f"{ENGLISH.number(value, '+.0f')} ms" if round(value) else "0 ms"
