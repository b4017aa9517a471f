"""How does a browser play what it cannot decode?

A small H.264 copy on the same clock, so that boxes and timeline fit it. Imports media.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import av.container
import cv2
import numpy as np

from media.audio import AUDIO_HZ
from media.reader import Reader, open_reader

LONGEST_PX = 640  # side of the copy
MOST_FPS = 15.0  # pictures a second of the copy
LONGEST_S = 600.0  # of the copy; the rest of a longer clip has no preview
AUDIO_BLOCK_S = 10.0  # of sound held at a time
CLOCK_HZ = 90_000
OPTIONS = {"preset": "ultrafast", "crf": "28", "tune": "fastdecode"}


def write_preview(source: str | Path, target: str | Path) -> None:
    """Write a small copy of a video as MP4 (H.264 and AAC).

    Raises:
        UserError: when the file cannot be read.
    """
    with (
        open_reader(source) as clip,
        av.open(str(target), "w", options={"movflags": "+faststart"}) as out,
    ):
        scale = min(1.0, LONGEST_PX / max(clip.size_wh))
        size_wh = tuple(max(2, round(side * scale) // 2 * 2) for side in clip.size_wh)
        rate = Fraction(max(1, round(min(MOST_FPS, float(clip.fps) or 1))))
        images = out.add_stream("libx264", rate=rate, options=OPTIONS)
        images.width, images.height = size_wh
        images.pix_fmt = "yuv420p"
        images.codec_context.time_base = Fraction(1, CLOCK_HZ)
        audio = out.add_stream("aac", rate=AUDIO_HZ, layout="mono") if clip.has_audio else None
        last_s = -1.0
        for time_s, image in clip.frames(0.0, LONGEST_S):
            if time_s - last_s < 1 / MOST_FPS - 1e-3:
                continue
            last_s = time_s
            small = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
            frame = av.VideoFrame.from_ndarray(np.asarray(small, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time_s * CLOCK_HZ), Fraction(1, CLOCK_HZ)
            out.mux(images.encode(frame))
        out.mux(images.encode(None))
        if audio is not None:
            _write_audio(clip, out, audio)


def _write_audio(clip: Reader, out: av.container.OutputContainer, stream: av.AudioStream) -> None:
    end_s = min(clip.duration_s, LONGEST_S)
    for start_s in np.arange(0.0, end_s, AUDIO_BLOCK_S):
        samples = clip.audio(float(start_s), min(float(start_s) + AUDIO_BLOCK_S, end_s))
        if samples is None or not len(samples):
            continue
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = AUDIO_HZ, round(float(start_s) * AUDIO_HZ)
        frame.time_base = Fraction(1, AUDIO_HZ)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
