"""When must long work end before it is done?

Whoever starts the work holds a `Stop` and may ask for the end from another thread; the work calls
`check` between frames and stages. Imports errors.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from errors import UserError


class Stop:
    """Asks work to end: because somebody said so, or because its time is over.

    Args:
        limit_s: seconds that the work may take from now on.
        whole: work that this is a part of: its end is the part's, too.
    """

    def __init__(self, limit_s: float = math.inf, whole: Stop | None = None) -> None:
        self._whole = whole
        self._limit_s = limit_s
        self._until_s = time.monotonic() + limit_s
        self._asked = threading.Event()

    def ask(self) -> None:
        """Ask for the end; the work notices at its next check."""
        self._asked.set()

    def extend(self, seconds: float) -> None:
        """Time in which nothing was done does not count."""
        self._until_s += seconds

    @property
    def asked(self) -> bool:
        """Somebody asked for the end."""
        return self._asked.is_set()

    def check(self) -> None:
        """Go on, or end here.

        Raises:
            UserError: ``stopped`` when somebody asked for it, ``took_too_long`` at the limit.
        """
        if self._whole is not None:
            self._whole.check()
        if self.asked:
            raise UserError("stopped", "The analysis was stopped before it was done.")
        if time.monotonic() > self._until_s:
            raise UserError(
                "took_too_long",
                f"This took longer than the {in_words(self._limit_s)} that one analysis may take "
                "here: choose “quick”, cut the clip, or run the program on your own machine.",
            )

    def __getstate__(self) -> dict[str, Any]:
        """Another process cannot be asked: what is sent there keeps the limit alone."""
        return {"limit_s": self._limit_s}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["limit_s"])


def in_words(seconds: float) -> str:
    """A limit of time for people: ``15 minutes``."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:g} seconds"
    return f"{minutes} minute{'s' if minutes != 1 else ''}"
