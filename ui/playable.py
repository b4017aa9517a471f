"""How does a file that the browser cannot play get a copy that it can, while the page goes on?

The copy is made in the background, for a limited time, and given up when another file is chosen or
the page is closed; it is shown only where its file still is. Imports errors, report, stop and its
neighbors.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import gradio as gr

from errors import UserError
from report.language import Language
from stop import Stop
from ui import source
from ui.jobs import LOOK_EVERY_S, is_awaited
from ui.keeping import fresh_folder
from ui.texts import language_of

COPY_LIMIT_S = 120.0  # that making a copy may take; the still stays where it takes longer


@dataclass
class Current:
    """What a visitor has chosen now: written by one event, read by another that still runs."""

    path: str | None = None


async def copied(current: Current, request: gr.Request | None) -> Any:
    """The player of a copy of the chosen file, unless another one is chosen meanwhile."""
    path, stop = current.path, Stop(COPY_LIMIT_S)
    if path is None:
        return gr.skip()
    making = asyncio.to_thread(playable, path, language_of(request), stop)
    work = asyncio.ensure_future(making)
    while not work.done():
        await asyncio.wait({work}, timeout=LOOK_EVERY_S)
        if current.path != path or not is_awaited():
            stop.ask()
    shown = work.result()
    return shown if shown is not None and current.path == path else gr.skip()


def playable(path: str, language: Language, stop: Stop) -> str | None:
    """The player of a copy; None of a file that needs none, a still where none can be made."""
    try:
        if source.is_shown(path):
            return None
        return source.player(source.proxy(path, fresh_folder(), stop), language)
    except UserError as error:
        return None if error.code == "stopped" else source.still(path, language, source.NO_COPY)
