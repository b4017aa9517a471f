"""What does the file itself say about where it comes from?

Container facts, camera data and content credentials (C2PA). All of it can be removed or forged in a
moment, so none of it ever decides; it is shown beside the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import av
import av.error
from PIL import ExifTags, Image

from media.clip import Clip
from media.provenance.credentials import read_credentials
from media.provenance.mark import DeclaredMark, plain

GENERATORS = (
    "midjourney",
    "stable diffusion",
    "dall-e",
    "dall·e",
    "firefly",
    "sora",
    "veo",
    "runway",
    "flux",
    "comfyui",
    "automatic1111",
    "heygen",
    "synthesia",
    "kling",
    "pika",
)
EDITORS = (
    "lavf",
    "handbrake",
    "premiere",
    "davinci",
    "capcut",
    "photoshop",
    "gimp",
    "inshot",
    "final cut",
    "ffmpeg",
)


@dataclass(frozen=True)
class Provenance:
    """What the file says about itself.

    Attributes:
        facts: name → value, as text, in an order for people.
        notes: sentences on what stands out.
        content_credentials: one of `media.provenance.credentials.STATES`.
        says_generated: the file itself declares that it was made by a generator.
        marks: what it declares about how it was made.
    """

    facts: Mapping[str, str]
    notes: tuple[str, ...]
    content_credentials: str
    says_generated: bool
    marks: tuple[DeclaredMark, ...] = ()


def read_provenance(clip: Clip) -> Provenance:
    """Collect the facts of an open clip; what cannot be read is left out, never guessed."""
    facts = {"container": clip.container, "size on disk": f"{clip.bytes / 1e6:.2f} MB"}
    facts |= _image_facts(clip) if clip.paged else _stream_facts(clip)
    credentials = read_credentials(clip.path)
    text = " ".join(facts.values()).lower()
    facts |= credentials.facts
    generator = next((g for g in GENERATORS if g in text), None)
    editor = next((e for e in EDITORS if e in text), None)
    notes = [mark.sentence() for mark in credentials.marks]
    if generator:
        notes.append(
            f"The file's own data says that it was made or changed by a generator (“{generator}”)."
        )
    if editor:
        notes.append(
            f"It was written by a program (“{editor}”), not straight from a camera; "
            "that is true of most files on the web."
        )
    if credentials.note:
        notes.append(credentials.note)
    if credentials.state == "none" and clip.kind == "picture" and "camera" not in facts:
        notes.append(
            "It carries no camera data and no content credentials, as is usual after sharing."
        )
    generated = bool(generator) or any(
        mark.generated and mark.trust != "invalid" for mark in credentials.marks
    )
    return Provenance(facts, tuple(notes), credentials.state, generated, credentials.marks)


def _image_facts(clip: Clip) -> dict[str, str]:
    facts: dict[str, str] = {}
    try:
        with Image.open(clip.path) as opened:
            exif = {ExifTags.TAGS.get(k, str(k)): v for k, v in opened.getexif().items()}
            extra = {k: v for k, v in opened.info.items() if isinstance(v, str)}
    except (OSError, ValueError, SyntaxError):
        return facts
    camera = " ".join(str(exif[k]) for k in ("Make", "Model") if k in exif)
    if camera.strip():
        facts["camera"] = plain(camera)
    for name, key in (("software", "Software"), ("taken", "DateTime"), ("artist", "Artist")):
        if exif.get(key):
            facts[name] = plain(exif[key])
    for key in ("parameters", "prompt", "Software", "Comment", "workflow"):
        if key in extra:
            facts[f"text “{key}”"] = plain(extra[key])
    return facts


def _stream_facts(clip: Clip) -> dict[str, str]:
    facts: dict[str, str] = {}
    try:
        with clip.opened() as container:
            if container.bit_rate:
                facts["bit rate"] = f"{container.bit_rate / 1000:.0f} kbit/s"
            for stream in container.streams:
                codec = stream.codec_context.name if stream.codec_context else "unknown"
                facts.setdefault(f"{stream.type} codec", codec)
                for key in ("handler_name", "encoder"):
                    if stream.metadata.get(key):
                        facts.setdefault(
                            f"{stream.type} {key.replace('_', ' ')}", plain(stream.metadata[key])
                        )
            for key in (
                "encoder",
                "creation_time",
                "make",
                "model",
                "com.apple.quicktime.model",
                "com.android.version",
                "title",
                "comment",
                "software",
            ):
                if container.metadata.get(key):
                    facts[key.replace("_", " ")] = plain(container.metadata[key])
    except (av.error.FFmpegError, OSError):
        return facts
    return facts
