"""Claims about the verdict: evidence adds up, gaps are said, and nothing is overstated."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.base import UNFAMILIARITY, Finding, Reason, WindowScore
from detectors.registry import names, role_of
from verdict import fusion
from verdict.explain import explain, sees_nothing
from verdict.fusion import UNFAMILIAR, FusionParameters, fusion_parameters
from verdict.levels import Level, Thresholds, verbal_step
from verdict.ways import attribution

fuse = partial(fusion.fuse, image=False)
NAMES = ("spatial", "temporal", "frequency", "sync", "landmarks")
FITTED = dict(zip(NAMES, (0.8, 0.4, 0.3, 0.5, 0.1), strict=True))
LIMITS = Thresholds(2.8, 1.5, -0.5)
WAYS = {"face": 0.6, "mouth": 0.15, "voice": 0.25}
NUMBERS = FusionParameters(-0.3, FITTED, 4.0, LIMITS, LIMITS, "test", "", WAYS)


def finding(name, log_odds, person="Face A", status="counted", code="no_face"):
    if log_odds is None:
        return Finding(
            role_of(name),
            person,
            None,
            None,
            "not_applicable",
            Reason.of(code),
            (),
            {},
            "x",
            True,
        )
    llr = None if status == "uncalibrated" else log_odds
    windows = (WindowScore(0, 3, log_odds, llr),)
    return Finding(role_of(name), person, log_odds, llr, status, None, windows, {}, "x", True)


@given(st.dictionaries(st.sampled_from(NAMES), st.none() | st.floats(-20, 20), min_size=1))
def test_contributions_add_up_to_the_verdict(values):
    verdict = fuse([finding(n, v) for n, v in values.items()], numbers=NUMBERS)
    chosen = verdict.opinion
    assert chosen.level in tuple(Level)
    if chosen.log_odds is None:
        assert all(v is None for v in values.values())
        assert chosen.level == Level.NOT_ASSESSED
    else:
        total = verdict.intercept + math.fsum(chosen.contributions.values())
        assert total == pytest.approx(chosen.log_odds, abs=1e-9)
        assert 0 <= chosen.probability <= 1


def test_no_number_is_not_zero():
    verdict = fuse(
        [finding("spatial", None), finding("sync", None, code="no_speech")], numbers=NUMBERS
    )
    assert verdict.level == Level.NOT_ASSESSED
    assert verdict.opinion.probability is None


def test_an_absent_detector_adds_nothing_and_leaves_the_others_as_they_are():
    alone = fuse([finding("spatial", 2.0), finding("frequency", None)], numbers=NUMBERS).opinion
    assert alone.contributions == {"spatial": pytest.approx(0.8 * 2.0)}
    both = fuse([finding("spatial", 2.0), finding("frequency", 1.0)], numbers=NUMBERS).opinion
    assert both.log_odds - alone.log_odds == pytest.approx(0.3 * 1.0)


def test_uncalibrated_is_shown_and_not_counted():
    verdict = fuse([finding("spatial", 9.0, status="uncalibrated")], numbers=NUMBERS)
    assert verdict.level == Level.INCONCLUSIVE
    assert verdict.opinion.probability is None
    assert any("not calibrated" in w for w in verdict.warnings)


def test_experimental_has_no_vote():
    both = [finding("spatial", -2.0), finding("landmarks", 9.0, status="experimental")]
    assert fuse(both, numbers=NUMBERS).opinion.contributions.keys() == {"spatial"}


def test_the_file_gets_the_opinion_on_its_most_suspicious_person():
    verdict = fuse(
        [finding("spatial", -3.0), finding("spatial", 4.0, person="Face B")], numbers=NUMBERS
    )
    assert verdict.opinion.person == "Face B"
    assert [o.person for o in verdict.people] == ["Face B", "Face A"]


def test_many_real_faces_are_no_more_suspicious_than_one():
    one = fuse([finding("spatial", 1.0, "Face A")])
    crowd = fuse(
        [finding("spatial", 1.0, "Face A")]
        + [finding("spatial", -3.0, f"Face {n}") for n in "BCDEF"]
    )
    ratios = [math.exp(1.0 * one.opinion.weights["spatial"])] + 5 * [
        math.exp(-3.0 * one.opinion.weights["spatial"])
    ]
    mean = math.log(sum(ratios) / 6)
    assert crowd.opinion.log_odds == pytest.approx(one.intercept + mean)
    assert crowd.opinion.log_odds < one.opinion.log_odds - 0.5
    assert crowd.judged == 6
    assert any("6 people were judged" in s for s in explain(crowd, [], 0.0, 0.0))


def test_where_all_faces_look_made_the_file_is_as_suspicious_as_one():
    one = fuse([finding("spatial", 2.0, "Face A")])
    group = fuse([finding("spatial", 2.0, f"Face {n}") for n in "ABC"])
    assert group.opinion.log_odds == pytest.approx(one.opinion.log_odds)


def test_levels_follow_their_thresholds():
    for value, level in (
        (3.9, Level.STRONG),
        (2.5, Level.SOME),
        (0.5, Level.INCONCLUSIVE),
        (-2.0, Level.NONE),
    ):
        assert fuse([finding("spatial", value)], numbers=NUMBERS).level == level


def test_evidence_that_does_not_survive_re_encoding_is_no_alarm():
    verdict = fuse([finding("spatial", 3.9)], unstable=True, numbers=NUMBERS)
    assert verdict.level == Level.INCONCLUSIVE
    assert any("re-encoding" in w for w in verdict.warnings)


def test_a_detector_that_sees_nothing_of_its_own_way_is_not_said_to_lean_to_no_side():
    numbers = FusionParameters(0, dict.fromkeys(NAMES, 1.0), 4.0, LIMITS, LIMITS, "test", "", WAYS)
    result = [finding("spatial", 3.5), finding("sync", -2.0)]
    verdict = fuse(result, numbers=numbers)
    assert sees_nothing(result[1], verdict.opinion) and not sees_nothing(result[0], verdict.opinion)
    text = " ".join(explain(verdict, result, 10.0, 10.0))
    assert "says little about other ways" in text and "leans to neither" not in text


def test_unstable_evidence_weakens_itself_and_nothing_else():
    weights = {"spatial": 1.0, "generation": 1.0}
    numbers = FusionParameters(0, weights, 4.0, LIMITS, LIMITS, "test", "", WAYS)
    result = [finding("spatial", 3.0), finding("generation", 2.0)]
    verdict = fuse(result, unstable=True, numbers=numbers)
    assert verdict.opinion.contributions == {"spatial": 0.0, "generation": pytest.approx(2.0)}
    assert verdict.level == Level.SOME


def test_one_detector_cannot_decide_without_limit():
    huge = fuse([finding("spatial", 1e6)], numbers=NUMBERS)
    assert huge.opinion.log_odds == pytest.approx(0.8 * 4.0 - 0.3)


def test_a_detector_that_sees_some_fakes_only_says_little_against_the_others():
    numbers = replace(NUMBERS, coverage={"spatial": 0.7})
    assert numbers.evidence("spatial", -1e6) == pytest.approx(math.log(0.3 + 0.7 * math.exp(-4)))
    assert numbers.evidence("spatial", 0.0) == pytest.approx(0.0)
    assert numbers.evidence("spatial", 3.0) == pytest.approx(3.0, abs=0.4)
    assert numbers.evidence("sync", -2.0) == -2.0
    result = fuse([finding("spatial", -3.0)], numbers=numbers).opinion
    assert result.log_odds == pytest.approx(-0.3 + sum(result.contributions.values()))


def test_disagreement_is_said_and_lowers_the_level():
    weights = dict.fromkeys(NAMES, 1.0)
    numbers = FusionParameters(0, weights, 6.0, LIMITS, LIMITS, "test", "", WAYS)
    verdict = fuse([finding("spatial", 4.0), finding("landmarks", -2.0)], numbers=numbers)
    assert verdict.level == Level.INCONCLUSIVE
    assert any("disagree" in w for w in verdict.warnings)
    assert any(role_of("landmarks").title in sentence for sentence in verdict.against)


@given(st.dictionaries(st.sampled_from(sorted(WAYS)), st.floats(-8, 8), min_size=1))
def test_the_evidence_of_several_ways_to_fake_adds_up_to_their_mean_likelihood_ratio(evidence):
    part = attribution(evidence, WAYS)
    total = math.fsum(WAYS[way] for way in evidence)
    ratio = math.fsum(WAYS[way] / total * math.exp(value) for way, value in evidence.items())
    assert all(0 < value <= 1 + 1e-12 for value in part.values())
    assert math.fsum(part[w] * v for w, v in evidence.items()) == pytest.approx(math.log(ratio))


def test_a_spotless_face_does_not_clear_a_redrawn_mouth():
    weights = {"spatial": 1.0, "generation": 1.0, "mouth": 1.0}
    numbers = FusionParameters(0, weights, 4.0, LIMITS, LIMITS, "test", "", WAYS)
    result = [finding("spatial", -2.0), finding("generation", -2.0), finding("mouth", 4.0)]
    opinion = fuse(result, numbers=numbers).opinion
    assert opinion.level == Level.SOME
    assert opinion.contributions["mouth"] > 1.5
    assert opinion.contributions["spatial"] == opinion.contributions["generation"]


def test_a_spotless_image_does_not_clear_a_foreign_voice_nor_the_other_way_round():
    weights = dict.fromkeys(NAMES, 1.0)
    numbers = FusionParameters(0, weights, 4.0, LIMITS, LIMITS, "test", "", WAYS)
    dubbed = fuse([finding("spatial", -3.0), finding("sync", 3.4)], numbers=numbers)
    swapped = fuse([finding("spatial", 3.0), finding("sync", -2.3)], numbers=numbers)
    clean = fuse([finding("spatial", -3.0), finding("sync", -2.3)], numbers=numbers)
    assert dubbed.level == swapped.level == Level.SOME
    assert clean.opinion.log_odds == pytest.approx(-2.75, abs=0.1)
    silent = fuse([finding("spatial", -3.0), finding("sync", None)], numbers=numbers)
    assert silent.opinion.log_odds == pytest.approx(-3.0)


def test_the_explanation_never_calls_a_file_authentic_or_fake():
    for value in (-9.0, -1.0, 0.0, 2.0, 9.0, None):
        result = [finding("spatial", value), finding("sync", None, code="no_audio")]
        text = " ".join(explain(fuse(result, numbers=NUMBERS), result, 10.0, 6.0)).lower()
        assert "authentic" not in text and "fake" not in text
        assert "no sound" in text
        assert "6 of 10 seconds" in text


def test_the_fitted_numbers_are_complete():
    numbers = fusion_parameters()
    assert set(numbers.weights) <= set(names())
    assert all(0 <= w <= 1.5 for w in numbers.weights.values())
    for limits in (numbers.image, numbers.video):
        assert limits.strong > limits.some > limits.none


def test_an_image_and_a_clip_have_levels_of_their_own():
    numbers = replace(NUMBERS, image=Thresholds(2.8, 2.0, -0.5))
    result = [finding("spatial", 2.5)]  # 1.7 in all
    assert fuse(result, image=True, numbers=numbers).level == Level.INCONCLUSIVE
    verdict = fuse(result, numbers=numbers)
    assert verdict.level == Level.SOME and verdict.thresholds == LIMITS


@given(st.floats(-20, 20), st.integers(0, 500), st.integers(0, 500))
def test_no_ratio_is_larger_than_the_sources_behind_it_allow(log_odds, reals, fakes):
    limits = replace(LIMITS, real_sources=reals, fake_sources=fakes)
    llr = limits.bounded(log_odds)
    assert llr * log_odds >= 0 and abs(llr) <= abs(log_odds)
    sources = reals if log_odds > 0 else fakes
    assert abs(llr) <= math.log(sources + 1) + 1e-12 or sources == 0
    assert fuse([finding("spatial", 20.0)], numbers=replace(NUMBERS, video=limits)).level


@pytest.mark.parametrize(
    ("log_odds", "step"),
    [(0.5, None), (-1.0, "weak"), (3.0, "moderate"), (5.0, "moderately strong")],
)
def test_the_verbal_step_follows_the_ratio(log_odds, step):
    assert verbal_step(log_odds) == step


def test_shipped_levels_begin_within_what_their_sources_can_carry():
    numbers = fusion_parameters()
    for limits in (numbers.image, numbers.video):
        assert limits.real_sources > 0 and limits.fake_sources > 0
        assert limits.bounded(limits.strong) == limits.strong


@pytest.mark.parametrize(
    ("log_odds", "level"),
    [(-2.0, Level.INCONCLUSIVE), (0.5, Level.INCONCLUSIVE), (2.0, Level.SOME)],
)
def test_no_signs_is_not_said_of_what_is_unlike_everything_learned(log_odds, level):
    face = replace(finding("spatial", log_odds), measures={UNFAMILIARITY: UNFAMILIAR})
    numbers = replace(NUMBERS, intercept=0.0, weights={"spatial": 1.0})
    verdict = fuse([face], numbers=numbers)
    assert verdict.level == level and verdict.opinion.unfamiliar
    assert any("unlike" in warning for warning in verdict.warnings)
    assert verdict.is_held_back(verdict.opinion) == (log_odds < -1)
    assert ("unlike" in explain(verdict, [face], 0.0, 0.0)[0]) == (log_odds < -1)


def test_an_uncounted_detector_does_not_make_a_file_unfamiliar():
    numbers = replace(NUMBERS, intercept=0.0, weights={"spatial": 1.0})
    strange = replace(finding("temporal", 0.0), measures={UNFAMILIARITY: 1.0})
    verdict = fuse([finding("spatial", -2.0), strange], numbers=numbers)
    assert verdict.level == Level.NONE and not verdict.opinion.unfamiliar
