"""How does a checkpoint of transformers become a network that runs?

Builds it with the Auto classes from local files only, without remote code, and tries it once on a
blank input, so that a random head, broken numbers or a wrong input size are found before the first
verdict. Heads on the frozen backbone are `detectors.frozen`. A network is a pure function of its
input: label map, crop and calibration stay in the Checkpoint, so that sharing a network carries
nothing from one visitor to another. Imports errors, hub and torch.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from detectors.frozen.attention import load_attention
from detectors.frozen.layout import ATTENTION, RECURRENT
from detectors.frozen.recurrent import load_recurrent
from detectors.gend import build_gend
from detectors.simlbr import build_simlbr
from errors import UserError
from hub import layouts
from hub.checkpoint import Checkpoint
from hub.checks import WEIGHTS, read_header, refuse

Builder = Callable[[Mapping[str, Any], Mapping[str, torch.Tensor]], torch.nn.Module]
OUTPUT_KEYS = frozenset([
    "id2label", "label2id", "num_labels", "num_classes", "label_names", "pretrained_cfg",
    "global_pool", "num_features",
])  # fmt: skip
"""Keys about a classifier's outputs, which no architecture declares as its own; the last four are
timm's."""
IMAGE_LAYOUTS: Mapping[str, Builder] = {"gend": build_gend, "simlbr": build_simlbr}
"""What builds the network of a published layout, by its name."""
MOST_DESCRIBED = 1.5
"""A config may describe this many times the weights that are stored (tied ones are stored once)."""
ABSURD_LOGIT = 1e6
"""A classifier whose logits on a blank input are larger than this is broken."""


@dataclass(frozen=True)
class ProcessorFacts:
    """What a network's input looks like.

    Attributes:
        size_px: side of the square input.
        mean, std: per channel RGB, for values in 0…1.
        frames: frames of one clip, 1 for images.
    """

    size_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    frames: int


def load_image_network(checkpoint: Checkpoint, device: str) -> torch.nn.Module:
    """Load attention queries on the frozen backbone, or any other image classifier.

    Args:
        checkpoint: resolved by ``hub.store.resolve``.
        device: where the network goes, ``cpu`` or ``cuda``.

    Returns:
        The network in eval mode on the device, fp32.

    Raises:
        UserError: ``weights_refused`` with what is wrong.
    """
    return _network(checkpoint, device, {ATTENTION: load_attention}, load_image_classifier)


def load_video_network(checkpoint: Checkpoint, device: str) -> torch.nn.Module:
    """Load a recurrent head on the frozen backbone, or any other video classifier.

    Arguments, result and errors are those of `load_image_network`.
    """
    return _network(checkpoint, device, {RECURRENT: load_recurrent}, load_video_classifier)


def _network(
    checkpoint: Checkpoint,
    device: str,
    heads: Mapping[str, Callable[[Checkpoint, str], torch.nn.Module]],
    classifier: Callable[[Checkpoint], tuple[torch.nn.Module, ProcessorFacts]],
) -> torch.nn.Module:
    """The head that ``model_type`` names, if it is one of these; else a classifier."""
    load_head = heads.get(str(checkpoint.config.get("model_type")))
    if load_head is not None:
        return load_head(checkpoint, device)
    return classifier(checkpoint)[0].to(device).eval()


def load_image_classifier(checkpoint: Checkpoint) -> tuple[torch.nn.Module, ProcessorFacts]:
    """Load any image classifier that transformers knows.

    Args:
        checkpoint: resolved by ``hub.store.resolve``.

    Returns:
        The network in eval mode on the CPU, fp32, taking (n, 3, s, s); and its input's facts.

    Raises:
        UserError: ``weights_refused`` with what is wrong.
    """
    from transformers import AutoModelForImageClassification

    facts = _facts(checkpoint)
    layout = layouts.find(checkpoint.config)
    if layout is None:
        model = _load(AutoModelForImageClassification, checkpoint)
    else:
        model = load_layout(checkpoint, IMAGE_LAYOUTS[layout.name])
    _try_once(model, checkpoint, torch.zeros(1, 3, facts.size_px, facts.size_px))
    return model, facts


def load_video_classifier(checkpoint: Checkpoint) -> tuple[torch.nn.Module, ProcessorFacts]:
    """Load any video classifier that transformers knows.

    Args:
        checkpoint: resolved by ``hub.store.resolve``.

    Returns:
        The network in eval mode on the CPU, fp32, taking (n, frames, 3, s, s); and its facts.

    Raises:
        UserError: ``weights_refused`` with what is wrong.
    """
    from transformers import AutoModelForVideoClassification

    facts = _facts(checkpoint)
    model = _load(AutoModelForVideoClassification, checkpoint)
    blank = torch.zeros(1, facts.frames, 3, facts.size_px, facts.size_px)
    _try_once(model, checkpoint, blank)
    return model, facts


def load_audio_classifier(checkpoint: Checkpoint) -> torch.nn.Module:
    """Load any classifier of waveforms that transformers knows.

    Args:
        checkpoint: resolved by ``hub.store.resolve``.

    Returns:
        The network in eval mode on the CPU, fp32, taking (n, samples) at 16 kHz.

    Raises:
        UserError: ``weights_refused`` with what is wrong.
    """
    from transformers import AutoModelForAudioClassification

    model = _load(AutoModelForAudioClassification, checkpoint)
    card = checkpoint.card
    assert card.audio_s is not None and card.rate_hz is not None  # the store lets no other through
    samples = round(card.audio_s * card.rate_hz)
    _try_once(model, checkpoint, torch.zeros(1, samples), "input_values")
    return model


def _facts(checkpoint: Checkpoint) -> ProcessorFacts:
    card = checkpoint.card
    return ProcessorFacts(card.size_px, card.mean, card.std, card.frames)


def _load(auto_class: Any, checkpoint: Checkpoint) -> torch.nn.Module:
    name = checkpoint.name
    _silence()
    try:
        config = allowed_config(checkpoint.config)
        model_class = _class_of(auto_class, config, checkpoint.config)
        _check_size(model_class, config, checkpoint)
        model, info = model_class.from_pretrained(
            str(checkpoint.folder),
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
    except UserError:
        raise
    except ImportError as error:
        raise refuse(f"{name} needs a package that is not installed: {error}.") from error
    except Exception as error:  # any layer of any architecture may fail in its own way
        kind = checkpoint.config.get("model_type", "unknown")
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise refuse(f"{name} ({kind}) does not load: {words[0][:160]}") from error
    missing = sorted(info.get("missing_keys") or ())
    if missing:
        raise refuse(
            f"{name} lacks {len(missing)} of its weights ({missing[0]}), which would be drawn at "
            "random; it is a backbone or another architecture."
        )
    if info.get("mismatched_keys"):
        raise refuse(f"Weights of {name} do not fit the sizes in its config.json.")
    _check_numbers(name, model)
    return model.eval()


def load_layout(checkpoint: Checkpoint, build: Builder) -> torch.nn.Module:
    """Load weights of a known layout into a network of this program.

    Args:
        checkpoint: resolved by ``hub.store.resolve``.
        build: makes the network from its config and its tensors.

    Returns:
        The network in eval mode on the CPU, fp32.

    Raises:
        UserError: ``weights_refused`` with what is wrong.
    """
    from safetensors.torch import load_file

    _silence()
    try:
        model = build(checkpoint.config, load_file(checkpoint.folder / WEIGHTS))
    except UserError:
        raise
    except Exception as error:  # tensors of any shape and number may fail in their own way
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise refuse(f"{checkpoint.name} does not fit its layout: {words[0][:160]}") from error
    _check_numbers(checkpoint.name, model)
    return model.eval()


def _check_numbers(name: str, model: torch.nn.Module) -> None:
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise refuse(f"Weights of {name} are not numbers ({key}).")


def _class_of(auto_class: Any, config: Any, words: Mapping[str, Any]) -> Any:
    """The classifier of an architecture; of several the one that config.json names."""
    result = auto_class._model_mapping[type(config)]
    if not isinstance(result, tuple):
        return result
    named = words.get("architectures") or ()
    return next((c for c in result if c.__name__ in named), result[0])


def allowed_config(config: Mapping[str, Any]) -> Any:
    """Build the config of an architecture from the keys that this architecture declares.

    Everything else in a config.json is left out: general keys of transformers choose attention
    kernels that are fetched from the Hub, parallel plans, other files with weights.

    Args:
        config: content of config.json, judged by ``hub.configs``.
    """
    from transformers import CONFIG_MAPPING

    return _allowed(CONFIG_MAPPING[str(config.get("model_type"))], config, OUTPUT_KEYS)


def _allowed(kind: Any, config: Mapping[str, Any], more: frozenset[str]) -> Any:
    from transformers import PreTrainedConfig

    general = {field.name for field in fields(PreTrainedConfig)}
    declared = {field.name for field in fields(kind)} - general | set(kind.attribute_map) | more
    selected = {key: value for key, value in config.items() if key in declared}
    for key, inner in kind.sub_configs.items():
        if isinstance(selected.get(key), Mapping):
            selected[key] = _allowed(inner, selected[key], frozenset()).to_dict()
    return kind.from_dict(selected)


def _check_size(model_class: Any, config: Any, checkpoint: Checkpoint) -> None:
    """Refuse a config that describes far more weights than there are, before they get memory."""
    from transformers import initialization

    with (
        torch.device("meta"),
        initialization.no_init_weights(),
        initialization.meta_device_safe_creation_ops(),
    ):
        described = sum(p.numel() for p in model_class(config).parameters())
    header = read_header(checkpoint.folder / WEIGHTS)
    stored = sum(math.prod(shape) for _, shape in header.values())
    if described > MOST_DESCRIBED * stored:
        raise refuse(
            f"config.json of {checkpoint.name} describes {described / 1e6:.0f} million weights, "
            f"and {stored / 1e6:.0f} million are there."
        )


@torch.inference_mode()
def _try_once(
    model: torch.nn.Module,
    checkpoint: Checkpoint,
    blank: torch.Tensor,
    argument: str = "pixel_values",
) -> None:
    """Run a blank input: shape and numbers of the answer must be a classifier's."""
    name, shape = checkpoint.name, "x".join(str(side) for side in blank.shape[1:])
    try:
        logits = model(**{argument: blank}).logits
    except Exception as error:  # any layer of any architecture may fail in its own way
        raise refuse(f"{name} does not accept an input of {shape}: {error}") from error
    wanted = max((*checkpoint.card.fake_indices, *checkpoint.card.real_indices)) + 1
    if logits.ndim != 2 or logits.shape[0] != 1 or logits.shape[1] < wanted:
        got = "x".join(str(side) for side in logits.shape)
        raise refuse(f"{name} answers with {got} numbers; expected 1x{wanted}.")
    if not bool(torch.isfinite(logits).all()) or float(logits.abs().max()) > ABSURD_LOGIT:
        raise refuse(f"{name} does not answer with finite numbers.")


def _silence() -> None:
    """Silence the loading report of transformers: we read the same facts and speak ourselves."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
