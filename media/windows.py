"""Which stretches of time are examined, and what does one of them hold?

Imports `tracks` and the arithmetic of time only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from media.tracks import FaceTrack

WINDOW_S = 3.0  # unit of work, of cost and of the timeline
QUICK_WINDOWS = 4  # `quick` examines at most 12 s, whatever the length of the file
FRAME_TOLERANCE_S = 0.001  # so that the last frame lies inside the last stretch


@dataclass(frozen=True)
class Stretch:
    """A piece of the clip's time, [start_s, stop_s)."""

    start_s: float
    stop_s: float


@dataclass(frozen=True)
class Window:
    """What one stretch of time holds: decoded once, examined by every detector, then let go.

    Attributes:
        stretch: which part of the clip.
        times_s: (n,) float64, times of all decoded frames on the clip's clock.
        stills: (k, h, w, 3) uint8 RGB, a few whole pictures spread over the stretch.
        stills_s: (k,) float64, their times.
        tracks: the faces, each with its aligned crops.
        sound: (m,) float32, -1..1, 16 kHz mono, or None when the file has no sound.
        sound_start_s: time of the first sample on the clip's clock.
        speech_s: (p, 2) float64, stretches of speech on the clip's clock.
        is_picture: one still picture, no time in it.
    """

    stretch: Stretch
    times_s: np.ndarray
    stills: np.ndarray
    stills_s: np.ndarray
    tracks: tuple[FaceTrack, ...]
    sound: np.ndarray | None
    sound_start_s: float
    speech_s: np.ndarray
    is_picture: bool

    def __post_init__(self) -> None:
        if self.stills.ndim != 4 or self.stills.shape[-1] != 3:
            raise ValueError(f"stills: expected (k, h, w, 3), got {self.stills.shape}")
        if self.sound is not None and self.sound.ndim != 1:
            raise ValueError(f"sound: expected (m,), got {self.sound.shape}")
        if self.speech_s.ndim != 2 or self.speech_s.shape[1] != 2:
            raise ValueError(f"speech_s: expected (p, 2), got {self.speech_s.shape}")


def plan(duration_s: float, mode: str) -> tuple[Stretch, ...]:
    """Cut a clip into the stretches that will be examined.

    Args:
        duration_s: length of the clip; 0 for a still picture.
        mode: ``quick`` (at most `QUICK_WINDOWS`, spread evenly) or ``thorough`` (end to end).
    """
    count = max(1, round(duration_s / WINDOW_S))
    edges = np.linspace(0.0, duration_s + FRAME_TOLERANCE_S, count + 1)
    stretches = [Stretch(float(a), float(b)) for a, b in pairwise(edges)]
    if mode == "thorough" or count <= QUICK_WINDOWS:
        return tuple(stretches)
    chosen = np.linspace(0, count - 1, QUICK_WINDOWS).round().astype(int)
    return tuple(stretches[i] for i in chosen)
