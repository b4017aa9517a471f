"""How are lips and voice encoded by SyncNet?

The two towers of SyncNet (Chung & Zisserman 2016, "Out of time"), in the layout of its published
weights: names and shapes as in joonson/syncnet_python, SyncNetModel.py at 5befaa3. Five frames of
the face in color, 200 ms, and twenty columns of cepstra, each to one vector. Channels are read off
the tensors. Never sees a file. Imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

FRAMES = 5  # of video in one embedding
COLUMNS = 20  # of cepstra in one embedding
HOP = 4  # columns a frame of video
CEPSTRA = 13
FACE_PX = 224


class SyncNet(nn.Module):
    """Faces and cepstra to vectors, one for each start of 200 ms on a grid of 40 ms."""

    def __init__(self, audio: tuple[int, ...], lips: tuple[int, ...], size: int) -> None:
        """Args: channels after each convolution of both towers (6 each), and the vectors' size."""
        super().__init__()
        self.netcnnaud = _audio_tower(audio)
        self.netcnnlip = _lip_tower(lips)
        self.netfcaud = _outlet(audio[-1], size)
        self.netfclip = _outlet(lips[-1], size)

    def hear(self, cepstra: Tensor) -> Tensor:
        """(k, 13) cepstra at 100 Hz to (n, size): one row for each 200 ms."""
        windows = cepstra.unfold(0, COLUMNS, HOP)[:, None]  # (n, 1, 13, 20)
        return self.netfcaud(self.netcnnaud(windows).flatten(1))

    def look(self, faces: Tensor) -> Tensor:
        """(n, 224, 224, 3) BGR 0..255 at 25 Hz to (n - 4, size)."""
        x = self.netcnnlip(faces.permute(3, 0, 1, 2)[None].float())  # (1, c, n - 4, 1, 1)
        return self.netfclip(x[0, :, :, 0, 0].T)


def build_syncnet(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> SyncNet:
    """Build both towers from their tensors.

    Raises:
        KeyError, RuntimeError: when tensors are missing or do not fit each other.
    """
    named = {key.removeprefix("__S__."): value for key, value in tensors.items()}
    audio, lips = _channels(named, "netcnnaud"), _channels(named, "netcnnlip")
    with torch.device("meta"):
        network = SyncNet(audio, lips, len(named["netfcaud.3.weight"]))
    network.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in named.items()}, assign=True
    )
    return network


def _channels(named: Mapping[str, Tensor], tower: str) -> tuple[int, ...]:
    """Channels after each convolution of a tower, in its order."""
    result = {
        int(key.split(".")[1]): len(value)
        for key, value in named.items()
        if key.startswith(f"{tower}.") and key.endswith(".weight") and value.ndim > 1
    }
    return tuple(result[index] for index in sorted(result))


def _audio_tower(c: tuple[int, ...]) -> nn.Sequential:
    return nn.Sequential(
        *_conv2d(1, c[0], 3, 1), nn.MaxPool2d(1, 1),
        *_conv2d(c[0], c[1], 3, 1), nn.MaxPool2d(3, (1, 2)),
        *_conv2d(c[1], c[2], 3, 1),
        *_conv2d(c[2], c[3], 3, 1),
        *_conv2d(c[3], c[4], 3, 1), nn.MaxPool2d(3, 2),
        *_conv2d(c[4], c[5], (5, 4), 0),
    )  # fmt: skip


def _lip_tower(c: tuple[int, ...]) -> nn.Sequential:
    return nn.Sequential(
        *_conv3d(3, c[0], (FRAMES, 7, 7), 2, 0), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *_conv3d(c[0], c[1], (1, 5, 5), 2, 1), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        *_conv3d(c[1], c[2], (1, 3, 3), 1, 1),
        *_conv3d(c[2], c[3], (1, 3, 3), 1, 1),
        *_conv3d(c[3], c[4], (1, 3, 3), 1, 1), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *_conv3d(c[4], c[5], (1, 6, 6), 1, 0),
    )  # fmt: skip


def _conv2d(inside: int, outside: int, kernel: int | tuple[int, int], padding: int) -> tuple:
    conv = nn.Conv2d(inside, outside, kernel, padding=padding)
    return conv, nn.BatchNorm2d(outside), nn.ReLU()


def _conv3d(
    inside: int, outside: int, kernel: tuple[int, int, int], stride: int, padding: int
) -> tuple:
    steps, edges = (1, stride, stride), (0, padding, padding)
    conv = nn.Conv3d(inside, outside, kernel, steps, edges)
    return conv, nn.BatchNorm3d(outside), nn.ReLU()


def _outlet(inside: int, size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inside, inside), nn.BatchNorm1d(inside), nn.ReLU(), nn.Linear(inside, size)
    )
