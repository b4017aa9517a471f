"""How is a still or animated image read? (Pillow)

Imports `limits`.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from errors import UserError
from media.limits import (
    LONGEST_S,
    LONGEST_SIDE_PX,
    MOST_DECODED_PIXELS,
    MOST_HZ,
    MOST_KEPT_PIXELS,
    MOST_PIXELS,
)

PAGE_S = 0.1  # how long a page of an animation is shown when the file does not say
ANIMATED = ("WEBP", "PNG")  # GIF is left to FFmpeg
CUT_OFF = "The picture is cut off: its data ends too early to be read."
Pages = list[tuple[float, np.ndarray]]


def read_image(path: Path, container: str, formats: tuple[str, ...]) -> tuple[Pages, list[str]]:
    """Read all pages of an image.

    Args:
        path: the file.
        container: its kind, for the sentence of an error.
        formats: Pillow's decoders that may be tried, no others.

    Returns:
        Pages as (time_s, (h, w, 3) uint8 RGB upright), and warnings.

    Raises:
        UserError: ``decode_failed`` when not even the first page can be read.
    """
    pages: Pages = []
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=formats) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError("decode_failed", too_large(MOST_PIXELS))
            return pages, _read_pages(image, pages)
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError("decode_failed", too_large(MOST_PIXELS)) from error
    except Exception as error:  # Pillow's decoders raise whatever their parsers stumble over
        if pages:
            return pages, ["The picture is damaged towards its end."]
        broke_off = isinstance(error, OSError) and not isinstance(error, UnidentifiedImageError)
        damaged = f"The picture could not be read: its {container} data is damaged or rare."
        raise UserError("decode_failed", CUT_OFF if broke_off else damaged) from error


def _read_pages(image: Image.Image, pages: Pages) -> list[str]:
    """Append the pages one by one, so that those before a damage are kept; returns warnings."""
    time_s, decoded, selected = 0.0, 0, 0
    for page in ImageSequence.Iterator(image) if image.format in ANIMATED else [image]:
        if not pages or time_s - pages[-1][0] >= 1 / MOST_HZ:
            upright = _upright(page)
            selected += upright.shape[0] * upright.shape[1]
            if pages and selected > MOST_KEPT_PIXELS:
                return [_long_animation(time_s)]
            pages.append((time_s, upright))
        decoded += page.width * page.height
        time_s += max(page.info.get("duration", 1000 * PAGE_S), 0) / 1000
        if decoded > MOST_DECODED_PIXELS or time_s > LONGEST_S:
            return [_long_animation(time_s)]
    return []


def _upright(page: Image.Image) -> np.ndarray:
    """(h, w, 3) uint8 RGB with the camera's orientation applied, of a size that can be handled."""
    upright = ImageOps.exif_transpose(page).convert("RGB")
    upright.thumbnail((2 * LONGEST_SIDE_PX, 2 * LONGEST_SIDE_PX), reducing_gap=3.0)
    return np.asarray(upright)


def letterboxed(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """The (h, w, 3) uint8 image scaled to fit into another size, with black borders."""
    fitted = ImageOps.pad(Image.fromarray(image), size_wh, Image.Resampling.BILINEAR)
    return np.asarray(fitted)


def _long_animation(time_s: float) -> str:
    return f"The animation is very large: only its first {time_s:.1f} s were examined."


def too_large(most_pixels: int) -> str:
    """The sentence for images beyond a limit."""
    return (
        f"The picture has more than the {most_pixels // 1_000_000} million pixels that are "
        "accepted. Scale it down first."
    )
