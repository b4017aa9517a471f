"""A Lightning checkpoint of SimLBR becomes a folder, and answers as its formula says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from detectors.gend import dinov3
from detectors.loading import load_image_classifier
from detectors.registry import role_of
from errors import UserError
from hub import store
from hub.convert import convert
from tests.published_layouts import _dinov3, save, simlbr


@pytest.mark.parametrize("hidden_layers", [1, 2])
def test_a_lightning_checkpoint_is_converted_and_answers_as_its_parts_do(hidden_layers, tmp_path):
    pickled = tmp_path / "epoch=4.ckpt"
    settings = {"backbone": "dinov3", "hidden_layers": hidden_layers}
    torch.save({"state_dict": simlbr(hidden_layers), "hyper_parameters": settings}, pickled)
    result = convert(pickled, tmp_path / "folder")
    checkpoint = store.resolve(str(result.folder), role_of("spatial"))
    model, facts = load_image_classifier(checkpoint)
    card = checkpoint.card
    assert (card.crop, facts.size_px, card.fake_indices) == ("frame", 256, (0,))
    pixels = torch.randn(2, 3, 256, 256)
    torch.manual_seed(0)
    backbone, tensors = dinov3(_dinov3()).eval(), load_file(result.folder / "model.safetensors")
    with torch.inference_mode():
        value = backbone(pixel_values=pixels).last_hidden_state[:, 0]
        for layer in range(hidden_layers + 1):
            weight, bias = (tensors[f"classifier.{3 * layer}.{k}"] for k in ("weight", "bias"))
            value = value @ weight.T + bias
            value = value.clamp(min=0) if layer < hidden_layers else value
        torch.testing.assert_close(model(pixel_values=pixels).logits, value, atol=1e-4, rtol=1e-4)
    assert value.shape == (2, 1) and float(value.std()) > 0


@pytest.mark.parametrize(("part", "words"), [("classifier", "head"), ("backbone", "backbone")])
def test_a_head_without_its_backbone_is_refused(part, words, tmp_path: Path):
    tensors = {k: v for k, v in simlbr().items() if not k.startswith(part)}
    folder = save(tmp_path / "m", {"model_type": "simlbr"}, tensors)
    with pytest.raises(UserError, match=f"has no {words}"):
        store.resolve(str(folder), role_of("spatial"))
