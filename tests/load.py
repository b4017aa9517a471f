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
import contextlib
import json
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import psutil

from benchmarks.measure import memory_of
from benchmarks.server import served
from tests.conftest import ROOT

IMAGE, CLIP = ROOT / "examples" / "portrait.jpg", ROOT / "examples" / "animated.mp4"
PATIENCE_S = 1800.0
PROBE_EVERY_S = 0.1
LEAVES_AFTER_S = 1.0


def ask(address: str, path: Path, leave: bool = False) -> str:
    """Upload a file, wait for its report, and say what came: ``read``, or the code of an error.

    Args:
        address: of the server.
        path: of the file.
        leave: drop the connection after a second, and say ``left``.
    """
    with httpx.Client(
        timeout=PATIENCE_S, verify=False
    ) as client:  # plain HTTP: reads no certificates
        with path.open("rb") as file:
            (there,) = client.post(f"{address}gradio_api/upload", files={"files": file}).json()
        data = [{"path": there, "meta": {"_type": "gradio.FileData"}}, "quick", None, None]
        begun = client.post(f"{address}gradio_api/call/analyze", json={"data": data})
        if begun.status_code != httpx.codes.OK:
            wait = begun.headers.get("Retry-After")
            return f"{begun.status_code} {begun.json()['error']['code']}, again in {wait} s"
        event = begun.json()["event_id"]
        if leave:
            with contextlib.suppress(httpx.ReadTimeout):
                client.get(f"{address}gradio_api/call/analyze/{event}", timeout=LEAVES_AFTER_S)
            return "left"
        given = client.get(f"{address}gradio_api/call/analyze/{event}").text
    if "event: complete" in given:
        return "read"
    words = json.loads(given.rpartition("data: ")[2].strip() or "null") or {}
    return str(words.get("error")).partition(":")[0]


class Watch(threading.Thread):
    """Asks the event loop and reads the memory until it is told to end."""

    def __init__(self, address: str, server: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._address, self._server = address, server
        self.waited_s: list[float] = []
        self.memory: list[int] = []
        self.done = threading.Event()

    def run(self) -> None:
        """Probe until the end."""
        with httpx.Client(timeout=60) as client:
            while not self.done.wait(PROBE_EVERY_S):
                begun = time.monotonic()
                client.get(f"{self._address}gradio_api/app_id")
                self.waited_s.append(time.monotonic() - begun)
                if len(self.waited_s) % 10 == 1:
                    self.memory.append(memory_of(self._server))


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


def crowd(address: str, server: psutil.Process, clients: int, kill: bool, leave: int) -> None:
    """So many visitors at once, each with one file; some of them leave while they wait."""
    came: Counter[str] = Counter()
    took_s: list[float] = []

    def visit(place: int) -> None:
        begun = time.monotonic()
        what = ask(address, IMAGE, place < leave)
        came[what] += 1
        if what == "read":
            took_s.append(time.monotonic() - begun)

    visitors = [threading.Thread(target=visit, args=(place,)) for place in range(clients)]
    for visitor in visitors:
        visitor.start()
    if kill:
        kill_a_reader(server)
    for visitor in visitors:
        visitor.join()
    middle, most = np.percentile(took_s, [50, 95])
    print(f"{clients} visitors: {dict(came)}; p50 {middle:.1f} s, p95 {most:.1f} s")


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
        watch = Watch(address, server)
        watch.start()
        for clients in chosen.clients:
            crowd(address, server, clients, chosen.kill, chosen.leave)
        if chosen.minutes:
            soak(address, server, chosen.minutes)
        watch.done.set()
        watch.join()
        middle, many, most = np.percentile(watch.waited_s, [50, 95, 100])
        print(
            f"event loop: median {1000 * middle:.0f} ms, p95 {1000 * many:.0f} ms, longest "
            f"{1000 * most:.0f} ms of {len(watch.waited_s)}; memory at most "
            f"{max(watch.memory) / 1e6:.0f} MB, at the end {memory_of(server) / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
