"""How is the app started and asked as a stranger would: in a process of its own, over HTTP?

Imports nothing outside of the room.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.clips import ROOT

START_S = 600.0  # on a machine that is busy with other work
LOOK_EVERY_S = 0.05
CODE = "import app, threads; threads.set_threads(); app.serve(app.build(), {port})"


@dataclass(frozen=True)
class Server:
    """The running app.

    Attributes:
        process: its own, of which those that read files are children.
        address: ending in a slash.
        waited_s: from the start of the process to the first answer with status 200.
    """

    process: psutil.Process
    address: str
    waited_s: float

    def ask(self, path: Path) -> Any:
        """The report of a file, analyzed with the settings that programs get."""
        from gradio_client import Client, handle_file

        client = Client(self.address, verbose=False, analytics_enabled=False)
        return client.predict(file=handle_file(str(path)), api_name="/analyze")


@contextlib.contextmanager
def served() -> Iterator[Server]:
    """Start the app on a free port, and end it.

    Raises:
        RuntimeError: it does not answer.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begun_s = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", CODE.format(port=port)], cwd=ROOT)
    address = f"http://127.0.0.1:{port}/"
    try:
        while not _answers(address):
            if process.poll() is not None or time.monotonic() - begun_s > START_S:
                raise RuntimeError("the app did not start")
            time.sleep(LOOK_EVERY_S)
        yield Server(psutil.Process(process.pid), address, time.monotonic() - begun_s)
    finally:
        process.terminate()
        process.wait()


def _answers(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(address, timeout=5).status_code == httpx.codes.OK
    return False
