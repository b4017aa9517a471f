"""What is a tab? A title and a function that lays it out; a new one is a file and a line in TABS.

Imports hub.spacefile (a type).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradio.context import Context

from hub.spacefile import Space


@dataclass(frozen=True)
class Tab:
    """One tab of the page.

    Attributes:
        title: in English; translated where a language has it.
        build: lays it out and wires it, inside of the page.
    """

    title: str
    build: Callable[[Space], None]


def component(elem_id: str) -> Any:
    """A component that an earlier tab of this page laid out; KeyError where there is none."""
    page = Context.root_block
    blocks = page.blocks.values() if page is not None else ()
    matches = {str(getattr(block, "elem_id", None)): block for block in blocks}
    return matches[elem_id]
