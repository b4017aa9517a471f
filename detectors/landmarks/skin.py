"""How do the images of a face change from one moment to the next, apart from where its points go?

A camera's focus, noise and encoder decide how much detail a filmed skin shows and how it comes and
goes; a network that animates a photo draws the skin anew and cleaner (measured: training/LOG.md).
Plain measures of that: in four bands and three regions, how much detail there is, how much of it
changes within one and within four images, and how uneven the change is over time. Works on plain
arrays. Imports media.
"""

from __future__ import annotations

import cv2
import numpy as np

from media.rates import MOTION_HZ

SIDE_PX = 192  # the crops are looked at in this size; the face itself is 134 of it
MOST_IMAGES = 72  # of a window
SIGMAS_PX = (0.8, 1.6, 3.2, 6.4)  # blurs whose differences are the bands, fine to coarse
FLOOR = 0.05  # gray levels squared, of 255: energies below are rounding
LONG_STEP = 4  # images
BURST = 0.95  # quantile of the change that is compared with the median
REGIONS = {  # rows and columns of the 192-pixel crop
    "brow": (slice(30, 75), slice(40, 152)),
    "mouth": (slice(110, 150), slice(60, 132)),
    "cheek": (slice(85, 120), slice(45, 147)),
}


def measure_skin(crops: np.ndarray, times_s: np.ndarray) -> dict[str, float]:
    """All measures by name: natural logarithms of energies and of ratios of energies.

    Args:
        crops: (n, s, s, 3) uint8 RGB, upright face crops of `media.align`, n at least 8.
        times_s: (n,) increasing.

    Returns:
        For band 0 (finest) to 3 and each region: ``skin_detail_…`` (energy), ``skin_change_…`` and
        ``skin_drift_…`` (change within one and four images, over the energy), ``skin_burst_…``
        (the 95th percentile of the change over its median).
    """
    # images are skipped so that the rate comes near; none is ever shown twice
    step = max(1, round((len(times_s) - 1) / max(float(np.ptp(times_s)), 1e-6) / MOTION_HZ))
    gray = np.stack([_small(crop) for crop in crops[::step][:MOST_IMAGES]])
    result = {}
    before = gray
    for band, sigma in enumerate(SIGMAS_PX):
        soft = np.stack([cv2.GaussianBlur(image, (0, 0), sigma) for image in gray])
        for region, place in REGIONS.items():
            inside = (slice(None), *place)
            result |= _one(before[inside] - soft[inside], f"{region}_{band}")
        before = soft
    return result


def _small(crop: np.ndarray) -> np.ndarray:
    small = cv2.resize(crop, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _one(band: np.ndarray, name: str) -> dict[str, float]:
    """The four measures of one band of one region, (n, h, w)."""
    energy = float((band**2).mean()) + FLOOR
    change = ((band[1:] - band[:-1]) ** 2).mean((1, 2)) + FLOOR / 10
    drift = float(((band[LONG_STEP:] - band[:-LONG_STEP]) ** 2).mean()) + FLOOR / 10
    return {
        f"skin_detail_{name}": float(np.log(energy)),
        f"skin_change_{name}": float(np.log(change.mean() / energy)),
        f"skin_drift_{name}": float(np.log(drift / energy)),
        f"skin_burst_{name}": float(np.log(np.quantile(change, BURST) / np.median(change))),
    }
