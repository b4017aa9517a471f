"""Which networks are loaded, and for how long?

Networks are shared by all visitors, and a backbone by all heads on it. They are let go when memory
is short, the longest unused one first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from detectors.base import Detector
from detectors.trial import try_once
from errors import UserError
from hub.checkpoint import Checkpoint
from stop import Stop, current_stop

MOST_BYTES = 3_000_000_000  # of weights held in memory at the same time
Trial = Callable[[type[Detector], Checkpoint], None]
LOAD_LIMIT_S = 180.0  # the largest checkpoint of the catalog takes 20 s on two cores


def best_device(wish: str = "auto") -> str:
    """``cuda`` where there is one, unless another device is asked for by name."""
    if wish != "auto":
        return wish
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass
class _Trying:
    """A trial that goes on, and how many wait for it: it is asked to end when nobody does."""

    future: Future[None] = field(default_factory=Future)
    stop: Stop = field(default_factory=Stop)
    waiting: int = 0


class Pool:
    """Loaded networks by checkpoint and device. Safe to use from several threads.

    Args:
        most_bytes: of weights held at the same time.
        limit_s: seconds that one may take to load.
        trial: tries a stranger's checkpoint first; raises UserError when it is refused.
    """

    def __init__(
        self, most_bytes: int = MOST_BYTES, limit_s: float = LOAD_LIMIT_S, trial: Trial = try_once
    ) -> None:
        self._trial = trial
        self._most_bytes = most_bytes
        self._limit_s = limit_s
        self._held: OrderedDict[tuple, tuple[Any, int]] = OrderedDict()
        self._loading: dict[tuple, Future] = {}
        self._trying: dict[tuple, _Trying] = {}
        self._tried: set[tuple] = set()
        self._lock = threading.Lock()

    def detector(self, kind: type[Detector], checkpoint: Checkpoint, device: str) -> Detector:
        """A detector on a loaded network; loads it when it is not held yet.

        One network is tried and loaded once however many ask for it, and nobody waits for another
        one. Who is asked to stop waits no longer; a trial then ends when nobody else waits for it,
        and a network is loaded to the end, for the next one.

        Raises:
            UserError: ``weights_refused`` when it does not load, or not within the limit; what
                `stop.current_stop` says.
        """
        key = (kind.role.name, str(checkpoint.folder), checkpoint.sha256, device)
        if not checkpoint.embedded:
            self._try(key, kind, checkpoint)
        load = partial(kind.load, checkpoint, device)
        network = self._network(key, checkpoint.name, checkpoint.folder, load)
        backbone = kind.backbone(checkpoint)
        if backbone is None:
            return kind(checkpoint, network, device)
        folder = backbone.folder
        load = partial(backbone.load, folder, device)
        shared = self._network(("backbone", str(folder), device), folder.name, folder, load)
        return kind(checkpoint, network, device, shared)

    def _try(self, key: tuple, kind: type[Detector], checkpoint: Checkpoint) -> None:
        """Return once a stranger's checkpoint was tried; a thread of its own tries it."""
        with self._lock:
            if key in self._tried:
                return
            trying = self._trying.get(key)
            if trying is None:
                trying = self._trying[key] = _Trying()
                arguments = (key, partial(self._trial, kind, checkpoint), trying)
                threading.Thread(target=self._run, args=arguments, daemon=True).start()
            trying.waiting += 1
        try:
            current_stop().wait_for(trying.future)
        finally:
            with self._lock:
                trying.waiting -= 1
                if trying.waiting == 0:
                    trying.stop.ask()
                    self._trying.pop(key, None)

    def _run(self, key: tuple, trial: Callable[[], None], trying: _Trying) -> None:
        try:
            with trying.stop.obeyed():
                trial()
        except BaseException as error:  # belongs to those who wait
            trying.future.set_exception(error)
            return
        with self._lock:
            self._tried.add(key)
        trying.future.set_result(None)

    def _network(self, key: tuple, name: str, folder: Path, load: Callable[[], Any]) -> Any:
        """The network of a key; a thread of its own loads it when it is not held yet."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][0]
            future = self._loading.get(key)
            if future is None:
                future = self._loading[key] = Future()
                arguments = (key, folder, load, future)
                threading.Thread(target=self._load, args=arguments, daemon=True).start()
        try:
            return current_stop().wait_for(future, self._limit_s)
        except TimeoutError as error:
            sentence = f"{name} did not load within {self._limit_s:g} s."
            raise UserError("weights_refused", sentence) from error

    def _load(self, key: tuple, folder: Path, load: Callable[[], Any], future: Future) -> None:
        """Load outside the lock, so that a slow checkpoint holds up nobody else's."""
        try:
            network = load()
        except BaseException as error:
            with self._lock:
                self._loading.pop(key, None)
            future.set_exception(error)
            return
        with self._lock:
            self._held[key] = (network, weight_bytes(folder))
            self._loading.pop(key, None)
            self._shrink()
        future.set_result(network)

    def _shrink(self) -> None:
        while (
            len(self._held) > 1 and sum(size for _, size in self._held.values()) > self._most_bytes
        ):
            self._held.popitem(last=False)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._held.clear()
            self._tried.clear()


def weight_bytes(folder: Path) -> int:
    """Size of the weights on disk, a good guess of their size in memory."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
