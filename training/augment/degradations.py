"""What happens to a picture between a camera or a tool and us?

Resizing, JPEG and WebP, retouching, colour, noise, captions: drawn anew for every pair, the same
for its real and its fake, so that none of it can be the cue. Imports `training.augment.artifacts`.
"""

from __future__ import annotations

import cv2
import numpy as np

from training.augment import artifacts

P_CLEAN = 0.45  # share of the pairs that pass without degradation


def degraded(picture: np.ndarray, tight_px: float, rng: np.random.Generator) -> np.ndarray:
    """What happens to a picture between a camera or a tool and us; uint8 of the same shape."""
    if rng.random() < P_CLEAN:
        return picture
    shape = picture.shape[1::-1]
    if rng.random() < 0.2:
        picture = _retouched(picture, rng)
    if rng.random() < 0.55:
        face_px = np.exp(rng.uniform(np.log(75), np.log(210)))  # width of the face that is left
        picture = _resized(picture, min(face_px / tight_px, 1.3), rng)
    for chance in (0.7, 0.2):
        if rng.random() < chance:
            picture = _encoded(picture, rng)
    if rng.random() < 0.08:
        picture = _with_text(picture, rng)
    picture = cv2.resize(picture, shape, interpolation=int(rng.choice(artifacts.KERNELS)))
    if rng.random() < 0.4:
        picture = _recoloured(picture, rng)
    if rng.random() < 0.15:
        sigma = rng.uniform(1, 7)
        noise = rng.normal(0, sigma, (*picture.shape[:2], 3 if rng.random() < 0.5 else 1))
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return picture


def _retouched(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sharpened, denoised or "beautified", as cameras and apps do with real faces."""
    if rng.random() < 0.45:
        return artifacts.sharpened(picture, rng, rng.uniform(0.2, 0.9))
    return artifacts.smoothed(picture, rng, rng.uniform(0.1, 0.9))


def _resized(picture: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    kernel = int(rng.choice(artifacts.KERNELS))
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=kernel)


def _encoded(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """JPEG, or WebP whose intra coding is close to that of video."""
    if rng.random() < 0.75:
        name, options = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 96))]
    else:
        name, options = ".webp", [cv2.IMWRITE_WEBP_QUALITY, int(rng.integers(20, 91))]
    return cv2.imdecode(cv2.imencode(name, picture, options)[1], cv2.IMREAD_COLOR)


def _with_text(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A caption or a logo over the face."""
    words = "".join(chr(rng.integers(65, 91)) for _ in range(rng.integers(3, 14)))
    place = (int(rng.integers(picture.shape[1] * 0.7)), int(rng.integers(20, picture.shape[0])))
    colour = [int(c) for c in rng.integers(0, 256, 3)]
    size = float(rng.uniform(0.4, 1.2))
    return cv2.putText(
        picture.copy(), words, place, int(rng.integers(8)), size, colour, 2, cv2.LINE_AA
    )


def _recoloured(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.15:
        return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, -1)
    return artifacts.colour_drift(picture, rng, rng.uniform(0.5, 2.5))
