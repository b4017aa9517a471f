"""How is a stranger's file opened?

`open_reader` is the one door. On Linux the file is read in a process of its own (`worker`), which
has limits and no network; elsewhere in the program's own process. Either way a `Reader` answers.
Imports the rest of media.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from errors import UserError
from media.clip import Clip, images_of, open_container
from media.faces import FaceFinder
from media.identity import IdentityLinker
from media.provenance import Provenance, read_provenance
from media.sniff import MediaKind, sniff
from media.windows import Stretch, Window, decode_window, hear
from stop import Stop


class Reader(Protocol):
    """An open file. See `media.clip.Clip` for what the attributes mean; a context manager."""

    path: Path
    name: str
    kind: MediaKind
    container: str
    duration_s: float
    size_wh: tuple[int, int]
    fps: Fraction
    has_audio: bool
    bytes: int
    warnings: list[str]

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def frames(
        self, start_s: float = 0.0, stop_s: float = float("inf")
    ) -> Iterator[tuple[float, np.ndarray]]:
        """As `Clip.frames`; one stretch at a time."""
        ...

    def audio(self, start_s: float, stop_s: float) -> np.ndarray | None:
        """As `Clip.audio`."""
        ...

    def window(self, stretch: Stretch, audio_s: float = 0.0) -> Window:
        """As `media.windows.read_window`; people keep their names from window to window.

        Args:
            stretch: of the clip.
            audio_s: so many seconds around its middle are heard too (``Window.wide_audio``).
        """
        ...

    def provenance(self) -> Provenance:
        """As `media.provenance.read_provenance`."""
        ...


class LocalReader(Clip):
    """A file that is read in this process: a `Clip` that knows its people and its origin."""

    def __init__(self, path: str | Path, stop: Stop | None = None) -> None:
        super().__init__(path, stop)
        self._finder, self._people = FaceFinder(), IdentityLinker()

    def decoded_window(self, stretch: Stretch) -> Window:
        """A window without its audio."""
        return decode_window(self, stretch, self._finder, self._people)

    def window(self, stretch: Stretch, audio_s: float = 0.0) -> Window:
        """A window of the file."""
        return hear(self, self.decoded_window(stretch), audio_s)

    def provenance(self) -> Provenance:
        """What the file says about itself."""
        return read_provenance(self)

    def close(self) -> None:
        """Let go of decoded images and of networks."""
        super().close()
        self._finder.close()


def open_reader(path: str | Path, stop: Stop | None = None) -> Reader:
    """Open a stranger's file; the caller closes it.

    Args:
        path: video, image or audio.
        stop: asks the reading to end; it is heard within a tenth of a second.

    Raises:
        UserError: ``decode_failed`` when it cannot be read; ``reader_crashed``, ``reader_limit``
            and ``reader_memory`` when it brings down the process that reads it, as every method of
            the reader may; what ``stop`` says.
    """
    if sys.platform != "linux":
        return LocalReader(path, stop)
    from media.worker import RemoteReader

    return RemoteReader(path, stop)


def coding_of(path: str | Path, stop: Stop | None = None) -> tuple[MediaKind, str]:
    """What a file holds, and FFmpeg's name of its coding: (``video``, "h264").

    The coding of an image is empty, as is one without a decoder here.

    Args:
        path: as `open_reader` has it.
        stop: asks the reading to end.

    Raises:
        UserError: as `open_reader`.
    """
    if sys.platform != "linux":
        return local_coding_of(path)
    from media.worker import remote_coding_of

    return remote_coding_of(path, stop)


def local_coding_of(path: str | Path) -> tuple[MediaKind, str]:
    """As `coding_of`, in this process."""
    kind = sniff(Path(path))
    if kind.kind == MediaKind.IMAGE:
        return kind.kind, ""
    with open_container(Path(path), kind) as container:
        video = images_of(container) if kind.kind == MediaKind.VIDEO else None
        stream = video or next(iter(container.streams.audio), None)
        context = stream.codec_context if stream is not None else None  # None without a decoder
        shown = MediaKind.VIDEO if video is not None else MediaKind.AUDIO
        return shown, context.name if context is not None else ""


def prepare() -> None:
    """Start now what the first file would wait for: the process that others are copied from."""
    if sys.platform == "linux":
        from media.worker import READERS

        READERS.get()


def isolation() -> str:
    """Where files are read on this machine, as a sentence for people."""
    if sys.platform != "linux":
        return "Files are read in the program's own process: only Linux can confine one that reads."
    from media.nursery import FILES, NETWORK
    from media.worker import READERS

    try:
        without = READERS.without()
    except UserError as error:
        return error.sentence
    if without == {NETWORK, FILES}:
        return (
            "Each file is read in a process of its own, with limits, without network, and without "
            "other files."
        )
    if without == {NETWORK}:
        return (
            "Each file is read in a process of its own, with limits and without network; this "
            "kernel did not let it give up other files."
        )
    return (
        "Each file is read in a process of its own, with limits; this kernel did not let it give "
        "up the network."
    )
