"""Who was seen? One card a person: image, level, seconds.

Imports analysis (types) and the other files of this room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis import Analysis
from media.sniff import MediaKind
from report.captions import cues
from report.draw import data_uri, face_of
from report.language import ENGLISH, Language
from report.words import STYLES, LevelStyle, clock, percent
from verdict.explain import name_of
from verdict.fusion import Opinion
from verdict.levels import Level

FACE_PX = 144  # of a portrait on a card
MOST_BOXES_HZ = 10.0  # boxes a second that are sent to the player, which draws between them
MOST_FACES = 6
SHORT_GAP_S = 0.1  # missed in all, that is not worth a word


@dataclass(frozen=True)
class FaceCard:
    """One person.

    Attributes:
        name: "Face A".
        image: data URI of the face, or None when no kept image shows it.
        level, style: of the opinion on this person.
        probability: in percent, or None.
        stretches: when, in words.
        quality: how well, in words.
        start_s: where the player jumps to.
    """

    name: str
    image: str | None
    level: str
    style: LevelStyle
    probability: str | None
    stretches: str
    quality: str
    start_s: float


def face_cards(analysis: Analysis, language: Language = ENGLISH) -> tuple[FaceCard, ...]:
    """Everybody who was followed, the most suspicious first."""
    opinions = {o.person: o for o in analysis.verdict.people}
    order = list(opinions)
    people = sorted(
        analysis.people, key=lambda p: order.index(p.name) if p.name in opinions else len(order)
    )
    return tuple(
        _card(analysis, person, opinions.get(person.name), language)
        for person in people[:MOST_FACES]
    )


def _card(analysis: Analysis, person: Any, opinion: Opinion | None, language: Language) -> FaceCard:
    level = opinion.level if opinion is not None else Level.NOT_ASSESSED
    probability = opinion.probability if opinion is not None else None
    quality = person.quality
    words = language("{px} px wide", px=round(quality.face_px))
    if quality.problem:
        words += ", " + language(quality.problem.replace("_", " "))
    return FaceCard(
        name=name_of(person.name, language),
        image=_portrait(analysis, person.name),
        level=language(level),
        style=STYLES[level],
        probability=percent(probability) if probability is not None else None,
        stretches=_stretches(analysis, person.stretches_s, language),
        quality=words,
        start_s=person.stretches_s[0][0] if person.stretches_s else 0.0,
    )


def _portrait(analysis: Analysis, person: str) -> str | None:
    keyframes = [keyframe for keyframe in analysis.keyframes if person in keyframe.faces]
    return data_uri(face_of(keyframes[len(keyframes) // 2], person), FACE_PX) if keyframes else None


def _stretches(analysis: Analysis, stretches: tuple, language: Language) -> str:
    if analysis.kind != MediaKind.VIDEO:
        return language("in the picture")
    total = sum(stop - start for start, stop in stretches)
    first, last = stretches[0][0], stretches[-1][1]
    text = "{a} to {b}" if last - first - total < SHORT_GAP_S else "{total} between {a} and {b}"
    return language(
        text, total=clock(total, language), a=clock(first, language), b=clock(last, language)
    )


def overlay(analysis: Analysis, language: Language = ENGLISH) -> dict[str, Any]:
    """Boxes over time and captions for the player, as plain JSON.

    Returns:
        ``{"duration_s": …, "faces": [{"key", "label", "tracks": [[[t, x0, y0, x1, y1], …], …]}],
        "captions": [[start_s, stop_s, text], …]}`` with places as shares of the image's width
        and height.
    """
    opinions = {o.person: o for o in analysis.verdict.people}
    faces = [
        {
            "key": STYLES[_level(opinions, person.name)].key,
            "label": _label(opinions.get(person.name), person.name, language),
            "tracks": [_places(track, analysis.size_wh) for track in person.tracks],
        }
        for person in analysis.people
    ]
    return {
        "duration_s": round(analysis.duration_s, 3),
        "faces": faces,
        "captions": [[cue.start_s, cue.stop_s, cue.text] for cue in cues(analysis, language)],
    }


def _level(opinions: Mapping[str | None, Opinion], person: str) -> str:
    return opinions[person].level if person in opinions else Level.NOT_ASSESSED


def _label(opinion: Opinion | None, person: str, language: Language) -> str:
    name = name_of(person, language)
    if opinion is None:
        return name
    text = f"{name} · {language(STYLES[opinion.level].short)}"
    return text if opinion.probability is None else f"{text} · {percent(opinion.probability)}"


def _places(track: Any, size_wh: tuple[int, int]) -> list[list[float]]:
    """Every so many boxes of a track, and its last."""
    times, boxes = np.asarray(track.times_s, float), np.asarray(track.boxes_xyxy, float)
    selected, last = [], -np.inf
    for index, time_s in enumerate(times):
        if time_s - last >= 1 / MOST_BOXES_HZ - 1e-6 or index == len(times) - 1:
            selected.append(index)
            last = time_s
    scale = np.array([*size_wh, *size_wh], float)
    return [[round(float(times[i]), 3), *(boxes[i] / scale).round(4).tolist()] for i in selected]
