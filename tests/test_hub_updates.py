"""A small file brings the weights of a folder up to date, and never those of the Hub."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from detectors.networks import load_image_classifier
from errors import UserError
from hub import store, updates
from hub.checkpoint import Checkpoint
from hub.publish import publish
from tests.hub_server import GOOD_TOKEN, serving
from tests.tiny_models import write_model


@pytest.fixture
def changed(tmp_path: Path) -> tuple[Checkpoint, dict[str, torch.Tensor]]:
    """A checkpoint with an update, and the weights that it leads to."""
    folder = write_model(tmp_path / "mine")
    before = load_file(folder / updates.WEIGHTS)
    torch.manual_seed(0)
    after = {}
    for name, old in before.items():
        change = torch.randn_like(old)
        if old.ndim == 2:  # a change of rank two
            change = torch.randn(old.shape[0], 2) @ torch.randn(2, old.shape[1])
        after[name] = old + 0.1 * change
    save_file(updates.difference(before, after, rank=2), folder / updates.UPDATE)
    return store.resolve(str(folder), "spatial"), after


def test_the_network_that_runs_carries_the_update(changed):
    checkpoint, after = changed
    network, _ = load_image_classifier(checkpoint)
    torch.testing.assert_close(
        network.state_dict()["classifier.weight"], after["classifier.weight"], atol=0.01, rtol=0.01
    )
    with updates.up_to_date(checkpoint.folder) as folder:
        whole = load_file(folder / updates.WEIGHTS)
    assert not folder.exists()
    for name, value in after.items():
        torch.testing.assert_close(whole[name].float(), value, atol=0.01, rtol=0.01)


def test_an_update_on_the_hub_is_ignored(changed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    checkpoint, after = changed
    with serving(tmp_path, monkeypatch) as server:
        server.add("other/stranger", checkpoint.folder)
        stranger = store.resolve("other/stranger", "spatial")
    assert not (stranger.folder / updates.UPDATE).exists()
    network, _ = load_image_classifier(stranger)
    assert not torch.allclose(
        network.state_dict()["classifier.weight"], after["classifier.weight"], atol=0.01
    )
    assert stranger.sha256 != checkpoint.sha256


def test_an_update_that_does_not_fit_is_refused_in_words(changed):
    checkpoint, _ = changed
    path = checkpoint.folder / updates.UPDATE
    save_file({"classifier.weight.up": torch.ones(5, 2)}, path)
    with pytest.raises(UserError) as caught:
        load_image_classifier(checkpoint)
    assert caught.value.code == "weights_refused"
    path.write_bytes(b"no tensors")
    with pytest.raises(UserError) as caught:
        store.resolve(str(checkpoint.folder), "spatial")
    assert "update.safetensors is not" in caught.value.sentence


def test_a_rank_too_small_keeps_the_strongest_part():
    torch.manual_seed(0)
    before = {"a": torch.zeros(40, 30), "b": torch.zeros(40), "same": torch.ones(3, 3)}
    after = {"a": torch.randn(40, 30), "b": torch.ones(40), "same": torch.ones(3, 3)}
    update = updates.difference(before, after, rank=10)
    assert set(update) == {"a.up", "a.down", "b"}
    left = (updates.updated(before, update)["a"] - after["a"]).square().sum()
    strength = torch.linalg.svdvals(after["a"])
    assert float(left) == pytest.approx(float((strength[10:] ** 2).sum()), rel=0.02)


def test_what_is_published_is_whole(changed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    checkpoint, after = changed
    with serving(tmp_path, monkeypatch):
        publish(checkpoint, "me/whole", token=GOOD_TOKEN, licence="mit")
        back = store.resolve("me/whole", "spatial")
    assert not (back.folder / updates.UPDATE).exists()
    weights = load_file(back.folder / updates.WEIGHTS)["classifier.weight"].float()
    torch.testing.assert_close(weights, after["classifier.weight"], atol=0.01, rtol=0.01)
