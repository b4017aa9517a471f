"""How are seconds and bytes counted?

Works that are compared are run in turns, several times, so that a busy minute of the machine
meets all of them; medians are compared. Processes of the program's own, such as those that read
files, count too. Imports nothing of the project.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import psutil

from benchmarks.clips import ROOT

MEMORY_EVERY_S = 0.1  # between two readings of the memory


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and seconds of processors of this process and its children."""

    wall_s: float
    cpu_s: float


def cost_of(work: Callable[[], object]) -> Cost:
    """What one go of some work costs."""
    wall_s, cpu_s = time.perf_counter(), processor_s()
    work()
    return Cost(time.perf_counter() - wall_s, processor_s() - cpu_s)


def in_turns(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[Cost]]:
    """The costs of several works, each of them once a round."""
    costs: dict[str, list[Cost]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            costs[name].append(cost_of(work))
    return costs


def typical(costs: Sequence[Cost]) -> Cost:
    """Medians."""
    return Cost(median(c.wall_s for c in costs), median(c.cpu_s for c in costs))


def processor_s() -> float:
    """Seconds of processors that this process, its children and theirs have used so far."""
    return time.process_time() + children_s()


def children_s() -> float:
    """Seconds of processors that the children of this process and theirs have used so far."""
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = child.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    ended = psutil.Process().cpu_times()
    return total + ended.children_user + ended.children_system


def memory_of(process: psutil.Process) -> int:
    """Bytes that a process and its children hold, shared pages once (PSS)."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            total += one.memory_full_info().pss
    return total


def peak_memory(arguments: Sequence[str]) -> tuple[int, Cost]:
    """Most bytes that a run of Python and its children held at one time, and what it cost."""
    begun_s, before_s = time.perf_counter(), processor_s()
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT)
    held, watched = 0, psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            held = max(held, memory_of(watched))
        time.sleep(MEMORY_EVERY_S)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}")
    return held, Cost(time.perf_counter() - begun_s, processor_s() - before_s)


def together(work: Callable[[], object], visitors: int) -> tuple[Cost, list[float]]:
    """What so many goes at the same time cost in all, and the seconds that each one took."""
    took_s: list[float] = []

    def visit() -> None:
        took_s.append(cost_of(work).wall_s)

    def crowd() -> None:
        threads = [threading.Thread(target=visit) for _ in range(visitors)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return cost_of(crowd), took_s
