"""Which network does the spatial detector train?

DINOv2-small, nine layers deep, with a linear head on the class token and the mean patch token: the
patch half of the head, applied to each patch alone, is an exact share of the logit, and so the
heatmap. Imports `training`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import Dinov2Config, Dinov2ForImageClassification

from training.data.dinov2_weights import dinov2_small
from training.spatial.data import INPUT_PX

LAYERS = 9  # of 12: a quarter cheaper; the last ones hold semantics more than traces
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as DINOv2 was trained


def new_network(base: Path) -> Dinov2ForImageClassification:
    """The untrained detector: DINOv2-small's first layers and a zero head.

    The 37x37 positions are interpolated to the 12x12 grid once, here, so that the saved folder
    needs no interpolation when it is loaded.
    """
    body = dinov2_small(base)
    network = Dinov2ForImageClassification(spatial_config())
    state = {k: v for k, v in body.state_dict().items() if _kept_layer(k)}
    state["embeddings.position_embeddings"] = _smaller_grid(state["embeddings.position_embeddings"])
    network.dinov2.load_state_dict(state)
    nn.init.zeros_(network.classifier.weight)
    nn.init.zeros_(network.classifier.bias)
    return network


def spatial_config() -> Dinov2Config:
    """The architecture: what config.json holds."""
    return Dinov2Config(
        hidden_size=384,
        num_hidden_layers=LAYERS,
        num_attention_heads=6,
        image_size=INPUT_PX,
        patch_size=14,
        id2label={0: "real", 1: "fake"},
        label2id={"real": 0, "fake": 1},
    )


def _kept_layer(name: str) -> bool:
    parts = name.split(".")
    return not (name.startswith("encoder.layer.") and int(parts[2]) >= LAYERS)


def _smaller_grid(positions: torch.Tensor) -> torch.Tensor:
    """(1, 1 + 37 * 37, 384) to (1, 1 + 12 * 12, 384), bicubic."""
    grid = INPUT_PX // 14
    old = int((positions.shape[1] - 1) ** 0.5)
    image = positions[:, 1:].reshape(1, old, old, -1).permute(0, 3, 1, 2)
    image = nn.functional.interpolate(image, size=(grid, grid), mode="bicubic", antialias=True)
    return torch.cat([positions[:, :1], image.flatten(2).transpose(1, 2)], 1)


class PatchLogits(nn.Module):
    """The network with its logit and what each patch adds to it.

    Attributes:
        scale, bias: turn a patch's share into the logit "this patch was touched"; used in training
            only.
    """

    def __init__(self, network: Dinov2ForImageClassification) -> None:
        super().__init__()
        self.network = network
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.bias = nn.Parameter(torch.tensor(-1.0))

    def forward(
        self, pixels: torch.Tensor, selected: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of fake against real.

        Args:
            pixels: (b, 3, 168, 168) normalized float.
            selected: (b, k) indices of the patches to look at, or None for all.

        Returns:
            (b,) logit and (b, k) shares of the patches: the logit is their mean plus the class
            token's part and the bias.
        """
        body = self.network.dinov2
        tokens = body.embeddings(pixels)
        if selected is not None:
            index = selected[..., None].expand(-1, -1, tokens.shape[-1])
            tokens = torch.cat([tokens[:, :1], tokens[:, 1:].gather(1, index)], 1)
        for block in body.encoder.layer:
            tokens = block(tokens)
        tokens = body.layernorm(tokens)
        head = self.network.classifier
        weight = head.weight[1] - head.weight[0]
        class_weight, patch_weight = weight.split(tokens.shape[-1])
        shares = tokens[:, 1:] @ patch_weight
        logit = tokens[:, 0] @ class_weight + shares.mean(1) + head.bias[1] - head.bias[0]
        return logit, shares


def normalized(images: np.ndarray) -> torch.Tensor:
    """(b, 168, 168, 3) uint8 RGB to (b, 3, 168, 168) float."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (pixels - mean) / std
