"""Was this face, as a whole, drawn by a network?

A linear head on frozen CLIP features of the face with 30 % margin: the *generation* expert. It
knows talking heads, video diffusion, image diffusion and GANs, and says little about a small region
that was pasted into an honest image; that is what `spatial` looks for.
"""

from __future__ import annotations

import cv2
import numpy as np

from detectors.frozen.layout import SIZE_PX
from detectors.frozen.probe import ProbeDetector
from hub.role import Modality, Role
from media import align

MARGIN = 0.3  # of the tight side, added around the face
FACE_PX = round(align.TIGHT_PX * (1 + MARGIN) / 2) * 2  # of the wide crop


class Generation(ProbeDetector):
    """Looks at the whole face with a backbone that was never trained on fakes."""

    role = Role(
        name="generation",
        title="Generated face",
        question="Was the face as a whole drawn by a network, not filmed?",
        blind_to="an honest face of which only a part was exchanged, and anything in the sound",
        modality=Modality.IMAGE,
        phrase_for="the face looks drawn as a whole by a network",
        phrase_against="the face as a whole looks filmed",
    )

    @staticmethod
    def cut(crops: np.ndarray) -> np.ndarray:
        """(n, 320, 320, 3) wide crops to (n, 224, 224, 3) faces with 30 % margin, uint8 RGB."""
        return np.stack(
            [
                cv2.resize(face, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
                for face in align.center(crops, FACE_PX)
            ]
        )
