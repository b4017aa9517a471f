"""Which networks are loaded, and for how long?

Networks are shared by all visitors, and a backbone by all heads on it. They are let go when memory
is short, the longest unused one first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from detectors.base import Detector
from detectors.trial import try_once
from errors import UserError
from hub.checkpoint import Checkpoint
from stop import current_stop

MOST_BYTES = 3_000_000_000  # of weights held in memory at the same time
Trial = Callable[[type[Detector], Checkpoint], None]
LOAD_LIMIT_S = 180.0  # the largest checkpoint of the catalog takes 20 s on two cores


def best_device(wish: str = "auto") -> str:
    """``cuda`` where there is one, unless another device is asked for by name."""
    if wish != "auto":
        return wish
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


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
        self._lock = threading.Lock()

    def detector(self, kind: type[Detector], checkpoint: Checkpoint, device: str) -> Detector:
        """A detector on a loaded network; loads it when it is not held yet.

        One network is loaded once however many ask for it, and nobody waits for another one. Who
        is asked to stop waits no longer; the network is loaded to the end, for the next one.

        Raises:
            UserError: ``weights_refused`` when it does not load, or not within the limit; what
                `stop.current_stop` says.
        """
        key = (kind.role.name, str(checkpoint.folder), checkpoint.sha256, device)
        if not checkpoint.embedded and key not in self._held:
            self._trial(kind, checkpoint)
        load = partial(kind.load, checkpoint, device)
        network = self._network(key, checkpoint.name, checkpoint.folder, load)
        backbone = kind.backbone(checkpoint)
        if backbone is None:
            return kind(checkpoint, network, device)
        folder = backbone.folder
        load = partial(backbone.load, folder, device)
        shared = self._network(("backbone", str(folder), device), folder.name, folder, load)
        return kind(checkpoint, network, device, shared)

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


def weight_bytes(folder: Path) -> int:
    """Size of the weights on disk, a good guess of their size in memory."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
