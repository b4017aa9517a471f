"""What do the boxes of an MP4 or QuickTime file say that FFmpeg does not tell?

XMP packets, edit lists, and when the movie and its tracks were made and changed. Reads headers and
small boxes only, never the media data. Standard: ISO/IEC 14496-12. Imports nothing of ours.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
PARENTS = (b"moov", b"trak", b"edts", b"udta")
MOST_BOXES = 4000
MOST_PAYLOAD = 2_000_000  # bytes of one box that are read
DEEPEST = 8


@dataclass(frozen=True)
class Movie:
    """What an MP4 says of its own making.

    Attributes:
        made: when the movie header says it was made, or None where it says nothing.
        changed: when it says it was last changed.
        parts: the most stretches of media that a track's edit list plays.
    """

    made: datetime | None
    changed: datetime | None
    parts: int


def xmp_packets(path: Path) -> Iterator[bytes]:
    """The XMP packets of an MP4 or QuickTime file."""
    with path.open("rb") as file:
        for name, payload in _boxes(file):
            if name == b"uuid" and payload.startswith(XMP_UUID):
                yield payload[16:]
            elif name == b"XMP_":
                yield payload


def read_movie(path: Path) -> Movie:
    """Times and edit lists of an MP4 or QuickTime file; None and 0 where there are none."""
    made = changed = None
    parts = 0
    with path.open("rb") as file:
        for name, payload in _boxes(file):
            if name == b"mvhd":
                made, changed = _times(payload)
            elif name == b"elst":
                parts = max(parts, _played(payload))
    return Movie(made, changed, parts)


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """(type, payload) of all boxes, parents opened; of large ones only the beginning."""
    file.seek(0, 2)
    waiting, count = [(0, file.tell(), 0)], 0
    while waiting:
        at, end, depth = waiting.pop()
        while at + 8 <= end and count < MOST_BOXES:
            count += 1
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                break
            size, name, start = _size(head, end - at)
            if size < start:
                break
            if name in PARENTS and depth < DEEPEST:
                waiting.append((at + start, min(at + size, end), depth + 1))
            elif name != b"mdat":
                file.seek(at + start)
                yield name, file.read(min(size - start, MOST_PAYLOAD))
            at += size


def _size(head: bytes, left: int) -> tuple[int, bytes, int]:
    """Size of a box, its type, and where its payload starts."""
    size, name = struct.unpack(">I4s", head[:8])
    if size == 1 and len(head) == 16:
        return struct.unpack(">Q", head[8:])[0], name, 16
    return (left if size == 0 else size), name, 8


def _times(payload: bytes) -> tuple[datetime | None, datetime | None]:
    wide = payload[:1] == b"\x01"
    form = ">QQ" if wide else ">II"
    if len(payload) < 4 + struct.calcsize(form):
        return None, None
    made, changed = struct.unpack_from(form, payload, 4)
    return _moment(made), _moment(changed)


def _moment(seconds: int) -> datetime | None:
    """Seconds since 1904 as a date; 0 and dates beyond the calendar say nothing."""
    try:
        return EPOCH + timedelta(seconds=seconds) if seconds else None
    except OverflowError:
        return None


def _played(payload: bytes) -> int:
    """How many entries of an edit list play media; empty ones only wait."""
    if len(payload) < 8:
        return 0
    form, entry = (">Qq", 20) if payload[0] == 1 else (">Ii", 12)
    count = min(struct.unpack_from(">I", payload, 4)[0], (len(payload) - 8) // entry)
    entries = (struct.unpack_from(form, payload, 8 + i * entry) for i in range(count))
    return sum(media_time >= 0 for _, media_time in entries)
