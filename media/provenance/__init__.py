"""What does the file itself say about where it comes from?

Content credentials, marks of generators, camera data, and whether these fit each other. All of it
can be taken away and most of it forged in a moment, so none of it ever decides; it is shown above
the verdict and beside it. A stranger's data that cannot be read ends in a sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

from errors import UserError
from media.clip import Clip
from media.image import open_image
from media.provenance.boxes import read_movie
from media.provenance.claims import claims, editor
from media.provenance.credentials import Credentials, read_credentials
from media.provenance.jpeg import camera_note, luminance_table, saved_twice, standard_quality
from media.provenance.mark import DeclaredMark, plain, unsigned
from media.provenance.tags import Tags, container_tags, image_tags
from media.provenance.times import contradictions, movie_notes
from media.provenance.watermark import find_watermark
from media.sniff import MediaKind

Read = TypeVar("Read")
LOG = logging.getLogger(__name__)
MOST_MARKS = 20
IMAGE_FACTS = (
    ("software", "EXIF", "Software"),
    ("taken", "EXIF", "DateTimeOriginal"),
    ("saved", "EXIF", "DateTime"),
    ("artist", "EXIF", "Artist"),
    ("program", "XMP", "xmp:CreatorTool"),
    ("credit", "IPTC", "Credit"),
    ("text “parameters”", "text", "parameters"),
    ("text “prompt”", "text", "prompt"),
    ("text “Software”", "text", "Software"),
    ("text “Comment”", "text", "Comment"),
    ("text “workflow”", "text", "workflow"),
)
CONTAINER_FACTS = (
    "encoder", "creation_time", "make", "model", "com.apple.quicktime.make",
    "com.apple.quicktime.model", "com.apple.quicktime.software", "com.android.version", "title",
    "comment", "software", "video handler_name", "video encoder", "audio handler_name",
    "audio encoder",
)  # fmt: skip


@dataclass(frozen=True)
class Provenance:
    """What the file says about itself.

    Attributes:
        facts: name → value, as text, in an order for people.
        notes: sentences on what stands out.
        content_credentials: one of `media.provenance.credentials.STATES`.
        marks: what it declares about how it was made, signed statements first.
    """

    facts: Mapping[str, str]
    notes: tuple[str, ...]
    content_credentials: str
    marks: tuple[DeclaredMark, ...] = ()

    @property
    def says_generated(self) -> bool:
        """The file itself declares, in a mark that holds, that a generator made it or a part."""
        return any(mark.generated and mark.trust != "invalid" for mark in self.marks)

    def declared(self) -> tuple[str, ...]:
        """The sentences that stand above the verdict: each mark, and how easily it is forged."""
        return tuple(" ".join(sentences) for sentences in self.declared_sentences())

    def declared_sentences(self) -> tuple[tuple[str, ...], ...]:
        """The same, sentence by sentence: marks of one trust together."""
        by_trust: dict[str, list[DeclaredMark]] = {}
        for mark in self.marks:
            by_trust.setdefault(mark.trust, []).append(mark)
        return tuple(
            (*(mark.sentence() for mark in marks), marks[0].forgeable_sentence)
            for marks in by_trust.values()
        )


def read_provenance(clip: Clip) -> Provenance:
    """Collect what an open clip says of itself; what cannot be read is named, never guessed."""
    failed: list[str] = []
    credentials = _attempt(
        failed, "its content credentials", lambda: read_credentials(clip.path),
        Credentials("unreadable"),
    )  # fmt: skip
    tags = _attempt(failed, "its metadata", lambda: _tags(clip), Tags())
    marks, notes = [*credentials.marks, *claims(tags)], []
    facts = {"container": clip.container, "size on disk": f"{clip.bytes / 1e6:.2f} MB"}
    facts |= _image_facts(tags) if clip.paged else _stream_facts(clip, tags)
    if clip.paged:
        hidden = _attempt(failed, "its pixels", lambda: _watermark(clip), None)
        marks += [hidden] if hidden else []
        notes += list(contradictions(tags))
    if clip.container == "JPEG":
        quality, words = _attempt(failed, "its JPEG tables", lambda: _jpeg(clip, facts), ("", []))
        facts |= {"JPEG quality": quality} if quality else {}
        notes += words
    if clip.container == "MP4 / QuickTime":
        notes += _attempt(
            failed, "its container", lambda: list(movie_notes(read_movie(clip.path))), []
        )
    facts |= credentials.facts
    notes = _program_notes(tags) + notes + ([credentials.note] if credentials.note else [])
    if credentials.state == "none" and clip.kind == MediaKind.IMAGE and "camera" not in facts:
        notes.append(
            "It carries no camera data and no content credentials, as is usual after sharing."
        )
    notes += [f"A part of what the file says about itself could not be read: {w}." for w in failed]
    return Provenance(facts, tuple(notes), credentials.state, tuple(marks[:MOST_MARKS]))


def _attempt(failed: list[str], what: str, read: Callable[[], Read], otherwise: Read) -> Read:
    """Read one source. Whatever a stranger's bytes do to a parser, the analysis goes on."""
    try:
        return read()
    except UserError:  # a stop, or a file that nothing can be read of
        raise
    except (Exception, Image.DecompressionBombError) as error:  # parsers of many libraries
        LOG.info("provenance: %s could not be read (%s)", what, type(error).__name__)
        failed.append(what)
        return otherwise


def _tags(clip: Clip) -> Tags:
    if not clip.paged:
        return Tags(container_tags(clip))
    with open_image(clip.path) as image:
        return Tags(image_tags(image))


def _image_facts(tags: Tags) -> dict[str, str]:
    facts = {}
    camera = f"{tags.get('EXIF', 'Make')} {tags.get('EXIF', 'Model')}".strip()
    if camera:
        facts["camera"] = plain(camera)
    for shown, place, name in IMAGE_FACTS:
        if value := plain(tags.get(place, name)):
            facts[shown] = value
    return facts


def _stream_facts(clip: Clip, tags: Tags) -> dict[str, str]:
    facts: dict[str, str] = {}
    try:
        with clip.opened() as container:
            if container.bit_rate:
                facts["bit rate"] = f"{container.bit_rate / 1000:.0f} kbit/s"
            for stream in container.streams:
                codec = stream.codec_context.name if stream.codec_context else "unknown"
                facts.setdefault(f"{stream.type} codec", codec)
    except (UserError, OSError, ValueError):
        pass
    for name in CONTAINER_FACTS:
        if value := plain(tags.get("container", name)):
            facts[name.replace("_", " ")] = value
    return facts


def _watermark(clip: Clip) -> DeclaredMark | None:
    with open_image(clip.path) as image:
        result = find_watermark(np.asarray(image.convert("RGB")))
    if result is None:
        return None
    words = f"the program of {result} made it"
    return unsigned("invisible watermark in the pixels", words, True)


def _jpeg(clip: Clip, facts: Mapping[str, str]) -> tuple[str, list[str]]:
    """Quality in words, and sentences on the tables."""
    with open_image(clip.path) as image:
        table = luminance_table(image)
    quality = standard_quality(table) if table else None
    notes = [note for note in [camera_note(facts.get("camera", ""), quality)] if note]
    if saved_twice(clip.path):
        notes.append(
            "It was saved as JPEG at least twice, the first time at a lower quality. Sharing and "
            "every editor do that."
        )
    return (f"{quality}, standard tables" if quality else "tables of its own"), notes


def _program_notes(tags: Tags) -> list[str]:
    name = editor(tags)
    if not name:
        return []
    return [
        f"It was written by a program (“{name}”), not straight from a camera; that is true of "
        "most files on the web."
    ]
