"""Does the face move as real faces do: lids, mouth, head and skin?

Wraps the measures of `features` and `skin` and the linear judge in the contract of
`base`. Cheap and easy to explain. Imports `base`, `features`, `skin` and hub.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from detectors.base import Detector, Measurement
from detectors.exhibits import Axis, Curve
from detectors.landmarks.classifier import LinearClassifier
from detectors.landmarks.features import measure_motion, openings_over_time
from detectors.landmarks.skin import SIDE_PX, measure_skin
from errors import UserError
from hub.checkpoint import Checkpoint
from hub.role import Modality, Role
from media.rates import MOTION_HZ

if TYPE_CHECKING:
    from media.tracks import FaceTrack
    from media.windows import Window

MODEL_TYPE = "face-motion"
SHORTEST_S = 1.5  # below, neither a blink nor a phrase fits in
SLOWEST_HZ = 12.0  # below, a blink falls between two images
MOST_MEASURES = 200
SHOWN = (
    "blink_rate_hz",
    "blink_length_s",
    "lid_disagreement_share",
    "mouth_opening_range",
    "mouth_rhythm_hz",
    "head_range",
    "head_jitter_px",
    "tilt_range_deg",
    "skin_detail_cheek_1",
    "skin_change_cheek_1",
    "skin_burst_mouth_3",
)


class Landmarks(Detector):
    """Blinks, mouth, head pose and their trembling over time, and how the skin changes."""

    role = Role(
        name="landmarks",
        title="Movement of face and skin",
        question="Do lids, mouth, head and skin move and change as evenly or unevenly as in real "
        "recordings?",
        blind_to="Fakes that take their movement from a real performance, such as most face "
        "swaps, and everything that happens in a single picture.",
        modality=Modality.IMAGE,
        phrase_for="the skin looks and changes as in an animated photo",
        phrase_against="the skin looks and changes as in a film",
        needs_time=True,
    )

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str) -> LinearClassifier:
        """Read the names of the measures from config.json and the numbers from
        model.safetensors.
        """
        config = checkpoint.config
        if config.get("model_type") != MODEL_TYPE:
            raise _refused(
                f"config.json: expected model_type {MODEL_TYPE!r}, got {config.get('model_type')!r}"
            )
        names = _known_names(config.get("measures"))
        numbers = _numbers(checkpoint, len(names))
        arrays = (numbers[part] for part in ("mean", "spread", "weights"))
        return LinearClassifier(names, *arrays, offset=float(numbers["offset"][0]))

    def measure(self, window: Window, track: FaceTrack | None) -> Measurement:
        """Raw log-odds of the linear judge for this window."""
        assert track is not None  # `obstacle` lets no window without a face through
        seconds = float(track.times_s[-1] - track.times_s[0])
        if seconds < SHORTEST_S or len(track.times_s) < SLOWEST_HZ * seconds:
            return Measurement.cannot("clip_too_short")
        measures = measure_face(track.landmarks, track.crops, track.times_s)
        shown = {name: measures[name] for name in SHOWN}
        return Measurement(self.network.log_odds(measures), measures=shown, curves=_drawn(track))


def _drawn(track: FaceTrack) -> tuple[Curve, ...]:
    """Mouth and lids over time; blinks are marked."""
    times_s, mouth, lids, blinks_s = openings_over_time(track.landmarks, track.times_s)
    return (
        Curve("opening of the mouth", Axis.TIME_S, times_s, mouth),
        Curve("opening of the eyes", Axis.TIME_S, times_s, lids, blinks_s, "blinks"),
    )


def measure_face(landmarks: np.ndarray, crops: np.ndarray, times_s: np.ndarray) -> dict[str, float]:
    """All measures of one face over time, in the app as in training; arrays as in `FaceTrack`."""
    return measure_motion(landmarks, times_s) | measure_skin(crops, times_s)


def _known_names(names: object) -> tuple[str, ...]:
    """The measures that a checkpoint reads, all of which this program can make."""
    if (
        not isinstance(names, Sequence)
        or isinstance(names, str)
        or not 0 < len(names) <= MOST_MEASURES
    ):
        raise _refused(
            f"config.json: expected measures as a list of names, got {type(names).__name__}"
        )
    black = np.zeros((50, SIDE_PX, SIDE_PX, 3), np.uint8)
    rest = measure_face(_resting_face(), black, np.arange(50) / MOTION_HZ)
    unknown = [name for name in names if name not in rest]
    if unknown:
        raise _refused(f"config.json: the measure {unknown[0]!r} is unknown")
    return tuple(names)


def _resting_face() -> np.ndarray:
    """(50, 468, 2) of a face that never moves; only the names of its measures matter."""
    grid = np.stack(np.meshgrid(np.arange(26.0), np.arange(18.0)), -1).reshape(468, 2)
    return np.repeat(grid[None] * 4, 50, 0)


def _numbers(checkpoint: Checkpoint, count: int) -> dict[str, np.ndarray]:
    """mean, spread, weights (count,) and offset (1,) of the file, all finite."""
    try:
        tensors = load_file(checkpoint.folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise _refused(f"model.safetensors cannot be read: {error}") from error
    wanted = {"mean": (count,), "spread": (count,), "weights": (count,), "offset": (1,)}
    for name, shape in wanted.items():
        got = tensors[name].shape if name in tensors else None
        if got != shape:
            raise _refused(f"{name}: expected shape {shape}, got {got}")
        if not np.isfinite(tensors[name]).all():
            raise _refused(f"{name} holds numbers that are not finite")
    if tensors["spread"].min() <= 0:
        raise _refused("spread: expected positive numbers")
    return tensors


def _refused(fact: str) -> UserError:
    return UserError("weights_refused", f"This landmarks checkpoint cannot be used. {fact}.")
