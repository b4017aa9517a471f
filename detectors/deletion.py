"""Does a heatmap point at what the score depends on?

The deletion test (Petsiuk et al. 2018, arXiv:1806.07421, who delete pixel by pixel): the hot area
is blurred, and so are other areas of the same size and shape; blurring the hot one must lower the
score more. Works on plain arrays and a function that scores. Imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

HOT_SHARE = 0.15  # of the parts of a heatmap are its hot area
OTHERS = 4  # areas that the hot one is held against; each costs a look of the network
BLUR_SHARE = 0.02  # deviation of the blur, of the image's side: texture is gone, features stay
SOFT_SHARE = 0.05  # width of the rim, of the image's side: a hard one would be an edge of its own
Scorer = Callable[[np.ndarray], np.ndarray]


def holds(scores: Scorer, image: np.ndarray, heatmap: np.ndarray) -> bool:
    """Does blurring the hot area lower the score more than blurring other areas of its size?

    Args:
        scores: (n, s, s, 3) uint8 RGB to (n,) log-odds.
        image: (s, s, 3) uint8 RGB.
        heatmap: (h, w) log-odds that each part of the image adds.

    Returns:
        True when the hot area lowers the score, and by more than the mean of `OTHERS` areas.
    """
    hot = hot_area(heatmap)
    before, drop = np.asarray(scores(np.stack([image, blurred(image, hot)])), np.float64)
    if drop >= before:
        return False  # whatever the other areas do
    others = np.stack([blurred(image, mask) for mask in other_areas(hot)])
    return bool(drop < np.mean(np.asarray(scores(others), np.float64)))


def hot_area(heatmap: np.ndarray) -> np.ndarray:
    """(h, w) bool: the parts that add most."""
    count = max(1, round(HOT_SHARE * heatmap.size))
    result = np.zeros(heatmap.size, bool)
    result[np.argsort(-heatmap, axis=None, kind="stable")[:count]] = True
    return result.reshape(heatmap.shape)


def other_areas(hot: np.ndarray) -> list[np.ndarray]:
    """`OTHERS` areas of the same size and shape elsewhere, always the same for one hot area."""
    rng = np.random.default_rng(0)
    result = []
    for _ in range(OTHERS):
        turned = np.flip(hot, tuple(a for a in (0, 1) if rng.random() < 0.5))
        shift = [int(rng.integers(1, side)) for side in hot.shape]
        result.append(np.roll(turned, shift, (0, 1)))
    return result


def blurred(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The (s, s, 3) uint8 image without texture where the (h, w) mask is True."""
    side = image.shape[0]
    size = (image.shape[1], side)
    area = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)
    area = cv2.GaussianBlur(area, (0, 0), SOFT_SHARE * side)[..., None]
    smooth = cv2.GaussianBlur(image, (0, 0), BLUR_SHARE * side)
    return (image * (1 - area) + smooth * area).round().astype(np.uint8)
