"""Where does the temporal network start from?

A VideoMAE classifier (Tong et al. 2022, arXiv:2203.12602) whose blocks are those of DINOv2-small
(Oquab et al. 2023, arXiv:2304.07193), a network that has seen pictures only. Imports
`base_weights`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from transformers import VideoMAEConfig, VideoMAEForVideoClassification

from training.base_weights import dinov2_small
from training.temporal_data import FRAMES, OUT_PX

PATCH_PX, TUBELET, LAYERS = 16, 2, 5
WIDTH = 384
MOTION_GAIN = 2.0  # change between two frames against the picture itself, in the patch weights


def empty_model() -> VideoMAEForVideoClassification:
    """The architecture with random weights: 16 frames of 112 px, 8 x 7 x 7 tokens."""
    config = VideoMAEConfig(
        image_size=OUT_PX,
        patch_size=PATCH_PX,
        num_frames=FRAMES,
        tubelet_size=TUBELET,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=6,
        intermediate_size=4 * WIDTH,
        layer_norm_eps=1e-6,
        id2label={0: "real", 1: "fake"},
        label2id={"real": 0, "fake": 1},
    )
    return VideoMAEForVideoClassification(config)


def new_model(base: Path) -> VideoMAEForVideoClassification:
    """A VideoMAE whose first blocks are DINOv2-small's.

    DINOv2's layer scale is folded into the projections. VideoMAE's positions are fixed sinusoids,
    far larger than DINOv2's learned ones, so everything that writes into the residual stream is
    scaled up until both have the same size: the layer norms make the blocks blind to that factor.
    """
    model = empty_model()
    source = dinov2_small(base)
    positions = source.embeddings.position_embeddings.detach()[0, 1:]
    factor = float(model.videomae.embeddings.position_embeddings.std() / positions.std())
    with torch.no_grad():
        _fill_patches(model, source, positions.mean(0), factor)
        for layer, old in zip(model.videomae.encoder.layer, source.encoder.layer, strict=False):
            _fill_layer(layer, old, factor)
        model.classifier.weight.mul_(0.1)
    return model


def _fill_patches(
    model: nn.Module, source: nn.Module, position: torch.Tensor, factor: float
) -> None:
    """Patch weights 14 to 16 px, inflated over two frames; a part answers to their difference."""
    old = source.embeddings.patch_embeddings.projection
    size = (PATCH_PX, PATCH_PX)
    weight = nn.functional.interpolate(old.weight, size, mode="bicubic", antialias=True)
    weight = weight * (14 / PATCH_PX) ** 2 / TUBELET * factor
    turned = weight[torch.randperm(len(weight), generator=torch.Generator().manual_seed(0))]
    new = model.videomae.embeddings.patch_embeddings.projection
    change = MOTION_GAIN * turned
    new.weight.copy_(torch.stack([weight + change, weight - change], 2))
    new.bias.copy_((old.bias + position) * factor)


def _fill_layer(layer: nn.Module, old: nn.Module, factor: float) -> None:
    """One block; key biases drop out (softmax does not see them)."""
    own, theirs = layer.attention.attention, old.attention
    for name in ("query", "key", "value"):
        projection = getattr(theirs, f"{name[0]}_proj")
        getattr(own, name).weight.copy_(projection.weight)
        if getattr(own, name).bias is not None:
            getattr(own, name).bias.copy_(projection.bias)
    pairs = (
        (layer.attention.output.dense, theirs.o_proj, old.layer_scale1.lambda1 * factor),
        (layer.intermediate.dense, old.mlp.fc1, torch.ones(())),
        (layer.output.dense, old.mlp.fc2, old.layer_scale2.lambda1 * factor),
    )
    for new, linear, scale in pairs:
        new.weight.copy_(linear.weight * scale.reshape(-1, 1))
        new.bias.copy_(linear.bias * scale)
    for new, norm in ((layer.layernorm_before, old.norm1), (layer.layernorm_after, old.norm2)):
        new.load_state_dict(norm.state_dict())
