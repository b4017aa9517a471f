"""Does the measuring tool measure? Whole runs on images of one public-domain face."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from analysis import Settings
from detectors.pool import Pool
from detectors.registry import role_of
from errors import UserError
from evaluation.calibrate import calibrate
from evaluation.evaluate import LINES, evaluate
from evaluation.manifest import Item, read_manifest
from evaluation.metrics import METRICS, Metric
from evaluation.protocol import protocol
from evaluation.run import raw_of, read_lines, score_files, set_up
from evaluation.scores import columns
from evaluation.tiers import TIERS, copies
from hub.calibrations import save_calibration
from hub.checkpoint import Calibration, Card
from hub.store import resolve
from media.clip import Clip
from tests.conftest import moving_portrait, write_clip

SIDE_PX = 32
LINE = Calibration(2.0, -0.5, "nothing, a test", 1, 1, "2026-01-01")


def write_checkpoint(folder: Path, calibrated: bool, seed: int = 0) -> Path:
    """A tiny random image classifier in Hub layout."""
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(seed)
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=SIDE_PX,
        patch_size=8,
        id2label={0: "real", 1: "fake"},
        label2id={"real": 0, "fake": 1},
        initializer_range=0.5,
    )
    ViTForImageClassification(config).save_pretrained(folder)
    card = Card(
        detector="spatial",
        title="A tiny random network",
        size_px=SIDE_PX,
        fake_indices=(1,),
        real_indices=(0,),
        labels_known_by="made so",
    )
    (folder / "card.json").write_text(card.to_json(), "utf-8")
    if calibrated:
        save_calibration(resolve(str(folder), role_of("spatial")), LINE)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), calibrated=True)


@pytest.fixture(scope="session")
def images(tmp_path_factory, portrait) -> Path:
    """Eight real and eight "fake" (brighter) images, one without a face, two unreadable."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    rows = [("path", "label", "group", "kind", "source")]
    for number in range(16):
        fake = number % 2
        change = rng.normal(0, 3, portrait.shape) + 60 * fake + 2 * number
        image = np.clip(portrait * 0.7 + change, 0, 255).astype(np.uint8)[:320, 80:400]
        name = f"{number:02d}.png"
        cv2.imwrite(str(folder / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        rows.append((name, fake, f"g{number // 4}", "bright" if fake else "", f"s{number % 4}"))
    cv2.imwrite(str(folder / "grey.png"), np.full((200, 200, 3), 128, np.uint8))
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    rows += [
        ("grey.png", 0, "", "", ""),
        ("damaged.png", 1, "", "", ""),
        ("gone.png", 1, "", "", ""),
    ]
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


def settings(folder: Path) -> Settings:
    return Settings(detectors=("spatial",), checkpoints={"spatial": str(folder)}, stability=False)


@pytest.fixture(scope="session")
def measured(tiny, images, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out")
    evaluate(images / "manifest.csv", out, settings(tiny), pool=Pool())
    return out


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_is_one_row_in_the_order_of_the_manifest(measured, images):
    rows, items = rows_of(measured), read_manifest(images / "manifest.csv")
    assert tuple(rows[0]) == columns()
    assert [row["path"] for row in rows] == [item.name for item in items]
    assert [row["label"] for row in rows] == [str(item.label) for item in items]


def test_a_file_without_a_face_and_a_damaged_one_are_rows_with_a_reason(measured):
    gray, damaged, gone = rows_of(measured)[-3:]
    assert gray["spatial_reason"] == "no_face" and gray["level"] == "Not assessed"
    assert damaged["spatial_reason"] == gone["spatial_reason"] == "decode_failed"
    assert gray["log_odds"] == damaged["log_odds"] == damaged["probability"] == ""
    assert gray["temporal_reason"] == "not_run"


def test_the_fused_log_odds_follow_from_the_only_detector(measured):
    from verdict.fusion import fusion_parameters

    fitted = fusion_parameters()
    if not fitted.weights["spatial"]:
        pytest.skip("the picture detector has no vote at present")
    row = rows_of(measured)[0]
    limited = np.clip(float(row["spatial_log_odds"]), -fitted.llr_clip, fitted.llr_clip)
    expected = fitted.intercept + fitted.weights["spatial"] * limited
    assert float(row["log_odds"]) == pytest.approx(expected, abs=1e-5)


def test_the_protocol_names_the_fusion_that_the_files_were_fused_with(tiny):
    from verdict.fusion import fusion_parameters

    numbers = replace(fusion_parameters(), fitted_on="a test", date="2026-11-28")
    words = protocol("files", (), set_up(settings(tiny), Pool()), numbers)
    assert "fusion fitted on: a test (2026-11-28)" in words


def test_metrics_hold_every_figure_of_the_protocol(measured):
    result = json.loads((measured / "metrics.json").read_text())
    assert result["data"] == {
        "n": 19, "n_real": 9, "n_fake": 10, "n_groups": 7, "n_unreadable": 2, "indicative": True
    }  # fmt: skip
    for name in ("auc", "ap", "eer", "fpr_at_90_tpr", "tpr_at_5_fpr", "ece", "brier", "log_loss"):
        assert set(result["fused"][name]) == {"value", "low", "high"}
    assert result["abstention"]["coverage"] == pytest.approx(16 / 19)
    assert result["abstention"]["auc_of_applicability"] is not None
    assert result["detectors"]["spatial"]["where_applicable"]["auc"]["value"] > 0
    assert {row["source"] for row in result["false_alarms_by_source"]} >= {"s0", "s2"}
    assert [row["kind"] for row in result["by_kind_of_fake"]] == ["bright", "fake"]
    assert result["baselines"]["file_size"]["auc"]["value"] >= 0.5
    assert "9 real and 10 fake files" in result["protocol"]


def test_the_report_stands_alone_and_says_indicative(measured):
    page = (measured / "report.html").read_text()
    assert "indicative" in page and "Protocol" in page and "data:image/svg+xml" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script" not in page


def test_a_stopped_run_goes_on_and_ends_with_the_same_rows(measured, tiny, images, tmp_path):
    lines = (measured / "measured.jsonl").read_text().splitlines()
    (tmp_path / "measured.jsonl").write_text("\n".join([*lines[:-4], lines[-4][:40]]))
    observed = []

    def progress(done: int, total: int, text: str) -> None:
        observed.append(text)

    evaluate(images / "manifest.csv", tmp_path, settings(tiny), False, progress, Pool())
    assert len(observed) == 4 + 1
    assert rows_of(tmp_path) == rows_of(measured)
    observed.clear()
    evaluate(images / "manifest.csv", tmp_path, settings(tiny), False, progress, Pool())
    assert observed == ["done"]


def test_several_workers_measure_the_same(measured, tiny, images, tmp_path):
    lines = (measured / "measured.jsonl").read_text().splitlines()
    (tmp_path / "measured.jsonl").write_text("\n".join(lines[:-3]) + "\n")
    manifest = images / "manifest.csv"
    evaluate(manifest, tmp_path, settings(tiny), pool=Pool(), workers=2)
    assert rows_of(tmp_path) == rows_of(measured)


def test_a_killed_worker_costs_its_own_file_only(tiny, images, tmp_path):
    """The pool of the standard library would end here with all files that were still to come."""
    items = read_manifest(images / "manifest.csv")[:4]
    setup, lines = set_up(settings(tiny), Pool()), tmp_path / "lines.jsonl"
    records = score_files(items, setup, lines, as_seen=kills_at_02, workers=2)
    codes = [record.error["code"] if record.error else None for record in records]
    assert codes == [None, None, "worker_killed", None]
    assert len(read_lines(lines)) == 4


@contextmanager
def kills_at_02(path: Path):
    if path.stem == "02":
        os.kill(os.getpid(), signal.SIGKILL)
    yield path


def test_only_another_checkpoint_measures_again(measured, tiny, images, tmp_path):
    items = read_manifest(images / "manifest.csv")
    selected = read_lines(measured / "measured.jsonl")
    record = next(k for (name, _), k in selected.items() if name == "00.png")
    setup = set_up(settings(tiny), Pool())
    assert setup.changed(record) == () and setup.changed(None) == ("spatial",)
    other = write_checkpoint(tmp_path / "other", calibrated=True, seed=2)
    pool, lines = Pool(), tmp_path / "lines.jsonl"
    lines.write_text((measured / "measured.jsonl").read_text())
    changed = set_up(settings(other), pool)
    assert changed.changed(record) == ("spatial",)
    (again,) = score_files(items[:1], changed, lines, pool=pool)
    before, now = raw_of(record, "spatial"), raw_of(again, "spatial")
    assert before != now and len(again.findings) == len(record.findings)


def test_another_mode_begins_anew(measured, tiny):
    thorough = Settings("thorough", ("spatial",), {"spatial": str(tiny)}, stability=False)
    setup = set_up(thorough, Pool())
    assert read_lines(measured / "measured.jsonl", setup.fingerprint) == {}


def test_a_bug_in_one_file_does_not_end_the_run(tiny, images, tmp_path, monkeypatch):
    import evaluation.run

    def broken(*args, **kwargs):
        raise ZeroDivisionError("made by the test")

    monkeypatch.setattr(evaluation.run, "analyze", broken)
    items = read_manifest(images / "manifest.csv")[:2]
    records = score_files(items, set_up(settings(tiny), Pool()), tmp_path / "lines.jsonl")
    assert [r.error["code"] for r in records] == ["internal_error"] * 2


def test_calibrating_makes_an_uncalibrated_checkpoint_count(images, tmp_path):
    folder = write_checkpoint(tmp_path / "raw", calibrated=False, seed=1)
    pool, lines = Pool(), tmp_path / "lines.jsonl"
    items = read_manifest(images / "manifest.csv")
    setup = set_up(settings(folder), pool)
    assert not setup.checkpoints["spatial"].counts
    raws = {
        i.name: raw_of(k, "spatial")
        for i, k in zip(items, score_files(items, setup, lines, pool=pool), strict=True)
    }
    labels = {i.name: i.label for i in items}
    fake = np.mean([r for n, r in raws.items() if labels[n] and r is not None])
    real = np.mean([r for n, r in raws.items() if not labels[n] and r is not None])
    if fake < real:  # a random head may point the wrong way: that must be refused
        with pytest.raises(UserError, match="inverted"):
            calibrate(images / "manifest.csv", settings(folder), lines, pool=pool)
        card = json.loads((folder / "card.json").read_text())
        card["fake_indices"], card["real_indices"] = [0], [1]
        (folder / "card.json").write_text(json.dumps(card))
        lines.unlink()
    fit = calibrate(images / "manifest.csv", settings(folder), lines, pool=pool)
    assert fit.skipped == 3 and fit.checkpoint.card.calibration.scale > 0
    assert set_up(settings(folder), pool).checkpoints["spatial"].counts


def test_too_few_files_are_refused(tiny, images, tmp_path):
    few = tmp_path / "few.csv"
    few.write_text(f"path,label\n{images}/00.png,0\n{images}/01.png,1\n")
    with pytest.raises(UserError, match="at least"):
        calibrate(few, settings(tiny), tmp_path / "lines.jsonl", pool=Pool())


@pytest.mark.parametrize("tier", TIERS, ids=lambda t: t.name)
def test_a_copy_is_smaller_and_keeps_the_clock(tier, tmp_path, portrait):
    """The image turns bright when the sound sets in, 0.4 s after the start."""
    dark, bright = np.zeros_like(portrait), np.full_like(portrait, 255)
    audio = np.zeros(16_000, np.float32)
    audio[6_400:] = np.sin(np.arange(9_600) * 0.3) * 0.5
    path = write_clip(tmp_path / "flash.mp4", [dark] * 10 + [bright] * 15, audio=audio)
    with copies(tier)(path) as copy, Clip(copy) as clip:
        times = [t for t, image in clip.frames() if image.mean() > 128]
        speech = clip.audio(0.0, 1.0)
        loud = np.flatnonzero(np.abs(speech) > 0.1)[0] / 16_000
        assert max(clip.size_wh) <= tier.long_side_px
        assert times[0] - loud == pytest.approx(0.0, abs=0.02)
    assert not copy.exists()


def test_re_encoding_is_measured_at_the_unchanged_threshold(tiny, tmp_path, portrait):
    for name in ("real", "fake"):
        (tmp_path / "data" / name).mkdir(parents=True)
        image = cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR)[:320, 80:400]
        cv2.imwrite(str(tmp_path / "data" / name / "a.png"), image)
    write_clip(tmp_path / "data" / "real" / "b.mp4", moving_portrait(portrait, 5, side=256))
    result = evaluate(tmp_path / "data", tmp_path / "out", settings(tiny), tiers=True, pool=Pool())
    assert list(result["tiers"]) == ["clean", "web", "hard"]
    assert result["tiers"]["clean"]["flipped_verdicts"] == 0
    assert result["tiers"]["hard"]["coverage"] == 1
    assert (tmp_path / "out" / "scores-web.csv").is_file()


def test_a_folder_names_kinds_and_sources(tmp_path):
    for name in ("real/phone/a.png", "fake/swap/b.png", "fake/c.png", "fake/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    items = read_manifest(tmp_path)
    assert [(i.name, i.label, i.kind, i.source) for i in items] == [
        ("real/phone/a.png", 0, "real", "phone"),
        ("fake/c.png", 1, "fake", ""),
        ("fake/swap/b.png", 1, "swap", ""),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,label\na,1\n", "no column “path”"),
        ("path,label\na,maybe\n", "label must be 0"),
        ("path,label\n,1\n", "Line 2"),
        ("path,label\n", "lists no files"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_line(text, sentence, tmp_path):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_manifest(tmp_path / "m.csv")


def test_a_file_without_a_group_is_its_own_group():
    assert Item("a.mp4", Path("a.mp4"), 0).unit == "a.mp4"


def test_a_metric_is_one_entry(measured, tiny, images, tmp_path, monkeypatch):
    """Nothing else is touched: it is measured, kept with its interval, and shown by its title."""
    toy = Metric("spread", "Distance of the means", mean_distance, higher_is_better=True)
    monkeypatch.setattr("evaluation.metrics.METRICS", (*METRICS, toy))
    shutil.copy(measured / LINES, tmp_path / LINES)
    evaluate(images / "manifest.csv", tmp_path, settings(tiny), pool=Pool())
    selected = json.loads((tmp_path / "metrics.json").read_text())
    rows = [row for row in rows_of(tmp_path) if row["log_odds"]]
    labels = np.array([int(row["label"]) for row in rows])
    values = np.array([float(row["log_odds"]) for row in rows])
    figure = selected["fused"]["spread"]
    assert figure["value"] == pytest.approx(mean_distance(labels, values), abs=1e-5)
    assert figure["low"] <= figure["value"] <= figure["high"]
    assert selected["detectors"]["spatial"]["where_applicable"]["spread"]["value"] > 0
    assert "Distance of the means" in (tmp_path / "report.html").read_text()


def mean_distance(labels: np.ndarray, scores: np.ndarray) -> float:
    return float(scores[labels == 1].mean() - scores[labels == 0].mean())
