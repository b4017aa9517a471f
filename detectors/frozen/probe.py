"""How does a linear head on frozen features judge an image?

A probe reads class tokens and mean patch tokens of some layers of `backbone.ClipBackbone`, each
brought to unit length, and adds them up with fitted weights. `ProbeDetector` is what all detectors
of this kind share; each says which part of the face it looks at. Imports `base`, `layout`, media
and hub; torch only when a network is loaded.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.base import Backbone, Detector, Measurement
from detectors.frozen.layout import LAYERS, WIDTH
from detectors.preprocess import to_input
from errors import UserError
from hub.catalog import BACKBONES
from hub.checkpoint import Checkpoint

if TYPE_CHECKING:
    import torch

    from media.tracks import FaceTrack
    from media.windows import Window

MODEL_TYPE = "frozen-probe"
FRAMES_A_WINDOW = 2  # of a face; neighbouring frames say nearly the same
MOST_PARTS = 3 * LAYERS
POOLS = ("class", "patches")  # the class token, or the mean of the patch tokens


@dataclass(frozen=True)
class Part:
    """One part of the feature vector: a layer, counted from 1, and how its tokens are pooled."""

    layer: int
    pool: str


@dataclass(frozen=True)
class Head:
    """A linear head: log-odds of fake are ``features @ weight + bias``.

    Attributes:
        parts: the feature vector.
        weight: (parts x WIDTH,) float32 tensor.
        bias: log-odds where all features are zero.
        control: share of the control region's log-odds that is taken off, 0..1.
    """

    parts: tuple[Part, ...]
    weight: torch.Tensor
    bias: float
    control: float = 0.0


def features(tokens: Sequence[torch.Tensor], parts: Sequence[Part]) -> torch.Tensor:
    """The feature vector of each image.

    Args:
        tokens: of `ClipBackbone`, one (n, 197, WIDTH) tensor a layer.
        parts: which of them are read, and how.

    Returns:
        (n, parts x WIDTH) float32; each part has unit length.
    """
    import torch

    pooled = [
        tokens[p.layer - 1][:, 0] if p.pool == "class" else tokens[p.layer - 1][:, 1:].mean(1)
        for p in parts
    ]
    unit = [torch.nn.functional.normalize(part.float(), dim=-1) for part in pooled]
    return torch.cat(unit, dim=-1)


class ProbeDetector(Detector):
    """A detector whose network is a `Head`; subclasses cut the images that it looks at.

    A head may have a *control*: another region of the same face, which the fake leaves alone. What
    camera, codec and light do to a score, they do to both regions, so taking the control's off
    makes scores comparable between recordings.
    """

    @staticmethod
    @abstractmethod
    def cut(crops: np.ndarray) -> np.ndarray:
        """(n, 320, 320, 3) wide crops of `media.align` to (n, 224, 224, 3), all uint8 RGB."""

    @staticmethod
    def cut_control(crops: np.ndarray) -> np.ndarray:
        """The control region of the same crops, in the same shape."""
        raise NotImplementedError("a head with a control needs a detector that cuts one")

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str) -> Head:
        """The head of ``model.safetensors``, with the features that ``config.json`` names."""
        config = checkpoint.config
        if config.get("model_type") != MODEL_TYPE:
            raise _refused(
                f"config.json: expected model_type {MODEL_TYPE!r}, got {config.get('model_type')!r}"
            )
        parts = _parts(config.get("features"))
        weight, bias = _weights(checkpoint, len(parts) * WIDTH)
        return Head(parts, weight.to(device), bias, _control(config.get("control", 0.0)))

    @classmethod
    def backbone(cls, checkpoint: Checkpoint) -> Backbone:
        """The embedded backbone that ``config.json`` names.

        Raises:
            UserError: ``weights_missing`` when there is no such backbone.
        """
        name, known = checkpoint.config.get("frozen_backbone"), _backbones()
        if name not in known:
            raise UserError(
                "weights_missing",
                f"This probe checkpoint needs the backbone {name!r}; there is "
                f"{', '.join(sorted(known)) or 'none'}.",
            )
        return Backbone(known[name], _load_backbone)

    def measure(self, window: Window, track: FaceTrack | None) -> Measurement:
        """Mean raw log-odds of a few images of the face; a still image is mirrored too."""
        assert track is not None  # `obstacle` lets no window without a face through
        last = len(track.crops) - 1
        chosen = np.unique(np.linspace(0, last, FRAMES_A_WINDOW + 2).round().astype(int)[1:-1])
        crops = track.crops[chosen]
        if window.is_image:
            crops = np.concatenate([crops, crops[:, :, ::-1]])
        raw = self.scores(crops)
        measures = {"images": float(len(chosen)), "strongest_image_log_odds": float(raw.max())}
        return Measurement(float(raw.mean()), measures=measures)

    def scores(self, crops: np.ndarray) -> np.ndarray:
        """(n, 320, 320, 3) uint8 wide crops to (n,) raw log-odds, less the control's."""
        result = self._log_odds(self.cut(crops))
        if self.network.control:
            result = result - self.network.control * self._log_odds(self.cut_control(crops))
        return result

    def _log_odds(self, images: np.ndarray) -> np.ndarray:
        """(n, 224, 224, 3) uint8 RGB to (n,) float64 log-odds of the head."""
        import torch

        head: Head = self.network
        with torch.inference_mode():
            batch = to_input(images, self.checkpoint.card).to(self.device)
            tokens = self.shared(batch, max(part.layer for part in head.parts))
            result = features(tokens, head.parts) @ head.weight + head.bias
        return result.double().cpu().numpy()


def _backbones() -> dict[str, Path]:
    return {file.parent.name: file.parent for file in BACKBONES.glob("*/model.safetensors")}


def _load_backbone(folder: Path, device: str) -> Any:
    from detectors.frozen.backbone import load_backbone

    return load_backbone(folder, device)


def _control(data: object) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float) or not 0 <= data <= 1:
        raise _refused(f"config.json: expected control as 0 to 1, got {data!r}")
    return float(data)


def _parts(data: object) -> tuple[Part, ...]:
    """The feature vector that a config asks for, in bounds."""
    if not isinstance(data, list) or not 0 < len(data) <= MOST_PARTS:
        raise _refused(f"config.json: expected features as a list, got {type(data).__name__}")
    parts = []
    for entry in data:
        layer = entry.get("layer") if isinstance(entry, Mapping) else None
        pool = entry.get("pool") if isinstance(entry, Mapping) else None
        if type(layer) is not int or not 1 <= layer <= LAYERS or pool not in POOLS:
            raise _refused(f"config.json: the feature {entry!r} is unknown")
        parts.append(Part(layer, pool))
    return tuple(parts)


def _weights(checkpoint: Checkpoint, count: int) -> tuple[torch.Tensor, float]:
    """Weight (count,) and bias of the file, all finite."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(checkpoint.folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise _refused(f"model.safetensors cannot be read: {error}") from error
    for name, shape in {"weight": (count,), "bias": (1,)}.items():
        got = tuple(tensors[name].shape) if name in tensors else None
        if got != shape:
            raise _refused(f"{name}: expected shape {shape}, got {got}")
        if not torch.isfinite(tensors[name].float()).all():
            raise _refused(f"{name} holds numbers that are not finite")
    return tensors["weight"].float(), float(tensors["bias"][0])


def _refused(fact: str) -> UserError:
    return UserError("weights_refused", f"This probe checkpoint cannot be used. {fact}.")
