"""In which words and colors do we speak of evidence?

The one vocabulary of images, page, report and app. A number becomes a phrase here and nowhere
else. Imports verdict (the levels).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from detectors.base import Finding, Status
from report.language import ENGLISH, Language
from verdict.explain import STRENGTH, UNCOUNTED
from verdict.fusion import Opinion, Verdict
from verdict.levels import Level, verbal_step

MOST_SHOWN = 4.0  # log-odds at which every scale is full: 98 to 2, more adds nothing for the eye
MUCH = 20.0  # to one: from here on "much more"
ROUND_ODDS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500)


@dataclass(frozen=True)
class LevelStyle:
    """How a level looks; told apart by every kind of eye (Okabe and Ito 2008), and by shape.

    Attributes:
        key: the word for it in the style sheet.
        color: "#rrggbb" of lines and plates drawn on images.
        ink: "#rrggbb" of writing on that color, contrast at least 4.5 to 1.
        dash: (drawn, left out) in units of the line width; (1, 0) is a full line.
        sign: a shape that stands for the level where color is not seen.
        short: the level in two words, for the gauge.
        meaning: one sentence on what the level says and does not say.
    """

    key: str
    color: str
    ink: str
    dash: tuple[int, int]
    sign: str
    short: str
    meaning: str


STYLES: dict[str, LevelStyle] = {
    Level.STRONG: LevelStyle(
        "strong", "#D55E00", "#000000", (1, 0), "▲▲", "Strong signs",
        "This is evidence, not proof: somebody who knows the case should look at it.",
    ),
    Level.SOME: LevelStyle(
        "some", "#E69F00", "#000000", (6, 3), "▲", "Some signs",
        "Manipulation often leaves such traces, but real files sometimes show them too.",
    ),
    Level.INCONCLUSIVE: LevelStyle(
        "inconclusive", "#64707D", "#FFFFFF", (2, 2), "◆", "Inconclusive",
        "Look for the source, or try a better copy of the file.",
    ),
    Level.NONE: LevelStyle(
        "none", "#0072B2", "#FFFFFF", (1, 0), "○", "No signs",
        "That does not prove that the file is genuine: new kinds of fakes can pass unnoticed.",
    ),
    Level.NOT_ASSESSED: LevelStyle(
        "unassessed", "#3D4650", "#FFFFFF", (1, 3), "–", "Not assessed",
        "Nothing in this file could be judged, so nothing is said about it.",
    ),
}  # fmt: skip
FOR, AGAINST = "#D55E00", "#0072B2"  # the two sides of every diverging scale

STATUS = {
    Status.COUNTED: "counted",
    **{status: f"shown, not counted: {why}" for status, why in UNCOUNTED.items()},
    Status.NOT_APPLICABLE: "could not judge",
}
NO_VOTE = "no vote"


def status(finding: Finding, verdict: Verdict) -> str:
    """Whether a number is part of the sum, and why not."""
    counted = any(finding.detector in opinion.contributions for opinion in verdict.people)
    if finding.status == Status.COUNTED and not counted:
        return f"shown, not counted: {NO_VOTE}"
    return STATUS[finding.status]


def percent(probability: float) -> str:
    """0.973 → "97 %"; never 0 or 100, which no detector can know."""
    return f"{min(99, max(1, round(100 * probability)))} %"


def strength(log_odds: float, language: Language = ENGLISH) -> str:
    """A phrase for log-odds, in the steps that the explanation uses too."""
    how = next((word for least, word in STRENGTH if abs(log_odds) >= least), None)
    if how is None:
        return language("leans to neither side")
    side = "for" if log_odds > 0 else "against"
    return language(f"speaks {how} {side} manipulation")


def odds(log_odds: float) -> int:
    """The likelihood ratio as a round number to one, 2 to 500, whichever side it favors."""
    log_ratio = min(abs(log_odds), 10.0)
    return min(ROUND_ODDS, key=lambda n: abs(math.log(n) - log_ratio))


def likelihood(log_odds: float, language: Language = ENGLISH) -> str:
    """The likelihood ratio in a sentence, as forensic reports word it, without jargon."""
    if verbal_step(log_odds) is None:
        return language("Real and manipulated files show such evidence about equally often.")
    if log_odds > 0:
        return language(
            "Such evidence is about {n} times as common in manipulated files as in real ones.",
            n=odds(log_odds),
        )
    return language(
        "Such evidence is about {n} times as common in real files as in manipulated ones.",
        n=odds(log_odds),
    )


def support(log_odds: float, language: Language = ENGLISH) -> str:
    """The step of the verbal scale of ENFSI (2015), and whom it supports.

    Args:
        log_odds: natural log-likelihood ratio; positive speaks for manipulation.
        language: of the reader.
    """
    step = verbal_step(log_odds)
    if step is None:
        return language("no support for either side")
    side = "{step} support for manipulation" if log_odds > 0 else "{step} support for a real file"
    return language(side, step=language(step))


def ratio(log_odds: float, language: Language = ENGLISH) -> str:
    """The likelihood ratio as a sentence and as its decimal logarithm; arguments as `support`."""
    number = signed(log_odds / math.log(10), language)
    return f"{likelihood(log_odds, language)} (log₁₀ LR {number})"


def sentence(text: str) -> str:
    """A phrase as a sentence: "the face looks filmed" → "The face looks filmed."."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def signed(log_odds: float, language: Language = ENGLISH) -> str:
    """+1.2 or −0.4, with a true minus sign."""
    return language.number(round(log_odds, 1) + 0.0, "+.1f")


def score(opinion: Opinion) -> str:
    """The level and, where it was calibrated, the probability: "Some signs, 82 %"."""
    if opinion.probability is None:
        return opinion.level
    return f"{opinion.level}, {percent(opinion.probability)}"


def clock(time_s: float, language: Language = ENGLISH) -> str:
    """65.25 → "1:05.2"; below a minute "5.2 s"."""
    tenths = int(time_s * 10 + 1e-6)
    if tenths < 600:
        return f"{language.number(tenths / 10)} s"
    return f"{tenths // 600}:{language.number(tenths % 600 / 10, '04.1f')}"


def size(count: float, language: Language = ENGLISH) -> str:
    """Bytes for people, in powers of 1000: "1.4 MB"."""
    for unit, how in (("bytes", ".0f"), ("kB", ".0f"), ("MB", ".1f")):
        if count < 1000:
            return f"{language.number(count, how)} {language(unit)}"
        count /= 1000
    return f"{language.number(count)} GB"


def measure(name: str, value: float, language: Language = ENGLISH) -> str:
    """("lag_ms", 120.0) → "lag: 120 ms"; the unit is the last word of the name."""
    units = {"ms": "ms", "s": "s", "hz": "Hz", "px": "px", "deg": "°", "db": "dB"}
    words = name.split("_")
    unit = ""
    if words[-1] in units and "at" not in words:  # "cosine at −40 ms" is no time
        unit = f" {units[words.pop()]}"
    whole = abs(value) >= 100 or value == round(value)
    number = language.number(value, ".0f" if whole else ".3g")
    text = " ".join(words).replace(" -", " \N{MINUS SIGN}")
    return f"{language(text)}: {number}{unit}"
