"""Was the mouth of this face drawn again?

A linear head on frozen CLIP features of mouth and chin. It was fitted on real faces against the
same faces with a self-made lip-sync (`training.augment.lip_sync`): the pair teaches the trace of
the paste and not the person. The same head's score of the eyes, which lip-sync leaves alone, is
taken off: what a camera or codec does to the level, it does to both.
"""

from __future__ import annotations

import cv2
import numpy as np

from detectors.frozen.layout import SIZE_PX
from detectors.frozen.probe import ProbeDetector
from hub.role import Modality, Role, Way

MOUTH_AND_CHIN = (slice(148, 300), slice(84, 236))  # rows and columns of the 320-pixel wide crop
EYES_AND_BROW = (slice(20, 172), slice(84, 236))  # the control: lip-sync tools leave it alone


class Mouth(ProbeDetector):
    """Looks at mouth and chin with a backbone that was never trained on fakes."""

    role = Role(
        name="mouth",
        title="Mouth and chin",
        question="Were mouth and chin drawn again and pasted into the face?",
        blind_to="faces that were drawn or exchanged as a whole, a foreign voice on honest lips",
        modality=Modality.IMAGE,
        way=Way.MOUTH,
        phrase_for="mouth and chin look as if they were drawn again",
        phrase_against="mouth and chin look as filmed as the rest of the face",
    )

    @staticmethod
    def cut(crops: np.ndarray) -> np.ndarray:
        """(n, 320, 320, 3) wide crops to (n, 224, 224, 3) mouths with chin, uint8 RGB."""
        return _region(crops, MOUTH_AND_CHIN)

    @staticmethod
    def cut_control(crops: np.ndarray) -> np.ndarray:
        """(n, 320, 320, 3) wide crops to (n, 224, 224, 3) eyes with brow, uint8 RGB."""
        return _region(crops, EYES_AND_BROW)


def _region(crops: np.ndarray, region: tuple[slice, slice]) -> np.ndarray:
    rows, columns = region
    size = (SIZE_PX, SIZE_PX)
    return np.stack(
        [cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC) for crop in crops[:, rows, columns]]
    )
