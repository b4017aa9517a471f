"""What is said at once, at the place where it was given, before anything waits in the queue?

Gradio's validators: each input gets a sentence or none. Imports errors, report and its neighbors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from errors import UserError
from ui.texts import language_of


def checked(check: Callable[[], None], request: gr.Request | None) -> Any:
    """What a validator returns for one input: the sentence of a `UserError`, or that it is fine."""
    try:
        check()
    except UserError as error:
        return gr.validate(False, f"{language_of(request)(error.sentence)} [{error.code}]")
    return gr.validate(True, "")


def given(value: Any, sentence: str) -> None:
    """Refuse an empty input.

    Raises:
        UserError: ``no_file`` with the sentence.
    """
    if not value:
        raise UserError("no_file", sentence)
