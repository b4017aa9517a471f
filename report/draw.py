"""How does an image look with what was found in it?

Boxes with a level in words, and heatmaps over faces. Every level has its own
line style, not only its color. Draws on copies. Imports analysis (types), media.align,
report.words.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from analysis import Analysis, Keyframe
from media import align
from media.degrade import degrade_crop, rescale
from media.sniff import MediaKind
from report.language import ENGLISH, Language
from report.words import AGAINST, FOR, STYLES, clock, percent
from verdict.explain import name_of
from verdict.fusion import Opinion
from verdict.levels import Level

LONGEST_SIDE_PX = 1280  # of an image in a report
SMALL_BELOW_PX = 480  # smaller images are enlarged, so that the writing does not cover them
TEXT_SHARE = 0.032  # height of the writing as a share of the image's longer side
HEAT_OPACITY = 0.72  # of the strongest part; weaker parts let more of the face through
JPEG_QUALITY = 85
LINE_HEIGHT = 1.35  # of the writing, in units of its size
Place = tuple[float, float, float, float]


@cache
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings along: the same letters on every machine."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size_px)


def rgb(color: str) -> tuple[int, int, int]:
    """ "#D55E00" → (213, 94, 0)."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def opinions_by_person(analysis: Analysis) -> dict[str, Opinion]:
    """The opinion on each person by name."""
    return {o.person: o for o in analysis.verdict.people if o.person is not None}


def marked(
    frame: np.ndarray,
    boxes_xyxy: Mapping[str, np.ndarray],
    opinions: Mapping[str, Opinion],
    note: str = "",
    language: Language = ENGLISH,
) -> np.ndarray:
    """Draw a box, a name and a level for each person.

    Args:
        frame: (h, w, 3) uint8 RGB.
        boxes_xyxy: person → (4,) px.
        opinions: person → opinion.
        note: written in the lower left corner, e.g. the time.
        language: of the reader.

    Returns:
        A new (h, w, 3) uint8 RGB image of the same size.
    """
    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image)
    text_px = max(11, round(TEXT_SHARE * max(image.size)))
    levels = {p: opinions[p].level if p in opinions else Level.NOT_ASSESSED for p in boxes_xyxy}
    for person, box in boxes_xyxy.items():
        _box(draw, box, levels[person], text_px, image.size)
    taken: list[Place] = []
    for person, box in boxes_xyxy.items():
        lines = _caption(person, opinions.get(person), language)
        width = max(draw.textlength(line, font=font(text_px)) for line in lines) + text_px
        size_wh = (width, LINE_HEIGHT * text_px * len(lines))
        place = _free_place(box, size_wh, image.size, taken)
        taken.append(place)
        style = STYLES[levels[person]]
        _plate(draw, place, lines, text_px, style.color, style.ink)
    if note:
        width = draw.textlength(note, font=font(text_px)) + text_px
        top = image.height - (LINE_HEIGHT + 0.4) * text_px
        place = (text_px / 2, top, text_px / 2 + width, top + LINE_HEIGHT * text_px)
        _plate(draw, place, (note,), text_px, "#000000", "#FFFFFF")
    return np.asarray(image)


def annotated(analysis: Analysis, keyframe: Keyframe, language: Language = ENGLISH) -> np.ndarray:
    """One kept image with its faces marked, (h, w, 3) uint8 RGB, at a size fit for a report."""
    image, factor = fit(keyframe.image)
    boxes = {person: box * factor for person, (box, _) in keyframe.faces.items()}
    note = clock(keyframe.time_s, language) if analysis.kind == MediaKind.VIDEO else ""
    return marked(image, boxes, opinions_by_person(analysis), note, language)


def fit(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Scale an image to the size of a report; returns it and the factor."""
    longest = max(image.shape[:2])
    factor = min(1.0, LONGEST_SIDE_PX / longest)
    if longest < SMALL_BELOW_PX:
        factor = 2.0
    if factor == 1.0:
        return image, 1.0
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return rescale(image, factor, how), factor


def heat_colors(values: np.ndarray, most: float) -> np.ndarray:
    """Log-odds to colors: blue against, white nothing, vermilion for manipulation.

    Args:
        values: any shape, log-odds.
        most: the value that gets the full color, > 0.

    Returns:
        (..., 3) float32 0..255.
    """
    share = np.clip(np.asarray(values, np.float32) / most, -1, 1)[..., None]
    full = np.where(share >= 0, np.array(rgb(FOR)), np.array(rgb(AGAINST)))
    return (255 + np.abs(share) * (full - 255)).astype(np.float32)


def heat_scale(values: np.ndarray) -> float:
    """The value that gets the full color: the largest part, but never less than one log-odds."""
    return max(1.0, float(np.abs(values).max()))


def heat_on_image(image: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Lay a heatmap over the image it belongs to; strong parts hide more of it than weak ones.

    Args:
        image: (h, w, 3) uint8 RGB.
        heatmap: (a, b) log-odds that each part of it adds.

    Returns:
        A new (h, w, 3) uint8 RGB image.
    """
    # linear: a smoother kernel would swing below zero and paint evidence that nobody measured
    values = cv2.resize(
        heatmap.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR
    )
    most = heat_scale(heatmap)
    opacity = (np.clip(np.abs(values) / most, 0, 1) * HEAT_OPACITY)[..., None]
    mixed = image * (1 - opacity) + heat_colors(values, most) * opacity
    return np.clip(mixed, 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray) -> bytes:
    """A (h, w, 3) uint8 RGB image as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def data_uri(image: np.ndarray, height_px: int) -> str:
    """A (h, w, 3) uint8 RGB image, at most so high, as an address that carries the image."""
    factor = min(1.0, height_px / image.shape[0])
    if factor < 1:
        image = rescale(image, factor)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(image)).decode()


def face_of(keyframe: Keyframe, person: str) -> np.ndarray:
    """The (320, 320, 3) uint8 RGB crop of one person in a kept image."""
    landmarks = keyframe.faces[person][1]
    return align.cut(keyframe.image, align.face_matrix(landmarks), align.CROP_PX)


def re_encoded_pair(analysis: Analysis) -> tuple[np.ndarray, np.ndarray] | None:
    """The deciding face as it is and as it is looked at again before an alarm.

    Returns:
        Two (640, 640, 3) uint8 RGB images; None where no kept image shows that person.
    """
    person = analysis.verdict.opinion.person
    keyframes = [keyframe for keyframe in analysis.keyframes if person in keyframe.faces]
    if person is None or not keyframes:
        return None
    crop = face_of(keyframes[len(keyframes) // 2], person)
    size = (2 * align.CROP_PX, 2 * align.CROP_PX)
    before, after = (
        cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)
        for image in (crop, degrade_crop(crop))
    )
    return before, after


def _caption(person: str, opinion: Opinion | None, language: Language) -> tuple[str, ...]:
    """Name and level, and the probability where there is one; two short lines."""
    name = name_of(person, language)
    if opinion is None:
        return (name,)
    if opinion.probability is None:
        return name, language(opinion.level)
    return f"{name}: {percent(opinion.probability)}", language(opinion.level)


def _box(
    draw: ImageDraw.ImageDraw, box: np.ndarray, level: str, text_px: int, size_wh: tuple[int, int]
) -> None:
    """A rectangle in the color and the line style of its level, with a thin dark rim."""
    style, width = STYLES[level], max(3, text_px // 5)
    left, top = max(1.0, float(box[0])), max(1.0, float(box[1]))
    right, bottom = min(size_wh[0] - 2.0, float(box[2])), min(size_wh[1] - 2.0, float(box[3]))
    if right <= left or bottom <= top:
        return
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    for start, stop in pairwise(corners):
        for a, b in _dashes(start, stop, style.dash, width):
            draw.line((*a, *b), fill="#000000", width=width + 2)
            draw.line((*a, *b), fill=style.color, width=width)


def _dashes(
    start: tuple[float, float], stop: tuple[float, float], dash: tuple[int, int], width: int
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Cut a line into its drawn pieces."""
    if dash[1] == 0:
        return [(start, stop)]
    a, b = np.array(start), np.array(stop)
    length = max(float(np.linalg.norm(b - a)), 1e-6)
    on, step = dash[0] * width, sum(dash) * width
    pieces = []
    for begin in np.arange(0.0, length, step):
        first, last = a + (b - a) * begin / length, a + (b - a) * min(begin + on, length) / length
        pieces.append((tuple(first), tuple(last)))
    return pieces


def _free_place(
    box: np.ndarray,
    plate_wh: tuple[float, float],
    image_wh: tuple[int, int],
    taken: list[Place],
) -> Place:
    """Where a name plate covers no other one: above the box, below it, or inside its upper edge."""
    width, height = plate_wh
    left = min(max(0.0, float(box[0])), max(0.0, image_wh[0] - width))
    tops = (float(box[1]) - height - 3, float(box[3]) + 3, max(0.0, float(box[1])) + 3)
    places = [(left, top, left + width, top + height) for top in tops]
    inside = [p for p in places if p[1] >= 0 and p[3] <= image_wh[1]]
    free = [p for p in inside if not any(_overlap(p, other) for other in taken)]
    return (free or inside or places)[0]


def _overlap(a: Place, b: Place) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _plate(
    draw: ImageDraw.ImageDraw,
    place: Place,
    lines: tuple[str, ...],
    text_px: int,
    fill: str,
    ink: str,
) -> None:
    draw.rectangle(place, fill=fill, outline="#000000")
    for number, line in enumerate(lines):
        top = place[1] + (0.06 + number * LINE_HEIGHT) * text_px
        draw.text((place[0] + text_px / 2, top), line, ink, font(text_px))
