"""Cards, catalog and sign self-check: facts that travel with the weights."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import cli
from detectors.registry import role_of, roles
from errors import UserError
from hub import catalog
from hub.checkpoint import Calibration, Card, Source
from hub.facts import card_from_config, stated_license
from hub.labels import LabelMap, label_names, resolve_labels
from hub.selfcheck import check_sign
from report.checkpoints import catalog_table
from ui.api import list_models

CARD = {
    "detector": "spatial",
    "title": "A test",
    "size_px": 168,
    "fake_indices": [1],
    "real_indices": [0],
    "labels_known_by": "we trained it.",
    "calibration": {
        "scale": 1.1,
        "offset": -0.2,
        "fitted_on": "DFDC",
        "n_real": 100,
        "n_fake": 120,
        "date": "2026-11-23",
    },
    "figures": [{"name": "AUC", "value": 0.9}],
}
LABELS = LabelMap((1,), (0,), "test.")


def test_a_card_survives_the_round_trip():
    card = Card.from_json(json.dumps(CARD))
    assert Card.from_json(card.to_json()) == card
    assert card.calibration.apply(1.0) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"detector": "Sense of smell"}, "detector"),
        ({"size_px": 100_000}, "size_px"),
        ({"size_px": "168"}, "size_px"),
        ({"mean": [0.5]}, "mean"),
        ({"std": [0.5, 0.5, 0]}, "std"),
        ({"fake_indices": []}, None),
        ({"fake_indices": [0]}, "fake_indices"),
        ({"fake_indices": "1"}, "fake_indices"),
        ({"margin": -1}, "margin"),
        ({"crop": "body"}, "crop"),
        ({"rate_hz": 0}, "rate_hz"),
        ({"frames": 0}, "frames"),
        ({"votes": "yes"}, "votes"),
        ({"calibration": {"scale": 1}}, "calibration"),
        ({"calibration": {**CARD["calibration"], "scale": float("nan")}}, "calibration"),
    ],
)
def test_a_wrong_card_is_refused_by_the_name_of_the_key(change, word):
    text = json.dumps({**CARD, **change})
    if word is None:
        Card.from_json(text)
        return
    with pytest.raises(UserError) as caught:
        Card.from_json(text)
    assert caught.value.code == "weights_refused" and word in caught.value.sentence


def test_facts_that_change_the_score_change_the_key_and_words_do_not():
    card = Card.from_json(json.dumps(CARD))
    other = Card.from_json(json.dumps({**CARD, "margin": 0.3}))
    renamed = Card.from_json(json.dumps({**CARD, "title": "Another"}))
    assert card.facts_key != other.facts_key
    assert card.facts_key == renamed.facts_key


@pytest.mark.parametrize(
    ("processor", "mean", "std"),
    [
        ({"image_mean": [0.5] * 3, "image_std": [0.2] * 3}, 0.5, 0.2),
        ({"do_normalize": False}, 0.0, 1.0),
        ({"image_mean": 0.5, "image_std": 0.5}, 0.5, 0.5),
        ({"rescale_factor": 1 / 127.5, "offset": True, "do_normalize": False}, 0.5, 0.5),
    ],
)
def test_rescaling_is_folded_into_mean_and_deviation(processor, mean, std):
    card, _ = card_from_config(role_of("spatial"), "x", {}, {"size": 32, **processor}, LABELS, None)
    np.testing.assert_allclose(card.mean, mean, atol=1e-6)
    np.testing.assert_allclose(card.std, std, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "processor", "expected"),
    [
        ({"image_size": 384}, None, 384),
        ({}, None, 224),
        ({"image_size": [64, 64]}, {"size": {"shortest_edge": 48}}, 48),
        ({"image_size": 64, "model_type": "vit"}, {"size": {"height": 48, "width": 48}}, 64),
        ({}, {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224}, 224),
        ({"vision_config": {"image_size": 512}, "model_type": "siglip"}, {"size": 224}, 512),
        ({"pretrained_cfg": {"input_size": [3, 96, 96]}}, None, 96),
    ],
)
def test_the_size_comes_from_wherever_it_is_written(config, processor, expected):
    card, _ = card_from_config(role_of("spatial"), "x", config, processor, LABELS, None)
    assert card.size_px == expected


def test_an_image_that_is_not_square_is_refused():
    with pytest.raises(UserError, match="square"):
        card_from_config(
            role_of("spatial"), "x", {}, {"size": {"height": 32, "width": 64}}, LABELS, None
        )


def test_only_a_plain_license_is_taken_from_a_readme():
    assert stated_license("---\nlicense: cc-by-4.0\n---\n") == "cc-by-4.0"
    assert stated_license("license: mit") == "unknown"
    assert stated_license("---\nlicense: [mit, <b>]\n---\n") == "unknown"


def test_catalog_names_are_unique_and_every_entry_is_found_by_its_words():
    result = [source.name for source in catalog.sources()]
    assert len(set(result)) == len(result)
    for source in catalog.sources():
        assert catalog.find(source.name) == source
        assert source in catalog.search(source.title)
    embedded = {source.detector for source in catalog.embedded_sources()}
    assert embedded == {role.name for role in roles() if not role.empty}


def test_search_needs_every_word_and_respects_the_role():
    assert [source.name for source in catalog.search("siglip2 512")] == ["prithiv-siglip2"]
    assert not catalog.search("siglip2 videomae")
    assert catalog.search("", "temporal") == catalog.search("", "temporal")
    assert all(source.detector == "temporal" for source in catalog.search("videomae", "temporal"))
    assert catalog.search("INVERTED")[0].name == "prithiv-v2"


def test_every_correction_in_the_catalog_resolves_and_has_evidence():
    for source in catalog.sources():
        if source.labels is not None:
            unnamed = [f"LABEL_{index}" for index in range(len(source.labels.names))]
            result = resolve_labels(unnamed, override=source.labels)
            assert source.labels.evidence in result.known_by
    inverted = catalog.find("prithivMLmods/Deep-Fake-Detector-v2-Model")
    assert resolve_labels(("Realism", "Deepfake"), override=inverted.labels).fake_indices == (0,)


def test_what_the_catalog_says_of_outputs_resolves_as_it_is_used():
    """A row reads "0 Fake, 1 Real": those words, in that order, are what the resolver gets."""
    orders = {}
    for source in catalog.HUB_SOURCES:
        names = re.findall(r"\d (\w+)", source.outputs)
        if names:
            orders[source.repo_id] = resolve_labels(names, override=source.labels).fake_indices
    assert orders["prithivMLmods/Deep-Fake-Detector-v2-Model"] == (0,)  # known to be inverted
    assert orders["prithivMLmods/AI-vs-Deepfake-vs-Real"] == (0, 1)
    assert orders["dima806/deepfake_vs_real_image_detection"] == (1,)
    assert len(orders) > 15


@pytest.mark.parametrize(
    ("repo_id", "outputs", "fake"),
    [
        ("prithivMLmods/Deepfake-Detect-Siglip2", ("Fake", "Real"), (0,)),
        ("prithivMLmods/AI-vs-Deepfake-vs-Real-Siglip2", ("AI", "Deepfake", "Real"), (0, 1)),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_the_two_siglip2_have_their_fake_outputs_first(repo_id, outputs, fake, named):
    source = catalog.find(repo_id)
    assert source.outputs == ", ".join(f"{i} {name}" for i, name in enumerate(outputs))
    config = {"id2label": {str(i): name for i, name in enumerate(outputs)}}
    names = label_names(config if named else {"num_labels": len(outputs)})
    result = resolve_labels(names, override=source.labels)
    assert result.fake_indices == fake and result.real_indices == (len(outputs) - 1,)


def test_license_input_and_outputs_are_shown_wherever_the_catalog_is(capsys):
    source = catalog.find("gend-clip")
    facts = ("box around the face, 224 px", "0 real, 1 fake", "mit")
    table = catalog_table([source])
    shown = dict(zip(table["headers"], table["data"][0], strict=True))
    assert facts == (shown["Input"], shown["Outputs"], shown["License"])
    (entry,) = list_models("yermandy/gend_clip")
    assert facts == (entry["input"], entry["outputs"], entry["license"])
    assert cli.main(["models", "search", "GenD_CLIP_L_14", "yermandy"]) == 0
    assert (
        "input box around the face, 224 px; outputs 0 real, 1 fake; license mit"
        in capsys.readouterr().out
    )
    embedded = catalog.find("sync")
    assert embedded.license.startswith("research use") and "96 px" in embedded.input
    assert source in catalog.search("mit")


def test_a_source_without_place_or_with_two_is_our_own_mistake():
    for place in ({}, {"repo_id": "a/b", "folder": "x"}):
        with pytest.raises(ValueError, match="either"):
            Source(name="x", detector="spatial", title="x", **place)


def test_the_auc_of_the_self_check_equals_scikit_learn_with_ties():
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 50)
    scores = generator.integers(0, 5, 50).astype(float)
    assert check_sign(labels, scores).auc == pytest.approx(roc_auc_score(labels, scores))


def test_an_inverted_detector_is_unmasked_and_a_right_one_is_not_accused():
    labels = [1] * 10 + [0] * 10
    scores = list(np.linspace(-1, -2, 10)) + list(np.linspace(1, 2, 10))
    result = check_sign(labels, scores)
    assert result.verdict == "inverted"
    assert result.sentence.startswith("AUC 0.00 on your 20 files: the labels look inverted")
    assert check_sign(labels, [-score for score in scores]).verdict == "right"


def test_a_blind_detector_and_too_few_files_are_said_to_be_so():
    assert check_sign([1, 0] * 10, [0.5] * 20).verdict == "blind"
    assert check_sign([1, 1, 0, 0], [1, 2, 3, 4]).verdict == "too_few"
    three = check_sign([1] * 3 + [0] * 3, [1, 2, 3, 4, 5, 6])
    assert three.verdict == "blind" and "chance" in three.sentence
    assert check_sign([1, 0, 1, 0, 1, 0], [1, 0, float("nan"), 0, 1, 0]).n_fake == 2


def test_a_calibration_with_words_for_numbers_is_refused():
    with pytest.raises(UserError):
        Calibration("1", 0.0, "x", 1, 1, "2026-11-23")  # type: ignore[arg-type]


def test_a_card_in_the_old_spelling_is_read():
    card = Card.from_json(json.dumps({**CARD, "licence": "mit"}))
    assert card.license == "mit"
    assert json.loads(card.to_json())["license"] == "mit"
