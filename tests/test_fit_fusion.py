"""Does the fit of the fusion find what was put into the data? Synthetic results, no network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from detectors.base import Finding, Reason
from detectors.registry import names, role_of
from evaluation.manifest import Item, write_manifest
from evaluation.run import ScoreRecord
from hub.checkpoint import Calibration
from training.fusion.evidence import folds, read_held_out, read_table
from training.fusion.fit import WAY_SHARES, fit_all, held_out, sums, thresholds
from verdict.fusion import FusionParameters, fuse
from verdict.levels import Thresholds

DETECTORS = names()
KINDS, SOURCES = ("swap", "head", "head+superres", "lips"), ("phone", "studio", "lab", "web")
LIMITS = Thresholds(3, 1, -1)
LINE = Calibration(2.0, 1.0, "a test", 1, 1, "2026-01-01")

JUDGED = ("spatial", "temporal", "frequency", "sync")


def write_results(folder: Path, files: int = 160, seed: int = 0) -> Path:
    """Spatial knows, temporal knows a little, frequency is noise, sync is rare."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    items, lines = [], [json.dumps({"fingerprint": "synthetic"})]
    for number in range(files):
        label = number % 2
        side = 2 * label - 1
        kind = KINDS[number // 2 % 4] if label else "real"
        source = "" if label else SOURCES[number // 2 % 4]
        items.append(Item(f"{number}.mp4", Path(), label, f"g{number // 4}", kind, source))
        data = {
            "spatial": rng.normal(1.5 * side, 1.5),
            "temporal": rng.normal(0.6 * side, 1.5) if number % 3 else None,
            "frequency": rng.normal(0, 1.5),
            "sync": rng.normal(side, 1) if number < 6 else None,
        }
        entries = [entry(name, "Face A", value) for name, value in data.items()]
        if number % 10 == 0:
            entries.append(entry("spatial", "Face B", rng.normal(-2, 0.5)))
        selected = ScoreRecord(f"{number}.mp4", "1-1", {}, tuple(entries), False, {}, None, {})
        lines.append(json.dumps(asdict(selected)))
    write_manifest(folder / "items.csv", items)
    (folder / "measured.jsonl").write_text("\n".join(lines) + "\n")
    words = {name: asdict(LINE) | {"votes": True} for name in JUDGED} | {"landmarks": None}
    (folder / "metrics.json").write_text(json.dumps({"calibrations": words}))
    return folder


def entry(detector: str, person: str | None, log_odds: float | None) -> dict:
    raw = None if log_odds is None else (log_odds - LINE.offset) / LINE.scale
    return {
        "detector": detector,
        "person": person,
        "raw": raw,
        "reason": None if log_odds is not None else "no_speech",
        "sentence": None,
        "measures": {},
    }


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return read_table([write_results(tmp_path_factory.mktemp("fit") / "clips")])


@pytest.fixture(scope="module")
def fitted(table) -> tuple[FusionParameters, dict]:
    return fit_all(table, "synthetic", None)


def test_the_table_limits_partial_detectors_as_the_verdict_does(table):
    coverage = {"temporal": 0.6}
    numbers = FusionParameters(0, {}, 4.0, LIMITS, LIMITS, "", "", WAY_SHARES, coverage)
    column = DETECTORS.index("temporal")
    before = table.values[:, column]
    after = table.seeing(coverage, 4.0).values[:, column]
    there = np.isfinite(before)
    assert np.array_equal(there, np.isfinite(after)) and there.any()
    wanted = [numbers.evidence("temporal", float(value)) for value in before[there]]
    assert after[there] == pytest.approx(np.array(wanted))


def test_the_fitted_sum_is_the_sum_of_the_verdict():
    rng = np.random.default_rng(5)
    weights, intercept = rng.permutation(np.linspace(0, 0.9, len(DETECTORS))), -0.2
    data = dict(zip(DETECTORS, weights, strict=True))
    numbers = FusionParameters(intercept, data, 4.0, LIMITS, LIMITS, "", "", WAY_SHARES)
    for _ in range(60):
        values = rng.normal(0, 3, (rng.integers(1, 4), len(DETECTORS)))
        values[rng.random(values.shape) < 0.4] = np.nan
        reason = Reason("no_face", "")
        findings = [
            Finding(
                role_of(name),
                f"Face {row}",
                None if np.isnan(v) else float(v),
                None if np.isnan(v) else float(v),
                "not_applicable" if np.isnan(v) else "counted",
                reason if np.isnan(v) else None,
                (),
                {},
                "test",
                True,
            )
            for row, people in enumerate(values)
            for name, v in zip(DETECTORS, people, strict=True)
        ]
        data = fuse(findings, image=False, numbers=numbers).opinion.log_odds
        mine = sums(values, np.zeros(len(values), int), weights, intercept)[0]
        assert np.isnan(mine) if data is None else mine == pytest.approx(data, abs=1e-9)


def test_strong_evidence_gets_weight_and_noise_none(fitted):
    numbers, measured = fitted
    assert numbers.weights["spatial"] > 0.3
    assert numbers.weights["frequency"] < 0.1
    assert numbers.weights["sync"] == numbers.weights["landmarks"] == 0
    assert "frequency" in measured["dropped"] and "spatial" in measured["kept"]
    assert all(0 <= weight <= 1 for weight in numbers.weights.values())


def test_the_numbers_can_be_read_by_the_verdict(fitted):
    numbers, _ = fitted
    again = FusionParameters.from_json(json.loads(json.dumps(asdict(numbers))))
    assert again == numbers and again.video.strong > again.video.some > again.video.none


def test_no_fold_holds_a_kind_or_a_source_that_was_fitted_on(table):
    fold = folds(table)
    for number in np.unique(fold):
        test = fold == number
        fakes, reals = table.labels == 1, table.labels == 0
        assert not set(table.kinds[test & fakes]) & set(table.kinds[~test & fakes])
        assert not set(table.sources[test & reals]) & set(table.sources[~test & reals])
        assert (test & fakes).any() and (test & reals).any()
    assert "head+superres" not in set(table.kinds)


def test_thresholds_keep_real_files_from_strong_signs(table):
    scores = held_out(table, 0.03)
    limits = thresholds(table, scores)
    reals = scores[table.labels == 0]
    assert not (reals >= limits.strong).any()
    assert (reals >= limits.some).mean() <= 0.05
    assert limits.strong > limits.some >= 0.8 and limits.none <= -0.5


def test_the_ablation_says_what_each_detector_adds(fitted):
    rows = {row["detectors"]: row for row in fitted[1]["ablation"]}
    assert rows["spatial alone"]["auc"] > 0.8
    assert rows["frequency alone"]["auc"] < 0.65
    assert rows["with sync"]["note"] == "too few files with a number"
    assert any(name.startswith("chosen: ") for name in rows)


def test_several_folders_weigh_the_same_whatever_their_size(tmp_path):
    small, large = write_results(tmp_path / "small", 40), write_results(tmp_path / "large", 120, 1)
    table = read_table([small, large])
    for origin in ("small", "large"):
        assert table.weights[table.origins == origin].sum() == pytest.approx(0.5)
    assert table.weights[table.labels == 1].sum() == pytest.approx(0.5)


def test_scores_made_without_a_files_kind_take_the_place_of_its_own(tmp_path):
    folder = write_results(tmp_path / "clips")
    data = tmp_path / "held-out.csv"
    data.write_text(
        "name,tier,raw\n4.mp4,clean,0.5\n4.mp4,clean,1.5\n4.mp4,hard,9\n5.mp4,clean,-3\n"
    )
    scores = read_held_out(data)
    assert scores == {"4.mp4": 1.0, "5.mp4": -3.0}
    plain = read_table([folder])
    changed = read_table([folder], {"spatial": scores})
    column = DETECTORS.index("spatial")
    assert changed.values[changed.file == 4, column] == pytest.approx(LINE.apply(1.0))
    others = ~np.isin(plain.file, [4, 5])
    assert np.array_equal(changed.values[others], plain.values[others], equal_nan=True)
