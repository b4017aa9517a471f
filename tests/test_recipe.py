"""One command makes one checkpoint: every step of a recipe is a command that exists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from detectors.registry import roles
from training import recipe


def test_there_is_a_recipe_for_each_detector():
    assert set(recipe.RECIPES) == {role.name for role in roles() if not role.empty}


@pytest.mark.parametrize("detector", [r.name for r in roles() if not r.empty])
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
