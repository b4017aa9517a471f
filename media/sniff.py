"""What kind of file is this, by its first bytes?

FFmpeg guesses formats and follows playlists, concat scripts and file-name patterns whatever a file
is called. So the format is decided here, from an allow-list of magic numbers, and FFmpeg is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from errors import UserError

NO_MEDIA = (".csv", ".html", ".json", ".log", ".md", ".parquet", ".txt")
"""Endings of what people, and this program, keep beside files to be examined."""
HEAD_BYTES = 1024
TS_PACKET_BYTES = 188
MOV_ATOMS = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
IMAGE_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"}


def may_be_media(name: str | Path) -> bool:
    """A file of this name is examined when its folder is: it is no note, and not hidden."""
    path = Path(name)
    return not path.name.startswith(".") and path.suffix.lower() not in NO_MEDIA


class MediaKind(StrEnum):
    """What is shown; the words are those of the JSON report."""

    VIDEO = "video"
    IMAGE = "picture"
    AUDIO = "audio"


VIDEO, IMAGE, AUDIO = MediaKind.VIDEO, MediaKind.IMAGE, MediaKind.AUDIO


@dataclass(frozen=True)
class FileKind:
    """How a file is opened.

    Attributes:
        kind: FFmpeg decodes videos and audio, Pillow decodes images. Whether a container of videos
            holds anything but audio is known when it is opened (`media.clip`).
        ffmpeg_format: the demuxer that FFmpeg must use, or None.
        name: for people, e.g. "MP4 / QuickTime".
        suffixes: file-name endings that go with it.
        pillow_formats: the decoders that Pillow may try.
    """

    kind: MediaKind
    ffmpeg_format: str | None
    name: str
    suffixes: tuple[str, ...]
    pillow_formats: tuple[str, ...] = ()


MOV = FileKind(VIDEO, "mov", "MP4 / QuickTime", (".mp4", ".mov", ".m4v", ".3gp", ".m4a", ".m4b"))
MPEG = FileKind(VIDEO, "mpeg", "MPEG program stream", (".mpg", ".mpeg", ".vob"))
STARTS: tuple[tuple[bytes, FileKind], ...] = (
    (
        b"\x1a\x45\xdf\xa3",
        FileKind(VIDEO, "matroska", "Matroska / WebM", (".mkv", ".webm", ".mka", ".weba")),
    ),
    (b"\x00\x00\x01\xba", MPEG),
    (
        b"\x00\x00\x01\xb3",
        FileKind(VIDEO, "mpegvideo", "MPEG video stream", (".mpg", ".m2v")),
    ),
    (b"GIF87a", FileKind(VIDEO, "gif", "GIF", (".gif",))),
    (b"GIF89a", FileKind(VIDEO, "gif", "GIF", (".gif",))),
    (b"FLV\x01", FileKind(VIDEO, "flv", "Flash video", (".flv",))),
    (b"OggS", FileKind(VIDEO, "ogg", "Ogg", (".ogv", ".ogg", ".oga", ".opus"))),
    (
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
        FileKind(VIDEO, "asf", "Windows Media", (".wmv", ".wma")),
    ),
    (
        b"\xff\xd8\xff",
        FileKind(IMAGE, None, "JPEG", (".jpg", ".jpeg", ".jfif"), ("JPEG",)),
    ),
    (b"\x89PNG\r\n\x1a\n", FileKind(IMAGE, None, "PNG", (".png", ".apng"), ("PNG",))),
    (b"BM", FileKind(IMAGE, None, "BMP", (".bmp",), ("BMP",))),
    (b"II*\x00", FileKind(IMAGE, None, "TIFF", (".tif", ".tiff"), ("TIFF",))),
    (b"MM\x00*", FileKind(IMAGE, None, "TIFF", (".tif", ".tiff"), ("TIFF",))),
)
MP3 = FileKind(AUDIO, "mp3", "MP3", (".mp3",))
AAC = FileKind(AUDIO, "aac", "AAC", (".aac",))
FLAC = FileKind(AUDIO, "flac", "FLAC", (".flac",))
WAV = FileKind(AUDIO, "wav", "WAV", (".wav", ".wave"))
ID3_BYTES = 10  # of the head of an ID3v2 tag, which says how long the tag is
OTHER_AUDIO = (b"caff", b"FORM", b"#!AMR")


def sniff(path: Path) -> FileKind:
    """Decide how to open a file.

    Raises:
        UserError: with code ``decode_failed`` for a missing, empty or unknown file.
    """
    if not path.is_file():
        raise UserError("decode_failed", f"There is no file called “{path.name}”.")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise UserError("decode_failed", "The file is empty (0 bytes). Try to copy it again.")
    if not head.strip(b"\x00"):
        raise UserError(
            "decode_failed", "The file starts with nothing but zeros: a download that broke off?"
        )
    kind = _by_magic(head) or _audio(_after_tag(path, head))
    if kind is None:
        raise UserError("decode_failed", _unknown(head))
    return kind


def _by_magic(head: bytes) -> FileKind | None:
    if head[4:8] == b"ftyp" and head[8:12] in IMAGE_BRANDS:
        return FileKind(
            MediaKind.IMAGE, None, "AVIF / HEIF", (".avif", ".heic", ".heif"), ("AVIF",)
        )
    if head[4:8] in MOV_ATOMS:
        return MOV
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return FileKind(VIDEO, "avi", "AVI", (".avi",))
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return FileKind(IMAGE, None, "WebP", (".webp",), ("WEBP",))
    if len(head) > 2 * TS_PACKET_BYTES and all(head[i * TS_PACKET_BYTES] == 0x47 for i in range(3)):
        return FileKind(VIDEO, "mpegts", "MPEG transport stream", (".ts", ".mts"))
    return next((kind for start, kind in STARTS if head.startswith(start)), None)


def _after_tag(path: Path, head: bytes) -> bytes:
    """The first bytes of the audio itself: an ID3v2 tag may stand before it, with a cover in it."""
    if not head.startswith(b"ID3") or len(head) < ID3_BYTES:
        return head
    length = 0
    for byte in head[6:ID3_BYTES]:  # four times seven bits (id3.org, 2.4.0, section 3.1)
        length = length << 7 | byte & 0x7F
    with path.open("rb") as file:
        file.seek(ID3_BYTES + length)
        return file.read(HEAD_BYTES).lstrip(b"\x00")


def _audio(head: bytes) -> FileKind | None:
    """Files of audio alone. Frames of MP3 and of AAC begin with eleven or twelve set bits."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return WAV
    if head.startswith(b"fLaC"):
        return FLAC
    if len(head) < 3 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return AAC
    layer, rate, bits = head[1] >> 1 & 3, head[2] >> 2 & 3, head[2] >> 4
    is_frame = head[1] & 0xE0 == 0xE0 and head[1] & 0x18 != 0x08
    return MP3 if is_frame and layer and rate != 3 and bits != 15 else None


def _unknown(head: bytes) -> str:
    if head.startswith((b"ID3", *OTHER_AUDIO)):
        return (
            "The file holds sound that is not read here, or its beginning is damaged. Convert it "
            "to WAV, MP3, M4A, OGG or FLAC first."
        )
    if b"\x00" not in head and head.isascii():
        return "The file is a text, not a video, a picture or a sound file."
    return (
        "The file is not a video, picture or sound file of a known kind (MP4, MOV, MKV, WebM, AVI, "
        "MPEG, GIF, JPEG, PNG, WebP, WAV, MP3, M4A, OGG, FLAC), or its beginning is damaged."
    )
