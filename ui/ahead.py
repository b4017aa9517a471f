"""What is loaded before it is asked for?

The networks that come with the program, in a thread of their own while the first visitor chooses a
file. Not before somebody opens the page: a server that nobody visits keeps its memory small.
Imports analysis and detectors.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import cache

from analysis import Settings, load_detector
from detectors.registry import roles
from errors import UserError


def load() -> None:
    """Load the embedded networks.

    Raises:
        UserError: ``weights_missing`` or ``weights_refused``.
    """
    for role in roles():
        if not role.empty:
            load_detector(role.name, Settings())


@cache
def begin() -> threading.Thread:
    """Load them beside everything else, once; who needs one meanwhile waits for this loading."""
    thread = threading.Thread(target=_try, name="networks", daemon=True)
    thread.start()
    return thread


def _try() -> None:
    with suppress(UserError):  # the analysis that needs it will say so
        load()
