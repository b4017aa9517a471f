"""Claims about traces of saving: tables, second compression, edit lists, times that disagree."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from media.clip import Clip
from media.provenance import read_provenance
from media.provenance.boxes import read_movie
from media.provenance.jpeg import camera_note, luminance_table, saved_twice, standard_quality
from media.provenance.tags import Tag, Tags
from media.provenance.times import contradictions, movie_notes
from tests.conftest import write_clip


def saved(folder: Path, pixels: np.ndarray, *qualities: int) -> Path:
    """The pixels saved as JPEG at each quality in turn."""
    image = Image.fromarray(pixels)
    for quality in qualities[:-1]:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        image = Image.open(buffer).convert("RGB")
    image.save(folder / "saved.jpg", quality=qualities[-1])
    return folder / "saved.jpg"


@pytest.mark.parametrize("quality", [50, 70, 85, 90, 95, 98])
def test_an_image_saved_once_is_not_called_saved_twice(tmp_path, portrait, quality):
    path = saved(tmp_path, portrait, quality)
    assert not saved_twice(path)
    with Image.open(path) as image:
        table = luminance_table(image)
    assert table is not None and standard_quality(table) == quality


@pytest.mark.parametrize("qualities", [(50, 75), (60, 80), (70, 90), (75, 95), (85, 95)])
def test_an_image_saved_again_at_a_higher_quality_shows_it(tmp_path, portrait, qualities):
    path = saved(tmp_path, portrait, *qualities)
    assert saved_twice(path)
    with Clip(path) as clip:
        notes = read_provenance(clip).notes
    assert any("at least twice" in note for note in notes)


def test_a_plain_image_is_not_judged(tmp_path):
    assert not saved_twice(saved(tmp_path, np.full((256, 256, 3), 90, np.uint8), 60, 90))
    assert not saved_twice(saved(tmp_path, np.zeros((8, 8, 3), np.uint8), 60, 90))


def test_standard_tables_do_not_go_with_a_camera_that_has_its_own():
    assert "saved again" in (camera_note("Canon EOS R5", 95) or "")
    assert camera_note("Canon EOS R5", None) is None
    assert camera_note("samsung SM-G991B", 95) is None
    assert standard_quality([7] * 64) is None


def box(name: bytes, *parts: bytes) -> bytes:
    inside = b"".join(parts)
    return struct.pack(">I4s", len(inside) + 8, name) + inside


def movie(folder: Path, made_s: int, changed_s: int, media_times: tuple[int, ...]) -> Path:
    """Boxes of an MP4 with a movie header and an edit list, and nothing else."""
    header = struct.pack(">IIIII", 0, made_s, changed_s, 1000, 5000)
    edits = struct.pack(">II", 0, len(media_times))
    edits += b"".join(struct.pack(">IiI", 1000, at, 1 << 16) for at in media_times)
    path = folder / "boxes.mp4"
    track = box(b"trak", box(b"edts", box(b"elst", edits)))
    path.write_bytes(box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", box(b"mvhd", header), track))
    return path


DAY_S, IN_2024_S = 86_400, 3_800_000_000


@pytest.mark.parametrize(
    ("changed_s", "edits", "note"),
    [
        (IN_2024_S, (0,), ""),
        (IN_2024_S + 5, (-1, 1024), ""),
        (IN_2024_S + DAY_S, (0,), "and changed at"),
        (IN_2024_S - DAY_S, (0,), "before it was made"),
        (IN_2024_S, (0, 9000, 4000), "3 stretches"),
    ],
)
def test_the_container_tells_cuts_and_later_changes(tmp_path, changed_s, edits, note):
    notes = list(movie_notes(read_movie(movie(tmp_path, IN_2024_S, changed_s, edits))))
    assert len(notes) == (1 if note else 0)
    assert note in "".join(notes)


def test_absurd_boxes_end_well(tmp_path):
    path = tmp_path / "absurd.mp4"
    nested = b"".join(struct.pack(">I4s", 10**6, b"moov") for _ in range(500))
    giant = struct.pack(">I4sQ", 1, b"free", 2**63)
    count = box(b"elst", struct.pack(">II", 0, 2**32 - 1))
    for content in (nested, giant, count, b"\x00\x00\x00\x00moov", bytes(10), b""):
        path.write_bytes(content)
        assert read_movie(path).parts == 0


def test_a_clip_of_ours_has_no_notes_about_its_container(tmp_path):
    path = write_clip(tmp_path / "plain.mp4", [np.full((64, 64, 3), 90, np.uint8)] * 5)
    assert list(movie_notes(read_movie(path))) == []


def exif(**moments: str) -> Tags:
    return Tags(Tag("EXIF", name, value) for name, value in moments.items())


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        (exif(DateTimeOriginal="2024:05:01 10:00:00", DateTime="2024:05:01 10:00:00"), ""),
        (exif(DateTimeOriginal="2024:05:01 10:00:00", DateTime="2024:05:02 09:00:00"), ""),
        (exif(DateTimeOriginal="2024:05:01 10:00:00", DateTime="2024:06:01 10:00:00"), "again"),
        (exif(DateTimeOriginal="2024:06:01 10:00:00", DateTime="2024:05:01 10:00:00"), "wrong"),
        (exif(DateTimeOriginal="2024:05:01 10:00:00", GPSDateStamp="2023:01:01"), "satellite"),
        (exif(DateTimeOriginal="0000:00:00 00:00:00", DateTime="9999:99:99 99:99:99"), ""),
        (Tags([*exif(DateTimeOriginal="2024:05:01 10:00:00"),
               Tag("XMP", "xmp:CreateDate", "2021-01-01T00:00:00Z")]), "two moments"),
    ],
)  # fmt: skip
def test_moments_are_held_against_each_other(tags, note):
    notes = list(contradictions(tags))
    assert len(notes) == (1 if note else 0), notes
    assert note in "".join(notes)
