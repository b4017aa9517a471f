"""Does the command line say what happened, on the right stream, with the right exit code?"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import cli
from evaluation.benchmark import TITLES
from tests.conftest import ROOT, moving_portrait, write_clip
from tests.test_evaluation_run import (  # noqa: F401 (fixtures)
    images,
    write_checkpoint,
)
from version import __version__


@pytest.fixture(scope="module")
def files(tmp_path_factory, portrait) -> Path:
    """A face, a gray image, a text that calls itself a video, and a short clip."""
    folder = tmp_path_factory.mktemp("files")
    face = cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR)[:320, 80:400]
    cv2.imwrite(str(folder / "face.png"), face)
    cv2.imwrite(str(folder / "grey.png"), np.full((200, 200, 3), 128, np.uint8))
    (folder / "text.mp4").write_text("this is no video")
    write_clip(folder / "clip.mp4", moving_portrait(portrait, 6, side=256))
    return folder


@pytest.fixture(scope="module")
def chosen(tmp_path_factory) -> list[str]:
    """Options that choose one tiny calibrated image network."""
    folder = write_checkpoint(tmp_path_factory.mktemp("tiny"), calibrated=True)
    return ["--detector", "spatial", "--checkpoint", f"spatial={folder}"]


def test_a_face_is_assessed_and_printed_in_words(files, chosen, capsys):
    assert cli.main(["analyze", str(files / "face.png"), *chosen]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("face.png: ") and "100%" in err


def test_json_on_stdout_is_the_published_report(files, chosen, capsys):
    import jsonschema

    from report.export import schema

    assert cli.main(["analyze", str(files / "face.png"), "--json", *chosen]) == 0
    report = json.loads(capsys.readouterr().out)
    jsonschema.validate(report, schema())
    assert report["file"]["name"] == "face.png"


def test_an_image_without_a_face_ends_with_two(files, chosen, capsys):
    assert cli.main(["analyze", str(files / "grey.png"), *chosen]) == 2
    assert "Not assessed" in capsys.readouterr().out


def test_an_unreadable_file_ends_with_one_and_a_sentence(files, chosen, capsys):
    assert cli.main(["analyze", str(files / "text.mp4"), *chosen]) == 1
    out, err = capsys.readouterr()
    assert "is a text" in err and "Traceback" not in err and not out


def test_one_bad_file_does_not_stop_the_others(files, chosen, capsys):
    names = [str(files / name) for name in ("text.mp4", "face.png", "grey.png")]
    assert cli.main(["analyze", *names, "--json", *chosen]) == 1
    answers = json.loads(capsys.readouterr().out)
    assert [a["file"]["name"] for a in answers] == ["text.mp4", "face.png", "grey.png"]
    assert answers[0]["error"]["code"] == "decode_failed"


def test_out_holds_report_images_and_video_and_replay_finds_no_difference(
    files, chosen, capsys, tmp_path
):
    assert cli.main(["analyze", str(files / "clip.mp4"), "--out", str(tmp_path), *chosen]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert {"clip.json", "clip.html", "clip.annotated.mp4"} <= names
    assert any(name.startswith("clip.frame-") for name in names)
    assert cli.main(["replay", str(tmp_path / "clip.json"), str(files / "clip.mp4")]) == 0
    assert "nothing differs" in capsys.readouterr().out


def test_replaying_on_another_file_says_so(files, chosen, capsys, tmp_path):
    cli.main(["analyze", str(files / "face.png"), "--out", str(tmp_path), *chosen])
    assert cli.main(["replay", str(tmp_path / "face.json"), str(files / "grey.png")]) == 1
    assert "not the same file" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--checkpoint", "nonsense"], "DETECTOR="),
        (["--checkpoint", "spatial=./no/such/folder"], "not found"),
        (["--fake-labels", "eyes=fake"], "DETECTOR="),
    ],
)
def test_wrong_choices_end_with_one_and_a_sentence(arguments, sentence, files, capsys):
    assert cli.main(["analyze", str(files / "face.png"), *arguments]) == 1
    assert sentence in capsys.readouterr().err


def test_wrong_arguments_end_with_one_not_with_not_assessable(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["analyze"])
    assert ended.value.code == 1
    assert "FILE" in capsys.readouterr().err


def test_help_documents_the_exit_codes():
    done = subprocess.run(
        [sys.executable, "cli.py", "analyze", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert "exit codes:" in done.stdout and "2  no error" in done.stdout


def commands_of(parser: argparse.ArgumentParser, path: str = "") -> dict:
    """Every command and sub-command with its parser."""
    inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    commands = {path: parser}
    for action in inner:
        for name, below in action.choices.items():
            commands |= commands_of(below, f"{path} {name}".strip())
    return commands


@pytest.mark.parametrize("name", commands_of(cli.make_parser()))
def test_every_argument_of_a_command_has_a_help_text(name):
    parser = commands_of(cli.make_parser())[name]
    silent = [
        action.dest
        for action in parser._actions
        if not action.help and not isinstance(action, argparse._SubParsersAction)
    ]
    assert silent == []


def test_help_and_version_come_without_torch():
    code = (
        "import sys, cli\ntry: cli.main(['--version'])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == f"deepfake-detector {__version__}\n"


def test_the_analysis_is_imported_without_what_only_a_file_needs():
    code = (
        "import sys, analysis\n"
        "heavy = ('torch', 'transformers', 'scipy.fft', 'scipy.ndimage', 'scipy.signal', 'pywt', "
        "'c2pa', 'mediapipe')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "[]\n"


def test_several_files_end_in_a_summary_and_a_table(files, chosen, capsys, tmp_path):
    import csv

    names = [str(files / name) for name in ("text.mp4", "face.png", "grey.png")]
    table = tmp_path / "new" / "table.csv"
    assert cli.main(["analyze", *names, "--csv", str(table), *chosen]) == 1
    err = capsys.readouterr().err
    assert "3 files:" in err
    assert "     1  Could not be read" in err
    assert "     1  Not assessed" in err
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert [row["file"] for row in rows] == ["text.mp4", "face.png", "grey.png"]
    assert rows[0]["error"] == "decode_failed"
    assert rows[0]["level"] == ""
    assert float(rows[1]["spatial"]) != 0
    assert rows[2]["level"] == "Not assessed"


def test_a_file_name_is_no_formula_in_the_table():
    from report.table import row

    error = {"code": "decode_failed", "sentence": "-"}
    assert row({"file": {"name": "=1+1.png"}, "error": error})[0] == "'=1+1.png"


@pytest.mark.parametrize("command", [["models", "check"], ["publish", "--to", "me/mine"]])
def test_a_checkpoint_is_written_the_same_way_everywhere(command, capsys):
    assert cli.main([*command, "./folder"]) == 1
    assert "DETECTOR=" in capsys.readouterr().err


def test_the_catalog_can_be_listed_and_searched(capsys):
    assert cli.main(["models", "list", "--detector", "temporal"]) == 0
    assert "embedded" in capsys.readouterr().out
    assert cli.main(["models", "search", "siglip2"]) == 0
    assert "SigLIP2" in capsys.readouterr().out


def test_a_checkpoint_can_be_checked(chosen, capsys):
    assert cli.main(["models", "check", chosen[-1]]) == 0
    out = capsys.readouterr().out
    assert "verified and loaded" in out and "made so" in out


def test_nothing_was_fetched_from_the_hub(capsys):
    assert cli.main(["models", "cache"]) == 0
    assert capsys.readouterr().out == ""


def test_a_checkpoint_without_a_license_is_not_published(chosen, capsys):
    assert cli.main(["publish", chosen[-1], "--to", "me/mine"]) == 1
    assert "licence_missing" in capsys.readouterr().err


def test_a_list_of_deepfakebench_is_evaluated_and_its_figures_are_printed(
    images,  # noqa: F811
    chosen,
    capsys,
    tmp_path,
):
    def split(word: str, *frames: str) -> dict:
        paths = [str(images / frame) for frame in frames]
        return {word: {"test": {"v0": {"label": word, "frames": paths}}}}

    videos = split("Tiny_real", "00.png", "02.png") | split("Tiny_fake", "01.png", "03.png")
    (tmp_path / "Tiny.json").write_text(json.dumps({"Tiny": videos}))
    command = ["evaluate", str(tmp_path / "Tiny.json"), "--out", str(tmp_path / "out")]
    assert cli.main([*command, *chosen]) == 0
    printed = capsys.readouterr().out
    assert "2 real and 2 fake files, 0 unreadable" in printed
    with (tmp_path / "out" / "scores.csv").open(newline="") as file:
        rows = [(int(row["label"]), float(row["log_odds"])) for row in csv.DictReader(file)]
    pairs = [(fake, real) for one, fake in rows if one for other, real in rows if not other]
    rank = np.mean([(fake > real) + 0.5 * (fake == real) for fake, real in pairs])
    right = np.mean([(log_odds >= 0) == label for label, log_odds in rows])
    shown = {title: line.split()[-1] for title in TITLES.values() for line in printed.splitlines()
             if line.startswith(title)}  # fmt: skip
    assert shown["AUC over frames"] == f"{rank:.3f}"
    assert shown["Accuracy at probability one half"] == f"{right:.3f}"
    assert set(shown) == set(TITLES.values()) - {"AUC over files"}


def test_a_manifest_is_evaluated_checked_and_calibrated(images, chosen, capsys, tmp_path):  # noqa: F811
    manifest, checkpoint = str(images / "manifest.csv"), chosen[-1]
    assert cli.main(["evaluate", manifest, "--out", str(tmp_path), *chosen]) == 0
    out, err = capsys.readouterr()
    assert "9 real and 10 fake files, 2 unreadable, indicative" in out and "[0/19]" in err
    code = cli.main(["models", "check", checkpoint, "--files", manifest])
    words = capsys.readouterr().out
    assert code == ("inverted" in words)
    options = ["--checkpoint", checkpoint, "--out", str(tmp_path)]
    assert cli.main(["calibrate", manifest, *options]) == ("inverted" in words or "chance" in words)
