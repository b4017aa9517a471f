"""How does the command line speak? Results on stdout, everything else on stderr.

Exit codes, messages, progress. Imports nothing of the project.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

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


def progress_bar(name: str) -> Callable[[float, str], None]:
    """Progress of one file on stderr: one line that is rewritten in a terminal."""
    terminal = sys.stderr.isatty()

    def data(fraction: float, text: str) -> None:
        if terminal:
            line = escaped(f"{name}: {fraction:4.0%} {text:<50s}")
            end = "\n" if fraction >= 1 else ""
            print(f"\r{line}", end=end, file=sys.stderr, flush=True)
        else:
            say(f"{name}: {fraction:.0%} {text}")

    return data


def count_files(done: int, total: int, text: str) -> None:
    """Progress over many files on stderr."""
    say(f"[{done}/{total}] {text}")
