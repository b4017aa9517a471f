"""Does the verdict survive what happens to files on their way?

Re-encodes each file as messengers and platforms do, real and fake alike: ``web`` and ``hard``
beside the ``clean`` original. Pictures go through JPEG of a like quality. Imports errors and media.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np

from errors import UserError
from media.clip import AUDIO_HZ, Clip
from media.sniff import MediaKind

CLOCK = Fraction(1, 90_000)  # of written time stamps: fine enough for every frame rate
AAC_SAMPLES = 1024  # in one AAC frame
PRESET = "veryfast"  # of x264: what a server that must hurry uses


@dataclass(frozen=True)
class Tier:
    """One way of re-encoding.

    Attributes:
        name: on the command line and in the report.
        long_side_px: larger pictures are scaled down to this.
        crf: constant rate factor of H.264.
        jpeg: quality of JPEG for still pictures, 1..100.
        sound_bps: bit rate of AAC.
    """

    name: str
    long_side_px: int
    crf: int
    jpeg: int
    sound_bps: int


TIERS = (
    Tier("web", long_side_px=768, crf=28, jpeg=70, sound_bps=64_000),
    Tier("hard", long_side_px=512, crf=35, jpeg=40, sound_bps=32_000),
)


def copies(tier: Tier) -> Callable[[Path], AbstractContextManager[Path]]:
    """A context manager from a file to its copy, which is deleted afterwards."""
    return partial(_copy, tier)


@contextmanager
def _copy(tier: Tier, path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder, Clip(path) as clip:
        if clip.kind == MediaKind.IMAGE:
            target = Path(folder) / f"{path.stem}.jpg"
            write_picture(clip, target, tier)
        else:
            target = Path(folder) / f"{path.stem}.mp4"
            write_video(clip, target, tier)
        yield target


def write_picture(clip: Clip, target: Path, tier: Tier) -> None:
    """Write a still picture as a smaller JPEG."""
    image = _scaled(next(clip.frames())[1], tier.long_side_px)
    options = [cv2.IMWRITE_JPEG_QUALITY, tier.jpeg]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise UserError("decode_failed", "The picture could not be written again.")
    target.write_bytes(data.tobytes())


def write_video(clip: Clip, target: Path, tier: Tier, sound: np.ndarray | None = None) -> None:
    """Write a clip as H.264 and AAC; both streams keep their times on the clip's one clock.

    Args:
        clip: what is written.
        target: an mp4 file.
        tier: how.
        sound: (m,) float32, -1..1, 16 kHz mono, in place of the clip's own.
    """
    with av.open(str(target), "w") as container:
        first = _scaled(next(clip.frames())[1], tier.long_side_px)
        video = _video_stream(container, clip, first, tier)
        sound = clip.audio(0.0, clip.duration_s) if sound is None else sound
        audio = None
        if sound is not None:
            audio = container.add_stream("aac", rate=AUDIO_HZ, layout="mono")
            audio.bit_rate = tier.sound_bps
        for time_s, image in clip.frames():
            small = cv2.resize(image, (video.width, video.height), interpolation=cv2.INTER_AREA)
            frame = av.VideoFrame.from_ndarray(np.asarray(small, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time_s / CLOCK), CLOCK
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None and sound is not None:
            for frame in _sound_frames(sound):
                container.mux(audio.encode(frame))
            container.mux(audio.encode())


def _video_stream(container, clip: Clip, first: np.ndarray, tier: Tier):
    rate = Fraction(clip.fps or 25).limit_denominator(1001)
    stream = container.add_stream("libx264", rate=rate)
    stream.height, stream.width = (side // 2 * 2 for side in first.shape[:2])
    stream.pix_fmt = "yuv420p"
    stream.options = {"crf": str(tier.crf), "preset": PRESET}
    stream.time_base = stream.codec_context.time_base = CLOCK
    return stream


def _sound_frames(sound: np.ndarray) -> Iterator[av.AudioFrame]:
    padded = np.pad(sound, (0, -len(sound) % AAC_SAMPLES))
    for start in range(0, len(padded), AAC_SAMPLES):
        piece = np.ascontiguousarray(padded[None, start : start + AAC_SAMPLES])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_HZ, start, Fraction(1, AUDIO_HZ)
        yield frame


def _scaled(image: np.ndarray, long_side_px: int) -> np.ndarray:
    """(h, w, 3) uint8 RGB with at most this long side; never enlarged; at least two pixels."""
    height, width = image.shape[:2]
    scale = min(1.0, long_side_px / max(height, width))
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
