"""What does a detector declare about itself?

One frozen type, carried by the detector's class, by every checkpoint and by every finding. Whoever
needs to know something about a detector asks its role; nobody holds a list of names. It stands here
because the store, the leftmost room, must know which weights fit. Imports nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Crop(StrEnum):
    """Which part of an image a checkpoint is shown.

    Attributes:
        FACE: the face, turned until its eyes are level.
        BOX: the box around the face as the image has it, not turned.
        MOUTH: the mouth, turned likewise.
        FRAME: the whole image.
    """

    FACE = "face"
    BOX = "box"
    MOUTH = "mouth"
    FRAME = "frame"


class Modality(StrEnum):
    """What a detector examines."""

    IMAGE = "image"
    AUDIO = "audio"
    BOTH = "both"


class Way(StrEnum):
    """How the fakes are made that a detector can find; see `verdict.ways`."""

    FACE = "face"
    MOUTH = "mouth"
    VOICE = "voice"


class Task(StrEnum):
    """The Hub's name for what foreign checkpoints of a detector do."""

    IMAGE = "image-classification"
    VIDEO = "video-classification"
    AUDIO = "audio-classification"


@dataclass(frozen=True)
class Role:
    """One kind of evidence, described for people and for the rest of the program.

    Attributes:
        name: snake_case; stored in reports, cards and ``fusion.json``, so it never changes.
        title: two to five words for people.
        question: what the detector asks of the face, one sentence.
        blind_to: what it cannot see, one clause.
        modality: what it examines.
        phrase_for: what follows "speaks for manipulation: ".
        phrase_against: what follows "speaks against manipulation: ".
        crop: what its checkpoints are shown unless their card says otherwise.
        task: the Hub task of foreign checkpoints; None when it takes its own format only.
        needs_time: it cannot judge a single image.
        needs_audio: it cannot judge a silent file.
        audio_s, audio_hz: seconds of audio that it hears at once, around the middle of each window,
            and their samples a second; 0 for one that is content with the window's own.
        way: how the fakes are made that it can find; it says nothing about other ways.
        recheck: its evidence must survive a degraded copy before it raises an alarm.
        measured: a sentence part with measures to fill in, e.g. ``best match at {lag_ms:+.0f} ms``.
        empty: what is said where no checkpoint of this role comes with the program; empty where
            one does.
    """

    name: str
    title: str
    question: str
    blind_to: str
    modality: Modality
    phrase_for: str
    phrase_against: str
    crop: Crop = Crop.FACE
    task: Task | None = None
    needs_time: bool = False
    needs_audio: bool = False
    audio_s: float = 0.0
    audio_hz: int = 0
    way: Way = Way.FACE
    recheck: bool = False
    measured: str = ""
    empty: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"expected a name in snake_case, got {self.name!r}")
