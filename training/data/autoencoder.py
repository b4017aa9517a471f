"""What does a face look like after a small learned decoder has drawn it?

`python -m training.data.autoencoder CROPS OUT.pt` trains one encoder with three decoders
(transposed convolutions, pixel shuffle, nearest-neighbor: three ways to up-sample, each with its
own trace) on the real training faces. `Rerenderer` then draws faces anew for
`training.augment.pseudo_fakes`: pores, teeth and eyes come out as swap decoders, talking heads and
latent decoders leave them. Imports `training`.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from media.degrade import rescale
from training.data.sources import training_sources

log = logging.getLogger(__name__)

WIDTHS = (24, 48, 96)  # channels after each halving
LATENT = 12  # channels at an eighth of the side: 16 times fewer numbers than the image
SIDE_PX = 128  # training crops
BATCH = 12
LEARNING_RATE = 2e-3


def _halving(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, outside, 4, 2, 1), nn.SiLU())


def _transposed(inside: int, outside: int) -> nn.Module:
    return nn.ConvTranspose2d(inside, outside, 4, 2, 1)


def _shuffled(inside: int, outside: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inside, 4 * outside, 3, 1, 1), nn.PixelShuffle(2))


def _nearest(inside: int, outside: int) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inside, outside, 3, 1, 1))


class Autoencoder(nn.Module):
    """One encoder to an eighth of the side, three decoders back."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.encoder = nn.Sequential(
            _halving(3, first),
            _halving(first, second),
            _halving(second, third),
            nn.Conv2d(third, LATENT, 1),
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(LATENT, third, 3, 1, 1),
                nn.SiLU(),
                up(third, second),
                nn.SiLU(),
                up(second, first),
                nn.SiLU(),
                up(first, 16),
                nn.SiLU(),
                nn.Conv2d(16, 3, 3, 1, 1),
            )
            for up in (_transposed, _shuffled, _nearest)
        )

    def forward(self, pixels: torch.Tensor, which: int, noise: float = 0.0) -> torch.Tensor:
        """(b, 3, h, w) in -1..1 drawn anew by one decoder; sides are multiples of 8."""
        latent = self.encoder(pixels)
        if noise:
            latent = latent + noise * latent.std() * torch.randn_like(latent)
        return self.decoders[which](latent)


class Rerenderer:
    """Draws one image anew; a callable for `pseudo_fakes.Donors`."""

    def __init__(self, path: Path) -> None:
        self.model = Autoencoder().eval()
        self.model.load_state_dict(torch.load(path, weights_only=True))

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(h, w, 3) uint8 to the same; the network's own resolution is drawn too."""
        side = 8 * int(rng.integers(18, 37))  # 144 to 288 pixels for the face and its surroundings
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        noise = float(rng.choice([0.0, rng.uniform(0.02, 0.15)]))
        with torch.no_grad():
            drawn = self.model(_pixels(small[None]), int(rng.integers(3)), noise)[0]
        back = (drawn.permute(1, 2, 0).numpy() + 1) * 127.5
        # broad colors are what a real decoder gets right; ours is small, so they are put back
        back += cv2.GaussianBlur(small - back, (0, 0), side * rng.uniform(0.02, 0.06))
        share = rng.uniform(0.4, 1.0)  # better decoders keep more of the detail
        back = (share * back + (1 - share) * small).clip(0, 255).astype(np.uint8)
        return cv2.resize(back, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _pixels(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _batches(crops: Path, seed: int) -> Iterator[torch.Tensor]:
    """Real training faces of all sources in balance, at varying scale."""
    sources = [source for source in training_sources(crops).values() if len(source.reals)]
    rng = np.random.default_rng(seed)
    while True:
        result = []
        for _ in range(BATCH):
            source = sources[rng.integers(len(sources))]
            face = source.face(source.reals[rng.integers(len(source.reals))])
            zoom = rng.uniform(1.0, 1.8) * SIDE_PX / face.image.shape[0]
            large = rescale(face.image, zoom)
            top, left = rng.integers(0, np.array(large.shape[:2]) - SIDE_PX + 1)
            result.append(large[top : top + SIDE_PX, left : left + SIDE_PX])
        yield _pixels(np.stack(result))


def _edges(pixels: torch.Tensor) -> torch.Tensor:
    """Differences of neighbors: keeps the decoders from answering with mere blur."""
    return torch.cat([pixels.diff(dim=2).flatten(1), pixels.diff(dim=3).flatten(1)], 1)


def train(crops: Path, out: Path, minutes: float) -> None:
    """Train for some minutes and save the weights."""
    model, began = Autoencoder(), time.monotonic()
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    for step, pixels in enumerate(_batches(crops, seed=0)):
        share = (time.monotonic() - began) / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * max(1 - share, 0.02)
        drawn = model(pixels, step % 3)
        loss = (drawn - pixels).abs().mean() + (_edges(drawn) - _edges(pixels)).abs().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0:
            log.info("step %d loss %.4f", step, loss.item())
        if share >= 1:
            torch.save(model.state_dict(), out)
            return


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train the decoder that self-made fakes use.")
    parser.add_argument("crops", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    train(arguments.crops, arguments.out, arguments.minutes)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    main()
