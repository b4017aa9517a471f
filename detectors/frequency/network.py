"""What do the features of a face say? One hidden layer over the description of `features`.

Pure torch; never sees an image. Imports `features`.
"""

from __future__ import annotations

import torch
from torch import nn

from detectors.frequency.features import LENGTH

CLIP = 4.0  # spreads: further out, a number of the description counts as this far


class FrequencyNet(nn.Module):
    """Logit of fake against real from a description: one hidden layer.

    Attributes:
        mean, spread: (1029,) of the training data.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(self, hidden: int = 64, drop: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(LENGTH))
        self.register_buffer("spread", torch.ones(LENGTH))
        self.layers = nn.Sequential(
            nn.Dropout(drop),
            nn.Linear(LENGTH, hidden),
            nn.GELU(),
            nn.Dropout(drop),
            nn.Linear(hidden, 1),
        )

    def forward(self, descriptions: torch.Tensor) -> torch.Tensor:
        """(n, 1029) float32 descriptions to (n,) logits."""
        standard = ((descriptions - self.mean) / self.spread).clamp(-CLIP, CLIP)
        return self.layers(standard)[:, 0]
