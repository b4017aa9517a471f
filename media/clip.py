"""What is in the file: images and audio on one clock.

A `Clip` is opened once and read in stretches. Time stamps of both streams come from the container,
and one common start is subtracted from both; so an offset between audio and images, which the
sync detector must see, survives. Imports `image`,
`sniff` and `audio`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.container
import av.error
import numpy as np
from scipy.signal import resample_poly

from errors import UserError
from media.audio import AUDIO_HZ, MonoMixer, put
from media.image import LONGEST_SIDE_PX, MOST_HZ, MOST_PIXELS, PAGE_S, read_image, too_large
from media.sniff import FileKind, sniff
from stop import Stop

SEEK_MARGIN_S = 1.0  # containers seek to a key frame near the wish, not always before it
AUDIO_GAP_S = 0.04  # time stamps that jump by more than this are a real gap in the audio


class Clip:
    """A video or an image, opened for reading. Use as a context manager.

    Args:
        path: the file.
        stop: asks the reading to end; it is heard between packets.

    Attributes:
        name: file name without its folder.
        kind: ``video`` or ``picture``.
        container: for people, e.g. "MP4 / QuickTime".
        duration_s: length by the time stamps that are really there; 0 for an image.
        size_wh: width and height of the upright image, square pixels.
        fps: average frame rate, exact (30000/1001, not 30); 0 for an image.
        has_audio: there is an audio stream with at least one packet.
        sha256: of the file.
        warnings: sentences about damage and oddities, grows while reading.
    """

    def __init__(self, path: str | Path, stop: Stop | None = None) -> None:
        self.path = Path(path)
        self._stop = stop or Stop()
        self.name = self.path.name
        self.warnings: list[str] = []
        file_kind = sniff(self.path)
        if self.path.suffix and self.path.suffix.lower() not in file_kind.suffixes:
            self.warn(f"The file is called “{self.path.suffix}” but is {file_kind.name}.")
        self.container = file_kind.name
        self.sha256 = _sha256(self.path)
        self.bytes = self.path.stat().st_size
        self._images: list[tuple[float, np.ndarray]] = []
        if file_kind.kind == "picture":
            self._open_image()
        else:
            self._open_video(file_kind)

    def __enter__(self) -> Clip:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of decoded images."""
        self._images = []

    @property
    def paged(self) -> bool:
        """Its images are pages that Pillow read, still or moving; FFmpeg reads all else."""
        return bool(self._images)

    def warn(self, sentence: str) -> None:
        """Add a sentence for the user, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    # ------------------------------------------------------------------ reading

    def frames(
        self, start_s: float = 0.0, stop_s: float = float("inf")
    ) -> Iterator[tuple[float, np.ndarray]]:
        """Decode the images of a stretch of time.

        Args:
            start_s: first moment wanted, on the clip's clock.
            stop_s: first moment no longer wanted.

        Yields:
            (time_s, (h, w, 3) uint8 RGB), upright, square pixels, at most `MOST_HZ` a second.
            Damaged packets are left out with a warning.
        """
        if self._images:
            for time_s, image in self._images:
                self._stop.check()
                if start_s <= time_s < stop_s:
                    yield time_s, image
            return
        last = -np.inf
        for time_s, frame in self._decoded_from(start_s):
            if time_s >= stop_s:
                return
            if time_s < start_s - 1e-6 or time_s - last < 1 / MOST_HZ - 1e-3:
                continue
            last = time_s
            yield time_s, self._upright(frame)

    def audio(self, start_s: float, stop_s: float) -> np.ndarray | None:
        """Decode the audio of a stretch of time.

        Returns:
            (n,) float32, -1..1, 16 kHz mono, first sample at ``start_s`` on the clip's clock;
            silence where the file has none. None when the clip has no audio.
        """
        if not self.has_audio:
            return None
        with self.opened() as container:
            stream = container.streams.audio[0]
            rate = int(stream.codec_context.sample_rate or 48_000)
            mixer = MonoMixer(rate)
            heard = np.zeros(round((stop_s - start_s) * rate), dtype=np.float32)
            self._seek(container, stream, start_s - SEEK_MARGIN_S)
            expected = -1
            for frame in self._decode(container, stream):
                if frame.time is None:
                    continue
                at = round((frame.time - self._origin_s - start_s) * rate)
                # neighbouring frames join without a seam; only a real gap moves the position
                position = (
                    expected if abs(at - expected) < AUDIO_GAP_S * rate and expected >= 0 else at
                )
                if position >= len(heard):
                    break
                samples = mixer.mix(frame)
                put(heard, samples, position)
                expected = position + len(samples)
        divisor = np.gcd(AUDIO_HZ, rate)
        return resample_poly(heard, AUDIO_HZ // divisor, rate // divisor).astype(np.float32)

    # ------------------------------------------------------------------ opening

    def _open_image(self) -> None:
        self._images, warnings = read_image(self.path, self.container)
        for sentence in warnings:
            self.warn(sentence)
        self.kind, self.duration_s, self.fps, self.has_audio = "picture", 0.0, Fraction(0), False
        self.size_wh = (self._images[0][1].shape[1], self._images[0][1].shape[0])
        if len(self._images) > 1:
            self.kind = "video"
            self.duration_s = self._images[-1][0] + PAGE_S
            self.fps = Fraction(len(self._images) / self.duration_s).limit_denominator(1001)

    def _open_video(self, file_kind: FileKind) -> None:
        self.kind, self._format = "video", file_kind.ffmpeg_format
        with self.opened() as container:
            if not container.streams.video:
                raise UserError("decode_failed", "The file holds no pictures, only sound or data.")
            stream = container.streams.video[0]
            width, height = stream.codec_context.width, stream.codec_context.height
            if width * height > MOST_PIXELS:
                raise UserError("decode_failed", too_large())
            self._aspect = _sane_aspect(stream.sample_aspect_ratio)
            self._scan(container)
        first = next(iter(self._decoded_from(0.0)), None)
        if first is None:
            raise UserError(
                "decode_failed",
                "No picture in the file could be decoded: the video data is damaged.",
            )
        upright = self._upright(first[1])
        self.size_wh = (upright.shape[1], upright.shape[0])
        if self._format == "gif" and self._packets == 1:
            self.kind, self.duration_s, self.fps = "picture", 0.0, Fraction(0)
            self._images = [(0.0, upright)]

    def _scan(self, container: av.container.InputContainer) -> None:
        """Read all packets without decoding: true start, length and rate; headers lie."""
        starts: dict[str, float] = {}
        times: list[float] = []
        try:
            for packet in container.demux():
                self._stop.check()
                moment = packet.pts if packet.pts is not None else packet.dts
                kind = packet.stream.type
                if moment is None or packet.size == 0 or kind not in ("video", "audio"):
                    continue
                if packet.stream is not container.streams.get(**{kind: 0})[0]:
                    continue
                seconds = float(moment * packet.time_base)
                starts[kind] = min(starts.get(kind, seconds), seconds)
                if kind == "video":
                    times.append(seconds)
        except (av.error.FFmpegError, OSError):
            self.warn("The file is damaged or cut off; what could be read was analysed.")
        if not times:
            raise UserError(
                "decode_failed", "The file holds a header but no pictures: it was cut off."
            )
        times.sort()
        # zero is the first image, for both streams; AAC's priming samples lie before it
        self._origin_s = starts["video"]
        self._packets = len(times)
        steps = np.diff(times)
        step = float(np.median(steps)) if len(steps) else 0.04
        self.duration_s = times[-1] + step - self._origin_s
        rate = container.streams.video[0].average_rate
        counted = len(times) / max(times[-1] - times[0] + step, 1e-6)
        if rate is not None and abs(float(rate) / counted - 1) < 0.02:
            self.fps = Fraction(rate)
        else:
            self.fps = Fraction(counted).limit_denominator(1001)
        self.has_audio = "audio" in starts
        promised = (container.duration or 0) / av.time_base
        if promised - self.duration_s > max(1.0, 0.1 * promised) and promised < 1e6:
            self.warn(
                f"The file promises {promised:.1f} s but pictures end after "
                f"{self.duration_s:.1f} s: it may be cut off."
            )

    # ------------------------------------------------------------------ decoding

    def opened(self) -> av.container.InputContainer:
        """The container, freshly opened in its known format; the caller closes it."""
        try:
            # a file object, not a name: FFmpeg cannot follow references to other files
            return av.open(self.path.open("rb"), mode="r", format=self._format)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            detail = (
                "its index is missing, as when a recording or download broke off"
                if self._format == "mov"
                else "it is damaged or cut off"
            )
            raise UserError(
                "decode_failed", f"The {self.container} file could not be opened: {detail}."
            ) from error

    def _seek(self, container: av.container.InputContainer, stream, to_s: float) -> None:
        if to_s <= 0:
            return
        try:
            container.seek(int((to_s + self._origin_s) / stream.time_base), stream=stream)
        except av.error.FFmpegError:
            container.seek(0)

    def _decoded_from(self, start_s: float) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames with their times from a moment at or before ``start_s`` on."""
        for margin in (SEEK_MARGIN_S, float("inf")):
            with self.opened() as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                self._seek(container, stream, start_s - margin)
                frames = self._timed(self._decode(container, stream))
                first = next(frames, None)
                late = first is None or first[0] > start_s + 0.5
                if late and start_s > margin:
                    continue  # the seek went too far: read from the beginning
                if first is not None:
                    yield first
                    yield from frames
                return

    def _timed(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[float, av.VideoFrame]]:
        """Pair frames with times on the clip's clock; a missing stamp continues the last one."""
        last = None
        for frame in frames:
            if frame.time is not None:
                time_s = frame.time - self._origin_s
            else:
                time_s = 0.0 if last is None else last + 1 / float(self.fps or 25)
            last = time_s
            yield time_s, frame

    def _decode(self, container: av.container.InputContainer, stream) -> Iterator:
        """Decode packet by packet, so that one damaged packet costs one packet."""
        packets = container.demux(stream)
        while True:
            self._stop.check()
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError):
                self.warn("The file is damaged or cut off; what could be read was analysed.")
                return
            try:
                yield from packet.decode()
            except av.error.FFmpegError:
                self.warn("Some of the data is damaged; those moments were left out.")

    def _upright(self, frame: av.VideoFrame) -> np.ndarray:
        """(h, w, 3) uint8 RGB: square pixels, rotation of the container applied."""
        width = round(frame.width * self._aspect)
        scale = min(1.0, LONGEST_SIDE_PX / max(width, frame.height))
        image = frame.to_ndarray(
            format="rgb24",
            width=max(1, round(width * scale)),
            height=max(1, round(frame.height * scale)),
            interpolation="AREA" if scale < 1 else "BICUBIC",
        )
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))


def _sane_aspect(aspect: Fraction | None) -> float:
    value = float(aspect) if aspect else 1.0
    return value if 0.2 < value < 5 else 1.0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
