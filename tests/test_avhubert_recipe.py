"""The recipe of the tiny AV-HuBERT: pairs are pairs, and what it writes is what it trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.loading import load_layout
from detectors.registry import role_of
from detectors.sync.avhubert import AVHubert, build_avhubert
from detectors.sync.towers import audio_rows
from hub import store
from training.sync import avhubert as recipe


@pytest.fixture
def clips() -> list[recipe.Spoken]:
    """Clips whose every frame and every row of audio is a number of its own."""
    made = []
    for person in range(4):
        n = 30 + 5 * person
        mouths = np.full((n, 96, 96), 0, np.uint8) + (np.arange(n) + 60 * person)[:, None, None]
        samples = np.zeros(n * recipe.SAMPLES, np.float32)
        made.append(recipe.Spoken(f"p{person}", mouths.astype(np.uint8), samples, np.ones(n, bool)))
    return made


class Oracle:
    """Knows the moment that each frame and each row shows."""

    def __call__(self, lips=None, audio=None):
        value = lips[..., 0, 0] if lips is not None else audio[..., 0]
        return torch.nn.functional.one_hot(value.round().long(), 256).float()


def test_the_loss_pairs_the_same_moments_of_two_windows_that_lie_apart(clips, monkeypatch):
    monkeypatch.setattr(
        recipe, "_jittered", lambda crops, rng: crops[:, :88, :88].astype(np.float32)
    )
    rows = [
        np.repeat((np.arange(len(c.mouths)) + 60.0 * i)[:, None], 104, 1).astype(np.float32)
        for i, c in enumerate(clips)
    ]
    batch = recipe.make_batch(clips, rows, np.random.default_rng(0))
    assert (batch.lips_at != batch.audio_at).any()
    assert float(recipe.contrastive_loss(Oracle(), batch)) < 0.05
    moved = recipe.Batch(batch.lips, batch.audio.roll(3, 1), batch.lips_at, batch.audio_at)
    assert float(recipe.contrastive_loss(Oracle(), moved)) > 5


def test_people_that_are_tested_are_not_trained_on(clips):
    trained, tested = recipe.split(clips)
    assert {c.person for c in tested} == {"p2"} and not {c.person for c in trained} & {"p2"}


def test_what_the_recipe_writes_loads_as_the_network_that_it_trained(tmp_path: Path):
    torch.manual_seed(0)
    network = AVHubert(recipe.SHAPE).eval()
    recipe.save(network, tmp_path / "tiny")
    loaded = load_layout(store.resolve(str(tmp_path / "tiny"), role_of("sync")), build_avhubert)
    assert loaded.shape == recipe.SHAPE
    audio = torch.from_numpy(audio_rows(np.random.default_rng(0).normal(size=16_000) / 9))[None]
    with torch.inference_mode():
        torch.testing.assert_close(loaded(audio=audio), network(audio=audio), atol=1e-5, rtol=1e-4)


def test_a_voice_in_step_is_told_from_a_moved_one_by_towers_that_know(clips, monkeypatch):
    """Perfect towers reach AUC 1: the measure itself does not lose what they know."""
    rng = np.random.default_rng(0)
    long = recipe.Spoken(
        "p", np.zeros((300, 96, 96), np.uint8), np.zeros(300 * 640, np.float32), np.ones(300, bool)
    )
    space = rng.normal(size=(300, 64)).astype(np.float32)
    space /= np.linalg.norm(space, axis=1, keepdims=True)

    class Knowing(recipe.AVHubertTowers):
        def embed_audio(self, samples):
            return space

        def embed_mouths(self, crops):
            return space

    monkeypatch.setattr(recipe, "AVHubertTowers", Knowing)
    result = recipe.measure(AVHubert(recipe.SHAPE), [long])
    assert result["auc"] == 1.0 and result["windows"] == 8
