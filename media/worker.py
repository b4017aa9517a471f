"""How does the program have a file read by another process?

`RemoteReader` asks a cell, a process that reads this one file and ends with it (`cell`). A crash, a
limit or a kill becomes a sentence with a code, and the next file gets the next cell. What a cell
answers is judged like anything from a stranger. Linux only. Imports the rest of media but `cell`.
"""

from __future__ import annotations

import atexit
import logging
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from errors import UserError, printable
from media import wire
from media.clip import sha256_of, shown_name
from media.provenance import Provenance
from media.provenance.mark import DeclaredMark
from media.tracks import FaceTrack, Quality
from media.windows import Stretch, Window, with_speech
from stop import Stop, in_words

ROOT = Path(__file__).resolve().parent.parent
LOG = logging.getLogger(__name__)
CELL = ("-m", "media.cell")  # what Python runs
ANSWER_S = 900.0  # wall-clock time of one answer; its limit of computing time is met before
LOOK_EVERY_S = 0.05  # whether the work was asked to stop
START_S = 120.0  # for the nursery, on a busy machine; two seconds are usual
KEPT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "OMP_NUM_THREADS",
)  # fmt: skip
"""Variables of the environment that a process for files may know; tokens are not among them."""
OWN = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "4", "MPLBACKEND": "agg"}
ANSWER_CPU_S = 600  # computing time of one answer on all cores; the longest decoding takes 200 s
MOST_CELLS = 8  # at the same time; further files wait
_places = threading.BoundedSemaphore(MOST_CELLS)
_lock = threading.Lock()
_held: list[Nursery] = []  # at most one
CRASHED = (
    "The file brought down the process that reads it. Nothing else was harmed; the file is damaged "
    "or was made to do harm."
)
KILLED = (
    "The process that read the file was ended from outside, most likely because this machine is "
    "short of memory. Try again."
)
NOT_STARTED = "The process that reads files could not be started on this machine."
MEMORY = "Reading the file takes more memory than one file may have here: it is damaged, or huge."


class Nursery:
    """The process that makes cells, as the program sees it. Starting it does not wait for it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._order = threading.Lock()
        self._line, theirs = socket.socketpair()
        self._line.settimeout(START_S)
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, *CELL, str(theirs.fileno())],
            cwd=ROOT, env={**kept, **OWN}, pass_fds=[theirs.fileno()], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        atexit.register(self.close)

    @cached_property
    def network_cut(self) -> bool:
        """The kernel took its network away. Waits until it is there.

        Raises:
            wire.Gone, wire.Garbled: it did not start.
        """
        cut = wire.receive(self._line).get("network_cut") is True
        if not cut:
            LOG.warning("files are read by a process that this kernel lets keep the network")
        return cut

    def cell(self) -> tuple[socket.socket, int]:
        """A new cell: the line to it and its process.

        Raises:
            wire.Gone, wire.Garbled: the nursery has ended.
        """
        ours, theirs = socket.socketpair()
        order = wire.ORDER.pack(wire.NEW, ANSWER_CPU_S)
        with self._order, theirs:
            try:
                _ = self.network_cut
                socket.send_fds(self._line, [order], [theirs.fileno()])
                return ours, wire.PID.unpack(self._line.recv(wire.PID.size))[0]
            except (OSError, struct.error) as error:
                ours.close()
                raise wire.Gone from error

    def end(self, process: int) -> int:
        """Kill a cell if it still lives; how it ended, as ``os.waitpid`` says it."""
        with self._order:
            if self._process.poll() is not None:  # its cells ended with it
                return signal.SIGKILL
            try:
                os.kill(process, signal.SIGKILL)
                self._line.sendall(wire.ORDER.pack(wire.ENDED, process))
                return wire.STATUS.unpack(self._line.recv(wire.STATUS.size))[0]
            except (OSError, struct.error):
                return signal.SIGKILL

    def lives(self) -> bool:
        """It is this process's, and has not ended."""
        return self.owner == os.getpid() and self._process.poll() is None

    def close(self) -> None:
        """End the nursery and with it all of its cells."""
        if self.owner == os.getpid():
            self._line.close()
            self._process.kill()
            self._process.wait()


def nursery() -> Nursery:
    """The nursery of this process; a new one where there is none or the last one has ended."""
    with _lock:
        if not _held or not _held[0].lives():
            _held[:] = [Nursery()]
        return _held[0]


def network_is_cut() -> bool:
    """The processes that read files have no network.

    Raises:
        UserError: ``reader_crashed`` when they cannot be started.
    """
    try:
        return nursery().network_cut
    except (wire.Gone, wire.Garbled) as error:
        raise UserError("reader_crashed", NOT_STARTED) from error


class _Line:
    """The line to a cell of its own."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        while not _places.acquire(timeout=LOOK_EVERY_S):
            stop.check()
        try:
            self._nursery, self._line, self._process = _new_cell()
        except BaseException:
            _places.release()
            raise
        self._line.settimeout(ANSWER_S)
        self._open = True

    def ask(self, do: str, **about: Any) -> dict[str, Any]:
        """One question and its answer; the cell does not survive a bad one."""
        if not self._open:
            raise ValueError("the file is closed")
        try:
            wire.send(self._line, {"do": do, **about})
            self._wait()
            answer = _printable(wire.receive(self._line))
        except wire.Gone as error:
            raise _obituary(self.close()) from error
        except wire.Garbled as error:
            self.close()
            raise UserError("reader_crashed", CRASHED) from error
        except BaseException:
            self.close()
            raise
        if "memory" in answer:
            self.close()
            raise UserError("reader_memory", MEMORY)
        if "code" in answer:
            raise UserError(str(answer["code"]), str(answer.get("sentence")))
        return answer

    def _wait(self) -> None:
        """Until the cell answers, or has ended."""
        poll, until = select.poll(), time.monotonic() + ANSWER_S
        poll.register(self._line, select.POLLIN)
        while not poll.poll(1000 * LOOK_EVERY_S):
            self._stop.check()
            if time.monotonic() > until:
                raise _limit(ANSWER_S)

    def close(self) -> int:
        """End the cell; returns how it ended, as ``os.waitpid`` says it."""
        if not self._open:
            return 0
        self._open = False
        self._line.close()
        _places.release()
        return self._nursery.end(self._process)


def _new_cell() -> tuple[Nursery, socket.socket, int]:
    for _ in range(2):  # the nursery may have been killed since the last file
        with suppress(wire.Gone, wire.Garbled):
            made = nursery()
            return made, *made.cell()
        made.close()
    raise UserError("reader_crashed", NOT_STARTED)


def _obituary(status: int) -> UserError:
    how = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if how == signal.SIGXCPU:
        return _limit(ANSWER_CPU_S)
    return UserError("reader_crashed", KILLED if how == signal.SIGKILL else CRASHED)


def _limit(seconds: float) -> UserError:
    return UserError(
        "reader_limit",
        f"A part of the file took longer than the {in_words(seconds)} that it may take to read; it "
        "is damaged, or very large.",
    )


def _printable(value: Any) -> Any:
    """All text of an answer without what a terminal would obey."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable(one) for one in value]
    if isinstance(value, dict):
        return {printable(name): _printable(one) for name, one in value.items()}
    return value


def remote_codec_of(path: str | Path) -> str:
    """As `media.reader.codec_of`, in a process of its own."""
    line = _Line(Stop())
    try:
        return str(line.ask("codec", path=str(Path(path).absolute()))["codec"])
    finally:
        line.close()


class RemoteReader:
    """A `media.reader.Reader` of a file that is read in a process of its own."""

    def __init__(self, path: str | Path, stop: Stop | None = None) -> None:
        self.path = Path(path)
        self.name = shown_name(self.path)
        self.warnings: list[str] = []
        self._sha256 = ""
        self._line = _Line(stop or Stop())
        try:
            facts = self._ask("open", path=str(self.path.absolute()))
            self.kind, self.container = str(facts["kind"]), str(facts["container"])
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
        self._line.close()

    @property
    def sha256(self) -> str:
        """Of the file, in hexadecimal digits; not what another process says of it."""
        if not self._sha256:
            self._sha256 = sha256_of(self.path)
        return self._sha256

    def frames(
        self, start_s: float = 0.0, stop_s: float = float("inf")
    ) -> Iterator[tuple[float, np.ndarray]]:
        """As `Clip.frames`; a new call ends the former one."""
        self._ask("frames", start_s=start_s, stop_s=stop_s)
        while (frame := self._ask("frame"))["image"] is not None:
            yield float(frame["time_s"]), frame["image"]

    def audio(self, start_s: float, stop_s: float) -> np.ndarray | None:
        """As `Clip.audio`."""
        return self._ask("audio", start_s=start_s, stop_s=stop_s)["audio"]

    def window(self, stretch: Stretch) -> Window:
        """As `media.windows.read_window`."""
        return with_speech(_window(self._ask("window", **vars(stretch))))

    def provenance(self) -> Provenance:
        """As `media.provenance.read_provenance`."""
        found = self._ask("provenance")
        return Provenance(
            facts=found["facts"], notes=tuple(found["notes"]),
            content_credentials=found["content_credentials"],
            marks=tuple(DeclaredMark(**mark) for mark in found["marks"]),
        )  # fmt: skip

    def _ask(self, do: str, **about: Any) -> dict[str, Any]:
        answer = self._line.ask(do, **about)
        self.warnings = answer.pop("warnings")
        return answer


def _window(message: dict[str, Any]) -> Window:
    """A window out of a message; shapes are checked by the classes themselves."""
    tracks = tuple(
        FaceTrack(**{**track, "quality": Quality(**track["quality"])})
        for track in message.pop("tracks")
    )
    return Window(**{**message, "stretch": Stretch(**message["stretch"]), "tracks": tracks})
