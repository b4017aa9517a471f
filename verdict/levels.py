"""In which words is a verdict given, and where does each begin?

Imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

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
    """Where the levels begin, log-odds; between ``none`` and ``some`` is inconclusive."""

    strong: float
    some: float
    none: float

    def level_of(self, log_odds: float) -> Level:
        """The level that the sum alone gives."""
        if log_odds >= self.strong:
            return Level.STRONG
        if log_odds >= self.some:
            return Level.SOME
        return Level.NONE if log_odds <= self.none else Level.INCONCLUSIVE


def level(log_odds: float, contributions: Mapping[str, float], limits: Thresholds) -> Level:
    """The level of a sum; one step lower where its evidence contradicts itself."""
    by_sum = limits.level_of(log_odds)
    if not in_conflict(contributions):
        return by_sum
    lower = {Level.STRONG: Level.SOME, Level.SOME: Level.INCONCLUSIVE}
    return lower.get(by_sum, by_sum)


def in_conflict(contributions: Mapping[str, float]) -> bool:
    """Two detectors speak clearly for opposite sides."""
    values = contributions.values()
    return max(values, default=0) >= CONFLICT and min(values, default=0) <= -CONFLICT
