"""Does the frequency detector measure what theory says, and keep its contract?"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import fft

from detectors.frequency import features as model
from detectors.frequency.detector import MODEL_TYPE, Frequency, plain_measures
from detectors.frequency.network import FrequencyNet
from errors import UserError
from hub.checkpoint import Card, Checkpoint
from media.sniff import MediaKind
from media.tracks import FaceTrack, Quality
from media.windows import Stretch, Window

GATE = {"least_detail_db": 0.0, "most_blocks_db": 2.0, "least_face_px": 112.0}


def noise_image(seed: int = 0, spread: float = 30.0) -> np.ndarray:
    """(208, 208, 3) uint8 white noise, the same in all colors."""
    gray = np.random.default_rng(seed).normal(128, spread, (208, 208, 1))
    return np.repeat(np.clip(gray, 0, 255), 3, -1).astype(np.uint8)


def enlarged(kernel: int, seed: int = 0) -> np.ndarray:
    """White noise of half the size, enlarged twice, (208, 208) float32."""
    small = np.random.default_rng(seed).normal(128, 30, (104, 104)).astype(np.float32)
    return cv2.resize(small, (208, 208), interpolation=kernel)


def checkpoint(folder: Path, config: dict | None = None, **changes: torch.Tensor) -> Checkpoint:
    """A small random frequency checkpoint in a folder."""
    torch.manual_seed(1)
    network = FrequencyNet(4)
    save_file(network.state_dict() | changes, folder / "model.safetensors")
    config = {"model_type": MODEL_TYPE, "hidden": 4, "gate": GATE} | (config or {})
    (folder / "config.json").write_text(json.dumps(config))
    card = Card("frequency", "random", 208, (1,), (0,), "test")
    return Checkpoint("test", Frequency.role, folder, card, config, None, "0" * 64, False)


def shown(image: np.ndarray, face_px: float = 200.0) -> tuple[Window, FaceTrack]:
    """A still image as the detector gets it; the look is the crop's middle."""
    crop = cv2.copyMakeBorder(image, 56, 56, 56, 56, cv2.BORDER_REFLECT)
    quality = Quality(face_px, 100.0, 128.0, 0.0)
    track = FaceTrack(
        "Face A", np.zeros(1), np.zeros((1, 4)), np.zeros((1, 468, 2)), crop[None], quality
    )
    window = Window(
        Stretch(0, 1),
        np.zeros(1),
        image[None],
        np.zeros(1),
        (track,),
        None,
        0.0,
        np.zeros((0, 2)),
        MediaKind.IMAGE,
    )
    return window, track


def loaded(stored: Checkpoint) -> Frequency:
    """A detector as the pool makes it."""
    return Frequency(stored, Frequency.load(stored, "cpu"))


def test_block_dct_agrees_with_a_slow_reference():
    plane = noise_image()[..., 0].astype(np.float32)
    blocks = [plane[y : y + 8, x : x + 8] for y in (16, 24) for x in (32, 40)]
    energy = np.mean([fft.dctn(b, norm="ortho") ** 2 for b in blocks], 0).ravel()[1:]
    assert model.block_dct(plane)[:, 1, 2] == pytest.approx(np.log(energy + model.FLOOR), abs=1e-3)


def test_regions_agree_with_a_slow_reference_and_ignore_a_mirror():
    tiles = np.random.default_rng(4).normal(size=(5, 13, 13))
    eyes_middle = np.mean(
        [(tiles[:, r, c] + tiles[:, r, 12 - c]) / 2 for r in (3, 4, 5) for c in (3, 4, 5, 6)], 0
    )
    assert model.regions(tiles)[3] == pytest.approx(eyes_middle)
    assert np.concatenate(model.regions(tiles)) == pytest.approx(
        np.concatenate(model.regions(tiles[..., ::-1]))
    )


@pytest.mark.parametrize(("kernel", "power"), [(cv2.INTER_NEAREST, 2), (cv2.INTER_LINEAR, 6)])
def test_enlarging_twice_filters_the_spectrum_as_theory_says(kernel, power):
    # Nearest repeats each pixel: taps 1, 1. Bilinear: taps 1, 3, 3, 1. Their gains are cos and
    # cos³.
    spectrum = np.mean([model.power_spectrum(enlarged(kernel, s)) for s in range(20)], 0)
    frequency = fft.fftfreq(208)
    rows = spectrum[1:104].sum(1)
    expected = np.cos(np.pi * frequency[1:104]) ** power
    strong = slice(3, 70)  # beyond, what is left is the window's leakage
    ratio = rows[strong] / expected[strong]
    assert np.abs(np.log(ratio / np.median(ratio))).mean() < 0.25
    assert rows[100] < 0.02 * rows[3]


def test_enlarging_leaves_a_trace_at_the_frequency_that_its_factor_predicts():
    # 130 to 208 pixels is 1.6 times: a period of 1.6 pixels, seen folded at 1 - 1/1.6 = 0.375.
    small = np.random.default_rng(0).normal(128, 30, (130, 130)).astype(np.float32)
    plain = model.interpolation_traces(noise_image()[..., 0].astype(np.float32))
    traces = model.interpolation_traces(
        cv2.resize(small, (208, 208), interpolation=cv2.INTER_LINEAR)
    )
    band = int((0.375 * 206 - 8) / 12)  # bands of 12 of the 104 frequencies, from the ninth on
    assert np.argmax(traces[:8]) == band == np.argmax(traces[8:])
    assert traces[band] > plain[band] + 3  # natural logarithm: twenty times the power


def test_a_grid_of_dots_is_a_peak_in_its_ring():
    image = noise_image()[..., 0].astype(np.float32)
    quiet = model.ring_peaks(model.power_spectrum(image))
    image[::4, ::4] += 60  # a period of four pixels: 0.25 cycles a pixel
    loud = model.ring_peaks(model.power_spectrum(image))
    ring = int(np.searchsorted(model.RINGS, 0.25, side="right")) - 1
    assert loud[ring] > quiet[ring] + 2
    assert loud[0] < quiet[0] + 1


def test_white_noise_has_a_flat_radial_and_angular_profile():
    spectrum = np.mean(
        [model.power_spectrum(noise_image(s)[..., 0].astype(float)) for s in range(8)], 0
    )
    assert np.ptp(model.radial_profile(spectrum)[4:]) < 0.5
    assert np.abs(model.angular_profile(spectrum)).max() < 0.3


def test_strong_jpeg_shows_its_blocks():
    smooth = cv2.GaussianBlur(noise_image(), (0, 0), 3)
    assert (
        model.image_blocks_db(coded(smooth, 10)[None]) > model.image_blocks_db(smooth[None]) + 2.5
    )


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_blockiness_is_the_mean_step_of_the_best_phase_over_the_median_one(kind):
    plane = np.random.default_rng(5).integers(0, 256, (72, 120)).astype(kind)
    expected = []
    for image in (plane.astype(float), plane.T.astype(float)):
        steps = np.abs(np.diff(image, axis=1)).mean(0)
        phases = np.array([steps[phase::8].mean() for phase in range(8)])
        expected.append(np.log((phases.max() + 0.1) / (np.median(phases) + 0.1)))
    assert model.blockiness(plane) == pytest.approx(expected, abs=1e-6)


def test_noise_shared_by_the_colors_correlates_and_separate_noise_does_not():
    separate = np.random.default_rng(3).normal(128, 30, (208, 208, 3)).clip(0, 255).astype(np.uint8)
    assert model.residual_statistics(noise_image())[3:6].mean() > 0.95
    assert abs(model.residual_statistics(separate)[3:6].mean()) < 0.1


def test_a_description_is_finite_for_flat_and_extreme_images():
    for value in (0, 128, 255):
        data = model.describe(np.full((208, 208, 3), value, np.uint8))
        assert data.shape == (model.LENGTH,) and data.dtype == np.float32
        assert np.isfinite(data).all()


def test_parts_of_the_profile_lie_where_they_are_looked_for():
    image = noise_image()
    plane = image[..., 0].astype(np.float32)
    data = model.describe(image)
    assert model.profile_part(data, "traces") == pytest.approx(
        model.interpolation_traces(plane), abs=0.3
    )
    assert model.profile_part(data, "radial") == pytest.approx(
        model.radial_profile(model.power_spectrum(plane)), abs=0.05
    )


def test_blur_takes_detail_away():
    sharp, soft = noise_image(), cv2.GaussianBlur(noise_image(), (0, 0), 1.5)
    selected, lost = (plain_measures(model.describe(p)[None]) for p in (sharp, soft))
    assert selected["detail_db"] > lost["detail_db"] + 10
    assert selected["high_band_share"] > 0.6 > lost["high_band_share"]


def test_the_network_depends_on_what_lies_within_four_spreads_only(tmp_path):
    network = Frequency.load(checkpoint(tmp_path), "cpu").net
    far, further = torch.full((1, model.LENGTH), 5.0), torch.full((1, model.LENGTH), 500.0)
    assert network(far).item() == network(further).item()


def test_a_face_with_detail_gets_a_number(tmp_path):
    result = loaded(checkpoint(tmp_path)).look(*shown(noise_image()))
    assert result.raw is not None and np.isfinite(result.raw)
    assert result.measures["detail_db"] > 0


def coded(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


@pytest.mark.parametrize(
    ("image", "face_px"),
    [
        (cv2.GaussianBlur(noise_image(), (0, 0), 4), 200.0),
        (coded(cv2.GaussianBlur(noise_image(), (0, 0), 1), 5), 200.0),
        (noise_image(), 105.0),
    ],
    ids=("blurred", "blocks", "small"),
)
def test_lost_detail_coding_blocks_and_small_faces_are_not_judged(tmp_path, image, face_px):
    result = loaded(checkpoint(tmp_path)).look(*shown(image, face_px))
    assert result.raw is None
    assert result.reason.code == "re_encoded"
    assert "detail_db" in result.measures


def test_broken_weights_are_refused(tmp_path):
    broken = {
        "nan": {"mean": torch.full((model.LENGTH,), float("nan"))},
        "shape": {"mean": torch.zeros(3)},
        "unknown": {"another": torch.zeros(1)},
    }
    for changes in broken.values():
        with pytest.raises(UserError, match="cannot be used"):
            Frequency.load(checkpoint(tmp_path, **changes), "cpu")
    for config in (
        {"model_type": "vit"},
        {"hidden": 0},
        {"gate": None},
        {"gate": {"least_detail_db": "x"}},
    ):
        with pytest.raises(UserError, match="cannot be used"):
            Frequency.load(checkpoint(tmp_path, config), "cpu")
    (tmp_path / "model.safetensors").write_bytes(b"not a tensor file")


def test_a_file_that_holds_no_tensors_is_refused(tmp_path):
    stored = checkpoint(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not a tensor file")
    with pytest.raises(UserError, match="cannot be read"):
        Frequency.load(stored, "cpu")
