"""What do AV-HuBERT, SyncNet and LatentSync's sync network see of a face?

The crops that they were trained on, cut out of the crops of a track. Geometry as in
facebookresearch/av_hubert, avhubert/preparation/align_mouth.py at 2a7d99b; in
joonson/syncnet_python, run_pipeline.py at 1fbfc08; and in bytedance/LatentSync,
latentsync/utils/image_processor.py at 36b464f and affine_transform.py (in the copy
svjack/ComfyUI-LatentSyncWrapper at 069c510). Imports media.
"""

from __future__ import annotations

import cv2
import numpy as np

from detectors.preprocess import resized
from detectors.sync import stable_plan
from detectors.sync.syncnet import FACE_PX
from media import align
from media.mesh import REGIONS
from media.tracks import FaceTrack

STABLE = (2, 33, 133, 362, 263)  # below the nose, corners of the right and of the left eye
TEMPLATE = np.array(
    [[128.870, 137.303], [92.522, 94.369], [112.772, 94.944], [145.525, 94.535], [166.677, 93.566]]
)
"""The same five on the mean face of LRW, 256 px, which lip readers are trained with: points 33, 36,
39, 42 and 45 of 20words_mean_face.npy (Martinez et al. 2020, arXiv:2001.08702)."""
TEMPLATE_PX = 256
MOUTH = (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87)
"""The twenty points of the lips whose mean is the center, in the order of points 48 to 67."""
SMOOTHED = 12  # frames over which the pose is averaged: this one and those that follow
BROWS = REGIONS["brows"][:5], REGIONS["brows"][5:]  # of the right eye and of the left
NOSE = (195, 1, 98, 327)  # lower end of the bridge, tip, wings
LATENTSYNC = np.array([[17.0, 20.0], [58.0, 20.0], [37.5, 40.0]])
"""Where LatentSync lays the centers of both brows and of the nose, on a face of 75 x 100."""
LATENTSYNC_WH = (75, 100)
SYNCNET_CONTEXT = 0.4  # of the face's side: half of it on the left and right, all of it below


def avhubert_mouths(track: FaceTrack, index: np.ndarray) -> np.ndarray:
    """Mouths on the mean face, whose pose is smoothed and whose center is this frame's mouth.

    Args:
        track: of a face.
        index: (n,) frames of the track, on ticks of 25 Hz.

    Returns:
        (n, 96, 96) uint8 gray.
    """
    landmarks = track.landmarks[index]
    images = []
    for crop, points, mouth in zip(
        track.crops[index], landmarks, mouth_matrices(landmarks), strict=True
    ):
        to_image = cv2.invertAffineTransform(align.face_matrix(points))
        matrix = mouth @ np.vstack([to_image, [0.0, 0.0, 1.0]])
        images.append(align.cut(crop, matrix, align.MOUTH_PX))
    return np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images])


def mouth_matrices(landmarks: np.ndarray) -> np.ndarray:
    """(n, 468, 2) px of a run of frames to (n, 2, 3), from the image to 96-pixel mouth crops."""
    margin, half = min(len(landmarks), SMOOTHED), align.MOUTH_PX // 2
    matrices = []
    for number, points in enumerate(landmarks):
        first = min(number, len(landmarks) - margin)
        pose = landmarks[first : first + margin, STABLE].mean(0, dtype=np.float64)
        matrix = similarity(pose, TEMPLATE)
        center = align.move(points[list(MOUTH)], matrix).mean(0).clip(half, TEMPLATE_PX - half)
        matrix[:, 2] -= center.round() - half
        matrices.append(matrix)
    return np.stack(matrices)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The (2, 3) rotation, scale and shift with the least squares from (n, 2) to (n, 2) points."""
    a, b = (points[:, 0] + 1j * points[:, 1] for points in (source, target))
    turn = np.vdot(a - a.mean(), b - b.mean()) / np.square(np.abs(a - a.mean())).sum()
    return _laid(turn, a.mean(), b.mean())


def as_large(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The same, but so large that (n, 2) points spread as wide as those they are laid on."""
    a, b = (points[:, 0] + 1j * points[:, 1] for points in (source, target))
    turn = np.vdot(a - a.mean(), b - b.mean())
    return _laid(turn / abs(turn) * b.std() / a.std(), a.mean(), b.mean())


def _laid(turn: complex, source: complex, target: complex) -> np.ndarray:
    """The (2, 3) matrix that multiplies by a complex number and lays one point on another."""
    shift = target - turn * source
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def latentsync_faces(track: FaceTrack, index: np.ndarray) -> np.ndarray:
    """Faces from the brows to the chin, stretched to squares; the mouth is in the lower half.

    Brows and nose are taken from our mesh; LatentSync's own are of 106 other landmarks.

    Args:
        track: of a face.
        index: (n,) frames of the track, on ticks of 25 Hz.

    Returns:
        (n, 256, 256, 3) uint8 RGB.
    """
    side, faces = stable_plan.FACE_PX, []
    for crop, points in zip(track.crops[index], track.landmarks[index], strict=True):
        to_image = cv2.invertAffineTransform(align.face_matrix(points))
        matrix = latentsync_matrix(points, side) @ np.vstack([to_image, [0.0, 0.0, 1.0]])
        faces.append(align.cut(crop, matrix, side))
    return np.stack(faces)


def latentsync_matrix(landmarks: np.ndarray, side_px: int) -> np.ndarray:
    """(468, 2) px of a frame to (2, 3), from the image to a face of ``side_px`` a side."""
    centers = np.stack([landmarks[list(part)].mean(0) for part in (*BROWS, NOSE)])
    scale = side_px / np.array(LATENTSYNC_WH)
    return as_large(centers.astype(np.float64), LATENTSYNC) * scale[:, None]


def syncnet_faces(crops: np.ndarray) -> np.ndarray:
    """Faces with their surroundings, lower than the face lies, so that the mouth is in the middle.

    The place and size of the face are those of our crops, frame by frame and with the eyes level;
    SyncNet's own are boxes of a detector, smoothed over 13 frames.

    Args:
        crops: (n, 320, 320, 3) uint8, whose central 224 are the face.

    Returns:
        (n, 224, 224, 3) uint8; rows below the crop are mirrored.
    """
    side = round((1 + SYNCNET_CONTEXT) * align.TIGHT_PX)
    left, top = (align.CROP_PX - side) // 2, (align.CROP_PX - align.TIGHT_PX) // 2
    below = top + side - align.CROP_PX
    faces = []
    for crop in crops:
        longer = cv2.copyMakeBorder(crop, 0, below, 0, 0, cv2.BORDER_REFLECT_101)
        faces.append(longer[top : top + side, left : left + side])
    return resized(faces, FACE_PX)
