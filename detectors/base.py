"""What is a detector, and what does it say?

The contract that all of them keep. A detector declares itself by its `Role` and measures one face
in one window; `Detector.look` asks first whether it can judge at all. `collect` turns the
measurements of one person into a `Finding`. Imports hub and media; no torch, here nor in any file
that declares a detector: whoever asks only who there is must not wait for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from detectors.exhibits import Curve, FaceImage, strongest
from hub.checkpoint import Checkpoint
from hub.role import Crop, Modality, Role
from media.sniff import MediaKind

if TYPE_CHECKING:  # types only: nobody who lists the detectors waits for decoders
    from media.tracks import FaceTrack
    from media.turns import Turn
    from media.windows import Stretch, Window

REASONS: dict[str, str] = {
    "no_face": "No face was found.",
    "face_too_small": "The face is too small: fewer than 48 pixels from brows to chin.",
    "too_blurry": "The face is too blurred to be judged.",
    "too_dark": "The face is too dark to be judged.",
    "no_pictures": "The file holds sound only: there is no picture to look at.",
    "no_audio": "The file has no sound.",
    "audio_too_short": "The sound is too short to be judged.",
    "no_speech": "Nobody is heard speaking.",
    "off_screen_speech": (
        "Speech is heard, but this face's mouth hardly moves: the speaker may be off screen."
    ),
    "several_speakers": "Several faces move their lips while one voice is heard.",
    "clip_too_short": "The face is seen for too short a time for this detector.",
    "single_picture": "A single picture has no motion and no sound to look at.",
    "weights_missing": "The checkpoint of this detector could not be found.",
    "weights_refused": "The checkpoint of this detector was refused.",
    "decode_failed": "This part of the file could not be decoded.",
    "re_encoded": "Re-encoding has removed the fine detail that this detector needs.",
    "broken_output": "The checkpoint returned no finite number (its weights may be damaged).",
}

UNFAMILIARITY = "unfamiliarity"  # measure: 0..1, share of real files that are more like those known


class Status(StrEnum):
    """Whether a number may count, and if not, why."""

    COUNTED = "counted"
    UNCALIBRATED = "uncalibrated"
    EXPERIMENTAL = "experimental"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True)
class Reason:
    """Why there is no number: a code of `REASONS` and a sentence for people."""

    code: str
    sentence: str

    @classmethod
    def of(cls, code: str) -> Reason:
        """The standard sentence of a code."""
        return cls(code, REASONS[code])


@dataclass(frozen=True)
class Measurement:
    """What one detector measured of one face in one window.

    Attributes:
        raw: log-odds as the network gives them, not calibrated; None when it cannot judge.
        reason: why not, when ``raw`` is None.
        measures: named quantities with their unit in the name, e.g. ``lag_ms``.
        curves: what it measured along an axis, to be drawn.
        image: the strongest of the images that it looked at.
    """

    raw: float | None
    reason: Reason | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    curves: tuple[Curve, ...] = ()
    image: FaceImage | None = None

    @classmethod
    def cannot(cls, code: str, measures: Mapping[str, float] | None = None) -> Measurement:
        """No number, for a standard reason."""
        return cls(None, Reason.of(code), measures or {})


@dataclass(frozen=True)
class WindowScore:
    """What a detector says of one stretch of time.

    Attributes:
        start_s, stop_s: on the clip's clock.
        score: log-odds as the network gives them.
        llr: the same calibrated, a natural log-likelihood ratio; None where nothing is calibrated.
    """

    start_s: float
    stop_s: float
    score: float
    llr: float | None

    @property
    def value(self) -> float:
        """What is shown: ``llr``, or the score where there is none."""
        return self.score if self.llr is None else self.llr


@dataclass(frozen=True)
class Finding:
    """What one detector says about one person in the whole clip.

    Attributes:
        role: of the detector that says it.
        person: "Face A", or None for the whole image.
        score: mean log-odds of the windows as the network gives them, or None.
        llr: the same calibrated, a natural log-likelihood ratio; None where nothing is calibrated.
        status: whether the number may count.
        reason: why there is no number.
        windows: the same over time.
        measures: named quantities with units in their names.
        checkpoint: name@revision.
        calibrated: the number was calibrated on labeled data for exactly this checkpoint.
        level_shift: log-odds that reference recordings took off ``llr`` (`verdict.reference`).
        curves: of all windows, in the order of time.
        image: the strongest of all windows.
    """

    role: Role
    person: str | None
    score: float | None
    llr: float | None
    status: Status
    reason: Reason | None
    windows: tuple[WindowScore, ...]
    measures: Mapping[str, float]
    checkpoint: str
    calibrated: bool
    level_shift: float = 0.0
    curves: tuple[Curve, ...] = ()
    image: FaceImage | None = None

    def __post_init__(self) -> None:
        if (self.score is None) == (self.reason is None):
            raise ValueError("a finding has either a score or a reason, never both or neither")
        if self.status == Status.COUNTED and self.llr is None:
            raise ValueError("only what was calibrated can be counted")

    @property
    def detector(self) -> str:
        """The name of its role."""
        return self.role.name

    @property
    def value(self) -> float | None:
        """What is shown: ``llr``, or the score where nothing is calibrated."""
        return self.score if self.llr is None else self.llr


@dataclass(frozen=True)
class Backbone:
    """A frozen network that several detectors share: their checkpoints are heads on it.

    Attributes:
        folder: with the backbone's weights; the pool loads it once a device.
        load: from folder and device to the network, ready to run.
    """

    folder: Path
    load: Callable[[Path, str], Any]


class Detector(ABC):
    """One kind of evidence. Subclasses carry their `Role` and implement `load` and `measure`.

    Args:
        checkpoint: how its weights are used.
        network: of `load`.
        device: where the network is.
        backbone: the network of `backbone`, or None.
    """

    role: ClassVar[Role]

    def __init__(
        self, checkpoint: Checkpoint, network: Any, device: str = "cpu", backbone: Any = None
    ) -> None:
        self.checkpoint = checkpoint
        self.network = network
        self.device = device
        self.shared = backbone

    @classmethod
    @abstractmethod
    def load(cls, checkpoint: Checkpoint, device: str) -> Any:
        """Build the network from a verified checkpoint; raises UserError when it does not fit."""

    @classmethod
    def backbone(cls, checkpoint: Checkpoint) -> Backbone | None:
        """The network under this checkpoint's head, where it is shared; None for most."""
        return None

    @abstractmethod
    def measure(self, window: Window, track: FaceTrack | None) -> Measurement:
        """Look at one face in one window; `look` has checked that it can be judged."""

    def look(self, window: Window, track: FaceTrack | None) -> Measurement:
        """Measure, or say why not. A number that is not finite becomes a reason."""
        code = self.obstacle(window, track)
        if code is not None:
            return Measurement.cannot(code)
        result = self.measure(window, track)
        if result.raw is not None and not np.isfinite(result.raw):
            return Measurement.cannot("broken_output")
        return result

    def confirm(self, image: FaceImage) -> FaceImage:
        """Say whether a heatmap holds; called once, for the image that is shown. Few can."""
        return image

    def obstacle(self, window: Window, track: FaceTrack | None) -> str | None:
        """The reason code why this window cannot be judged, or None."""
        code = obstacle_of_file(self.role, window.kind, window.audio is not None)
        if code is not None and code != "no_audio":  # a face is asked for before its voice
            return code
        if self.checkpoint.card.crop != Crop.FRAME:
            if track is None:
                return "no_face"
            if track.quality.problem is not None:
                return track.quality.problem
        return code


def obstacle_of_file(role: Role, kind: MediaKind, has_audio: bool) -> str | None:
    """The reason code why no detector of this role can judge a file of that kind, or None."""
    if kind == MediaKind.AUDIO and role.modality != Modality.AUDIO:
        return "no_pictures"
    if kind == MediaKind.IMAGE and (role.needs_time or role.needs_audio):
        return "single_picture"
    return "no_audio" if role.needs_audio and not has_audio else None


WindowMeasurement = tuple["Stretch", Measurement]


def collect(
    detector: Detector, person: str | None, assessments: Sequence[WindowMeasurement]
) -> Finding:
    """One finding from the measurements of one person in all windows.

    The raw log-odds of the windows are averaged, then calibrated, as calibrations are fitted.
    """
    card = detector.checkpoint.card
    scored = [(stretch, float(m.raw), m) for stretch, m in assessments if m.raw is not None]
    calibration = card.calibration

    def llr(raw: float) -> float | None:
        return calibration.apply(raw) if calibration is not None else None

    common: dict[str, Any] = dict(
        role=detector.role,
        person=person,
        measures=_typical([m.measures for _, m in assessments]),
        checkpoint=detector.checkpoint.label,
        calibrated=calibration is not None,
    )
    if not scored:
        reason = _commonest([m.reason for _, m in assessments if m.reason is not None])
        return Finding(
            score=None,
            llr=None,
            status=Status.NOT_APPLICABLE,
            reason=reason,
            windows=(),
            **common,
        )
    votes = Status.COUNTED if card.votes else Status.EXPERIMENTAL
    score = float(np.mean([raw for _, raw, _ in scored]))
    return Finding(
        score=score,
        llr=llr(score),
        status=Status.UNCALIBRATED if calibration is None else votes,
        reason=None,
        windows=tuple(WindowScore(s.start_s, s.stop_s, raw, llr(raw)) for s, raw, _ in scored),
        curves=tuple(c for _, _, m in scored for c in m.curves),
        image=strongest([m.image for _, _, m in scored]),
        **common,
    )


def by_turn(finding: Finding, turns: Sequence[Turn]) -> Finding:
    """The finding with a measure for each voice and for the strongest turn, where several speak.

    The number of a turn is the mean of the windows that it lies in, weighted by the seconds; that
    of a voice likewise over its turns.

    Args:
        finding: of one that listens.
        turns: in their order.
    """
    voices = sorted({turn.voice for turn in turns}, key=lambda voice: (len(voice), voice))
    if finding.score is None or len(voices) < 2:
        return finding
    measures = {"voices": float(len(voices)), **finding.measures}
    for voice in voices:
        subset = [turn for turn in turns if turn.voice == voice]
        score = _mean_over(finding.windows, subset)
        if score is not None:
            measures[f"voice_{voice.lower()}_log_odds"] = score
    scored = [(_mean_over(finding.windows, [turn]), turn.start_s) for turn in turns]
    known = [(score, start_s) for score, start_s in scored if score is not None]
    if known:
        strongest, start_s = max(known)
        measures |= {"strongest_turn_log_odds": strongest, "strongest_turn_from_s": start_s}
    return replace(finding, measures=measures)


def _mean_over(windows: Sequence[WindowScore], turns: Sequence[Turn]) -> float | None:
    """Mean score of the windows, weighted by the seconds that they share with the turns."""
    shared = [
        (sum(max(0.0, min(w.stop_s, t.stop_s) - max(w.start_s, t.start_s)) for t in turns), w.score)
        for w in windows
    ]
    total = sum(seconds for seconds, _ in shared)
    return sum(seconds * score for seconds, score in shared) / total if total > 0 else None


def unavailable(role: Role, checkpoint: str, reason: Reason) -> Finding:
    """The finding of a detector whose checkpoint could not be used."""
    return Finding(role, None, None, None, Status.NOT_APPLICABLE, reason, (), {}, checkpoint, False)


def _typical(all_measures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Median of each named quantity over the windows that have it."""
    names = dict.fromkeys(name for measures in all_measures for name in measures)
    return {n: float(np.median([m[n] for m in all_measures if n in m])) for n in names}


def _commonest(reasons: Sequence[Reason]) -> Reason:
    counted = {r: sum(r == other for other in reasons) for r in reasons}
    return max(counted, key=lambda r: counted[r]) if counted else Reason.of("no_face")
