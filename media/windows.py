"""Which stretches of time are examined, and what does one of them hold?

A window is decoded once; its faces are found, linked and cropped once. Imports the rest of media.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, overload

import numpy as np

from media.clip import Clip
from media.faces import FaceFinder
from media.identity import IdentityLinker
from media.mode import Mode
from media.sniff import MediaKind
from media.speech import speech_stretches
from media.tracks import FaceTrack, track_faces

WINDOW_S = 3.0  # unit of work, of cost and of the timeline
QUICK_WINDOWS = 4  # `quick` examines at most 12 s, whatever the length of the file
STILLS = 16  # whole images of a window that are kept while it is examined
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
        stills: (k, h, w, 3) uint8 RGB, a few whole images spread over the stretch.
        stills_s: (k,) float64, their times.
        tracks: the faces, each with its aligned crops.
        audio: (m,) float32, -1..1, 16 kHz mono, or None when the file has no audio.
        audio_start_s: time of the first sample on the clip's clock.
        wide_audio: (w,) as ``audio``, but of as many seconds around the middle of the stretch as
            somebody listens to at once; None where nobody asked or there is none.
        speech_s: (p, 2) float64, stretches of speech on the clip's clock.
        kind: of the file; a still image has no time in it, audio no images.
    """

    stretch: Stretch
    times_s: np.ndarray
    stills: np.ndarray
    stills_s: np.ndarray
    tracks: tuple[FaceTrack, ...]
    audio: np.ndarray | None
    audio_start_s: float
    speech_s: np.ndarray
    kind: MediaKind
    wide_audio: np.ndarray | None = None

    @property
    def is_image(self) -> bool:
        """One still image, no time in it."""
        return self.kind == MediaKind.IMAGE

    def __post_init__(self) -> None:
        if self.stills.ndim != 4 or self.stills.shape[-1] != 3:
            raise ValueError(f"stills: expected (k, h, w, 3), got {self.stills.shape}")
        if self.audio is not None and self.audio.ndim != 1:
            raise ValueError(f"audio: expected (m,), got {self.audio.shape}")
        if self.speech_s.ndim != 2 or self.speech_s.shape[1] != 2:
            raise ValueError(f"speech_s: expected (p, 2), got {self.speech_s.shape}")


class Plan(Sequence[Stretch]):
    """The stretches that will be examined, each made when it is asked for.

    Args:
        whole_s: time that is cut into stretches of equal length.
        pieces: how many.
        chosen: indices of those that are examined.
    """

    def __init__(self, whole_s: float, pieces: int, chosen: Sequence[int]) -> None:
        self._whole_s, self._pieces, self._chosen = whole_s, pieces, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Stretch: ...
    @overload
    def __getitem__(self, index: slice) -> Plan: ...
    def __getitem__(self, index: int | slice) -> Stretch | Plan:
        if isinstance(index, slice):
            return Plan(self._whole_s, self._pieces, self._chosen[index])
        piece = self._chosen[index]
        edges = (self._whole_s * edge / self._pieces for edge in (piece, piece + 1))
        return Stretch(*edges)


def plan(duration_s: float, mode: Mode) -> Plan:
    """Cut a clip into the stretches that will be examined.

    Args:
        duration_s: length of the clip; 0 for a still image.
        mode: at most `QUICK_WINDOWS`, spread evenly, or end to end.
    """
    count = max(1, round(duration_s / WINDOW_S))
    chosen: Sequence[int] = range(count)
    if mode is not Mode.THOROUGH and count > QUICK_WINDOWS:
        chosen = np.linspace(0, count - 1, QUICK_WINDOWS).round().astype(int).tolist()
    return Plan(duration_s + FRAME_TOLERANCE_S, count, chosen)


class Audible(Protocol):
    """What `hear` needs to know of a clip."""

    duration_s: float

    def audio(self, start_s: float, stop_s: float) -> np.ndarray | None:
        """As `media.clip.Clip.audio`."""
        ...


def read_window(clip: Clip, stretch: Stretch, finder: FaceFinder, people: IdentityLinker) -> Window:
    """Decode a stretch once: follow the faces, keep a few whole images, hear who speaks when."""
    return hear(clip, decode_window(clip, stretch, finder, people))


def hear(clip: Audible, window: Window, audio_s: float = 0.0) -> Window:
    """The window with its audio and the stretches of speech, which a network of torch finds.

    Args:
        clip: the open file.
        window: of `decode_window`.
        audio_s: so many seconds around its middle are heard too; 0 for none.
    """
    audio = clip.audio(window.stretch.start_s, window.stretch.stop_s)
    wide = around(window.stretch, audio_s, clip.duration_s)
    return replace(
        window,
        audio=audio,
        wide_audio=clip.audio(wide.start_s, wide.stop_s) if audio_s and audio is not None else None,
        speech_s=speech_stretches(audio, window.audio_start_s),
    )


def around(stretch: Stretch, seconds: float, duration_s: float) -> Stretch:
    """So many seconds around the middle of a stretch, or all of a clip that is shorter."""
    length_s = min(seconds, duration_s)
    start_s = (stretch.start_s + stretch.stop_s - length_s) / 2
    start_s = max(0.0, min(start_s, duration_s - length_s))
    return Stretch(start_s, start_s + length_s)


def decode_window(
    clip: Clip, stretch: Stretch, finder: FaceFinder, people: IdentityLinker
) -> Window:
    """What `read_window` sees: the audio is still missing."""
    step_s = max(stretch.stop_s - stretch.start_s, 1e-6) / STILLS
    stills: list[tuple[float, np.ndarray]] = []
    times: list[float] = []

    def watched():
        for time_s, image in clip.frames(stretch.start_s, stretch.stop_s):
            times.append(time_s)
            if not stills or time_s >= stills[-1][0] + step_s - 1e-6:
                stills.append((time_s, image))
            yield time_s, image

    tracks = people.name(track_faces(watched(), finder))
    still_shape = (0, *clip.size_wh[::-1], 3)
    return Window(
        stretch=stretch,
        times_s=np.array(times),
        stills=np.stack([p for _, p in stills]) if stills else np.zeros(still_shape, np.uint8),
        stills_s=np.array([t for t, _ in stills]),
        tracks=tracks,
        audio=None,
        audio_start_s=stretch.start_s,
        speech_s=np.zeros((0, 2)),
        kind=clip.kind,
    )
