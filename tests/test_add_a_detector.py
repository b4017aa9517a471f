"""Does a detector that declares itself reach every part of the program? Made here, known nowhere.

One class, one folder with a checkpoint and one weight go through analysis, fusion, explanation,
JSON, page, command line, app and evaluation; nothing else knows their name.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
from safetensors.numpy import save_file

import cli
from analysis import Settings, analyze
from detectors import registry
from detectors.base import Backbone, Detector, Measurement
from detectors.pool import Pool
from evaluation.evaluate import evaluate
from hub import catalog
from hub.checkpoint import Calibration, Card, Checkpoint
from hub.role import Modality, Role
from hub.spacefile import read_spacefile
from report import export
from report.render import to_html
from tests.conftest import ROOT
from verdict import fusion

TOY = "toy_light"
LINE = Calibration(2.0, 0.5, "two drawn faces", 1, 1, "2026-11-27")


class Toy(Detector):
    """Speaks for manipulation by as much as its weight says."""

    role = Role(
        name=TOY,
        title="Toy of the light",
        question="Is there light on the face?",
        blind_to="everything else",
        modality=Modality.IMAGE,
        phrase_for="the light is a toy's",
        phrase_against="the light is no toy's",
        measured="brightness {brightness:.0f}",
    )

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str) -> float:
        from safetensors.numpy import load_file

        return float(load_file(checkpoint.folder / "model.safetensors")["weight"][0])

    def measure(self, window: Any, track: Any) -> Measurement:
        return Measurement(self.network, measures={"brightness": track.quality.brightness})


def write_toy(folder: Path) -> None:
    """A checkpoint folder in this program's own format."""
    folder.mkdir(parents=True)
    card = Card(TOY, "A toy", 224, (1,), (0,), "made so", calibration=LINE, license="mit")
    save_file({"weight": np.array([0.9], np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "toy"}))
    (folder / "card.json").write_text(card.to_json())


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The class in the registry, the folder beside the others, one weight in the fusion."""
    defaults = tmp_path / "defaults"
    defaults.mkdir()
    for folder in catalog.DEFAULTS.iterdir():
        (defaults / folder.name).symlink_to(folder)
    write_toy(defaults / TOY)
    fitted = fusion.fusion_parameters()
    file = tmp_path / "fusion.json"
    file.write_text(json.dumps(asdict(replace(fitted, weights={**fitted.weights, TOY: 0.8}))))
    monkeypatch.setattr(registry, "DETECTORS", (*registry.DETECTORS, Toy))
    monkeypatch.setattr(catalog, "DEFAULTS", defaults)
    monkeypatch.setattr(fusion, "PARAMETERS_FILE", file)
    fusion.fusion_parameters.cache_clear()
    yield
    fusion.fusion_parameters.cache_clear()


@pytest.fixture
def face(tmp_path: Path, portrait: np.ndarray) -> Path:
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR)[:320, 80:400])
    return path


def test_it_is_asked_counted_and_explained(toy, face):
    only = Settings(detectors=("spatial", TOY))  # one way to fake, so that the weight counts whole
    analysis = analyze(face, only, pool=Pool())
    finding = next(f for f in analysis.findings if f.detector == TOY)
    assert finding.value == pytest.approx(LINE.apply(0.9), abs=1e-6)
    opinion = analysis.verdict.opinion
    assert opinion.contributions[TOY] == pytest.approx(0.8 * LINE.apply(0.9), abs=1e-6)
    assert any("the light is a toy's (brightness" in line for line in analysis.explanation)


def test_its_report_is_valid_and_its_page_names_it(toy, face):
    analysis = analyze(face, Settings(detectors=(TOY,)), pool=Pool())
    report = json.loads(export.to_text(analysis))
    jsonschema.Draft202012Validator(export.schema()).validate(report)
    assert [finding["detector"] for finding in report["findings"]] == [TOY]
    html = to_html(analysis)
    assert "Toy of the light" in html and "the light is a toy&#39;s" in html


def test_the_command_line_knows_it(toy, face, capsys):
    assert cli.main(["analyze", str(face), "--detector", TOY]) == 0
    assert Toy.role.title in capsys.readouterr().out
    assert cli.main(["models", "list", "--detector", TOY]) == 0
    assert capsys.readouterr().out.startswith(f"{TOY}=embedded")


def test_the_page_offers_it(toy):
    import app

    blocks = app.build().blocks.values()
    choices = [choice for block in blocks for choice in getattr(block, "choices", None) or ()]
    assert any(value == TOY for _, value in choices)
    assert any("Toy of the light" in str(getattr(block, "label", "")) for block in blocks)


def test_it_is_embedded_where_the_spacefile_does_not_name_it(toy, face):
    space = read_spacefile()
    assert TOY not in space.checkpoints
    settings = Settings(detectors=(TOY,), checkpoints={})
    assert analyze(face, settings, pool=Pool()).checkpoints[TOY].startswith(f"{TOY}@")


def test_evaluation_measures_it(toy, face, tmp_path):
    folder = tmp_path / "files"
    for label in ("real", "fake"):
        (folder / label).mkdir(parents=True)
        (folder / label / "face.png").write_bytes(face.read_bytes())
    result = evaluate(str(folder), tmp_path / "out", Settings(detectors=(TOY,), stability=False))
    assert result["detectors"][TOY]["n_applicable"] == 2
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").open(encoding="utf-8")))
    assert [float(row[f"{TOY}_log_odds"]) for row in rows] == pytest.approx([LINE.apply(0.9)] * 2)


def test_without_a_weight_it_is_shown_without_a_vote(toy, face, monkeypatch, tmp_path):
    fitted = fusion.fusion_parameters()
    left = {name: weight for name, weight in fitted.weights.items() if name != TOY}
    (tmp_path / "none.json").write_text(json.dumps(asdict(replace(fitted, weights=left))))
    monkeypatch.setattr(fusion, "PARAMETERS_FILE", tmp_path / "none.json")
    fusion.fusion_parameters.cache_clear()
    analysis = analyze(face, Settings(detectors=(TOY,)), pool=Pool())
    assert analysis.findings[0].value is not None
    assert analysis.verdict.opinion.contributions == {}
    assert any(f"“{Toy.role.title}” has no vote" in line for line in analysis.explanation)


def test_two_heads_share_one_backbone_that_is_loaded_once(tmp_path):
    loaded = []

    def head(name: str) -> type[Detector]:
        class Head(Toy):
            role = replace(Toy.role, name=name)

            @classmethod
            def backbone(cls, checkpoint: Checkpoint) -> Backbone:
                def load(folder: Path, device: str) -> object:
                    loaded.append(folder)
                    return object()

                return Backbone(tmp_path / "backbone", load)

        return Head

    write_toy(tmp_path / TOY)
    card = Card.from_json((tmp_path / TOY / "card.json").read_text("utf-8"))
    pool, made = Pool(), []
    for name in ("first", "second"):
        kind = head(name)
        checkpoint = Checkpoint(name, kind.role, tmp_path / TOY, card, {}, None, "0" * 64, True)
        made.append(pool.detector(kind, checkpoint, "cpu"))
    assert loaded == [tmp_path / "backbone"]
    assert made[0].shared is made[1].shared is not None


def test_who_lists_the_detectors_does_not_wait_for_torch():
    code = "import sys, cli; cli.make_parser().format_help(); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
