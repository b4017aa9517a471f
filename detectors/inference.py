"""How does a network run on the device where it is?

On a graphics card matrices are multiplied in bfloat16, which has the range of float32 and 8 binary
digits; on a processor everything is computed as it was trained. Every detector runs its network
within `inference`, where Stop is heard before each layer, and hands over its input by `moved`.
Imports stop and torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from stop import check

HALF_ON = ("cuda",)
"""Kinds of device on which matrices are multiplied in bfloat16; processors mostly emulate it."""


@contextmanager
def inference(device: str | torch.device) -> Iterator[None]:
    """Run networks without gradients, and with matrix products in bfloat16 on a graphics card.

    What comes out may be bfloat16 there: ``.float()`` before numpy.

    Args:
        device: where the network is, ``cpu`` or ``cuda``.

    Raises:
        UserError: before the next layer, once `stop.current_stop` says so.
    """
    _listen()
    kind = torch.device(device).type
    with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=kind in HALF_ON):
        yield


@cache
def _listen() -> None:
    """From now on every layer of every network asks first whether its thread's work shall end."""
    register_module_forward_pre_hook(_check)


def _check(layer: torch.nn.Module, given: Any) -> None:
    check()


def moved(tensor: torch.Tensor, device: str | torch.device) -> torch.Tensor:
    """A tensor of any shape and type on a device; to a graphics card it goes while others work.

    Page-locked memory is read by the card itself, so that the processor need not wait for the copy.

    Args:
        tensor: on the processor.
        device: where the network is, ``cpu`` or ``cuda``.
    """
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
