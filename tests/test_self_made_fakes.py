"""Do self-made fakes differ from their real only in what was faked?"""

from __future__ import annotations

import numpy as np
import pytest

from training.data.sources import Source
from training.spatial import data as spatial_data
from training.temporal import data as temporal_data
from training.temporal.data import Nuisance, equally_sharp, sharpness

SIDE = 96


@pytest.fixture
def face_clip() -> np.ndarray:
    """(18, 96, 96, 3) uint8: a still pattern with edges and fine detail."""
    ys, xs = np.mgrid[0:SIDE, 0:SIDE]
    image = 120 + 60 * np.sin(xs / 3) * np.cos(ys / 5) + 40 * ((xs // 16 + ys // 16) % 2)
    return np.repeat(image.clip(0, 255).astype(np.uint8)[None, ..., None], 18, 0).repeat(3, -1)


def blurred(frames: np.ndarray) -> np.ndarray:
    return temporal_data._blurred(frames, 1.5)


def test_the_sharper_clip_of_a_pair_is_blurred_to_the_softer_one(face_clip):
    soft = blurred(face_clip)
    for pair in (equally_sharp(face_clip, soft), equally_sharp(soft, face_clip)):
        first, second = map(sharpness, pair)
        assert first / second == pytest.approx(1.0, abs=0.4)
        assert max(first, second) < sharpness(face_clip) / 2


def test_what_comes_after_the_tool_is_the_same_for_both(face_clip, monkeypatch):
    """All that is drawn; x264 itself gives other bytes for the same images once in 150 times."""
    drawn: list[tuple] = []

    def encoded(frames: np.ndarray, *how: object) -> np.ndarray:
        drawn.append(how)
        return frames

    monkeypatch.setattr(temporal_data, "through_h264", encoded)
    for seed in range(6):
        nuisance = Nuisance(seed)
        drawn.clear()
        first, second = nuisance.apply(face_clip), nuisance.apply(face_clip)
        assert np.array_equal(first, second)
        assert drawn[: len(drawn) // 2] == drawn[len(drawn) // 2 :]
    assert len(drawn) >= 2


@pytest.fixture
def marks() -> np.ndarray:
    """(468, 2) float32: landmarks of a face in the middle of 320 pixels."""
    angles = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    marks = (160 + 60 * np.stack([np.cos(angles), np.sin(angles)], 1)).astype(np.float32)
    marks[[33, 133, 362, 263], 1] = 130  # eyes above the mouth, so that the face has a size
    marks[[61, 291, 13, 14], 1] = 190
    return marks


def test_a_restored_face_is_pasted_only_where_the_mask_says(marks):
    rng = np.random.default_rng(0)
    real = np.full((1, 320, 320, 3), 90, np.uint8)
    source = Source(real, marks[None], np.array([0]))
    side = source.face(0).image.shape[0]
    source.restored.append((np.full((side, side, 3), 200, np.uint8), 0))
    for _ in range(12):
        image, face, mask = source.restored_pair(rng)
        assert image.shape == face.image.shape
        assert np.all(image[mask == 0] == 90)
        assert np.all(image[mask > 0.9] > 90 + 0.3 * 110)


@pytest.mark.parametrize("small", ["fake", "real"])
def test_a_generated_face_and_the_real_one_beside_it_are_equally_fine(marks, small):
    noise = np.random.default_rng(1).integers(0, 256, (1, 320, 320, 3), dtype=np.uint8)
    native = {"fake": np.array([224.0]), "real": np.array([224.0])} | {small: np.array([70.0])}
    drawn = np.array([[0, -1]])
    sources = {
        "generated": Source(noise, marks[None], np.zeros(0, int), drawn, native_px=native["fake"]),
        "officials": Source(noise, marks[None], np.array([0]), native_px=native["real"]),
    }
    for seed in range(6):
        pair = spatial_data.generated_pair(sources, np.random.default_rng(seed))
        fake, real = (sharpness(np.repeat(face.image[None], 2, 0)) for face in pair)
        assert fake == pytest.approx(real, rel=1e-6)
        assert fake < sharpness(np.repeat(noise, 2, 0)) / 2
