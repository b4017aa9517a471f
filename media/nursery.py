"""How does the program have a stranger's file handled by a process that may come to grief?

A nursery is a process that imports what is needed, gives up what is not (`confine`), and never
touches a file: it makes a copy of itself, a cell, for each one. `Line` asks a cell; a crash, a
limit or a kill becomes a sentence with a code. What a cell answers is judged like anything from a
stranger. `raise_cells` is the other side. Linux only. Imports `wire`.
"""

from __future__ import annotations

import atexit
import gc
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
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from confine import (
    Limits,
    allow_cpu,
    confine,
    die_with_parent,
    landlock_version,
    stand_alone,
)
from errors import UserError, from_bug, printable
from media import wire
from stop import Stop, in_words, left_alone
from threads import VARIABLES

ROOT = Path(__file__).resolve().parent.parent
LOG = logging.getLogger(__name__)
ANSWER_S = 900.0  # wall-clock time of one answer; its limit of computing time is met before
ANSWER_CPU_S = 600  # computing time of one answer on all cores; the longest decoding takes 200 s
LOOK_EVERY_S = 0.05  # whether the work was asked to stop
START_S = 120.0  # for a nursery, on a busy machine; two seconds are usual
NETWORK, FILES = "the network", "other files"  # what a cell gives up where the kernel allows it
MOST_CELLS = 8  # at the same time; further files wait
PASSED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", *VARIABLES,
)  # fmt: skip
"""Variables of the environment that a process for files may know; tokens are not among them."""
SET = {
    "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "4", "MPLBACKEND": "agg",
    "CUDA_VISIBLE_DEVICES": "",
}  # fmt: skip
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
Answerer = Callable[[dict[str, Any]], dict[str, Any]]
_places = threading.BoundedSemaphore(MOST_CELLS)


# ---------------------------------------------------------------- the program's side


class Nursery:
    """The process that makes cells, as the program sees it. Starting it does not wait for it.

    Args:
        program: what Python runs: a module that calls `raise_cells`.
    """

    def __init__(self, *program: str) -> None:
        self.owner = os.getpid()
        self._order = threading.Lock()
        self._said: dict[str, Any] | None = None
        self._line, theirs = socket.socketpair()
        self._line.settimeout(START_S)
        selected = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, *program, str(theirs.fileno())],
            cwd=ROOT, env={**selected, **SET}, pass_fds=[theirs.fileno()], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        atexit.register(self.close)

    def without(self) -> frozenset[str]:
        """What the kernel took away from its cells: `NETWORK`, `FILES`. Waits until it is there.

        Raises:
            wire.Gone, wire.Garbled: it did not start.
        """
        with self._order:
            return self._ready()

    def _ready(self) -> frozenset[str]:
        """What it said when it was there; called under the lock."""
        if self._said is None:
            self._said = wire.receive(self._line)
            for what in (NETWORK, FILES):
                if not self._said.get(what):
                    LOG.warning("files are read by a process that this kernel lets keep %s", what)
        return frozenset(what for what in (NETWORK, FILES) if self._said.get(what) is True)

    def cell(self) -> tuple[socket.socket, int]:
        """A new cell: the line to it and its process.

        Raises:
            wire.Gone, wire.Garbled: the nursery has ended.
        """
        ours, theirs = socket.socketpair()
        order = wire.ORDER.pack(wire.NEW, ANSWER_CPU_S)
        with self._order, theirs:
            try:
                self._ready()
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
        atexit.unregister(self.close)
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()
            self._line.close()  # last: who waits for it to start sees its end


class Nurseries:
    """Keeps one nursery, and starts a new one where the last one has ended.

    Args:
        program: what Python runs.
    """

    def __init__(self, *program: str) -> None:
        self._program = program
        self._lock = threading.Lock()
        self._held: Nursery | None = None

    def get(self) -> Nursery:
        """The nursery of this process; does not wait until it is ready."""
        with self._lock:
            if self._held is None or not self._held.lives():
                self._held = Nursery(*self._program)
            return self._held

    def without(self) -> frozenset[str]:
        """What its cells do not have: `NETWORK`, `FILES`.

        Raises:
            UserError: ``reader_crashed`` when it cannot be started.
        """
        try:
            return self.get().without()
        except (wire.Gone, wire.Garbled) as error:
            raise UserError("reader_crashed", NOT_STARTED) from error

    def close(self) -> None:
        """End the nursery, if there is one."""
        with self._lock:
            held, self._held = self._held, None
        if held is not None:
            held.close()


class Line:
    """The line to a cell of its own.

    Args:
        nurseries: where cells are made.
        stop: asks the cell to end; it is heard within a twentieth of a second.
    """

    def __init__(self, nurseries: Nurseries, stop: Stop) -> None:
        self._stop = stop
        while not _places.acquire(timeout=LOOK_EVERY_S):
            stop.check()
        try:
            with stop.obeyed():
                self._nursery, self._line, self.process = _new_cell(nurseries)
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
        return self._nursery.end(self.process)


def _new_cell(nurseries: Nurseries) -> tuple[Nursery, socket.socket, int]:
    for _ in range(2):  # the nursery may have been killed since the last file
        with suppress(wire.Gone, wire.Garbled):
            made = nurseries.get()
            left_alone(made.without)  # seconds, the first time
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
        "is damaged, or huge.",
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


# ---------------------------------------------------------------- the side of the cells


def raise_cells(modules: tuple[str, ...], limits: Limits, new: Callable[[], Answerer]) -> None:
    """Be a nursery until the program closes the connection; its number is the last argument.

    Args:
        modules: imported once, so that they are there from a cell's first moment.
        limits: of each cell.
        new: makes what answers the questions of one cell.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the program's business
    program = socket.socket(fileno=int(sys.argv[-1]))
    for name in modules:
        import_module(name)
    without = {NETWORK: confine(limits), FILES: landlock_version() > 0}
    gc.freeze()  # so that collecting garbage in a cell copies no memory of the nursery
    wire.send(program, without)
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
            _live(socket.socket(fileno=files[0]), number, new)
        os.close(files[0])
        program.sendall(wire.PID.pack(child))


def _live(program: socket.socket, cpu_s: int, new: Callable[[], Answerer]) -> None:
    """Be a cell: answer until the program has no more questions."""
    code = 1
    try:
        die_with_parent()
        stand_alone()
        answerer = new()
        while True:
            allow_cpu(cpu_s)
            answer = _answered(answerer, wire.receive(program))
            try:
                wire.send(program, answer)
            except MemoryError:
                wire.send(program, {"memory": True})
    except wire.Gone:
        code = 0
    finally:
        os._exit(code)  # nothing of the nursery is tidied up here


def _answered(answerer: Answerer, question: dict[str, Any]) -> dict[str, Any]:
    """An answer, or a sentence with its code, or that there was not enough memory."""
    try:
        return answerer(question)
    except UserError as error:
        return {"code": error.code, "sentence": error.sentence}
    except MemoryError:
        return {"memory": True}
    except Exception as error:  # our own mistake: told as such, and the program goes on
        data = from_bug(error)
        return {"code": data.code, "sentence": data.sentence}
