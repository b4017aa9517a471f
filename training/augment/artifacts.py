"""What does a tool do to the pixels that it renders?

One function a trace: color match, decoder resolution, transposed convolution, sharpening,
smoothing, noise, a codec of its own. Imports media.
"""

from __future__ import annotations

import cv2
import numpy as np

from media.degrade import recompress, rescale

KERNELS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_AREA)


def color_drift(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """A color match that misses: gains, offsets and gamma of the channels."""
    gain = 1 + rng.normal(0, 0.05, 3) * strength + rng.normal(0, 0.06) * strength
    offset = rng.normal(0, 7, 3) * strength + rng.normal(0, 6) * strength
    gamma = np.exp(rng.normal(0, 0.12) * strength)
    table = np.linspace(0, 1, 256)[:, None] ** gamma * 255 * gain + offset
    return cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None])


def low_passed(image: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Down to the resolution of a swapper's or lip-sync network's output and up again."""
    if scale >= 0.98:
        return image
    down = cv2.INTER_AREA if rng.random() < 0.6 else cv2.INTER_LINEAR
    small = rescale(image, scale, down)
    return cv2.resize(small, image.shape[1::-1], interpolation=drawn_kernel(rng))


def upsampled(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """The trace of transposed convolutions: zeros inserted, then filtered by an uneven kernel."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    small = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    spread = np.zeros((height, width, 3), np.float32)
    spread[::2, ::2] = small
    taps = np.array([1.0, 3, 3, 1] if rng.random() < 0.5 else [0.0, 1, 1, 0])
    kernel = np.outer(taps, taps) * (1 + rng.normal(0, 0.04 * strength, (4, 4)))
    kernel *= 4 / kernel.sum()
    full = np.clip(cv2.filter2D(spread, -1, kernel), 0, 255).astype(np.uint8)
    full = cv2.resize(full, image.shape[1::-1])
    return sharpened(full, rng, 0.6) if rng.random() < 0.6 else full


def sharpened(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Unsharp mask, as face restoration and super-resolution over-do it."""
    soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.8, 2.2))
    amount = rng.uniform(0.4, 1.6) * strength
    return cv2.addWeighted(image, 1 + amount, soft, -amount, 0)


def smoothed(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Skin without pores: bilateral, median or Gaussian."""
    kind = rng.integers(3)
    if kind == 0:
        return cv2.bilateralFilter(image, 7, 20 + 40 * strength, 3)
    if kind == 1:
        return cv2.medianBlur(image, 5 if strength > 0.6 else 3)
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.7, 2.0) * (0.5 + strength))


def grain(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Noise that the surroundings do not have."""
    noise = rng.normal(0, rng.uniform(2, 9) * strength, image.shape[:2]).astype(np.float32)
    return np.clip(image + noise[..., None], 0, 255).astype(np.uint8)


def recompressed(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """An encoder's trace that the surroundings do not have."""
    quality = int(85 - 50 * strength * rng.random())
    return recompress(image, quality)


def drawn_kernel(rng: np.random.Generator) -> int:
    return int(rng.choice(KERNELS[:3]))
