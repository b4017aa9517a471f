"""A small file brings embedded weights up to date, and nobody else's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from detectors.networks import load_image_classifier
from hub import store, updates
from hub.checkpoint import Checkpoint
from hub.publish import publish
from tests.hub_server import GOOD_TOKEN, serving
from tests.tiny_models import write_model


@pytest.fixture
def changed(tmp_path: Path) -> tuple[Checkpoint, dict[str, torch.Tensor]]:
    """A checkpoint that plays an embedded one, with an update, and the weights that it leads to."""
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
    checkpoint = store.resolve(str(folder), "spatial")
    embedded = replace(checkpoint, embedded=True, sha256=updates.checksum(folder, embedded=True))
    return embedded, after


def test_the_network_that_runs_carries_the_update(changed):
    checkpoint, after = changed
    network, _ = load_image_classifier(checkpoint)
    torch.testing.assert_close(
        network.state_dict()["classifier.weight"], after["classifier.weight"], atol=0.01, rtol=0.01
    )
    with updates.whole_weights(checkpoint) as folder:
        whole = load_file(folder / updates.WEIGHTS)
    assert not folder.exists()
    for name, value in after.items():
        torch.testing.assert_close(whole[name].float(), value, atol=0.01, rtol=0.01)


def test_an_update_beside_strangers_weights_is_ignored(changed):
    checkpoint, after = changed
    stranger = store.resolve(str(checkpoint.folder), "spatial")
    network, _ = load_image_classifier(stranger)
    assert not torch.allclose(
        network.state_dict()["classifier.weight"], after["classifier.weight"], atol=0.01
    )
    assert stranger.sha256 != checkpoint.sha256


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
