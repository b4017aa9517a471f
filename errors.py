"""What may go wrong in a way that the user can do something about?

One class for all of it. Everything else that is raised is our own mistake. Imports nothing.
"""

from __future__ import annotations

import unicodedata

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


def printable(text: str) -> str:
    """Return a text from outside as one line that moves no cursor and hides nothing.

    Names, labels and cards may hold terminal escapes, line breaks that forge a line of a log, or
    marks that turn the reading direction round.
    """
    line = " ".join(text.split())
    return "".join("\ufffd" if unicodedata.category(c) in _INVISIBLE else c for c in line)
