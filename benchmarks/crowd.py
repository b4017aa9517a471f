"""How does the running page bear many visitors at once?

``python -m benchmarks.crowd ADDRESS PID`` asks the event loop of a server and reads its memory
until its input ends, in a process of its own, so that the visitors do not slow the watch. Imports
nothing outside of the room.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import numpy as np
import psutil

from benchmarks.clips import ROOT
from benchmarks.measure import memory_of

PATIENCE_S = 1800.0
PROBE_EVERY_S = 0.05
MEMORY_EVERY = 20  # probes
LEAVES_AFTER_S = 1.0
NO_WORK = "gradio_api/queue/status"  # answered by the event loop itself


@dataclass
class Crowd:
    """What became of visitors.

    Attributes:
        came: how many were ``read``, or got which code of an error.
        took_s: from the upload to the report, of those who were read.
    """

    came: Counter[str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)

    def percentile(self, percent: float) -> float:
        """Seconds that so many of those who were read waited at most."""
        return float(np.percentile(self.took_s, percent))


def client_of() -> httpx.Client:
    """A client for plain HTTP: it reads no certificates, which would take its time."""
    return httpx.Client(timeout=PATIENCE_S, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def ask(address: str, path: Path, leave: bool = False) -> str:
    """Upload a file, wait for its report, and say what came: ``read``, or the code of an error.

    Args:
        address: of the server.
        path: of the file.
        leave: drop the connection after a second, and say ``left``.
    """
    with client_of() as client:
        with path.open("rb") as file:
            (there,) = client.post(f"{address}gradio_api/upload", files={"files": file}).json()
        data = [{"path": there, "meta": {"_type": "gradio.FileData"}}, "quick", None, None]
        begun = client.post(f"{address}gradio_api/call/analyze", json={"data": data})
        if begun.status_code != httpx.codes.OK:
            return str(begun.json()["error"]["code"])
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


def crowd(address: str, path: Path, visitors: int, leave: int = 0) -> Crowd:
    """So many visitors at once, each with one file; some of them leave while they wait."""
    result = Crowd()

    def visit(place: int) -> None:
        begun_s = time.monotonic()
        what = ask(address, path, place < leave)
        result.came[what] += 1
        if what == "read":
            result.took_s.append(time.monotonic() - begun_s)

    threads = [threading.Thread(target=visit, args=(place,)) for place in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return result


class Watch:
    """What a question of no work waits for meanwhile, and the memory. Use as a context manager.

    Args:
        address: of the server.
        server: its process.

    Attributes:
        waited_s: of each question, once the block has ended.
        memory: bytes of the server and its children (PSS), now and then.
    """

    def __init__(self, address: str, server: psutil.Process) -> None:
        self._command = [sys.executable, "-m", "benchmarks.crowd", address, str(server.pid)]
        self.waited_s: list[float] = []
        self.memory: list[int] = []

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdin=pipe, stdout=pipe)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it watches
        return self

    def __exit__(self, *_: object) -> None:
        self.waited_s, self.memory = json.loads(self._process.communicate()[0])


def main() -> None:
    """Watch until the input ends; print what was seen."""
    address, server = sys.argv[1], psutil.Process(int(sys.argv[2]))
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    waited_s: list[float] = []
    memory: list[int] = []
    with client_of() as client:
        client.get(address + NO_WORK)
        print("watching", flush=True)
        while not ended.wait(PROBE_EVERY_S):
            begun_s = time.monotonic()
            client.get(address + NO_WORK)
            waited_s.append(time.monotonic() - begun_s)
            if len(waited_s) % MEMORY_EVERY == 1:
                memory.append(memory_of(server))
    print(json.dumps([waited_s, memory]))


if __name__ == "__main__":
    main()
