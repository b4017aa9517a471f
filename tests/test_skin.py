"""Claims about `detectors.landmarks.skin`: what the skin's measures rise and fall with."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.landmarks.skin import REGIONS, SIDE_PX, SIGMAS_PX, measure_skin

IMAGES = 50
TIMES_S = np.arange(IMAGES) / 25.0


def texture(seed: int = 0) -> np.ndarray:
    """(192, 192, 3) uint8, detail at all scales."""
    noise = np.random.default_rng(seed).normal(128, 30, (SIDE_PX, SIDE_PX))
    return np.repeat(np.clip(noise, 0, 255)[..., None], 3, -1).astype(np.uint8)


def still() -> np.ndarray:
    return np.repeat(texture()[None], IMAGES, 0)


def test_every_band_and_region_has_its_four_measures():
    result = measure_skin(still(), TIMES_S)
    assert len(result) == 4 * len(SIGMAS_PX) * len(REGIONS)
    assert all(np.isfinite(value) for value in result.values())


def test_a_frozen_cheek_does_not_change_and_new_noise_in_every_image_does():
    frozen = measure_skin(still(), TIMES_S)
    noisy = still().astype(float) + np.random.default_rng(1).normal(0, 12, (IMAGES, 192, 192, 1))
    noisy = measure_skin(np.clip(noisy, 0, 255).astype(np.uint8), TIMES_S)
    assert frozen["skin_change_cheek_0"] < noisy["skin_change_cheek_0"] - 3


def test_rest_with_one_burst_of_movement_is_more_uneven_than_steady_movement():
    steady = np.stack([np.roll(texture(), i, 1) for i in range(IMAGES)])
    shifts = np.where((np.arange(IMAGES) > 20) & (np.arange(IMAGES) < 26), 1, 0).cumsum()
    burst = np.stack([np.roll(texture(), int(i), 1) for i in shifts])
    for band in range(2):
        name = f"skin_burst_cheek_{band}"
        assert measure_skin(burst, TIMES_S)[name] > measure_skin(steady, TIMES_S)[name] + 1


def test_the_frame_rate_of_the_file_hardly_matters():
    path = np.cumsum(np.random.default_rng(2).normal(0, 1, 100)).astype(int)
    fast = np.stack([np.roll(texture(), int(i), 1) for i in path])
    at_50_hz = measure_skin(fast, np.arange(100) / 50.0)
    at_25_hz = measure_skin(fast[::2], np.arange(50) / 25.0)
    assert at_50_hz == pytest.approx(at_25_hz)


def test_larger_crops_of_the_same_cheek_give_nearly_the_same_numbers():
    large = np.repeat(np.repeat(still(), 2, 1), 2, 2)
    small, big = measure_skin(still(), TIMES_S), measure_skin(large, TIMES_S)
    assert big["skin_detail_cheek_1"] == pytest.approx(small["skin_detail_cheek_1"], abs=0.05)
