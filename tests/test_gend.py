"""GenD's layout is loaded by Hub id, without its own code, and answers as its formula says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from analysis import Settings, load_detector
from detectors.loading import load_image_classifier
from detectors.pool import Pool
from detectors.registry import role_of
from errors import UserError
from hub import store
from tests.hub_server import serving
from tests.published_layouts import gend, save
from tests.tiny_models import write_model

CLIP = "openai/clip-vit-large-patch14"
BACKBONES = [
    CLIP,
    "vit_pe_core_large_patch14_336",
    "facebook/dinov3-vitl16-pretrain-lvd1689m",
]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("head", ["linear", "LinearNorm"])
def test_gend_answers_with_a_linear_head_on_the_class_token(backbone, head, tmp_path: Path):
    folder = gend(tmp_path / "m", backbone, head)
    model, facts = load_image_classifier(store.resolve(str(folder), role_of("spatial")))
    pixels = torch.randn(2, 3, facts.size_px, facts.size_px)
    tensors = load_file(folder / "model.safetensors")
    with torch.inference_mode():
        token = model._token(pixels)
        unit = token / (token**2).sum(1, keepdim=True).sqrt() if head == "LinearNorm" else token
        expected = unit @ tensors["model.linear.weight"].T + tensors["model.linear.bias"]
        torch.testing.assert_close(model(pixel_values=pixels).logits, expected)
    assert float(token.std(0).max()) > 0


def test_a_clip_backbone_equals_its_formula_written_out(tmp_path: Path):
    """Patches, class token, two pre-norm layers with x sigmoid(1.702 x), norm of the token."""
    folder = gend(tmp_path / "m", CLIP)
    model, _ = load_image_classifier(store.resolve(str(folder), role_of("spatial")))
    pixels = torch.randn(1, 3, 224, 224)
    t = {
        name.removeprefix("feature_extractor.vision_model."): value
        for name, value in load_file(folder / "model.safetensors").items()
    }

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"], 1e-5)

    def linear(x, name):
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    patches = F.conv2d(pixels, t["embeddings.patch_embedding.weight"], stride=56)
    x = torch.cat([t["embeddings.class_embedding"][None], patches[0].flatten(1).T])
    x = norm(x + t["embeddings.position_embedding.weight"], "pre_layrnorm")
    for index in range(2):
        at = f"encoder.layers.{index}."
        inner = norm(x, at + "layer_norm1")
        q, k, v = (linear(inner, f"{at}self_attn.{n}_proj") for n in "qkv")
        x = x + linear(torch.softmax(q @ k.T / 8, -1) @ v, at + "self_attn.out_proj")
        inner = linear(norm(x, at + "layer_norm2"), at + "mlp.fc1")
        x = x + linear(inner * torch.sigmoid(1.702 * inner), at + "mlp.fc2")
    with torch.inference_mode():
        expected = norm(x, "post_layernorm")[:1]
        torch.testing.assert_close(model._token(pixels), expected, atol=1e-4, rtol=1e-4)


def test_gend_is_typed_by_id_and_its_own_code_is_not_run(tmp_path: Path, monkeypatch):
    folder = gend(tmp_path / "m", CLIP)
    (folder / "modeling_gend.py").write_text("raise SystemExit('its code ran')")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    with serving(tmp_path / "home", monkeypatch) as hub:
        hub.add("yermandy/GenD_CLIP_L_14", folder)
        settings = Settings(
            detectors=("spatial",), checkpoints={"spatial": "yermandy/GenD_CLIP_L_14"}
        )
        checkpoint = load_detector("spatial", settings, Pool()).checkpoint
        assert not any(path.endswith(".py") for _, path, _ in hub.seen)
    card = checkpoint.card
    assert (card.size_px, card.margin, card.fake_indices) == (224, 0.3, (1,))
    assert card.mean == pytest.approx((0.481, 0.458, 0.408), abs=1e-3)
    assert "direction check" in card.labels_known_by and not checkpoint.counts
    turned = store.resolve(str(folder), role_of("spatial"), fake_labels=("0",))
    assert turned.card.fake_indices == (0,) and "Your answer" in turned.card.labels_known_by


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backbone": "someone/else"}, "stands on"),
        ({"head": "MLP"}, "has the head"),
    ],
)
def test_another_backbone_or_head_is_refused(change, words, tmp_path: Path):
    folder = gend(tmp_path / "m", CLIP)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UserError, match=words) as caught:
        load_image_classifier(store.resolve(str(folder), role_of("spatial")))
    assert caught.value.code == "weights_refused"


@pytest.mark.parametrize(("part", "words"), [("model.linear", "no head"), ("feature_", "backbone")])
def test_a_gend_without_a_tower_or_in_the_wrong_role_is_refused(part, words, tmp_path: Path):
    folder = gend(tmp_path / "m", CLIP)
    with pytest.raises(UserError, match="Choose it for that"):
        store.resolve(str(folder), role_of("temporal"))
    tensors = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    save(folder, config, {k: v for k, v in tensors.items() if not k.startswith(part)})
    with pytest.raises(UserError, match=words):
        store.resolve(str(folder), role_of("spatial"))


def test_layers_that_are_missing_are_named(tmp_path: Path):
    folder = gend(tmp_path / "m", CLIP)
    tensors = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    save(folder, config, {k: v for k, v in tensors.items() if "layers.0.mlp.fc2" not in k})
    with pytest.raises(UserError, match="does not fit its layout"):
        load_image_classifier(store.resolve(str(folder), role_of("spatial")))


def test_a_pull_request_of_the_catalog_is_taken_at_the_commit_that_was_looked_at(
    tmp_path: Path, monkeypatch
):
    name = "muneeb1812/videomae-base-fake-video-classification"
    with serving(tmp_path / "home", monkeypatch) as hub:
        repo = hub.add(name, write_model(tmp_path / "m", "videomae", ("real", "fake")))
        moved = repo.refs["main"]
        repo.refs["refs/pr/2"] = moved
        with pytest.raises(UserError, match="has changed: refs/pr/2"):
            store.resolve(name, role_of("temporal"))
        typed = store.resolve(f"{name}@{moved}", role_of("temporal"))
        assert typed.revision == moved
        looked_at = "b411b6b" + moved[7:]
        repo.commits[looked_at] = repo.commits[moved]
        repo.refs["refs/pr/2"] = looked_at
        assert store.resolve(name, role_of("temporal")).revision == looked_at
        typed = store.resolve(f"{name}@refs/pr/2", role_of("temporal"))
        assert any("pull request" in words for words in typed.warnings)
