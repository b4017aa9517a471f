"""How does a checkpoint of GenD become a network that runs, without its own code?

GenD (Yermakov et al. 2025, arXiv:2508.06248) is a large image backbone of which only the layer
norms were trained, and a linear head on its class token, which LinearNorm scales to length 1 first.
Names and shapes as in yermandy/GenD, src/hf/modeling_gend.py at b26c2b2. All sizes are read off the
tensors, as the config names the backbone only. Imports errors, hub, torch and transformers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from hub.layouts import GEND_SIZE_PX, gend_family

HEAD_WIDTH = 64  # numbers an attention head has in all three large backbones
_PREFIX = re.compile(r"^feature_extractor\.(vision_model\.|backbone\.)")


class GenD(nn.Module):
    """A backbone and a linear head, called like a classifier of transformers."""

    def __init__(self, backbone: nn.Module, family: str, head: nn.Linear, unit: bool) -> None:
        super().__init__()
        self.backbone, self.family, self.head, self.unit = backbone, family, head, unit
        self.config = SimpleNamespace(model_type="gend")

    def forward(self, pixel_values: Tensor, **_: Any) -> SimpleNamespace:
        """(n, 3, 224, 224) float to an object with ``logits`` (n, 2)."""
        token = self._token(pixel_values)
        return SimpleNamespace(
            logits=self.head(F.normalize(token, dim=1) if self.unit else token),
            hidden_states=None,
        )

    def _token(self, pixel_values: Tensor) -> Tensor:
        if self.family == "clip":
            return self.backbone(pixel_values=pixel_values).pooler_output
        if self.family == "dino":
            return self.backbone(pixel_values=pixel_values).last_hidden_state[:, 0]
        return self.backbone(pixel_values)


def build_gend(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> GenD:
    """Build the network from its config and its tensors, in fp32.

    Raises:
        UserError: ``weights_refused`` for an unknown backbone.
        KeyError, RuntimeError: when tensors are missing or do not fit each other.
    """
    family = gend_family(config)
    body = {_PREFIX.sub("", key): value.float() for key, value in tensors.items()}
    weight, bias = body["model.linear.weight"], body["model.linear.bias"]
    inner = {k: v for k, v in body.items() if not k.startswith(("model.linear", "feature_"))}
    backbone = {"clip": _clip, "dino": dinov3, "pe": _perception}[family](inner)
    head = nn.Linear(weight.shape[1], weight.shape[0])
    head.load_state_dict({"weight": weight, "bias": bias})
    return GenD(backbone, family, head, str(config.get("head")) == "LinearNorm")


def _clip(tensors: Mapping[str, Tensor]) -> nn.Module:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    patch = tensors["embeddings.patch_embedding.weight"]
    places = len(tensors["embeddings.position_embedding.weight"]) - 1
    config = CLIPVisionConfig(
        hidden_size=patch.shape[0],
        intermediate_size=len(tensors["encoder.layers.0.mlp.fc1.weight"]),
        num_hidden_layers=_count(tensors, r"encoder\.layers\.(\d+)\."),
        num_attention_heads=max(1, patch.shape[0] // HEAD_WIDTH),
        patch_size=patch.shape[-1],
        image_size=round(places**0.5) * patch.shape[-1],
        hidden_act="quick_gelu",  # as OpenAI trained it
    )
    backbone = CLIPVisionModel(config)
    known = {k: v for k, v in tensors.items() if not k.endswith("position_ids")}
    backbone.load_state_dict(known)
    return backbone


def dinov3(tensors: Mapping[str, Tensor]) -> nn.Module:
    """A DINOv3 from its tensors, by their names in transformers; every size is read off them.

    Raises:
        KeyError, RuntimeError: when tensors are missing or do not fit each other.
    """
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    named = {re.sub(r"^layer\.", "model.layer.", key): value for key, value in tensors.items()}
    patch = named["embeddings.patch_embeddings.weight"]
    config = DINOv3ViTConfig(
        hidden_size=patch.shape[0],
        intermediate_size=len(named["model.layer.0.mlp.up_proj.weight"]),
        num_hidden_layers=_count(named, r"model\.layer\.(\d+)\."),
        num_attention_heads=max(1, patch.shape[0] // HEAD_WIDTH),
        patch_size=patch.shape[-1],
        image_size=GEND_SIZE_PX,
        num_register_tokens=named["embeddings.register_tokens"].shape[1],
        use_gated_mlp="model.layer.0.mlp.gate_proj.weight" in named,
    )
    backbone = DINOv3ViTModel(config)
    backbone.load_state_dict(named)
    return backbone


def _perception(tensors: Mapping[str, Tensor]) -> nn.Module:
    import timm

    patch, places = tensors["patch_embed.proj.weight"], tensors["pos_embed"].shape[1] - 1
    backbone = timm.create_model(
        "vit_pe_core_large_patch14_336",
        pretrained=False,
        num_classes=0,  # GenD replaces the head by its own
        dynamic_img_size=True,
        embed_dim=patch.shape[0],
        depth=_count(tensors, r"blocks\.(\d+)\."),
        num_heads=max(1, patch.shape[0] // HEAD_WIDTH),
        img_size=round(places**0.5) * patch.shape[-1],
    )
    backbone.load_state_dict(dict(tensors))
    return backbone


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """How many numbered layers there are."""
    numbers = {int(result[1]) for key in tensors if (result := re.match(pattern, key))}
    return max(numbers, default=-1) + 1
