"""What does the file itself say about where it comes from?

Container facts, camera data and content credentials (C2PA). All of it can be removed or forged in a
moment, so none of it ever decides; it is shown beside the verdict.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import av
import av.error
from PIL import ExifTags, Image

from media.clip import Clip

MOST_TEXT = 200  # characters of one value that are shown
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
SYNTHETIC_SOURCE = "trainedAlgorithmicMedia"  # IPTC digital source type for generated media


@dataclass(frozen=True)
class Provenance:
    """What the file says about itself.

    Attributes:
        facts: name → value, as text, in an order for people.
        notes: sentences on what stands out.
        content_credentials: ``none``, ``valid``, ``invalid`` or ``unreadable``.
        says_generated: the file itself declares that it was made by a generator.
    """

    facts: Mapping[str, str]
    notes: tuple[str, ...]
    content_credentials: str
    says_generated: bool


def read_provenance(clip: Clip) -> Provenance:
    """Collect the facts of an open clip; what cannot be read is left out, never guessed."""
    facts = {"container": clip.container, "size on disk": f"{clip.bytes / 1e6:.2f} MB"}
    facts |= _picture_facts(clip) if clip.paged else _stream_facts(clip)
    credentials, credential_facts, generated = _content_credentials(clip)
    facts |= credential_facts
    text = " ".join(facts.values()).lower()
    generator = next((g for g in GENERATORS if g in text), None)
    editor = next((e for e in EDITORS if e in text), None)
    notes = []
    if generated or generator:
        notes.append(
            "The file's own data says that it was made or changed by a generator"
            + (f" (“{generator}”)." if generator else ".")
        )
    if editor:
        notes.append(
            f"It was written by a program (“{editor}”), not straight from a camera; "
            "that is true of most files on the web."
        )
    if credentials == "invalid":
        notes.append("It carries content credentials (C2PA) that do not match its content.")
    if credentials == "none" and clip.kind == "picture" and "camera" not in facts:
        notes.append(
            "It carries no camera data and no content credentials, as is usual after sharing."
        )
    return Provenance(facts, tuple(notes), credentials, bool(generated or generator))


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"


def _picture_facts(clip: Clip) -> dict[str, str]:
    facts: dict[str, str] = {}
    try:
        with Image.open(clip.path) as image:
            exif = {ExifTags.TAGS.get(k, str(k)): v for k, v in image.getexif().items()}
            extra = {k: v for k, v in image.info.items() if isinstance(v, str)}
    except (OSError, ValueError, SyntaxError):
        return facts
    camera = " ".join(str(exif[k]) for k in ("Make", "Model") if k in exif)
    if camera.strip():
        facts["camera"] = _short(camera)
    for name, key in (("software", "Software"), ("taken", "DateTime"), ("artist", "Artist")):
        if exif.get(key):
            facts[name] = _short(exif[key])
    for key in ("parameters", "prompt", "Software", "Comment", "workflow"):
        if key in extra:
            facts[f"text “{key}”"] = _short(extra[key])
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
                            f"{stream.type} {key.replace('_', ' ')}", _short(stream.metadata[key])
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
                    facts[key.replace("_", " ")] = _short(container.metadata[key])
    except (av.error.FFmpegError, OSError):
        return facts
    return facts


def _content_credentials(clip: Clip) -> tuple[str, dict[str, str], bool]:
    """State of the C2PA manifest, facts from it, and whether it declares generated media."""
    import c2pa  # loads a native library: only when a file is read

    try:
        with c2pa.Reader(str(clip.path)) as reader:
            store = json.loads(reader.json())
    except c2pa.C2paError as error:
        missing = any(
            w in str(error)
            for w in ("ManifestNotFound", "NotSupported", "no JUMBF", "UnsupportedType")
        )
        return ("none" if missing else "unreadable"), {}, False
    except (OSError, ValueError, RuntimeError):
        return "unreadable", {}, False
    manifest = store.get("manifests", {}).get(store.get("active_manifest"), {})
    facts = {"content credentials by": _short(manifest.get("claim_generator", "unknown"))}
    signer = manifest.get("signature_info", {}).get("issuer")
    if signer:
        facts["content credentials signed by"] = _short(signer)
    broken = [s.get("code", "") for s in store.get("validation_status", [])]
    # an unknown signer is no proof of a change; a hash that does not fit is
    state = "invalid" if any("mismatch" in code for code in broken) else "valid"
    return state, facts, SYNTHETIC_SOURCE in json.dumps(manifest)
