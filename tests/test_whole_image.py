"""A detector that looks at the whole image does not need a face."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import Analysis, Settings, analyze
from detectors.pool import Pool
from detectors.registry import role_of
from hub import store
from hub.calibrations import save_calibration
from hub.checkpoint import Calibration
from tests.hub_server import serving
from tests.tiny_models import write_model

ORGANIKA = "Organika/sdxl-detector"


def examined(path: Path, name: str) -> Analysis:
    settings = Settings(detectors=("spatial",), checkpoints={"spatial": name}, stability=False)
    return analyze(path, settings, pool=Pool())


def test_an_image_without_a_face_is_assessed_by_a_checkpoint_that_looks_at_all_of_it(
    landscape: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with serving(tmp_path / "home", monkeypatch) as hub:
        hub.add(ORGANIKA, write_model(tmp_path / "swin", "swin", ("artificial", "human")))
        hub.add("someone/faces", write_model(tmp_path / "vit", "vit", ("real", "fake")))
        shown = examined(landscape, ORGANIKA)
        line = Calibration(1.0, 3.0, "my landscapes", 10, 10, "2026-11-27")
        save_calibration(store.resolve(ORGANIKA, role_of("spatial")), line)
        counted = examined(landscape, ORGANIKA)
        faces = examined(landscape, "someone/faces")
    (finding,) = shown.findings
    assert finding.person is None and finding.value is not None
    assert finding.status == "uncalibrated" and shown.verdict.opinion.probability is None
    assert counted.findings[0].status == "counted"
    assert counted.verdict.opinion.probability is not None
    assert faces.findings[0].reason is not None and faces.findings[0].reason.code == "no_face"
    assert faces.verdict.opinion.level == "Not assessed"
