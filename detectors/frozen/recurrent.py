"""How does a recurrent network judge a run of frames?

A bidirectional LSTM (Hochreiter & Schmidhuber 1997; on features of single frames, to find
deepfakes: Guera & Delp 2018) reads the class tokens that the frozen `backbone.ClipBackbone` gives
of 16 to 32 frames. Their mean is taken off first, so that it sees how a face changes, and not whose
face it is. A format of this program; its checkpoints stand in for the temporal one. Imports
heads, layout and hub.
"""

from __future__ import annotations

import torch
from torch import nn

from detectors.frozen.heads import filled, whole
from detectors.frozen.layout import LAYERS, RECURRENT, WIDTH
from hub.checkpoint import Checkpoint
from hub.checks import refuse

FEWEST_FRAMES, MOST_FRAMES = 16, 32  # of one run
MOST_HIDDEN = 512  # numbers of the state in one direction
SCALE = WIDTH**0.5  # unit vectors to numbers of about 1, as the gates expect them


class RecurrentHead(nn.Module):
    """What change over a run of frames says.

    Args:
        layer: of the backbone, counted from 1, whose class tokens are read.
        hidden: numbers of the state in one direction.
    """

    def __init__(self, layer: int, hidden: int) -> None:
        super().__init__()
        self.layer = layer
        self.lstm = nn.LSTM(WIDTH, hidden, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hidden, 1)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(n, frames, WIDTH) class tokens to (n,) log-odds of fake."""
        unit = nn.functional.normalize(tokens.float(), dim=-1)
        states, _ = self.lstm(SCALE * (unit - unit.mean(1, keepdim=True)))
        return self.out(states.mean(1)).squeeze(-1)

    def judge(self, backbone: nn.Module, runs: torch.Tensor) -> torch.Tensor:
        """(n, frames, 3, s, s) prepared images to (n,) log-odds of fake."""
        tokens = backbone(runs.flatten(0, 1), self.layer, True)[-1][:, 0]
        return self(tokens.unflatten(0, runs.shape[:2]))


def load_recurrent(checkpoint: Checkpoint, device: str) -> RecurrentHead:
    """The network of a folder, tried once on tokens that do not change.

    Raises:
        UserError: ``weights_refused`` with what does not fit.
    """
    config, frames = checkpoint.config, checkpoint.card.frames
    layer = whole(config, "layer", LAYERS)
    hidden = whole(config, "hidden", MOST_HIDDEN)
    if not FEWEST_FRAMES <= frames <= MOST_FRAMES:
        raise refuse(
            f"The card says {frames} frames; {RECURRENT} reads {FEWEST_FRAMES} to {MOST_FRAMES}."
        )
    head = RecurrentHead(layer, hidden)
    filled(head, checkpoint, torch.ones(1, frames, WIDTH))
    return head.to(device)
