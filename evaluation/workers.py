"""How do several processes share work, and survive that one of them is killed?

Each process is a standard ``ProcessPoolExecutor`` of one: a crash or a kill breaks that one alone,
it says which task was at work, and another process takes its place. Imports confine, errors and
threads.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from errors import UserError
from threads import set_threads

TRIES = 2  # processes that one task may bring down before it is given up
KILLED = UserError(
    "worker_killed",
    f"The file brought down {TRIES} processes that examined it, one after the other: it is "
    "damaged, was made to do harm, or takes more memory than this machine has.",
)
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Answer(Generic[Task, Result]):
    """What became of a task.

    Attributes:
        task: as it was given.
        result: of the call; None where the task brought down `TRIES` processes.
    """

    task: Task
    result: Result | None


@dataclass
class _Running(Generic[Task]):
    """A task at work: which process has it, and how many it brought down before."""

    task: Task
    process: ProcessPoolExecutor
    deaths: int = 0


def share(
    call: Callable[[Task], Result], tasks: Iterable[Task], workers: int
) -> Iterator[Answer[Task, Result]]:
    """Let processes of one thread each work on tasks; answers come as they are done.

    Args:
        call: a function that can be pickled; what it raises ends the work.
        tasks: are taken only when a process is free.
        workers: processes at the same time.
    """
    waiting, processes = iter(tasks), {_process() for _ in range(workers)}
    free, running = list(processes), dict[Future, _Running]()

    def begin(task: Task, process: ProcessPoolExecutor, deaths: int = 0) -> None:
        running[process.submit(call, task)] = _Running(task, process, deaths)

    try:
        while True:
            for task in islice(waiting, len(free)):
                begin(task, free.pop())
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                ended = running.pop(future)
                if not isinstance(future.exception(), BrokenProcessPool):
                    free.append(ended.process)
                    yield Answer(ended.task, future.result())
                    continue
                processes.remove(ended.process)
                processes.add(fresh := _process())
                if ended.deaths + 1 < TRIES:
                    begin(ended.task, fresh, ended.deaths + 1)
                else:
                    free.append(fresh)
                    yield Answer(ended.task, None)
    finally:
        for process in processes:
            _end(process)


def _process() -> ProcessPoolExecutor:
    fresh = multiprocessing.get_context("spawn")  # a copy of a process with threads would hang
    return ProcessPoolExecutor(1, fresh, _begin)


def _end(process: ProcessPoolExecutor) -> None:
    """At once, whatever it is at: who stopped does not wait for a file (3.14: ``kill_workers``)."""
    for worker in list((process._processes or {}).values()):
        worker.kill()
    process.shutdown(cancel_futures=True)


def _begin() -> None:
    """One thread: more of them wait for each other on busy cores, and cost ten times what they save
    (measured). Ctrl+C ends the process without a word, and so does the end of the program.
    """
    set_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        from confine import die_with_parent

        die_with_parent()
