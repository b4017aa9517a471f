"""Who works now, for how long, and when does a visitor's work end?

One job at a time: an analysis takes all cores. A job ends when the visitor presses Stop, closes
the page, drops the connection, or when its time is over; only when its thread has really ended
does the next one begin. Imports gradio and `stop`.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any

from gradio.context import LocalContext

from hub.store import VISITOR, who_asks
from stop import Stop

OWN_LIMIT_S = 45 * 60  # that one job may take on one's own machine
HOSTED_LIMIT_S = 15 * 60  # where visitors share a machine
LOOK_EVERY_S = 0.1  # whether the client is still there
_only_one = threading.Lock()
_stop: ContextVar[Stop | None] = ContextVar("stop", default=None)


def current_stop() -> Stop:
    """What asks the job of this thread to end; outside of a job, nothing does."""
    return _stop.get() or Stop()


def limit_s() -> float:
    """Seconds that one job may take on this machine."""
    return HOSTED_LIMIT_S if is_hosted() else OWN_LIMIT_S


def is_hosted() -> bool:
    """True on a Hugging Face Space, where visitors share one machine."""
    return who_asks() is VISITOR


def stoppable(function: Callable) -> Callable:
    """Make the function of an event a job.

    It keeps its signature, runs in a thread of its own, and finds what may end it in
    `current_stop`.
    """

    @wraps(function)
    async def job(*values: Any, **named: Any) -> Any:
        return await _held(partial(function, *values, **named), Stop(limit_s()))

    return job


async def _held(work: Callable[[], Any], stop: Stop) -> Any:
    """Run work in a thread and do not let go of it before it has ended."""
    _stop.set(stop)
    running = asyncio.ensure_future(asyncio.to_thread(_alone, work, stop))
    try:
        while not running.done():
            await asyncio.wait({running}, timeout=LOOK_EVERY_S)
            if not _is_awaited():
                stop.ask()
    except asyncio.CancelledError:  # the visitor pressed Stop
        stop.ask()
        await asyncio.wait({running})
        raise
    return running.result()


def _alone(work: Callable[[], Any], stop: Stop) -> Any:
    """Wait until no other job runs, then work."""
    while not _only_one.acquire(timeout=LOOK_EVERY_S):
        stop.check()
    try:
        stop.check()
        return work()
    finally:
        _only_one.release()


def _is_awaited() -> bool:
    """Is the client that began this job still connected? Gradio marks events without a client."""
    blocks, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if blocks is None or event_id is None:
        return True
    events = (event for job in blocks._queue.active_jobs if job for event in job)
    return all(event.alive for event in events if event._id == event_id)


def streamed(function: Callable) -> Callable:
    """Make a function that tells what it knows so far the job of an event that shows it.

    The function's first argument is a callable that takes what an event yields; its return value
    is yielded last. It runs in a thread of its own, as with `stoppable`.
    """

    async def job(*values: Any) -> AsyncIterator[Any]:
        stop, loop, data = Stop(limit_s()), asyncio.get_running_loop(), asyncio.Queue()
        _stop.set(stop)

        def tell(value: Any) -> None:
            loop.call_soon_threadsafe(data.put_nowait, value)

        running = asyncio.ensure_future(
            asyncio.to_thread(_alone, partial(function, tell, *values), stop)
        )
        try:
            while not (running.done() and data.empty()):
                reader = asyncio.ensure_future(data.get())
                await asyncio.wait(
                    {running, reader}, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED
                )
                if reader.done():
                    yield reader.result()
                else:
                    reader.cancel()
                if not _is_awaited():
                    stop.ask()
            yield running.result()
        finally:  # done, or the visitor pressed Stop or left
            stop.ask()
            await asyncio.wait({running})

    return _with_signature_of(function, job)


def _with_signature_of(function: Callable, job: Callable) -> Callable:
    """Gradio reads parameters and their types; the first one is ours."""
    subset = inspect.signature(function, eval_str=True)
    job.__signature__ = subset.replace(parameters=list(subset.parameters.values())[1:])  # type: ignore
    job.__annotations__ = {p.name: p.annotation for p in list(subset.parameters.values())[1:]}
    job.__name__ = function.__name__
    return job
