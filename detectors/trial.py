"""Does a stranger's checkpoint load, before the program itself loads it?

A cell (`media.nursery`) with limits and without network builds the network and runs it once on a
blank input, as its detector does whenever it loads. What hangs, crashes or eats memory does so
there. ``python -m detectors.trial FD`` is the nursery; it has torch, and ends when nothing was
tried for a while. Linux only; elsewhere nothing is tried. Imports hub, media and torch.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from errors import UserError
from hub.checkpoint import Card, Checkpoint
from stop import Stop, check, current_stop
from threads import set_threads

if TYPE_CHECKING:
    from detectors.base import Detector
    from media.nursery import Line, Nurseries

NEEDED = ("torch", "transformers", "safetensors.torch", "timm")
MOST_MEMORY_BYTES = 24_000_000_000  # address space; torch alone takes 5, the largest network 4
MOST_OUTPUT_BYTES = 1_000_000
TRIAL_S = 150.0  # less than the pool waits for a checkpoint
IDLE_S = 60.0  # after which the nursery, some 400 MB, is ended
SENTENCES = {
    "reader_crashed": "{name} brought down the process that tried it, and was not loaded.",
    "reader_memory": "{name} takes more memory than a checkpoint may have here.",
    "reader_limit": "{name} takes too long to load.",
    "took_too_long": "{name} takes too long to load.",
}


class _Trials:
    """The nursery of trials, which is there only while it is used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._nurseries: Nurseries | None = None
        self._end: threading.Timer | None = None

    @contextmanager
    def line(self, stop: Stop) -> Iterator[Line]:
        """A line to a new cell; when no other is open, the nursery ends after `IDLE_S`."""
        from media.nursery import Line, Nurseries

        with self._lock:
            self._running += 1
            if self._end is not None:
                self._end.cancel()
            nurseries = self._nurseries = self._nurseries or Nurseries("-m", "detectors.trial")
        try:
            with closing(Line(nurseries, stop)) as line:
                yield line
        finally:
            with self._lock:
                self._running -= 1
                if self._running == 0:
                    self._end = threading.Timer(IDLE_S, nurseries.close)
                    self._end.daemon = True
                    self._end.start()


TRIALS = _Trials()


def try_once(kind: type[Detector], checkpoint: Checkpoint) -> None:
    """Load a checkpoint in a process of its own and run it once.

    Raises:
        UserError: ``weights_refused`` with what is wrong; what `stop.current_stop` says.
    """
    if sys.platform != "linux":
        return
    described = {
        "name": checkpoint.name, "folder": str(checkpoint.folder), "config": checkpoint.config,
        "revision": checkpoint.revision, "sha256": checkpoint.sha256,
    }  # fmt: skip
    try:
        with TRIALS.line(Stop(TRIAL_S, current_stop())) as line:
            line.ask(
                "try", module=kind.__module__, kind=kind.__qualname__,
                card=checkpoint.card.to_json(), **described,
            )  # fmt: skip
    except UserError as error:
        check()  # it was not the checkpoint
        words = SENTENCES.get(error.code, "{sentence}")
        sentence = words.format(name=checkpoint.name, sentence=error.sentence)
        raise UserError("weights_refused", sentence) from error


def main() -> None:
    """Be the nursery until the program closes the connection."""
    from confine import Limits  # not everywhere
    from media.nursery import raise_cells

    limits = Limits(MOST_MEMORY_BYTES, MOST_OUTPUT_BYTES)
    raise_cells(NEEDED, limits, lambda: _try)


def _try(question: dict[str, Any]) -> dict[str, Any]:
    """Load what is described, as its detector does; raises what that raises."""
    from confine import read_only  # not everywhere

    folder = Path(question["folder"])
    read_only(folder, *(path.resolve() for path in folder.rglob("*")))  # the Hub's are links
    set_threads(1)  # a forked process has none of the threads of its parent
    kind = import_module(question["module"])
    for name in question["kind"].split("."):
        kind = getattr(kind, name)
    checkpoint = Checkpoint(
        name=question["name"], role=kind.role, folder=folder,
        card=Card.from_json(question["card"]), config=question["config"],
        revision=question["revision"], sha256=question["sha256"], embedded=False,
    )  # fmt: skip
    kind.load(checkpoint, "cpu")
    return {}


if __name__ == "__main__":
    main()
