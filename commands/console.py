"""How does the command line speak? Results on stdout, everything else on stderr.

Exit codes, messages, progress. Imports nothing of the project.
"""

from __future__ import annotations

import re
import sys
import time
from threading import Event, Lock, Thread
from typing import Self

BEAT_S = 0.9  # so that progress is told at least once a second
ASSESSED, ERROR, NOT_ASSESSABLE, STOPPED = 0, 1, 2, 130
EXIT_CODES = """exit codes:
  0  every file was assessed, or the command did its work
  1  an error: a file could not be read, a checkpoint could not be used, wrong arguments
  2  no error, but at least one file could not be assessed (no face, say)"""


_UNPRINTABLE = re.compile(
    r"[^\n\t -~\u00a0-\ud7ff\ue000-\U0010ffff]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""Control characters, halves of characters, and marks that turn the direction of writing."""


def escaped(text: str) -> str:
    """Text that cannot steer a terminal: names of files and checkpoints come from strangers."""
    return _UNPRINTABLE.sub(lambda result: f"\\u{ord(result[0]):04x}", text)


def show(text: str) -> None:
    """Write a result to stdout; what is unprintable is written as JSON writes it."""
    print(escaped(text), flush=True)


def say(text: str) -> None:
    """Write to stderr: stdout is for results."""
    print(escaped(text), file=sys.stderr, flush=True)


class ProgressBar:
    """Progress of one file on stderr: one line that is rewritten in a terminal.

    It is told again, with the seconds so far, when nothing new came for `BEAT_S`. Use as a context
    manager.

    Args:
        name: of the file.
    """

    def __init__(self, name: str) -> None:
        self._name, self._terminal = name, sys.stderr.isatty()
        self._begun_s, self._last = time.monotonic(), (0.0, "Starting")
        self._lock, self._news, self._ended = Lock(), Event(), False
        self._beat = Thread(target=self._tell_again, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._beat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._news.set()
        self._beat.join()

    def __call__(self, fraction: float, text: str) -> None:
        """Take a fraction 0..1 and what is being done."""
        self._news.set()
        with self._lock:
            self._last = fraction, text
            self._show()

    def _tell_again(self) -> None:
        while not self._ended:
            if self._news.wait(BEAT_S):
                self._news.clear()
                continue
            with self._lock:
                self._show()

    def _show(self) -> None:
        fraction, text = self._last
        text = f"{text}, {time.monotonic() - self._begun_s:.0f} s"
        if not self._terminal:
            say(f"{self._name}: {fraction:.0%} {text}")
            return
        line = escaped(f"{self._name}: {fraction:4.0%} {text:<50s}")
        print(f"\r{line}", end="\n" if fraction >= 1 else "", file=sys.stderr, flush=True)


def count_files(done: int, total: int, text: str) -> None:
    """Progress over many files on stderr."""
    say(f"[{done}/{total}] {text}")
