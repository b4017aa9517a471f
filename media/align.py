"""Where on the image is the face, and how is it cut out?

Geometry only: from 468 landmarks to an upright square crop. Every detector looks at crops that were
made here, in training as in the app, so that they always see a face the same way. Imports `mesh`.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from media.mesh import LEFT_EYE, MOUTH, RIGHT_EYE

TIGHT_PX = 224  # the face itself, from above the brows to the chin
CROP_PX = 320  # the face with its surroundings; the tight crop is its center, no second resampling
MARGIN = CROP_PX / TIGHT_PX - 1  # 0.43 of the tight side is added around
TIGHT_SIDE = 2.75  # tight side in units of the eye-to-mouth distance: brows to chin, ear to ear
MOUTH_PX = 96  # side of the mouth crop, AV-HuBERT's size before its 88-pixel random crop
MOUTH_SIDE = 1.45  # side of the mouth crop in units of the eye-to-mouth distance


def eye_line_and_mouth(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centers of the person's right eye, left eye and mouth.

    Args:
        landmarks: (468, 2) float, pixels, x before y.

    Returns:
        Three (2,) float64 points in pixels.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    return (
        points[list(RIGHT_EYE)].mean(0),
        points[list(LEFT_EYE)].mean(0),
        points[list(MOUTH)].mean(0),
    )


def face_scale_px(landmarks: np.ndarray) -> float:
    """The length that crops are measured in: eye-to-mouth or eye-to-eye, the longer (pixels).

    A turned head shortens the one, a nod the other; the longer of both keeps the crop stable.
    """
    right, left, mouth = eye_line_and_mouth(landmarks)
    return float(
        max(np.linalg.norm(left - right), np.linalg.norm(mouth - (left + right) / 2), 1e-3)
    )


def _upright(center: np.ndarray, angle_rad: float, side_px: float, out_px: int) -> np.ndarray:
    """The 2x3 matrix that takes image points to an upright crop of ``out_px`` pixels a side."""
    scale = out_px / side_px
    cos, sin = scale * np.cos(angle_rad), scale * np.sin(angle_rad)
    rotation = np.array([[cos, sin], [-sin, cos]])
    shift = np.array([out_px / 2, out_px / 2]) - rotation @ center
    return np.hstack([rotation, shift[:, None]])


def face_matrix(landmarks: np.ndarray, out_px: int = CROP_PX) -> np.ndarray:
    """The (2, 3) similarity from image pixels to the face crop: eyes level, fixed margin."""
    right, left, mouth = eye_line_and_mouth(landmarks)
    eyes = (right + left) / 2
    angle = np.arctan2(left[1] - right[1], left[0] - right[0])
    side = TIGHT_SIDE * face_scale_px(landmarks) * CROP_PX / TIGHT_PX
    return _upright((eyes + mouth) / 2, angle, side, out_px)


def mouth_matrix(landmarks: np.ndarray, out_px: int = MOUTH_PX) -> np.ndarray:
    """The (2, 3) similarity from image pixels to the mouth crop."""
    right, left, mouth = eye_line_and_mouth(landmarks)
    angle = np.arctan2(left[1] - right[1], left[0] - right[0])
    return _upright(mouth, angle, MOUTH_SIDE * face_scale_px(landmarks), out_px)


def cut(image: np.ndarray, matrix: np.ndarray, out_px: int) -> np.ndarray:
    """Cut one square crop.

    Args:
        image: (h, w, 3) uint8.
        matrix: (2, 3) similarity from image to crop pixels.
        out_px: side of the crop.

    Returns:
        (out_px, out_px, 3) uint8; what lies outside the image is mirrored. A face that is much
        larger than the crop is shrunk with area averaging first, so that no aliasing appears that
        a frequency detector would mistake for an up-sampling trace.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[0, 1]))
    if scale < 0.7:
        shrunk = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        factors = np.array([shrunk.shape[1] / image.shape[1], shrunk.shape[0] / image.shape[0]])
        matrix = np.hstack([matrix[:, :2] / factors, matrix[:, 2:]])
        image = shrunk
    return cv2.warpAffine(
        image, matrix, (out_px, out_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def move(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply a (2, 3) similarity to (n, 2) points; returns (n, 2) float32."""
    return (np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def center(crops: np.ndarray, side_px: int) -> np.ndarray:
    """The central (..., side_px, side_px, 3) part of (..., CROP_PX, CROP_PX, 3) crops."""
    start = (crops.shape[-2] - side_px) // 2
    return crops[..., start : start + side_px, start : start + side_px, :]


STEADY_SIDE = 1.2  # side of the steady crop in units of the mean tight side


def steady(crops: np.ndarray, landmarks: np.ndarray, out_px: int) -> np.ndarray:
    """The crops of one pass, moved back into ONE common frame, so that only the face moves.

    Crops that are aligned image by image inherit the trembling of their landmarks and hide the
    movement of the face. Here the crop of the mean landmarks is cut from all images instead: what
    trembles afterwards trembles in the video.

    Args:
        crops: (n, s, s, 3) uint8 RGB, wide crops, each made with ``face_matrix(landmarks[i], s)``.
        landmarks: (n, 468, 2) float, pixels of the video's images.
        out_px: side of the result, which shows 1.2 tight sides around the mean face.

    Returns:
        (n, out_px, out_px, 3) uint8. What the wide crops do not hold is mirrored.
    """
    return _cut_again(crops, landmarks, [steady_matrix(landmarks, out_px)] * len(crops), out_px)


def steady_matrix(landmarks: np.ndarray, out_px: int) -> np.ndarray:
    """The (2, 3) similarity from image pixels to the steady crop of (n, 468, 2) landmarks."""
    wide = face_matrix(np.mean(landmarks, 0), out_px)
    zoom = CROP_PX / TIGHT_PX / STEADY_SIDE
    half = out_px / 2
    return np.hstack([wide[:, :2] * zoom, (wide[:, 2:] - half) * zoom + half])


def boxes(crops: np.ndarray, landmarks: np.ndarray, margin: float) -> np.ndarray:
    """Square boxes around the faces as the image has them: not turned until the eyes are level.

    Args:
        crops: (n, s, s, 3) uint8 RGB, wide crops, each made with ``face_matrix(landmarks[i], s)``.
        landmarks: (n, 468, 2) float, pixels of the image.
        margin: share of the longer side of the landmarks' box that is added to it.

    Returns:
        (n, s, s, 3) uint8. What the wide crops do not hold is mirrored.
    """
    side = crops.shape[1]
    return _cut_again(crops, landmarks, [box_matrix(p, margin, side) for p in landmarks], side)


def box_matrix(landmarks: np.ndarray, margin: float, out_px: int) -> np.ndarray:
    """The (2, 3) similarity from image pixels to the box around (468, 2) landmarks."""
    low, high = np.min(landmarks, 0).astype(float), np.max(landmarks, 0).astype(float)
    side = max(1e-3, float((high - low).max()) * (1 + margin))
    return _upright((low + high) / 2, 0.0, side, out_px)


def _cut_again(
    crops: np.ndarray, landmarks: np.ndarray, matrices: Sequence[np.ndarray], out_px: int
) -> np.ndarray:
    """Cut other parts, by matrices from image pixels, out of wide crops instead of the image."""
    side = crops.shape[1]
    moved = [
        _full(matrix) @ np.linalg.inv(_full(face_matrix(points, side)))
        for matrix, points in zip(matrices, landmarks, strict=True)
    ]
    return np.stack([cut(c, m[:2], out_px) for c, m in zip(crops, moved, strict=True)])


def _full(matrix: np.ndarray) -> np.ndarray:
    """A (2, 3) matrix as (3, 3)."""
    return np.vstack([matrix, [0.0, 0.0, 1.0]])
