"""Do hostile names, broken files and full disks end in sentences, and lose nothing else?"""

from __future__ import annotations

import csv
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import cv2
import pytest

import cli
from analysis import Settings
from commands.console import escaped
from detectors.registry import names
from errors import UserError
from evaluation.manifest import Item, read_manifest, write_manifest
from evaluation.scores import Number, Score, write_scores
from report import render
from report.table import columns, row
from tests.conftest import ROOT
from tests.test_evaluation_run import write_checkpoint

ESCAPE = "\x1b]0;owned\x07"  # changes the title of a terminal


@pytest.fixture(scope="module")
def chosen(tmp_path_factory) -> list[str]:
    """Options that choose one tiny calibrated image network."""
    folder = write_checkpoint(tmp_path_factory.mktemp("tiny"), calibrated=True)
    return ["--checkpoint", f"spatial={folder}", "--detector", "spatial"]


@pytest.fixture
def face(tmp_path, portrait) -> Path:
    """An image with a face."""
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR)[:320, 80:400])
    return path


def test_names_cannot_steer_the_terminal(face, chosen, capsys):
    hostile = face.rename(face.with_name(f"a{ESCAPE}\u202egnp.png"))
    assert cli.main(["analyze", str(hostile), *chosen]) == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err and "\u202e" not in out + err
    assert "a\\u001b]0;owned\\u0007" in out


def test_json_with_hostile_names_is_still_json(face, chosen, capsys):
    hostile = face.rename(face.with_name(f"a{ESCAPE}\x9b.png"))
    cli.main(["analyze", str(hostile), "--json", *chosen])
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\x9b" not in out
    assert json.loads(out)["file"]["name"] == hostile.name


def test_a_name_that_is_no_text_is_written_all_the_same(face, chosen, capsys, tmp_path):
    odd = os.fsencode(face.parent) + b"/caf\xe9.png"
    os.rename(face, odd)
    out = tmp_path / "out"
    assert cli.main(["analyze", os.fsdecode(odd), "--json", "--out", str(out), *chosen]) == 0
    assert json.loads(capsys.readouterr().out)["file"]["name"] == "caf\ufffd.png"
    assert any(path.suffix == ".html" for path in out.iterdir())


@pytest.mark.parametrize("text", ["plain", "naïve – “x”", "日本語", "two\nlines\tand tab", "🔎"])
def test_ordinary_text_is_printed_as_it_is(text):
    assert escaped(text) == text


def test_a_mistake_of_ours_on_one_file_does_not_end_the_run(
    face, chosen, capsys, monkeypatch, tmp_path
):
    import analysis

    second = tmp_path / "second.png"
    second.write_bytes(face.read_bytes())
    whole = analysis.analyze

    def broken_once(path, *rest, **named):
        if path == face:
            raise ZeroDivisionError("division by zero")
        return whole(path, *rest, **named)

    monkeypatch.setattr(analysis, "analyze", broken_once)
    table = tmp_path / "rows.csv"
    options = ["--json", "--csv", str(table), *chosen]
    assert cli.main(["analyze", str(face), str(second), *options]) == 1
    first, other = json.loads(capsys.readouterr().out)
    assert first["error"]["code"] == "internal_error"
    assert "ZeroDivisionError in test_robust_commands.py" in first["error"]["sentence"]
    assert other["verdict"]["level"]
    assert len(table.read_text("utf-8").splitlines()) == 3


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_report_on_a_full_disk_ends_in_a_sentence(face, chosen, capsys, monkeypatch, tmp_path):
    def full(*_):
        raise FULL

    monkeypatch.setattr(render, "to_html", full)
    assert cli.main(["analyze", str(face), "--out", str(tmp_path / "out"), *chosen]) == 1
    err = capsys.readouterr().err
    assert "could not be written: No space left on device" in err and "cannot_write" in err


def test_a_folder_that_cannot_be_written_is_told_before_the_first_file(face, chosen, capsys):
    assert cli.main(["analyze", str(face), "--out", str(face / "below"), *chosen]) == 1
    err = capsys.readouterr().err
    assert "The folder of reports could not be written" in err
    assert "Opening the file" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_table_on_a_full_disk_ends_in_a_sentence(face, chosen, capsys):
    assert cli.main(["analyze", str(face), "--csv", "/dev/full", *chosen]) == 1
    assert "No space left on device" in capsys.readouterr().err


def test_the_page_on_a_full_disk_says_so(monkeypatch):
    from hub.spacefile import read_spacefile
    from ui import analyze

    def full(*_: object):
        raise FULL

    monkeypatch.setattr(analyze, "stored", full)
    monkeypatch.setattr(analyze, "shown", lambda *_: {})
    settings = Settings(detectors=("landmarks",))
    path = str(ROOT / "examples" / "portrait.jpg")
    choices = MagicMock(path="path", references="references", settings=lambda chosen: settings)
    places = MagicMock(stop="stop", again="again", answer="answer", live="live")
    run = analyze.runner(read_spacefile(), "done", choices, places)
    data = run(lambda update: None, {"path": path, "references": None}, MagicMock(headers={}))
    assert data["done"] is None
    assert "No space left on device" in data["answer"]


def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} cli.py models list | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, text=True
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


# ------------------------------------------------------------------ tables


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\n", " =", "＝"])
def test_no_cell_of_any_table_is_run_by_a_spreadsheet(begin, tmp_path):
    text = f"{begin}cmd|' /C calc'!A0"
    bad = {"file": {"name": text}, "error": {"code": text, "sentence": text}}
    cells = dict(zip(columns(), row(bad), strict=True))
    assert all(cells[name].startswith("'") for name in ("file", "error", "sentence"))
    item = Item(text, tmp_path, 0, group=text, kind=text)
    numbers = {name: Number(None, "not_applicable", "no_face") for name in names()}
    write_scores(tmp_path / "scores.csv", [Score(item, "x", None, None, None, numbers)])
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        _, written = csv.reader(file)
    assert written.count(f"'{text}") == 3


def test_a_bare_carriage_return_does_not_end_a_row(tmp_path):
    write_manifest(tmp_path / "items.csv", [Item("a\rb", tmp_path, 0)])
    assert "a\\rb,0" in (tmp_path / "items.csv").read_bytes().decode()


def test_a_manifest_with_names_like_formulas_is_read_as_it_was_written(tmp_path):
    item = Item("=a.mp4", tmp_path / "=a.mp4", 1, group="-1", kind="+x", source="@me")
    write_manifest(tmp_path / "items.csv", [item])
    assert "'=a.mp4" in (tmp_path / "items.csv").read_text("utf-8")
    (result,) = read_manifest(tmp_path / "items.csv")
    assert (result.name, result.group, result.kind, result.source) == ("=a.mp4", "-1", "+x", "@me")


def test_a_user_error_keeps_its_own_sentence():
    from errors import writing

    with pytest.raises(UserError, match="mine"), writing("X"):
        raise UserError("mine", "mine")
