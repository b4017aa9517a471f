"""Does the landmarks detector measure movement that is known, and keep its contract?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from detectors.landmarks import features as model
from detectors.landmarks.classifier import LinearClassifier
from detectors.landmarks.detector import MODEL_TYPE, Landmarks
from errors import UserError
from hub.checkpoint import Card, Checkpoint
from media import mesh
from media.sniff import MediaKind
from media.tracks import FaceTrack, Quality
from media.windows import Stretch, Window
from training.landmarks.held_out import fit, held_out, mean_auc, scores

EYE_PX = 60.0
MEASURES = ["blink_rate_hz", "mouth_opening_range"]
SKIN = ("skin_a", "skin_b")


def face(seconds: float = 6.0, rate_hz: float = 25.0) -> tuple[np.ndarray, np.ndarray]:
    """A resting face: (n, 468, 2) landmarks in px with open eyes and lips, and times."""
    points = np.random.default_rng(5).uniform(-1, 1, (468, 2)) * 80 + 300
    for (outer, inner), lids, x in (
        (mesh.RIGHT_EYE, mesh.RIGHT_LIDS, 300 - EYE_PX / 2),
        (mesh.LEFT_EYE, mesh.LEFT_LIDS, 300 + EYE_PX / 2),
    ):
        sign = -1 if x < 300 else 1
        points[outer], points[inner] = (x + 12 * sign, 270), (x - 12 * sign, 270)
        for upper, lower in lids:
            points[upper], points[lower] = (x, 266), (x, 274)
    points[61], points[291], points[13], points[14] = (280, 340), (320, 340), (300, 338), (300, 342)
    times = np.arange(0, seconds, 1 / rate_hz)
    return np.repeat(points[None], len(times), 0), times


def closed(marks: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The same face with its lids together in some frames."""
    marks = marks.copy()
    for upper, lower in mesh.RIGHT_LIDS + mesh.LEFT_LIDS:
        marks[frames, upper, 1] = marks[frames, lower, 1] = 270
    return marks


def checkpoint(folder: Path, measures: object = None, **changes: np.ndarray) -> Checkpoint:
    """A checkpoint that reads two measures."""
    ones = np.ones(2, np.float32)
    tensors = {"mean": ones * 0, "spread": ones, "weights": ones, "offset": np.zeros(1, np.float32)}
    save_file(tensors | changes, folder / "model.safetensors")
    config = {"model_type": MODEL_TYPE, "measures": measures or MEASURES}
    (folder / "config.json").write_text(json.dumps(config))
    card = Card("landmarks", "random", 224, (1,), (0,), "test")
    return Checkpoint("test", Landmarks.role, folder, card, config, None, "0" * 64, False)


def shown(marks: np.ndarray, times: np.ndarray, image: bool = False) -> tuple[Window, FaceTrack]:
    """What the detector gets of one face."""
    crops = np.zeros((len(times), 320, 320, 3), np.uint8)
    boxes = np.zeros((len(times), 4), np.float32)
    track = FaceTrack("Face A", times, boxes, marks, crops, Quality(150, 50, 120, 0))
    stills = np.zeros((1, 8, 8, 3), np.uint8)
    stretch = Stretch(0, float(times[-1]))
    kind = MediaKind.IMAGE if image else MediaKind.VIDEO
    return Window(
        stretch, times, stills, np.zeros(1), (track,), None, 0.0, np.zeros((0, 2)), kind
    ), track


def loaded(stored: Checkpoint) -> Landmarks:
    """A detector as the pool makes it."""
    return Landmarks(stored, Landmarks.load(stored, "cpu"))


@pytest.mark.parametrize("rate_hz", [25.0, 30000 / 1001, 50.0])
@pytest.mark.parametrize("blinks", [0, 2, 4])
def test_blinks_are_counted_at_any_frame_rate(rate_hz, blinks):
    marks, times = face(8.0, rate_hz)
    for number in range(blinks):
        start = 1.0 + 1.7 * number
        marks = closed(marks, (times >= start) & (times < start + 0.2))
    measures = model.measure_motion(marks, times)
    assert measures["blink_rate_hz"] == pytest.approx(blinks / 8, abs=0.01)
    if blinks:
        assert measures["blink_length_s"] == pytest.approx(0.2, abs=0.05)


def test_an_eye_that_stays_closed_is_no_blink():
    marks, times = face()
    marks = closed(marks, times > 3)
    assert model.measure_motion(marks, times)["blink_rate_hz"] == 0


def test_the_similarity_agrees_with_least_squares_one_frame_at_a_time():
    rng = np.random.default_rng(0)
    goal = rng.normal(0, 10, (9, 2))
    points = rng.normal(0, 10, (5, 9, 2)) + rng.normal(0, 50, (5, 1, 2))
    rotations, centers = model._fit(points, goal)
    for frame, rotation, center in zip(points, rotations, centers, strict=True):
        x, y = (frame - frame.mean(0)).T
        unknown = np.concatenate([np.stack([x, -y], 1), np.stack([y, x], 1)])
        wanted = (goal - goal.mean(0)).T.ravel()
        a, b = np.linalg.lstsq(unknown, wanted, rcond=None)[0]
        assert rotation == pytest.approx(np.array([[a, -b], [b, a]]))
        assert center == pytest.approx(frame.mean(0))


def test_a_moving_turning_growing_head_is_no_movement_of_the_face():
    marks, times = face()
    angle, size = 0.2 * np.sin(times), 1 + 0.1 * times / 6
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1)
    turned = np.einsum("nij,nkj->nki", turn.reshape(-1, 2, 2) * size[:, None, None], marks - 300)
    moved = model.motion(turned + 300 + 40 * times[:, None, None], times)
    assert np.ptp(moved.shapes, axis=0).max() < 1e-6
    assert np.degrees(np.ptp(moved.tilts_rad)) == pytest.approx(np.degrees(np.ptp(angle)), abs=0.5)
    assert np.ptp(moved.sizes) == pytest.approx(0.1, abs=0.02)
    assert np.ptp(moved.places, axis=0).min() > 2


def test_trembling_of_the_head_is_measured_in_pixels():
    marks, times = face(20.0)
    degrade = marks + np.random.default_rng(1).normal(0, 0.8, (len(times), 1, 2))
    assert model.measure_motion(degrade, times)["head_jitter_px"] == pytest.approx(0.8, rel=0.1)


def test_the_rhythm_of_the_mouth_is_its_frequency():
    marks, times = face(8.0)
    swing = 4 * np.sin(2 * np.pi * 3.0 * times)
    marks[:, 13, 1] -= swing
    marks[:, 14, 1] += swing
    measures = model.measure_motion(marks, times)
    assert measures["mouth_rhythm_hz"] == pytest.approx(3.0, abs=1.0)
    assert measures["mouth_opening_range"] * EYE_PX == pytest.approx(
        12, rel=0.1
    )  # opening is |4 + 8 sin|


def test_a_frozen_face_gives_finite_measures():
    assert all(np.isfinite(value) for value in model.measure_motion(*face()).values())


def measured(seed: int, telling: float) -> pd.DataFrame:
    """Windows of two tools and two sources; the first measure tells fakes by ``telling``."""
    rng, rows = np.random.default_rng(seed), []
    for label, kind in ((0, "film"), (0, "phone"), (1, "tool a"), (1, "tool b")):
        for number in range(30):
            name = f"{kind} {number // 2}"
            row = {"name": name, "label": label, "kind": kind, "group": name, "tier": "clean"}
            values = {"skin_a": rng.normal(telling * label), "skin_b": rng.normal()}
            rows.append(row | {"window": number % 2, "face_px": 100.0} | values)
    return pd.DataFrame(rows)


def test_the_fitted_judge_gives_the_numbers_that_the_detector_gives():
    rows = measured(0, 2.0)
    classifier = fit(rows, SKIN, 0.003)
    one_by_one = [classifier.log_odds(row) for row in rows.to_dict("records")]
    assert scores(classifier, rows) == pytest.approx(np.array(one_by_one))


def test_held_out_scores_find_what_carries_over_and_nothing_else():
    assert mean_auc(held_out(measured(0, 2.0), SKIN, 0.003)) > 0.9
    assert mean_auc(held_out(measured(0, 0.0), SKIN, 0.003)) == pytest.approx(0.5, abs=0.15)


def test_what_tells_one_tool_only_does_not_count_as_skill():
    rows = measured(0, 0.0)
    one = rows["kind"] == "tool a"
    rows["skin_c"] = np.where(one, 8.0, 0.0) + np.random.default_rng(1).normal(0, 1, len(rows))
    data = held_out(rows, (*SKIN, "skin_c"), 0.003)
    assert set(data["against"][data["kind"] == "tool a"]) == {"film", "phone"}
    assert mean_auc(data[(data["kind"] == "tool a") | (data["against"] == "tool a")]) < 0.7


def test_the_judge_is_linear_and_clips_what_it_never_saw():
    classifier = LinearClassifier(("a",), np.zeros(1), np.ones(1), np.array([2.0]), 0.5)
    assert classifier.log_odds({"a": 1.0}) == pytest.approx(2.5)
    assert classifier.log_odds({"a": 1e9}) == pytest.approx(6.5)


def test_a_window_gets_a_number_and_named_measures(tmp_path):
    result = loaded(checkpoint(tmp_path)).look(*shown(*face(3.0)))
    assert result.raw is not None
    assert {"blink_rate_hz", "head_jitter_px", "mouth_opening_range"} <= set(result.measures)


def test_images_short_and_slow_clips_are_not_judged(tmp_path):
    detector = loaded(checkpoint(tmp_path))
    assert detector.look(*shown(*face(3.0), image=True)).reason.code == "single_picture"
    assert detector.look(*shown(*face(1.0))).reason.code == "clip_too_short"
    assert detector.look(*shown(*face(3.0, 5.0))).reason.code == "clip_too_short"


def test_broken_weights_are_refused(tmp_path):
    for changes in (
        {"weights": np.full(2, np.nan, np.float32)},
        {"weights": np.ones(3, np.float32)},
        {"spread": np.zeros(2, np.float32)},
    ):
        with pytest.raises(UserError, match="cannot be used"):
            Landmarks.load(checkpoint(tmp_path, **changes), "cpu")
    for measures in (["nothing_known"], "blink_rate_hz", 7):
        with pytest.raises(UserError, match="cannot be used"):
            Landmarks.load(checkpoint(tmp_path, measures), "cpu")
