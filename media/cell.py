"""The process that opens strangers' files, and nothing else.

``python -m media.cell FD`` is the nursery: it imports what decoding needs, gives up what it does
not (`confine`), and makes one copy of itself, a cell, for each file that it is asked for. It never
touches a file itself. A cell serves one file over its own connection and ends. Neither has torch.
Linux only. Imports the rest of media but `worker`.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np

from confine import Limits, allow_cpu, confine, die_with_parent
from errors import UserError, from_bug
from media import wire
from media.provenance import Provenance
from media.reader import LocalReader, local_codec_of
from media.windows import Stretch, Window

LIMITS = Limits(memory_bytes=8_000_000_000, output_bytes=4_000_000_000)
FACTS = ("kind", "container", "duration_s", "size_wh", "has_audio", "bytes")


def main() -> None:
    """Be the nursery until the program closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the program's business
    program = socket.socket(fileno=int(sys.argv[1]))
    _preload()
    network_cut = confine(LIMITS)
    gc.freeze()  # so that collecting garbage in a cell copies no memory of the nursery
    wire.send(program, {"network_cut": network_cut})
    while True:
        order, files, _, _ = socket.recv_fds(program, wire.ORDER.size, 1)
        if len(order) < wire.ORDER.size:
            return
        what, number = wire.ORDER.unpack(order)
        if what == wire.ENDED:
            program.sendall(wire.STATUS.pack(os.waitpid(number, 0)[1]))
            continue
        child = os.fork()
        if child == 0:
            program.close()
            _live(socket.socket(fileno=files[0]), number)
        os.close(files[0])
        program.sendall(wire.PID.pack(child))


def _preload() -> None:
    """Everything that a cell would import, so that it is there from its first moment."""
    for name in ("c2pa", "mediapipe.tasks.python.vision", "scipy.signal"):
        import_module(name)


def _live(program: socket.socket, cpu_s: int) -> None:
    """Be a cell: answer until the program has no more questions."""
    code = 1
    try:
        die_with_parent()
        cell = Cell()
        while True:
            allow_cpu(cpu_s)
            answer = cell.answer(wire.receive(program))
            try:
                wire.send(program, answer)
            except MemoryError:
                wire.send(program, {"memory": True})
    except wire.Gone:
        code = 0
    finally:
        os._exit(code)  # nothing of the nursery is tidied up here


class Cell:
    """Answers questions about one file. Each is a message with ``do`` and its arguments."""

    def __init__(self) -> None:
        self._reader: LocalReader | None = None
        self._frames: Iterator[tuple[float, np.ndarray]] = iter(())
        self._answers: dict[str, Callable[..., dict[str, Any]]] = {
            "codec": self._codec, "open": self._open, "frames": self._begin_frames,
            "frame": self._frame, "audio": self._audio, "window": self._window,
            "provenance": self._provenance,
        }  # fmt: skip

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """What is known, or a sentence with its code, or that there was not enough memory."""
        try:
            answered = self._answers[question.pop("do")](**question)
        except UserError as error:
            return {"code": error.code, "sentence": error.sentence}
        except MemoryError:
            return {"memory": True}
        except Exception as error:  # our own mistake: told as such, and the program goes on
            told = from_bug(error)
            return {"code": told.code, "sentence": told.sentence}
        warnings = list(self._reader.warnings) if self._reader else []
        return {**answered, "warnings": warnings}

    def _clip(self) -> LocalReader:
        if self._reader is None:
            raise ValueError("no file is open")
        return self._reader

    def _codec(self, path: str) -> dict[str, Any]:
        return {"codec": local_codec_of(path)}

    def _open(self, path: str) -> dict[str, Any]:
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
        return {"audio": self._clip().audio(start_s, stop_s)}

    def _window(self, start_s: float, stop_s: float) -> dict[str, Any]:
        return packed(self._clip().decoded_window(Stretch(start_s, stop_s)))

    def _provenance(self) -> dict[str, Any]:
        found: Provenance = self._clip().provenance()
        return {**vars(found), "facts": dict(found.facts), "marks": [vars(m) for m in found.marks]}


def packed(window: Window) -> dict[str, Any]:
    """A window as a message."""
    tracks = [{**vars(track), "quality": vars(track.quality)} for track in window.tracks]
    return {**vars(window), "stretch": vars(window.stretch), "tracks": tracks}


if __name__ == "__main__":
    main()
