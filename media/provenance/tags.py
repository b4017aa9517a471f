"""Which fields of text does a file carry, and where does each stand?

Collects them without judging: text chunks, EXIF, IPTC, XMP and the container's tags, each with its
exact field, at most so many and so long. What they mean is decided in claims. Imports clip, boxes
and xmp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from media.clip import Clip
from media.provenance.boxes import xmp_packets
from media.provenance.xmp import read_xmp

MOST_CHARACTERS = 1_000_000  # of one value; more is no statement but ballast
MOST_TAGS = 2000
IPTC_NAMES = {(2, 65): "Program", (2, 110): "Credit"}
SUB_FOLDERS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
GPS_NAMES = {29: "GPSDateStamp", 7: "GPSTimeStamp"}


@dataclass(frozen=True)
class Tag:
    """One field of text.

    Attributes:
        place: ``text``, ``EXIF``, ``IPTC``, ``XMP`` or ``container``.
        name: of the field, as its standard has it; XMP with the usual prefix.
        value: its text, untrusted.
    """

    place: str
    name: str
    value: str


class Tags(tuple[Tag, ...]):
    """All fields of a file, with look-up by place and name."""

    def get(self, place: str, name: str) -> str:
        """The first value of a field, or an empty text."""
        return next((t.value for t in self if t.place == place and t.name == name), "")

    def named(self, *names: str) -> Iterator[Tag]:
        """The fields of these names, wherever they stand."""
        return (t for t in self if t.name in names)


def image_tags(image: Image.Image) -> Iterator[Tag]:
    """Fields of an opened image: text chunks, comment, XMP, EXIF and IPTC."""
    for name, value in image.info.items():
        if name in ("XML:com.adobe.xmp", "exif", "icc_profile"):
            continue
        if name == "xmp":
            yield from _xmp(value)
        elif isinstance(value, str) or (name == "comment" and isinstance(value, bytes)):
            yield Tag("text", str(name), as_text(value))
    exif = image.getexif()
    for number, value in exif.items():
        yield from _exif(ExifTags.TAGS.get(number, str(number)), value)
    for folder in SUB_FOLDERS:
        names = GPS_NAMES if folder == ExifTags.IFD.GPSInfo else ExifTags.TAGS
        for number, value in exif.get_ifd(folder).items():
            yield from _exif(names.get(number, str(number)), value)
    for key, value in _iptc(image).items():
        if key in IPTC_NAMES:
            for item in value if isinstance(value, list) else [value]:
                yield Tag("IPTC", IPTC_NAMES[key], as_text(item))


def _iptc(image: Image.Image) -> dict[tuple[int, int], Any]:
    """Fields by record and number; Pillow reads them out of JPEG and TIFF only."""
    return (
        IptcImagePlugin.getiptcinfo(image) or {} if isinstance(image, ImageFile.ImageFile) else {}
    )


def container_tags(clip: Clip) -> Iterator[Tag]:
    """Fields of a video's container and of its streams, and the XMP of an MP4."""
    with clip.opened() as container:
        yield from _metadata(container.metadata)
        for stream in container.streams:
            yield from _metadata(stream.metadata, f"{stream.type} ")
    if clip.container == "MP4 / QuickTime":
        for packet in xmp_packets(clip.path):
            yield from _xmp(packet)


def as_text(value: Any) -> str:
    """A value as text of bounded length; bytes that are no UTF-8 become replacement characters."""
    if isinstance(value, bytes):
        return _decoded(value[:MOST_CHARACTERS])
    if isinstance(value, tuple):
        return " ".join(str(item) for item in value[:16])
    return str(value)[:MOST_CHARACTERS]


def _decoded(value: bytes) -> str:
    """EXIF's UserComment says its encoding in eight bytes; everything else is taken for UTF-8."""
    code, rest = value[:8], value[8:]
    if code == b"UNICODE\x00":
        # most writers use big-endian as in the file's first words; Latin text shows which it is
        little = rest[1:2] == b"\x00" and rest[:1] != b"\x00"
        return rest.decode("utf-16-le" if little else "utf-16-be", "replace").strip("\x00")
    if code in (b"ASCII\x00\x00\x00", bytes(8)):
        value = rest
    return value.decode("utf-8", "replace").strip("\x00")


def _exif(name: str, value: Any) -> Iterator[Tag]:
    if isinstance(value, str | bytes | tuple | int | float):
        if name.startswith("XP") and isinstance(value, bytes):
            value = value.decode("utf-16-le", "replace").strip("\x00")
        yield Tag("EXIF", name, as_text(value))


def _xmp(packet: Any) -> Iterator[Tag]:
    data = packet if isinstance(packet, bytes) else str(packet).encode("utf-8", "replace")
    return (Tag("XMP", name, value) for name, value in read_xmp(data))


def _metadata(metadata: Mapping[str, str], prefix: str = "") -> Iterator[Tag]:
    for name, value in metadata.items():
        # Matroska writes its names in capitals, and AIGC is one by its standard
        name = "AIGC" if name.upper() == "AIGC" else name.lower()
        yield Tag("container", f"{prefix}{name}", as_text(value))
