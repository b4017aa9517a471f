"""Are Pillow's known holes out of a stranger's reach?

gradio forbids Pillow 13, in which three of them are closed (packaging/advisories.json).
"""

from __future__ import annotations

import io
import struct

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import FileData, ImageData
from PIL import Image, ImageSequence
from PIL.JpegImagePlugin import JpegImageFile

from errors import UserError
from media import image as images
from media.image import open_image, read_image
from media.reader import open_reader
from ui import camera


def jpeg(size_wh: tuple[int, int], **options) -> bytes:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


def frame_header(data: bytes) -> tuple[int, int]:
    """Where the header of the frame (SOF0) begins and ends."""
    start = data.index(b"\xff\xc0")
    return start, start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")


def resized(header: bytes, width: int) -> bytes:
    return header[:7] + struct.pack(">H", width) + header[9:]


def of_two_sizes(data: bytes, marker: int = 0xC0, before: bool = True) -> bytes:
    """A JPEG with a second header, 8 pixels wide, before or after its own."""
    start, stop = frame_header(data)
    header = data[start:stop]
    other = bytes([0xFF, marker]) + resized(header, 8)[2:]
    return data[:start] + (other + header if before else header + other) + data[stop:]


@pytest.mark.parametrize(("marker", "before"), [(0xC0, True), (0xC0, False), (0xDE, False)])
def test_a_jpeg_of_two_sizes_is_refused_before_it_is_decoded(tmp_path, monkeypatch, marker, before):
    """Pillow takes the size of the last header, libjpeg that of the first frame."""
    data, path = jpeg((64, 48)), tmp_path / "a.jpg"
    path.write_bytes(of_two_sizes(data, marker, before))
    with pytest.raises(UserError):
        open_reader(path)
    monkeypatch.setattr(JpegImageFile, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(UserError) as refused:
        read_image(path, "JPEG")
    assert refused.value.code == "decode_failed"


def test_honest_jpegs_of_many_kinds_are_opened_with_their_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    thumbnail = b"Exif\0\0" + jpeg((16, 12))  # a header of another size, inside of a segment
    kinds = (
        {}, {"progressive": True}, {"exif": exif}, {"exif": thumbnail}, {"subsampling": 0},
        {"icc_profile": b"\xff" * 300}, {"comment": b"\xff\xc0\x00\x11\x08\x00\x01\x00\x01"},
        {"restart_marker_rows": 1},
    )  # fmt: skip
    for number, options in enumerate(kinds):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(jpeg((50, 34), **options))
        with open_image(path) as opened:
            assert opened.size == (50, 34)
            assert np.asarray(opened).shape == (34, 50, 3)
    filled = jpeg((50, 34))
    start, _ = frame_header(filled)
    path.write_bytes(filled[:start] + b"\xff\xff\xff" + filled[start:])
    assert read_image(path, "JPEG")[0][0][1].shape == (34, 50, 3)


def test_a_jpeg_of_several_images_is_read_as_its_first(tmp_path):
    path = tmp_path / "burst.jpg"
    first, second = (Image.new("RGB", (40, 30), color) for color in ("red", "blue"))
    first.save(path, "MPO", save_all=True, append_images=[second])
    with Image.open(path) as by_pillow, open_image(path) as opened:
        assert (by_pillow.format, opened.format) == ("MPO", "JPEG")
        assert np.array_equal(np.asarray(opened), np.asarray(by_pillow))
    pages, warnings = read_image(path, "JPEG")
    assert len(pages) == 1 and not warnings


def test_only_the_decoder_that_the_first_bytes_name_is_asked(tmp_path, monkeypatch):
    asked = []
    plain = Image.open

    def spied(file, formats=None):
        asked.append(formats)
        return plain(file, formats=formats)

    monkeypatch.setattr(images.Image, "open", spied)
    for suffix, name in ((".png", "PNG"), (".webp", "WEBP"), (".bmp", "BMP"), (".tif", "TIFF")):
        path = tmp_path / f"a{suffix}"
        Image.new("RGB", (40, 30)).save(path)
        with open_reader(path) as reader:
            reader.provenance()
        open_image(path).close()
        assert asked.pop() == (name,)
    for start in (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"8BPS", b"\xd7\xcd\xc6\x9a\0\0", b"BLP2"):
        path.write_bytes(start + bytes(range(256)) * 8)  # FlashPix, Photoshop, WMF, BLP
        with pytest.raises(UserError) as refused:
            open_image(path)
        assert refused.value.code == "decode_failed"
    assert not asked


def test_what_a_camera_sends_is_opened_by_no_decoder_of_the_server(tmp_path, monkeypatch):
    """Programs can send any file as the camera's; Gradio would open and rewrite it here."""
    with gr.Blocks():
        still, film = camera.still(), camera.film()
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("Pillow was asked"))
    monkeypatch.setenv("PATH", "")  # FFmpeg, which mirrors films, would not be found
    paths = tmp_path / "pcx.jpg", tmp_path / "two.jpg"
    paths[0].write_bytes(bytes([10, 5, 1, 8]) + bytes(124))
    paths[1].write_bytes(of_two_sizes(jpeg((64, 48))))
    for path in paths:
        sent = ImageData(path=str(path), orig_name=path.name)
        assert still.preprocess(sent) == str(path)
    assert film.preprocess(FileData(path=str(tmp_path / "a.webm"))) == str(tmp_path / "a.webm")
    assert (still.preprocess(None), film.preprocess(None)) == (None, None)
    assert not (still.webcam_options.mirror or film.webcam_options.mirror)
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_reading_ends_where_a_page_has_another_mode(tmp_path, monkeypatch):
    path = tmp_path / "moving.png"
    pages = [Image.new("RGB", (40, 30), color) for color in ("red", "green", "blue")]
    pages[0].save(path, save_all=True, append_images=pages[1:], duration=200)
    assert len(read_image(path, "PNG")[0]) == 3

    def changing(opened):
        yield opened
        yield opened.convert("L")
        pytest.fail("it read on")

    monkeypatch.setattr(ImageSequence, "Iterator", changing)
    images, warnings = read_image(path, "PNG")
    assert len(images) == 1 and "damaged" in warnings[0]
