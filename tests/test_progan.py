"""Are the faces of the GAN drawn as its graph says, from what the list names?"""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.manifest import read_manifest
from training.data import progan

CHANNELS = 4


def archive(bias: float) -> bytes:
    """A small network of the same shape: 13 convolutions, constants between them."""
    rng = np.random.default_rng(0)
    sides = [4, *[3] * 11, 1]
    entries, data = [], b""
    for number, side in enumerate(sides):
        out = 3 if number == 12 else CHANNELS
        constant = np.array([1, 1, 1, CHANNELS], "<i4")
        kernel = rng.normal(0, 0.3, (side, side, CHANNELS, out)).astype("<f4")
        shift = np.full(out, bias if number == 12 else 0.1, "<f4")
        for values in (constant, kernel, shift, np.array(0.2, "<f4")):
            dtype = "int32" if values.dtype == "<i4" else "float32"
            entries.append({"name": "n", "shape": list(values.shape), "dtype": dtype})
            data += values.tobytes()
    model = json.dumps({"weightsManifest": [{"weights": entries}]}).encode()
    size = -(-len(data) // progan.SHARDS)
    files = {"model.json": model}
    for number in range(progan.SHARDS):
        part = data[number * size : (number + 1) * size]
        files[f"group1-shard{number + 1}of{progan.SHARDS}.bin"] = part
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{progan.FOLDER}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def test_thirteen_convolutions_draw_128_pixels_within_their_range():
    layers = progan.weights(archive(0.5))
    assert [tuple(kernel.shape[2:]) for kernel, _ in layers] == [(4, 4), *[(3, 3)] * 11, (1, 1)]
    drawn = progan.draw(layers, torch.randn(2, CHANNELS))
    assert drawn.shape == (2, 128, 128, 3)
    assert 0 <= drawn.min() < drawn.max() <= 1
    assert not torch.equal(drawn[0], drawn[1])


def test_the_middle_of_the_last_sum_is_the_middle_of_gray():
    layers = progan.weights(archive(1.1))
    layers[-1] = (torch.zeros_like(layers[-1][0]), layers[-1][1])
    assert progan.draw(layers, torch.randn(1, CHANNELS)).unique().tolist() == [pytest.approx(0.8)]


def test_faces_are_written_beside_their_manifest(tmp_path, monkeypatch):
    monkeypatch.setattr(progan, "LATENTS", CHANNELS)
    monkeypatch.setattr(progan, "BATCH", 2)
    items = progan.write_faces(progan.weights(archive(0.5)), tmp_path, faces=4)
    progan.write_manifest(tmp_path / "progan.csv", items)
    read = read_manifest(tmp_path / "progan.csv")
    assert [item.label for item in read] == [1] * 4
    assert len({item.group for item in read}) == 4
    assert all(Image.open(item.path).size == (128, 128) for item in read)
