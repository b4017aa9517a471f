"""One command makes one checkpoint: every step of a recipe is a command that exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from detectors.registry import names
from hub import catalog
from training import recipe

TRAINED_BY = re.compile(r"python -m training\.recipe (\w+)")


def test_there_is_a_recipe_for_each_checkpoint_that_says_so_and_for_detectors_only():
    cards = catalog.DEFAULTS.glob("*/README.md")
    stated = {name for card in cards for name in TRAINED_BY.findall(card.read_text("utf-8"))}
    assert stated == set(recipe.RECIPES) <= set(names())


@pytest.mark.parametrize("detector", recipe.RECIPES)
def test_no_place_is_left_open_and_every_module_is_there(detector: str, tmp_path: Path):
    for command in recipe.commands(detector, tmp_path / "data", tmp_path / "out"):
        _, _, module, *arguments = command
        place = Path(module.replace(".", "/"))
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()
        assert not any("{" in word for word in arguments)


def test_what_was_made_is_not_made_again(tmp_path: Path):
    before = recipe.commands("spatial", tmp_path, tmp_path)
    (tmp_path / "ae.pt").touch()
    after = recipe.commands("spatial", tmp_path, tmp_path)
    assert [c[2] for c in before if c not in after] == ["training.data.autoencoder"]


def test_the_commands_can_be_shown_without_running(tmp_path: Path):
    shown = subprocess.run(
        [sys.executable, "-m", "training.recipe", "landmarks", "DATA", str(tmp_path), "--show"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines()[0].startswith("-m training.data.labeled_videos DATA ")
    assert not list(tmp_path.iterdir())
