"""What may a config.json ask for?

Judges its content before anything is built from it: no code of its repository, only kinds of model
that are known here, only values of the form and size that a detector has. Reads no tensor. Imports
errors and hub.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from errors import UserError
from hub.checks import refuse
from hub.layouts import Layout
from hub.role import Role, Task


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


IMAGE_TYPES = _words("""
    beit bit clip convnext convnextv2 cvt data2vec-vision deit dinov2 dinov2_with_registers
    donut-swin efficientnet focalnet hgnet_v2 hiera ijepa levit metaclip_2 mobilenet_v1 mobilenet_v2
    mobilevit mobilevitv2 poolformer pp_lcnet pvt pvt_v2 regnet resnet segformer siglip siglip2
    swiftformer swin swinv2 textnet timm_wrapper vit vit_msn
""")
"""Architectures of transformers that take an image and answer with logits."""
VIDEO_TYPES = _words("timesformer videomae vivit vjepa2")
"""The same for a clip."""
AUDIO_TYPES = _words("""
    data2vec-audio hubert sew sew-d unispeech unispeech-sat wav2vec2 wav2vec2-conformer wavlm
""")
"""The same for a waveform of 16 kHz; those that take a spectrogram are not among them."""
PYRAMID_TYPES = _words("""
    donut-swin focalnet hiera levit pvt pvt_v2 segformer swin swinv2
""")
"""Their attention looks at windows, so that small patches of a large image do no harm."""
MAX_TOKENS = 10_000
"""Patches that look at each other in one forward pass: 1024 px in patches of 14 are 5,329."""
MAX_INPUT_VALUES = 30_000_000
"""Pixels of one forward pass: 512 frames of 224 px are 25.7 million."""
MAX_LAYERS = 200
MAX_VALUES = 64
"""Numbers in one list; depths of stages, sizes of kernels, deviations."""
MAX_NUMBER = 1_000_000
"""Largest number anywhere: a vocabulary of 256,000 words is the largest that is honest."""
MAX_DEEP = 8
"""Objects within objects; a config of two towers has three."""

TIMM_ARGUMENTS = _words("""
    act_layer class_token depth depths drop_path_rate drop_rate dynamic_img_pad dynamic_img_size
    embed_dim fc_norm final_norm global_pool head_dim img_size in_chans init_values mlp_ratio
    no_embed_class norm_layer num_heads patch_size pos_embed pre_norm qk_norm qkv_bias reg_tokens
    use_fc_norm window_size
""")
"""What timm's constructors may be told; among the others are paths and addresses of files."""
_TIMM_NAME = re.compile(r"^[A-Za-z0-9_.\-]{1,100}$")
_TIMM_WORD = re.compile(r"^[A-Za-z0-9_]{0,40}$")

CONV_STRIDE = (5, 2, 2, 2, 2, 2, 2)
"""Of the convolutions before the transformer, where a config says nothing: 320 samples a token."""
_HEADS = {
    Task.IMAGE: "ForImageClassification",
    Task.VIDEO: "ForVideoClassification",
    Task.AUDIO: "ForSequenceClassification",
}
_TYPES = {Task.IMAGE: IMAGE_TYPES, Task.VIDEO: VIDEO_TYPES, Task.AUDIO: AUDIO_TYPES}
_TASK_WORDS = {
    Task.IMAGE: "a picture classifier",
    Task.VIDEO: "a video classifier",
    Task.AUDIO: "a classifier of sound",
}
_CODE_KEYS = ("auto_map", "custom_pipelines", "custom_generate")
_UNSUPPORTED = ("quantization_config", "backbone", "backbone_config", "use_pretrained_backbone")
_NAMES_OF_OUTPUTS = ("id2label", "label2id", "label_names")

_FORMS: Mapping[str, tuple[type, str]] = {
    "model_type": (str, "a text"),
    "architecture": (str, "a text"),
    "architectures": (list, "a list"),
    "label_names": (list, "a list"),
    "id2label": (dict, "an object"),
    "label2id": (dict, "an object"),
    "vision_config": (dict, "an object"),
    "text_config": (dict, "an object"),
    "pretrained_cfg": (dict, "an object"),
    "model_args": (dict, "an object"),
    "num_labels": (int, "a whole number"),
    "num_classes": (int, "a whole number"),
    "num_channels": (int, "a whole number"),
    "num_hidden_layers": (int, "a whole number"),
    "hidden_size": (int, "a whole number"),
    "num_frames": (int, "a whole number"),
}
"""Keys that are read here or that every network needs, with the form of their value."""
_BOUNDS = (
    (re.compile(r"image_size|img_size|crop_size"), 8, 1024),
    (re.compile(r"num_frames|tubelet|temporal_patch"), 1, 512),
    (re.compile(r"layers|depths?$"), 0, MAX_LAYERS),
    (re.compile(r"heads"), 1, 256),
    (re.compile(r"hidden_size|embed_dim|intermediate_size|hidden_dim|mlp_dim"), 1, 20_000),
    (re.compile(r"patch_size|window_size"), 0, 256),
)
"""Config keys with the smallest and largest value that any published detector comes near."""


class WrongTask(UserError):
    """The weights do another task than the role's; whoever knows the detectors can name one.

    Attributes:
        task: what the weights do.
    """

    def __init__(self, task: Task, sentence: str) -> None:
        super().__init__("weights_refused", sentence)
        self.task = task


def check_config(
    name: str,
    config: Mapping[str, Any],
    role: Role,
    own_format: bool,
    layout: Layout | None = None,
) -> None:
    """Refuse remote code, absurd values, and the wrong kind of model.

    Args:
        name: for the sentence.
        config: content of config.json.
        role: what it was asked for.
        own_format: True when a card.json names the detector, so that the config need not be one
            of transformers.
        layout: a known one, which needs neither its own code nor transformers to build a backbone.
    """
    if layout is None:
        check_no_code(name, config, "config.json")
        for key in _UNSUPPORTED:
            if config.get(key):
                raise refuse(f"config.json of {name} asks for {key}, which is not supported here.")
    _check_forms(name, config)
    _check_values(name, config)
    _check_frames(name, config)
    if layout is not None and layout.detector != role.name:
        raise refuse(f"{name} ({layout.title}) is for {layout.detector}. Choose it for that.")
    if not own_format and layout is None:
        _check_task(name, config, role)
    if config.get("model_type") == "timm_wrapper":
        _check_timm(name, config)


def check_no_code(name: str, data: object, where: str) -> None:
    """Refuse keys that name code to be run, at any depth, and nesting that no config has."""
    for mapping in _objects(name, data, where):
        for key in _CODE_KEYS:
            if mapping.get(key):
                raise refuse(
                    f"{where} of {name} wants to run code from its own repository ({key}). "
                    "That stays off; ask for weights in a format of transformers."
                )


def check_cost(name: str, config: Mapping[str, Any], size_px: int, frames: int) -> None:
    """Refuse an input that is within every single bound and yet would fill the memory."""
    inner = config.get("vision_config")
    patch = (inner if isinstance(inner, Mapping) else config).get("patch_size")
    if frames * size_px**2 > MAX_INPUT_VALUES:
        raise refuse(
            f"{name} takes {frames} frames of {size_px} px at once: too much for one pass."
        )
    if type(patch) is not int or config.get("model_type") in PYRAMID_TYPES:
        return
    tubelet = config.get("tubelet_size", 1)
    groups = frames // tubelet if type(tubelet) is int and tubelet > 0 else frames
    tokens = (size_px // max(1, patch)) ** 2 * max(1, groups)
    if tokens > MAX_TOKENS:
        raise refuse(
            f"{name} cuts its input into {tokens} patches that look at each other; the limit is "
            f"{MAX_TOKENS}."
        )


def check_audio_cost(name: str, config: Mapping[str, Any], samples: int) -> None:
    """Refuse a network whose convolutions leave more steps of time than attention can hold."""
    strides = config.get("conv_stride", list(CONV_STRIDE))
    if not isinstance(strides, list) or any(type(s) is not int or s < 1 for s in strides):
        raise _bad(name, "conv_stride", strides, "a list of whole numbers from 1 on")
    tokens = samples // math.prod(strides)
    if tokens > MAX_TOKENS:
        raise refuse(
            f"{name} cuts its input into {tokens} steps of time that look at each other; the limit "
            f"is {MAX_TOKENS}."
        )


def _objects(name: str, data: object, where: str) -> Iterator[Mapping[str, Any]]:
    """Every object in a JSON value, without recursion: hostile ones are nested thousands deep."""
    waiting = [(data, 0)]
    while waiting:
        value, deep = waiting.pop()
        if deep > MAX_DEEP:
            raise refuse(f"{where} of {name} is nested too deeply to be a config.")
        if isinstance(value, Mapping):
            yield value
            waiting += [(inner, deep + 1) for inner in value.values()]
        elif isinstance(value, list):
            waiting += [(inner, deep + 1) for inner in value]


def _check_forms(name: str, config: Mapping[str, Any]) -> None:
    for mapping in _objects(name, config, "config.json"):
        for key, (form, words) in _FORMS.items():
            value = mapping.get(key)
            if value is None:
                continue
            if not isinstance(value, form) or isinstance(value, bool):
                raise _bad(name, key, value, words)


def _check_values(name: str, config: Mapping[str, Any]) -> None:
    for mapping in _objects(name, config, "config.json"):
        for key, value in mapping.items():
            if key not in _NAMES_OF_OUTPUTS and not isinstance(value, Mapping):
                _check_value(name, key, value)
        channels = mapping.get("num_channels", 3)
        if channels not in (3, None):
            raise refuse(f"{name} expects {channels} color channels; pictures here have 3.")


def _check_value(name: str, key: str, value: object) -> None:
    if isinstance(value, list) and len(value) > MAX_VALUES:
        raise refuse(f"config.json of {name} lists {len(value)} values for {key}.")
    numbers = _numbers(value)
    low, high = -MAX_NUMBER, MAX_NUMBER
    for pattern, smallest, largest in _BOUNDS:
        if pattern.search(key):
            low, high = max(low, smallest), min(high, largest)
    for number in numbers:
        if not low <= number <= high:
            raise _bad(name, key, number, f"{low} to {high}")
    if re.search(r"depths?$", key) and sum(numbers) > MAX_LAYERS:
        raise _bad(name, key, value, f"at most {MAX_LAYERS} layers in all")


def _check_frames(name: str, config: Mapping[str, Any]) -> None:
    frames, tubelet = config.get("num_frames"), config.get("tubelet_size")
    if isinstance(tubelet, list):
        tubelet = tubelet[0] if tubelet else None
    if isinstance(frames, int) and isinstance(tubelet, int) and frames % tubelet:
        raise refuse(f"{name} groups its {frames} frames by {tubelet}, which does not divide.")


def _check_timm(name: str, config: Mapping[str, Any]) -> None:
    if not _TIMM_NAME.match(config.get("architecture", "resnet50")):
        raise refuse(f"{name} names an architecture that timm would fetch from elsewhere.")
    for key, value in (config.get("model_args") or {}).items():
        if key not in TIMM_ARGUMENTS:
            raise refuse(
                f"config.json of {name} tells timm {key[:40]!r}, which is not allowed here."
            )
        for word in value if isinstance(value, list) else [value]:
            known = word is None or isinstance(word, int | float)
            if not known and not (isinstance(word, str) and _TIMM_WORD.match(word)):
                raise _bad(name, key, word, "numbers or one word")


def _check_task(name: str, config: Mapping[str, Any], role: Role) -> None:
    model_type = config.get("model_type") or "unknown"
    if role.task is None:
        raise refuse(
            f"{name} ({model_type[:60]}) has no card.json and none of the layouts that {role.name} "
            "knows. It takes this program's own format; see the README, 'add a checkpoint'."
        )
    task, wanted = _task_of(config, model_type), _TASK_WORDS[role.task]
    if task is role.task:
        return
    if task is not None:
        raise WrongTask(
            task,
            f"{name} is {_TASK_WORDS[task]} ({model_type[:60]}), and {role.name} takes {wanted}.",
        )
    raise refuse(f"{name} ({model_type[:60]}) is not {wanted} of a kind that is known here.")


def _task_of(config: Mapping[str, Any], model_type: str) -> Task | None:
    known = next((task for task, types in _TYPES.items() if model_type in types), None)
    architectures = config.get("architectures")
    if known is None or not architectures or model_type == "timm_wrapper":
        return known
    ending = _HEADS[known]
    return known if any(str(a).endswith(ending) for a in architectures) else None


def _numbers(value: object) -> list[int | float]:
    """The numbers in a value or in a list, one level deep; NaN and infinity are numbers here."""
    values: Sequence[object] = value if isinstance(value, list) else [value]
    flat = [inner for item in values for inner in (item if isinstance(item, list) else [item])]
    return [n for n in flat if isinstance(n, int | float) and not isinstance(n, bool)]


def _bad(name: str, key: str, got: object, expected: str) -> UserError:
    huge = isinstance(got, int) and not isinstance(got, bool) and abs(got) > 10**20
    shown = "an absurdly large number" if huge else repr(got)[:60]
    if isinstance(got, float) and not math.isfinite(got):
        shown = "no finite number"
    return refuse(f"config.json of {name} says {key[:60]} = {shown}; expected {expected}.")
