"""Claims about recordings that are given as real: they tell the level, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import analysis
from analysis import Settings, analyze
from errors import UserError
from report.export import to_json
from report.render import to_html
from report.replay import compare
from tests.conftest import ROOT, write_clip
from tests.test_verdict import NUMBERS, finding
from training.fusion import levels
from verdict.fusion import FusionParameters, fusion_parameters
from verdict.reference import MOST_REFERENCES, MOST_SHIFT, LevelSpread, leveled, llrs_of

EXAMPLES = ROOT / "examples"
SPREAD = LevelSpread(mean=-1.0, between=1.0, within=1.0)
ONE = Settings(detectors=("generation",), stability=False)


@pytest.fixture
def spreads(monkeypatch):
    """Only generation has a level that references tell."""
    numbers = replace(fusion_parameters(), level_spreads={"generation": SPREAD})
    monkeypatch.setattr(analysis, "fusion_parameters", lambda: numbers)


def test_many_references_are_believed_more_than_one():
    shifts = [SPREAD.shift([1.0] * count) for count in range(5)]
    assert shifts[:3] == pytest.approx([0.0, 1.0, 2 * 2 / 3])
    assert shifts == sorted(shifts) and shifts[-1] < 2.0


def test_a_shift_is_bounded_and_no_spread_means_no_shift():
    assert SPREAD.shift([50.0] * 5) == MOST_SHIFT and SPREAD.shift([-50.0]) == -MOST_SHIFT
    assert LevelSpread(-1.0, 0.0, 1.0).shift([3.0]) == 0.0


def test_references_that_are_like_all_reals_change_nothing():
    assert SPREAD.shift([-1.0, -1.0]) == 0.0


def test_the_shift_is_taken_off_the_number_and_off_every_window():
    before = [finding("spatial", 1.5), finding("sync", None, code="no_speech")]
    after = leveled(before, {"spatial": 0.5, "sync": 0.5})
    assert after[0].llr == 1.0 and after[0].windows[0].llr == 1.0 and after[0].level_shift == 0.5
    assert after[0].score == 1.5  # what the network said stays
    assert after[1] == before[1]


def test_the_level_of_a_reference_is_the_mean_of_its_people():
    people = [finding("spatial", 1.0), finding("spatial", 2.0, person="Face B")]
    assert llrs_of([*people, finding("sync", None, code="no_speech")]) == {"spatial": 1.5}


def test_spreads_survive_the_file_of_fitted_numbers():
    numbers = replace(NUMBERS, level_spreads={"spatial": SPREAD})
    assert FusionParameters.from_json(asdict(numbers)) == numbers


def test_shipped_spreads_are_of_detectors_that_vote():
    numbers = fusion_parameters()
    assert numbers.level_spreads
    for name, spread in numbers.level_spreads.items():
        assert numbers.weights[name] > 0 and spread.between > 0 and spread.within > 0


@pytest.fixture
def pair(spreads):
    """The same file, alone and against a reference."""
    file, reference = EXAMPLES / "blended.jpg", EXAMPLES / "portrait.jpg"
    return analyze(file, ONE), analyze(file, ONE, references=[reference])


def test_a_reference_moves_the_verdict_by_its_level_and_is_named(pair):
    alone, against = pair
    (reference,) = against.references
    shift = SPREAD.shift([reference.llrs["generation"]])
    assert alone.references == () and reference.name == "portrait.jpg" and shift != 0
    sums = [one.verdict.opinion.log_odds for one in pair]
    assert sums[0] - sums[1] == pytest.approx(
        shift * against.verdict.opinion.weights["generation"], abs=1e-6
    )
    report = to_json(against)
    assert report["references"][0]["sha256"] == reference.sha256
    assert report["findings"][0]["level_shift"] == pytest.approx(shift)
    assert "portrait.jpg" in to_html(against)


def test_replay_asks_for_the_same_references(pair):
    alone, against = pair
    assert not compare(to_json(against), against)
    assert "references" in [d.what for d in compare(to_json(against), alone)]


def test_progress_rises_through_the_references_too(spreads):
    fractions: list[float] = []
    analyze(
        EXAMPLES / "blended.jpg",
        ONE,
        lambda fraction, text: fractions.append(fraction),
        references=[EXAMPLES / "portrait.jpg"],
    )
    assert fractions == sorted(fractions) and fractions[-1] <= 1.0


def empty_image(folder):
    path = folder / "empty.png"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(path)
    return path


def broken_clip(folder):
    path = folder / "broken.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + b"x" * 400)
    return path


def silent_wall(folder):
    return write_clip(folder / "wall.mp4", [np.full((96, 96, 3), 90, np.uint8)] * 30)


@pytest.mark.parametrize("make", [empty_image, broken_clip, silent_wall])
def test_a_reference_that_says_nothing_is_named_at_once(spreads, tmp_path, make):
    with pytest.raises(UserError) as refused:
        analyze(EXAMPLES / "blended.jpg", ONE, references=[make(tmp_path)])
    assert refused.value.code == "bad_reference"
    assert refused.value.sentence.startswith("The reference ")


def test_the_file_itself_is_no_reference_and_six_are_too_many(spreads):
    file = EXAMPLES / "portrait.jpg"
    with pytest.raises(UserError, match="itself"):
        analyze(file, ONE, references=[file])
    with pytest.raises(UserError, match=str(MOST_REFERENCES)):
        analyze(file, ONE, references=[EXAMPLES / "blended.jpg"] * (MOST_REFERENCES + 1))


def test_detectors_without_a_level_take_no_references(spreads):
    with pytest.raises(UserError, match="None of the chosen detectors"):
        analyze(
            EXAMPLES / "blended.jpg",
            Settings(detectors=("sync",)),
            references=[EXAMPLES / "portrait.jpg"],
        )


# ------------------------------------------------------------------ how they are measured


def made_scores(between: float, within: float, seed: int = 0) -> pd.DataFrame:
    """Real files of 60 groups, and two fakes of each that lie one above their own reals."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(60):
        level = rng.normal(-1, between)
        for label in (0, 0, 0, 0, 1, 1):
            rows.append((label, f"s{number % 5}", number, level + label + rng.normal(0, within)))
    return pd.DataFrame(rows, columns=list(levels.COLUMNS))


def test_the_components_of_variance_are_found_again():
    table = made_scores(between=1.0, within=0.5)
    level = levels.spread(table[table["label"] == 0])
    assert level.between == pytest.approx(1.0, abs=0.25)
    assert level.within == pytest.approx(0.5, abs=0.1)


def test_references_help_where_groups_differ_and_hardly_harm_where_they_do_not():
    for between, better in ((2.0, True), (0.0, False)):
        table = made_scores(between, within=0.5)
        level = levels.spread(table[table["label"] == 0])
        row = levels.gain(table, level).iloc[0]
        before, after = row["AUC without"], row["AUC with references"]
        assert after > before + 0.1 if better else after > before - 0.02


def test_a_file_is_never_its_own_reference():
    table = made_scores(1.0, 0.5)
    for pairing in levels.pairings(table):
        assert len(pairing.references) == (3 if pairing.label == 0 else 4)
        assert pairing.llr not in pairing.references
