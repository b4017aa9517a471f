"""When must long work end before it is done?

Whoever starts the work holds a `Stop` and may ask for the end from another thread; the work calls
`check` between frames, stages and the layers of a network. What is too deep to be handed one finds
it in `current_stop`. Imports errors.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from errors import UserError

T = TypeVar("T")
LOOK_EVERY_S = 0.05  # whether the end was asked for, while others do the work


def current_stop() -> Stop:
    """What asks the work of this thread to end; outside of any, nothing does."""
    return _current.get() or Stop()


def check() -> None:
    """Go on, or end here, as `current_stop` says. Costs less than a microsecond.

    Raises:
        UserError: ``stopped`` or ``took_too_long``.
    """
    stop = _current.get()
    if stop is not None:
        stop.check()


def left_alone(work: Callable[[], T]) -> T:
    """Result of work that cannot be interrupted: another thread does it, and this one hears Stop.

    When the end is asked for, the work goes on by itself until it looks at `current_stop`, which is
    the same there; its result is lost.

    Raises:
        UserError: ``stopped`` or ``took_too_long``; whatever the work raises.
    """
    future, context = Future[T](), copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(work))
        except BaseException as error:  # belongs to whoever waits
            future.set_exception(error)

    threading.Thread(target=run, name=left_alone.__name__, daemon=True).start()
    return current_stop().wait_for(future)


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

    @contextmanager
    def obeyed(self) -> Iterator[Stop]:
        """Within the block it is the `current_stop` of this thread."""
        before = _current.set(self)
        try:
            yield self
        finally:
            _current.reset(before)

    def wait_for(self, future: Future[T], limit_s: float = math.inf) -> T:
        """Result of work that others do too or will need: it goes on when this one ends.

        Args:
            future: what they compute.
            limit_s: seconds to wait for it at most.

        Raises:
            UserError: as `check` does; TimeoutError: at the limit; whatever the work raises.
        """
        until_s = time.monotonic() + limit_s
        while not wait((future,), LOOK_EVERY_S).done:
            self.check()
            if time.monotonic() > until_s:
                raise TimeoutError
        return future.result()

    def __getstate__(self) -> dict[str, Any]:
        """Another process cannot be asked: what is sent there keeps the limit alone."""
        return {"limit_s": self._limit_s}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["limit_s"])


_current: ContextVar[Stop | None] = ContextVar("stop", default=None)


def in_words(seconds: float) -> str:
    """A limit of time for people: ``15 minutes``."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:g} seconds"
    return f"{minutes} minute{'s' if minutes != 1 else ''}"
