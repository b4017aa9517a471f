"""Who works next, and how long do the others wait?

One line for everybody: the page, programs and agents. First come, first served, for as many at the
same time as there are places; whoever has many files goes back to its end after each of them. How
long it takes is told from the last jobs and from what the present ones have done. Imports errors,
stop and report.language.
"""

from __future__ import annotations

import heapq
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


@dataclass
class _Work:
    """A job that has begun: at which second, and the share (0..1) of it that is done."""

    begun_s: float
    done: float = 0.0


class Line:
    """The line and those who work. For any thread.

    Args:
        most: that may wait; those who work are not counted.
        places: for those who work.
        clock: seconds.
    """

    def __init__(
        self,
        most: int = MOST_WAITING,
        places: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._places, self._clock = most, places, clock
        self._lock = threading.Lock()
        self._waiting: list[Ticket] = []
        self._working: dict[Ticket, _Work] = {}
        self._took_s: deque[float] = deque(maxlen=REMEMBERED)

    def make_places(self, places: int) -> None:
        """Let so many work at the same time from now on."""
        with self._lock:
            self._places = places

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
        """Start to work if a place is free and nobody came before; true then."""
        with self._lock:
            if len(self._working) >= self._places or self._waiting[0] is not ticket:
                return False
            self._working[self._waiting.pop(0)] = _Work(self._clock())
            return True

    def progress(self, ticket: Ticket, share: float) -> None:
        """The holder of a ticket, who works, has done this share (0..1) of it."""
        with self._lock:
            if ticket in self._working:
                self._working[ticket].done = share

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
            before, free_s = self._waiting.index(ticket), self._free_s()
            for _ in range(before):  # each takes the place that is free first
                heapq.heapreplace(free_s, free_s[0] + self._usual_s())
            return Wait(before + 1, free_s[0] if math.isfinite(free_s[0]) else None)

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
        if (work := self._working.pop(ticket, None)) is not None and done:
            self._took_s.append(self._clock() - work.begun_s)

    def _usual_s(self) -> float:
        """What a job takes, as far as it was measured; infinity before."""
        return sum(self._took_s) / len(self._took_s) if self._took_s else math.inf

    def _free_s(self) -> list[float]:
        """A heap of the seconds until each place is free, as far as that is known."""
        free_s = [self._left_s(work) for work in self._working.values()]
        free_s += [0.0] * (self._places - len(free_s))
        heapq.heapify(free_s)
        return free_s

    def _left_s(self, work: _Work) -> float:
        """What a job that has begun still takes."""
        elapsed_s, usual_s = self._clock() - work.begun_s, self._usual_s()
        if work.done >= SURE_AFTER:
            return elapsed_s * (1 - work.done) / work.done
        return usual_s - elapsed_s if elapsed_s < usual_s else math.inf

    def _try_again_s(self) -> int:
        first_s = self._free_s()[0]
        return max(1, math.ceil(first_s)) if math.isfinite(first_s) else RETRY_S
