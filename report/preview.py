"""How does a browser play what it cannot decode?

A small H.264 copy on the same clock, so that boxes and timeline fit it. Imports media.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from media.reader import Reader, open_reader
from media.writer import ClipWriter, Encoding

LONGEST_PX = 640  # side of the copy
MOST_FPS = 15.0  # images a second of the copy
LONGEST_S = 600.0  # of the copy; the rest of a longer clip has no preview
AUDIO_BLOCK_S = 10.0  # of audio held at a time
ENCODING = Encoding(28, "ultrafast", options={"tune": "fastdecode"})


def write_preview(source: str | Path, target: str | Path) -> None:
    """Write a small copy of a video as MP4 (H.264 and AAC).

    Raises:
        UserError: when the file cannot be read.
    """
    with open_reader(source) as clip:
        scale = min(1.0, LONGEST_PX / max(clip.size_wh))
        width, height = (max(2, round(side * scale) // 2 * 2) for side in clip.size_wh)
        fps = max(1, round(min(MOST_FPS, float(clip.fps) or 1)))
        with ClipWriter(target, ENCODING, (width, height), fps, clip.has_audio) as writer:
            last_s = -1.0
            for time_s, image in clip.frames(0.0, LONGEST_S):
                if time_s - last_s < 1 / MOST_FPS - 1e-3:
                    continue
                last_s = time_s
                small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
                writer.add_image(small, time_s)
            if clip.has_audio:
                _write_audio(clip, writer)


def _write_audio(clip: Reader, writer: ClipWriter) -> None:
    end_s = min(clip.duration_s, LONGEST_S)
    for start_s in np.arange(0.0, end_s, AUDIO_BLOCK_S).tolist():
        samples = clip.audio(start_s, min(start_s + AUDIO_BLOCK_S, end_s))
        if samples is not None:
            writer.add_audio(samples, start_s)
