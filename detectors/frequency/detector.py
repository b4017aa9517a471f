"""Do the fine detail and the spectrum of this face fit a camera's image?

Wraps the network of `features` in the contract of `base`: which crops are looked at, when
there
is no ground to judge on, what is shown. Imports `base`, `features` and hub.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError

from detectors.base import Detector, Measurement
from detectors.exhibits import Axis, Curve
from detectors.frequency.features import (
    DESCRIBED_PX,
    RADIAL_BINS,
    describe,
    image_blocks_db,
    profile_part,
)
from detectors.preprocess import spread
from errors import UserError
from hub.checkpoint import Checkpoint
from hub.role import Modality, Role
from media import align

if TYPE_CHECKING:
    import torch

    from detectors.frequency.network import FrequencyNet
    from media.tracks import FaceTrack
    from media.windows import Window

MODEL_TYPE = "face-frequency"
FACES_A_WINDOW = 6  # images of a window that are described, spread evenly; 10 ms each
HIGH_RING = (
    3  # up-sampling leaves peaks from here on (0.2 cycles a pixel); below is the face itself
)
LARGEST_WIDTH = 512  # channels that a config may ask for
TYPICAL = Path(__file__).with_name("typical.csv")  # made by training.frequency.typical
NEPER_TO_DB = 10 / math.log(10)  # natural logarithm of a power ratio to decibels


@dataclass(frozen=True)
class Domain:
    """The fine detail that a face must still have; `config.json` of the checkpoint holds it.

    Attributes:
        least_detail_db: power left at 0.25 to 0.5 cycles a pixel, over that of 8-bit rounding.
        most_blocks_db: steps at the 8-pixel grid of an encoder, over steps elsewhere.
        least_face_px: side of the face in the image's own pixels. Below half of the crop's side
        the
            upper half of the spectrum holds nothing but interpolation.
    """

    least_detail_db: float
    most_blocks_db: float
    least_face_px: float

    def in_domain(self, measures: Mapping[str, float]) -> bool:
        """True when the face still has the fine detail that the network was fitted on."""
        return (
            measures["detail_db"] >= self.least_detail_db
            and measures["blockiness_db"] <= self.most_blocks_db
            and measures["face_px"] >= self.least_face_px
        )


@dataclass(frozen=True)
class GuardedNetwork:
    """A network and the gate that decides whether it is asked."""

    net: FrequencyNet
    gate: Domain


class Frequency(Detector):
    """Spectra and noise of the face, summed up by a small network."""

    role = Role(
        name="frequency",
        title="Fine detail and spectrum",
        question="Does the finest detail of the face follow the regularities of a camera's "
        "picture?",
        blind_to="Manipulations whose fine detail was removed afterwards by compression, scaling "
        "or filters, and faces whose pixels were only moved in time, not drawn anew.",
        modality=Modality.IMAGE,
        phrase_for="the fine structure of the face differs from what a camera leaves",
        phrase_against="the fine structure of the face is what a camera leaves",
    )

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str) -> GuardedNetwork:
        """Build the network and its gate from config.json and model.safetensors."""
        from detectors.frequency.network import FrequencyNet

        config = checkpoint.config
        if config.get("model_type") != MODEL_TYPE:
            raise _refused(
                f"config.json: expected model_type {MODEL_TYPE!r}, got {config.get('model_type')!r}"
            )
        gating = config.get("gate")
        if not isinstance(gating, Mapping):
            raise _refused(f"config.json: expected gate as an object, got {gating!r}")
        net = FrequencyNet(_whole(config, "hidden"))
        net.load_state_dict(_weights(checkpoint, net))
        limits = {field.name: _number(gating, field.name) for field in fields(Domain)}
        return GuardedNetwork(net.to(device).eval(), Domain(**limits))

    def measure(self, window: Window, track: FaceTrack | None) -> Measurement:
        """Mean logit of up to six images of the face, unless their detail is gone."""
        assert track is not None  # `obstacle` lets no window without a face through
        import torch

        from detectors.inference import inference, moved

        chosen = spread(len(track.crops), FACES_A_WINDOW)
        data = np.stack(
            [describe(assessment) for assessment in align.center(track.crops[chosen], DESCRIBED_PX)]
        )
        measures = plain_measures(data) | {
            "blockiness_db": image_blocks_db(window.stills),
            "face_px": float(track.quality.face_px),
        }
        if not self.network.gate.in_domain(measures):
            return Measurement.cannot("re_encoded", measures)
        with inference(self.device):
            logits = self.network.net(moved(torch.from_numpy(data), self.device))
        return Measurement(float(logits.mean()), measures=measures, curves=(_drawn(data),))


def radial_db(descriptions: np.ndarray) -> np.ndarray:
    """(52,) power at each radius of the spectrum, decibels, median of (n, 1029) descriptions."""
    return profile_part(np.median(descriptions, axis=0), "radial") * NEPER_TO_DB


def _drawn(descriptions: np.ndarray) -> Curve:
    """The spectrum against those of real faces."""
    cycles = (np.arange(RADIAL_BINS) + 0.5) / RADIAL_BINS / 2
    power_db, name = radial_db(descriptions), "power by fineness of detail"
    return Curve(name, Axis.CYCLES_A_PIXEL, cycles, power_db, typical=_typical())


@cache
def _typical() -> np.ndarray:
    """(3, 52) power of real faces by radius, decibels: lower end, middle, upper end."""
    return np.loadtxt(TYPICAL, delimiter=",", skiprows=1)[:, 1:].T


def plain_measures(descriptions: np.ndarray) -> dict[str, float]:
    """What people can be shown of (n, 1029) descriptions: medians over the images."""
    typical = np.median(descriptions, axis=0)
    radial = profile_part(typical, "radial")
    power = np.exp(radial) * (
        np.arange(RADIAL_BINS) + 0.5
    )  # a ring holds power times circumference
    half = RADIAL_BINS // 2
    return {
        "high_band_share": float(power[half:].sum() / power.sum()),
        "detail_db": float(radial[half:].mean() * NEPER_TO_DB),
        "upsampling_peak_db": float(profile_part(typical, "peaks")[HIGH_RING:].max() * NEPER_TO_DB),
        "interpolation_peak_db": float(profile_part(typical, "traces").max() * NEPER_TO_DB),
    }


def _weights(checkpoint: Checkpoint, network: FrequencyNet) -> dict[str, torch.Tensor]:
    """The tensors of the file, with the names and shapes that the network has, all finite."""
    import torch
    from safetensors.torch import load_file

    try:
        tensors = load_file(checkpoint.folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise _refused(f"model.safetensors cannot be read: {error}") from error
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    odd = sorted(set(wanted) ^ set(tensors))
    if odd:
        raise _refused(f"model.safetensors: the tensor {odd[0]!r} is missing or unknown")
    for name, value in tensors.items():
        if tuple(value.shape) != wanted[name]:
            raise _refused(f"{name}: expected shape {wanted[name]}, got {tuple(value.shape)}")
        if not torch.isfinite(value.float()).all():
            raise _refused(f"{name} holds numbers that are not finite")
    return {name: value.float() for name, value in tensors.items()}


def _whole(config: Mapping[str, Any], name: str) -> int:
    value = config.get(name)
    if type(value) is not int or not 1 <= value <= LARGEST_WIDTH:
        raise _refused(f"config.json: expected {name} as 1 to {LARGEST_WIDTH}, got {value!r}")
    return value


def _number(config: Mapping[str, Any], name: str) -> float:
    value = config.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _refused(f"config.json: expected {name} as a number, got {value!r}")
    return float(value)


def _refused(fact: str) -> UserError:
    return UserError("weights_refused", f"This frequency checkpoint cannot be used. {fact}.")
