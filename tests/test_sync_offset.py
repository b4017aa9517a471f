"""Lips and voice by lag and from moment to moment, on made embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.sync.offset import LEAST_SPEECH, MAX_LAG, compare


def speech(n: int, seed: int = 0) -> np.ndarray:
    """(n, 16) float32 unit vectors that change from frame to frame, as a voice does."""
    rows = np.random.default_rng(seed).standard_normal((n, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_lips_in_step_agree_at_every_moment():
    result = compare(speech(75), speech(75))
    assert result is not None
    assert result.curve.argmax() == MAX_LAG
    assert result.measures["weakest"] == pytest.approx(np.nanmin(result.over_time)) and (
        result.measures["weakest"] > 0.8
    )


def test_a_moment_from_elsewhere_is_found_where_it_is():
    lips = speech(75)
    lips[40:58] = speech(18, seed=1)
    result = compare(lips, speech(75))
    assert result is not None
    assert result.curve.argmax() == MAX_LAG  # the window as a whole keeps step
    assert 46 <= np.nanargmin(result.over_time) <= 51
    assert result.measures["weakest"] < 0.2 and np.nanmax(result.over_time) > 0.8


def test_a_late_voice_is_held_against_the_lips_it_belongs_to():
    result = compare(speech(75), np.roll(speech(75), 3, axis=0))
    assert result is not None
    assert result.measures["lag_ms"] == 120 and result.measures["weakest"] > 0.8


def test_moments_without_speech_say_nothing():
    speaks = np.arange(75) < 40
    result = compare(speech(75), speech(75), speaks)
    assert result is not None
    assert np.isfinite(result.over_time[10:30]).all()
    assert np.isnan(result.over_time[50:]).all()


def test_too_little_speech_is_not_compared():
    assert compare(speech(75), speech(75), np.arange(75) < LEAST_SPEECH - 1) is None
