"""GenD's layout is loaded by Hub id, without its own code, and answers as its formula says."""

from __future__ import annotations

import json
import math
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


def stirred(folder: Path, backbone: str) -> dict[str, torch.Tensor]:
    """A GenD without a bias of 0 or a scale of 1, so that none of them can be forgotten."""
    gend(folder, backbone)
    tensors = {
        name: value + 0.1 * torch.randn(value.shape)
        for name, value in load_file(folder / "model.safetensors").items()
    }
    save(folder, json.loads((folder / "config.json").read_text()), tensors)
    return {name.removeprefix("feature_extractor.backbone."): v for name, v in tensors.items()}


class Written:
    """Linear layers and norms by their names."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self.t = tensors

    def linear(self, x, name):
        return x @ self.t[f"{name}.weight"].T + self.t.get(f"{name}.bias", 0)

    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.t[f"{name}.weight"], self.t[f"{name}.bias"], 1e-5)

    def two_layers(self, x, first, second):
        inner = self.linear(x, first)
        return self.linear(inner * (1 + torch.erf(inner / 2**0.5)) / 2, second)


def attend(q, k, v):
    return torch.softmax(q @ k.T / q.shape[1] ** 0.5, -1) @ v


def test_a_dinov3_backbone_equals_its_formula_written_out(tmp_path: Path):
    """Class token, 4 registers, patches; queries and keys of patches turn with their place.

    facebookresearch/dinov3, dinov3/layers/rope_position_encoding.py and attention.py: places from
    -1 to 1, periods 100^(k / 16), number k turns together with number k + 32.
    """
    w = Written(stirred(tmp_path / "m", BACKBONES[2]))
    checkpoint = store.resolve(str(tmp_path / "m"), role_of("spatial"))
    model, _ = load_image_classifier(checkpoint)
    pixels = torch.randn(1, 3, 224, 224)
    at = "embeddings."
    kernel, bias = (w.t[f"{at}patch_embeddings.{part}"] for part in ("weight", "bias"))
    patches = F.conv2d(pixels, kernel, bias, stride=56)[0].flatten(1).T
    x = torch.cat([w.t[at + "cls_token"][0], w.t[at + "register_tokens"][0], patches])
    angles = torch.zeros(5 + 16, 32)  # no turn for the first five
    for row in range(4):
        for column in range(4):
            for k in range(16):
                for part, place in enumerate((row, column)):
                    turn = 2 * math.pi * (2 * (place + 0.5) / 4 - 1) / 100 ** (k / 16)
                    angles[5 + 4 * row + column, 16 * part + k] = turn

    def turned(x):
        both = torch.complex(x[:, :32], x[:, 32:]) * torch.polar(torch.ones(21, 32), angles)
        return torch.cat([both.real, both.imag], 1)

    for index in range(2):
        here = f"layer.{index}."
        q, k, v = (w.linear(w.norm(x, here + "norm1"), f"{here}attention.{n}_proj") for n in "qkv")
        result = w.linear(attend(turned(q), turned(k), v), here + "attention.o_proj")
        x = x + w.t[here + "layer_scale1.lambda1"] * result
        inner = w.norm(x, here + "norm2")
        result = w.two_layers(inner, here + "mlp.up_proj", here + "mlp.down_proj")
        x = x + w.t[here + "layer_scale2.lambda1"] * result
    with torch.inference_mode():
        expected = w.norm(x, "norm")[:1]
        torch.testing.assert_close(model._token(pixels), expected, atol=1e-4, rtol=1e-4)


def test_a_perception_encoder_equals_its_formula_written_out(tmp_path: Path):
    """Learned places and turned ones, pre-norm layers, a latent that attends to all tokens.

    facebookresearch/perception_models, core/vision_encoder/pe.py and rope.py: places counted from
    1 across a grid of 24, x before y, periods 10000^(k / 16), neighboring numbers turn together.
    """
    w = Written(stirred(tmp_path / "m", BACKBONES[1]))
    checkpoint = store.resolve(str(tmp_path / "m"), role_of("spatial"))
    model, _ = load_image_classifier(checkpoint)
    pixels = torch.randn(1, 3, 56, 56)
    patches = F.conv2d(pixels, w.t["patch_embed.proj.weight"], stride=14)[0].flatten(1).T
    x = w.norm(torch.cat([w.t["cls_token"][0], patches]) + w.t["pos_embed"][0], "norm_pre")
    angles = torch.zeros(1 + 16, 32)
    for row in range(4):
        for column in range(4):
            for k in range(16):
                for part, place in enumerate((column, row)):
                    turn = (place + 1) / 4 * 24 / 10_000 ** (k / 16)
                    angles[1 + 4 * row + column, 16 * part + k] = turn

    def turned(x):
        both = torch.view_as_complex(x.reshape(17, 32, 2).contiguous())
        return torch.view_as_real(both * torch.polar(torch.ones(17, 32), angles)).flatten(1)

    for index in range(2):
        here = f"blocks.{index}."
        q, k, v = w.linear(w.norm(x, here + "norm1"), here + "attn.qkv").chunk(3, -1)
        x = x + w.linear(attend(turned(q), turned(k), v), here + "attn.proj")
        x = x + w.two_layers(w.norm(x, here + "norm2"), here + "mlp.fc1", here + "mlp.fc2")
    x = w.norm(x, "norm")
    q = w.linear(w.t["attn_pool.latent"][0], "attn_pool.q")
    k, v = w.linear(x, "attn_pool.kv").chunk(2, -1)
    heads = [attend(q[:, i : i + 8], k[:, i : i + 8], v[:, i : i + 8]) for i in range(0, 64, 8)]
    pooled = w.linear(torch.cat(heads, 1), "attn_pool.proj")
    inner = w.norm(pooled, "attn_pool.norm")
    expected = pooled + w.two_layers(inner, "attn_pool.mlp.fc1", "attn_pool.mlp.fc2")
    with torch.inference_mode():
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
    assert (card.size_px, card.crop, card.margin, card.fake_indices) == (224, "box", 0.3, (1,))
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
