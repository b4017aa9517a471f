"""Can a linear head be fitted on any image network, and does the saved folder load again?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.loading import load_image_classifier
from detectors.registry import role_of
from errors import UserError
from evaluation.probe import fit_probe, head_name, probe, save_probe
from hub.checkpoint import Card
from hub.store import resolve
from tests.test_evaluation_run import images  # noqa: F401 (fixtures)

SIDE_PX = 32
TINY = dict(
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    image_size=SIDE_PX,
    patch_size=8,
)
LABELS = dict(id2label={0: "Fake", 1: "Real"}, label2id={"Fake": 0, "Real": 1})


def vit():
    from transformers import ViTConfig, ViTForImageClassification

    return ViTForImageClassification(ViTConfig(**TINY, **LABELS))


def dinov2():
    from transformers import Dinov2Config, Dinov2ForImageClassification

    return Dinov2ForImageClassification(Dinov2Config(**TINY, **LABELS))


def siglip():
    from transformers import SiglipConfig, SiglipForImageClassification

    return SiglipForImageClassification(SiglipConfig(vision_config=TINY, **LABELS))


def swin():
    from transformers import SwinConfig, SwinForImageClassification

    sizes = dict(image_size=SIDE_PX, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2])
    return SwinForImageClassification(SwinConfig(**sizes, window_size=4, **LABELS))


def convnext():
    from transformers import ConvNextConfig, ConvNextForImageClassification

    sizes = dict(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2)
    return ConvNextForImageClassification(ConvNextConfig(**sizes, image_size=SIDE_PX, **LABELS))


def one_logit():
    from transformers import ViTConfig, ViTForImageClassification

    return ViTForImageClassification(ViTConfig(**TINY, id2label={0: "fake"}, label2id={"fake": 0}))


FAMILIES = (vit, dinov2, siglip, swin, convnext, one_logit)


def write(build, folder: Path) -> Path:
    torch.manual_seed(0)
    build().eval().save_pretrained(folder)
    card = Card(
        detector="spatial",
        title="tiny",
        size_px=SIDE_PX,
        fake_indices=(0,),
        real_indices=() if build is one_logit else (1,),
        labels_known_by="made so",
    )
    (folder / "card.json").write_text(card.to_json(), "utf-8")
    return folder


@pytest.mark.parametrize("build", FAMILIES, ids=lambda f: f.__name__)
def test_a_probe_on_any_family_is_saved_and_loaded_with_the_same_score(build, tmp_path):
    base = resolve(str(write(build, tmp_path / "base")), role_of("spatial"))
    network, _ = load_image_classifier(base)
    head = head_name(network, base.card)
    width = network.get_submodule(head).in_features
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    features = rng.normal(0, 1, (40, width)) + labels[:, None]
    fitted = fit_probe(features, labels, np.array([f"g{i // 2}" for i in range(40)]))
    card = Card(
        "spatial",
        "probe",
        SIDE_PX,
        (1,),
        (0,),
        "fitted here",
        figures=({"name": "AUC", "value": 0.5, "n_real": 1, "n_fake": 1, "protocol": ""},),
    )
    save_probe(network, head, fitted, card, tmp_path / "probe", base)

    again, _ = load_image_classifier(resolve(str(tmp_path / "probe"), role_of("spatial")))
    caught = []
    again.get_submodule(head).register_forward_pre_hook(lambda m, x: caught.append(x[0]))
    with torch.inference_mode():
        logits = again(pixel_values=torch.randn(2, 3, SIDE_PX, SIDE_PX)).logits
    raw = (logits[:, 1] - logits[:, 0]).numpy()
    assert raw == pytest.approx(caught[0].numpy() @ fitted.weight + fitted.offset, abs=1e-4)


def test_the_probe_of_a_manifest_is_a_calibrated_checkpoint(images, tmp_path):  # noqa: F811
    base = write(vit, tmp_path / "base")
    card = probe(images / "manifest.csv", str(base), tmp_path / "probe")
    loaded = resolve(str(tmp_path / "probe"), role_of("spatial"))
    assert loaded.counts and loaded.card.calibration.n_real == 8
    assert card.figures[0]["value"] > 0.8  # bright against dark is easy
    assert "tiny" not in card.title and base.name in card.title


def test_a_probe_needs_groups_of_both_classes():
    with pytest.raises(UserError, match="two groups"):
        fit_probe(np.zeros((4, 2)), np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "c"]))


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("work")
    with pytest.raises(UserError, match="not empty"):
        probe(tmp_path / "m.csv", None, tmp_path)
