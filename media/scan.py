"""When do the images and the audio of a file really begin and end?

Headers lie. So all packets are read without being decoded; of a long MP4 its table of samples is
believed where each of them lies in the file. Imports `limits`.
"""

from __future__ import annotations

from array import array
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import av
import av.container
import numpy as np

from errors import UserError
from media.limits import DAMAGE, LONGEST_S, MOST_PACKETS
from stop import Stop

DAMAGED = "The file is damaged or cut off; what could be read was analyzed."
LONG_FRAMES = 5_000  # of a file whose table is believed; reading the packets of more takes 0.5 s
LONGEST_REORDER = 32  # images by which coding may change their order; 16 is what H.264 allows
NOTHING = {
    True: "The file holds a header but no pictures: it was cut off.",
    False: "The file holds a header but no sound: it was cut off.",
}
GUESSED = ("aac", "mp3")  # no header says how long they are: FFmpeg guesses by the bit rate
USUAL_STEP_S = 0.04  # between two images, where a file has only one


@dataclass(frozen=True)
class Scan:
    """What the packets say.

    Attributes:
        origin_s: time stamp of the first image, or of the first audio of a file without images:
            the zero of the clip's clock.
        packets: number of packets of that stream.
        duration_s: from there to the end of its last packet.
        fps: average frame rate, exact; 0 without images.
        has_audio: the first audio stream has at least one packet.
        warnings: sentences about damage.
    """

    origin_s: float
    packets: int
    duration_s: float
    fps: Fraction
    has_audio: bool
    warnings: tuple[str, ...]


def scan(
    container: av.container.InputContainer,
    video: av.VideoStream | None,
    size_bytes: int,
    stop: Stop,
) -> Scan:
    """When a video stream and the first audio stream begin and end.

    Args:
        container: freshly opened.
        video: the stream of images; None for a file of audio alone.
        size_bytes: of the file.
        stop: asks the reading to end.

    Raises:
        UserError: ``decode_failed`` when there is nothing, or the time stamps span more than
            `LONGEST_S`.
    """
    clock = video if video is not None else container.streams.audio[0]
    ends = "pictures end" if video is not None else "sound ends"
    table = _table(container, video, size_bytes) if video is not None else None
    times_s, has_audio, damaged = table or _time_stamps(container, clock, stop)
    if not len(times_s):
        raise UserError("decode_failed", NOTHING[video is not None])
    steps_s = np.diff(times_s)
    step_s = float(np.median(steps_s)) if len(steps_s) else USUAL_STEP_S
    origin_s = float(times_s[0])  # of both streams; AAC's priming samples lie before it
    if video is None and times_s[-1] > 0:
        origin_s = max(origin_s, 0.0)  # players leave priming samples out, and begin at zero
    duration_s = float(times_s[-1]) - origin_s + step_s
    if duration_s > LONGEST_S:
        raise UserError(
            "decode_failed",
            f"The file's time stamps span {duration_s / 3600:,.0f} hours, and at most "
            f"{LONGEST_S / 3600:.0f} are accepted. If it is shorter, its time stamps are damaged.",
        )
    warnings = [DAMAGED] if damaged else []
    known = container.format.name not in GUESSED
    promised_s = (container.duration or 0) / av.time_base if known else 0.0
    if promised_s - duration_s > max(1.0, 0.1 * promised_s) and promised_s < 1e6:
        warnings.append(
            f"The file promises {promised_s:.1f} s but {ends} after {duration_s:.1f} s: it may be "
            "cut off."
        )
    return Scan(
        origin_s=origin_s,
        packets=len(times_s),
        duration_s=duration_s,
        fps=_frame_rate(video, len(times_s), duration_s) if video is not None else Fraction(0),
        has_audio=has_audio,
        warnings=tuple(warnings),
    )


def _table(
    container: av.container.InputContainer, video: av.VideoStream, size_bytes: int
) -> tuple[np.ndarray, bool, bool] | None:
    """As `_time_stamps`, from the table of samples of a long MP4; None where it is not believed.

    The table is in the order of decoding. Its times, moved to the first image's, are those of the
    images in order, but for a last few of a file with a changing frame rate.
    """
    entries = list(video.index_entries) if "mov" in container.format.name.split(",") else []
    if len(entries) != video.frames or not LONG_FRAMES <= len(entries) < MOST_PACKETS:
        return None  # no MP4, a fragmented one, or a short one
    whole = all(0 < e.size <= size_bytes - e.pos and not e.is_discard for e in entries)
    stamps = np.array([entry.timestamp for entry in entries], np.float64)
    first = min(_first_stamps(container, video), default=None)
    if not whole or first is None or (np.diff(stamps) <= 0).any() or video.time_base is None:
        return None
    times_s = (stamps - stamps[0] + first) * float(video.time_base)
    audio = container.streams.audio
    return times_s, bool(audio) and len(audio[0].index_entries) > 0, False


def _first_stamps(container: av.container.InputContainer, video: av.VideoStream) -> list[int]:
    """Presentation times of the first packets, in units of the stream; they are not in order."""
    with suppress(*DAMAGE):
        packets = islice(container.demux(video), LONGEST_REORDER)
        return [packet.pts for packet in packets if packet.pts is not None]
    return []


def _time_stamps(
    container: av.container.InputContainer, clock: av.VideoStream | av.AudioStream, stop: Stop
) -> tuple[np.ndarray, bool, bool]:
    """Sorted times of the packets of a stream in seconds; whether there is audio, and damage."""
    times_s, has_audio = array("d"), False
    audio = container.streams.audio[0] if container.streams.audio else None
    try:
        for packet in container.demux():
            stop.check()
            moment = packet.pts if packet.pts is not None else packet.dts
            if moment is None or packet.size == 0:
                continue
            if packet.stream is clock:
                times_s.append(float(moment * packet.time_base))
                if len(times_s) >= MOST_PACKETS:
                    return np.sort(times_s), has_audio, True
            has_audio = has_audio or packet.stream is audio
    except DAMAGE:
        return np.sort(times_s), has_audio, True
    return np.sort(times_s), has_audio, False


def _frame_rate(video: av.VideoStream, packets: int, duration_s: float) -> Fraction:
    """What the header says if the packets agree to 2 %, else what they say."""
    rate = video.average_rate
    counted = packets / max(duration_s, 1e-6)
    if rate is not None and abs(float(rate) / counted - 1) < 0.02:
        return Fraction(rate)
    return Fraction(counted).limit_denominator(1001)
