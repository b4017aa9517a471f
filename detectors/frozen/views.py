"""Which parts of a face do the heads on the frozen backbone look at?

Each view cuts images for the backbone out of the wide crops of `media.align`. Imports media; torch
is not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import cv2
import numpy as np

from detectors.frozen.layout import SIZE_PX
from detectors.preprocess import resized
from media import align

View = Callable[[np.ndarray], np.ndarray]

FACE_MARGIN = 0.3  # of the tight side, added around the face
FACE_PX = round(align.TIGHT_PX * (1 + FACE_MARGIN) / 2) * 2  # of the wide crop
MOUTH_AND_CHIN = (slice(148, 300), slice(84, 236))  # rows and columns of the 320-pixel wide crop
EYES_AND_BROW = (slice(20, 172), slice(84, 236))


def face(crops: np.ndarray) -> np.ndarray:
    """(n, 320, 320, 3) wide crops to (n, 224, 224, 3) faces with 30 % margin, uint8 RGB."""
    return resized(align.center(crops, FACE_PX), SIZE_PX)


def mouth(crops: np.ndarray) -> np.ndarray:
    """(n, 320, 320, 3) wide crops to (n, 224, 224, 3) mouths with chin, uint8 RGB."""
    return _region(crops, MOUTH_AND_CHIN)


def eyes(crops: np.ndarray) -> np.ndarray:
    """(n, 320, 320, 3) wide crops to (n, 224, 224, 3) eyes with brow, uint8 RGB."""
    return _region(crops, EYES_AND_BROW)


VIEWS: MappingProxyType[str, View] = MappingProxyType({"face": face, "mouth": mouth, "eyes": eyes})


def _region(crops: np.ndarray, region: tuple[slice, slice]) -> np.ndarray:
    rows, columns = region
    return resized(crops[:, rows, columns], SIZE_PX, cv2.INTER_CUBIC)
