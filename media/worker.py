"""How does the program have a file read by another process?

`RemoteReader` asks a cell, a process that reads this one file and ends with it (`cell`). Linux
only. Imports the rest of media but `cell`.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np

from media.audio import resampled
from media.clip import shown_name
from media.nursery import Line, Nurseries
from media.provenance import Provenance
from media.provenance.mark import DeclaredMark
from media.sniff import MediaKind
from media.tracks import FaceTrack, Quality
from media.windows import Stretch, Window, hear
from stop import Stop

READERS = Nurseries("-m", "media.cell")


def remote_coding_of(path: str | Path, stop: Stop | None = None) -> tuple[MediaKind, str]:
    """As `media.reader.coding_of`, in a process of its own."""
    line = Line(READERS, stop or Stop())
    try:
        answer = line.ask("coding", path=str(Path(path).absolute()))
        return MediaKind(answer["kind"]), str(answer["codec"])
    finally:
        line.close()


class RemoteReader:
    """A `media.reader.Reader` of a file that is read in a process of its own."""

    def __init__(self, path: str | Path, stop: Stop | None = None) -> None:
        self.path = Path(path)
        self.name = shown_name(self.path)
        self.warnings: list[str] = []
        self.line = Line(READERS, stop or Stop())
        try:
            facts = self._ask("open", path=str(self.path.absolute()))
            self.kind, self.container = MediaKind(facts["kind"]), str(facts["container"])
            self.duration_s, self.fps = float(facts["duration_s"]), Fraction(*facts["fps"])
            width, height = facts["size_wh"]
            self.size_wh = (int(width), int(height))
            self.has_audio, self.bytes = bool(facts["has_audio"]), int(facts["bytes"])
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process that reads the file."""
        self.line.close()

    def frames(
        self, start_s: float = 0.0, stop_s: float = float("inf")
    ) -> Iterator[tuple[float, np.ndarray]]:
        """As `Clip.frames`; a new call ends the former one."""
        self._ask("frames", start_s=start_s, stop_s=stop_s)
        while (frame := self._ask("frame"))["image"] is not None:
            yield float(frame["time_s"]), frame["image"]

    def audio(self, start_s: float, stop_s: float) -> np.ndarray | None:
        """As `Clip.audio`."""
        speech = self._ask("audio", start_s=start_s, stop_s=stop_s)
        samples = speech["samples"]
        return resampled(None if samples is None else (samples, int(speech["rate_hz"])))

    def window(self, stretch: Stretch, audio_s: float = 0.0) -> Window:
        """As `media.reader.Reader.window`."""
        return hear(self, _window(self._ask("window", **vars(stretch))), audio_s)

    def provenance(self) -> Provenance:
        """As `media.provenance.read_provenance`."""
        result = self._ask("provenance")
        return Provenance(
            facts=result["facts"], notes=tuple(result["notes"]),
            content_credentials=result["content_credentials"],
            marks=tuple(DeclaredMark(**mark) for mark in result["marks"]),
        )  # fmt: skip

    def _ask(self, do: str, **about: Any) -> dict[str, Any]:
        answer = self.line.ask(do, **about)
        self.warnings = answer.pop("warnings")
        return answer


def _window(message: dict[str, Any]) -> Window:
    """A window out of a message; shapes are checked by the classes themselves."""
    tracks = tuple(
        FaceTrack(**{**track, "quality": Quality(**track["quality"])})
        for track in message.pop("tracks")
    )
    stretch, kind = Stretch(**message["stretch"]), MediaKind(message["kind"])
    return Window(**{**message, "stretch": stretch, "kind": kind, "tracks": tracks})
