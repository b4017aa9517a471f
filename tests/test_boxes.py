"""A checkpoint that was trained on upright boxes is shown the box as the image has it."""

import cv2
import numpy as np
import pytest

from detectors import spatial
from hub.checkpoint import Card
from media import align
from media.mesh import LEFT_EYE, MOUTH, RIGHT_EYE
from media.sniff import MediaKind
from media.tracks import FaceTrack, Quality
from media.windows import Stretch, Window

SIDE = 640
CENTER = np.array([320.0, 300.0])


def landmarks(turn_deg: float) -> np.ndarray:
    """(468, 2): a disc with eyes and mouth, turned in the image plane."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-70, 70, (468, 2))
    for group, place in ((RIGHT_EYE, (-30, -20)), (LEFT_EYE, (30, -20)), (MOUTH, (0, 40))):
        points[list(group)] = place
    turn = np.deg2rad(turn_deg)
    turned = points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return (turned + CENTER).astype(np.float32)


def image() -> np.ndarray:
    """Smooth colors that tell every place and direction from every other."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    waves = [127 + 100 * np.sin(x / 37), 127 + 100 * np.cos(y / 29), (x + y) / 2 / SIDE * 255]
    return np.stack(waves, -1).astype(np.uint8)


@pytest.mark.parametrize("turn_deg", [0, 20, -35])
def test_a_box_is_cut_out_of_the_stored_crop_as_it_would_be_out_of_the_image(turn_deg):
    points = landmarks(turn_deg)
    wide = align.cut(image(), align.face_matrix(points), align.CROP_PX)
    (box,) = align.boxes(wide[None], points[None], 0.1)
    direct = align.cut(image(), align.box_matrix(points, 0.1, align.CROP_PX), align.CROP_PX)
    middle = slice(60, 260)  # of a turned face the stored crop lacks the corners of the box
    difference = np.abs(box[middle, middle].astype(int) - direct[middle, middle])
    assert difference.mean() < 2


def test_spatial_shows_a_turned_face_upright_to_one_and_as_it_is_to_the_other():
    points = landmarks(30)
    wide = align.cut(image(), align.face_matrix(points), align.CROP_PX)
    track = FaceTrack(
        "Face A", np.zeros(1), np.zeros((1, 4), np.float32), points[None], wide[None],
        Quality(200.0, 100.0, 120.0, 0.0),
    )  # fmt: skip
    window = Window(
        Stretch(0, 1), np.zeros(1), image()[None], np.zeros(1), (track,), None, 0.0,
        np.zeros((0, 2)), MediaKind.IMAGE,
    )  # fmt: skip
    shown = {}
    for crop in ("face", "box"):
        card = Card("spatial", "t", 224, (1,), (0,), "test", crop=crop, margin=0.1)
        images, _ = spatial._chosen(window, track, card)
        shown[crop] = cv2.resize(images[0], (64, 64)).astype(int)
    low, high = points.min(0), points.max(0)
    side, (x, y) = (high - low).max() * 1.1, (low + high) / 2
    part = image()[
        round(y - side / 2) : round(y + side / 2), round(x - side / 2) : round(x + side / 2)
    ]
    expected = cv2.resize(part, (64, 64)).astype(int)
    middle = slice(16, 48)
    assert np.abs(shown["box"] - expected)[middle, middle].mean() < 4
    assert np.abs(shown["face"] - expected)[middle, middle].mean() > 15
