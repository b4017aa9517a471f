"""How is a clip written? H.264 and AAC in MP4, both streams on one clock.

The one writer of the project. Images and audio come with their times in seconds, so that an offset
between the two survives. Imports `rates`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal

import av
import numpy as np

from media.rates import AUDIO_HZ, MOTION_HZ

CLOCK = Fraction(1, 90_000)  # of written time stamps: fine enough for any frame rate, 29.97 too


@dataclass(frozen=True)
class Encoding:
    """How strongly a clip is compressed.

    Attributes:
        crf: constant rate factor of H.264, 0 (lossless) to 51.
        preset: of x264, how long it may search; slower ones make smaller files.
        audio_bps: bit rate of AAC; None leaves it to the encoder.
        options: further options of the encoder of images.
        codec: FFmpeg's name of that encoder, ``libx264`` or ``libx265`` (HEVC).
        container: FFmpeg's name of the format, ``mp4`` or ``mov``.
    """

    crf: int
    preset: str = "veryfast"
    audio_bps: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    codec: Literal["libx264", "libx265"] = "libx264"
    container: Literal["mp4", "mov"] = "mp4"


class ClipWriter:
    """Writes one clip. Use as a context manager; the file is complete when it ends.

    Args:
        target: an mp4 file, or a stream that can seek.
        encoding: how strongly it is compressed.
        size_wh: of all images, pixels; both even, as H.264 wants them. None for audio alone.
        fps: nominal frame rate. The times of the images are what counts.
        has_audio: whether audio will come.

    Raises:
        OSError: when the target cannot be written.
        av.error.FFmpegError: when FFmpeg refuses what it is given.
    """

    def __init__(
        self,
        target: str | Path | BinaryIO,
        encoding: Encoding,
        size_wh: tuple[int, int] | None,
        fps: Fraction | int = MOTION_HZ,
        has_audio: bool = False,
    ) -> None:
        in_file = isinstance(target, str | Path)
        options = {"movflags": "+faststart"} if in_file else {}  # moving the index reopens the file
        self._container = av.open(
            str(target) if in_file else target, "w", format=encoding.container, options=options
        )
        self._video = self._audio = None
        if size_wh is not None:
            more = {"crf": str(encoding.crf), "preset": encoding.preset, **encoding.options}
            self._video = self._container.add_stream(
                encoding.codec, rate=Fraction(fps), options=more
            )
            self._video.width, self._video.height = size_wh
            self._video.pix_fmt = "yuv420p"
            self._video.time_base = self._video.codec_context.time_base = CLOCK
        if has_audio:
            self._audio = self._container.add_stream("aac", rate=AUDIO_HZ, layout="mono")
            if encoding.audio_bps is not None:
                self._audio.bit_rate = encoding.audio_bps

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                for stream in (self._video, self._audio):
                    if stream is not None:
                        self._container.mux(stream.encode(None))
        finally:
            self._container.close()

    def add_image(self, image: np.ndarray, time_s: float) -> None:
        """Write one image; times increase.

        Args:
            image: (h, w, 3) uint8 RGB of the clip's size.
            time_s: when it is shown.
        """
        assert self._video is not None, "this clip was opened for audio alone"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = round(time_s / CLOCK), CLOCK
        self._container.mux(self._video.encode(frame))

    def add_audio(self, samples: np.ndarray, start_s: float) -> None:
        """Write the next samples; pieces follow each other.

        Args:
            samples: (n,) float32, -1..1, 16 kHz mono.
            start_s: when the first of them is heard.
        """
        assert self._audio is not None, "this clip was opened without audio"
        if not len(samples):
            return
        piece = np.ascontiguousarray(samples[None], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = AUDIO_HZ, round(start_s * AUDIO_HZ)
        frame.time_base = Fraction(1, AUDIO_HZ)
        self._container.mux(self._audio.encode(frame))
