"""Which places of a face speak for manipulation, when several queries look for them?

Multi-attention (Zhao et al. 2021, arXiv:2103.02406): each of 4 to 8 learned queries puts its own
weights on the patch tokens that the frozen `backbone.ClipBackbone` gives of one layer, and reads
what it finds there with a linear layer. So the log-odds are a sum over queries and patches, and
each query's map is an exact share of the score. A format of this program; its checkpoints stand in
for the spatial one. Imports heads, layout and hub.
"""

from __future__ import annotations

import torch
from torch import nn

from detectors.frozen.heads import filled, whole
from detectors.frozen.layout import ATTENTION, LAYERS, PATCH_PX, SIZE_PX, WIDTH
from hub.checkpoint import Checkpoint
from hub.checks import refuse

MOST_QUERIES = 8  # one query that never learned to look is a linear head
GRID = SIZE_PX // PATCH_PX  # patches on a side
SCALE = WIDTH**0.5  # unit vectors to numbers of about 1


class AttentionHead(nn.Module):
    """Log-odds of fake from patch tokens.

    Args:
        layer: of the backbone, counted from 1, whose patch tokens are read.
        queries: how many look.
    """

    def __init__(self, layer: int, queries: int) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("mean", torch.zeros(WIDTH))
        self.register_buffer("spread", torch.ones(WIDTH))
        self.query = nn.Parameter(torch.zeros(queries, WIDTH))
        self.value = nn.Parameter(torch.zeros(queries, WIDTH))
        self.bias = nn.Parameter(torch.zeros(1))

    def standard(self, tokens: torch.Tensor) -> torch.Tensor:
        """(n, patches, WIDTH) tokens, each brought to one length, then each number to mean 0 and
        deviation 1 over the faces that the head learned from.
        """
        unit = SCALE * nn.functional.normalize(tokens.float(), dim=-1)
        return (unit - self.mean) / self.spread

    def attention(self, standard: torch.Tensor) -> torch.Tensor:
        """(n, patches, WIDTH) to (n, queries, patches) weights, whose sum over patches is 1."""
        return (standard @ (self.query.T / SCALE)).softmax(dim=1).transpose(1, 2)

    def added(self, standard: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        """(n, patches, WIDTH) and their weights to (n, queries, patches) log-odds that a query adds
        at a patch.
        """
        return attention * (standard @ self.value.T).transpose(1, 2)

    def total(self, added: torch.Tensor) -> torch.Tensor:
        """(n, queries, patches) to (n,) log-odds of fake."""
        return added.sum((1, 2)) + self.bias

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(n, patches, WIDTH) patch tokens to (n,) log-odds of fake."""
        standard = self.standard(tokens)
        return self.total(self.added(standard, self.attention(standard)))

    def judge(self, backbone: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is said of prepared images.

        Args:
            backbone: the frozen network.
            images: (n, 3, SIZE_PX, SIZE_PX) float32.

        Returns:
            (n,) log-odds of fake; (n, queries, GRID, GRID) maps whose means over the grid, added
            up over the queries, are the log-odds but for the bias.
        """
        standard = self.standard(backbone(images, self.layer)[-1][:, 1:])
        added = self.added(standard, self.attention(standard))
        maps = GRID**2 * added.unflatten(-1, (GRID, GRID))
        return self.total(added), maps


def load_attention(checkpoint: Checkpoint, device: str) -> AttentionHead:
    """The network of a folder, tried once on tokens that are all alike.

    Raises:
        UserError: ``weights_refused`` with what does not fit.
    """
    config, card = checkpoint.config, checkpoint.card
    layer = whole(config, "layer", LAYERS)
    queries = whole(config, "queries", MOST_QUERIES)
    if card.size_px != SIZE_PX or card.real_indices:
        raise refuse(
            f"The card of {checkpoint.name} does not fit {ATTENTION}, which takes {SIZE_PX} px and "
            "gives one number for fake."
        )
    head = AttentionHead(layer, queries)
    filled(head, checkpoint, torch.ones(1, GRID**2, WIDTH))
    return head.to(device)
