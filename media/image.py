"""How is a still or animated image read? (Pillow)

Also the limits that images and videos share. Imports nothing of the project but errors.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from errors import UserError

MOST_HZ = 32.0  # images a second that are handed out; of faster video every second one and so on
LONGEST_SIDE_PX = 1920  # larger frames are scaled down: faces stay larger than any detector's input
MOST_PIXELS = 100_000_000  # refused beyond: a decompression bomb, or nothing that a person sends
PAGE_S = 0.1  # how long a page of an animation is shown when the file does not say
ANIMATED = ("WEBP", "PNG")  # GIF is left to FFmpeg


def read_image(path: Path, container: str) -> tuple[list[tuple[float, np.ndarray]], list[str]]:
    """Read all pages of an image.

    Args:
        path: the file.
        container: its kind, for the sentence of an error.

    Returns:
        Pages as (time_s, (h, w, 3) uint8 RGB upright), and warnings.

    Raises:
        UserError: ``decode_failed`` when not even the first page can be read.
    """
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError("decode_failed", too_large())
            return _pages(image)
    except Image.DecompressionBombError as error:
        raise UserError("decode_failed", too_large()) from error
    except (UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise UserError(
            "decode_failed",
            f"The picture could not be read: its {container} data is damaged or rare.",
        ) from error


def _pages(image: Image.Image) -> tuple[list[tuple[float, np.ndarray]], list[str]]:
    pages: list[tuple[float, np.ndarray]] = []
    time_s = 0.0
    for page in ImageSequence.Iterator(image) if image.format in ANIMATED else [image]:
        if not pages or time_s - pages[-1][0] >= 1 / MOST_HZ:
            try:
                pages.append((time_s, _upright(page)))
            except OSError as error:
                if pages:
                    return pages, ["The picture is damaged towards its end."]
                sentence = "The picture is cut off: its data ends too early to be read."
                raise UserError("decode_failed", sentence) from error
        time_s += page.info.get("duration", 1000 * PAGE_S) / 1000
    return pages, []


def _upright(page: Image.Image) -> np.ndarray:
    """(h, w, 3) uint8 RGB with the camera's orientation applied, of a size that can be handled."""
    upright = ImageOps.exif_transpose(page).convert("RGB")
    upright.thumbnail((2 * LONGEST_SIDE_PX, 2 * LONGEST_SIDE_PX), reducing_gap=3.0)
    return np.asarray(upright)


def too_large() -> str:
    """The sentence for images beyond the limit."""
    return (
        f"The picture has more than the {MOST_PIXELS // 1_000_000} million pixels that are "
        "accepted. Scale it down first."
    )
