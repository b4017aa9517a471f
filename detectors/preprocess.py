"""How do face crops and samples of audio become the input of a network?

Written once for all detectors: which side of the crop is shown, which frames are taken, and how
pixels and samples become numbers. Imports hub and media; torch only where a tensor is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from media import align

if TYPE_CHECKING:
    import torch

    from hub.checkpoint import Card

QUIET = 1e-7  # added to a variance, so that silence does not end in a division by zero


def crop_side_px(card: Card) -> int:
    """Side of the part of the stored crop that a checkpoint is shown: tight side plus margin."""
    return min(align.CROP_PX, round(align.TIGHT_PX * (1 + card.margin)))


def spread(count: int, wanted: int) -> np.ndarray:
    """(k,) increasing indices, at most ``wanted``, spread evenly over ``count`` frames."""
    return np.unique(np.linspace(0, count - 1, wanted).round().astype(int))


def resized(
    images: Sequence[np.ndarray] | np.ndarray, side_px: int, kernel: int = cv2.INTER_AREA
) -> np.ndarray:
    """(n, h, w, c) uint8 or float32 images to (n, side_px, side_px, c)."""
    size = (side_px, side_px)
    return np.stack([cv2.resize(image, size, interpolation=kernel) for image in images])


def to_input(images: Sequence[np.ndarray] | np.ndarray, card: Card) -> torch.Tensor:
    """(n, h, w, 3) uint8 RGB images to the (n, 3, size, size) float32 input of a checkpoint."""
    import torch

    values = resized(images, card.size_px).astype(np.float32) / 255
    values = (values - np.asarray(card.mean, np.float32)) / np.asarray(card.std, np.float32)
    return torch.from_numpy(values).permute(0, 3, 1, 2).contiguous()


def to_audio_input(samples: np.ndarray, card: Card) -> torch.Tensor:
    """(n,) float32 samples at 16 kHz to the (1, n) float32 input of a checkpoint.

    As `Wav2Vec2FeatureExtractor` of transformers does it: mean 0 and deviation 1, where the card
    says so.
    """
    import torch

    values = samples.astype(np.float32)
    if card.standardize:
        values = (values - values.mean()) / np.sqrt(values.var() + QUIET)
    return torch.from_numpy(values)[None]
