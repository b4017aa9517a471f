"""Claims about the linear probes on the frozen backbone."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file, save_file

from detectors.frozen import backbone as backbones
from detectors.frozen.backbone import ClipBackbone, QuantizedLinear, load_backbone
from detectors.frozen.familiarity import Familiarity
from detectors.frozen.layout import LAYERS, SIZE_PX, WIDTH
from detectors.frozen.memo import MOST_IMAGES, forget, remembered
from detectors.frozen.probe import Part, features
from detectors.generation import Generation
from detectors.mouth import Mouth
from detectors.pool import Pool
from errors import UserError
from hub.catalog import BACKBONES, DEFAULTS
from hub.store import resolve
from training.augment.lip_sync import degrade, redraw
from training.probes import familiar
from training.probes.fit import dealt
from training.probes.heads import Recipe, fit, held_out_scores, nuisance_directions, source_folds
from training.probes.tables import Table, read

KINDS = (Generation, Mouth)


@pytest.fixture(scope="module")
def backbone() -> ClipBackbone:
    return load_backbone(BACKBONES / "clip-vit-b16", "cpu")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(3, 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(0))


def test_a_quantized_layer_is_close_to_the_layer_that_it_stands_for():
    layer, generator = QuantizedLinear(64, 32), torch.Generator().manual_seed(1)
    layer.weight = torch.randint(-127, 128, (64, 32), generator=generator, dtype=torch.int8)
    layer.scale = torch.rand(32, generator=generator) / 100 + 0.001
    layer.bias = torch.randn(32, generator=generator)
    tokens = torch.randn(5, 7, 64, generator=generator)
    slow = tokens @ (layer.weight.float() * layer.scale) + layer.bias
    assert torch.nn.functional.cosine_similarity(layer(tokens), slow, dim=-1).min() > 0.999


def test_integers_multiplied_as_floats_give_the_same_numbers():
    folder = BACKBONES / "clip-vit-b16"
    network = ClipBackbone.from_folder(folder)
    block = network.blocks[0]
    assert isinstance(block, backbones.Block)
    tokens = torch.randn(1, 3, WIDTH, generator=torch.Generator().manual_seed(2))
    integers = block(tokens)
    network.multiply_as_floats()
    assert block.query.weight.is_floating_point()
    assert torch.equal(block(tokens), integers)


def test_a_processor_without_fast_integers_multiplies_floats(monkeypatch):
    monkeypatch.setattr(backbones, "integers_are_fast", lambda: False)
    network = load_backbone(BACKBONES / "clip-vit-b16", "cpu")
    monkeypatch.setattr(backbones, "_integer_product", None)  # nobody may call it
    assert len(network(torch.zeros(1, 3, SIZE_PX, SIZE_PX), 1)) == 1


def test_an_image_gets_the_same_tokens_whatever_stands_beside_it(backbone, images):
    together = backbone(images, 3)
    alone = backbone(images[:1], 3)
    for one, all_ in zip(alone, together, strict=True):
        assert torch.allclose(one[0], all_[0], atol=1e-4)


def test_the_backbone_stops_at_the_layer_that_is_asked_for(backbone, images):
    assert len(backbone(images[:1], 2)) == 2
    assert len(backbone(images[:1])) == LAYERS


def test_the_class_token_alone_is_the_one_that_stood_among_the_others(backbone, images):
    whole, alone = backbone(images, 2), backbone(images, 2, class_only=True)
    assert torch.equal(whole[0], alone[0])
    assert alone[1].shape == (len(images), 1, WIDTH)
    assert torch.allclose(alone[1][:, 0], whole[1][:, 0], atol=1e-4)


def test_every_part_of_the_features_has_unit_length(backbone, images):
    parts = (Part(1, "class"), Part(2, "patches"))
    result = features(backbone(images, 2), parts).reshape(len(images), 2, WIDTH)
    assert torch.allclose(result.norm(dim=-1), torch.ones(len(images), 2), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_is_what_the_backbone_takes(kind):
    crops = np.random.default_rng(0).integers(0, 256, (2, 320, 320, 3), dtype=np.uint8)
    cut = kind.cut(crops)
    assert cut.shape == (2, SIZE_PX, SIZE_PX, 3) and cut.dtype == np.uint8


def test_mouth_and_control_are_different_regions_of_one_face():
    crops = np.zeros((1, 320, 320, 3), np.uint8)
    crops[:, 200:260] = 255  # a bright mouth
    assert Mouth.cut(crops).mean() > 60 and Mouth.cut_control(crops).mean() == 0


def test_both_experts_share_one_backbone():
    pool = Pool()
    loaded = [pool.detector(kind, resolve(None, kind.role), "cpu") for kind in KINDS]
    assert loaded[0].shared is loaded[1].shared
    crops = np.random.default_rng(0).integers(0, 256, (1, 320, 320, 3), dtype=np.uint8)
    for detector in loaded:
        assert np.isfinite(detector.assess(crops)[0]).all()
        assert detector.checkpoint.counts


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"frozen_backbone": "clip-vit-l14"}, "weights_missing"),
        ({"frozen_backbone": "../../secret"}, "weights_missing"),
        ({"features": [{"layer": 13, "pool": "class"}]}, "weights_refused"),
        ({"features": [{"layer": 6, "pool": "max"}]}, "weights_refused"),
        ({"features": [{"layer": 6, "pool": "class"}]}, "weights_refused"),
        ({"features": [{"layer": 6, "pool": "class", "view": "nose"}]}, "weights_refused"),
        ({"features": [{"layer": 6, "pool": "class", "view": ["face"]}]}, "weights_refused"),
        ({"features": []}, "weights_refused"),
        ({"control": 9}, "weights_refused"),
        ({"model_type": "vit"}, "weights_refused"),
    ],
)
def test_a_probe_that_does_not_fit_is_refused_in_a_sentence(tmp_path, changed, code):
    folder = tmp_path / "probe"
    shutil.copytree(DEFAULTS / "mouth", folder)
    config = json.loads((folder / "config.json").read_text()) | changed
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError) as caught:
        Pool().detector(Mouth, resolve(str(folder), Mouth.role), "cpu")
    assert caught.value.code == code and caught.value.sentence.endswith(".")


def test_a_control_is_refused_where_the_detector_has_no_control_region(tmp_path):
    folder = tmp_path / "probe"
    shutil.copytree(DEFAULTS / "generation", folder)
    config = json.loads((folder / "config.json").read_text()) | {"control": 0.5}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError) as caught:
        Pool().detector(Generation, resolve(str(folder), Generation.role), "cpu")
    assert caught.value.code == "weights_refused" and "control" in caught.value.sentence


def test_two_heads_that_look_at_one_region_ask_the_backbone_once():
    backbone, asked = torch.nn.Identity(), []

    def look(images: np.ndarray) -> torch.Tensor:
        asked.append(len(images))
        return torch.from_numpy(images.reshape(len(images), -1).astype(np.float32))

    images = np.random.default_rng(0).integers(0, 255, (3, 4, 4, 3), np.uint8)
    first = remembered(backbone, images, "parts", look)
    again = remembered(backbone, images[::-1], "parts", look)
    assert torch.equal(again, first.flip(0)) and asked == [3]
    remembered(backbone, images, "other parts", look)
    assert asked == [3, 3]
    many = np.random.default_rng(1).integers(0, 255, (MOST_IMAGES, 4, 4, 3), np.uint8)
    remembered(backbone, many, "parts", look)
    assert torch.equal(remembered(backbone, images, "parts", look), first)
    assert asked == [3, 3, MOST_IMAGES, 3]
    forget()
    assert torch.equal(remembered(backbone, images, "parts", look), first)
    assert asked == [3, 3, MOST_IMAGES, 3, 3]


def made(sources: int = 8, faces: int = 40, seed: int = 0):
    """Features in which the source is loud and the fake is faint."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 5, (sources, 1)) * np.eye(6)[0]
    rows = [
        (rng.normal(0, 1, 6) + level[s] + label * 1.5 * np.eye(6)[1], label, f"s{s}")
        for s in range(sources)
        for label in ((0, 1) if s % 2 else (0,))
        for _ in range(faces)
    ]
    values, labels, names = zip(*rows, strict=True)
    return np.array(values, np.float32), np.array(labels), np.array(names)


def test_a_source_is_never_judged_by_a_head_that_saw_it():
    _, labels, sources = made()
    folds = source_folds(labels, sources, 3)
    for source in set(sources):
        assert len(set(folds[sources == source])) == 1


def test_a_degraded_copy_is_left_out_with_its_original(tmp_path):
    sources = np.repeat([f"camera {n}" for n in range(7)], 4)
    rows = pd.DataFrame({"source": sources, "label": np.arange(len(sources)) % 2})
    for name in ("faces-wild", "degraded-wild", "faces-portraits"):
        np.save(tmp_path / f"{name}.npy", np.zeros((len(rows), 3), np.float16))
        rows.to_parquet(tmp_path / f"{name}.parquet")
    judged, copies = read(tmp_path, ("faces-wild",)), read(tmp_path, ("degraded-wild",))
    learned, folds = dealt(judged.and_(copies), read(tmp_path, ("faces-portraits",)))
    n = len(rows)
    assert (folds[:n] == folds[n : 2 * n]).all() and (folds[:n] >= 0).all()
    assert (folds[2 * n :] == -1).all()
    assert not set(learned.sources[2 * n :]) & set(learned.sources[: 2 * n])


def test_projecting_out_how_real_sources_differ_leaves_the_fake():
    values, labels, sources = made()
    away = nuisance_directions(values, labels, sources, 1)
    assert abs(away[0, 0]) > 0.95
    head = fit(values, labels, sources, Recipe(1.0, 1))
    assert abs(head.weight[1]) > 5 * abs(head.weight[0])
    folds = source_folds(labels, sources, 4)
    scores = held_out_scores(values, labels, sources, Recipe(1.0, 1), folds)
    assert scores[labels == 1].mean() > scores[labels == 0].mean() + 1


def test_a_redrawn_mouth_leaves_the_eyes_as_they_are():
    rng = np.random.default_rng(3)
    face = rng.integers(0, 256, (320, 320, 3), dtype=np.uint8)
    landmarks = rng.uniform(60, 260, (468, 2)).astype(np.float32)
    landmarks[[61, 291, 13, 14]] = (160, 201)
    landmarks[[1, 152, 234, 454]] = [(160, 165), (160, 262), (70, 150), (250, 150)]
    changed = np.abs(redraw(face, landmarks, rng).astype(int) - face).mean((1, 2))
    assert changed[195:210].mean() > 10 and changed[:100].max() == 0
    assert degrade(face, rng).shape == face.shape


# ------------------------------------------------------------------ familiarity


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def known() -> Familiarity:
    """A bank of faces around one direction, and how far others of the kind lie from it."""
    rng = np.random.default_rng(0)
    faces = unit(np.eye(8)[0] + rng.normal(0, 0.1, (60, 8)))
    bank, others = torch.from_numpy(faces[:40]), torch.from_numpy(faces[40:])
    nearest = torch.cdist(others, bank).topk(3, largest=False).values.mean(1).numpy()
    return Familiarity((2, 10), bank, 3, np.quantile(nearest, np.linspace(0, 1, 101)), 0.6)


def test_what_is_unlike_all_known_faces_is_trusted_least(known):
    rng = np.random.default_rng(1)
    like = unit(np.eye(8)[0] + rng.normal(0, 0.1, (200, 8)))
    vectors = np.concatenate([like, -like])
    padded = torch.from_numpy(np.pad(vectors, ((0, 0), (2, 1))).astype(np.float32))
    percentiles = known.percentile(padded)
    assert 0.3 < percentiles[:200].mean() < 0.7 and (percentiles[200:] == 1).all()
    assert known.trusted(percentiles[200:]) == pytest.approx(0.4)
    assert known.trusted(np.zeros(1)) == 1.0


def test_the_shipped_head_says_how_unfamiliar_a_face_is(portrait):
    detector = Pool().detector(Generation, resolve(None, Generation.role), "cpu")
    face = np.zeros((320, 320, 3), np.uint8)
    face[60:260, 60:260] = np.resize(portrait[40:240, 60:260], (200, 200, 3))
    noise = np.random.default_rng(0).integers(0, 256, (320, 320, 3), dtype=np.uint8)
    scores, unfamiliar = detector.assess(np.stack([face, noise]))
    assert unfamiliar[0] < unfamiliar[1] == 1.0 and np.isfinite(scores).all()


def test_the_distance_of_a_face_is_taken_from_banks_without_its_source():
    values, labels, sources = made()
    table = Table(unit(values), pd.DataFrame({"label": labels, "source": sources}))
    where, folds = slice(0, 6), source_folds(labels, sources, 4)
    apart = familiar.held_out_distances(table, folds, where)
    within = familiar.distances(table.features[:, where], table.features[familiar.members(table)])
    assert np.isfinite(apart).all() and apart.mean() > within.mean()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"neighbors": 5000}, "neighbors of"),
        ({"neighbors": 0}, "neighbors of"),
        ({"shrinkage": 2}, "share of 0 to 1"),
        ({"layer": 3}, "no feature of the head"),
        (None, "familiarity as an object"),
    ],
)
def test_a_familiarity_that_does_not_fit_is_refused_in_a_sentence(tmp_path, changed, words):
    folder = tmp_path / "probe"
    shutil.copytree(DEFAULTS / "generation", folder)
    config = json.loads((folder / "config.json").read_text())
    config["familiarity"] = 7 if changed is None else config["familiarity"] | changed
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=words) as caught:
        Pool().detector(Generation, resolve(str(folder), Generation.role), "cpu")
    assert caught.value.code == "weights_refused"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("familiar", np.zeros((), np.float32), "neighbors of 0"),
        ("familiar", np.full((50, WIDTH), np.nan, np.float32), "not finite"),
        ("familiar", np.zeros((50, 3), np.float32), "expected shape"),
        ("familiar_distances", np.arange(101, 0, -1).astype(np.float32), "do not rise"),
    ],
)
def test_a_bank_that_does_not_fit_is_refused_in_a_sentence(tmp_path, name, value, words):
    folder = tmp_path / "probe"
    shutil.copytree(DEFAULTS / "generation", folder)
    tensors = load_file(folder / "model.safetensors") | {name: value}
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match=words):
        Pool().detector(Generation, resolve(str(folder), Generation.role), "cpu")
