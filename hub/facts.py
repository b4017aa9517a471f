"""How must an image or audio be prepared for a checkpoint that brings no card?

Derives a Card from config.json and the processor's file: size, mean, deviation, frames, labels.
What had to be assumed is returned as sentences for the user. Imports errors and hub.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from errors import UserError
from hub.checkpoint import Card, Source
from hub.checks import refuse
from hub.labels import LabelMap
from hub.role import Crop, Role, Task


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


Triple = tuple[float, float, float]
"""One number a color channel, in the order red, green, blue."""
DEFAULT_MARGIN = 0.3
"""Face crop when nobody knows better: 30 % around the face, the commonest training crop."""
FALLBACK_SIZE_PX = 224
"""Input of a classifier whose config names none (the ResNets): ImageNet's."""
FIXED_SIZE_TYPES = _words("""
    vit deit beit siglip videomae vivit timesformer
""")
"""Their position tables belong to one size, so that the config's wins over the processor's."""
DEFAULT_FRAMES = {"videomae": 16, "timesformer": 8, "vivit": 32, "vjepa2": 64}
"""transformers' defaults: a config that was saved with the default may leave it out."""


def card_from_config(
    role: Role,
    name: str,
    config: Mapping[str, Any],
    processor: Mapping[str, Any] | None,
    labels: LabelMap,
    source: Source | None,
) -> tuple[Card, list[str]]:
    """Build the Card of a transformers checkpoint, and say what was assumed.

    Args:
        role: what it will be used for.
        name: repo id or folder name.
        config: config.json.
        processor: preprocessor_config.json, or None when the repo has none.
        labels: the resolved label map.
        source: the catalog's entry, if any.
    """
    warnings: list[str] = []
    size_px = _size(config, processor, warnings)
    mean, std = _normalization(config, processor, warnings)
    margin = source.margin if source is not None else None
    if margin is None and (source is None or source.crop in (Crop.FACE, Crop.BOX)):
        warnings.append(
            "The face crop it was trained on is not known; 30 % around the face is assumed, "
            "which may cost accuracy."
        )
    frames = _frames(config) if role.task is Task.VIDEO else 1
    card = Card(
        detector=role.name,
        title=source.title if source else name,
        size_px=size_px,
        fake_indices=labels.fake_indices,
        real_indices=labels.real_indices,
        labels_known_by=labels.known_by,
        license=source.license if source else "unknown",
        crop=source.crop if source else role.crop,
        margin=DEFAULT_MARGIN if margin is None else margin,
        mean=mean,
        std=std,
        frames=frames,
    )
    return card, warnings


def audio_card_from_config(
    role: Role,
    name: str,
    processor: Mapping[str, Any] | None,
    labels: LabelMap,
    source: Source | None,
) -> tuple[Card, list[str]]:
    """Build the Card of a transformers checkpoint that listens, and say what was assumed.

    Args:
        role: what it will be used for; says how many seconds are heard at once, and at which rate.
        name: repo id or folder name.
        processor: preprocessor_config.json, or None when the repo has none.
        labels: the resolved label map.
        source: the catalog's entry, if any.

    Raises:
        UserError: ``weights_refused`` where it wants another rate, or features instead of samples.
    """
    warnings: list[str] = []
    hz = role.audio_hz
    if processor is None:
        warnings.append(
            f"It has no preprocessor_config.json: {hz // 1000} kHz, mean 0 and deviation 1 are "
            "assumed."
        )
        processor = {}
    rate, size = processor.get("sampling_rate", hz), processor.get("feature_size", 1)
    if rate != hz:
        raise refuse(f"Its processor wants {repr(rate)[:60]} samples a second, not {hz}.")
    if size != 1:
        raise refuse(
            f"Its processor makes {repr(size)[:60]} features of each step, and only networks that "
            "take the samples themselves are read."
        )
    card = Card(
        detector=role.name,
        title=source.title if source else name,
        size_px=0,
        fake_indices=labels.fake_indices,
        real_indices=labels.real_indices,
        labels_known_by=labels.known_by,
        license=source.license if source else "unknown",
        crop=role.crop,
        rate_hz=hz,
        audio_s=role.audio_s,
        standardize=bool(processor.get("do_normalize", True)),
    )
    return card, warnings


def stated_license(readme: str) -> str:
    """Return the ``license:`` of a README's front matter, and nothing else of it."""
    front = re.match(r"---\r?\n(.*?)\r?\n---", readme, re.DOTALL)
    result = re.search(r"(?m)^license:\s*([A-Za-z0-9.+-]{1,40})\s*$", front[1]) if front else None
    return result[1] if result else "unknown"


def _size(
    config: Mapping[str, Any], processor: Mapping[str, Any] | None, warnings: list[str]
) -> int:
    inner = config.get("vision_config")
    subset = _side((inner if isinstance(inner, Mapping) else config).get("image_size"))
    pretrained = config.get("pretrained_cfg")
    if subset is None and isinstance(pretrained, Mapping):
        subset = _side(_last(pretrained.get("input_size")))
    if processor is None:
        if not isinstance(pretrained, Mapping):
            warnings.append(
                "It has no preprocessor_config.json: the config's size and a mean and deviation "
                "of 0.5 are assumed."
            )
        return subset or FALLBACK_SIZE_PX
    cropped = processor.get("do_center_crop") and processor.get("crop_size")
    given = _side(cropped or processor.get("size"))
    if subset and given and subset != given and config.get("model_type") in FIXED_SIZE_TYPES:
        warnings.append(
            f"Its processor says {given} px and its network {subset} px; {subset} is used."
        )
        return subset
    return given or subset or FALLBACK_SIZE_PX


def _last(values: object) -> object:
    """timm writes channels, height, width."""
    return values[-1] if isinstance(values, list) and values else None


def _side(size: object) -> int | None:
    """Return the side of a square from the many ways in which a size is written."""
    if isinstance(size, Mapping):
        sides: list[Any] = [
            size[key] for key in ("height", "width", "shortest_edge") if size.get(key)
        ]
    elif isinstance(size, Sequence) and not isinstance(size, str):
        sides = list(size)
    else:
        sides = [size] if size else []
    if not sides:
        return None
    if any(type(side) is not int for side in sides) or len(set(sides)) > 1:
        raise refuse(f"Its input size is {repr(size)[:60]}; a square in whole pixels is needed.")
    return sides[0]


def _normalization(
    config: Mapping[str, Any], processor: Mapping[str, Any] | None, warnings: list[str]
) -> tuple[Triple, Triple]:
    """Return mean and deviation for images in 0…1, all rescaling folded in."""
    if processor is None:
        pretrained = config.get("pretrained_cfg")
        if isinstance(pretrained, Mapping) and "mean" in pretrained and "std" in pretrained:
            return _triple(pretrained["mean"]), _triple(pretrained["std"])
        return _triple(0.5), _triple(0.5)
    normalize = processor.get("do_normalize", True)
    mean = _triple(processor.get("image_mean") or 0.5) if normalize else _triple(0.0)
    std = _triple(processor.get("image_std") or 0.5) if normalize else _triple(1.0)
    if normalize and not (processor.get("image_mean") and processor.get("image_std")):
        warnings.append("Its processor names no mean and deviation; 0.5 is assumed for both.")
    if min(std) <= 0:
        raise refuse(f"Its processor divides by a deviation of {min(std)}.")
    factor = processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1.0
    if not isinstance(factor, int | float) or not 0 < factor <= 1:
        raise refuse(
            f"Its processor rescales by {repr(factor)[:60]}, expected more than 0 and at most 1."
        )
    shift = 1.0 if processor.get("offset") or processor.get("rescale_offset") else 0.0
    scale = 255.0 * factor
    return (
        _triple([round((value + shift) / scale, 9) for value in mean]),
        _triple([round(value / scale, 9) for value in std]),
    )


def _triple(value: object) -> Triple:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = (value, value, value)
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 3:
        raise refuse(
            f"Its mean or deviation is {repr(value)[:60]}; three color channels are needed."
        )
    try:
        return float(value[0]), float(value[1]), float(value[2])
    except (TypeError, ValueError, OverflowError) as error:
        raise refuse(f"Its mean or deviation is {repr(value)[:60]}.") from error


def _frames(config: Mapping[str, Any]) -> int:
    frames = config.get("num_frames", config.get("frames_per_clip"))
    if frames is None:
        frames = DEFAULT_FRAMES.get(str(config.get("model_type")))
    if type(frames) is not int:
        raise UserError("weights_refused", "Its config does not say how many frames it takes.")
    return frames
