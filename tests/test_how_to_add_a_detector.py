"""Is docs/add-a-detector.md all that there is to do? Done in a copy, whose tests then pass."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hub.checkpoint import Calibration, Card
from tests.conftest import ROOT

NAME = "brightness"
CLAIMS = (  # that are made of every detector
    "test_cards.py::test_figures_are_those_of_the_scores",
    "test_fit_fusion.py::test_the_fitted_sum_is_the_sum_of_the_verdict",
    "test_language.py::test_what_a_detector_says_of_itself_is_translated_as_a_whole",
    "test_recipe.py",
    "test_space.py::test_spacefile_readme_requirements_and_catalog_agree",
    "test_verdict.py::test_the_fitted_numbers_are_complete",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What git tracks, as links; tests and what a how-to changes are copies."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        heavy = (ROOT / name).stat().st_size > 100_000
        target.symlink_to(ROOT / name) if heavy else shutil.copyfile(ROOT / name, target)
    return tmp_path


def follow_the_how_to(tree: Path) -> None:
    """Its four steps, with the class that it shows."""
    text = (tree / "docs" / "add-a-detector.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.S)
    assert code and len(re.findall(r"^\d\. ", text, re.M)) == 4
    (tree / "detectors" / f"{NAME}.py").write_text(code[1])
    registry = tree / "detectors" / "registry.py"
    line = f"from detectors.{NAME} import Brightness\nDETECTORS = (*DETECTORS, Brightness)\n"
    registry.write_text(registry.read_text("utf-8") + line)
    folder = tree / "hub" / "defaults" / NAME
    folder.mkdir()
    fitted = Calibration(1.0, 0.0, "nothing, a test", 1, 1, "2026-11-28")
    card = Card(NAME, "Brightness", 224, (1,), (0,), "made so", calibration=fitted)
    save_file({"unused": np.zeros(1, np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": NAME, "scale": 2.0}))
    (folder / "card.json").write_text(card.to_json())
    fusion = tree / "verdict" / "fusion.json"
    numbers = json.loads(fusion.read_text("utf-8"))
    numbers["weights"][NAME] = 0.1
    fusion.write_text(json.dumps(numbers))


def test_a_detector_added_as_the_how_to_says_leaves_no_test_red(tree):
    follow_the_how_to(tree)
    command = [sys.executable, "-m", "pytest", "-vv", "--noconftest", "-p", "no:cacheprovider"]
    claims = [f"tests/{claim}" for claim in CLAIMS]
    done = subprocess.run(
        [*command, *claims], cwd=tree, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"[{NAME}-de] PASSED" in done.stdout  # the copy was tested, not the program around it
