"""How does a linear head on frozen features judge an image?

A probe reads class tokens and mean patch tokens of some layers of `backbone.ClipBackbone`, each
brought to unit length, and adds them up with fitted weights. `ProbeDetector` is what all detectors
of this kind share; each says which part of the face it looks at. Imports `base`, `layout`, media
and hub; torch only when a network is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from detectors.base import UNFAMILIARITY, Backbone, Detector, Measurement
from detectors.exhibits import FaceImage
from detectors.frozen.familiarity import Familiarity
from detectors.frozen.layout import LAYERS, WIDTH
from detectors.frozen.views import VIEWS
from detectors.preprocess import to_input
from errors import UserError
from hub.catalog import BACKBONES
from hub.checkpoint import Checkpoint

if TYPE_CHECKING:
    import torch

    from media.tracks import FaceTrack
    from media.windows import Window

MODEL_TYPE = "frozen-probe"
FRAMES_A_WINDOW = 2  # of a face; neighboring frames say nearly the same
MOST_PARTS = 3 * LAYERS
MOST_KNOWN, MOST_NEIGHBORS = 20_000, 100  # faces of a bank, and those that a mean is taken of
PERCENTILES = 101
POOLS = ("class", "patches")  # the class token, or the mean of the patch tokens


@dataclass(frozen=True)
class Part:
    """One part of the feature vector.

    Attributes:
        layer: counted from 1.
        pool: how its tokens are pooled, of `POOLS`.
        view: what is looked at, of `VIEWS`; None is the detector's own.
    """

    layer: int
    pool: str
    view: str | None = None


@dataclass(frozen=True)
class Head:
    """A linear head: log-odds of fake are ``features @ weight + bias``.

    Attributes:
        parts: the feature vector.
        weight: (parts x WIDTH,) float32 tensor.
        bias: log-odds where all features are zero.
        control: share of the control region's log-odds that is taken off, 0..1.
        familiarity: how far each face is to be trusted, or None.
    """

    parts: tuple[Part, ...]
    weight: torch.Tensor
    bias: float
    control: float = 0.0
    familiarity: Familiarity | None = None


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

    view: ClassVar[str]  # of `VIEWS`: what the head looks at where a part names nothing else
    control_view: ClassVar[str | None] = None  # the control's

    @classmethod
    def cut(cls, crops: np.ndarray) -> np.ndarray:
        """(n, 320, 320, 3) wide crops of `media.align` to (n, 224, 224, 3), all uint8 RGB."""
        return VIEWS[cls.view](crops)

    @classmethod
    def cut_control(cls, crops: np.ndarray) -> np.ndarray:
        """The control region of the same crops, in the same shape."""
        if cls.control_view is None:
            raise NotImplementedError("a head with a control needs a detector that cuts one")
        return VIEWS[cls.control_view](crops)

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str) -> Head:
        """The head of ``model.safetensors``, with the features that ``config.json`` names."""
        config = checkpoint.config
        if config.get("model_type") != MODEL_TYPE:
            raise _refused(
                f"config.json: expected model_type {MODEL_TYPE!r}, got {config.get('model_type')!r}"
            )
        parts = _parts(config.get("features"))
        tensors = _tensors(checkpoint)
        weight, bias = _weights(tensors, len(parts) * WIDTH)
        control = _share(config.get("control", 0.0))
        if control and cls.control_view is None:
            raise _refused(f"{cls.role.title} has no control region that could be taken off")
        familiarity = _familiarity(config.get("familiarity"), tensors, parts, device)
        return Head(parts, weight.to(device), bias, control, familiarity)

    @classmethod
    def backbone(cls, checkpoint: Checkpoint) -> Backbone:
        """The embedded backbone that ``config.json`` names."""
        return named_backbone(checkpoint)

    def measure(self, window: Window, track: FaceTrack | None) -> Measurement:
        """Mean raw log-odds of a few images of the face; a still image is mirrored too."""
        assert track is not None  # `obstacle` lets no window without a face through
        last = len(track.crops) - 1
        chosen = np.unique(np.linspace(0, last, FRAMES_A_WINDOW + 2).round().astype(int)[1:-1])
        crops = track.crops[chosen]
        if window.is_image:
            crops = np.concatenate([crops, crops[:, :, ::-1]])
        raw, unfamiliar = self.assess(crops)
        measures = {"images": float(len(chosen)), "strongest_image_log_odds": float(raw.max())}
        if self.network.familiarity is not None:
            measures[UNFAMILIARITY] = float(unfamiliar.mean())
        top = int(raw[: len(chosen)].argmax())  # behind them stand their mirror images
        return Measurement(
            float(raw.mean()),
            measures=measures,
            image=FaceImage(
                float(track.times_s[chosen[top]]),
                float(raw[top]),
                self.cut(crops[top : top + 1])[0],
                self.cut_control(crops[top : top + 1])[0] if self.network.control else None,
            ),
        )

    def assess(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, 320, 320, 3) uint8 wide crops to what is said of each face.

        Returns:
            (n,) raw log-odds, less the control's, nearer to zero the less familiar the face is;
            (n,) how unfamiliar it is, 0..1 (0 where the checkpoint does not know).
        """
        head: Head = self.network
        result, unfamiliar = self._log_odds(crops, self.view)
        if self.control_view is not None and head.control:
            result = result - head.control * self._log_odds(crops, self.control_view)[0]
        if head.familiarity is not None:
            result = result * head.familiarity.trusted(unfamiliar)
        return result, unfamiliar

    def _log_odds(self, crops: np.ndarray, view: str) -> tuple[np.ndarray, np.ndarray]:
        """(n, 320, 320, 3) uint8 to (n,) float64 log-odds of the head, and unfamiliarity.

        ``view`` is looked at by the parts that name none.
        """
        import torch

        from detectors.inference import inference

        head: Head = self.network
        parts = [replace(part, view=part.view or view) for part in head.parts]
        pieces: dict[Part, torch.Tensor] = {}
        with inference(self.device):
            for name in dict.fromkeys(part.view for part in parts):
                chosen = [part for part in parts if part.view == name]
                vectors = self._look(VIEWS[str(name)](crops), chosen)
                pieces.update(zip(chosen, vectors.split(WIDTH, -1), strict=True))
        vectors = torch.cat([pieces[part] for part in parts], -1)
        result = vectors @ head.weight + head.bias  # float32 on any device: it costs nothing
        known = head.familiarity
        unfamiliar = np.zeros(len(crops)) if known is None else known.percentile(vectors)
        return result.double().cpu().numpy(), unfamiliar

    def _look(self, images: np.ndarray, parts: Sequence[Part]) -> torch.Tensor:
        """(n, 224, 224, 3) uint8 RGB to the (n, parts x WIDTH) features of one view."""
        from detectors.frozen.memo import remembered
        from detectors.inference import moved

        card, depth = self.checkpoint.card, max(part.layer for part in parts)
        class_only = all(part.pool == "class" for part in parts if part.layer == depth)

        def look(some: np.ndarray) -> torch.Tensor:
            batch = moved(to_input(some, card), self.device)
            return features(self.shared(batch, depth, class_only), parts)

        pools = tuple((part.layer, part.pool) for part in parts)
        asked = (pools, card.size_px, card.mean, card.std, str(self.device))
        return remembered(self.shared, images, asked, look)


def named_backbone(checkpoint: Checkpoint) -> Backbone:
    """The embedded backbone that ``config.json`` names.

    Raises:
        UserError: ``weights_missing`` when there is no such backbone.
    """
    name, known = checkpoint.config.get("frozen_backbone"), _backbones()
    if name not in known:
        raise UserError(
            "weights_missing",
            f"This checkpoint needs the backbone {str(name)[:60]!r}; there is "
            f"{', '.join(sorted(known)) or 'none'}.",
        )
    return Backbone(known[name], _load_backbone)


def backbone_under(checkpoint: Checkpoint, kind: str) -> Backbone | None:
    """The embedded backbone of a head whose ``model_type`` is ``kind``; None for all others."""
    return named_backbone(checkpoint) if checkpoint.config.get("model_type") == kind else None


def _backbones() -> dict[str, Path]:
    return {file.parent.name: file.parent for file in BACKBONES.glob("*/model.safetensors")}


def _load_backbone(folder: Path, device: str) -> Any:
    from detectors.frozen.backbone import load_backbone

    return load_backbone(folder, device)


def _share(data: object) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float) or not 0 <= data <= 1:
        raise _refused(f"config.json: expected a share of 0 to 1, got {data!r}")
    return float(data)


def _parts(data: object) -> tuple[Part, ...]:
    """The feature vector that a config asks for, in bounds."""
    if not isinstance(data, list) or not 0 < len(data) <= MOST_PARTS:
        raise _refused(f"config.json: expected features as a list, got {type(data).__name__}")
    parts = []
    for entry in data:
        layer = entry.get("layer") if isinstance(entry, Mapping) else None
        pool = entry.get("pool") if isinstance(entry, Mapping) else None
        view = entry.get("view") if isinstance(entry, Mapping) else None
        if type(layer) is not int or not 1 <= layer <= LAYERS or pool not in POOLS:
            raise _refused(f"config.json: the feature {entry!r} is unknown")
        if view is not None and view not in list(VIEWS):
            raise _refused(f"config.json: the feature {entry!r} has an unknown view")
        parts.append(Part(layer, pool, view))
    return tuple(parts)


def _tensors(checkpoint: Checkpoint) -> Mapping[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(checkpoint.folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise _refused(f"model.safetensors cannot be read: {error}") from error


def _weights(tensors: Mapping[str, torch.Tensor], count: int) -> tuple[torch.Tensor, float]:
    """Weight (count,) and bias of the file."""
    return _tensor(tensors, "weight", (count,)), float(_tensor(tensors, "bias", (1,))[0])


def _tensor(tensors: Mapping[str, torch.Tensor], name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """One tensor of the file as float32; it has this shape and all of it is finite."""
    import torch

    got = tuple(tensors[name].shape) if name in tensors else None
    if got != shape:
        raise _refused(f"{name}: expected shape {shape}, got {got}")
    if not torch.isfinite(tensors[name].float()).all():
        raise _refused(f"{name} holds numbers that are not finite")
    return tensors[name].float()


def _familiarity(
    data: object, tensors: Mapping[str, torch.Tensor], parts: Sequence[Part], device: str
) -> Familiarity | None:
    """What ``config.json`` says of ``familiar`` and ``familiar_distances``; None where nothing."""
    if data is None:
        return None
    if not isinstance(data, Mapping):
        raise _refused(f"config.json: expected familiarity as an object, got {data!r}")
    compared = _parts([data])[0]
    if compared not in parts:
        raise _refused("config.json: familiarity compares a part that is no feature of the head")
    first = parts.index(compared) * WIDTH
    count = tensors["familiar"].shape[0] if _is_table(tensors.get("familiar")) else 0
    neighbors, shrinkage = data.get("neighbors"), data.get("shrinkage")
    if type(neighbors) is not int or not 0 < neighbors <= min(MOST_NEIGHBORS, count):
        raise _refused(f"config.json: {neighbors!r} neighbors of {count} known faces")
    if count > MOST_KNOWN:
        raise _refused(f"familiar holds {count} faces; at most {MOST_KNOWN} are read")
    distances = _tensor(tensors, "familiar_distances", (PERCENTILES,)).double().numpy()
    if (np.diff(distances) < 0).any():
        raise _refused("familiar_distances do not rise")
    bank = _tensor(tensors, "familiar", (count, WIDTH)).to(device)
    return Familiarity((first, first + WIDTH), bank, neighbors, distances, _share(shrinkage))


def _is_table(tensor: torch.Tensor | None) -> bool:
    return tensor is not None and tensor.ndim == 2


def _refused(fact: str) -> UserError:
    return UserError("weights_refused", f"This probe checkpoint cannot be used. {fact}.")
