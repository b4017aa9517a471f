"""Tiny random weights laid out exactly as published checkpoints are, names and all.

Not a test. Sizes are small, names and the order of dimensions are those of the public code, which
is named with file and commit at each of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

WIDTH = 64  # one attention head of the large backbones


def save(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> Path:
    """Write config.json and model.safetensors."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    whole = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def gend(folder: Path, backbone: str, head: str = "LinearNorm", seed: int = 0) -> Path:
    """As yermandy/GenD_CLIP_L_14, _PE_L and _DINOv3_L: src/hf/modeling_gend.py at b26c2b2."""
    torch.manual_seed(seed)
    make, prefix = {
        "openai/clip-vit-large-patch14": (_clip, "feature_extractor.vision_model."),
        "vit_pe_core_large_patch14_336": (_perception, "feature_extractor.backbone."),
        "facebook/dinov3-vitl16-pretrain-lvd1689m": (_dinov3, "feature_extractor.backbone."),
    }[backbone]
    tensors = {prefix + name: value for name, value in make().items()}
    if "clip" in backbone:
        tensors["feature_extractor.visual_projection.weight"] = torch.randn(8, WIDTH)
    tensors |= {
        "model.linear.weight": torch.randn(2, WIDTH),
        "model.linear.bias": torch.randn(2),
    }
    config = {
        "architectures": ["GenD"],
        "auto_map": {"AutoModel": "modeling_gend.GenD"},  # as in Ant-One's copies
        "backbone": backbone,
        "head": head,
        "model_type": "GenD",
    }
    return save(folder, config, tensors)


def _clip() -> dict[str, Tensor]:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    sizes = {"hidden_size": WIDTH, "intermediate_size": 96, "num_hidden_layers": 2}
    config = CLIPVisionConfig(**sizes, num_attention_heads=1, image_size=224, patch_size=56)
    return CLIPVisionModel(config).state_dict()


def _dinov3() -> dict[str, Tensor]:
    """transformers 4.56, with which it was published, called the layers layer.0 and so on."""
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    sizes = {"hidden_size": WIDTH, "intermediate_size": 96, "num_hidden_layers": 2}
    config = DINOv3ViTConfig(
        **sizes, num_attention_heads=1, image_size=224, patch_size=56, num_register_tokens=4
    )
    named = DINOv3ViTModel(config).state_dict()
    return {name.removeprefix("model."): value for name, value in named.items()}


def _perception() -> dict[str, Tensor]:
    import timm

    return timm.create_model(
        "vit_pe_core_large_patch14_336", pretrained=False, num_classes=0, dynamic_img_size=True,
        embed_dim=WIDTH, depth=2, num_heads=1, img_size=56,
    ).state_dict()  # fmt: skip
