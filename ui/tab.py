"""What is a tab? A title and a function that lays it out; a new one is a file and a line in TABS.

Imports hub.spacefile (a type).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
