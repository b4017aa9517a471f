"""What does a lip-sync tool leave on a face, and how is that imitated on a real one?

Tools of the Wav2Lip family (Prajwal et al. 2020, arXiv:2008.10010) draw the lower face anew at a
low resolution, frame by frame, and paste it back. `redraw` does that to one real face. `degrade` is
what a real face and its fake go through alike, so that neither the codec nor the size is the cue.
Imports media.
"""

from __future__ import annotations

import cv2
import numpy as np

from media.degrade import WEBP, recompress, rescale
from media.mesh import CHIN, LEFT_EAR, MOUTH, NOSE_TIP, RIGHT_EAR

DRAWN_PX = (50, 141)  # side at which tools draw the face: Wav2Lip 96, with margins to both sides
FACE = slice(48, 272)  # the tight face in the 320-pixel wide crop
DOWN = (cv2.INTER_AREA, cv2.INTER_LINEAR)
UP = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
KERNELS = (cv2.INTER_AREA, *UP)


def redraw(image: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The face with its lower part drawn again.

    Args:
        image: (320, 320, 3) uint8 wide crop of a real face.
        landmarks: (468, 2) float, its pixels.
        rng: decides everything.

    Returns:
        A fake of the same shape, uint8.
    """
    drawn = image.copy()
    drawn[FACE, FACE] = _low_resolution(image[FACE, FACE], rng)
    gain, shift = 1 + rng.normal(0, 0.03, 3), rng.normal(0, 3, 3)  # the tool's own light
    drawn = np.clip(drawn.astype(np.float32) * gain + shift, 0, 255)
    if rng.random() < 0.4:
        (x_px, y_px), size = rng.uniform(-2, 2, 2), image.shape[1::-1]
        moved = np.array([[1, 0, x_px], [0, 1, y_px]], np.float32)
        drawn = cv2.warpAffine(drawn, moved, size, borderMode=cv2.BORDER_REFLECT_101)
    mask = _lower_face(landmarks, rng, image.shape[0])[..., None]
    return np.clip(image * (1 - mask) + drawn * mask + 0.5, 0, 255).astype(np.uint8)


def degrade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One random resize and JPEG; uint8 of the same shape."""
    scale, shape = rng.uniform(0.4, 1.0), image.shape[1::-1]
    image = rescale(image, scale, int(rng.choice(KERNELS)))
    return cv2.resize(_jpeg(image, rng, 50), shape, interpolation=int(rng.choice(UP)))


def degrade_hard(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What an old camera or several messengers leave; uint8 of the same shape."""
    scale, shape = rng.uniform(0.22, 0.9), image.shape[1::-1]
    image = rescale(image, scale, int(rng.choice(KERNELS)))
    for _ in range(2):
        if rng.random() < 0.5:
            image = recompress(image, int(rng.integers(15, 80)), WEBP)
        else:
            image = recompress(image, int(rng.integers(25, 90)))
    return cv2.resize(image, shape, interpolation=int(rng.choice(UP)))


def _low_resolution(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A face as a small decoder draws it: coarse, a little soft, sometimes sharpened after."""
    side, shape = int(rng.integers(*DRAWN_PX)), face.shape[1::-1]
    small = cv2.resize(face, (side, side), interpolation=int(rng.choice(DOWN)))
    if rng.random() < 0.6:
        small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.3, 0.9))
    if rng.random() < 0.3:
        small = _jpeg(small, rng, 60)
    drawn = cv2.resize(small, shape, interpolation=int(rng.choice(UP)))
    if rng.random() < 0.35:
        amount = rng.uniform(0.3, 1.2)
        soft = cv2.GaussianBlur(drawn, (0, 0), rng.uniform(1, 2.5))
        drawn = cv2.addWeighted(drawn, 1 + amount, soft, -amount, 0)
    return drawn


def _lower_face(landmarks: np.ndarray, rng: np.random.Generator, side: int) -> np.ndarray:
    """A box, an ellipse round the mouth or the hull of the jaw; (side, side) float32 0..1."""
    mouth, chin, nose = landmarks[list(MOUTH)].mean(0), landmarks[CHIN], landmarks[NOSE_TIP]
    width, drop = landmarks[LEFT_EAR, 0] - landmarks[RIGHT_EAR, 0], chin[1] - mouth[1]
    mask, shape = np.zeros((side, side), np.float32), rng.integers(3)
    if shape == 0:
        top = nose[1] + rng.uniform(-0.25, 0.25) * (mouth[1] - nose[1])
        half = rng.uniform(0.55, 1.05) * width / 2
        low = (int(mouth[0] - half), int(top))
        high = (int(mouth[0] + half), int(chin[1] + rng.uniform(-0.1, 0.3) * drop))
        cv2.rectangle(mask, low, high, 1.0, -1)
    elif shape == 1:
        center = (int(mouth[0]), int(mouth[1] + rng.uniform(0, 0.25) * drop))
        axes = (int(width * rng.uniform(0.24, 0.45)), int(max(drop, 1) * rng.uniform(0.7, 1.25)))
        cv2.ellipse(mask, center, axes, 0, 0, 360, 1.0, -1)
    else:
        top = nose[1] + rng.uniform(-0.2, 0.3) * (mouth[1] - nose[1])
        hull = cv2.convexHull(landmarks[landmarks[:, 1] > top].astype(np.float32))
        cv2.fillConvexPoly(mask, hull.astype(np.int32), 1.0)
    softness_px = rng.choice([0.5, rng.uniform(1, 4), rng.uniform(4, 12)])
    return cv2.GaussianBlur(mask, (0, 0), softness_px)


def _jpeg(image: np.ndarray, rng: np.random.Generator, least: int) -> np.ndarray:
    return recompress(image, int(rng.integers(least, 96)))
