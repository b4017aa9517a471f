"""How much of a clip is examined? Imports nothing."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """Chosen by the user; see `media.windows.plan`."""

    QUICK = "quick"
    THOROUGH = "thorough"
