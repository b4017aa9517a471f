"""May we trust these files, and do they fit the role?

Judges file listings, config.json and the header of model.safetensors before anything is built from
them. Reads no tensor and runs nothing that came with the weights. Imports errors and
hub.checkpoint.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from errors import UserError


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAX_LISTED_FILES = 400
"""Files in a repo. Training runs with dozens of saved steps stay below; data dumps do not."""
MAX_WEIGHT_BYTES = 2_000_000_000
"""Bytes of model.safetensors: VideoMAE-Large in fp32 has 1.2e9."""
MAX_SMALL_BYTES = 2_000_000
"""Bytes of any config, card or README."""
MAX_HEADER_BYTES = 10_000_000
"""Bytes of a safetensors header: a thousand times a ViT's."""
WEIGHTS = "model.safetensors"
SMALL_FILES = (
    "config.json",
    "card.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
    "README.md",
    "LICENSE",
)
"""Everything that is ever downloaded, together with WEIGHTS."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".joblib")

_HEADS = {"spatial": "ForImageClassification", "temporal": "ForVideoClassification"}
_ROLE_WORDS = {"spatial": "a picture classifier", "temporal": "a video classifier"}
_VIDEO_TYPES = frozenset(["videomae", "timesformer", "vivit", "vjepa2"])
_PICTURE_TYPES = _words("""
    beit convnext convnextv2 data2vec-vision deit dinov2 dinov2_with_registers dinov3_vit
    efficientnet focalnet mobilenet_v1 mobilenet_v2 mobilevit mobilevitv2 pvt pvt_v2
    regnet resnet siglip swin swinv2 timm_wrapper vit vit_hybrid vit_msn
""")
_HEAD_NAME = re.compile(r"(?i)classif|head|fc|score|logits")
_TIMM_NAME = re.compile(r"^[A-Za-z0-9_.\-]{1,100}$")
_BOUNDS = (
    (re.compile(r"image_size|crop_size"), 8, 1024),
    (re.compile(r"num_frames|tubelet|temporal_patch"), 1, 512),
    (re.compile(r"layers|depths?$"), 0, 200),
    (re.compile(r"heads"), 1, 256),
    (re.compile(r"hidden_size|embed_dim|intermediate_size|hidden_dim|mlp_dim"), 1, 20_000),
    (re.compile(r"patch_size"), 1, 256),
)
"""Config keys with the smallest and largest value that any published detector comes near."""


def refuse(sentence: str) -> UserError:
    """Return the error for weights that we will not use."""
    return UserError("weights_refused", sentence)


def check_listing(name: str, sizes: Mapping[str, int]) -> list[str]:
    """Judge a repo or folder by its file list and return the files that are wanted.

    Args:
        name: for the sentence.
        sizes: path in the repo → bytes (0 when unknown).

    Raises:
        UserError: ``weights_refused`` or ``weights_missing``.
    """
    if len(sizes) > MAX_LISTED_FILES:
        raise refuse(
            f"{name} has {len(sizes)} files, more than {MAX_LISTED_FILES}: that is no checkpoint."
        )
    for path in sizes:
        if path.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", path) or "\0" in path:
            raise refuse(f"{name} lists a file whose name leaves its folder: {path[:80]!r}.")
    if "adapter_config.json" in sizes:
        raise refuse(f"{name} is an adapter to other weights; merge it and publish the result.")
    if WEIGHTS not in sizes:
        raise _without_weights(name, sizes)
    if sizes[WEIGHTS] > MAX_WEIGHT_BYTES:
        raise refuse(
            f"{name} has {sizes[WEIGHTS] / 1e9:.1f} GB of weights; the limit is "
            f"{MAX_WEIGHT_BYTES / 1e9:.0f} GB."
        )
    if "config.json" not in sizes:
        raise refuse(f"{name} has no config.json, so its architecture is unknown.")
    small = [path for path in SMALL_FILES if path in sizes]
    for path in small:
        if sizes[path] > MAX_SMALL_BYTES:
            raise refuse(f"{path} of {name} has {sizes[path] / 1e6:.0f} MB: far too large.")
    return [*small, WEIGHTS]


def check_config(name: str, config: Mapping[str, Any], detector: str, own_format: bool) -> None:
    """Refuse remote code, absurd sizes, and the wrong kind of model.

    Args:
        name: for the sentence.
        config: content of config.json.
        detector: the role it was asked for.
        own_format: True when a card.json names the detector, so that the config need not be one
            of transformers.
    """
    check_no_code(name, config, "config.json")
    for key in ("quantization_config", "backbone", "use_pretrained_backbone"):
        if config.get(key):
            raise refuse(f"config.json of {name} asks for {key}, which is not supported here.")
    _check_sizes(name, config)
    if not own_format:
        _check_role(name, config, detector)
    is_timm = config.get("model_type") == "timm_wrapper"
    if is_timm and not _TIMM_NAME.match(str(config.get("architecture", "resnet50"))):
        raise refuse(f"{name} names an architecture that timm would fetch from elsewhere.")


def check_no_code(name: str, data: object, where: str) -> None:
    """Refuse ``auto_map`` and ``custom_pipelines`` at any depth: they name code to be run."""
    if isinstance(data, Mapping):
        for key in ("auto_map", "custom_pipelines", "custom_generate"):
            if data.get(key):
                raise refuse(
                    f"{where} of {name} wants to run code from its own repository ({key}). "
                    "That stays off; ask for weights in a format of transformers."
                )
        for value in data.values():
            check_no_code(name, value, where)
    elif isinstance(data, list):
        for value in data:
            check_no_code(name, value, where)


def read_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return ``{tensor name: (dtype, shape)}`` of a safetensors file; reads no tensor.

    Raises:
        UserError: ``weights_refused`` for anything that is not a complete safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 10 or not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise refuse(f"{path.name} is not a safetensors file.")
        try:
            header = json.loads(file.read(length))
            tensors = {key: value for key, value in header.items() if key != "__metadata__"}
            shapes = {
                key: (str(value["dtype"]), tuple(int(side) for side in value["shape"]))
                for key, value in tensors.items()
            }
            end = max((int(value["data_offsets"][1]) for value in tensors.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise refuse(f"{path.name} has a broken header.") from error
    if not shapes:
        raise refuse(f"{path.name} holds no weights.")
    if 8 + length + end != size:
        raise refuse(f"{path.name} is cut off or has bytes that no tensor owns; fetch it again.")
    return shapes


def check_head(name: str, header: Mapping[str, tuple[str, tuple[int, ...]]], n_labels: int) -> None:
    """Refuse a backbone without classifier: loading it would draw a random one.

    The head is a matrix, or a 1x1 convolution, whose name says so and which has one row a label.
    """
    found: list[int] = []
    for key, (_, shape) in header.items():
        if len(shape) in (2, 4) and key.endswith("weight") and _HEAD_NAME.search(key):
            found.append(shape[0])
    if n_labels not in found:
        raise refuse(
            f"{name} has no classification head for its {n_labels} label(s): it is a backbone, "
            "and a detector made of it would guess at random."
        )


def _without_weights(name: str, files: Iterable[str]) -> UserError:
    files = list(files)
    if any(path.endswith("model.safetensors.index.json") for path in files):
        return refuse(f"{name} has its weights in several parts; one {WEIGHTS} is needed.")
    pickles = [path for path in files if path.endswith(PICKLES)]
    if pickles:
        return refuse(
            f"{name} has only {pickles[0][:60]}, a format that can run code when it is opened, "
            f"so it was not downloaded. Ask its author for {WEIGHTS}, or convert it yourself on a "
            "machine you can lose and give the folder here."
        )
    return UserError("weights_missing", f"{name} has no {WEIGHTS}.")


def _check_sizes(name: str, config: Mapping[str, Any]) -> None:
    for key, value in config.items():
        if isinstance(value, Mapping) and key.endswith("_config"):
            _check_sizes(name, value)
        for pattern, low, high in _BOUNDS:
            if not pattern.search(key):
                continue
            for number in _numbers(value):
                if not low <= number <= high:
                    raise refuse(
                        f"config.json of {name} says {key} = {number}; expected {low} to {high}."
                    )
    channels = config.get("num_channels", 3)
    if channels != 3:
        raise refuse(f"{name} expects {channels} colour channels; pictures here have 3.")
    frames, tubelet = config.get("num_frames"), config.get("tubelet_size")
    if isinstance(tubelet, list):
        tubelet = tubelet[0] if tubelet else None
    if isinstance(frames, int) and isinstance(tubelet, int) and frames % tubelet:
        raise refuse(f"{name} groups its {frames} frames by {tubelet}, which does not divide.")


def _numbers(value: object) -> list[int | float]:
    if isinstance(value, list):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def _check_role(name: str, config: Mapping[str, Any], detector: str) -> None:
    model_type = str(config.get("model_type", "unknown"))[:60]
    if detector not in _HEADS:
        raise refuse(
            f"{name} has no card.json. The {detector} detector takes weights in this program's "
            f"own format only; see the README, 'add a checkpoint'."
        )
    role = _role_of(config, model_type)
    if role == detector:
        return
    if role is not None:
        raise refuse(
            f"{name} is {_ROLE_WORDS[role]} ({model_type}), and {detector} takes "
            f"{_ROLE_WORDS[detector]}. Choose it for {role}."
        )
    raise refuse(f"{name} ({model_type}) is not {_ROLE_WORDS[detector]}.")


def _role_of(config: Mapping[str, Any], model_type: str) -> str | None:
    architectures = config.get("architectures")
    if model_type == "timm_wrapper":
        return "spatial"
    if isinstance(architectures, list) and architectures:
        for role, ending in _HEADS.items():
            if any(ending in str(architecture) for architecture in architectures):
                return role
        return None
    if model_type in _PICTURE_TYPES:
        return "spatial"
    return "temporal" if model_type in _VIDEO_TYPES else None
