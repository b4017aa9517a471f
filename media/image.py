"""How is a still or animated image read? (Pillow)

`open_image` is the one way to Pillow's decoders: only the one that a file's first bytes name is
asked, and only for what it is not known to stumble over. Imports `limits` and `sniff`.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from errors import UserError
from media.limits import (
    LONGEST_S,
    LONGEST_SIDE_PX,
    MOST_DECODED_PIXELS,
    MOST_HZ,
    MOST_KEPT_PIXELS,
    MOST_PIXELS,
)
from media.sniff import sniff

PAGE_S = 0.1  # how long a page of an animation is shown when the file does not say
ANIMATED = ("WEBP", "PNG")  # GIF is left to FFmpeg
START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # codes of ITU-T T.81, table B.1
STANDALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
CUT_OFF = "The picture is cut off: its data ends too early to be read."
DAMAGED_END = "The picture is damaged towards its end."
Pages = list[tuple[float, np.ndarray]]


def open_image(path: Path) -> Image.Image:
    """A stranger's image, not decoded yet, by the one decoder that its first bytes name.

    A JPEG is never taken for a multi-image file, and its size must be the one that libjpeg will
    find: Pillow 12 writes past its buffer where the two differ (CVE-2026-112403).

    Raises:
        UserError: what `sniff` says of it.
        Exception: what Pillow's decoders stumble over.
    """
    data, formats = path.read_bytes(), sniff(path).pillow_formats
    if formats != ("JPEG",):
        return Image.open(io.BytesIO(data), formats=formats)
    image = JpegImageFile(io.BytesIO(data))
    if _jpeg_size(data) != image.size:
        raise UnidentifiedImageError("the headers of the JPEG contradict each other")
    return image


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) that libjpeg reads in a JPEG: those of the first frame; None without one."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:
        while data[at : at + 1] == b"\xff":  # fill bytes
            at += 1
        code = data[at] if at < len(data) else END_OF_IMAGE
        at += 1
        if code in START_OF_FRAME:
            height, width = (int.from_bytes(data[at + i : at + i + 2], "big") for i in (3, 5))
            return width, height
        if code in (START_OF_SCAN, END_OF_IMAGE):
            return None
        if code and code not in STANDALONE:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return None


def read_image(path: Path, container: str) -> tuple[Pages, list[str]]:
    """Read all pages of an image.

    Args:
        path: the file.
        container: its kind, for the sentence of an error.

    Returns:
        Pages as (time_s, (h, w, 3) uint8 RGB upright), and warnings.

    Raises:
        UserError: ``decode_failed`` when not even the first page can be read.
    """
    pages: Pages = []
    try:
        with open_image(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError("decode_failed", too_large(MOST_PIXELS))
            return pages, _read_pages(image, pages)
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError("decode_failed", too_large(MOST_PIXELS)) from error
    except Exception as error:  # Pillow's decoders raise whatever their parsers stumble over
        if pages:
            return pages, [DAMAGED_END]
        broke_off = isinstance(error, OSError) and not isinstance(error, UnidentifiedImageError)
        damaged = f"The picture could not be read: its {container} data is damaged or rare."
        raise UserError("decode_failed", CUT_OFF if broke_off else damaged) from error


def _read_pages(image: Image.Image, pages: Pages) -> list[str]:
    """Append the pages one by one, so that those before a damage are kept; returns warnings."""
    time_s, decoded, selected, mode = 0.0, 0, 0, image.mode
    for page in ImageSequence.Iterator(image) if image.format in ANIMATED else [image]:
        if page.mode != mode:  # Pillow 12 would draw into the page before (CVE-2026-96639)
            return [DAMAGED_END]
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
