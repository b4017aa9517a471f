"""What may go wrong in a way that the user can do something about?

One class for all of it. Everything else that is raised is our own mistake. Imports nothing.
"""

from __future__ import annotations


class UserError(Exception):
    """A sentence for the user, with a stable code for programs.

    Args:
        code: a short snake_case word, e.g. ``decode_failed`` or ``weights_refused``.
        sentence: what is wrong and what can be done next, one or two plain sentences.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
