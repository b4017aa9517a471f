"""Claims about evidence: the same file gives the same verdict, and a changed report is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import pytest

import cli
from report import export, render, replay, seal
from tests.conftest import ROOT
from tests.made_analysis import made_analysis
from tests.test_evaluation_run import write_checkpoint

PASSING = ("analyzed_at", "seconds_by_stage", seal.FIELD)  # what may differ from run to run


@pytest.fixture(scope="module")
def face(tmp_path_factory, portrait) -> Path:
    path = tmp_path_factory.mktemp("files") / "face.png"
    cv2.imwrite(str(path), cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR)[:320, 80:400])
    return path


@pytest.fixture(scope="module")
def chosen(tmp_path_factory) -> list[str]:
    folder = write_checkpoint(tmp_path_factory.mktemp("tiny"), calibrated=True)
    return ["--detector", "spatial", "--checkpoint", f"spatial={folder}"]


def test_processes_and_numbers_of_workers_give_the_same_verdict(face, chosen):
    """Each run is a process of its own, with another hash seed and another number of threads."""
    reports = []
    for threads in (1, 3):
        command = [sys.executable, str(ROOT / "cli.py"), "analyze", str(face), "--json", *chosen]
        around = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONHASHSEED": str(threads)}
        done = subprocess.run(command, env=around, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        reports.append(json.loads(done.stdout))
    first, *others = reports
    for other in others:
        assert other["verdict"]["level"] == first["verdict"]["level"]
        assert other["verdict"]["log_odds"] == pytest.approx(
            first["verdict"]["log_odds"], abs=replay.SAME
        )
        for name in set(first) - {*PASSING, "verdict", "findings", "people"}:
            assert other[name] == first[name], name


def test_the_hash_is_of_the_values_and_not_of_their_layout():
    report = export.to_json(made_analysis())
    assert report[seal.FIELD] == seal.report_hash(report)
    again = json.loads(json.dumps(report, indent=7))
    assert seal.report_hash(dict(reversed(again.items()))) == report[seal.FIELD]
    assert seal.report_hash({"a": 1.0}) == seal.report_hash({"a": 1})
    assert seal.report_hash({"a": 1.5}) != seal.report_hash({"a": 1})


def test_the_hash_is_printed_in_the_page_too():
    result = made_analysis()
    words = export.to_json(result)[seal.FIELD]
    assert words in render.to_html(result) and words in render.answer(result)


@pytest.mark.parametrize(
    "edit",
    [
        lambda r: r["verdict"].update(level="No signs found"),
        lambda r: r["explanation"].append("It is genuine."),
        lambda r: r["file"].update(name="other.mp4"),
        lambda r: r["findings"].pop(),
        lambda r: r.pop(seal.FIELD),
    ],
)
def test_an_edited_report_is_noticed(edit):
    report = export.to_json(made_analysis())
    assert replay.edited(report) == []
    edit(report)
    (difference,) = replay.edited(report)
    assert difference.what == "report"
    assert "report" in {d.what for d in replay.compare(report, made_analysis())}


def made_log(folder: Path) -> list[dict]:
    reports = [export.to_json(made_analysis(f"{name}.mp4")) for name in "abc"]
    for report in reports:
        seal.append(folder, report)
    return reports


def test_an_untouched_log_knows_its_reports(tmp_path):
    reports = made_log(tmp_path)
    log = tmp_path / seal.LOG_NAME
    assert all(replay.logged(report, log) == [] for report in reports)
    assert "a.mp4" not in log.read_text("utf-8")
    assert replay.logged(reports[0], tmp_path / "nowhere.log") == []


def test_a_log_grows_by_the_line_before_alone(tmp_path, monkeypatch):
    made_log(tmp_path)
    monkeypatch.setattr(seal, "read_log", lambda path: pytest.fail("the whole log was read"))
    monkeypatch.setattr(Path, "read_text", lambda path, *_: pytest.fail("the whole log was read"))
    made_log(tmp_path)
    monkeypatch.undo()
    lines = seal.read_log(tmp_path / seal.LOG_NAME)
    assert len(lines) == 6 and seal.first_break(lines) is None


def at_once(add) -> None:
    """Add 40 reports from eight threads."""
    reports = [export.to_json(made_analysis(f"{number}.mp4")) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, reports))


def test_a_log_that_many_write_at_once_stays_one_chain(tmp_path):
    at_once(lambda report: seal.append(tmp_path, report))
    lines = seal.read_log(tmp_path / seal.LOG_NAME)
    assert len({line.report for line in lines}) == 40 and seal.first_break(lines) is None


def test_the_lines_of_a_server_are_one_chain_too():
    texts: list[str] = []
    at_once(seal.Chain(texts.append).add)
    assert seal.first_break([seal._read(text) for text in texts]) is None
    assert len(set(texts)) == 40


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [lines[0].replace("file ab", "file cd"), *lines[1:]],
        lambda lines: [lines[0], "nonsense", *lines[1:]],
    ],
)
def test_a_changed_log_is_noticed(tmp_path, change):
    reports = made_log(tmp_path)
    log = tmp_path / seal.LOG_NAME
    log.write_text("\n".join(change(log.read_text("utf-8").splitlines())), "utf-8")
    assert any(d.what == "log" for d in replay.logged(reports[2], log))


def test_a_report_with_a_new_hash_is_not_in_the_log(tmp_path):
    report = made_log(tmp_path)[1]
    report["verdict"]["level"] = "No signs found"
    forged = seal.sealed(report)
    assert replay.edited(forged) == [], "who edits can make a new hash"
    (difference,) = replay.logged(forged, tmp_path / seal.LOG_NAME)
    assert "does not know" in difference.sentence


def test_replay_says_that_a_stored_report_was_edited(face, chosen, capsys, tmp_path):
    assert cli.main(["analyze", str(face), "--out", str(tmp_path), *chosen]) == 0
    stored = tmp_path / "face.json"
    report = json.loads(stored.read_text("utf-8"))
    assert f"report {report[seal.FIELD]} file" in capsys.readouterr().err
    report["explanation"] = ["It is genuine."]
    stored.write_text(json.dumps(report), "utf-8")
    assert cli.main(["replay", str(stored), str(face)]) == 1
    assert "edited after it was made" in capsys.readouterr().out
