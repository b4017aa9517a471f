"""Do self-made fakes differ from their real only in what was faked?"""

from __future__ import annotations

import numpy as np
import pytest

from training import temporal_data
from training.spatial_data import Source
from training.temporal_data import Nuisance, as_soft, filmed, sharpness

SIDE = 96


@pytest.fixture
def shot() -> np.ndarray:
    """(18, 96, 96, 3) uint8: a still pattern with edges and fine detail."""
    ys, xs = np.mgrid[0:SIDE, 0:SIDE]
    picture = 120 + 60 * np.sin(xs / 3) * np.cos(ys / 5) + 40 * ((xs // 16 + ys // 16) % 2)
    return np.repeat(picture.clip(0, 255).astype(np.uint8)[None, ..., None], 18, 0).repeat(3, -1)


def blurred(frames: np.ndarray) -> np.ndarray:
    return temporal_data._blurred(frames, 1.5)


def test_a_real_shot_is_blurred_to_a_soft_fake_and_never_sharpened(shot):
    soft = blurred(shot)
    matched = as_soft(shot, soft)
    assert sharpness(soft) * 0.8 < sharpness(matched) < sharpness(soft) * 1.5
    assert as_soft(soft, shot) is soft  # a fake crisper than the film stays so


def test_what_comes_after_the_tool_is_the_same_for_both(shot):
    for seed in range(6):
        nuisance = Nuisance(seed)
        assert np.array_equal(nuisance.apply(shot), nuisance.apply(shot))


def test_a_film_changes_from_frame_to_frame_and_a_drawn_picture_does_not(shot, monkeypatch):
    monkeypatch.setattr(temporal_data, "UNTOUCHED_SHARE", 0.0)
    films = [filmed(np.random.default_rng(seed), shot).astype(float) for seed in range(8)]
    assert all(film.shape == shot.shape for film in films)
    changes = [film.std(0).mean() for film in films]  # an encoder takes away most of a faint noise
    assert min(changes) > 0.02 and np.median(changes) > 0.5
    assert shot.astype(float).std(0).max() == 0


def test_a_restored_face_is_pasted_only_where_the_mask_says():
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    marks = (160 + 60 * np.stack([np.cos(angles), np.sin(angles)], 1)).astype(np.float32)
    marks[[33, 133, 362, 263], 1] = 130  # eyes above the mouth, so that the face has a size
    marks[[61, 291, 13, 14], 1] = 190
    real = np.full((1, 320, 320, 3), 90, np.uint8)
    source = Source(real, marks[None], np.array([0]))
    side = source.face(0).picture.shape[0]
    source.restored.append((np.full((side, side, 3), 200, np.uint8), 0))
    for _ in range(12):
        picture, face, mask = source.restored_pair(rng)
        assert picture.shape == face.picture.shape
        assert np.all(picture[mask == 0] == 90)
        assert np.all(picture[mask > 0.9] > 90 + 0.3 * 110)
