"""Claims about the whole way: one file in, one verdict out, the same every time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from analysis import Analysis, Settings, analyze
from detectors.base import Finding
from detectors.registry import names, role_of
from errors import UserError
from report.export import to_json
from report.language import languages
from report.seal import FIELD, report_hash
from tests.conftest import ROOT, moving_portrait, write_clip
from ui.running import Board
from ui.session import Step

CLIP = ROOT / "examples" / "animated.mp4"  # two windows of a face that speaks


@dataclass
class Run:
    """One analysis and what was told while it ran."""

    analysis: Analysis
    steps: list[tuple[float, str]]
    findings: list[tuple[Finding, float]]


@pytest.fixture(scope="module")
def run() -> Run:
    steps, findings = [], []
    analysis = analyze(
        CLIP,
        on_progress=lambda fraction, text: steps.append((fraction, text)),
        on_finding=lambda finding, share: findings.append((finding, share)),
    )
    return Run(analysis, steps, findings)


@pytest.fixture(scope="module")
def analysis(run) -> Analysis:
    return run.analysis


def test_every_detector_says_something_about_the_person(analysis):
    assert [p.name for p in analysis.people] == ["Face A"]
    assert [f.detector for f in analysis.findings] == list(names())
    for finding in analysis.findings:
        assert finding.value is not None or finding.reason is not None


def test_contributions_add_up_to_the_verdict_of_a_real_file(analysis):
    opinion = analysis.verdict.opinion
    total = analysis.verdict.intercept + sum(opinion.contributions.values())
    assert total == pytest.approx(opinion.log_odds, abs=1e-6)


def test_the_same_file_gives_the_same_json_twice(analysis, fresh_probes):
    once, again = to_json(analysis), to_json(analyze(CLIP))
    for report in (once, again):  # the hash also covers when and how fast, which differ
        assert report[FIELD] == report_hash(report)
        del report[FIELD]
    assert once.pop("seconds_by_stage").keys() == again.pop("seconds_by_stage").keys()
    assert once.pop("analyzed_at") <= again.pop("analyzed_at")
    assert once == again


def test_progress_rises_to_the_end(run):
    fractions = [fraction for fraction, _ in run.steps]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0 and 0.9 < fractions[-1] <= 1.0


def test_a_visitor_reads_stage_and_window_in_every_language(run):
    read = {
        code: [
            Board(lambda html: None, names(), language).html(Step(*step), 1.0).split("h2>")[1][:-2]
            for step in run.steps
        ]
        for code, language in languages().items()
    }
    assert read["en"] == [text for _, text in run.steps]
    assert "Examining: Motion of the face (window 2 of 2)" in read["en"]
    assert "Wird untersucht: Bewegung des Gesichts (Fenster 2 von 2)" in read["de"]
    assert not set(read["en"]) & set(read["de"])


def test_findings_are_told_one_after_the_other_and_end_as_they_are_weighed(run):
    last = {finding.detector: (finding, share) for finding, share in run.findings}
    assert len(run.findings) > len(last)  # more than once each: there are several windows
    assert list(last) == [name for name in names() if not role_of(name).empty]
    assert all(share == 1.0 for _, share in last.values())
    assert {n: f.value for n, (f, _) in last.items()} == {
        f.detector: f.value for f in run.analysis.findings if not f.role.empty
    }


def test_a_file_without_faces_is_not_assessed(tmp_path):
    path = write_clip(tmp_path / "grey.mp4", [np.full((120, 160, 3), 90, np.uint8)] * 30)
    result = analyze(path)
    assert result.verdict.level == "Not assessed"
    assert {f.reason.code for f in result.findings} <= {"no_face", "no_audio", "single_picture"}


def test_an_image_is_judged_by_what_can_be_seen_in_it(tmp_path, portrait):
    Image.fromarray(portrait).save(tmp_path / "portrait.jpg", quality=92)
    result = analyze(tmp_path / "portrait.jpg")
    by_name = {f.detector: f for f in result.findings}
    assert by_name["spatial"].value is not None
    for name in ("temporal", "sync", "landmarks"):
        assert by_name[name].reason.code == "single_picture"


def test_memory_does_not_grow_with_the_images_kept(tmp_path, portrait):
    import cv2

    face = cv2.resize(portrait[:300, 60:360], (160, 160))
    path = write_clip(tmp_path / "long.mp4", [face] * 30 * 25)
    result = analyze(path, Settings(mode="thorough", detectors=("landmarks",)))
    assert len(result.keyframes) <= 8
    assert result.examined_s == pytest.approx(result.duration_s, abs=0.1)


def test_a_moving_image_is_examined_like_a_silent_clip(tmp_path, portrait):
    pages = [Image.fromarray(p) for p in moving_portrait(portrait, 12)]
    path = tmp_path / "moving.webp"
    pages[0].save(path, save_all=True, append_images=pages[1:], duration=66, quality=90)
    result = analyze(path, Settings(detectors=("spatial", "sync")))
    data = {finding.detector: finding for finding in result.findings}
    assert data["spatial"].value is not None
    assert data["sync"].reason.code == "no_audio"


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(UserError, match="Mode"):
        Settings(mode="slow")
    with pytest.raises(UserError, match="no detector"):
        Settings(detectors=("magic",))


def test_a_chosen_checkpoint_that_cannot_be_used_is_never_replaced_in_silence(tmp_path, portrait):
    Image.fromarray(portrait).save(tmp_path / "portrait.jpg")
    settings = Settings(checkpoints={"spatial": str(tmp_path / "nothing-here")})
    with pytest.raises(UserError):
        analyze(tmp_path / "portrait.jpg", settings)


def test_a_hostile_file_name_stays_a_name(tmp_path, portrait):
    path = tmp_path / "<img src=x onerror=alert(1)>.jpg"
    Image.fromarray(portrait).save(path, format="JPEG")
    assert analyze(path, Settings(detectors=("spatial",))).name == path.name
