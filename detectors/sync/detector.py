"""Do the lips and the voice belong to the same moment? (two streams, in the manner of AV-HuBERT)

The network is trained on real speech only: it knows what in step looks like, not one generator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.base import Detector, Measurement
from detectors.exhibits import Axis, Curve
from detectors.sync.offset import IN_STEP, LEAST_SPEECH, compare
from hub.checkpoint import Checkpoint
from hub.role import Crop, Modality, Role, Way
from media import align
from media.mesh import LIPS_INSIDE
from media.rates import AUDIO_HZ, MOTION_HZ

if TYPE_CHECKING:
    from media.tracks import FaceTrack
    from media.windows import Window

SHORTEST_S = 1.0  # of a face on the clip's clock
STILL_MOUTH = (
    0.012  # spread of the lip opening in units of the face; below, these lips do not speak
)
SHOWN = ("lag_ms", "confidence", "best_cosine")


class Sync(Detector):
    """Compares the motion of the lips with the audio."""

    role = Role(
        name="sync",
        title="Lips and voice",
        question="Do the lips move in step with what is heard?",
        blind_to="a cloned voice on well-synchronized lips, and anything in a silent file",
        modality=Modality.BOTH,
        way=Way.VOICE,
        phrase_for="the lips do not move in step with the voice",
        phrase_against="the lips move in step with the voice",
        crop=Crop.MOUTH,
        needs_time=True,
        needs_audio=True,
        measured="best match at {lag_ms:+.0f} ms",
    )

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str) -> Any:
        """The two towers of the embedded network or of a published layout, on the device."""
        from detectors.sync.towers import load_towers

        return load_towers(checkpoint, device)

    def measure(self, window: Window, track: FaceTrack | None) -> Measurement:
        """Raw log-odds of being out of step, with lag and confidence."""
        assert track is not None  # `obstacle` lets no window without a face through
        start_s, stop_s = float(track.times_s[0]), float(track.times_s[-1]) + 1 / MOTION_HZ
        if stop_s - start_s < SHORTEST_S:
            return Measurement.cannot("clip_too_short")
        ticks_s = np.arange(start_s, stop_s, 1 / MOTION_HZ)
        speech = _spoken(ticks_s, window.speech_s)
        measures = {"speech_s": float(speech.sum()) / MOTION_HZ}
        if speech.sum() < LEAST_SPEECH:
            return Measurement.cannot("no_speech", measures)
        if lip_motion(track) < STILL_MOUTH:
            return Measurement.cannot("off_screen_speech", measures)
        embedded = self._embed(window, track, ticks_s)
        if embedded is None:
            return Measurement.cannot("audio_too_short", measures)
        face, audio = embedded
        if not (np.isfinite(face).all() and np.isfinite(audio).all()):
            return Measurement.cannot("broken_output", measures)
        middle = (self.network.context - 1) // 2  # frames from the first of a row to its middle
        result = compare(face, audio, speech[middle:])
        if result is None:
            return Measurement.cannot("audio_too_short", measures)
        measures |= {name: result.measures[name] for name in SHOWN}
        measures |= lag_curve(result.curve)
        over_time = _over_time(ticks_s[middle:], result.over_time)
        measures |= {"weakest_agreement": result.measures["weakest"]}
        raw, shown = self.network.judge(result.measures)
        measures |= shown
        if raw > 0 and sum(lip_motion(t) >= STILL_MOUTH for t in window.tracks) > 1:
            return Measurement.cannot("several_speakers", measures)
        return Measurement(raw, measures=measures, curves=(_drawn(result.curve), over_time))

    def _embed(
        self, window: Window, track: FaceTrack, ticks_s: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """(n, d) of the face and (k, d) of the audio on the ticks; None where audio is short."""
        assert window.audio is not None  # `obstacle` lets no silent window through
        nearest = np.abs(track.times_s[None] - ticks_s[:, None]).argmin(1)
        first = round((ticks_s[0] - window.audio_start_s) * AUDIO_HZ)
        stop = first + round(len(ticks_s) * AUDIO_HZ / MOTION_HZ)
        audio = np.pad(window.audio[max(first, 0) : max(stop, 0)], (max(-first, 0), 0))
        if len(audio) < SHORTEST_S * AUDIO_HZ / 2:
            return None
        return self.network.embed_face(track, nearest), self.network.embed_audio(audio)


def lag_curve(curve: np.ndarray) -> dict[str, float]:
    """The cosine at each lag that could be compared, by name; a voice that is late is positive."""
    lags_ms = (np.arange(len(curve)) - len(curve) // 2) * 1000 // MOTION_HZ
    return {
        f"cosine_at_{lag:+d}_ms": float(value)
        for lag, value in zip(lags_ms, curve, strict=True)
        if np.isfinite(value)
    }


def _drawn(curve: np.ndarray) -> Curve:
    """The same as a line, with the lags that recordings have."""
    step_ms = 1000 / MOTION_HZ
    lags_ms = (np.arange(len(curve)) - len(curve) // 2) * step_ms
    reach_ms = IN_STEP * step_ms
    name = "agreement of lips and voice"
    return Curve(name, Axis.LAG_MS, lags_ms, curve, zone=(-reach_ms, reach_ms))


def _over_time(ticks_s: np.ndarray, agreement: np.ndarray) -> Curve:
    """From moment to moment; the weakest is marked."""
    times_s = ticks_s[: len(agreement)]
    weakest = np.isfinite(agreement).any()
    marks = (float(times_s[np.nanargmin(agreement)]),) if weakest else ()
    name = "agreement from moment to moment"
    return Curve(name, Axis.TIME_S, times_s, agreement, marks, "weakest agreement")


def lip_motion(track: FaceTrack) -> float:
    """Standard deviation of the lip opening, in units of the eye-to-mouth distance."""
    upper, lower = (track.landmarks[:, i] for i in LIPS_INSIDE)
    scale = np.array([align.face_scale_px(points) for points in track.landmarks])
    return float((np.linalg.norm(upper - lower, axis=1) / scale).std())


def _spoken(ticks_s: np.ndarray, speech_s: np.ndarray) -> np.ndarray:
    """(n,) bool: does somebody speak at each tick?"""
    inside = (ticks_s[:, None] >= speech_s[None, :, 0]) & (ticks_s[:, None] < speech_s[None, :, 1])
    return np.any(inside, axis=1)
