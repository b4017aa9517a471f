"""How would this face look after one more trip through a messenger?

A verdict that does not survive mild re-encoding is not worth an alarm. Imports `align` and
`tracks`.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from media import align
from media.tracks import FaceTrack

SCALE = 0.5
WEBP_QUALITY = 45  # VP8's intra coding, a close relative of what H.264 does to one image


def degrade(track: FaceTrack) -> FaceTrack:
    """The same face, each crop scaled to half, compressed, and scaled back."""
    index = np.unique(np.linspace(0, len(track.crops) - 1, 8).round().astype(int))
    crops = np.stack([_once(track.crops[i]) for i in index])
    return replace(
        track,
        times_s=track.times_s[index],
        boxes_xyxy=track.boxes_xyxy[index],
        landmarks=track.landmarks[index],
        crops=crops,
    )


def _once(crop: np.ndarray) -> np.ndarray:
    small = cv2.resize(crop, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_AREA)
    _, code = cv2.imencode(".webp", small[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
    decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
    assert decoded is not None  # it was encoded a line above
    return cv2.resize(
        decoded[..., ::-1], (align.CROP_PX, align.CROP_PX), interpolation=cv2.INTER_CUBIC
    )
