"""Which clips are measured?

All are generated: the animated portrait of ``examples/`` (NASA, public domain), put on a canvas
once or four times, played forwards and backwards, and repeated without being encoded again. So an
hour of video costs seconds to make. Clips of manipulated faces are made of the images of
``examples/`` that the project's own augmentations have changed, drifting a little. Imports media.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from media.rates import AUDIO_HZ, MOTION_HZ
from media.writer import ClipWriter, Encoding

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
SOURCE = "animated.mp4"
FOLDER = ROOT / "artifacts" / "benchmarks"
KEYFRAME_EVERY = 2 * MOTION_HZ  # frames; web video has one every two to five seconds
BASE_S = 10  # encoded once: the five seconds of the source forwards, then backwards
FACE_SHARE = 0.8  # of the height of a face's cell that its portrait fills
STILL_FRAMES = 125  # that are made of a still image: five seconds
DRIFT_PX = 8  # of a still image of 512 pixels, in both directions
GRAY_NOISE = 12.0  # standard deviation of the background, so that it costs what a room costs
ENCODINGS = {  # without B-frames, so that packets can be repeated
    "h264": Encoding(23, options={"bf": "0", "g": str(KEYFRAME_EVERY)}),
    "hevc": Encoding(  # as telephones film
        23, "ultrafast", codec="libx265", container="mov",
        options={"x265-params": f"bframes=0:open-gop=0:keyint={KEYFRAME_EVERY}:log-level=error"},
    ),
}  # fmt: skip
SIZES_WH = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}


@dataclass(frozen=True)
class Kind:
    """One clip that is measured.

    Attributes:
        seconds: its length, at 25 frames a second.
        size: a name of `SIZES_WH`.
        faces: 1 or 4, all of the same size.
        source: file of ``examples/``: the animated portrait, or an image of a face.
        codec: a name of `ENCODINGS`.
    """

    seconds: int
    size: str = "720p"
    faces: int = 1
    source: str = SOURCE
    codec: str = "h264"

    @property
    def label(self) -> str:
        """For people: ``60 s, 720p, 1 face``."""
        minutes = self.seconds >= 600 and self.seconds % 60 == 0
        length = f"{self.seconds // 60} min" if minutes else f"{self.seconds} s"
        made_of = "" if self.source == SOURCE else f", {Path(self.source).stem}"
        return f"{length}, {self.size}, {self.faces} face{'s' if self.faces > 1 else ''}{made_of}"


def clip(kind: Kind, folder: Path = FOLDER) -> Path:
    """The file of a kind; made when it is not there yet."""
    encoding = ENCODINGS[kind.codec]
    stem = f"{Path(kind.source).stem}_{kind.size}_{kind.faces}_{kind.codec}"
    path = folder / f"{stem}_{kind.seconds}s.{encoding.container}"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / f"{stem}_base.{encoding.container}"
    if not base.exists():
        _made(base, lambda part: _encode(part, kind))
    return _made(path, lambda part: _repeat(base, part, kind.seconds))


def _made(path: Path, make) -> Path:
    """A file that is there whole or not at all."""
    part = path.with_suffix(".part")
    make(part)
    return part.replace(path)


def _images(source: str) -> list[np.ndarray]:
    """Images (h, h, 3) uint8 RGB of a file of ``examples/``; a still image drifts."""
    with av.open(str(EXAMPLES / source)) as file:
        images = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    if len(images) > 1:
        return images
    (still,), turns = images, np.linspace(0, 2 * np.pi, STILL_FRAMES)
    side = len(still) - 2 * DRIFT_PX
    offsets = DRIFT_PX * (1 + np.stack([np.sin(turns), np.sin(2 * turns)], 1))
    return [still[y : y + side, x : x + side] for y, x in offsets.round().astype(int)]


def _audio() -> np.ndarray:
    """(n,) float32, 16 kHz: the voice of the animated portrait."""
    with av.open(str(EXAMPLES / SOURCE)) as file:
        audio = [frame.to_ndarray().ravel() for frame in file.decode(audio=0)]
    return np.concatenate(audio).astype(np.float32)


def _canvases(images: list[np.ndarray], size_wh: tuple[int, int], faces: int):
    """Images of the wished size with so many faces, forwards and backwards."""
    width, height = size_wh
    noise = np.random.default_rng(0).normal(110, GRAY_NOISE, (height, width, 3))
    canvas = np.clip(noise, 0, 255).astype(np.uint8)
    across = 1 if faces == 1 else 2
    cell_w, cell_h = width // across, height // across
    side = int(FACE_SHARE * cell_h)
    for image in itertools.chain(images, reversed(images)):
        portrait = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        for index in range(faces):
            left = (index % across) * cell_w + (cell_w - side) // 2
            top = (index // across) * cell_h + (cell_h - side) // 2
            canvas[top : top + side, left : left + side] = portrait
        yield canvas


def _encode(path: Path, kind: Kind) -> None:
    """Write the ten seconds that longer clips repeat: H.264 or HEVC, and AAC."""
    images, audio, size_wh = _images(kind.source), _audio(), SIZES_WH[kind.size]
    encoding = ENCODINGS[kind.codec]
    with path.open("wb") as file, ClipWriter(file, encoding, size_wh, MOTION_HZ, True) as writer:
        for index, image in enumerate(_canvases(images, size_wh, kind.faces)):
            writer.add_image(image, index / MOTION_HZ)
        writer.add_audio(np.resize(audio, BASE_S * AUDIO_HZ), 0.0)


@dataclass(frozen=True)
class _Copied:
    """One packet of the base, in units of its own time base."""

    stream: int
    pts: int
    dts: int
    unit_s: Fraction
    data: bytes
    key: bool


def _repeat(base: Path, path: Path, seconds: int) -> None:
    """Write the packets of ``base`` again and again, up to a length."""
    with av.open(str(base)) as source:
        copied = [
            _Copied(p.stream.index, p.pts or 0, p.dts, p.time_base, bytes(p), p.is_keyframe)
            for p in source.demux()
            if p.dts is not None and p.time_base is not None
        ]
        copied.sort(key=lambda p: p.dts * p.unit_s)
        with av.open(str(path), "w", format=base.suffix.removeprefix(".")) as out:
            streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
            for turn in range(-(-seconds // BASE_S)):
                for entry in copied:
                    at_s = float(entry.pts * entry.unit_s)  # audio begins before zero, once
                    if turn * BASE_S + at_s < seconds and at_s < BASE_S and (at_s >= 0 or not turn):
                        out.mux(_moved(entry, streams[entry.stream], turn * BASE_S))


def _moved(entry: _Copied, stream, by_s: int) -> av.Packet:
    """The packet, so many seconds later."""
    packet, shift = av.Packet(entry.data), round(by_s / entry.unit_s)
    packet.stream, packet.time_base, packet.is_keyframe = stream, entry.unit_s, entry.key
    packet.pts, packet.dts = entry.pts + shift, entry.dts + shift
    return packet
