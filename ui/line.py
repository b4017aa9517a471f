"""Who works next, and how long do the others wait?

One line for everybody: the page, programs and agents. First come, first served; whoever has many
files goes back to its end after each of them. How long it takes is told from the last jobs and from
what the present one has done. Imports errors, stop and report.language.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from errors import UserError
from report.language import ENGLISH, Language
from stop import in_words

MOST_WAITING = 20  # more are refused
REMEMBERED = 8  # jobs that the expected duration is the mean of
SURE_AFTER = 0.15  # share of a job from which on its end can be guessed
RETRY_S = 30  # when to try again where no job was measured yet
IN_MINUTES_S = 90.0  # from here on minutes are told


class Ticket:
    """A place in the line."""


@dataclass(frozen=True)
class Wait:
    """What somebody who waits can be told.

    Attributes:
        place: 1 for whoever is next.
        seconds: until the work begins, or None while nothing was measured.
    """

    place: int
    seconds: float | None

    def __str__(self) -> str:
        return f"{self.where()}. {self.how_long()}"

    def where(self, language: Language = ENGLISH) -> str:
        """The place in words."""
        return language("Number {n} in line", n=self.place)

    def how_long(self, language: Language = ENGLISH) -> str:
        """The time in a sentence."""
        if self.seconds is None:
            return language("How long the analyses before it take is not known yet.")
        if self.seconds < 1.5:
            return language("It begins any moment.")
        if self.seconds < IN_MINUTES_S:
            return language("It begins in about {n} seconds.", n=round(self.seconds))
        return language("It begins in about {n} minutes.", n=round(self.seconds / 60))


class Line:
    """The line and whoever works. For any thread.

    Args:
        most: that may wait; whoever works is not counted.
        clock: seconds.
    """

    def __init__(
        self, most: int = MOST_WAITING, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._clock = most, clock
        self._lock = threading.Lock()
        self._waiting: list[Ticket] = []
        self._working: Ticket | None = None
        self._begun_s = self._done = 0.0
        self._took_s: deque[float] = deque(maxlen=REMEMBERED)

    def enter(self) -> Ticket:
        """Take the last place.

        Raises:
            UserError: ``queue_full``.
        """
        with self._lock:
            self._check()
            ticket = Ticket()
            self._waiting.append(ticket)
            return ticket

    def check(self) -> None:
        """Is there a place?

        Raises:
            UserError: ``queue_full``.
        """
        with self._lock:
            self._check()

    def try_again_s(self) -> int:
        """Seconds until a place may be free."""
        with self._lock:
            return self._try_again_s()

    def begin(self, ticket: Ticket) -> bool:
        """Start to work if nobody does and nobody came before; true then."""
        with self._lock:
            if self._working is not None or self._waiting[0] is not ticket:
                return False
            self._working = self._waiting.pop(0)
            self._begun_s, self._done = self._clock(), 0.0
            return True

    def progress(self, share: float) -> None:
        """Whoever works has done this share (0..1) of it."""
        with self._lock:
            self._done = share

    def leave(self, ticket: Ticket, done: bool = False) -> None:
        """Give the place free; ``done``: the work was ended, not broken off."""
        with self._lock:
            self._leave(ticket, done)

    def step_back(self, ticket: Ticket) -> bool:
        """Whoever works goes to the end of the line, if there is one; true then."""
        with self._lock:
            if not self._waiting:
                return False
            self._leave(ticket, done=True)
            self._waiting.append(ticket)
            return True

    def wait_of(self, ticket: Ticket) -> Wait:
        """What the holder of a ticket can be told now."""
        with self._lock:
            before, left_s = self._waiting.index(ticket), self._left_s()
            usual_s = self._usual_s() if before else 0.0
            if left_s is None or usual_s is None:
                return Wait(before + 1, None)
            return Wait(before + 1, left_s + before * usual_s)

    # ------------------------------------------------------------ with the lock held

    def _check(self) -> None:
        if len(self._waiting) >= self._most:
            raise UserError(
                "queue_full",
                f"{len(self._waiting)} analyses are waiting already, and no more are taken; "
                f"try again in {in_words(self._try_again_s())}.",
            )

    def _leave(self, ticket: Ticket, done: bool) -> None:
        if ticket in self._waiting:
            self._waiting.remove(ticket)
        if ticket is self._working:
            self._working = None
            if done:
                self._took_s.append(self._clock() - self._begun_s)

    def _usual_s(self) -> float | None:
        """What a job takes, as far as it was measured."""
        return sum(self._took_s) / len(self._took_s) if self._took_s else None

    def _left_s(self) -> float | None:
        """What the present job still takes."""
        if self._working is None:
            return 0.0
        elapsed_s, usual_s = self._clock() - self._begun_s, self._usual_s()
        if self._done >= SURE_AFTER:
            return elapsed_s * (1 - self._done) / self._done
        return usual_s - elapsed_s if usual_s is not None and elapsed_s < usual_s else None

    def _try_again_s(self) -> int:
        left_s = self._left_s()
        return RETRY_S if left_s is None else max(1, math.ceil(left_s))
