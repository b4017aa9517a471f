"""By how much are mouth and audio apart, how sure is that, and what does it say about a fake?

Cosines of two rows of unit vectors by lag, the numbers that describe this curve, and the judge that
reads them. Works on plain arrays. Imports media.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy  # loads its rooms when they are first used

from media.rates import MOTION_HZ

MAX_LAG = 15  # frames, 600 ms: the reach of the offset curve
# Frames, 160 ms: real recordings are off by as much (ITU-R BT.1359 accepts audio 90 ms early to 185
# ms late), so a lag up to this is in step.
IN_STEP = 4
FAR = 6  # frames, 240 ms: from here on a lag is no longer a matter of recording
LEAST_PAIRS = 8  # a lag is judged on at least so many frames, else it is NaN
LEAST_SPEECH = 12  # frames with speech (0.5 s) below which nothing can be judged
MOMENT = 15  # frames, 600 ms: agreement from moment to moment is a mean over so many
SPOKEN_SHARE = 0.6  # of a moment's frames must hold speech, else it is NaN


@dataclass(frozen=True)
class Comparison:
    """Mouth and audio of one stretch against each other.

    Attributes:
        curve: (2 max_lag + 1,) of `offset_curve`.
        over_time: (n,) of `agreement`, at the best lag that a recording may have.
        measures: of `measure_curve`, and `weakest`, the lowest of ``over_time``.
    """

    curve: np.ndarray
    over_time: np.ndarray
    measures: dict[str, float]


def compare(
    mouth_emb: np.ndarray, audio_emb: np.ndarray, speech: np.ndarray | None = None
) -> Comparison | None:
    """Compare by lag and from moment to moment; arguments as in `offset_curve`.

    Returns:
        None when there is too little to judge.
    """
    n = min(len(mouth_emb), len(audio_emb))
    speech = np.ones(n, bool) if speech is None else np.asarray(speech[:n], bool)
    cosines = mouth_emb[:n] @ audio_emb[:n].T
    curve = _curve(cosines, MAX_LAG, speech)
    measures = measure_curve(curve, int(speech.sum()))
    if measures is None:
        return None
    near = slice(MAX_LAG - IN_STEP, MAX_LAG + IN_STEP + 1)
    lag = int(np.nanargmax(curve[near])) - IN_STEP
    over_time = agreement(cosines, lag, speech)
    lowest = np.nanmin(over_time) if np.isfinite(over_time).any() else measures["lead"]
    return Comparison(curve, over_time, measures | {"weakest": float(lowest)})


def agreement(cosines: np.ndarray, lag: int, speech: np.ndarray) -> np.ndarray:
    """How well mouth and audio agree from moment to moment.

    Args:
        cosines: (n, n) of each frame of the mouth with each frame of the audio.
        lag: frames that the audio comes late.
        speech: (n,) bool, which frames of the audio hold speech.

    Returns:
        (n,) float64, by frame of the mouth: the cosine at the lag minus the mean of those 240 ms
        and more beside it, mean over 600 ms. Near 0 means that the sound of another moment fits as
        well. NaN where fewer than 60 % of these frames hold speech.
    """
    n = len(cosines)
    frames = np.arange(n)
    partner = frames + lag
    inside = (partner >= 0) & (partner < n)
    partner = partner.clip(0, n - 1)
    gap = frames[None] - partner[:, None]  # (mouth, audio): how far beside the lag
    beside = (np.abs(gap) >= FAR) & (np.abs(gap) <= MAX_LAG + IN_STEP)
    others = (cosines * beside).sum(1) / beside.sum(1).clip(min=1)
    weight = (inside & speech[partner] & beside.any(1)).astype(float)
    mean_over = partial(scipy.ndimage.uniform_filter1d, size=MOMENT, mode="constant")
    share, lead = mean_over(weight), mean_over((cosines[frames, partner] - others) * weight)
    return np.where(share >= SPOKEN_SHARE, lead / np.maximum(share, 1e-6), np.nan)


def offset_curve(
    mouth_emb: np.ndarray,
    audio_emb: np.ndarray,
    max_lag: int = MAX_LAG,
    speech: np.ndarray | None = None,
) -> np.ndarray:
    """Mean cosine between mouth and audio by lag (the method of SyncNet, Chung & Zisserman 2016).

    Args:
        mouth_emb: (n, d) unit vectors.
        audio_emb: (k, d) unit vectors of the same stretch; the shorter length counts.
        max_lag: frames of 40 ms that the audio is tried late (and early).
        speech: (k,) bool, which frames of the audio hold speech; None means all.

    Returns:
        (2 max_lag + 1,) float64. Entry max_lag + lag compares the mouth at frame t with the audio
        at t + lag: a maximum at a positive lag means that the audio comes late, by lag x 40 ms. NaN
        where fewer than 8 frames could be compared.
    """
    n = min(len(mouth_emb), len(audio_emb))
    speaks = np.ones(n, bool) if speech is None else np.asarray(speech[:n], bool)
    return _curve(mouth_emb[:n] @ audio_emb[:n].T, max_lag, speaks)


def _curve(cosines: np.ndarray, max_lag: int, speaks: np.ndarray) -> np.ndarray:
    """`offset_curve` of (n, n) cosines, mouth by audio."""
    n = len(cosines)
    curve = np.full(2 * max_lag + 1, np.nan)
    for lag in range(-min(max_lag, n - 1), min(max_lag, n - 1) + 1):
        along = np.diagonal(cosines, lag)[speaks[max(lag, 0) : n + min(lag, 0)]]
        if len(along) >= LEAST_PAIRS:
            curve[max_lag + lag] = along.mean()
    return curve


def measure_curve(curve: np.ndarray, speech_frames: int) -> dict[str, float] | None:
    """What an offset curve says, in numbers.

    Args:
        curve: (2 max_lag + 1,) of `offset_curve`, or the speech-weighted mean of several.
        speech_frames: how many frames with speech it was measured on.

    Returns:
        `lag_frames` and `lag_ms` of the best match (audio late is positive), `confidence` (best
        minus median cosine), `best_cosine`, `in_step` (best cosine within 160 ms), `far` (best
        cosine beyond 240 ms), `lead` (in_step minus far), `rise` (in_step above the far mean, in
        far standard deviations), `speech` (log2 of seconds of speech). None when there is too
        little to judge.
    """
    lags = np.arange(len(curve)) - len(curve) // 2
    observed = np.isfinite(curve)
    near, far = observed & (np.abs(lags) <= IN_STEP), observed & (np.abs(lags) >= FAR)
    if speech_frames < LEAST_SPEECH or not near.any() or far.sum() < 2:
        return None
    best = int(np.nanargmax(curve))
    in_step, beyond = float(curve[near].max()), float(curve[far].max())
    spread = float(curve[far].std()) + 0.02  # cosine; keeps a flat curve from looking certain
    return {
        "lag_frames": float(lags[best]),
        "lag_ms": float(lags[best]) * 1000 / MOTION_HZ,
        "confidence": float(curve[best] - np.nanmedian(curve)),
        "best_cosine": float(curve[best]),
        "in_step": in_step,
        "far": beyond,
        "lead": in_step - beyond,
        "rise": (in_step - float(curve[far].mean())) / spread,
        "speech": math.log2(speech_frames / MOTION_HZ),
    }


def out_of_step(measures: dict[str, float], classifier: dict) -> float:
    """Calibrated log-odds that mouth and audio are not in step; arguments as in `raw_log_odds`."""
    values = np.array([measures[name] for name in classifier["names"]])
    scaled = (values - np.array(classifier["mean"])) / np.array(classifier["spread"])
    return float(
        classifier["scale"] * (scaled @ classifier["weights"] + classifier["offset"])
        + classifier["shift"]
    )


def raw_log_odds(measures: dict[str, float], classifier: dict) -> float:
    """The evidence for a foreign or moved audio, as a likelihood ratio.

    A dubbed mouth may keep step for a while, and some real recordings are out of step (voice-over,
    another speaker, careless editing). With the shares of files with a foreign audio and of real
    recordings that are out of step, `fake_out` and `real_out`, the evidence stays between
    log((1 - fake_out) / (1 - real_out)) and log(fake_out / real_out). It says nothing about the
    image: talking heads and lip-sync tools draw lips that are in step.

    Args:
        measures: of `measure_curve`.
        classifier: `SyncConfig.judge`, fitted on real speech, in step against not.

    Returns:
        Log-odds, positive for fake; rises with the odds of being out of step.
    """
    out = 1 / (1 + math.exp(-float(np.clip(out_of_step(measures, classifier), -50, 50))))
    fake, real = classifier["fake_out"], classifier["real_out"]
    return math.log((fake * out + (1 - fake) * (1 - out)) / (real * out + (1 - real) * (1 - out)))
