"""How does a checkpoint of SimLBR become a network that runs, without its own code?

SimLBR (Dhakal et al. 2026, arXiv:2602.20412) is a frozen DINOv3 and a small perceptron on its class
token, saved together by Lightning. Names and shapes as in mvrl/SimLBR, simlbr/model.py and
simlbr/backbones.py at 7d5d800, whose backbone has the names of facebookresearch/dinov3. All sizes
are read off the tensors. Imports detectors.gend and torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from detectors.gend import dinov3

BACKBONE, HEAD = "backbone.model.", "classifier."
LEFT_OUT = ("rope_embed.", "bias_mask")  # computed anew; 1 but for the keys, whose bias is 0
NAMES = {  # of facebookresearch/dinov3, to those of transformers
    r"^cls_token": "embeddings.cls_token",
    r"^storage_tokens": "embeddings.register_tokens",
    r"^patch_embed\.proj\.": "embeddings.patch_embeddings.",
    r"^blocks\.(\d+)\.": r"layer.\1.",
    r"\.attn\.proj\.": ".attention.o_proj.",
    r"\.ls([12])\.gamma": r".layer_scale\1.lambda1",
    r"\.mlp\.fc1\.": ".mlp.up_proj.",
    r"\.mlp\.fc2\.": ".mlp.down_proj.",
}
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


class SimLBR(nn.Module):
    """A backbone and a perceptron, called like a classifier of transformers."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.config = SimpleNamespace(model_type="simlbr")

    def forward(self, pixel_values: Tensor, **_: Any) -> SimpleNamespace:
        """(n, 3, 256, 256) float to an object with ``logits`` (n, 1)."""
        token = self.backbone(pixel_values=pixel_values).last_hidden_state[:, 0]
        return SimpleNamespace(logits=self.head(token), hidden_states=None)


def build_simlbr(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> SimLBR:
    """Build the network from its tensors, in fp32; ``activation`` of the config, ReLU otherwise.

    Raises:
        KeyError, RuntimeError: when tensors are missing or do not fit each other.
    """
    inner = {
        name: value.float()
        for key, tensor in tensors.items()
        if key.startswith(BACKBONE)
        for name, value in _renamed(key.removeprefix(BACKBONE), tensor)
    }
    head = {k.removeprefix(HEAD): v.float() for k, v in tensors.items() if k.startswith(HEAD)}
    return SimLBR(dinov3(inner), _perceptron(head, str(config.get("activation", "relu"))))


def _renamed(key: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """One tensor of the backbone, by the names of transformers; keys have no bias there."""
    if key.startswith(LEFT_OUT) or key.endswith(LEFT_OUT):
        return
    if key == "mask_token":
        yield "embeddings.mask_token", tensor[None]
        return
    for pattern, name in NAMES.items():
        key = re.sub(pattern, name, key)
    if ".attn.qkv." not in key:
        yield key, tensor
        return
    for part, value in zip("qkv", tensor.chunk(3), strict=True):
        name = key.replace(".attn.qkv.", f".attention.{part}_proj.")
        if not name.endswith("k_proj.bias"):
            yield name, value


def _perceptron(tensors: Mapping[str, Tensor], activation: str) -> nn.Sequential:
    """Linear layers with an activation between each two; dropout does nothing any more."""
    places = sorted({int(key.split(".")[0]) for key in tensors})
    layers: list[nn.Module] = []
    for place in places:
        weight, bias = tensors[f"{place}.weight"], tensors[f"{place}.bias"]
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        layers += [layer, ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])
