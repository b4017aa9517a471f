"""What was seen of the people in a clip, once its windows have been let go?

Keeps boxes over time and a few whole images for the report. Imports `tracks`, `turns` and
`windows`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from media.tracks import FaceTrack, Quality
from media.turns import Turn, TurnFinder
from media.windows import Window

SAME_MOMENT_S = 0.05  # a face this close in time to an image is drawn on it


@dataclass(frozen=True)
class TrackRecord:
    """Where a face was while it was followed without a break.

    Attributes:
        times_s: (n,) float64 on the clip's clock.
        boxes_xyxy: (n, 4) float32 px.
    """

    times_s: np.ndarray
    boxes_xyxy: np.ndarray


@dataclass(frozen=True)
class PersonRecord:
    """Where one person was seen, over all windows.

    Attributes:
        name: "Face A".
        stretches_s: (start, stop) of each window in which the face was followed.
        frames: number of images.
        quality: of the best window.
        tracks: its boxes over time, for the annotated video.
    """

    name: str
    stretches_s: tuple[tuple[float, float], ...]
    frames: int
    quality: Quality
    tracks: tuple[TrackRecord, ...] = ()


@dataclass(frozen=True)
class Keyframe:
    """An image kept for the report, with the faces in it.

    Attributes:
        time_s: on the clip's clock.
        image: (h, w, 3) uint8 RGB.
        faces: person → (box (4,) px, landmarks (468, 2) px).
    """

    time_s: float
    image: np.ndarray
    faces: Mapping[str, tuple[np.ndarray, np.ndarray]]


class Recorder:
    """Collects, window by window, where people were and a few images of them.

    Args:
        listens: voices are told apart too.
    """

    def __init__(self, listens: bool = False) -> None:
        self._voices = TurnFinder() if listens else None
        self.keyframes: list[Keyframe] = []
        self.speech_s: list[tuple[float, float]] = []
        self._tracks: dict[str, list[tuple[TrackRecord, Quality]]] = defaultdict(list)

    def add(self, window: Window, images: int) -> None:
        """Remember a window, with so many of its whole images."""
        for track in window.tracks:
            followed = TrackRecord(track.times_s, track.boxes_xyxy)
            self._tracks[track.person].append((followed, track.quality))
        self.speech_s += [(float(start), float(stop)) for start, stop in window.speech_s]
        self.keyframes += _keyframes(window, images)
        if self._voices is not None:
            self._voices.add(window)

    def turns(self) -> tuple[Turn, ...]:
        """Who spoke when, where somebody listened."""
        return self._voices.turns() if self._voices is not None else ()

    def people(self) -> tuple[PersonRecord, ...]:
        """Everybody who was seen, by name."""
        return tuple(_person(name, entries) for name, entries in sorted(self._tracks.items()))


def _person(name: str, entries: list[tuple[TrackRecord, Quality]]) -> PersonRecord:
    return PersonRecord(
        name=name,
        stretches_s=tuple((float(f.times_s[0]), float(f.times_s[-1])) for f, _ in entries),
        frames=sum(len(f.times_s) for f, _ in entries),
        quality=max((quality for _, quality in entries), key=lambda quality: quality.face_px),
        tracks=tuple(followed for followed, _ in entries),
    )


def _keyframes(window: Window, count: int) -> list[Keyframe]:
    """So many images, spread over the window, with the faces that are seen in them."""
    last = len(window.stills) - 1
    if last < 0 or count < 1:
        return []
    index = np.unique(np.linspace(0, last, count + 2).round().astype(int)[1:-1])
    times = [float(window.stills_s[i]) for i in index]
    return [
        Keyframe(t, window.stills[i], _faces_at(window.tracks, t))
        for i, t in zip(index, times, strict=True)
    ]


def _faces_at(
    tracks: tuple[FaceTrack, ...], time_s: float
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    faces = {}
    for track in tracks:
        nearest = int(np.abs(track.times_s - time_s).argmin())
        if abs(float(track.times_s[nearest]) - time_s) < SAME_MOMENT_S:
            faces[track.person] = (track.boxes_xyxy[nearest], track.landmarks[nearest])
    return faces
