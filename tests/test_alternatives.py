"""Second checkpoints that come with the program: chosen by a short name, shown, without a vote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import cli
from analysis import Settings, analyze
from detectors.base import Status
from detectors.registry import role_of
from errors import UserError
from hub import catalog, store
from hub.checkpoint import Card
from hub.checks import WEIGHTS
from tests.conftest import moving_portrait, write_clip
from ui.api import analyzed
from ui.session import specs_of

MOST_BYTES = 150_000_000  # of all weights that come with the program
CHOSEN = {"spatial": "clip-attention", "temporal": "clip-lstm"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory, portrait) -> Path:
    """Two seconds of a portrait that drifts."""
    path = tmp_path_factory.mktemp("clips") / "a.mp4"
    return write_clip(path, moving_portrait(portrait, 50, 240))


def test_both_run_by_their_names_give_numbers_and_have_no_vote(clip):
    settings = Settings(detectors=tuple(CHOSEN), checkpoints=CHOSEN, stability=False)
    result = analyze(clip, settings)
    assert {f.detector: f.checkpoint.split("@")[0] for f in result.findings} == CHOSEN
    for finding in result.findings:
        assert finding.status == Status.EXPERIMENTAL and finding.calibrated
        assert finding.llr is not None and np.isfinite(finding.llr)
    assert result.verdict.opinion.probability is None
    assert not result.verdict.opinion.contributions
    (spatial,) = (f for f in result.findings if f.detector == "spatial")
    assert spatial.image is not None and spatial.image.heatmap is not None


def test_the_api_and_the_page_offer_them_by_name(clip):
    report = analyzed(str(clip), checkpoints=CHOSEN).model_dump(mode="json")
    used = {f["detector"]: f["checkpoint"] for f in report["findings"]}
    for role, name in CHOSEN.items():
        assert used[role].startswith(f"{name}@")
        assert (name, name) in specs_of(role)
        source = catalog.find(name)
        assert source is not None and source.spec == name and source.usable and source.pinned
        assert any("no vote" in note for note in source.notes)


def test_one_is_checked_on_the_command_line_and_its_card_is_read(capsys):
    assert cli.main(["models", "check", "spatial=CLIP-Attention"]) == 0
    words = capsys.readouterr().out
    assert "clip-attention" in words and "not counted" in words


@pytest.mark.parametrize("name", CHOSEN.values())
def test_it_is_for_its_own_role_only(name):
    wrong = next(role for role, other in CHOSEN.items() if other != name)
    with pytest.raises(UserError, match="was made for"):
        store.resolve(name, role_of(wrong))


def test_each_has_a_card_with_figures_that_says_why_it_has_no_vote():
    assert {s.name: s.detector for s in catalog.alternative_sources()} == {
        name: role for role, name in CHOSEN.items()
    }
    for name in CHOSEN.values():
        folder = catalog.ALTERNATIVES / name
        card = Card.from_json((folder / "card.json").read_text("utf-8"))
        assert not card.votes and card.calibration is not None and card.figures
        assert card.limits[0].startswith("It has no vote")
        assert card.limits[0] in (folder / "README.md").read_text("utf-8")
        assert json.loads((folder / "config.json").read_text("utf-8"))["frozen_backbone"]


def test_all_weights_that_come_with_the_program_stay_small():
    folders = (catalog.DEFAULTS, catalog.ALTERNATIVES, catalog.BACKBONES)
    sizes = [file.stat().st_size for folder in folders for file in folder.glob(f"*/{WEIGHTS}")]
    assert len(sizes) >= 10 and sum(sizes) < MOST_BYTES
