"""An image that two heads look at goes through the backbone once.

Both *generation* and *mouth* look at the mouth of the same frames. The vectors of the last images
are kept beside the backbone, in memory alone; older ones are dropped. Needs torch.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

MOST_IMAGES = 64

_memos: WeakKeyDictionary[nn.Module, OrderedDict[Hashable, torch.Tensor]] = WeakKeyDictionary()
_lock = Lock()


def remembered(
    backbone: nn.Module,
    images: np.ndarray,
    asked: Hashable,
    look: Callable[[np.ndarray], torch.Tensor],
) -> torch.Tensor:
    """The vectors of some images, of which only those not seen of late are looked at.

    Args:
        backbone: whose vectors they are.
        images: (n, height, width, 3) uint8 RGB.
        asked: what else the vectors depend on: parts, mean and spread of the input.
        look: (k, height, width, 3) uint8 to (k, features) float32; each row depends on its own
            image only.

    Returns:
        (n, features) float32.
    """
    keys = [(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), asked) for image in images]
    with _lock:
        memo = _memos.setdefault(backbone, OrderedDict())
        known = {key: memo[key] for key in keys if key in memo}
    new = {key: place for place, key in enumerate(keys) if key not in known}
    if new:
        vectors = look(images[list(new.values())])
        known.update(zip(new, vectors, strict=True))
    with _lock:
        for key in keys:
            memo[key] = known[key]
            memo.move_to_end(key)
        while len(memo) > MOST_IMAGES:
            memo.popitem(last=False)
    return torch.stack([known[key] for key in keys])


def forget() -> None:
    """Drop all vectors, so that the same file costs again what it cost the first time."""
    with _lock:
        _memos.clear()
