"""When does a visitor's work begin, for how long may it go on, and when does it end?

One job at a time where there is no GPU: an analysis takes all cores. A job ends when the visitor
presses Stop, closes the page, drops the connection, or when its time is over; only when its thread
has really ended does the next one begin. Imports gradio, `stop`, `threads` and its neighbors line
and texts.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any

import gradio as gr
from gradio.context import LocalContext
from gradio.helpers import TrackedIterable

from errors import UserError
from hub.store import VISITOR, who_asks
from report.language import Language
from stop import Stop, current_stop
from threads import threads
from ui.line import Line, Ticket, Wait
from ui.texts import language_of

OWN_LIMIT_S = 45 * 60  # that one job may take on one's own machine
HOSTED_LIMIT_S = 15 * 60  # where visitors share a machine
GPU_PLACES = 4  # jobs at the same time, at most, where a GPU bears the networks
LOOK_EVERY_S = 0.1  # whether the client is still there
LINE = Line()
_ticket: ContextVar[Ticket | None] = ContextVar("ticket", default=None)


def places_on(device: str) -> int:
    """Jobs at the same time: one on a ``cpu``; on a GPU more, each with a core that reads."""
    return 1 if device == "cpu" else min(GPU_PLACES, threads())


def progressed(share: float) -> None:
    """The job of this thread has done this share (0..1); who waits is told by it."""
    if (ticket := _ticket.get()) is not None:
        LINE.progress(ticket, share)


def limit_s() -> float:
    """Seconds that one job may take on this machine."""
    return HOSTED_LIMIT_S if is_hosted() else OWN_LIMIT_S


def is_hosted() -> bool:
    """True on a Hugging Face Space, where visitors share one machine."""
    return who_asks() is VISITOR


# ---------------------------------------------------------------- events as jobs


def stoppable(function: Callable, tell: Callable[[Wait], None] | None = None) -> Callable:
    """Make the function of an event a job.

    It keeps its signature, runs in a thread of its own, and finds what may end it in
    `stop.current_stop`.

    Args:
        function: does the work.
        tell: takes what is known while others are before it; told as the progress of the event
            where it is left out.
    """

    @wraps(function)
    async def job(*values: Any, **named: Any) -> Any:
        result = None
        try:
            async with aclosing(_job(partial(function, *values, **named))) as steps:
                async for what in steps:
                    if isinstance(what, Wait):
                        (tell or _tell_as_progress)(what)
                    else:
                        (result,) = what
        except UserError as error:
            if tell is not None:
                raise
            words = f"{error.code}: {visitors_language()(error.sentence)}"
            raise gr.Error(words, print_exception=False) from error
        return result

    return job


def streamed(function: Callable, waiting: Callable[[Wait | UserError, Language], Any]) -> Callable:
    """Make a function that tells what it knows so far the job of an event that shows it.

    The function's first argument is a callable that takes what an event yields; its return value
    is yielded last. It runs in a thread of its own, as with `stoppable`.

    Args:
        function: does the work.
        waiting: what the event yields while others are before it, or when it is refused.
    """

    async def job(*values: Any) -> AsyncIterator[Any]:
        loop, data, say = asyncio.get_running_loop(), asyncio.Queue(), visitors_language()

        def tell(value: Any) -> None:
            shown = waiting(value, say) if isinstance(value, Wait) else value
            loop.call_soon_threadsafe(data.put_nowait, (shown,))

        try:
            async with aclosing(_job(partial(function, tell, *values), data)) as steps:
                async for what in steps:
                    yield waiting(what, say) if isinstance(what, Wait) else what[0]
        except UserError as error:
            yield waiting(error, say)

    return _with_signature_of(function, job)


async def _job(
    work: Callable[[], Any], data: asyncio.Queue | None = None
) -> AsyncGenerator[Wait | tuple[Any]]:
    """Wait for its turn, then run work in a thread, and do not let go of it before it has ended.

    Args:
        work: is run in a thread.
        data: what comes out of it meanwhile, each as ``(value,)``.

    Yields:
        What is known while others are before it; then ``(value,)`` of what comes out of ``data``,
        in the end of what work returns.

    Raises:
        UserError: ``queue_full``.
    """
    ticket, running, stop, data = LINE.enter(), None, Stop(), data or asyncio.Queue()
    try:
        async for wait in _turn(ticket):
            yield wait
        stop = Stop(limit_s())
        _ticket.set(ticket)
        running = asyncio.ensure_future(asyncio.to_thread(stop.obeyed()(work)))
        running.add_done_callback(lambda _: data.put_nowait(None))
        while True:
            with suppress(TimeoutError):
                if (what := await asyncio.wait_for(data.get(), LOOK_EVERY_S)) is None:
                    break
                yield what
            if not is_awaited():
                stop.ask()
        yield (running.result(),)
    finally:  # done, or the visitor pressed Stop or left
        stop.ask()
        if running is not None:
            await asyncio.wait({running})
        LINE.leave(ticket, done=running is not None and _is_well(running))


def _is_well(running: asyncio.Future) -> bool:
    return not running.cancelled() and running.exception() is None


async def _turn(ticket: Ticket) -> AsyncIterator[Wait]:
    """Wait until it is one's turn; yields what is new about that.

    Raises:
        UserError: ``stopped`` when the visitor left.
    """
    known = None
    while not LINE.begin(ticket):
        wait = LINE.wait_of(ticket)
        if (news := (wait.where(), wait.how_long())) != known:
            known = news
            yield wait
        await asyncio.sleep(LOOK_EVERY_S)
        if not is_awaited():
            gone = Stop()
            gone.ask()
            gone.check()


def give_way(tell: Callable[[Wait], None] = lambda wait: None) -> None:
    """Let those who wait go first, between two files of one job; for the thread of the job.

    Args:
        tell: takes what is known meanwhile.

    Raises:
        UserError: ``stopped`` when the visitor does not want to wait any more.
    """
    ticket, stop, begun_s = _ticket.get(), current_stop(), time.monotonic()
    if ticket is None or not LINE.step_back(ticket):
        return
    while not LINE.begin(ticket):
        tell(LINE.wait_of(ticket))
        time.sleep(LOOK_EVERY_S)
        if stop.asked:
            stop.check()
    stop.extend(time.monotonic() - begun_s)


def is_awaited() -> bool:
    """Is the client that began this event still there? Gradio marks events without a client."""
    blocks, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if blocks is None or event_id is None:
        return True
    events = (event for job in blocks._queue.active_jobs if job for event in job)
    return all(event.alive for event in events if event._id == event_id)


def show_progress(fraction: float, words: str) -> None:
    """Tell it where Gradio shows the progress of an event, on the page and to programs.

    Args:
        fraction: 0..1.
        words: in the visitor's language.
    """
    blocks, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if blocks is not None and event_id is not None:
        step = TrackedIterable(None, None, None, words, None, progress=fraction)
        blocks._queue.set_progress(event_id, [step])


def _tell_as_progress(wait: Wait) -> None:
    say = visitors_language()
    show_progress(0.0, f"{wait.where(say)}. {wait.how_long(say)}")


def visitors_language() -> Language:
    """The language that the browser of this event asks for; English outside of one."""
    return language_of(LocalContext.request.get(None))  # type: ignore[arg-type]


def _with_signature_of(function: Callable, job: Callable) -> Callable:
    """Gradio reads parameters and their types; the first one is ours."""
    subset = inspect.signature(function, eval_str=True)
    job.__signature__ = subset.replace(parameters=list(subset.parameters.values())[1:])  # type: ignore
    job.__annotations__ = {p.name: p.annotation for p in list(subset.parameters.values())[1:]}
    job.__name__ = function.__name__
    return job
