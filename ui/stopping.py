"""How does a visitor end what a button began?

While the work runs, Stop stands where the button was. Imports its neighbors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from ui.jobs import stoppable
from ui.session import JOB, QUIET
from ui.texts import label


def stop_button(elem_id: str) -> gr.Button:
    """Stop, hidden while nothing runs; lay it out beside the button that begins the work."""
    return gr.Button(label("Stop"), visible=False, elem_id=elem_id)


def runs(
    go: gr.Button,
    stop: gr.Button,
    function: Callable,
    inputs: list[Any] | Any,
    outputs: list[Any] | Any,
    validator: Callable | None = None,
) -> Any:
    """Let a button run a function as a job that ends when its visitor presses Stop.

    Args:
        go, stop: the two buttons; one of them is shown at a time.
        function: does the work, in a thread of its own (`ui.jobs.stoppable`).
        inputs, outputs: of the function; components.
        validator: says at once what is wrong with the inputs; nothing begins then.

    Returns:
        The event of the work, for what follows it.
    """

    def begun(*_: Any) -> list[Any]:
        return [gr.Button(visible=False), gr.Button(visible=True)]

    def ended() -> list[Any]:
        return [gr.Button(visible=True), gr.Button(visible=False)]

    buttons = [go, stop]
    pressed = go.click(begun, inputs, buttons, validator=validator, **QUIET)
    work = pressed.success(stoppable(function), inputs, outputs, **JOB)
    work.then(ended, None, buttons, **QUIET)
    stop.click(ended, None, buttons, cancels=[pressed, work], **QUIET)
    return work
