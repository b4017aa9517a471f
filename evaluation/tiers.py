"""Does the verdict survive what happens to files on their way?

Re-encodes each file as messengers and platforms do, real and fake alike: ``web`` and ``hard``
beside the ``clean`` original. Images go through JPEG of a like quality. Imports media.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from media.clip import Clip
from media.degrade import encode, even_size_within, fit, shrink
from media.rates import MOTION_HZ
from media.sniff import MediaKind
from media.writer import ClipWriter, Encoding


@dataclass(frozen=True)
class Tier:
    """One way of re-encoding.

    Attributes:
        name: on the command line and in the report.
        long_side_px: larger images are scaled down to this.
        crf: constant rate factor of H.264.
        jpeg: quality of JPEG for still images, 1..100.
        audio_bps: bit rate of AAC.
    """

    name: str
    long_side_px: int
    crf: int
    jpeg: int
    audio_bps: int


TIERS = (
    Tier("web", long_side_px=768, crf=28, jpeg=70, audio_bps=64_000),
    Tier("hard", long_side_px=512, crf=35, jpeg=40, audio_bps=32_000),
)


def copies(tier: Tier) -> Callable[[Path], AbstractContextManager[Path]]:
    """A context manager from a file to its copy, which is deleted afterwards."""
    return partial(_copy, tier)


@contextmanager
def _copy(tier: Tier, path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder, Clip(path) as clip:
        if clip.kind == MediaKind.IMAGE:
            target = Path(folder) / f"{path.stem}.jpg"
            write_image(clip, target, tier)
        else:
            target = Path(folder) / f"{path.stem}.mp4"
            write_video(clip, target, tier)
        yield target


def write_image(clip: Clip, target: Path, tier: Tier) -> None:
    """Write a still image as a smaller JPEG."""
    image = fit(next(clip.frames())[1], tier.long_side_px)
    target.write_bytes(encode(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), tier.jpeg))


def write_video(clip: Clip, target: Path, tier: Tier, audio: np.ndarray | None = None) -> None:
    """Write a clip as H.264 and AAC, or audio alone as AAC.

    Both streams keep their times on the clip's one clock.

    Args:
        clip: what is written.
        target: an mp4 file.
        tier: how.
        audio: (m,) float32, -1..1, 16 kHz mono, in place of the clip's own.
    """
    size_wh = None
    if clip.kind != MediaKind.AUDIO:
        size_wh = even_size_within(next(clip.frames())[1].shape[1::-1], tier.long_side_px)
    fps = Fraction(clip.fps or MOTION_HZ).limit_denominator(1001)
    audio = clip.audio(0.0, clip.duration_s) if audio is None else audio
    encoding = Encoding(tier.crf, audio_bps=tier.audio_bps)
    with ClipWriter(target, encoding, size_wh, fps, has_audio=audio is not None) as writer:
        if size_wh is not None:
            for time_s, image in clip.frames():
                writer.add_image(shrink(image, size_wh), time_s)
        if audio is not None:
            writer.add_audio(audio, 0.0)
