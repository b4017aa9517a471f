"""Where are the faces in one image, and where are their landmarks?

`FaceFinder` answers for a single image; `tracks.py` links the answers over time. Two networks
from Google's MediaPipe (Apache-2.0, see weights/NOTICE) do the work: the full-range BlazeFace
detector and the 468-point face mesh. Imports `align` and `mesh`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from media.mesh import LEFT_EYE_OUTER, RIGHT_EYE_OUTER

WEIGHTS = Path(__file__).parent / "weights"
DETECTOR_FILE = WEIGHTS / "face_detection_full_range_sparse.tflite"
MESH_FILE = WEIGHTS / "face_landmark.tflite"
MESH_INPUT_PX = 192
MESH_OUTPUTS = ("conv2d_21", "conv2d_31")  # landmarks, presence logit
MESH_ROI_SCALE = 1.5  # MediaPipe's own margin around the detection or the former landmarks
MOST_PROPOSALS = 24  # largest ones of an image that are looked at; a crowd would take minutes
MIN_DETECTION = 0.5  # confidence of the detector
MIN_PRESENCE = 0.5  # probability of the mesh that its region holds a face
PAD_FRACTION = 0.25  # the detector misses faces that fill the image: search again with a border
WIDE_PAD_FRACTION = 0.5  # and with a wider one, where the image is too small to be cut in tiles
TILE_OVERLAP = 0.3  # share of a tile that it has in common with its neighbor
TILE_MIN_SIDE_PX = 480  # smaller images gain nothing from a second, tiled search
SAME_FACE_IOU = 0.4


@dataclass(frozen=True)
class Face:
    """One face in one image.

    Attributes:
        box_xyxy: (4,) float32, pixels, the bounding box of the landmarks.
        landmarks: (468, 2) float32, pixels, x before y.
        presence: 0..1, the mesh network's belief that a face is there.
    """

    box_xyxy: np.ndarray
    landmarks: np.ndarray
    presence: float


@dataclass(frozen=True)
class Region:
    """A rotated square that holds a face: center (2,) px, side px, angle rad."""

    center: np.ndarray
    side_px: float
    angle_rad: float


class FaceFinder:
    """Finds faces and their landmarks; loads its networks on first use. A context manager."""

    def __init__(self) -> None:
        self._detector = None
        self._mesh = None

    def __enter__(self) -> FaceFinder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the native detector."""
        if self._detector is not None:
            self._detector.close()
        self._detector = self._mesh = None

    def find(self, image: np.ndarray, followed: Sequence[Face] = ()) -> list[Face]:
        """All faces of one image, largest first.

        Args:
            image: (h, w, 3) uint8 RGB.
            followed: faces of this image that are known; they are not looked at again.

        Returns:
            Faces that the detector proposed and the mesh confirmed, of a crowd the largest. An
            image in which nothing was found is searched again with a border (tight crops) and, if
            large, in four tiles (small faces).
        """
        regions = self._detect(image) or self._detect_padded(image, PAD_FRACTION)
        if not regions and min(image.shape[:2]) >= TILE_MIN_SIDE_PX:
            regions = self._detect_tiled(image)
        elif not regions:
            regions = self._detect_padded(image, WIDE_PAD_FRACTION)
        regions = [r for r in regions if not any(_holds(r, face) for face in followed)]
        regions.sort(key=lambda region: -region.side_px)
        largest = regions[:MOST_PROPOSALS]
        faces = [face for region in largest if (face := self._confirm(image, region))]
        faces.sort(key=lambda face: -area(face.box_xyxy))
        return _without_doubles(faces)

    def follow(self, image: np.ndarray, before: Face) -> Face | None:
        """The same face in the next image, from where its landmarks were; None if it is gone."""
        return self._mesh_at(image, _region_of_landmarks(before.landmarks))

    def _confirm(self, image: np.ndarray, region: Region) -> Face | None:
        """Two passes: the second one starts from the first one's landmarks and is more exact."""
        first = self._mesh_at(image, region)
        return first and self.follow(image, first)

    def _detect(self, image: np.ndarray) -> list[Region]:
        import mediapipe as mp  # heavy, so only when an image is really searched

        if self._detector is None:
            self._detector = _new_detector()
        wrapped = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        height, width = image.shape[:2]
        detections = self._detector.detect(wrapped).detections
        return [_region_of_detection(d, width, height) for d in detections]

    def _detect_padded(self, image: np.ndarray, fraction: float) -> list[Region]:
        pad = int(max(image.shape[:2]) * fraction)
        padded = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
        return [_shifted(region, -pad, -pad) for region in self._detect(padded)]

    def _detect_tiled(self, image: np.ndarray) -> list[Region]:
        height, width = image.shape[:2]
        tile_h, tile_w = (int(side * (1 + TILE_OVERLAP) / 2) for side in (height, width))
        return [
            _shifted(region, left, top)
            for top in (0, height - tile_h)
            for left in (0, width - tile_w)
            for region in self._detect(image[top : top + tile_h, left : left + tile_w])
        ]

    def _mesh_at(self, image: np.ndarray, region: Region) -> Face | None:
        if self._mesh is None:
            # OpenCV 5's new engine hides the presence output; the classic one has both.
            self._mesh = cv2.dnn.readNetFromTFLite(str(MESH_FILE), cv2.dnn.ENGINE_CLASSIC)
        to_input = _region_matrix(region)
        crop = cv2.warpAffine(image, to_input, (MESH_INPUT_PX, MESH_INPUT_PX))
        self._mesh.setInput(cv2.dnn.blobFromImage(crop, 1 / 255.0))
        raw, logit = self._mesh.forward(MESH_OUTPUTS)
        presence = float(1 / (1 + np.exp(-np.clip(logit.ravel()[0], -30, 30))))
        if presence < MIN_PRESENCE:
            return None
        back = cv2.invertAffineTransform(to_input)
        points = raw.reshape(-1, 3)[:, :2] @ back[:, :2].T + back[:, 2]
        box = np.concatenate([points.min(0), points.max(0)])
        if not _overlaps_image(box, image.shape):
            return None
        return Face(box.astype(np.float32), points.astype(np.float32), presence)


def area(box_xyxy: np.ndarray) -> float:
    """Area of a box in square pixels."""
    return float(max(box_xyxy[2] - box_xyxy[0], 0) * max(box_xyxy[3] - box_xyxy[1], 0))


def iou(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> float:
    """Intersection over union of two boxes, 0..1."""
    low, high = np.maximum(a_xyxy[:2], b_xyxy[:2]), np.minimum(a_xyxy[2:], b_xyxy[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    return shared / max(area(a_xyxy) + area(b_xyxy) - shared, 1e-9)


def _new_detector():
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceDetectorOptions(
        base_options=BaseOptions(model_asset_path=str(DETECTOR_FILE)),
        min_detection_confidence=MIN_DETECTION,
    )
    return vision.FaceDetector.create_from_options(options)


def _region_of_detection(detection, width: int, height: int) -> Region:
    box, eyes = detection.bounding_box, detection.keypoints[:2]
    center = np.array([box.origin_x + box.width / 2, box.origin_y + box.height / 2])
    across = [(eyes[1].x - eyes[0].x) * width, (eyes[1].y - eyes[0].y) * height]
    side = max(box.width, box.height) * MESH_ROI_SCALE
    return Region(center, float(side), float(np.arctan2(across[1], across[0])))


def _region_of_landmarks(landmarks: np.ndarray) -> Region:
    low, high = landmarks.min(0), landmarks.max(0)
    across = landmarks[LEFT_EYE_OUTER] - landmarks[RIGHT_EYE_OUTER]
    side = float((high - low).max()) * MESH_ROI_SCALE
    return Region((low + high) / 2, side, float(np.arctan2(across[1], across[0])))


def _holds(region: Region, face: Face) -> bool:
    """The detector's box of a region is the one of a face."""
    half = region.side_px / MESH_ROI_SCALE / 2
    box_xyxy = np.concatenate([region.center - half, region.center + half])
    return iou(box_xyxy, face.box_xyxy) >= SAME_FACE_IOU


def _region_matrix(region: Region) -> np.ndarray:
    scale = MESH_INPUT_PX / max(region.side_px, 1e-3)
    cos, sin = scale * np.cos(region.angle_rad), scale * np.sin(region.angle_rad)
    rotation = np.array([[cos, sin], [-sin, cos]])
    shift = MESH_INPUT_PX / 2 - rotation @ region.center
    return np.hstack([rotation, shift[:, None]])


def _shifted(region: Region, x: float, y: float) -> Region:
    return Region(region.center + np.array([x, y]), region.side_px, region.angle_rad)


def _overlaps_image(box_xyxy: np.ndarray, shape: tuple[int, ...]) -> bool:
    """At least half of the face must lie inside the image, and have a size at all."""
    height, width = shape[:2]
    inside = np.concatenate(
        [np.clip(box_xyxy[:2], 0, None), np.minimum(box_xyxy[2:], [width, height])]
    )
    return area(box_xyxy) > 4 and area(inside) >= 0.5 * area(box_xyxy)


def _without_doubles(faces: list[Face]) -> list[Face]:
    selected: list[Face] = []
    for face in faces:
        if all(iou(face.box_xyxy, other.box_xyxy) < SAME_FACE_IOU for other in selected):
            selected.append(face)
    return selected
