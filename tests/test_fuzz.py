"""Mutated files at the media door: each one ends in an answer or in a sentence.

200 files by default, the same ones each time; ``make fuzz`` takes 5,000 others. The files are made
here from scratch. A file that brings down the process that reads it is counted and allowed, since
that process is there for it; a mistake of ours is not.
"""

from __future__ import annotations

import os
import re
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from errors import UserError
from media.reader import coding_of, open_reader
from media.sniff import sniff
from media.windows import plan
from tests.conftest import write_audio, write_clip

FILES = int(os.environ.get("FUZZ_FILES", "200"))
OUR_MISTAKES = {"internal_error"}
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
VIDEOS = (
    ("a.mp4", "libx264", "aac"), ("b.mkv", "mpeg4", "libmp3lame"), ("c.webm", "libvpx", "libopus"),
    ("d.avi", "mpeg4", "pcm_s16le"), ("e.ts", "mpeg2video", "mp2"), ("f.mov", "libx264", "aac"),
    ("g.flv", "flv", "aac"), ("h.gif", "gif", None), ("i.wmv", "msmpeg4v3", None),
    ("x.mpg", "mpeg2video", "mp2"), ("y.m2v", "mpeg2video", None), ("z.mp4", "libx265", "ac3"),
    ("1.mp4", "libsvtav1", "libopus"), ("2.webm", "libvpx-vp9", "libopus"),
    ("3.mkv", "ffv1", "flac"),
)  # fmt: skip
AUDIO = (
    ("q.mp3", "libmp3lame"), ("r.wav", "pcm_s16le"), ("s.m4a", "alac"), ("t.ogg", "libopus"),
    ("u.opus", "libopus"), ("v.flac", "flac"), ("w.aac", "aac"), ("4.wma", "libmp3lame"),
    ("5.mka", "ac3"),
)  # fmt: skip
IMAGES = ("j.jpg", "k.png", "l.webp", "m.bmp", "n.tif", "o.gif", "p.avif")
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><a Iptc4xmpExt:DigitalSourceType='x'/></x:xmpmeta>"
COUNTS: Counter[str] = Counter()
LAST = len(VIDEOS) + len(IMAGES) + len(AUDIO) - 1


@contextmanager
def priority_kept() -> Iterator[None]:
    """SVT-AV1 gives its caller real-time priority where it may (root), which starves the rest."""
    if sys.platform != "linux":
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    yield
    os.sched_setscheduler(0, policy, parameters)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> list[tuple[str, bytes]]:
    """Small honest files of every kind, with what a decoder stumbles over: sound, texts, pages."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 255, (8, 48, 64, 3), dtype=np.uint8)
    audio = (0.3 * rng.standard_normal(48_000)).astype(np.float32)
    made = []
    for name, codec, audio_codec in VIDEOS:
        speech = {"audio": audio, "audio_codec": audio_codec, "audio_hz": 48_000}
        rate = Fraction(25)
        with priority_kept():
            write_clip(
                folder / name, list(noise), rate, codec=codec, **(speech if audio_codec else {})
            )
        made.append(folder / name)
    pages = [Image.fromarray(page) for page in noise[:3]]
    for name in IMAGES:
        save_image(folder / name, pages)
        made.append(folder / name)
    made += [write_audio(folder / name, audio, codec, 48_000) for name, codec in AUDIO]
    return [(path.suffix, path.read_bytes()) for path in made]


def save_image(path: Path, pages: list[Image.Image]) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a prompt, Steps: 20")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x9003] = "Maker", 6, "2026:01:01 00:00:00"
    several = {"save_all": True, "append_images": pages[1:]}
    options = {
        ".jpg": {"exif": exif, "xmp": XMP}, ".png": {"pnginfo": text, "exif": exif, **several},
        ".webp": {"exif": exif, "xmp": XMP, **several}, ".gif": several, ".tif": {"exif": exif},
    }  # fmt: skip
    pages[0].save(path, **options.get(path.suffix, {}))


@st.composite
def steps(draw) -> list[tuple]:
    """What is done to a file: places are shares 0..1 of its length, the first bytes come often."""
    place = st.one_of(st.floats(0, 0.05), st.floats(0, 1))
    one = st.one_of(
        st.tuples(st.just("write"), place, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("number"), place, st.sampled_from(EXTREMES), st.sampled_from("<>")),
        st.tuples(st.just("flip"), place, st.integers(0, 7)),
        st.tuples(st.just("cut"), place),
        st.tuples(st.just("drop"), place, st.integers(1, 400)),
        st.tuples(st.just("again"), place, st.integers(1, 400), st.integers(1, 30)),
        st.tuples(st.just("splice"), place, st.integers(0, LAST)),
    )
    return draw(st.lists(one, min_size=1, max_size=6))


def mutated(data: bytes, done: list[tuple], others: list[tuple[str, bytes]]) -> bytes:
    for what, place, *how in done:
        at = int(place * len(data))
        if what == "write":
            data = data[:at] + how[0] + data[at + len(how[0]) :]
        elif what == "number":
            data = data[:at] + struct.pack(f"{how[1]}I", how[0]) + data[at + 4 :]
        elif what == "flip" and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << how[0]]) + data[at + 1 :]
        elif what == "cut":
            data = data[:at]
        elif what == "drop":
            data = data[:at] + data[at + how[0] :]
        elif what == "again":
            data = data[:at] + data[at : at + how[0]] * how[1] + data[at + how[0] :]
        elif what == "splice":
            data = data[:at] + others[how[0]][1][at:]
    return data


def read_all(path: Path, faces: bool) -> None:
    """What the page and an analysis ask of a file."""
    if faces:
        coding_of(path)
    with open_reader(path) as reader:
        reader.provenance()
        stretch = plan(reader.duration_s, "quick")[0]
        if faces:
            reader.window(stretch)
        for _, image in reader.frames(0.0, stretch.stop_s):
            assert image.shape == (*reader.size_wh[::-1], 3)
        speech = reader.audio(stretch.start_s, min(stretch.stop_s, 3.1))
        assert speech is None or np.isfinite(speech).all()


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@settings(
    max_examples=FILES, deadline=None, derandomize=FILES == 200, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(index=st.integers(0, LAST), done=steps(), faces=st.integers(0, 15))
def test_a_mutated_file_ends_in_an_answer_or_a_sentence(corpus, place, index, done, faces):
    suffix, data = corpus[index]
    path = place / f"mutated{suffix}"
    path.write_bytes(mutated(data, done, corpus))
    try:
        read_all(path, faces == 0)
        COUNTS["read"] += 1
    except UserError as error:
        COUNTS[error.code] += 1
        assert error.code not in OUR_MISTAKES, error.sentence
        assert error.sentence


def test_honest_files_of_the_corpus_are_read_and_are_of_every_kind(corpus, place):
    recognized = set()
    for index, (suffix, data) in enumerate(corpus):
        path = place / f"honest{index}{suffix}"
        path.write_bytes(data)
        read_all(path, False)
        recognized.add(sniff(path).name)
    words = Path(sys.modules[sniff.__module__].__file__ or "").read_text("utf-8")
    kinds = set(re.findall(r'FileKind\(\s*[\w.]+, [\w"]+, "([^"]+)"', words))
    assert len(kinds) > 15
    assert recognized == kinds


def test_most_mutated_files_got_past_the_first_bytes():
    """Else nothing but the sniffing of formats was tried."""
    print(f"\n{sum(COUNTS.values())} mutated files: {dict(COUNTS.most_common())}")
    assert COUNTS["read"] >= 0.2 * FILES
