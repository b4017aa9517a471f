"""A checkpoint goes up with card, license and calibration, and comes down the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from detectors.registry import names, role_of
from errors import UserError
from hub import catalog, store
from hub.checkpoint import Calibration, Card
from hub.checks import WEIGHTS
from hub.checksums import sha256_of
from hub.publish import publish, readme
from hub.role import Task
from tests.hub_server import GOOD_TOKEN, POOR_TOKEN, HubServer, serving
from tests.tiny_models import write_model

LINE = Calibration(1.5, -0.25, "my newsroom's files", 40, 38, "2026-11-23")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serving(tmp_path, monkeypatch) as server:
        yield server


def test_what_is_published_resolves_to_the_same_checkpoint_and_its_calibration_is_a_claim(
    hub: HubServer, tmp_path: Path
):
    folder = write_model(tmp_path / "mine", "vit", ("fake", "real"))
    mine = store.resolve(str(folder), role_of("spatial")).with_calibration(LINE)
    done = publish(mine, "me/my-detector", token=GOOD_TOKEN)
    back = store.resolve("me/my-detector", role_of("spatial"))
    assert back.revision == done.commit
    assert (back.sha256, back.card) == (mine.sha256, replace(mine.card, calibration=None))
    assert not back.counts and any("newsroom" in words for words in back.warnings)
    text = (back.folder / "README.md").read_text()
    assert text.startswith('---\nlicense: "mit"\n')
    assert "newsroom" in text and "`card.json`" in text


def test_publishing_twice_sends_the_weights_once(hub: HubServer, tmp_path: Path):
    mine = store.resolve(str(write_model(tmp_path / "mine")), role_of("spatial"))
    publish(mine, "me/my-detector", token=GOOD_TOKEN)
    publish(mine.with_calibration(LINE), "me/my-detector", token=GOOD_TOKEN)
    assert sum(method == "PUT" for method, _, _ in hub.seen) == 1
    stated = (store.resolve("me/my-detector", role_of("spatial")).folder / "card.json").read_text()
    assert Card.from_json(stated).calibration == LINE


def test_weights_from_the_hub_name_their_origin(hub: HubServer, tmp_path: Path):
    hub.add("other/original", write_model(tmp_path / "m"))
    taken = store.resolve("other/original", role_of("spatial"))
    publish(taken, "me/copy", token=GOOD_TOKEN)
    copy = store.resolve("me/copy", role_of("spatial"))
    assert 'base_model: "other/original"' in (copy.folder / "README.md").read_text()


def test_nothing_is_published_without_a_license_or_the_right(hub: HubServer, tmp_path: Path):
    folder = write_model(tmp_path / "mine")
    (folder / "README.md").unlink()
    mine = store.resolve(str(folder), role_of("spatial"))
    with pytest.raises(UserError) as caught:
        publish(mine, "me/x", token=GOOD_TOKEN)
    assert caught.value.code == "licence_missing" and hub.posted() == []
    with pytest.raises(UserError) as caught:
        publish(mine, "me/x", token=POOR_TOKEN, license="mit")
    assert caught.value.code == "hub_gated" and "HF_TOKEN" in caught.value.sentence
    assert publish(mine, "me/x", token=GOOD_TOKEN, license="mit").url.endswith("/me/x")


def test_a_readme_shows_figures_with_their_intervals_and_counts(tmp_path: Path):
    card = store.resolve(str(write_model(tmp_path / "mine")), role_of("spatial")).card
    figure = {"name": "AUC", "value": 0.9123, "low": 0.88, "high": 0.94, "n_real": 100}
    text = readme(replace(card, figures=({**figure, "n_fake": 90, "protocol": "a|b"},)), Task.IMAGE)
    assert "| AUC | 0.912 | 0.880 to 0.940 | 100, 90 | a/b |" in text


@pytest.mark.parametrize("detector", names())
def test_embedded_checkpoints_are_published_like_any_other(hub: HubServer, detector: str):
    if not (catalog.DEFAULTS / detector / "card.json").is_file():
        pytest.skip(f"hub/defaults/{detector} holds no weights yet")
    done = publish(role_of(detector), f"me/{detector}", token=GOOD_TOKEN)
    figures = hub.repos["model", done.repo_id].commits[done.commit]["figures.csv"]
    assert figures == (catalog.DEFAULTS / detector / "figures.csv").read_bytes()
    back = store.resolve(done.repo_id, role_of(detector))
    assert back.sha256 == sha256_of(catalog.DEFAULTS / detector / WEIGHTS)
