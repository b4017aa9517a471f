"""In which words is a verdict given, and where does each begin?

Imports nothing of the project.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

ENFSI = (  # likelihood ratio from → word; ENFSI guideline for evaluative reporting, 2015
    (1_000_000, "extremely strong"), (10_000, "very strong"), (1_000, "strong"),
    (100, "moderately strong"), (10, "moderate"), (2, "weak"),
)  # fmt: skip
MOST_LLR = 20.0  # natural log; beyond, a ratio is a number of no meaning
CONFLICT = 1.5  # log-odds; two contributions beyond this with opposite signs disagree


class Level(StrEnum):
    """What is said of a file or a person, the most alarming first."""

    STRONG = "Strong signs of manipulation"
    SOME = "Some signs"
    INCONCLUSIVE = "Inconclusive"
    NONE = "No signs found"
    NOT_ASSESSED = "Not assessed"


@dataclass(frozen=True)
class Thresholds:
    """Where the levels begin, log-odds; between ``none`` and ``some`` is inconclusive.

    Attributes:
        strong, some: from here on, up.
        none: from here on, down.
        real_sources: independent sources of real files behind them (see `bounded`).
        fake_sources: tools and sets of fakes behind them.
    """

    strong: float
    some: float
    none: float
    real_sources: int = 0
    fake_sources: int = 0

    def bounded(self, log_odds: float) -> float:
        """The natural log-likelihood ratio that the data behind the thresholds can carry.

        Where none of n independent sources shows such evidence, the next may with a chance of
        1 / (n + 1): no ratio above n + 1 can be claimed (rule of succession; bounds on likelihood
        ratios: Vergeer et al. 2016, doi:10.1016/j.scijus.2016.06.003). 0 sources bound nothing.
        """
        most, least = (
            math.log(n + 1) if n else math.inf for n in (self.real_sources, self.fake_sources)
        )
        return max(-least, min(most, log_odds))

    def level_of(self, log_odds: float) -> Level:
        """The level that the sum alone gives."""
        if log_odds >= self.strong:
            return Level.STRONG
        if log_odds >= self.some:
            return Level.SOME
        return Level.NONE if log_odds <= self.none else Level.INCONCLUSIVE


def verbal_step(log_odds: float) -> str | None:
    """The step of the verbal scale of ENFSI, whichever side is favored; None below the first."""
    ratio = math.exp(min(abs(log_odds), MOST_LLR))
    return next((word for least, word in ENFSI if ratio >= least), None)


def level(
    log_odds: float,
    contributions: Mapping[str, float],
    limits: Thresholds,
    unfamiliar: bool = False,
) -> Level:
    """The level of a sum; one step lower where its evidence contradicts itself.

    Of what is unlike everything that was learned, "no signs" is not said.
    """
    by_sum = limits.level_of(log_odds)
    if unfamiliar and by_sum == Level.NONE:
        return Level.INCONCLUSIVE
    if not in_conflict(contributions):
        return by_sum
    lower = {Level.STRONG: Level.SOME, Level.SOME: Level.INCONCLUSIVE}
    return lower.get(by_sum, by_sum)


def in_conflict(contributions: Mapping[str, float]) -> bool:
    """Two detectors speak clearly for opposite sides."""
    values = contributions.values()
    return max(values, default=0) >= CONFLICT and min(values, default=0) <= -CONFLICT
