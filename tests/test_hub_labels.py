"""Which output means fake: words, answers, corrections, and refusals with a question."""

from __future__ import annotations

import numpy as np
import pytest

from errors import UserError
from hub.checkpoint import LabelOverride
from hub.labels import label_names, log_odds_from_logits, meaning, resolve_labels


@pytest.mark.parametrize(
    ("names", "fake", "real"),
    [
        (("Real", "Fake"), (1,), (0,)),
        (("fake", "real"), (0,), (1,)),
        (("Realism", "Deepfake"), (1,), (0,)),
        (("Deepfake", "Real"), (0,), (1,)),
        (("artificial", "human"), (0,), (1,)),
        (("Artificial", "Deepfake", "Real"), (0, 1), (2,)),
        (("real", "Face2Face", "FaceSwap", "NeuralTextures"), (1, 2, 3), (0,)),
        (("AIGenerated", "Authentic photo"), (0,), (1,)),
        (("bonafide", "spoof"), (1,), (0,)),
        (("original", "manipulated", "unknown"), (1,), (0,)),
        (("unreal", "real"), (0,), (1,)),
        (("not fake", "fake"), (1,), (0,)),
        (("DEEPFAKES", "PRISTINE"), (0,), (1,)),
        (("class_0_real", "class_1_fake"), (1,), (0,)),
    ],
)
def test_words_decide_whatever_their_order_case_and_number(names, fake, real):
    result = resolve_labels(names)
    assert (result.fake_indices, result.real_indices) == (fake, real)
    assert "config.json" in result.known_by


@pytest.mark.parametrize(
    "names",
    [
        ("LABEL_0", "LABEL_1"),
        ("0", "1"),
        ("LABEL_0",),
        ("cat", "dog"),
        ("fake", "synthetic"),
        ("real", "maybe"),
        ("real fake", "fake real"),
        ("unknown", "other"),
    ],
)
def test_what_the_words_do_not_settle_is_asked(names):
    with pytest.raises(UserError) as caught:
        resolve_labels(names)
    assert caught.value.code == "labels_ambiguous"
    assert caught.value.sentence.count("?") == 1


def test_unreal_is_not_real_and_a_negation_turns_one_word():
    assert meaning("unreal") == "fake"
    assert meaning("non-authentic") == "fake"
    assert meaning("not manipulated") == "real"
    assert meaning("really") is None


def test_one_logit_is_read_by_its_sign():
    assert resolve_labels(("fake",)).fake_indices == (0,)
    assert resolve_labels(("real",)).real_indices == (0,)
    assert resolve_labels(("LABEL_0",), fake_labels=("LABEL_0",)).fake_indices == (0,)
    assert resolve_labels(("LABEL_0",), fake_labels=()).real_indices == (0,)
    logits = np.array([[1.5], [-2.0]])
    assert log_odds_from_logits(logits, (0,), ()).tolist() == [1.5, -2.0]
    assert log_odds_from_logits(logits, (), (0,)).tolist() == [-1.5, 2.0]


def test_log_odds_equal_a_slow_softmax_and_do_not_overflow():
    logits = np.random.default_rng(0).normal(size=(5, 4)) * 3
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    slow = np.log((p[:, 0] + p[:, 2]) / p[:, 3])
    np.testing.assert_allclose(log_odds_from_logits(logits, (0, 2), (3,)), slow, rtol=1e-9)
    assert log_odds_from_logits(np.array([[1e4, -1e4]]), (0,), (1,))[0] == 2e4


def test_the_users_answer_wins_over_the_catalog_and_the_words():
    override = LabelOverride(("fake", "real"), "somebody measured it.")
    assert resolve_labels(("Real", "Fake"), override=override).fake_indices == (0,)
    answered = resolve_labels(("Real", "Fake"), override=override, fake_labels=("fake",))
    assert answered.fake_indices == (1,)
    assert answered.known_by == "Your answer: 'Fake' means fake."


def test_a_correction_for_unnamed_labels_leaves_named_ones_alone():
    override = LabelOverride(("Fake", "Real"), "the author's code.", only_if_unnamed=True)
    assert resolve_labels(("LABEL_0", "LABEL_1"), override=override).fake_indices == (0,)
    assert resolve_labels(("Real", "Fake"), override=override).fake_indices == (1,)


def test_a_correction_with_another_number_of_labels_is_asked_about():
    with pytest.raises(UserError, match="another number"):
        resolve_labels(("a", "b", "c"), override=LabelOverride(("fake", "real"), "old."))


@pytest.mark.parametrize("answer", [("fake", "real"), (), ("nothing",), ("2",)])
def test_an_answer_that_leaves_one_side_empty_or_names_nothing_is_refused(answer):
    with pytest.raises(UserError) as caught:
        resolve_labels(("fake", "real"), fake_labels=answer)
    assert caught.value.code == "labels_ambiguous"


def test_label_names_come_in_index_order_from_every_kind_of_config():
    assert label_names({"id2label": {"1": "b", "0": "a"}}) == ("a", "b")
    assert label_names({"label_names": ["x", "y"]}) == ("x", "y")
    assert label_names({"num_labels": 1}) == ("LABEL_0",)
    assert label_names({}) == ("LABEL_0", "LABEL_1")
    for wrong in ({"id2label": {"0": "a", "2": "b"}}, {"id2label": {"x": "a"}}, {"num_labels": 0}):
        with pytest.raises(UserError):
            label_names(wrong)


def test_the_thousand_classes_of_imagenet_are_not_a_detector():
    with pytest.raises(UserError, match="1000 labels"):
        resolve_labels([f"n{index}" for index in range(1000)])
