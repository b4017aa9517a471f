"""Every family that transformers knows loads and answers, in both label orders."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.loading import load_image_classifier, load_video_classifier
from detectors.registry import role_of
from errors import UserError
from hub import store
from hub.labels import log_odds_from_logits
from hub.selfcheck import check_sign
from tests.tiny_models import (
    IMAGE_FAMILIES,
    SIZE_PX,
    VIDEO_FAMILIES,
    bright_is_fake,
    edit_config,
    write_model,
)

HAS_TIMM = importlib.util.find_spec("timm") is not None
ORDERS = [("Real", "Fake"), ("fake", "real")]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def score(folder: Path, pixels: torch.Tensor, detector: str = "spatial") -> np.ndarray:
    """Return the raw log-odds of fake, through the same door as the detectors."""
    checkpoint = store.resolve(str(folder), role_of(detector))
    load = load_image_classifier if detector == "spatial" else load_video_classifier
    model, facts = load(checkpoint)
    assert pixels.shape[-1] == facts.size_px
    with torch.inference_mode():
        logits = model(pixel_values=pixels, output_hidden_states=True).logits.numpy()
    card = checkpoint.card
    return log_odds_from_logits(logits, card.fake_indices, card.real_indices)


@pytest.mark.parametrize("family", [*IMAGE_FAMILIES, "timm"])
def test_an_image_family_answers_the_same_score_in_both_label_orders(family, tmp_path):
    if family == "timm" and not HAS_TIMM:
        pytest.skip("timm is not installed; it is needed for timm wrappers only")
    torch.manual_seed(3)
    pixels = torch.rand(4, 3, SIZE_PX, SIZE_PX)
    scores = [
        score(write_model(tmp_path / str(index), family, names), pixels)
        for index, names in enumerate(ORDERS)
    ]
    assert np.isfinite(scores[0]).all() and np.ptp(scores[0]) > 0
    np.testing.assert_allclose(scores[0], -scores[1], atol=1e-5)


@pytest.mark.parametrize("family", VIDEO_FAMILIES)
def test_a_video_family_answers_the_same_score_in_both_label_orders(family, tmp_path):
    torch.manual_seed(3)
    pixels = torch.rand(2, 4, 3, SIZE_PX, SIZE_PX)
    scores = [
        score(write_model(tmp_path / str(index), family, names), pixels, "temporal")
        for index, names in enumerate(ORDERS)
    ]
    assert np.isfinite(scores[0]).all()
    np.testing.assert_allclose(scores[0], -scores[1], atol=1e-5)


def test_one_logit_is_never_put_through_a_softmax(tmp_path):
    pixels = torch.rand(3, 3, SIZE_PX, SIZE_PX)
    high_is_fake = score(write_model(tmp_path / "a", "vit", ("fake",)), pixels)
    high_is_real = score(write_model(tmp_path / "b", "vit", ("real",)), pixels)
    assert np.ptp(high_is_fake) > 0
    np.testing.assert_allclose(high_is_fake, -high_is_real, atol=1e-5)


def test_three_classes_add_up_to_one_minus_real(tmp_path):
    folder = write_model(tmp_path / "three", "vit", ("Artificial", "Deepfake", "Real"))
    pixels = torch.rand(3, 3, SIZE_PX, SIZE_PX)
    checkpoint = store.resolve(str(folder), role_of("spatial"))
    model, _ = load_image_classifier(checkpoint)
    with torch.inference_mode():
        real = model(pixel_values=pixels).logits.softmax(-1)[:, 2].numpy()
    np.testing.assert_allclose(score(folder, pixels), np.log((1 - real) / real), rtol=1e-4)


def test_two_sessions_share_weights_and_keep_their_own_meaning(tmp_path):
    folder = write_model(tmp_path / "unnamed", "vit", ("LABEL_0", "LABEL_1"))
    pixels = torch.rand(2, 3, SIZE_PX, SIZE_PX)
    first = store.resolve(str(folder), role_of("spatial"), fake_labels=("LABEL_0",))
    second = store.resolve(str(folder), role_of("spatial"), fake_labels=("LABEL_1",))
    model, _ = load_image_classifier(first)
    with torch.inference_mode():
        logits = model(pixel_values=pixels).logits.numpy()
    raw = [
        log_odds_from_logits(logits, c.card.fake_indices, c.card.real_indices)
        for c in (first, second)
    ]
    np.testing.assert_allclose(raw[0], -raw[1])
    assert first.sha256 == second.sha256


def test_a_checkpoint_that_is_wrong_in_fact_is_unmasked_by_the_self_check(tmp_path):
    truth = [1] * 8 + [0] * 8
    bright = torch.linspace(1.0, 2.0, 8).view(8, 1, 1, 1)
    pixels = torch.cat([bright, -bright]).expand(16, 3, SIZE_PX, SIZE_PX)
    right = score(bright_is_fake(tmp_path / "right"), pixels)
    wrong = score(bright_is_fake(tmp_path / "wrong", inverted=True), pixels)
    assert check_sign(truth, right.tolist()).verdict == "right"
    result = check_sign(truth, wrong.tolist())
    assert result.verdict == "inverted"
    assert "AUC 0.00 on your 16 files: the labels look inverted" in result.sentence


def edit_weights(folder: Path, change) -> Path:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    return folder


def refused(folder: Path, detector: str = "spatial") -> str:
    load = load_image_classifier if detector == "spatial" else load_video_classifier
    with pytest.raises(UserError) as caught:
        load(store.resolve(str(folder), role_of(detector)))
    assert caught.value.code == "weights_refused"
    return caught.value.sentence


def test_missing_layers_are_refused_at_loading(tmp_path):
    folder = edit_weights(
        write_model(tmp_path / "m"),
        lambda weights: {k: v for k, v in weights.items() if ".layer.1." not in k},
    )
    assert "lacks" in refused(folder)


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    folder = edit_weights(
        write_model(tmp_path / "m"),
        lambda weights: {k: v * float("nan") if v.ndim == 2 else v for k, v in weights.items()},
    )
    assert "not numbers" in refused(folder)


@pytest.mark.parametrize(
    "change", [{"hidden_size": 24}, {"patch_size": 4}, {"intermediate_size": 64}]
)
def test_weights_that_do_not_fit_the_config_are_refused(tmp_path, change):
    folder = write_model(tmp_path / "m")
    edit_config(folder, **change)
    assert refused(folder)


def test_an_unknown_architecture_is_refused_with_a_sentence(tmp_path):
    folder = write_model(tmp_path / "m")
    edit_config(folder, model_type="nonsense")
    assert "(nonsense) is not a picture classifier" in refused(folder)


def test_frames_that_the_network_was_not_made_for_are_refused(tmp_path):
    folder = write_model(tmp_path / "m", "videomae", ("real", "fake"))
    card = json.loads(store.resolve(str(folder), role_of("temporal")).card.to_json())
    (folder / "card.json").write_text(json.dumps({**card, "frames": 6}))
    assert "does not accept" in refused(folder, "temporal")


def test_loading_asks_nobody_and_runs_no_code_of_the_repo(tmp_path, monkeypatch):
    import socket

    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    folder = write_model(tmp_path / "m")
    (folder / "modeling_evil.py").write_text("raise SystemExit('remote code ran')")
    monkeypatch.setattr(socket.socket, "connect", no_network)
    load_image_classifier(store.resolve(str(folder), role_of("spatial")))
