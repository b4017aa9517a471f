"""Does an image carry the invisible mark that Stable Diffusion and FLUX put into what they make?

The reference programs of Stable Diffusion 1 and 2, SDXL and FLUX.1 mark each image with the
method ``dwtDct`` of the package invisible-watermark: in every 4 × 4 block of the chroma's low band
(Haar) the largest value is moved to the lower or upper half of a step of 36, one bit a block, the
message over and over. It is read here as that package reads it, and counts only if every bit fits;
by chance that happens once in 2³² (SD 2) to 2¹³⁶ (SD 1) images. Resizing and compression remove
the mark, and in some images the package itself writes it too faintly to be read again, so its
absence says nothing. Imports nothing of ours.
"""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np

STEP = 36.0  # values of the low band, as in the package's default scales
BLOCK_PX = 4  # of the low band; 8 of the image
LEAST_PIXELS = 256 * 256  # the package marks nothing smaller
MOST_PIXELS = 2_000_000  # that are read, from the top; far more than enough for a vote of each bit

# diffusers handed RGB to a package that expects BGR for some time: both orders are tried; so are
# both number formats, as the programs of SD mark bytes and those of SDXL and FLUX floats
ORDERS = (cv2.COLOR_RGB2YUV, cv2.COLOR_BGR2YUV)


def _bits(message: bytes) -> tuple[int, ...]:
    return tuple(int(bit) for byte in message for bit in f"{byte:08b}")


MESSAGES: dict[str, tuple[int, ...]] = {
    "SDXL": tuple(int(b) for b in f"{0b101100111110110010010000011110111011000110011110:048b}"),
    "FLUX.1": tuple(int(b) for b in f"{0b001010101111111010000111100111001111010100101110:048b}"),
    "Stable Diffusion 1": _bits(b"StableDiffusionV1"),
    "Stable Diffusion 2": _bits(b"SDV2"),
}


def find_watermark(rgb: np.ndarray) -> str | None:
    """The generator whose message an image carries, every bit of it.

    Args:
        rgb: (h, w, 3) uint8, at its original size and not turned.
    """
    if rgb.shape[0] * rgb.shape[1] < LEAST_PIXELS:
        return None
    rows = min(rgb.shape[0], max(8, MOST_PIXELS // rgb.shape[1]))
    top = np.ascontiguousarray(rgb[:rows])
    for pixels, order in product((top, top.astype(np.float32)), ORDERS):
        votes = block_votes(pixels, order)
        for name, message in MESSAGES.items():
            if len(votes) < len(message):
                continue
            if np.array_equal(decode(votes, len(message)), np.array(message, bool)):
                return name
    return None


def block_votes(rgb: np.ndarray, order: int = cv2.COLOR_RGB2YUV) -> np.ndarray:
    """(n,) bool: the bit of each block, row by row.

    Args:
        rgb: (h, w, 3), uint8 or float32 of 0..255: OpenCV puts gray at 128 or at 0.5.
        order: how OpenCV makes YUV of it; the package reads the blue chroma of BGR.
    """
    import pywt

    chroma = cv2.cvtColor(rgb, order)[:, :, 1].astype(np.float64)
    chroma = chroma[: chroma.shape[0] // 4 * 4, : chroma.shape[1] // 4 * 4]
    # by the package's own library: values lie on the edge of a step, where rounding decides
    low = pywt.dwt2(chroma, "haar")[0]
    high, wide = low.shape[0] // BLOCK_PX, low.shape[1] // BLOCK_PX
    blocks = (
        low[: high * BLOCK_PX, : wide * BLOCK_PX]
        .reshape(high, BLOCK_PX, wide, BLOCK_PX)
        .transpose(0, 2, 1, 3)
        .reshape(-1, BLOCK_PX * BLOCK_PX)
    )
    largest = np.max(np.abs(blocks[:, 1:]), axis=1, initial=0.0)  # the first value is never used
    return largest % STEP > STEP / 2


def decode(votes: np.ndarray, bits: int) -> np.ndarray:
    """(bits,) bool: the majority of the blocks that carry each bit."""
    sums = np.bincount(np.arange(len(votes)) % bits, weights=votes, minlength=bits)
    counts = np.bincount(np.arange(len(votes)) % bits, minlength=bits)
    return sums / counts * 255 > 127
