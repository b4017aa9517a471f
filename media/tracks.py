"""Which faces belong together over time, and how good are they to look at?

Faces are linked from picture to picture inside a window (by overlap, broken at a shot cut), and
into people across windows (by place and by look). Imports `align` and `faces`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from media import align
from media.faces import Face, FaceFinder, area, iou

SEARCH_EVERY = (
    8  # frames between two searches of the whole picture; between them faces are followed
)
LINK_IOU = 0.3  # two boxes in neighbouring frames that overlap this much are one face
SHORTEST_TRACK = 4  # frames; shorter tracks of a video are the detector's dreams in noise
MOST_FACES = 6  # the largest faces of a window are examined
CUT_DISTANCE = 0.45  # Bhattacharyya distance of colour histograms between two frames of one shot
SAME_PERSON = 0.82  # correlation of mean face thumbnails across windows
SMALL_PX = 48.0  # side of the tight crop in the picture; below, nothing but the resampling is seen
BLURRY = 3.0  # variance of the Laplacian; real low-light meeting videos reach 6 (measured)
DARK = 25.0  # mean grey level, 0..255


@dataclass(frozen=True)
class Quality:
    """How well a face can be judged.

    Attributes:
        face_px: median side of the tight crop in the picture's own pixels.
        sharpness: median variance of the Laplacian of the tight crop (8-bit grey levels squared).
        brightness: mean grey level of the tight crop, 0..255.
        yaw_deg: median absolute turn of the head, roughly, from the landmarks.
    """

    face_px: float
    sharpness: float
    brightness: float
    yaw_deg: float

    @property
    def problem(self) -> str | None:
        """The reason code why this face cannot be judged, or None."""
        if self.face_px < SMALL_PX:
            return "face_too_small"
        if self.brightness < DARK:
            return "too_dark"
        if self.sharpness < BLURRY:
            return "too_blurry"
        return None


@dataclass(frozen=True)
class FaceTrack:
    """One face through one window.

    Attributes:
        person: name shown to the user, "Face A".
        times_s: (n,) float64 on the clip's clock.
        boxes_xyxy: (n, 4) float32 px in the upright picture.
        landmarks: (n, 468, 2) float32 px in the upright picture.
        crops: (n, 320, 320, 3) uint8 RGB, eyes level; the central 224 is the face itself.
        quality: how well it can be judged.
    """

    person: str
    times_s: np.ndarray
    boxes_xyxy: np.ndarray
    landmarks: np.ndarray
    crops: np.ndarray
    quality: Quality

    def __post_init__(self) -> None:
        n = len(self.times_s)
        expected = {
            "boxes_xyxy": (n, 4),
            "landmarks": (n, 468, 2),
            "crops": (n, align.CROP_PX, align.CROP_PX, 3),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name}: expected {shape}, got {getattr(self, name).shape}")

    def crop_landmarks(self) -> np.ndarray:
        """(n, 468, 2) float32, the landmarks in pixels of the crops."""
        return np.stack([align.move(p, align.face_matrix(p)) for p in self.landmarks])


@dataclass
class _Growing:
    """A track while frames are still coming."""

    times: list[float] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    crops: list[np.ndarray] = field(default_factory=list)

    def add(self, time_s: float, picture: np.ndarray, face: Face) -> None:
        self.times.append(time_s)
        self.faces.append(face)
        matrix = align.face_matrix(face.landmarks)
        self.crops.append(align.cut(picture, matrix, align.CROP_PX))

    def finished(self) -> FaceTrack:
        landmarks = np.stack([face.landmarks for face in self.faces])
        crops = np.stack(self.crops)
        return FaceTrack(
            person="",
            times_s=np.array(self.times),
            boxes_xyxy=np.stack([face.box_xyxy for face in self.faces]),
            landmarks=landmarks,
            crops=crops,
            quality=measure_quality(crops, landmarks),
        )


def track_faces(frames: Iterable[tuple[float, np.ndarray]], finder: FaceFinder) -> list[FaceTrack]:
    """Find and follow the faces of one window.

    Args:
        frames: (time_s, (h, w, 3) uint8 RGB) in order of time.
        finder: the loaded networks.

    Returns:
        The largest tracks first, unnamed. In a video a face must be seen in several frames.
    """
    open_tracks: list[_Growing] = []
    closed: list[_Growing] = []
    histogram = None
    count = 0
    for count, (time_s, picture) in enumerate(frames, 1):
        before, histogram = histogram, _histogram(picture)
        if before is not None and _distance(before, histogram) > CUT_DISTANCE:
            closed, open_tracks = closed + open_tracks, []
        search = (count - 1) % SEARCH_EVERY == 0 or not open_tracks
        followed = [(t, finder.follow(picture, t.faces[-1])) for t in open_tracks]
        lost = [t for t, face in followed if face is None]
        closed += lost
        kept = [(t, face) for t, face in followed if face is not None]
        kept, doubles = _without_doubles(kept)
        closed += doubles
        for track, face in kept:
            track.add(time_s, picture, face)
        open_tracks = [t for t, _ in kept]
        if search:
            for face in finder.find(picture):
                if all(iou(face.box_xyxy, t.faces[-1].box_xyxy) < LINK_IOU for t in open_tracks):
                    track = _Growing()
                    track.add(time_s, picture, face)
                    open_tracks.append(track)
    shortest = min(SHORTEST_TRACK, count)
    tracks = [t.finished() for t in closed + open_tracks if len(t.times) >= shortest]
    tracks.sort(key=lambda t: -float(np.median([area(b) for b in t.boxes_xyxy])) * len(t.times_s))
    return tracks[:MOST_FACES]


def measure_quality(crops: np.ndarray, landmarks: np.ndarray) -> Quality:
    """Quality of (n, 320, 320, 3) crops with (n, 468, 2) landmarks, from at most eight of them."""
    chosen = np.unique(np.linspace(0, len(crops) - 1, 8).round().astype(int))
    grey = [
        cv2.cvtColor(align.centre(crops[i], align.TIGHT_PX), cv2.COLOR_RGB2GRAY) for i in chosen
    ]
    scales = [align.face_scale_px(landmarks[i]) for i in chosen]
    return Quality(
        face_px=float(np.median(scales)) * align.TIGHT_SIDE,
        sharpness=float(np.median([cv2.Laplacian(g, cv2.CV_64F).var() for g in grey])),
        brightness=float(np.mean([g.mean() for g in grey])),
        yaw_deg=float(np.median([abs(yaw_deg(landmarks[i])) for i in chosen])),
    )


def yaw_deg(landmarks: np.ndarray) -> float:
    """Rough turn of the head from (468, 2) landmarks: where the nose lies between the cheeks."""
    left, right, nose = landmarks[454], landmarks[234], landmarks[1]
    across = right - left
    share = float(np.dot(nose - left, across) / max(float(np.dot(across, across)), 1e-9))
    return float(np.degrees(np.arcsin(np.clip(2 * share - 1, -1, 1))))


class People:
    """Gives tracks of successive windows the names of people ("Face A", "Face B", …)."""

    def __init__(self) -> None:
        self._known: list[tuple[str, np.ndarray, np.ndarray]] = []  # name, thumbnail, last box

    def name(self, tracks: list[FaceTrack]) -> tuple[FaceTrack, ...]:
        """The same tracks, each with a person; tracks at one moment are never one person."""
        named: list[FaceTrack] = []
        for track in tracks:
            taken = {t.person for t in named if _at_one_moment(t, track)}
            named.append(replace(track, person=self._recognise(track, taken)))
        return tuple(named)

    def _recognise(self, track: FaceTrack, taken: set[str]) -> str:
        look, box = _thumbnail(track.crops), track.boxes_xyxy[-1]
        likeness = [
            (float((look * seen).mean()) + 0.2 * (iou(track.boxes_xyxy[0], last) > LINK_IOU), i)
            for i, (name, seen, last) in enumerate(self._known)
            if name not in taken
        ]
        best, index = max(likeness, default=(0.0, -1))
        if best >= SAME_PERSON:
            name, seen, _ = self._known[index]
            self._known[index] = (name, _unit((seen + look) / 2), box)
            return name
        name = f"Face {_letters(len(self._known))}"
        self._known.append((name, look, box))
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
    few = align.centre(crops[:: max(1, len(crops) // 8)], align.TIGHT_PX)
    small = [cv2.resize(c, (24, 24), interpolation=cv2.INTER_AREA) for c in few]
    return _unit(np.mean(small, axis=0).astype(np.float64))


def _histogram(picture: np.ndarray) -> np.ndarray:
    small = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    values = cv2.calcHist([small], [0, 1, 2], None, [6, 6, 6], [0, 256] * 3)
    return (values / max(float(values.sum()), 1.0)).ravel()


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(cv2.compareHist(a, b, cv2.HISTCMP_BHATTACHARYYA))


def _without_doubles(
    kept: list[tuple[_Growing, Face]],
) -> tuple[list[tuple[_Growing, Face]], list[_Growing]]:
    """Two tracks that drifted onto one face: the longer one goes on, the other one ends."""
    kept.sort(key=lambda pair: -len(pair[0].times))
    alone: list[tuple[_Growing, Face]] = []
    doubles: list[_Growing] = []
    for track, face in kept:
        if any(iou(face.box_xyxy, other.box_xyxy) > 0.5 for _, other in alone):
            doubles.append(track)
        else:
            alone.append((track, face))
    return alone, doubles
