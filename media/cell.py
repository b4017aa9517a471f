"""The process that opens strangers' files, and nothing else; it has no torch.

``python -m media.cell FD`` is a nursery (`nursery`) of cells that serve one file each. Linux only.
Imports the rest of media but `worker`.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from confine import Limits, read_only
from media.nursery import raise_cells
from media.provenance import Provenance
from media.reader import LocalReader, local_coding_of
from media.windows import Stretch, Window
from threads import set_threads

LIMITS = Limits(memory_bytes=8_000_000_000, output_bytes=4_000_000_000)
FACTS = ("kind", "container", "duration_s", "size_wh", "has_audio", "bytes")
NEEDED = ("c2pa", "pywt", "scipy.fft", "mediapipe.tasks.python.vision")


def main() -> None:
    """Be the nursery until the program closes the connection."""
    set_threads()
    mimetypes.init()  # c2pa asks it, and its files lie all over a machine
    raise_cells(NEEDED, LIMITS, lambda: Cell().answer)


class Cell:
    """Answers questions about one file. Each is a message with ``do`` and its arguments."""

    def __init__(self) -> None:
        self._reader: LocalReader | None = None
        self._frames: Iterator[tuple[float, np.ndarray]] = iter(())
        self._answers: dict[str, Callable[..., dict[str, Any]]] = {
            "coding": self._coding, "open": self._open, "frames": self._begin_frames,
            "frame": self._frame, "audio": self._audio, "window": self._window,
            "provenance": self._provenance,
        }  # fmt: skip

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """What is known, with the warnings of the file so far."""
        answered = self._answers[question.pop("do")](**question)
        warnings = list(self._reader.warnings) if self._reader else []
        return {**answered, "warnings": warnings}

    def _clip(self) -> LocalReader:
        if self._reader is None:
            raise ValueError("no file is open")
        return self._reader

    def _coding(self, path: str) -> dict[str, Any]:
        read_only(Path(path))
        kind, codec = local_coding_of(path)
        return {"kind": kind, "codec": codec}

    def _open(self, path: str) -> dict[str, Any]:
        read_only(Path(path))
        self._reader = LocalReader(path)
        facts = {name: getattr(self._reader, name) for name in FACTS}
        return {**facts, "fps": [self._reader.fps.numerator, self._reader.fps.denominator]}

    def _begin_frames(self, start_s: float, stop_s: float) -> dict[str, Any]:
        self._frames = self._clip().frames(start_s, stop_s)
        return {}

    def _frame(self) -> dict[str, Any]:
        time_s, image = next(self._frames, (None, None))
        return {"time_s": time_s, "image": image}

    def _audio(self, start_s: float, stop_s: float) -> dict[str, Any]:
        samples, rate_hz = self._clip().own_audio(start_s, stop_s) or (None, 0)
        return {"samples": samples, "rate_hz": rate_hz}

    def _window(self, start_s: float, stop_s: float) -> dict[str, Any]:
        return packed(self._clip().decoded_window(Stretch(start_s, stop_s)))

    def _provenance(self) -> dict[str, Any]:
        result: Provenance = self._clip().provenance()
        return {
            **vars(result),
            "facts": dict(result.facts),
            "marks": [vars(m) for m in result.marks],
        }


def packed(window: Window) -> dict[str, Any]:
    """A window as a message."""
    tracks = [{**vars(track), "quality": vars(track.quality)} for track in window.tracks]
    return {**vars(window), "stretch": vars(window.stretch), "tracks": tracks}


if __name__ == "__main__":
    main()
