"""Tiny random checkpoints of every family, with a fixed seed, so that no test downloads anything.

Not a test. ``write_model(folder, family, …)`` leaves a folder that looks like a Hub repo.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch

SIZE_PX = 32
_VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": SIZE_PX,
    "patch_size": 8,
}
IMAGE_FAMILIES = {
    "vit": ("ViTConfig", "ViTForImageClassification", _VIT),
    "deit": ("DeiTConfig", "DeiTForImageClassification", _VIT),
    "beit": ("BeitConfig", "BeitForImageClassification", _VIT),
    "dinov2": ("Dinov2Config", "Dinov2ForImageClassification", _VIT),
    "siglip": (
        "SiglipConfig",
        "SiglipForImageClassification",
        {
            "vision_config": _VIT,
            "text_config": {
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "vocab_size": 32,
            },
        },
    ),
    "swin": (
        "SwinConfig",
        "SwinForImageClassification",
        {
            "image_size": SIZE_PX,
            "patch_size": 4,
            "embed_dim": 8,
            "depths": [1, 1],
            "num_heads": [1, 2],
            "window_size": 4,
        },
    ),
    "convnext": (
        "ConvNextConfig",
        "ConvNextForImageClassification",
        {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "image_size": SIZE_PX},
    ),
    "resnet": (
        "ResNetConfig",
        "ResNetForImageClassification",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
    ),
    "efficientnet": (
        "EfficientNetConfig",
        "EfficientNetForImageClassification",
        {
            "image_size": SIZE_PX,
            "width_coefficient": 0.25,
            "depth_coefficient": 1.0,
            "hidden_dim": 320,
            "in_channels": [32, 16],
            "out_channels": [16, 24],
            "kernel_sizes": [3, 3],
            "strides": [1, 2],
            "num_block_repeats": [1, 1],
            "expand_ratios": [1, 6],
        },
    ),
}
VIDEO_FAMILIES = {
    "videomae": (
        "VideoMAEConfig",
        "VideoMAEForVideoClassification",
        {**_VIT, "num_frames": 4, "tubelet_size": 2},
    ),
    "timesformer": (
        "TimesformerConfig",
        "TimesformerForVideoClassification",
        {**_VIT, "num_frames": 4},
    ),
    "vivit": (
        "VivitConfig",
        "VivitForVideoClassification",
        {
            **{key: value for key, value in _VIT.items() if key not in ("patch_size",)},
            "num_frames": 4,
            "tubelet_size": [2, 8, 8],
        },
    ),
}
FAMILIES = IMAGE_FAMILIES | VIDEO_FAMILIES


def write_model(
    folder: Path,
    family: str = "vit",
    labels: Sequence[str] = ("Real", "Fake"),
    *,
    seed: int = 0,
    processor: bool = True,
    size_px: int = SIZE_PX,
) -> Path:
    """Write config.json, model.safetensors and the processor's file of a tiny random network.

    Args:
        folder: made if needed.
        family: a key of ``FAMILIES`` or ``timm``.
        labels: names in index order; one name makes one logit.
        seed: of the weights.
        processor: whether to write preprocessor_config.json.
        size_px: the size written into it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model = _build(family, tuple(labels))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5)  # He et al., 2015
    model.save_pretrained(folder)
    if processor:
        settings = {
            "do_resize": True,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "size": {"height": size_px, "width": size_px},
            "image_mean": [0.485, 0.456, 0.406],
            "image_std": [0.229, 0.224, 0.225],
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A tiny test model\n")
    return folder


def edit_config(folder: Path, **changes: object) -> None:
    """Change keys of config.json; None removes a key."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for key, value in changes.items():
        config.pop(key, None)
        if value is not None:
            config[key] = value
    path.write_text(json.dumps(config))


def bright_is_fake(folder: Path, inverted: bool = False) -> Path:
    """Write a ViT-shaped ResNet whose score rises with brightness, as a detector that works.

    The last layer of a tiny ResNet is replaced: all filters positive, so that features grow with
    brightness, and the logit of index 1 grows with them. Its labels are Real, Fake, or, when
    ``inverted``, Fake, Real: right in form and wrong in fact.
    """
    from safetensors.torch import load_file, save_file

    labels = ("Fake", "Real") if inverted else ("Real", "Fake")
    write_model(folder, "resnet", labels)
    path = folder / "model.safetensors"
    weights = load_file(path)
    for name, tensor in weights.items():
        if "convolution" in name:
            weights[name] = tensor.abs()
        if name == "classifier.1.weight":
            weights[name] = torch.stack([-torch.ones_like(tensor[0]), torch.ones_like(tensor[0])])
        if name == "classifier.1.bias":
            weights[name] = torch.zeros_like(tensor)
    save_file(weights, path, metadata={"format": "pt"})
    return folder


def _build(family: str, labels: tuple[str, ...]) -> Any:
    import transformers as library

    transformers = cast(Any, library)

    transformers.utils.logging.disable_progress_bar()
    names = {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
        "num_labels": len(labels),
    }
    if family == "timm":
        config = transformers.TimmWrapperConfig(
            architecture="test_resnet", num_classes=len(labels), label_names=list(labels)
        )
        config.pretrained_cfg = {
            "input_size": [3, SIZE_PX, SIZE_PX],
            "mean": [0.5, 0.4, 0.3],
            "std": [0.2, 0.2, 0.2],
        }
        return transformers.TimmWrapperForImageClassification(config).eval()
    config_class, model_class, settings = FAMILIES[family]
    config = getattr(transformers, config_class)(**settings, **names)
    return getattr(transformers, model_class)(config).eval()
