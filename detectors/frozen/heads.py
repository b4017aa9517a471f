"""How does a folder become a network that stands on the frozen backbone?

What the small networks of this room share: whole numbers of ``config.json`` within bounds, and
weights that fit and answer numbers. Imports hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from hub.checkpoint import Checkpoint
from hub.checks import WEIGHTS, refuse


def whole(config: Mapping[str, Any], name: str, most: int) -> int:
    """A whole number of ``config.json``, 1 to ``most``.

    Raises:
        UserError: ``weights_refused`` when it is none.
    """
    value = config.get(name)
    if type(value) is not int or not 1 <= value <= most:
        raise refuse(f"config.json: expected {name} from 1 to {most}, got {repr(value)[:60]}.")
    return value


def filled(head: nn.Module, checkpoint: Checkpoint, example: torch.Tensor) -> nn.Module:
    """The network with the weights of a folder, tried once.

    Args:
        head: of the shapes that the config gives.
        checkpoint: whose ``model.safetensors`` is read.
        example: what it is tried on.

    Raises:
        UserError: ``weights_refused`` when tensors do not fit, or do not give numbers.
    """
    try:
        head.load_state_dict(load_file(checkpoint.folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise refuse(f"{checkpoint.name} does not fit its config: {words[-1][:160]}") from error
    head.eval()
    with torch.inference_mode():
        if not bool(torch.isfinite(head(example)).all()):
            raise refuse(f"Weights of {checkpoint.name} are not numbers.")
    return head
