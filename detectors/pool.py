"""Which networks are loaded, and for how long?

Networks are shared by all visitors and let go when memory is short, the longest unused one first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import torch

from detectors.base import Detector
from hub.checkpoint import Checkpoint

MOST_BYTES = 3_000_000_000  # of weights held in memory at the same time


def best_device(wish: str = "auto") -> str:
    """``cuda`` where there is one, unless another device is asked for by name."""
    if wish != "auto":
        return wish
    return "cuda" if torch.cuda.is_available() else "cpu"


class Pool:
    """Loaded networks by checkpoint and device. Safe to use from several threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[tuple, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def detector(self, kind: type[Detector], checkpoint: Checkpoint, device: str) -> Detector:
        """A detector on a loaded network; loads it when it is not held yet."""
        key = (kind.name, str(checkpoint.folder), checkpoint.sha256, device)
        with self._lock:
            if key not in self._held:
                network = kind.load(checkpoint, device)
                self._held[key] = (network, checkpoint_bytes(checkpoint))
            self._held.move_to_end(key)
            self._shrink()
            network = self._held[key][0]
        return kind(checkpoint, network, device)

    def _shrink(self) -> None:
        while (
            len(self._held) > 1 and sum(size for _, size in self._held.values()) > self._most_bytes
        ):
            self._held.popitem(last=False)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._held.clear()


def checkpoint_bytes(checkpoint: Checkpoint) -> int:
    """Size of the weights on disk, a good guess of their size in memory."""
    return sum(f.stat().st_size for f in checkpoint.folder.glob("*.safetensors"))
