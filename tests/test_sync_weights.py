"""The network for lips and voice as it is stored: matrices of the frozen ear in eight bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from detectors.sync.network import SyncConfig, SyncModel
from errors import UserError
from hub.catalog import DEFAULTS
from training.sync.export import stored

SMALL = SyncConfig(ear_width=48, ear_heads=2, trunk=(4, 8, 8, 8), width=16, size=8)


@pytest.fixture(scope="module")
def network() -> SyncModel:
    torch.manual_seed(0)
    return SyncModel(SMALL).eval()


def save(network: SyncModel, folder: Path) -> Path:
    (folder / "config.json").write_text(network.config.to_json(), encoding="utf-8")
    save_file(stored(network.state_dict()), str(folder / "model.safetensors"))
    return folder


def test_a_stored_network_hears_and_sees_what_it_did(network: SyncModel, tmp_path: Path):
    again = SyncModel.from_folder(save(network, tmp_path))
    sizes = {v.element_size() for v in load_file(str(tmp_path / "model.safetensors")).values()}
    assert 1 in sizes
    rng = np.random.default_rng(0)
    audio = rng.uniform(-0.5, 0.5, 16_000).astype(np.float32)
    mouths = rng.integers(0, 256, (25, 96, 96), dtype=np.uint8)
    landmarks = rng.uniform(0, 300, (25, 468, 2)).astype(np.float32)
    for one, other in (
        (network.embed_audio(audio), again.embed_audio(audio)),
        (network.embed_mouths(mouths, landmarks), again.embed_mouths(mouths, landmarks)),
    ):
        assert (one * other).sum(1).min() > 0.999


def test_a_folder_of_outlines_alone_in_16_bits_is_read(tmp_path: Path):
    former = SyncModel(replace(SMALL, eyes=("lips",))).eval()
    save(former, tmp_path)
    halves = {n: v.to(torch.bfloat16) for n, v in former.state_dict().items()}
    save_file(halves, str(tmp_path / "model.safetensors"))
    assert not SyncModel.from_folder(tmp_path).uses_images


def test_a_matrix_without_its_scale_is_refused(network: SyncModel, tmp_path: Path):
    tensors = stored(network.state_dict())
    lonely = next(name for name in tensors if name.endswith("_scale"))
    save(network, tmp_path)
    del tensors[lonely.removesuffix("_scale")]
    save_file(tensors, str(tmp_path / "model.safetensors"))
    with pytest.raises(UserError, match="do not fit"):
        SyncModel.from_folder(tmp_path)


def test_the_embedded_network_looks_at_mouths():
    assert SyncModel.from_folder(DEFAULTS / "sync").uses_images
