"""In which words and colours do we speak of evidence?

The one vocabulary of pictures, page, report and app. A number becomes a phrase here and nowhere
else. Imports verdict (the levels) and the detectors' titles.
"""

from __future__ import annotations

from dataclasses import dataclass

from detectors.base import Finding
from detectors.registry import DETECTORS
from verdict.explain import STRENGTH
from verdict.fusion import INCONCLUSIVE, NONE, NOT_ASSESSED, SOME, STRONG, Opinion

TITLES = {detector.name: detector.title for detector in DETECTORS}
MOST_SHOWN = 4.0  # log-odds at which every scale is full: 98 to 2, more adds nothing for the eye


@dataclass(frozen=True)
class Look:
    """How a level looks; colours of Okabe and Ito (2008), told apart by every kind of eye.

    Attributes:
        colour: "#rrggbb" of lines and bars.
        ink: "#rrggbb" of writing on that colour, contrast at least 4.5 to 1.
        dash: (drawn, left out) in units of the line width; (1, 0) is a full line.
        sign: a shape that stands for the level where colour is not seen.
        meaning: one sentence on what the level says and does not say.
    """

    colour: str
    ink: str
    dash: tuple[int, int]
    sign: str
    meaning: str


LOOKS: dict[str, Look] = {
    STRONG: Look(
        "#D55E00", "#000000", (1, 0), "▲▲",
        "The evidence that was counted points clearly to manipulation. It is evidence, not proof.",
    ),
    SOME: Look(
        "#E69F00", "#000000", (6, 3), "▲",
        "There are traces that manipulation often leaves, but not enough to be sure.",
    ),
    INCONCLUSIVE: Look(
        "#56B4E9", "#000000", (2, 2), "◆",
        "The evidence is weak, contradictory or not calibrated. No side is favoured.",
    ),
    NONE: Look(
        "#0072B2", "#FFFFFF", (1, 0), "○",
        "Nothing that these detectors know was seen. That does not prove that the file is genuine.",
    ),
    NOT_ASSESSED: Look(
        "#595959", "#FFFFFF", (1, 3), "–",
        "Nothing in this file could be judged, so nothing is said about it.",
    ),
}  # fmt: skip
FOR, AGAINST = "#D55E00", "#0072B2"  # the two sides of every diverging scale

STATUS = {
    "counted": "counted",
    "uncalibrated": "shown, not counted: not calibrated",
    "experimental": "shown, not counted: experimental",
    "not_applicable": "could not judge",
}


def title(detector: str) -> str:
    """The name of a detector for people."""
    return TITLES.get(detector, detector.capitalize())


def percent(probability: float) -> str:
    """0.973 → "97 %"; never 0 or 100, which no detector can know."""
    return f"{min(99, max(1, round(100 * probability)))} %"


def strength(log_odds: float) -> str:
    """A phrase for log-odds, in the steps that the explanation uses too."""
    how = next((word for least, word in STRENGTH if abs(log_odds) >= least), None)
    if how is None:
        return "leans to neither side"
    return f"speaks {how} {'for' if log_odds > 0 else 'against'} manipulation"


def signed(log_odds: float) -> str:
    """+1.2 or −0.4, with a true minus sign."""
    return f"{round(log_odds, 1) + 0.0:+.1f}".replace("-", "\u2212")


def score(opinion: Opinion) -> str:
    """The level and, where it was calibrated, the probability: "Some signs, 82 %"."""
    if opinion.probability is None:
        return opinion.level
    return f"{opinion.level}, {percent(opinion.probability)}"


def in_words(finding: Finding) -> str:
    """What one finding says, in a phrase."""
    if finding.log_odds is None:
        return finding.reason.sentence if finding.reason else "no number"
    return strength(finding.log_odds)


def clock(time_s: float) -> str:
    """65.25 → "1:05.2"; below a minute "5.2 s"."""
    tenths = int(time_s * 10 + 1e-6)
    if tenths < 600:
        return f"{tenths / 10:.1f} s"
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def size(count: float) -> str:
    """Bytes for people, in powers of 1000: "1.4 MB"."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit != "MB" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def measure(name: str, value: float) -> str:
    """("lag_ms", 120.0) → "lag: 120 ms"; the unit is the last word of the name."""
    units = {"ms": "ms", "s": "s", "hz": "Hz", "px": "px", "deg": "°", "db": "dB"}
    words = name.split("_")
    unit = ""
    if words[-1] in units:
        unit = f" {units[words.pop()]}"
    number = f"{value:.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
    return f"{' '.join(words)}: {number}{unit}".replace("-", "\u2212")
