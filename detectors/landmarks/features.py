"""How does a face move, in numbers that people know by name?

From 468 points over time: lids, mouth, head, and the trembling of parts against each other. Works
on plain arrays and never sees an image. Imports media.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads its rooms when they are first used

from media.mesh import (
    CHIN,
    LEFT_EYE,
    LEFT_LIDS,
    LIP_CORNERS,
    LIPS_INSIDE,
    NOSE_TIP,
    POINTS,
    REGIONS,
    RIGHT_EYE,
    RIGHT_LIDS,
    RIGID,
)
from media.rates import MOTION_HZ

SLOW_HZ = 5.0  # speech moves lips and jaw mostly below; the tracker's noise lies above
CLOSED_SHARE = 0.7  # of the open eye's aspect ratio: below it, the lid is closing
SHORTEST_BLINK_S, LONGEST_BLINK_S = 0.06, 0.5
LIVELY = 0.15  # least drop of the aspect ratio, as a share, that is no noise


@dataclass(frozen=True)
class Motion:
    """A face over time without its place, size and tilt.

    Attributes:
        shapes: (n, 468, 2) float64 at `MOTION_HZ`, in units of the eye distance, eyes level.
        places: (n, 2) float64, where the head is, in the same units.
        tilts_rad: (n,) float64.
        sizes: (n,) float64, relative to the median.
        eye_px: median distance of the eyes' centers in pixels.
    """

    shapes: np.ndarray
    places: np.ndarray
    tilts_rad: np.ndarray
    sizes: np.ndarray
    eye_px: float


def motion(landmarks: np.ndarray, times_s: np.ndarray) -> Motion:
    """Separate the movement of the head from that of the face.

    Args:
        landmarks: (n, 468, 2) px.
        times_s: (n,) increasing.
    """
    even_s = np.arange(times_s[0], times_s[-1] + 1e-6, 1 / MOTION_HZ)
    flat = landmarks.reshape(len(landmarks), -1).astype(np.float64)
    right = np.clip(np.searchsorted(times_s, even_s), 1, len(times_s) - 1)
    share = (even_s - times_s[right - 1]) / np.maximum(times_s[right] - times_s[right - 1], 1e-6)
    flat = flat[right - 1] + np.clip(share, 0, 1)[:, None] * (flat[right] - flat[right - 1])
    points = flat.reshape(-1, POINTS, 2)
    across = points[:, list(LEFT_EYE)].mean(1) - points[:, list(RIGHT_EYE)].mean(1)
    eye_px = max(float(np.median(np.hypot(*across.T))), 1e-3)
    points = points / eye_px
    model = _upright(np.median(points, 0))
    rotations, places = _fit(points[:, list(RIGID)], model[list(RIGID)])
    shapes = np.einsum("nij,nkj->nki", rotations, points - places[:, None])
    sizes = 1 / np.sqrt(np.abs(np.linalg.det(rotations)))
    tilts = np.unwrap(-np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0]))
    return Motion(shapes, places, tilts, sizes, eye_px)


def _upright(shape: np.ndarray) -> np.ndarray:
    """One shape with its eyes level and its rigid points around the origin."""
    across = shape[list(LEFT_EYE)].mean(0) - shape[list(RIGHT_EYE)].mean(0)
    angle = np.arctan2(across[1], across[0])
    cos, sin = np.cos(angle), np.sin(angle)
    return (shape - shape[list(RIGID)].mean(0)) @ np.array([[cos, -sin], [sin, cos]])


def _fit(points: np.ndarray, model: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Similarity of every frame's (n, k, 2) points to a (k, 2) model (Umeyama 1991).

    Returns:
        (n, 2, 2) scaled rotations and (n, 2) centers: model = rotation @ (point - center).
    """
    centers = points.mean(1)
    a, b = points - centers[:, None], model - model.mean(0)
    norm = (a**2).sum((1, 2))
    cos = (a * b).sum((1, 2)) / norm
    sin = (a[..., 0] * b[:, 1] - a[..., 1] * b[:, 0]).sum(1) / norm
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2), centers


# --- measures ------------------------------------------------------------------------------------


def eye_openings(shapes: np.ndarray) -> np.ndarray:
    """Aspect ratio of the right and left eye (Soukupova & Cech 2016), (n, 2)."""
    result = []
    for lids, corners in ((RIGHT_LIDS, RIGHT_EYE), (LEFT_LIDS, LEFT_EYE)):
        height = np.mean([_distance(shapes, a, b) for a, b in lids], 0)
        result.append(height / np.maximum(_distance(shapes, *corners), 1e-6))
    return np.stack(result, -1)


def lid_openings(openings: np.ndarray) -> np.ndarray:
    """(n,) mean of (n, 2) aspect ratios as a share of the open eye."""
    both = openings.mean(1)
    return both / max(float(np.quantile(both, 0.8)), 1e-6)


def blinks(openings: np.ndarray) -> list[tuple[float, float, float]]:
    """Start (s), duration (s) and depth (share of the open eye) of each blink in (n, 2) ratios."""
    share = lid_openings(openings)
    result = []
    edges = np.diff(np.concatenate([[0], share < CLOSED_SHARE, [0]]).astype(int))
    for start, stop in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True):
        duration_s = (stop - start) / MOTION_HZ
        if SHORTEST_BLINK_S / 2 <= duration_s <= LONGEST_BLINK_S:
            depth = float(1 - share[start:stop].min())
            result.append((start / MOTION_HZ, duration_s, depth))
    return result


def measure_motion(landmarks: np.ndarray, times_s: np.ndarray) -> dict[str, float]:
    """Everything that the detector measures, by name with its unit.

    Distances are shares of the eye distance ("per mille of the eye distance" where so named).
    """
    moved = motion(landmarks, times_s)
    seconds = len(moved.shapes) / MOTION_HZ
    result = _eyes(moved, seconds) | _mouth(moved) | _head(moved) | _regions(moved)
    return {name: float(value) for name, value in result.items()}


def openings_over_time(
    landmarks: np.ndarray, times_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, ...]]:
    """What people can follow with their own eyes: mouth and lids over time.

    Args:
        landmarks: (n, 468, 2) px.
        times_s: (n,) increasing.

    Returns:
        (k,) times at `MOTION_HZ` on the same clock, (k,) opening of the lips in eye distances, (k,)
        opening of the lids as a share of the open eye, and when blinks begin (s).
    """
    moved = motion(landmarks, times_s)
    openings = eye_openings(moved.shapes)
    even_s = times_s[0] + np.arange(len(openings)) / MOTION_HZ
    begins_s = tuple(float(times_s[0]) + start_s for start_s, _, _ in blinks(openings))
    return even_s, _distance(moved.shapes, *LIPS_INSIDE), lid_openings(openings), begins_s


def _eyes(moved: Motion, seconds: float) -> dict[str, np.floating | float]:
    openings = eye_openings(moved.shapes)
    result = blinks(openings)
    share = openings / np.maximum(np.quantile(openings, 0.8, axis=0), 1e-6)
    return {
        "blink_rate_hz": len(result) / seconds,
        "blink_length_s": float(np.mean([b[1] for b in result])) if result else 0.0,
        "lid_range_share": np.ptp(np.quantile(share.mean(1), [0.02, 0.98])),
        "lid_speed_per_s": np.std(np.diff(share.mean(1))) * MOTION_HZ,
        "lid_disagreement_share": np.std(share[:, 0] - share[:, 1]),
        "lid_agreement": _correlation(share[:, 0], share[:, 1]),
    }


def _mouth(moved: Motion) -> dict[str, np.floating | float]:
    opening = _distance(moved.shapes, *LIPS_INSIDE)
    width = _distance(moved.shapes, *LIP_CORNERS)
    jaw = moved.shapes[:, CHIN, 1]
    turning = np.gradient(moved.shapes[:, NOSE_TIP, 0])
    return {
        "mouth_opening_range": np.ptp(np.quantile(opening, [0.05, 0.95])),
        "mouth_width_range": np.ptp(np.quantile(width, [0.05, 0.95])),
        "mouth_speed_per_s": np.std(np.diff(opening)) * MOTION_HZ,
        "mouth_rhythm_hz": _mean_frequency_hz(opening),
        "mouth_fast_log_share": _fast_log_share(opening),
        "mouth_jaw_agreement": _correlation(opening, jaw),
        "mouth_width_agreement": _correlation(opening, width),
        "mouth_head_agreement": abs(_correlation(np.abs(np.gradient(opening)), np.abs(turning))),
    }


def _head(moved: Motion) -> dict[str, np.floating | float]:
    turn, nod = moved.shapes[:, NOSE_TIP].T  # against the rigid frame
    return {
        "head_range": float(np.hypot(*np.ptp(moved.places, 0))),
        "head_jitter_px": _shake(moved.places) * moved.eye_px,
        "head_jitter_log": np.log(_shake(moved.places) + 1e-4),
        "tilt_range_deg": np.degrees(np.ptp(moved.tilts_rad)),
        "tilt_jitter_log": np.log(_shake(moved.tilts_rad[:, None]) + 1e-4),
        "size_jitter_log": np.log(_shake(moved.sizes[:, None]) + 1e-4),
        "size_range": np.ptp(moved.sizes),
        "turn_range": np.ptp(np.quantile(turn, [0.05, 0.95])),
        "nod_range": np.ptp(np.quantile(nod, [0.05, 0.95])),
        "head_fast_log_share": np.mean([_fast_log_share(p) for p in moved.places.T]),
        "tilt_fast_log_share": _fast_log_share(moved.tilts_rad),
        "turn_fast_log_share": _fast_log_share(turn),
    }


def _regions(moved: Motion) -> dict[str, float]:
    """Trembling of each part of the face in the frame of the head, and its slow movement."""
    shake, slow = {}, {}
    for name, points in REGIONS.items():
        paths = moved.shapes[:, list(points)].reshape(len(moved.shapes), -1)
        shake[name] = np.log(_shake(paths) + 1e-4)
        sigma = MOTION_HZ / (2 * np.pi * SLOW_HZ) * 2
        smooth = scipy.ndimage.gaussian_filter1d(paths, sigma, axis=0)
        slow[name] = np.log(np.sqrt((np.diff(smooth, axis=0) ** 2).mean()) + 1e-4)
    result = {"face_jitter_log": float(np.mean(list(shake.values())))}
    for name in REGIONS:
        result[f"{name}_jitter_log"] = shake[name] - result["face_jitter_log"]
        result[f"{name}_smoothness_log"] = slow[name] - shake[name]
    return result


def _distance(shapes: np.ndarray, a: int, b: int) -> np.ndarray:
    return np.hypot(*(shapes[:, a] - shapes[:, b]).T)


def _shake(paths: np.ndarray) -> float:
    """Root mean square of the second difference of (n, k) paths, scaled to white noise's own size.

    White noise of standard deviation s has second differences of variance 6 s².
    """
    return float(np.sqrt((np.diff(paths, 2, axis=0) ** 2).mean() / 6))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's, 0 where nothing moves."""
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / norm) if norm > 1e-9 else 0.0


def _power(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz and power of a path without its trend."""
    return scipy.signal.periodogram(scipy.signal.detrend(values), MOTION_HZ, window="hann")


def _mean_frequency_hz(values: np.ndarray) -> float:
    frequency, power = _power(values)
    return float((frequency * power).sum() / max(power.sum(), 1e-12))


def _fast_log_share(values: np.ndarray) -> float:
    """Log ratio of power above `SLOW_HZ` to power below."""
    frequency, power = _power(values)
    fast, slow = power[frequency > SLOW_HZ].sum(), power[frequency <= SLOW_HZ].sum()
    return float(np.log((fast + 1e-9) / (slow + 1e-9)))
