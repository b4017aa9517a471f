"""Claims about what files declare of themselves: each source of a mark has a file made here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import cv2
import jsonschema
import numpy as np
import pytest
import pywt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from media.clip import Clip
from media.provenance import Provenance, read_provenance
from media.provenance.claims import claims
from media.provenance.mark import DeclaredMark, plain
from media.provenance.tags import Tag, Tags
from media.provenance.watermark import MESSAGES, block_votes, decode, find_watermark
from media.provenance.xmp import BadPacketError, read_xmp
from report import export, feedback, render
from report.details import details
from tests.made_analysis import made_analysis
from tests.signing import IPTC

A1111 = "portrait of a woman\nNegative prompt: hat\nSteps: 20, Sampler: Euler a, CFG scale: 7"
COMFY = json.dumps({"3": {"class_type": "KSampler", "inputs": {"seed": 1}}})
AIGC = json.dumps({"Label": "1", "ContentProducer": "Example AI", "ProduceID": "7"})
JOB = "a castle --v 6 Job ID: 0a1b2c3d-1111-2222-3333-444455556666"
PIXELS = np.random.default_rng(0).integers(60, 200, (64, 96, 3), np.uint8)


def xmp(fields: str) -> bytes:
    """A packet with these elements in one description."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/">{fields}</rdf:Description></rdf:RDF>'
        "</x:xmpmeta>"
    ).encode()


def read(path: Path) -> Provenance:
    with Clip(path) as clip:
        return read_provenance(clip)


def jpeg(folder: Path, **keywords: object) -> Path:
    path = folder / "made.jpg"
    Image.fromarray(PIXELS).save(path, quality=90, **keywords)
    return path


def png(folder: Path, **texts: str) -> Path:
    path, info = folder / "made.png", PngInfo()
    for name, value in texts.items():
        info.add_itxt(name, value)
    Image.fromarray(PIXELS).save(path, pnginfo=info)
    return path


def exif(**values: object) -> Image.Exif:
    """EXIF with tags by number, written ``t0x10e=…``; those of the Exif folder too."""
    made = Image.Exif()
    for name, value in values.items():
        number = int(name[1:], 16)
        folder = made.get_ifd(0x8769) if number > 0x9000 else made
        folder[number] = value
    return made


def credit(text: str) -> bytes:
    """A Photoshop block that holds the IPTC field 2:110."""
    field = b"\x1c\x02\x6e" + len(text).to_bytes(2, "big") + text.encode()
    block = b"8BIM\x04\x04\x00\x00" + len(field).to_bytes(4, "big") + field + bytes(len(field) % 2)
    return b"Photoshop 3.0\x00" + block


def with_credit(folder: Path, text: str) -> Path:
    path, segment = jpeg(folder), credit(text)
    data = path.read_bytes()
    path.write_bytes(
        data[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]
    )
    return path


def webp(folder: Path, made: Image.Exif) -> Path:
    path = folder / "made.webp"
    Image.fromarray(PIXELS).save(path, exif=made)
    return path


def film(folder: Path, suffix: str = ".mp4", **metadata: str) -> Path:
    """A clip whose container carries these tags."""
    path = folder / f"tagged{suffix}"
    options = {"movflags": "use_metadata_tags"} if suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as target:
        target.metadata.update(metadata)
        stream = target.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(PIXELS[:, :64]), "rgb24")
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return path


def with_box(path: Path, name: bytes, payload: bytes) -> Path:
    """Add a box at the end of an MP4."""
    path.write_bytes(path.read_bytes() + (len(payload) + 8).to_bytes(4, "big") + name + payload)
    return path


XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
SOURCE_TYPE = (
    f"<Iptc4xmpExt:DigitalSourceType>{IPTC}trainedAlgorithmicMedia</Iptc4xmpExt:DigitalSourceType>"
)
MADE = {
    "XMP source type in a JPEG": (lambda f: jpeg(f, xmp=xmp(SOURCE_TYPE)), "AI model"),
    "XMP source type in a PNG": (
        lambda f: png(f, **{"XML:com.adobe.xmp": xmp(SOURCE_TYPE).decode()}), "AI model"),
    "XMP source type in an MP4": (
        lambda f: with_box(film(f), b"uuid", XMP_BOX + xmp(SOURCE_TYPE)), "AI model"),
    "XMP AIGC label": (
        lambda f: jpeg(f, xmp=xmp(f"<TC260:AIGC>{AIGC}</TC260:AIGC>")), "by “Example AI”"),
    "PNG AIGC label": (lambda f: png(f, AIGC=AIGC), "generated by AI"),
    "MP4 AIGC label": (lambda f: film(f, AIGC=AIGC), "generated by AI"),
    "EXIF AIGC label": (
        lambda f: jpeg(f, exif=exif(t0x9286=b"ASCII\0\0\0" + f'{{"AIGC": {AIGC}}}'.encode())),
        "generated by AI"),
    "IPTC credit": (lambda f: with_credit(f, "Made with Google AI"), "Google's AI"),
    "XMP credit": (
        lambda f: jpeg(f, xmp=xmp("<photoshop:Credit>Made with Google AI</photoshop:Credit>")),
        "Google's AI"),
    "PNG parameters": (lambda f: png(f, parameters=A1111), "AUTOMATIC1111"),
    "EXIF parameters": (
        lambda f: jpeg(f, exif=exif(t0x9286=b"UNICODE\0" + A1111.encode("utf-16-be"))),
        "AUTOMATIC1111"),
    "ComfyUI in a PNG": (lambda f: png(f, prompt=COMFY, workflow="{}"), "ComfyUI"),
    "ComfyUI in a WebP": (lambda f: webp(f, exif(t0x110="prompt:" + COMFY)), "ComfyUI"),
    "ComfyUI in an MP4": (lambda f: film(f, comment=json.dumps({"prompt": COMFY})), "ComfyUI"),
    "InvokeAI": (lambda f: png(f, invokeai_metadata='{"model": {"name": "x"}}'), "InvokeAI"),
    "Fooocus": (
        lambda f: png(f, parameters='{"version": "Fooocus v2.5.5"}', fooocus_scheme="fooocus"),
        "Fooocus"),
    "NovelAI": (lambda f: png(f, Software="NovelAI", Comment='{"steps": 28}'), "NovelAI"),
    "Midjourney": (lambda f: png(f, Description=JOB), "job 0a1b2c3d-1111-2222-3333-444455556666"),
    "Midjourney in EXIF": (lambda f: jpeg(f, exif=exif(t0x10e=JOB)), "Midjourney"),
    "a program's name in EXIF": (lambda f: jpeg(f, exif=exif(t0x131="Adobe Firefly 3")), "Firefly"),
    "a program's name in XMP": (
        lambda f: jpeg(f, xmp=xmp("<xmp:CreatorTool>Grok</xmp:CreatorTool>")), "Grok"),
    "a program's name in an MKV": (lambda f: film(f, ".mkv", software="Kling 2.1"), "Kling"),
}  # fmt: skip


@pytest.mark.parametrize("source", MADE)
def test_each_source_of_a_mark_is_read(tmp_path, source):
    make, words = MADE[source]
    result = read(make(tmp_path))
    assert result.says_generated, result
    (sentence,) = result.declared()
    assert sentence.startswith("The file itself says that") and words in sentence
    assert "not signed" in sentence and "anyone can write it" in sentence
    assert all(mark.signed_by is None and mark.trust == "unsigned" for mark in result.marks)


@pytest.mark.parametrize(
    "make",
    [
        lambda f: jpeg(f),
        lambda f: png(f, parameters="Steps to the beach, with a sampler"),
        lambda f: png(f, Title="Midjourney and Stable Diffusion compared", Comment="sora"),
        lambda f: png(f, Software="Pikachu Viewer; fluxbox; averunway"),
        lambda f: png(f, prompt="{}", workflow="{}"),
        lambda f: png(f, Description="Job ID: 17"),
        lambda f: png(f, AIGC='{"Label": "7"}'),
        lambda f: with_credit(f, "Not made with Google AI"),
        lambda f: jpeg(f, xmp=xmp(SOURCE_TYPE.replace("trained", "Trained"))),
        lambda f: jpeg(f, xmp=xmp(f"<dc:title>{IPTC}trainedAlgorithmicMedia</dc:title>")),
    ],
)
def test_a_name_in_another_field_or_inside_a_word_declares_nothing(tmp_path, make):
    result = read(make(tmp_path))
    assert result.marks == () and not result.says_generated and result.declared() == ()


@pytest.mark.parametrize(("label", "generated"), [("1", True), ("2", False), ("3", False)])
def test_the_three_aigc_labels_are_told_apart(label, generated):
    (mark,) = claims(Tags([Tag("text", "AIGC", json.dumps({"Label": label}))]))
    assert mark.generated is generated
    assert ("may have" in mark.statement) == (label == "2")


def test_a_captured_source_type_is_shown_and_says_nothing_of_a_generator(tmp_path):
    fields = SOURCE_TYPE.replace("trainedAlgorithmicMedia", "digitalCapture")
    result = read(jpeg(tmp_path, xmp=xmp(fields)))
    assert "a camera took it" in result.declared()[0] and not result.says_generated


# ------------------------------------------------------------------ invisible marks


def mark_slowly(rgb: np.ndarray, message: tuple[int, ...]) -> np.ndarray:
    """The package's method, block by block, as its authors wrote it down."""
    yuv = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV)
    low, (side, down, both) = pywt.dwt2(yuv[:, :, 1], "haar")
    for number in range((low.shape[0] // 4) * (low.shape[1] // 4)):
        row, column = divmod(number, low.shape[1] // 4)
        block = low[row * 4 : row * 4 + 4, column * 4 : column * 4 + 4]
        at = divmod(int(np.argmax(np.abs(block.ravel()[1:]))) + 1, 4)
        block[at] = (block[at] // 36 + 0.25 + 0.5 * message[number % len(message)]) * 36
    yuv[:, :, 1] = np.clip(pywt.idwt2((low, (side, down, both)), "haar"), 0, 255)
    return cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB)


def read_slowly(rgb: np.ndarray, bits: int) -> np.ndarray:
    """The package's decoder, block by block."""
    low = pywt.dwt2(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV)[:, :, 1], "haar")[0]
    votes: list[list[int]] = [[] for _ in range(bits)]
    wide = low.shape[1] // 4
    for number in range((low.shape[0] // 4) * wide):
        row, column = divmod(number, wide)
        block = low[row * 4 : row * 4 + 4, column * 4 : column * 4 + 4]
        at = divmod(int(np.argmax(np.abs(block.ravel()[1:]))) + 1, 4)
        votes[number % bits].append(int(abs(block[at]) % 36 > 18))
    return np.array([np.mean(vote) * 255 > 127 for vote in votes])


@pytest.mark.parametrize("name", MESSAGES)
def test_the_decoder_equals_the_method_block_by_block(portrait, name):
    marked = mark_slowly(portrait, MESSAGES[name])
    bits = len(MESSAGES[name])
    for image in (portrait, marked, marked[:, ::-1].copy()):
        assert np.array_equal(decode(block_votes(image), bits), read_slowly(image, bits))
    assert find_watermark(marked) == name


def test_images_without_a_message_have_none(portrait):
    assert find_watermark(portrait) is None
    assert find_watermark(portrait[:100, :100]) is None
    assert find_watermark(np.zeros((512, 512, 3), np.uint8)) is None
    marked = mark_slowly(portrait, (*MESSAGES["SDXL"][:-1], 1 - MESSAGES["SDXL"][-1]))
    assert find_watermark(marked) is None, "47 of 48 bits are not the message"


def test_a_marked_image_declares_its_program(tmp_path, portrait):
    path = tmp_path / "marked.png"
    Image.fromarray(mark_slowly(portrait, MESSAGES["FLUX.1"])).save(path)
    result = read(path)
    assert result.says_generated and "FLUX.1" in result.declared()[0]


# ------------------------------------------------------------------ hostile metadata

LAUGHS = b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 5000 + b'">]><a>' + b"&b;" * 5000 + b"</a>"


@pytest.mark.parametrize(
    "packet",
    [LAUGHS, b"<a>" * 100_000, b"x" * 3_000_000, b"\xff\xfe\x00<", b"", b"<a", xmp("")[:200]],
)  # fmt: skip
def test_hostile_xmp_ends_in_a_sentence(tmp_path, packet):
    with pytest.raises(BadPacketError):
        read_xmp(packet)
    result = read(with_box(film(tmp_path), b"uuid", XMP_BOX + packet))
    assert any("could not be read: its metadata" in note for note in result.notes)


def test_deeply_nested_json_declares_nothing():
    deep = '{"AIGC":' * 200_000
    assert claims(Tags([Tag("text", "AIGC", deep), Tag("text", "prompt", deep)])) == ()


def test_no_terminal_escape_or_hidden_character_of_a_file_reaches_a_sentence(tmp_path):
    nasty = "\x1b[2J\x1b]0;owned\x07‮evil\u200b\x00"
    made = exif(t0x10f=f"Acme{nasty}", t0x110=nasty, t0x131=f"Midjourney {nasty}")
    result = read(jpeg(tmp_path, exif=made))
    label = json.dumps({"Label": "1", "ContentProducer": nasty})
    marks = claims(Tags([Tag("text", "AIGC", label)]))
    words = [
        *result.facts.values(),
        *result.notes,
        *result.declared(),
        *(m.sentence() for m in marks),
    ]
    assert words and not any(set(text) & set("\x1b\x07\u202e\u200b\x00") for text in words)


def test_long_values_are_cut():
    assert len(plain("x" * 10**7)) <= 200


@pytest.mark.parametrize("end", range(20, 400, 38))
def test_a_cut_off_or_changed_box_never_raises(tmp_path, end):
    path = film(tmp_path)
    data = bytearray(path.read_bytes())
    data += (2**31).to_bytes(4, "big") + b"uuid" + XMP_BOX + xmp(SOURCE_TYPE)[:end]
    path.write_bytes(bytes(data))
    assert isinstance(read(path), Provenance)


# ------------------------------------------------------------------ where it is shown


def declaring() -> DeclaredMark:
    return DeclaredMark("content credentials (C2PA)", "it was generated by an AI model",
                        "Example <b>Corp</b>", "trusted", True, "Hard to forge.")  # fmt: skip


def test_the_declared_line_stands_above_the_verdict_and_in_the_json():
    result = made_analysis()
    result = replace(result, provenance=replace(result.provenance, marks=(declaring(),)))
    html = render.to_html(result)
    assert html.index("The file itself says") < html.index('aria-label="Verdict"')
    assert "<b>Corp" not in html and "&lt;b&gt;Corp" in html
    data = export.to_json(result)
    jsonschema.validate(data, export.schema())
    assert data["file"]["provenance"]["marks"][0]["signed_by"] == "Example <b>Corp</b>"
    assert data["file"]["provenance"]["says_generated"] is True


def test_a_file_that_declares_nothing_has_no_such_line():
    assert "Declared by the file" not in render.to_html(made_analysis())


def test_a_declared_line_leaves_the_sum_alone():
    """The verdict is fused from findings only; provenance is no argument of it."""
    import inspect

    from verdict.fusion import fuse

    result = made_analysis()
    marked = replace(result, provenance=replace(result.provenance, marks=(declaring(),)))
    assert details(marked).terms == details(result).terms
    assert "provenance" not in inspect.getsource(fuse)


def test_a_wrong_answer_carries_no_declared_line():
    result = made_analysis()
    provenance = replace(result.provenance, marks=(declaring(),))
    result = replace(
        result, provenance=provenance, explanation=(*provenance.declared(), *result.explanation)
    )
    assert "Corp" not in feedback.wrong_answer(result, feedback.TRUTHS[0], "")
