"""Which faces belong together inside a window, and how well can they be judged?

Faces are linked from image to image by overlap; a shot cut ends every track. Imports `align`,
`faces` and `mesh`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from media import align
from media.faces import Face, FaceFinder, area, iou
from media.mesh import LEFT_EAR, NOSE_TIP, RIGHT_EAR

SEARCH_EVERY = 8  # frames between two searches of the whole image; between them faces are followed
LINK_IOU = 0.3  # two boxes in neighboring frames that overlap this much are one face
SHORTEST_TRACK = 4  # frames; shorter tracks in a video are false detections
MOST_FACES = 6  # the largest faces of a window are examined
MOST_FOLLOWED = 2 * MOST_FACES  # at the same time; the largest ones of an image come first
CUT_DISTANCE = 0.45  # Bhattacharyya distance of color histograms between two frames of one shot
COLOR_ROWS = 180  # rows of an image that its colors are taken from, or up to twice as many
SMALL_PX = 48.0  # side of the tight crop in the image; below, nothing but the resampling is seen
BLURRY = 3.0  # variance of the Laplacian; real low-light meeting videos reach 6 (measured)
DARK = 25.0  # mean gray level, 0..255


@dataclass(frozen=True)
class Quality:
    """How well a face can be judged.

    Attributes:
        face_px: median side of the tight crop in the image's own pixels.
        sharpness: median variance of the Laplacian of the tight crop (8-bit gray levels squared).
        brightness: mean gray level of the tight crop, 0..255.
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
        boxes_xyxy: (n, 4) float32 px in the upright image.
        landmarks: (n, 468, 2) float32 px in the upright image.
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

    def add(self, time_s: float, image: np.ndarray, face: Face) -> None:
        self.times.append(time_s)
        self.faces.append(face)
        matrix = align.face_matrix(face.landmarks)
        self.crops.append(align.cut(image, matrix, align.CROP_PX))

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
    for count, (time_s, image) in enumerate(frames, 1):
        before, histogram = histogram, _histogram(image)
        if before is not None and _distance(before, histogram) > CUT_DISTANCE:
            closed, open_tracks = closed + open_tracks, []
        search = (count - 1) % SEARCH_EVERY == 0 or not open_tracks
        followed = [(t, finder.follow(image, t.faces[-1])) for t in open_tracks]
        lost = [t for t, face in followed if face is None]
        closed += lost
        selected = [(t, face) for t, face in followed if face is not None]
        selected, doubles = _without_doubles(selected)
        closed += doubles
        for track, face in selected:
            track.add(time_s, image, face)
        open_tracks = [t for t, _ in selected]
        if search:
            for face in finder.find(image, [t.faces[-1] for t in open_tracks]):
                if len(open_tracks) < MOST_FOLLOWED and all(
                    iou(face.box_xyxy, t.faces[-1].box_xyxy) < LINK_IOU for t in open_tracks
                ):
                    track = _Growing()
                    track.add(time_s, image, face)
                    open_tracks.append(track)
    shortest = min(SHORTEST_TRACK, count)
    tracks = [t.finished() for t in closed + open_tracks if len(t.times) >= shortest]
    tracks.sort(key=lambda t: -float(np.median([area(b) for b in t.boxes_xyxy])) * len(t.times_s))
    return tracks[:MOST_FACES]


def measure_quality(crops: np.ndarray, landmarks: np.ndarray) -> Quality:
    """Quality of (n, 320, 320, 3) crops with (n, 468, 2) landmarks, from at most eight of them."""
    chosen = np.unique(np.linspace(0, len(crops) - 1, 8).round().astype(int))
    gray = [
        cv2.cvtColor(align.center(crops[i], align.TIGHT_PX), cv2.COLOR_RGB2GRAY) for i in chosen
    ]
    scales = [align.face_scale_px(landmarks[i]) for i in chosen]
    return Quality(
        face_px=float(np.median(scales)) * align.TIGHT_SIDE,
        sharpness=float(np.median([cv2.Laplacian(g, cv2.CV_64F).var() for g in gray])),
        brightness=float(np.mean([g.mean() for g in gray])),
        yaw_deg=float(np.median([abs(yaw_deg(landmarks[i])) for i in chosen])),
    )


def yaw_deg(landmarks: np.ndarray) -> float:
    """Rough turn of the head from (468, 2) landmarks: where the nose lies between the cheeks."""
    left, right, nose = landmarks[LEFT_EAR], landmarks[RIGHT_EAR], landmarks[NOSE_TIP]
    across = right - left
    share = float(np.dot(nose - left, across) / max(float(np.dot(across, across)), 1e-9))
    return float(np.degrees(np.arcsin(np.clip(2 * share - 1, -1, 1))))


def _histogram(image: np.ndarray) -> np.ndarray:
    step = max(1, min(image.shape[:2]) // COLOR_ROWS)
    few = np.ascontiguousarray(image[::step, ::step])
    small = cv2.resize(few, (64, 64), interpolation=cv2.INTER_AREA)
    values = cv2.calcHist([small], [0, 1, 2], None, [6, 6, 6], [0, 256] * 3)
    return (values / max(float(values.sum()), 1.0)).ravel()


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(cv2.compareHist(a, b, cv2.HISTCMP_BHATTACHARYYA))


def _without_doubles(
    selected: list[tuple[_Growing, Face]],
) -> tuple[list[tuple[_Growing, Face]], list[_Growing]]:
    """Two tracks that drifted onto one face: the longer one goes on, the other one ends."""
    selected.sort(key=lambda pair: -len(pair[0].times))
    alone: list[tuple[_Growing, Face]] = []
    doubles: list[_Growing] = []
    for track, face in selected:
        if any(iou(face.box_xyxy, other.box_xyxy) > 0.5 for _, other in alone):
            doubles.append(track)
        else:
            alone.append((track, face))
    return alone, doubles
