"""What happens to an image between a camera or a tool and us?

Resizing, JPEG and WebP, retouching, color, noise, captions: drawn anew for every pair, the same
for its real and its fake, so that none of it can be the cue. Imports media and
`training.augment.artifacts`.
"""

from __future__ import annotations

import cv2
import numpy as np

from media.degrade import WEBP, recompress, rescale
from training.augment import artifacts

P_CLEAN = 0.45  # share of the pairs that pass without degradation


def degraded(image: np.ndarray, tight_px: float, rng: np.random.Generator) -> np.ndarray:
    """What happens to an image between a camera or a tool and us; uint8 of the same shape."""
    if rng.random() < P_CLEAN:
        return image
    shape = image.shape[1::-1]
    if rng.random() < 0.2:
        image = _retouched(image, rng)
    if rng.random() < 0.55:
        face_px = np.exp(rng.uniform(np.log(75), np.log(210)))  # width of the face that is left
        image = rescale(image, min(face_px / tight_px, 1.3), int(rng.choice(artifacts.KERNELS)))
    for chance in (0.7, 0.2):
        if rng.random() < chance:
            image = _encoded(image, rng)
    if rng.random() < 0.08:
        image = _with_text(image, rng)
    image = cv2.resize(image, shape, interpolation=int(rng.choice(artifacts.KERNELS)))
    if rng.random() < 0.4:
        image = _recolored(image, rng)
    if rng.random() < 0.15:
        sigma = rng.uniform(1, 7)
        noise = rng.normal(0, sigma, (*image.shape[:2], 3 if rng.random() < 0.5 else 1))
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def _retouched(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sharpened, denoised or "beautified", as cameras and apps do with real faces."""
    if rng.random() < 0.45:
        return artifacts.sharpened(image, rng, rng.uniform(0.2, 0.9))
    return artifacts.smoothed(image, rng, rng.uniform(0.1, 0.9))


def _encoded(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """JPEG, or WebP whose intra coding is close to that of video."""
    if rng.random() < 0.75:
        return recompress(image, int(rng.integers(35, 96)))
    return recompress(image, int(rng.integers(20, 91)), WEBP)


def _with_text(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A caption or a logo over the face."""
    words = "".join(chr(rng.integers(65, 91)) for _ in range(rng.integers(3, 14)))
    place = (int(rng.integers(image.shape[1] * 0.7)), int(rng.integers(20, image.shape[0])))
    color = [int(c) for c in rng.integers(0, 256, 3)]
    size = float(rng.uniform(0.4, 1.2))
    return cv2.putText(
        image.copy(), words, place, int(rng.integers(8)), size, color, 2, cv2.LINE_AA
    )


def _recolored(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.15:
        return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, -1)
    return artifacts.color_drift(image, rng, rng.uniform(0.5, 2.5))
