"""What did the visitor choose, and how is it shown before and during the analysis?

The file is ready at once: what the browser cannot play is shown as a still, and a small copy that
it can play follows by itself. Imports media, report and its neighbors.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

from errors import UserError, writing
from hub.spacefile import Space
from media.clip import Clip
from media.reader import coding_of, open_reader
from media.sniff import MediaKind, sniff
from report.draw import data_uri
from report.language import ENGLISH, Language
from report.preview import write_preview
from report.render import render
from report.words import STYLES
from stop import Stop, in_words
from ui.checks import given

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PLAYABLE = {  # codecs that today's browsers decode, by FFmpeg's names of their decoders
    "h264", "vp8", "vp9", "av1", "libdav1d", "mp3", "mp3float", "aac", "vorbis", "opus", "libopus",
    "flac", "pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f32le",
}  # fmt: skip
PLAYABLE_IN = ("MP4 / QuickTime", "Matroska / WebM")
AUDIO_IN = (*PLAYABLE_IN, "Ogg", "MP3", "AAC", "FLAC", "WAV")
STILL_PX = 720  # height of the still
THUMBNAIL_PX = 150
LOOK_S = 30.0  # for a look at a chosen file; a second is usual
NOTES = {
    MediaKind.VIDEO: (
        "Your browser cannot play this kind of video; a copy that it can play is being made."
    ),
    MediaKind.AUDIO: (
        "Your browser cannot play this kind of sound; a copy that it can play is being made."
    ),
    MediaKind.IMAGE: "",
}
NO_COPY = (
    "Your browser cannot play this file, and a copy could not be made; it can be examined all the "
    "same."
)
FORMATS = "MP4, MOV, MKV, WebM, AVI, GIF, JPEG, PNG, WebP, MP3, WAV, M4A, OGG, Opus, FLAC"
BROWSER_IMAGES = ("JPEG", "PNG", "GIF", "WebP", "BMP", "AVIF")


def check_file(path: str, space: Space) -> None:
    """Refuse at once what cannot be read at all, in the same words as the analysis.

    Raises:
        UserError: what `Clip` says of it; ``too_large`` beyond the limit of uploads;
            ``reader_limit`` when a look at it takes too long.
    """
    sniff(Path(path))
    if Path(path).stat().st_size > space.max_upload_mb * 1_000_000:
        raise UserError(
            "too_large", f"The file is larger than {space.max_upload_mb} MB, which is the limit."
        )
    with _in_time() as stop, open_reader(path, stop) as clip:
        next(iter(clip.frames()), None)


@contextmanager
def _in_time() -> Iterator[Stop]:
    """A file that is only looked at must not keep others waiting.

    Raises:
        UserError: ``reader_limit`` after `LOOK_S`.
    """
    try:
        yield Stop(LOOK_S)
    except UserError as error:
        if error.code != "took_too_long":
            raise
        raise UserError(
            "reader_limit",
            f"To open the file took longer than {in_words(LOOK_S)}; it is damaged, or huge.",
        ) from error


def limits(zone: str, space: Space, language: Language = ENGLISH, also: str = "") -> str:
    """What a drop zone takes and how much of it; the page's script refuses the rest there.

    Args:
        zone: the element's id.
        space: says how large a file may be.
        language: of the visitor.
        also: formats that this zone takes beside videos and images.
    """
    formats = f"{FORMATS}, {also}" if also else FORMATS
    return render("limits", language, zone=zone, formats=formats, mb=space.max_upload_mb)


def readable(path: str | None, space: Space) -> None:
    """Refuse at once no file, and one that cannot be read.

    Raises:
        UserError: ``no_file``, or what `check_file` says of it.
    """
    given(path, "Choose a video, an image or a recording first.")
    check_file(str(path), space)


def plays(path: str) -> bool:
    """Can a browser play this file as it is?"""
    try:
        with _in_time() as stop:
            kind, codec = coding_of(path, stop)
    except UserError:
        return False
    containers = AUDIO_IN if kind == MediaKind.AUDIO else PLAYABLE_IN
    return sniff(Path(path)).name in containers and codec in PLAYABLE


def preview(path: str, language: Language = ENGLISH) -> str:
    """The player, the image, or a still of what the browser cannot play."""
    kind = sniff(Path(path))
    if kind.kind != MediaKind.IMAGE and plays(path):
        return player(path, language)
    if kind.kind == MediaKind.IMAGE and kind.name in BROWSER_IMAGES:
        return render("stage", language, kind="image", address=address(path), note="")
    return still(path, language)


def still(path: str, language: Language = ENGLISH, note: str | None = None) -> str:
    """The first image of what the browser cannot play, with a note: that a copy is being made."""
    with _in_time() as stop, open_reader(path, stop) as clip:
        frame = next(iter(clip.frames()), None)
        shown = clip.kind
    if frame is None and shown != MediaKind.AUDIO:
        return ""
    return render(
        "stage", language, kind="image" if frame is not None else "",
        address=data_uri(frame[1], STILL_PX) if frame is not None else "",
        note=NOTES[shown] if note is None else note,
    )  # fmt: skip


def player(path: str, language: Language = ENGLISH) -> str:
    """The player of a file that a browser can play."""
    with _in_time() as stop:
        kind, _ = coding_of(path, stop)
    return render("stage", language, kind=kind, address=address(path), note="")


def address(path: str) -> str:
    """Where the browser finds a file of this server, relative to the page."""
    return "gradio_api/file=" + quote(str(Path(path).resolve()))


@cache
def examples() -> Mapping[str, tuple[str, str]]:
    """File name → what was really done to it, and the level that this program gives it."""
    listed = EXAMPLES / "labels.csv"
    if not listed.is_file():
        return {}
    with listed.open(encoding="utf-8", newline="") as file:
        return {row["file"]: (row["label"], row["answer"]) for row in csv.DictReader(file)}


def example_path(name: str) -> str | None:
    """The path of an example; None for any other name."""
    return str(EXAMPLES / name) if name in examples() else None


@cache
def thumbnail(name: str) -> str:
    """A small image of an example."""
    with Clip(EXAMPLES / name) as clip:
        frame = next(iter(clip.frames()), None)
    return data_uri(frame[1], THUMBNAIL_PX) if frame is not None else ""


def welcome(language: Language = ENGLISH) -> str:
    """What to do first, and the examples."""
    shown = [
        {
            "name": name, "label": language(text), "level": language(answer),
            "style": STYLES[answer], "image": thumbnail(name),
            "moves": sniff(EXAMPLES / name).kind == MediaKind.VIDEO,
        }
        for name, (text, answer) in examples().items()
    ]  # fmt: skip
    return render("welcome", language, examples=shown)


def is_shown(path: str) -> bool:
    """The player shows the file itself, so no copy is needed."""
    return sniff(Path(path)).kind == MediaKind.IMAGE or plays(path)


def proxy(path: str, folder: Path, stop: Stop | None = None) -> str:
    """A small copy that every browser plays, on the same clock; audio as the analysis hears it.

    Raises:
        UserError: what `write_preview` says; ``cannot_write``.
    """
    target = folder / "preview.mp4"
    with writing("The copy"):
        write_preview(path, target, stop)
    return str(target)
