"""How does a browser play what it cannot decode?

A small copy, H.264 and AAC, on the same clock, so that boxes and timeline fit it. Imports media.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from media.degrade import even_size_within, shrink
from media.reader import Reader, open_reader
from media.sniff import MediaKind
from media.writer import ClipWriter, Encoding
from stop import Stop

LONGEST_PX = 640  # side of the copy
MOST_FPS = 15.0  # images a second of the copy
LONGEST_S = 600.0  # of the copy; the rest of a longer clip has no preview
AUDIO_BLOCK_S = 10.0  # of audio held at a time
ENCODING = Encoding(28, "ultrafast", options={"tune": "fastdecode"})


def write_preview(source: str | Path, target: str | Path, stop: Stop | None = None) -> None:
    """Write a small copy of a video or of audio as MP4 (H.264 and AAC).

    Args:
        source: the file.
        target: an ``.mp4`` to write.
        stop: asks the writing to end.

    Raises:
        UserError: when the file cannot be read; what ``stop`` says.
    """
    stop = stop or Stop()
    with open_reader(source, stop) as clip:
        size_wh = None
        if clip.kind != MediaKind.AUDIO:
            size_wh = even_size_within(clip.size_wh, LONGEST_PX)
        fps = max(1, round(min(MOST_FPS, float(clip.fps) or 1)))
        with ClipWriter(target, ENCODING, size_wh, fps, clip.has_audio) as writer:
            if size_wh is not None:
                _write_images(clip, writer, size_wh, stop)
            if clip.has_audio:
                _write_audio(clip, writer)


def _write_images(clip: Reader, writer: ClipWriter, size_wh: tuple[int, int], stop: Stop) -> None:
    last_s = -1.0
    for time_s, image in clip.frames(0.0, LONGEST_S):
        stop.check()  # writing takes longer than reading
        if time_s - last_s < 1 / MOST_FPS - 1e-3:
            continue
        last_s = time_s
        writer.add_image(shrink(image, size_wh), time_s)


def _write_audio(clip: Reader, writer: ClipWriter) -> None:
    end_s = min(clip.duration_s, LONGEST_S)
    for start_s in np.arange(0.0, end_s, AUDIO_BLOCK_S).tolist():
        samples = clip.audio(start_s, min(start_s + AUDIO_BLOCK_S, end_s))
        if samples is not None:
            writer.add_audio(samples, start_s)
