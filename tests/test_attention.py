"""Attention queries on frozen tokens: their format, maps, choice and recipe."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from analysis import Settings, analyze, load_detector
from detectors import deletion
from detectors.exhibits import FaceImage
from detectors.frozen.attention import GRID, SCALE, AttentionHead
from detectors.frozen.backbone import load_backbone
from detectors.frozen.layout import ATTENTION, WIDTH
from detectors.pool import Pool
from detectors.preprocess import to_input
from detectors.registry import detector_of, role_of
from errors import UserError
from evaluation.metrics import auc
from hub import store
from hub.catalog import BACKBONES
from report import view
from report.language import languages
from tests.hub_server import serving
from tests.made_analysis import face_image, made_analysis
from tests.tiny_models import edit_config
from training.probes.tables import Table
from training.spatial.attention import (
    BACKBONE,
    CARD,
    LINEAR,
    Recipe,
    overlap,
    scores,
    train,
    write,
)

POOL = Pool(trial=lambda kind, checkpoint: None)
NAME = "someone/clip-multi-attention"
LOOKING = Recipe(queries=4, epochs=10, rate=1e-2, diversity=0.01, patches=1.0)


PATCHES = 16  # of a made face


def made_faces(count: int) -> Table:
    """Faces with one odd patch somewhere, whose trace tells real from fake; elsewhere the trace is
    noise with mean 0, in which the mean over all patches drowns it.
    """
    rng = np.random.default_rng(0)
    place, trace = np.random.default_rng(9).normal(size=(2, WIDTH)).astype(np.float32)
    tokens = rng.normal(size=(count, PATCHES, WIDTH)).astype(np.float32)
    tokens += 0.3 * rng.normal(size=(count, PATCHES, 1)).astype(np.float32) * trace
    labels = np.arange(count) % 2
    for face, label in enumerate(labels):
        tokens[face, rng.integers(PATCHES)] += 2 * place + (0.6 if label else -0.6) * trace
    rows = pd.DataFrame({"label": labels, "source": np.arange(count) // 2 % 4})
    return Table(tokens.astype(np.float16), rows)


def learned(*recipes: Recipe) -> tuple[list[AttentionHead], Table, np.ndarray]:
    """Heads that learned from three of four sources, the faces, and the rows of the fourth."""
    faces = made_faces(400)
    first = (faces.rows["source"] == 0).to_numpy()
    heads = train(faces, np.flatnonzero(~first), np.flatnonzero(first), recipes)
    return heads, faces, np.flatnonzero(first)


@pytest.fixture(scope="module")
def head() -> AttentionHead:
    """Four queries, learned by the recipe on made faces, that read the second layer."""
    result = learned(LOOKING)[0][0]
    result.layer = 2
    return result


@pytest.fixture
def folder(head: AttentionHead, tmp_path: Path) -> Path:
    """Its checkpoint, as the recipe writes it."""
    write(head, tmp_path / "attention", CARD)
    return tmp_path / "attention"


def slowly(folder: Path, image: np.ndarray) -> tuple[float, np.ndarray]:
    """Log-odds of one prepared (224, 224, 3) image, and (queries, patches) what each adds."""
    tensors = load_file(folder / "model.safetensors")
    t = {name: value.double().numpy() for name, value in tensors.items()}
    backbone = load_backbone(BACKBONES / BACKBONE, "cpu")
    layer = json.loads((folder / "config.json").read_text())["layer"]
    tokens = backbone(to_input(image[None], CARD), layer)[-1][0, 1:].double().numpy()
    added = np.zeros((len(t["query"]), len(tokens)))
    for query, value, row in zip(t["query"], t["value"], added, strict=True):
        looks = []
        for place, token in enumerate(tokens):
            z = (SCALE * token / np.sqrt((token**2).sum()) - t["mean"]) / t["spread"]
            looks.append(np.exp((query * z).sum() / SCALE))
            row[place] = (value * z).sum()
        row *= np.array(looks) / sum(looks)
    return float(added.sum() + t["bias"][0]), added


def test_queries_find_one_patch_that_the_mean_drowns():
    heads, faces, unseen = learned(LOOKING, replace(LINEAR, rate=1e-2))
    looking, linear = (auc(faces.labels[unseen], raw) for raw in scores(heads, faces, unseen))
    assert looking > 0.95 and linear < 0.85
    assert float(heads[1].query.detach().abs().max()) == 0  # it never learned where to look


def test_the_recipe_gives_the_same_head_again_and_tells_apart_queries_that_look_alike():
    faces = made_faces(40)
    rows = np.arange(40)
    once, again = (train(faces, rows, rows, [Recipe(epochs=1)])[0] for _ in range(2))
    assert torch.equal(once.query, again.query) and torch.equal(once.value, again.value)
    alike, apart = torch.tensor([[[1.0, 0], [1, 0]]]), torch.tensor([[[1.0, 0], [0, 1]]])
    assert float(overlap(alike)) == 1 and float(overlap(apart)) == 0


def test_it_is_typed_by_its_hub_id_and_says_what_its_formula_says(
    folder, tmp_path, monkeypatch, portrait
):
    still = tmp_path / "a.png"
    cv2.imwrite(str(still), portrait[..., ::-1])
    with serving(tmp_path / "home", monkeypatch) as hub:
        hub.add(NAME, folder)
        settings = Settings(detectors=("spatial",), checkpoints={"spatial": NAME}, stability=False)
        finding = analyze(still, settings, pool=POOL).findings[0]
    assert finding.checkpoint.startswith(f"{NAME}@") and finding.status == "uncalibrated"
    image = finding.image
    face, mirrored = (
        slowly(folder, cv2.resize(part, (224, 224), interpolation=cv2.INTER_AREA))
        for part in (image.image, np.ascontiguousarray(image.image[:, ::-1]))
    )
    assert finding.score == pytest.approx((face[0] + mirrored[0]) / 2, abs=1e-3)
    turned = mirrored[1].reshape(-1, GRID, GRID)[..., ::-1]
    expected = GRID**2 * (face[1].reshape(-1, GRID, GRID) + turned) / 2
    assert image.heatmap == pytest.approx(expected.sum(0), abs=1e-2)


def test_maps_of_queries_that_fail_the_deletion_test_are_left_out(folder, monkeypatch):
    spatial = detector_of("spatial")(
        store.resolve(str(folder), role_of("spatial")), None, "cpu", None
    )
    maps = {1: np.eye(GRID, dtype=np.float32), 2: np.ones((GRID, GRID), np.float32)}
    image = FaceImage(0.0, 1.0, np.zeros((224, 224, 3), np.uint8), heatmap=maps[1], parts=maps)
    monkeypatch.setattr(deletion, "holds", lambda scores, image, heatmap: heatmap is maps[1])
    assert list(spatial.confirm(image).parts) == [1]
    failed = spatial.confirm(replace(image, heatmap=maps[2]))
    assert failed.confirmed is False and not failed.parts


@pytest.mark.parametrize(("language", "words"), [("en", "What query 2 adds"), ("de", "Abfrage 2")])
def test_maps_stand_one_by_one_beside_their_sum(language, words):
    result = made_analysis()
    maps = {number: number * np.eye(6, dtype=np.float32) for number in (1, 2)}
    image = replace(face_image(3 * np.eye(6, dtype=np.float32)), parts=maps)
    first = replace(result.findings[0], image=image)
    shown = replace(result, findings=(first, *result.findings[1:]))
    card = view.view(shown, languages()[language]).cards[0]
    assert len(card.figure.images) == 4
    assert words in card.figure.images[3][1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"queries": 9}, "queries from 1 to 8"),
        ({"layer": 0}, "layer from 1 to 12"),
        ({"queries": 2}, "does not fit its config"),
        ({"frozen_backbone": "../x"}, "needs the backbone"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(change, words, folder):
    edit_config(folder, **change)
    with pytest.raises(UserError, match=words) as caught:
        load_detector("spatial", Settings(checkpoints={"spatial": str(folder)}), POOL)
    assert "\n" not in caught.value.sentence


def test_another_size_broken_weights_and_another_role_are_refused(folder):
    def load() -> None:
        load_detector("spatial", Settings(checkpoints={"spatial": str(folder)}), POOL)

    (folder / "card.json").write_text(replace(CARD, size_px=112).to_json())
    with pytest.raises(UserError, match="takes 224 px"):
        load()
    (folder / "card.json").write_text(CARD.to_json())
    tensors = load_file(folder / "model.safetensors")
    tensors["value"][0, 0] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match="not numbers"):
        load()
    with pytest.raises(UserError, match="made for spatial"):
        store.resolve(str(folder), role_of("temporal"))
    assert json.loads((folder / "config.json").read_text())["model_type"] == ATTENTION
