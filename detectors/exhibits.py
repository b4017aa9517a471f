"""What does a detector show of what it measured, for people to look at?

Lines along an axis and the one image that spoke most for manipulation. The report draws them
without knowing whose they are. Imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np


class Axis(StrEnum):
    """What a curve runs along."""

    TIME_S = "time_s"
    LAG_MS = "lag_ms"
    CYCLES_A_PIXEL = "cycles_a_pixel"


@dataclass(frozen=True)
class Curve:
    """A quantity that one detector measured in one window, along an axis.

    Attributes:
        name: what it is, in a few words for people; translated where a language has them.
        axis: what ``x`` is.
        x: (n,) float, increasing; time is on the clip's clock.
        y: (n,) float; NaN where nothing could be measured.
        marks: places on the axis where something happened.
        marked: what happened there, a few words for people, e.g. "blinks".
        zone: the stretch of the axis where real recordings have their maximum, or None.
        typical: (3, n) lower end, middle and upper end of real recordings, or None.
    """

    name: str
    axis: Axis
    x: np.ndarray
    y: np.ndarray
    marks: tuple[float, ...] = ()
    marked: str = ""
    zone: tuple[float, float] | None = None
    typical: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.x)
        if self.y.shape != (n,):
            raise ValueError(f"y: expected {(n,)}, got {self.y.shape}")
        if self.typical is not None and self.typical.shape != (3, n):
            raise ValueError(f"typical: expected {(3, n)}, got {self.typical.shape}")


@dataclass(frozen=True)
class FaceImage:
    """The image of one face, among those that a detector looked at, with the highest score.

    Attributes:
        time_s: on the clip's clock.
        score: raw log-odds of this image alone.
        image: (s, s, 3) uint8 RGB, cut as for the network.
        control: (s, s, 3) uint8 RGB, the region whose score was taken off, or None.
        heatmap: (h, w) float32, log-odds that each part of ``image`` adds; positive speaks for
            manipulation. None where the network cannot say.
        parts: the number of a query to its share of ``heatmap``, where several look.
        confirmed: whether blurring the hot area lowers the score more than blurring others of that
            size; None where this was not asked.
    """

    time_s: float
    score: float
    image: np.ndarray
    control: np.ndarray | None = None
    heatmap: np.ndarray | None = None
    parts: Mapping[int, np.ndarray] = field(default_factory=dict)
    confirmed: bool | None = None


def strongest(images: Sequence[FaceImage | None]) -> FaceImage | None:
    """The image with the highest score; None where there is none."""
    return max((i for i in images if i is not None), key=lambda i: i.score, default=None)
