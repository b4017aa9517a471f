"""How does the command line speak? Results on stdout, everything else on stderr.

Exit codes, messages, progress. Imports nothing of the project.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

ASSESSED, ERROR, NOT_ASSESSABLE, STOPPED = 0, 1, 2, 130
EXIT_CODES = """exit codes:
  0  every file was assessed, or the command did its work
  1  an error: a file could not be read, a checkpoint could not be used, wrong arguments
  2  no error, but at least one file could not be assessed (no face, say)"""


def say(text: str, end: str = "\n") -> None:
    """Write to stderr: stdout is for results."""
    print(text, end=end, file=sys.stderr, flush=True)


def progress_bar(name: str) -> Callable[[float, str], None]:
    """Progress of one file on stderr: one line that is rewritten in a terminal."""
    terminal = sys.stderr.isatty()

    def show(fraction: float, text: str) -> None:
        if terminal:
            say(f"\r{name}: {fraction:4.0%} {text:<50s}", end="\n" if fraction >= 1 else "")
        else:
            say(f"{name}: {fraction:.0%} {text}")

    return show


def count_files(done: int, total: int, text: str) -> None:
    """Progress over many files on stderr."""
    say(f"[{done}/{total}] {text}")
