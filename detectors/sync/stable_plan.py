"""Which sizes do the towers of StableSyncNet have, and can they run?

Channels, attention and the number of frames are read off the tensors, steps off the config; what
leaves more than one place of its input or would cost too much is refused in a sentence. Builds
nothing. Imports media, and torch for its types.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from media.rates import MOTION_HZ

FACE_PX = 256
HALF = (FACE_PX // 2, FACE_PX)  # height and width of what is looked at
BANDS, MEL_HZ = 80, 80  # of the mel spectrogram: rows, and columns a second
MOST_FRAMES = 25  # of video in one vector; published are 16 and 25
MOST_BLOCKS = 16
MOST_STEP = 4
MOST_WORK = 60e9  # multiplications for one vector; the published tower for the face takes 17e9
MOST_VALUES = 16_000_000  # between two layers, for one vector; there 2.1 million
Step = int | tuple[int, int]
Size = tuple[int, int]  # height and width
PUBLISHED: Mapping[str, tuple[tuple[Step, ...], ...]] = {
    "audio_encoder": (((2, 1), 2, 2, 1, 2, 2, (2, 3)), (2,) * 6),
    "visual_encoder": (((1, 2), *(2,) * 7),),
}
"""Steps after the blocks of each tower, for a config that is silent: those of
configs/syncnet/syncnet_16_pixel_attn.yaml and syncnet_25_pixel.yaml of LatentSync at 36ca2a3."""


def columns(frames: int) -> int:
    """Columns of the mel spectrogram that belong to so many frames of video."""
    return math.ceil(frames * MEL_HZ / MOTION_HZ)


@dataclass(frozen=True)
class Block:
    """Sizes of one block.

    Attributes:
        inside, outside: channels.
        step: by how much the image shrinks, height and width or both alike; 1 for attention.
        inner: numbers within the feed-forward layer of attention; 0 for convolutions.
    """

    inside: int
    outside: int
    step: Step = 1
    inner: int = 0

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """Zeros left, right, above and below of what the convolution with steps sees."""
        if self.step == 1:
            return 0, 0, 0, 0
        if isinstance(self.step, int) or 1 not in self.step:
            return 0, 1, 0, 1
        return (0, 1, 1, 1) if self.step[0] == 1 else (1, 1, 0, 1)

    def after(self, size: Size) -> Size:
        """Height and width of what comes out."""
        if self.step == 1:
            return size
        left, right, above, below = self.edges
        down, across = self.step if isinstance(self.step, tuple) else (self.step, self.step)
        height, width = size[0] + above + below, size[1] + left + right
        return (height - 3) // down + 1, (width - 3) // across + 1

    def work(self, size: Size) -> float:
        """Multiplications for one input of a height and width."""
        places, c = math.prod(size), self.outside
        if self.inner:
            return places * c * (6 * c + 3 * self.inner + 2 * places)
        shrunk = 0 if self.step == 1 else 9 * c * c * math.prod(self.after(size))
        return places * c * (10 * self.inside + 9 * c) + shrunk


@dataclass(frozen=True)
class Plan:
    """Sizes of one tower: channels of its input and of its first convolution, and its blocks."""

    inside: int
    first: int
    blocks: tuple[Block, ...]

    @property
    def last(self) -> int:
        """Numbers of the vector."""
        return self.blocks[-1].outside

    def check(self, words: str, inside: int, size: Size) -> None:
        """Refuse what cannot make one vector of an input, or costs too much.

        Args:
            words: for the tower.
            inside, size: of the input.

        Raises:
            ValueError: in a sentence.
        """
        if self.inside != inside:
            raise ValueError(f"its {words} takes {self.inside} channels; {inside} are given.")
        given, values = size, self.first * math.prod(size)
        work = 9.0 * inside * values
        for block in self.blocks:
            values = max(values, max(block.outside, block.inner) * math.prod(size))
            work += block.work(size)
            size = block.after(size)
        if size != (1, 1):
            left, whole = (f"{height} x {width}" for height, width in (size, given))
            raise ValueError(f"its {words} leaves {left} places of {whole}; one is needed.")
        if work > MOST_WORK or values > MOST_VALUES:
            raise ValueError(f"its {words} takes {work / 1e9:.0f} billion multiplications a frame.")


def plan_of(name: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Plan:
    """Read the sizes of a tower.

    Args:
        name: ``audio_encoder`` or ``visual_encoder``.
        config: may say ``downsample_factors`` under that name, as LatentSync's own.
        tensors: of the whole network.

    Raises:
        KeyError: when a tensor is missing.
        ValueError: for what cannot be, in a sentence.
    """
    named = {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}
    numbers = {int(key.split(".")[1]) for key in named if key.startswith("down_blocks.")}
    if not 0 < len(numbers) == max(numbers) + 1 <= MOST_BLOCKS:
        raise ValueError(f"its {name} has {len(numbers)} blocks, not 1 to {MOST_BLOCKS} in a row.")
    heres = [f"down_blocks.{number}." for number in sorted(numbers)]
    mixers = [here + "attn.to_q.weight" in named for here in heres]
    steps = _steps(name, config, mixers.count(False))
    blocks = []
    for here, is_mixer in zip(heres, mixers, strict=True):
        if is_mixer:
            width, inner = named[here + "ff.net.2.weight"].shape
            blocks.append(Block(width, width, inner=inner))
            continue
        outside, inside = named[here + "conv1.weight"].shape[:2]
        block = Block(inside, outside, next(steps))
        if (here + "downsample_conv.weight" in named) == (block.step == 1):
            raise ValueError(f"its {name} does not shrink by {block.step} after {here[:-1]}.")
        blocks.append(block)
    first, inside = named["conv_in.weight"].shape[:2]
    return Plan(inside, first, tuple(blocks))


def _steps(name: str, config: Mapping[str, Any], count: int) -> Iterator[Step]:
    """Steps after the ``count`` blocks of convolutions."""
    tower = config.get(name)
    stated = tower.get("downsample_factors") if isinstance(tower, Mapping) else None
    if stated is None:
        known = next((steps for steps in PUBLISHED[name] if len(steps) == count), None)
        if known is None:
            raise ValueError(f"its {name} has {count} blocks; config.json says no steps for them.")
        return iter(known)
    listed = stated if isinstance(stated, list) else [stated]
    steps = [tuple(step) if isinstance(step, list) else step for step in listed]
    for step in steps:
        pair = step if isinstance(step, tuple) else (step, step)
        if len(pair) != 2 or any(type(n) is not int or not 1 <= n <= MOST_STEP for n in pair):
            raise ValueError(f"config.json says steps of {str(step)[:40]} for {name}.")
    if len(steps) != count:
        raise ValueError(f"config.json says {len(steps)} steps for the {count} blocks of {name}.")
    return iter(steps)
