"""How good is a sync checkpoint on people that it has never seen?

Cuts windows as the app does, puts them beside their own sound, the same sound shifted, another
sentence and another person, fits the judge on the validation people, its calibration on the test
people, and computes the figures of the model card. Imports `detectors.sync` and, in the same
room, `training.sync.augment` and `training.sync.data`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from detectors.sync.network import SAMPLES, SyncModel
from detectors.sync.offset import FAR, LEAST_SPEECH, MAX_LAG, compare
from evaluation.bootstrap import interval
from evaluation.metrics import auc
from media.rates import AUDIO_HZ, MOTION_HZ
from training.sync.augment import disturbed_mouths
from training.sync.data import SHORTEST_FRAMES, Talk, disturbed, grid

LANDMARK_NOISE = 0.006  # of the face's height, in every landmark and frame (hard)
NUDGE = 3  # frames, 120 ms: constant offsets of real recordings that must pass
HOP_FRAMES = 25  # between the starts of two windows of one clip
WINDOW_FRAMES = {"ar": 30, "en": 75, "other": 75}  # the bars: 1.2 s and 3 s
FOREIGN = ("in_step", "shifted", "other_sentence", "other_person")  # what the judge learns from
KINDS = (*FOREIGN, "edited")
EDITED = (15, 38)  # frames, 0.6 to 1.5 s: so much of a mouth is taken from another moment
APART = 40  # frames between that moment and its new place
FEATURES = ("lead", "rise", "in_step", "confidence", "speech")


@dataclass(frozen=True)
class Spoken:
    """One clip on the 25 Hz grid: mouths (n, 96, 96), landmarks, sound (640 n,), speech (n,)."""

    clip: str
    part: str
    person: str
    mouths: np.ndarray
    landmarks: np.ndarray
    audio: np.ndarray
    speech: np.ndarray


def spoken_clips(data: Path, split: str) -> list[Spoken]:
    """All clips of one split whose face is seen throughout."""
    talk = Talk(data)
    names = ("mouth", "landmarks_frame")
    arrays = {
        s: [np.load(data / f"{s}_{n}.npy", mmap_mode="r") for n in names] for s in talk.frames
    }
    clips = []
    for _, row in talk.index[talk.index["split"] == split].iterrows():
        times, good = talk.times(row)
        audio = talk.audio(row)
        if not good.any():
            continue
        start_s = float(times[good][0])
        stop_s = min(len(audio) / AUDIO_HZ, float(times[good][-1]) + 0.03)
        n = int((stop_s - start_s) * MOTION_HZ)
        frames = grid(times, good, start_s, 1.0, n) if n >= SHORTEST_FRAMES else None
        if frames is None:
            continue
        part = slice(round(start_s * AUDIO_HZ), round(start_s * AUDIO_HZ) + n * SAMPLES)
        speech = talk.speech(audio)[part].reshape(n, -1).mean(1) > 0.5
        observed = [np.ascontiguousarray(a[frames + row["first"]]) for a in arrays[row["set"]]]
        clips.append(
            Spoken(row["clip"], row["set"], str(row["person"]), *observed, audio[part], speech)
        )
    return clips


def _audio_at(clip: Spoken, start: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Sound and speech of n frames from `start`; beyond the clip's ends it goes round."""
    frames = np.arange(start, start + n) % len(clip.speech)
    return clip.audio.reshape(-1, SAMPLES)[frames].ravel(), clip.speech[frames]


@dataclass(frozen=True)
class Protocol:
    """How windows are cut and what is done to them.

    Attributes:
        frames: length of a window by set.
        hard: disturb sound, mouths and landmarks.
        nudge: give in-step sound a small true offset (`NUDGE`), which is not a fake.
        hop: frames between the starts of two windows of one clip.
        most: windows of one person (the others are left out, evenly).
        seed: of shifts, strangers and disturbances.
        kinds: what each window is measured beside.
    """

    frames: dict[str, int]
    hard: bool = False
    nudge: bool = False
    hop: int = HOP_FRAMES
    most: int = 10_000
    seed: int = 0
    kinds: tuple[str, ...] = KINDS


def window_rows(model: SyncModel, clips: list[Spoken], protocol: Protocol) -> pd.DataFrame:
    """Measures of every window beside its own sound, beside wrong sound, and edited.

    Returns:
        One row a window and kind: `clip, set, person, start, kind, lag` and those of
        `offset.compare`.
    """
    rng = np.random.default_rng(protocol.seed)
    rows = []
    for clip, start, n in _windows(clips, protocol):
        frames = np.arange(start, start + n)
        untouched = _embeddings(model, clip, frames, protocol.hard, rng)
        for kind in protocol.kinds:
            other, at, lag = _partner(clips, clip, kind, start, n, rng)
            edited = _edited(frames, len(clip.speech), rng) if kind == "edited" else None
            if other is None or (kind == "edited" and edited is None):
                continue
            observed = untouched
            if edited is not None:
                observed = _embeddings(model, clip, edited, protocol.hard, rng)
            if kind == "in_step" and protocol.nudge:
                lag = int(rng.integers(-NUDGE, NUDGE + 1))
                at -= lag
            audio, speech = _audio_at(other, at, n)
            if protocol.hard:
                audio = disturbed(audio, clip.audio, rng)
            result = compare(observed, model.embed_audio(audio), speech)
            if result is not None:
                row = {"clip": clip.clip, "set": clip.part, "person": clip.person, "start": start}
                rows.append(row | {"kind": kind, "lag": lag} | result.measures)
    return pd.DataFrame(rows)


def _edited(frames: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray | None:
    """The same frames of a clip, a run of them from another moment; None if it is too short."""
    length = int(rng.integers(*EDITED))
    if len(frames) < 2 * length:
        return None
    at = int(rng.integers(len(frames) - length + 1))
    moments = np.arange(total - length + 1)
    moments = moments[np.abs(moments - frames[at]) >= APART]
    if not len(moments):
        return None
    result = frames.copy()
    result[at : at + length] = int(rng.choice(moments)) + np.arange(length)
    return result


def _windows(clips: list[Spoken], protocol: Protocol) -> list[tuple[Spoken, int, int]]:
    """(clip, first frame, frames) of the windows, at most `protocol.most` of each person."""
    result: dict[str, list[tuple[Spoken, int, int]]] = {}
    for clip in clips:
        n = min(protocol.frames[clip.part], len(clip.speech))
        starts = range(0, len(clip.speech) - n + 1, protocol.hop)
        result.setdefault(clip.person, []).extend((clip, start, n) for start in starts)
    selected = []
    for windows in result.values():
        step = max(1, -(-len(windows) // protocol.most))
        selected += windows[::step]
    return selected


def _embeddings(
    model: SyncModel, clip: Spoken, frames: np.ndarray, hard: bool, rng: np.random.Generator
) -> np.ndarray:
    """(n, d) what the network sees of the mouth in these frames (n,), disturbed if `hard`."""
    mouths, landmarks = clip.mouths[frames], clip.landmarks[frames]
    if hard:
        inner, order, _ = disturbed_mouths(mouths, rng)
        mouths = np.pad(inner.byte().numpy(), ((0, 0), (4, 4), (4, 4)), mode="edge")
        size = np.ptp(landmarks[..., 1], axis=1).mean()  # height of the face, px
        noise = rng.normal(0, LANDMARK_NOISE * size, landmarks.shape)
        landmarks = (landmarks[order] + noise).astype(np.float32)
    return model.embed_mouths(mouths if model.uses_images else None, landmarks)


def _partner(
    clips: list[Spoken], clip: Spoken, kind: str, start: int, n: int, rng: np.random.Generator
) -> tuple[Spoken | None, int, int]:
    """Whose sound, from which frame on, and the true lag (frames, sound late is positive)."""
    if kind in ("in_step", "edited"):
        return clip, start, 0
    if kind == "shifted":
        room = len(clip.speech) - n
        lags = [k for k in range(-MAX_LAG, MAX_LAG + 1) if abs(k) >= FAR]
        inside = [k for k in lags if 0 <= start - k <= room]
        lag = int(rng.choice(inside or lags))
        return clip, start - lag, lag
    same = kind == "other_sentence"
    others = [
        c
        for c in clips
        if c.part == clip.part and (c.person == clip.person) == same and c.clip != clip.clip
    ]
    others = [c for c in others if len(c.speech) >= n and c.speech.sum() >= LEAST_SPEECH]
    if not others:
        return None, 0, 0
    other = others[int(rng.integers(len(others)))]
    return other, int(rng.integers(len(other.speech) - n + 1)), 0


def fit_judge(rows: pd.DataFrame) -> dict:
    """The logistic judge, every person and kind of sound weighing the same within its class."""
    values = rows[list(FEATURES)].to_numpy()
    mean, spread = values.mean(0), values.std(0)
    wrong = (rows["kind"] != "in_step").to_numpy()
    weights = balanced(rows)
    fit = LogisticRegression(C=1.0).fit((values - mean) / spread, wrong, weights)
    real = rows[~wrong]
    return {
        "names": list(FEATURES),
        "mean": mean.round(6).tolist(),
        "spread": spread.round(6).tolist(),
        "weights": fit.coef_[0].round(6).tolist(),
        "offset": round(float(fit.intercept_[0]), 6),
        "highest_confidence": round(float(real["confidence"].max()), 4),
    }


def balanced(rows: pd.DataFrame) -> np.ndarray:
    """(n,) weights: real and wrong alike, persons by the root of their windows; mean 1."""
    wrong = (rows["kind"] != "in_step").to_numpy()
    weights = rows.groupby("person")["lag"].transform("size").to_numpy() ** -0.5
    for side in (wrong, ~wrong):
        weights[side] /= weights[side].sum()
    return weights * len(rows) / 2


def judged(rows: pd.DataFrame, classifier: dict) -> np.ndarray:
    """(n,) log-odds of not in step, uncalibrated."""
    values = (rows[classifier["names"]].to_numpy() - classifier["mean"]) / np.array(
        classifier["spread"]
    )
    return values @ np.array(classifier["weights"]) + classifier["offset"]


def fit_calibration(rows: pd.DataFrame, raw: np.ndarray) -> dict[str, float]:
    """Platt's scale and shift on people that neither the network nor the judge has seen."""
    wrong = (rows["kind"] != "in_step").to_numpy()
    fit = LogisticRegression(C=100.0).fit(raw[:, None], wrong, balanced(rows))
    return {"scale": round(float(fit.coef_[0, 0]), 6), "shift": round(float(fit.intercept_[0]), 6)}


def figures(rows: pd.DataFrame, raw: np.ndarray, name: str) -> list[dict]:
    """AUC against each kind of wrong sound and the lag's accuracy, with intervals over persons."""
    rows = rows.assign(raw=raw)
    result = []
    for part, table in rows.groupby("set"):
        seconds = WINDOW_FRAMES[part] / MOTION_HZ
        real = table[table["kind"] == "in_step"]
        unit = "files" if part == "other" else "people"
        people = real["person"].nunique()
        what = f"{name}, {part}, windows of {seconds:g} s"
        what += f", {people} {unit}" if people > 1 else ", one person (interval over clips)"
        for kind in KINDS[1:]:
            both = table[table["kind"].isin(["in_step", kind])]
            if len(both) == len(real):
                continue  # one person alone has no other persons
            entry = _with_interval(both, _auc)
            counts = {"n_real": len(real), "n_fake": len(both) - len(real)}
            label = f"AUC in step against {kind.replace('_', ' ')}"
            result.append({"name": label, **entry, **counts, "protocol": what})
        counts = {"n_real": len(real), "n_fake": 0}
        entry = _with_interval(real, lambda t: float((t["lag_frames"].abs() <= 2).mean()))
        label = "best lag within 2 frames, in step"
        result.append({"name": label, **entry, **counts, "protocol": what})
    return result


def _auc(table: pd.DataFrame) -> float:
    return auc((table["kind"] != "in_step").to_numpy(int), table["raw"].to_numpy())


def _with_interval(table: pd.DataFrame, measure: Callable[[pd.DataFrame], float]) -> dict:
    """Value with its 95 % interval over persons (over clips, if there is one)."""
    unit = "person" if table["person"].nunique() > 1 else "clip"
    limits = interval(lambda rows: measure(table.iloc[rows]), table[unit].astype(str).tolist())
    low, high = (None, None) if limits is None else (round(limit, 4) for limit in limits)
    return {"value": round(measure(table), 4), "low": low, "high": high}
