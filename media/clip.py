"""What is in the file: images, audio, or both on one clock.

A `Clip` is opened once and read in stretches. Time stamps of both streams come from the container,
and one common start is subtracted from both; so an offset between audio and images, which the
sync detector must see, survives. Imports `audio`,
`image`, `limits`, `scan` and `sniff`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.container
import av.error
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from errors import UserError
from media.audio import MonoMixer, put, resampled
from media.image import PAGE_S, letterboxed, read_image, too_large
from media.limits import (
    AUDIO_RATES_HZ,
    DAMAGE,
    LONGEST_SIDE_PX,
    MOST_DECODED_PIXELS,
    MOST_FRAME_PIXELS,
    MOST_HZ,
)
from media.rates import AUDIO_HZ, MOTION_HZ
from media.scan import DAMAGED, scan
from media.sniff import FileKind, MediaKind, sniff
from stop import Stop
from threads import threads

SEEK_MARGIN_S = 1.0  # containers seek to a key frame near the wish, not always before it
MOST_THREADS = 16  # of FFmpeg, which takes no more by itself; each holds frames of its own
USUAL_RATE_HZ = 48_000
ODDEST_RATIO = 4_000  # denominator of rate / 16 kHz; 44.1 kHz has 441, 384 kHz 24
SOME_DAMAGED = "Some of the data is damaged; those moments were left out."
AUDIO_GAP_S = 0.04  # time stamps that jump by more than this are a real gap in the audio


def open_container(path: Path, kind: FileKind) -> av.container.InputContainer:
    """A stranger's video or audio in the format that `sniff` found; the caller closes it.

    Raises:
        UserError: ``decode_failed`` when it cannot be opened.
    """
    try:
        # a file object, not a name: FFmpeg cannot follow references to other files
        return av.open(path.open("rb"), mode="r", format=kind.ffmpeg_format)
    except DAMAGE as error:
        detail = (
            "its index is missing, as when a recording or download broke off"
            if kind.ffmpeg_format == "mov"
            else "it is damaged or cut off"
        )
        raise UserError(
            "decode_failed", f"The {kind.name} file could not be opened: {detail}."
        ) from error


def images_of(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first stream of moving images; an image of the cover is none."""
    moving = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
    return next(moving, None)


class Clip:
    """A video, an image or audio, opened for reading. Use as a context manager.

    Args:
        path: the file.
        stop: asks the reading to end; it is heard between packets.

    Attributes:
        name: file name without its folder.
        kind: ``video``, ``image`` or ``audio``.
        container: for people, e.g. "MP4 / QuickTime".
        duration_s: length by the time stamps that are really there; 0 for an image.
        size_wh: width and height of the upright image, square pixels; (0, 0) for audio.
        fps: average frame rate, exact (30000/1001, not 30); 0 for an image and for audio.
        has_audio: there is an audio stream with at least one packet.
        warnings: sentences about damage and oddities, grows while reading.
    """

    def __init__(self, path: str | Path, stop: Stop | None = None) -> None:
        self.path = Path(path)
        self._stop = stop or Stop()
        self.name = shown_name(self.path)
        self.warnings: list[str] = []
        file_kind = sniff(self.path)
        if self.path.suffix and self.path.suffix.lower() not in file_kind.suffixes:
            self.warn(f"The file is called “{self.path.suffix}” but is {file_kind.name}.")
        self.container = file_kind.name
        self.bytes = self.path.stat().st_size
        self._images: list[tuple[float, np.ndarray]] = []
        self._reformatter = VideoReformatter()
        self.size_wh = (0, 0)  # until the first image is there
        if file_kind.kind == MediaKind.IMAGE:
            self._open_image()
        else:
            self._open_streams(file_kind)

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
            Damaged packets are left out with a warning. Nothing for audio.
        """
        if self.kind == MediaKind.AUDIO:
            return
        if self._images:
            for time_s, image in self._images:
                self._stop.check()
                if start_s <= time_s < stop_s:
                    yield time_s, image
            return
        last, left = -np.inf, MOST_DECODED_PIXELS
        for time_s, frame in self._decoded_from(start_s):
            left -= frame.width * frame.height
            if left < 0:
                self.warn("The video is too large to be decoded in full; a part was left out.")
            if time_s >= stop_s or left < 0:
                return
            if time_s < start_s - 1e-6 or time_s - last < 1 / MOST_HZ - 1e-3:
                continue
            try:
                upright = self._upright(frame)
            except DAMAGE:
                self.warn(SOME_DAMAGED)
                continue
            last = time_s
            yield time_s, upright

    def audio(self, start_s: float, stop_s: float) -> np.ndarray | None:
        """Decode the audio of a stretch of time.

        Returns:
            (n,) float32, -1..1, 16 kHz mono, first sample at ``start_s`` on the clip's clock;
            silence where the file has none. None when the clip has no audio.
        """
        return resampled(self.own_audio(start_s, stop_s))

    def own_audio(self, start_s: float, stop_s: float) -> tuple[np.ndarray, int] | None:
        """As `audio`, with the stream's own rate in Hz, at which the samples are left."""
        if not self.has_audio:
            return None
        with self.opened() as container:
            stream = container.streams.audio[0]
            rate = _working_rate(stream.codec_context.sample_rate)
            mixer = MonoMixer(rate)
            speech = np.zeros(round((stop_s - start_s) * rate), dtype=np.float32)
            self._seek(container, stream, start_s - SEEK_MARGIN_S)
            expected = -1
            for frame in self._decode(container, stream):
                if frame.time is None:
                    continue
                at = round((frame.time - self._origin_s - start_s) * rate)
                # neighboring frames join without a seam; only a real gap moves the position
                position = (
                    expected if abs(at - expected) < AUDIO_GAP_S * rate and expected >= 0 else at
                )
                if position >= len(speech):
                    break
                try:
                    samples = mixer.mix(frame)
                except DAMAGE:
                    self.warn(SOME_DAMAGED)
                    continue
                put(speech, samples, position)
                expected = position + len(samples)
        return speech, rate

    # ------------------------------------------------------------------ opening

    def _open_image(self) -> None:
        self._images, warnings = read_image(self.path, self.container)
        for sentence in warnings:
            self.warn(sentence)
        self.kind, self.has_audio = MediaKind.IMAGE, False
        self.duration_s, self.fps = 0.0, Fraction(0)
        self.size_wh = (self._images[0][1].shape[1], self._images[0][1].shape[0])
        if len(self._images) > 1:
            self.kind = MediaKind.VIDEO
            self.duration_s = self._images[-1][0] + PAGE_S
            self.fps = Fraction(len(self._images) / self.duration_s).limit_denominator(1001)

    def _open_streams(self, file_kind: FileKind) -> None:
        self._kind = file_kind
        with self.opened() as container:
            video = images_of(container) if file_kind.kind == MediaKind.VIDEO else None
            self._can_hear = bool(container.streams.audio) and _can_hear(container.streams.audio[0])
            self.kind = MediaKind.AUDIO if video is None else MediaKind.VIDEO
            self._check_audio(container) if video is None else self._check_video(video)
            result = scan(container, video, self.bytes, self._stop)
            if container.streams.audio and not self._can_hear:
                self.warn("The sound is in a coding that cannot be decoded here; it was left out.")
        self._origin_s, self.duration_s, self.fps = result.origin_s, result.duration_s, result.fps
        self.has_audio = result.has_audio and self._can_hear
        for sentence in result.warnings:
            self.warn(sentence)
        if self.kind == MediaKind.AUDIO:
            self._try_audio()
        else:
            self._try_video(result.packets)

    def _try_audio(self) -> None:
        with self.opened() as container:
            if next(self._decode(container, container.streams.audio[0]), None) is None:
                raise UserError(
                    "decode_failed",
                    "No sound in the file could be decoded: the audio data is damaged.",
                )

    def _try_video(self, packets: int) -> None:
        first = next((image for _, image in self.frames()), None)
        if first is None:
            raise UserError(
                "decode_failed",
                "No picture in the file could be decoded: the video data is damaged.",
            )
        if self._kind.ffmpeg_format == "gif" and packets == 1:
            self.kind, self.duration_s, self.fps = MediaKind.IMAGE, 0.0, Fraction(0)
            self._images = [(0.0, first)]

    def _check_audio(self, container: av.container.InputContainer) -> None:
        """There is audio that can be decoded."""
        if not container.streams.audio:
            raise UserError("decode_failed", "The file holds neither pictures nor sound.")
        if not self._can_hear:
            raise UserError(
                "decode_failed",
                "The sound is in a coding that cannot be decoded here. Convert the file to WAV or "
                "MP3 first.",
            )

    def _check_video(self, video: av.VideoStream) -> None:
        """There are images that can be decoded."""
        if video.codec_context is None:
            raise UserError(
                "decode_failed",
                "The pictures are in a coding that cannot be decoded here. Convert the file to "
                "MP4 (H.264) first.",
            )
        if video.codec_context.width * video.codec_context.height > MOST_FRAME_PIXELS:
            raise UserError("decode_failed", too_large(MOST_FRAME_PIXELS))
        self._aspect = _sane_aspect(video.sample_aspect_ratio)

    # ------------------------------------------------------------------ decoding

    def opened(self) -> av.container.InputContainer:
        """The container, freshly opened in its known format; the caller closes it."""
        return open_container(self.path, self._kind)

    def _seek(self, container: av.container.InputContainer, stream, to_s: float) -> None:
        if to_s <= 0:
            return
        try:
            container.seek(int((to_s + self._origin_s) / stream.time_base), stream=stream)
        except DAMAGE:
            with suppress(*DAMAGE):
                container.seek(0)

    def _decoded_from(self, start_s: float) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames with their times from a moment at or before ``start_s`` on."""
        for margin in (SEEK_MARGIN_S, float("inf")):
            with self.opened() as container:
                stream = images_of(container)
                if stream is None:  # the file has changed under our hands
                    return
                stream.thread_type = "AUTO"
                stream.thread_count = min(threads(), MOST_THREADS)
                stream.codec_context.options = {"max_pixels": str(MOST_FRAME_PIXELS)}
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
                time_s = 0.0 if last is None else last + 1 / float(self.fps or MOTION_HZ)
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
            except DAMAGE:
                self.warn(DAMAGED)
                return
            try:
                decoded = packet.decode()
            except DAMAGE:
                self.warn(SOME_DAMAGED)
                continue
            yield from decoded

    def _upright(self, frame: av.VideoFrame) -> np.ndarray:
        """(h, w, 3) uint8 RGB: square pixels, turned as the container says, of the clip's size."""
        width = max(1, round(frame.width * self._aspect))
        scale = min(1.0, LONGEST_SIDE_PX / max(width, frame.height))
        image = self._reformatter.reformat(
            frame,
            max(1, round(width * scale)),
            max(1, round(frame.height * scale)),
            "rgb24",
            interpolation="AREA" if scale < 1 else "BICUBIC",
            threads=1,
        ).to_ndarray()
        turned = np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))
        if self.size_wh == (0, 0):
            self.size_wh = (turned.shape[1], turned.shape[0])
        if turned.shape[1::-1] != self.size_wh:
            self.warn("The size of the pictures changes; all were brought to the first one's.")
            return letterboxed(turned, self.size_wh)
        return turned


def _sane_aspect(aspect: Fraction | None) -> float:
    value = float(aspect) if aspect else 1.0
    return value if 0.2 < value < 5 else 1.0


def _working_rate(rate_hz: int) -> int:
    """The stream's own rate, unless its ratio to 16 kHz is too odd to be resampled exactly."""
    return rate_hz if rate_hz // np.gcd(AUDIO_HZ, rate_hz) <= ODDEST_RATIO else USUAL_RATE_HZ


def _can_hear(stream: av.AudioStream) -> bool:
    """There is a decoder, and the header claims a sane number of samples a second."""
    lowest, highest = AUDIO_RATES_HZ
    context = stream.codec_context
    return context is not None and lowest <= (context.sample_rate or 0) <= highest


def shown_name(path: Path) -> str:
    """A file's name as text, which it need not be: halves of characters would end every report."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
