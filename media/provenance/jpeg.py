"""What do the compression tables and coefficients of a JPEG say about how often it was saved?

Cameras of some makers use tables of their own, programs mostly the standard ones (J. Kornblum,
Using JPEG quantization tables to identify imagery processed by software, 2008; not measured by us).
A JPEG that is saved again at a clearly higher quality keeps gaps in the histograms of its
coefficients (A. C. Popescu and H. Farid, Statistical tools for digital forensics, 2004); scaling,
turning or cropping in between moves the grid and hides them. Imports media.image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy  # loads its rooms when they are first used
from PIL import Image

from media.image import open_image

STANDARD = np.array(
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
     14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
     18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
     49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
)  # fmt: skip  # luminance table of ITU-T T.81, annex K, row by row
OWN_TABLES = ("apple", "canon", "nikon", "sony")  # makers whose cameras use tables of their own
MODES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (2, 2))  # low frequencies
MOST_SIDE_PX = 1536  # of the middle of the image that is examined
COARSEST = 80  # largest earlier step that is tried
BINS = 30  # quantized values 1..BINS of each mode are counted
NOISE = 1.0  # of a coefficient between two savings, from rounding pixels (about 3.4 sigma)
LEAST_EXPECTED = 60.0  # counts that the gaps would hold in a file saved once
MOST_FILLED = 0.1  # share of them that may be there
LEAST_MODES = 4  # of the eight must show gaps
LEAST_PEAKS = 3  # different values must be in use, or the image is too plain to judge


def standard_quality(table: Sequence[int]) -> int | None:
    """The libjpeg quality 1..100 whose luminance table this is, or None for another table."""
    for quality in range(1, 101):
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        if np.array_equal(np.clip((STANDARD * scale + 50) // 100, 1, 255), table):
            return quality
    return None


def luminance_table(image: Image.Image) -> list[int] | None:
    """The (64,) steps of an opened JPEG's luminance, row by row."""
    table = getattr(image, "quantization", {}).get(0)
    return list(table) if table is not None and len(table) == 64 else None


def saved_twice(path: Path) -> bool:
    """Whether a JPEG shows the gaps of an earlier, coarser saving on the same grid."""
    with open_image(path) as image:
        image.draft("L", image.size)  # the luminance as it is stored, without color conversion
        table = luminance_table(image)
        if table is None or image.mode != "L":
            return False
        coefficients = _coefficients(_middle(np.asarray(image)))
    steps = np.array(table).reshape(8, 8)
    return sum(_has_gaps(coefficients[:, u, v], steps[u, v]) for u, v in MODES) >= LEAST_MODES


def camera_note(maker: str, quality: int | None) -> str | None:
    """A sentence where a named camera and standard tables do not go together."""
    if quality is None or not maker.lower().startswith(OWN_TABLES):
        return None
    return (
        f"It names a camera by {maker.split()[0]}, but was saved with the standard tables "
        f"of programs (quality {quality}), not with the camera's own: usually it was saved again."
    )


def _middle(gray: np.ndarray) -> np.ndarray:
    """The middle of an image, cut along the grid of 8 × 8 blocks."""
    cut = []
    for side in gray.shape:
        length = min(side // 8 * 8, MOST_SIDE_PX)
        start = (side - length) // 16 * 8
        cut.append(slice(start, start + length))
    return gray[cut[0], cut[1]]


def _coefficients(gray: np.ndarray) -> np.ndarray:
    """(n, 8, 8) DCT of all blocks without burnt-out or black pixels."""
    high, wide = gray.shape[0] // 8, gray.shape[1] // 8
    blocks = gray.reshape(high, 8, wide, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    whole = (blocks.min(axis=(1, 2)) > 0) & (blocks.max(axis=(1, 2)) < 255)
    return np.asarray(
        scipy.fft.dctn(blocks[whole].astype(np.float32) - 128, axes=(1, 2), norm="ortho")
    )


def _has_gaps(values: np.ndarray, step: int) -> bool:
    """Some earlier step explains which quantized values of a mode do not occur."""
    used = np.abs(np.rint(values / step)).astype(int)
    used = used[(used >= 1) & (used <= BINS)]
    if len(used) < LEAST_EXPECTED or len(np.unique(used)) < LEAST_PEAKS:
        return False
    counts = np.bincount(used, minlength=BINS + 1)[1:]
    ratio = 1 - 1 / max(float(used.mean()), 1.01)
    expected = len(used) * (1 - ratio) * ratio ** np.arange(BINS)  # a Laplacian, in steps
    grid = np.arange(1, BINS + 1) * step
    for earlier in range(step + 1, COARSEST):
        distance = np.abs(grid - np.rint(grid / earlier) * earlier)
        gap = distance > step / 2 + NOISE
        in_gaps = expected[gap].sum()
        if in_gaps >= LEAST_EXPECTED and counts[gap].sum() < MOST_FILLED * in_gaps:
            return True
    return False
