"""What may go wrong in a way that the user can do something about?

One class for all of it. Everything else that is raised is our own mistake. Imports nothing.
"""

from __future__ import annotations

import os
import tempfile
import traceback
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn")  # controls, direction marks, surrogates, unassigned


class UserError(Exception):
    """A sentence for the user, with a stable code for programs.

    Args:
        code: a short snake_case word, e.g. ``decode_failed`` or ``weights_refused``.
        sentence: what is wrong and what can be done next, one or two plain sentences.
    """

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = printable(sentence)
        super().__init__(self.sentence)

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str]]:
        """Both words come back from another process; an exception alone would lose the code."""
        return type(self), (self.code, self.sentence)


def printable(text: str) -> str:
    """Return a text from outside as one line that moves no cursor and hides nothing.

    Names, labels and cards may hold terminal escapes, line breaks that forge a line of a log, or
    marks that turn the reading direction round.
    """
    line = " ".join(text.split())
    if line.isprintable():  # nearly all of them; categories Cc, Cf, Cs, Co and Cn are not
        return line
    return "".join("\ufffd" if unicodedata.category(c) in _INVISIBLE else c for c in line)


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn a full, read-only or forbidden disk into a sentence.

    Args:
        what: is written, at the beginning of a sentence: "The report".

    Raises:
        UserError: ``cannot_write`` with the system's reason.
    """
    try:
        yield
    except OSError as error:
        raise UserError("cannot_write", f"{what} could not be written: {reason(error)}.") from error


def need_temporary_files() -> None:
    """Go on where temporary files can be written; PyTorch, Gradio and uploads need them.

    Raises:
        UserError: ``cannot_write``.
    """
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise UserError(
            "cannot_write",
            "No folder for temporary files can be written: name one that can in TMPDIR.",
        ) from error


def reason(error: OSError) -> str:
    """The system's reason in words: ``No space left on device``."""
    return os.strerror(error.errno) if error.errno else str(error) or type(error).__name__


def from_bug(error: Exception) -> UserError:
    """Our own mistake on one file, as a sentence, so that the other files are still examined."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return UserError(
        "internal_error",
        f"The program failed on this file; that is a mistake of the program "
        f"({type(error).__name__} in {Path(at.filename).name}, line {at.lineno}).",
    )
