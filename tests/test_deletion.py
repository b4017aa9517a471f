"""Is a heatmap only believed where the score depends on the place that it points at?"""

from __future__ import annotations

import numpy as np
import pytest

from detectors import deletion

SIDE = 120
RNG = np.random.default_rng(3)
IMAGE = RNG.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)  # texture everywhere
TOP_LEFT = np.zeros((12, 12), np.float32)
TOP_LEFT[1:5, 1:6] = 1.0


def texture_at(rows: slice, columns: slice):
    """A network that reads the texture of one place only."""

    def scores(images: np.ndarray) -> np.ndarray:
        return images[:, rows, columns].astype(float).std((1, 2, 3))

    return scores


def test_a_heatmap_that_points_at_what_is_read_holds():
    assert deletion.holds(texture_at(slice(15, 45), slice(15, 55)), IMAGE, TOP_LEFT)


def test_a_heatmap_that_points_elsewhere_does_not():
    assert not deletion.holds(texture_at(slice(70, 110), slice(60, 110)), IMAGE, TOP_LEFT)


def test_a_network_that_likes_blur_has_no_heatmap_that_holds():
    reads = texture_at(slice(15, 45), slice(15, 55))
    assert not deletion.holds(lambda images: -reads(images), IMAGE, TOP_LEFT)


def test_a_network_that_reads_everything_alike_has_none_either():
    assert not deletion.holds(lambda images: np.zeros(len(images)), IMAGE, TOP_LEFT)


def test_the_other_areas_have_the_size_of_the_hot_one_and_lie_elsewhere():
    hot = deletion.hot_area(TOP_LEFT)
    assert hot.sum() == round(deletion.HOT_SHARE * hot.size)
    others = deletion.other_areas(hot)
    assert len(others) == deletion.OTHERS
    assert all(other.sum() == hot.sum() and (other != hot).any() for other in others)
    assert all((a == b).all() for a, b in zip(others, deletion.other_areas(hot), strict=True))


def test_only_the_area_is_blurred():
    changed = (deletion.blurred(IMAGE, deletion.hot_area(TOP_LEFT)) != IMAGE).any(-1)
    assert changed[20:40, 20:50].mean() > 0.95
    assert not changed[90:, 90:].any()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_or_everything_may_be_hot(share):
    flat = np.full((6, 6), share, np.float32)
    assert deletion.hot_area(flat).sum() == round(deletion.HOT_SHARE * 36)


def test_other_areas_are_not_looked_at_where_the_hot_one_lowers_nothing():
    asked = []

    def scores(images: np.ndarray) -> np.ndarray:
        asked.append(len(images))
        return np.zeros(len(images))

    assert not deletion.holds(scores, IMAGE, TOP_LEFT)
    assert asked == [2]
