"""Does the one table say how a score does on tools and cameras that were left out?"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from detectors.registry import names
from errors import UserError
from evaluation.calibrate import platt
from evaluation.leave_out import Truth, across, folds, judge, row, threshold, within
from evaluation.manifest import Item, write_manifest
from evaluation.metrics import auc, cllr, cllr_min
from evaluation.run import ScoreRecord
from training.data import appearance, wild
from training.fusion import held_out
from training.fusion import table as one_table

SOURCES = ("phone", "studio", "lab", "web")
FAMILIES = ("swap", "lips", "head", "drawn")


def made(per_part: int = 30, level: float = 0.0, seed: int = 0) -> tuple[np.ndarray, Truth]:
    """Scores that rise by 3 in a fake, and by ``level`` from one source to the next.

    Each family's fakes were made of the reals of one source.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], len(SOURCES) * per_part)
    place = np.tile(np.repeat(range(len(SOURCES)), per_part), 2)
    scores = level * place + 3.0 * labels + rng.normal(0, 1, len(labels))
    families = np.where(labels == 1, np.array(FAMILIES)[place], "")
    return scores, Truth(labels, families, np.array(SOURCES)[place])


def test_a_fold_leaves_out_one_family_and_its_own_source():
    _, truth = made()
    fold = folds(truth)
    for number in range(4):
        subset = truth.only(fold == number)
        assert len(set(subset.families) - {""}) == 1 and len(set(subset.sources)) == 1


@pytest.mark.parametrize(("families", "sources"), [(5, 2), (2, 5)])
def test_every_file_is_in_one_fold_whatever_there_is_more_of(families, sources):
    labels = np.r_[np.ones(families * 3, int), np.zeros(sources * 3, int)]
    names = [f"f{k}" for k in range(families) for _ in range(3)]
    real = [f"s{k}" for k in range(sources) for _ in range(3)]
    truth = Truth(labels, np.array(names + [""] * len(real)), np.array([""] * len(names) + real))
    fold = folds(truth)
    for number in np.unique(fold):
        subset = truth.only(fold == number)
        assert len(set(subset.families) - {""}) <= 1
        assert len(set(subset.sources[subset.labels == 0])) <= 1


def test_a_level_that_differs_from_source_to_source_shows_between_the_two_aucs():
    """Problem 1 of the program: perfect within a person, poor between them."""
    for level, least, most in ((0.0, 0.97, 1.0), (3.0, 0.5, 0.8)):
        scores, truth = made(level=level)
        result = row("toy", judge(scores, truth, folds(truth)), truth)
        assert result.auc_within > 0.97
        assert least <= result.auc_across <= most


def test_pairs_are_those_of_a_slow_loop():
    scores, truth = made(level=1.0)
    slow = []
    for family in FAMILIES:
        for source in SOURCES:
            fakes = scores[(truth.families == family) & (truth.sources != source)]
            reals = scores[(truth.labels == 0) & (truth.sources == source)]
            if len(fakes):
                slow.append((fakes[:, None] > reals[None]).mean())
    pairs = across(scores, truth)
    assert np.nanmean(pairs) == pytest.approx(np.mean(slow))
    assert np.isnan(pairs).sum() == 4  # each family beside its own source
    assert within(scores, truth)["lab"] == pytest.approx(
        auc(truth.labels[truth.sources == "lab"], scores[truth.sources == "lab"])
    )


def test_calibration_and_threshold_never_see_what_is_left_out():
    scores, truth = made()
    fold = folds(truth)
    out = fold == 2
    judged = judge(scores, truth, fold)
    rest = truth.only(~out)
    slope, offset = platt(rest.labels, scores[~out], rest.weights())
    assert judged.llrs[out] == pytest.approx(slope * scores[out] + offset)
    assert np.array_equal(judged.flagged[out], scores[out] > threshold(scores[~out], rest))
    moved = np.where(out & (truth.labels == 0), scores + 100, scores)
    again = judge(moved, truth, fold)
    assert again.llrs[out & (truth.labels == 1)] == pytest.approx(
        judged.llrs[out & (truth.labels == 1)]
    )


def test_a_source_with_many_files_weighs_no_more_than_another():
    scores, truth = made(level=1.0)
    many = np.r_[np.arange(len(scores)), np.repeat(np.flatnonzero(truth.parts == "web"), 9)]
    once = row("once", judge(scores, truth, folds(truth)), truth)
    more_truth = truth.only(many)
    more = row("more", judge(scores[many], more_truth, folds(more_truth)), more_truth)
    for name in ("auc_within", "auc_across", "fpr", "tpr", "cllr_min"):
        assert getattr(more, name) == pytest.approx(getattr(once, name), abs=0.02), name
    assert more.cllr == pytest.approx(once.cllr, rel=0.05)


def test_weighted_costs_are_those_of_repeated_files():
    scores, truth = made(10)
    times = np.random.default_rng(1).integers(1, 5, len(scores))
    many = np.repeat(np.arange(len(scores)), times)
    for cost in (cllr, cllr_min):
        weighted = cost(truth.labels, scores, times.astype(float))
        assert weighted == pytest.approx(cost(truth.labels[many], scores[many]))


def test_a_detector_that_points_the_wrong_way_is_worth_nothing_and_a_baseline_is_turned():
    scores, truth = made()
    wrong = row("wrong", judge(-scores, truth, folds(truth)), truth)
    assert wrong.cllr == pytest.approx(1.0) and wrong.auc_across < 0.05
    turned = row("size", judge(-scores, truth, folds(truth), free_direction=True), truth)
    assert turned.auc_across > 0.97 and turned.tpr > 0.7


def test_files_without_a_number_lower_the_coverage_and_nothing_else():
    scores, truth = made()
    some = np.where(np.arange(len(scores)) % 3 == 0, np.nan, scores)
    result = row("some", judge(some, truth, folds(truth)), truth)
    assert result.coverage == pytest.approx(2 / 3, abs=0.01) and result.auc_across > 0.95


# --- the command ---------------------------------------------------------------------------------


def write_results(folder: Path) -> Path:
    """What ``cli.py evaluate`` writes, for 160 files: spatial knows, the bytes know too."""
    scores, truth = made(20, seed=3)
    folder.mkdir(parents=True)
    items, lines, rows = [], [json.dumps({"fingerprint": "synthetic"})], []
    for number, (score, label) in enumerate(zip(scores, truth.labels, strict=True)):
        name, kind = f"{number}.jpg", str(truth.families[number]) or "real"
        items.append(Item(name, Path(), int(label), name, kind, str(truth.sources[number])))
        facts = dict.fromkeys(("width_px", "height_px", "fps", "duration_s"), 1.0)
        facts["bytes"] = 1000.0 * (5 - label) + number % 7
        raw = {"detector": "spatial", "person": "A", "raw": score - 1.5, "reason": None}
        raw |= {"sentence": None, "measures": {}}
        selected = ScoreRecord(name, "1-1", facts, (raw,), False, {}, None, {})
        lines.append(json.dumps(asdict(selected)))
        numbers = {f"{d}_log_odds": score - 1.5 if d == "spatial" else None for d in names()}
        level = "Some signs" if score > 3 else "Inconclusive"
        row_of = {"path": name, "label": label, "group": name, "kind": kind, "level": level}
        rows.append({**row_of, "log_odds": score - 1.5, **numbers})
    write_manifest(folder / "items.csv", items)
    (folder / "measured.jsonl").write_text("\n".join(lines) + "\n")
    pd.DataFrame(rows).to_csv(folder / "scores.csv", index=False)
    line = {"scale": 1.0, "offset": 0.0, "fitted_on": "", "n_real": 1, "n_fake": 1, "date": ""}
    (folder / "metrics.json").write_text(json.dumps({"calibrations": {"spatial": line}}))
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    results = write_results(folder / "toy")
    with (folder / "facts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "technique", "age", "sex", "ita_deg", "sharpness"))
        for number in range(160):
            values = (20 + number % 3 * 20, ("male", "female")[number % 2], 60 - number % 2 * 45)
            writer.writerow((f"{number}.jpg", "face-swap", *values, number % 5))
    pd.DataFrame({"path": [f"{n}.jpg" for n in range(160)], "score": range(160)}).to_csv(
        folder / "probe.csv", index=False
    )
    command = ["table", str(results), "--facts", str(folder / "facts.csv")]
    command += ["--scores", f"probe={folder / 'probe.csv'}", "--out", str(folder / "out")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", command)
        one_table.main()
    return folder / "out"


def test_one_command_writes_one_table(written):
    text = (written / "table.md").read_text()
    lines = ("spatial", "probe", one_table.SHIPPED, one_table.REFITTED, "metadata alone")
    for line in (*lines, "file size alone", "sharpness alone"):
        assert f"| {line} |" in text
    assert "80 real files of 4 sources, 80 fakes of 4 tool families" in text


def value(written: Path, line: str, measure: str, part: str | None = None) -> float:
    result = pd.read_csv(written / "table.csv")
    result = result[(result["line"] == line) & (result["measure"] == measure)]
    result = result if part is None else result[result["part"] == part]
    return float(result["value"].iloc[0])


def test_the_lines_say_what_was_put_into_them(written):
    assert value(written, "spatial", "auc_across") > 0.95
    assert value(written, one_table.REFITTED, "auc_across") > 0.95
    assert value(written, "file size alone", "auc_across") > 0.99  # smaller: turned
    assert value(written, "sharpness alone", "cllr_min") > 0.9
    assert value(written, one_table.SHIPPED, "cllr") < 0.4


@pytest.mark.parametrize(
    ("measure", "parts"),
    [
        ("reals flagged by skin tone", ("very light", "tan")),
        ("reals flagged by age", ("18-39", "40-59", "60 and over")),
        ("reals flagged by sex", ("male", "female")),
        ("reals flagged by source", SOURCES),
        ("fakes flagged by tool family", FAMILIES),
    ],
)
def test_shares_are_given_by_source_family_and_group_of_people(written, measure, parts):
    for part in parts:
        assert 0 <= value(written, "spatial", measure, part) <= 1
        assert 0 <= value(written, one_table.SIGNS, measure, part) <= 1


def test_a_table_of_scores_without_its_columns_is_refused(tmp_path):
    pd.DataFrame({"file": ["a"], "llr": [1]}).to_csv(tmp_path / "x.csv")
    with pytest.raises(Exception, match="path and score"):
        one_table.read_extra(pd.DataFrame({"path": ["a"]}), [f"new={tmp_path / 'x.csv'}"])


# --- what is known beside the scores --------------------------------------------------------------


def test_file_names_tell_age_sex_and_ancestry_where_the_sets_say_so():
    item = Item("wild/0.jpg", Path(), 0)
    row_of = {
        "kind": "real",
        "source": "utkface",
        "path": "p/26_1_3_20170110155139762.jpg.chip.jpg",
    }
    data = wild.person(item, row_of)
    assert (data["age"], data["sex"], data["ancestry"]) == (26, "female", "Indian")
    data = wild.person(item, row_of | {"source": "aaf", "path": "x/00216A04.jpg"})
    assert (data["age"], data["sex"], data["ancestry"]) == (4, None, "Asian")
    data = wild.person(item, row_of | {"source": "ecuador"})
    assert data["age"] is data["sex"] is data["ancestry"] is None


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("generated.photos (StyleGAN family)", "generated.photos"),
        ("dlib 2D/3D warp", "dlib-2d-3d-warp"),
        ("flux.1-dev+lora", "flux.1-dev-lora"),
    ],
)
def test_a_tool_is_one_word(tool, name):
    assert wild.family(tool) == name


def test_skin_tone_is_the_typology_angle_of_known_colors():
    """L* and b* of two colors by an independent converter."""
    from skimage.color import rgb2lab

    for color in ((236, 188, 180), (92, 60, 44)):
        lab = rgb2lab(np.array(color, float)[None, None] / 255)[0, 0]
        wanted = np.degrees(np.arctan((lab[0] - 50) / lab[2]))
        pixels = np.tile(np.array(color, np.uint8), (9, 1))
        assert appearance.typology_angle(pixels) == pytest.approx(wanted, abs=0.6)
    assert appearance.skin_tone(60) == "very light" and appearance.skin_tone(-40) == "dark"
    assert appearance.skin_tone(float("nan")) == ""


def test_a_blurred_face_is_less_sharp_and_smoother(portrait, tmp_path):
    import cv2

    for name, image in (("sharp", portrait), ("soft", cv2.GaussianBlur(portrait, (0, 0), 2.5))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((200, 200, 3), 128, np.uint8))
    names = ("sharp.png", "soft.png", "grey.png")
    items = [Item(name, tmp_path / name, 0) for name in names]
    for _ in range(2):  # the second time nothing is left to do
        appearance.write(items, tmp_path / "out.csv")
    result = pd.read_csv(tmp_path / "out.csv").set_index("path")
    assert list(result.index) == list(names)
    assert result.sharpness["sharp.png"] > result.sharpness["soft.png"] + 1
    assert result.smoothness["sharp.png"] < result.smoothness["soft.png"] - 0.5
    assert result.ita_deg["sharp.png"] == pytest.approx(result.ita_deg["soft.png"], abs=3)
    assert result.loc["grey.png"].isna().all()


def test_held_out_scores_take_the_place_of_a_detector_s_own(tmp_path):
    results = write_results(tmp_path / "toy")
    held_out.copy(results, "spatial", {"3.jpg": 7.0, "4.jpg": -7.0}, tmp_path / "copy")
    before, after = (pd.read_csv(f / "scores.csv") for f in (results, tmp_path / "copy"))
    assert list(after["path"]) == ["3.jpg", "4.jpg"] and len(before) == 160
    assert after["spatial_log_odds"].iloc[0] > 1 > -1 > after["spatial_log_odds"].iloc[1]
    assert one_table.read_files([tmp_path / "copy"], [])["label"].tolist() == [0, 0]
    with pytest.raises(UserError, match="No file"):
        held_out.copy(results, "spatial", {"else.jpg": 1.0}, tmp_path / "none")
