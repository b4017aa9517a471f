"""Who is who across windows?

Tracks become people by place and by appearance. Nobody is recognized: the names last for one file.
Imports `align`, `faces` and `tracks`.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from media import align
from media.faces import iou
from media.tracks import LINK_IOU, FaceTrack

SAME_PERSON = 0.82  # correlation of mean face thumbnails across windows


class IdentityLinker:
    """Gives tracks of successive windows the names of people ("Face A", "Face B", …)."""

    def __init__(self) -> None:
        self._known: list[tuple[str, np.ndarray, np.ndarray]] = []  # name, thumbnail, last box

    def name(self, tracks: list[FaceTrack]) -> tuple[FaceTrack, ...]:
        """The same tracks, each with a person; tracks at one moment are never one person."""
        named: list[FaceTrack] = []
        for track in tracks:
            taken = {t.person for t in named if _at_one_moment(t, track)}
            named.append(replace(track, person=self._recognize(track, taken)))
        return tuple(named)

    def _recognize(self, track: FaceTrack, taken: set[str]) -> str:
        assessment, box = _thumbnail(track.crops), track.boxes_xyxy[-1]
        likeness = [
            (
                float((assessment * observed).mean())
                + 0.2 * (iou(track.boxes_xyxy[0], last) > LINK_IOU),
                i,
            )
            for i, (name, observed, last) in enumerate(self._known)
            if name not in taken
        ]
        best, index = max(likeness, default=(0.0, -1))
        if best >= SAME_PERSON:
            name, observed, _ = self._known[index]
            self._known[index] = (name, _unit((observed + assessment) / 2), box)
            return name
        name = f"Face {_letters(len(self._known))}"
        self._known.append((name, assessment, box))
        return name


def _letters(index: int) -> str:
    """0 → A, 25 → Z, 26 → AA."""
    return (_letters(index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)


def _at_one_moment(a: FaceTrack, b: FaceTrack) -> bool:
    return bool(a.times_s[0] <= b.times_s[-1] and b.times_s[0] <= a.times_s[-1])


def _unit(values: np.ndarray) -> np.ndarray:
    values = values - values.mean()
    return values / max(float(values.std()), 1e-6)


def _thumbnail(crops: np.ndarray) -> np.ndarray:
    """(24, 24, 3) mean look of a face, zero mean and unit variance."""
    few = align.center(crops[:: max(1, len(crops) // 8)], align.TIGHT_PX)
    small = [cv2.resize(c, (24, 24), interpolation=cv2.INTER_AREA) for c in few]
    return _unit(np.mean(small, axis=0).astype(np.float64))
