"""Not a test: how does the running page bear many visitors, and does its memory stay flat?

``python -m tests.load --clients 16`` starts the page in a process of its own and lets so many
visitors ask at once; ``--kill`` ends the process that reads a file in the middle of it, and
``--leave 4`` lets four of them drop their connection while they wait.
``--minutes 30`` (``make soak``) goes on with two visitors for so long. Prints seconds a request,
how long the event loop takes to answer a question of no work meanwhile, and the memory of the
whole process tree (PSS, so that shared pages count once).
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil

from benchmarks.crowd import Watch, ask, crowd
from benchmarks.measure import memory_of
from benchmarks.server import served
from tests.conftest import ROOT

IMAGE, CLIP = ROOT / "examples" / "portrait.jpg", ROOT / "examples" / "animated.mp4"


def kill_a_reader(server: psutil.Process) -> None:
    """Wait for a process that reads a file, and kill it."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for child in server.children():
            if "media.cell" in " ".join(child.cmdline()) and (cells := child.children()):
                cells[0].kill()
                return
        time.sleep(0.002)
    raise SystemExit("no file was read")


def soak(address: str, server: psutil.Process, minutes: float) -> None:
    """Two visitors for so long, one with images, one with clips; a line of memory a minute."""
    until, read = time.monotonic() + 60 * minutes, Counter()

    def visit(path: Path) -> None:
        while time.monotonic() < until:
            read[ask(address, path)] += 1

    visitors = [threading.Thread(target=visit, args=(path,)) for path in (IMAGE, CLIP)]
    for visitor in visitors:
        visitor.start()
    begun = time.monotonic()
    while any(visitor.is_alive() for visitor in visitors):
        now_s, held = time.monotonic() - begun, memory_of(server) / 1e6
        print(f"{now_s:5.0f} s {held:7.0f} MB {dict(read)}", flush=True)
        time.sleep(60)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="*", default=[])
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--leave", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0.0)
    chosen = parser.parse_args()
    with served() as running:
        address, server = running.address, running.process
        print(f"serves after {running.waited_s:.1f} s")
        print(f"first request: {ask(address, IMAGE)}; {memory_of(server) / 1e6:.0f} MB")
        with Watch(address, server) as watch:
            for clients in chosen.clients:
                if chosen.kill:
                    threading.Thread(target=kill_a_reader, args=(server,), daemon=True).start()
                result = crowd(address, IMAGE, clients, chosen.leave)
                middle, most = result.percentile(50), result.percentile(95)
                print(
                    f"{clients} visitors: {dict(result.came)}; p50 {middle:.1f} s, p95 {most:.1f} s"
                )
            if chosen.minutes:
                soak(address, server, chosen.minutes)
        middle, many, most = np.percentile(watch.waited_s, [50, 95, 100])
        print(
            f"event loop: median {1000 * middle:.0f} ms, p95 {1000 * many:.0f} ms, longest "
            f"{1000 * most:.0f} ms of {len(watch.waited_s)}; memory at most "
            f"{max(watch.memory) / 1e6:.0f} MB, at the end {memory_of(server) / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
