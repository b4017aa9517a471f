"""May we trust these files?

Judges file listings and the header of model.safetensors before anything is built from them
(`hub.configs` judges config.json). Reads no tensor and runs nothing that came with the weights.
Imports errors.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from errors import UserError

MAX_LISTED_FILES = 400
"""Files in a repo. Training runs with dozens of saved steps stay below; data dumps do not."""
MAX_WEIGHT_BYTES = 2_000_000_000
"""Bytes of model.safetensors: VideoMAE-Large in fp32 has 1.2e9."""
MAX_SMALL_BYTES = 2_000_000
"""Bytes of any config, card or README."""
MAX_HEADER_BYTES = 10_000_000
"""Bytes of a safetensors header: a thousand times a ViT's."""
MAX_TENSORS = 20_000
"""Tensors of one checkpoint: a ViT-L has 400."""
DTYPE_BYTES = {
    **{"F64": 8, "F32": 4, "F16": 2, "BF16": 2},
    **{"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1},
}
"""Kinds of numbers that are read here; those of quantized weights are not."""
WEIGHTS = "model.safetensors"
SMALL_FILES = (
    "config.json",
    "card.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
    "README.md",
    "LICENSE",
)
"""Everything that is ever downloaded, together with WEIGHTS."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".joblib")

_METADATA = "__metadata__"
_HEAD_NAME = re.compile(r"(?i)classif|head|fc|score|logits")


def refuse(sentence: str) -> UserError:
    """Return the error for weights that we will not use."""
    return UserError("weights_refused", sentence)


def check_listing(name: str, sizes: Mapping[str, int]) -> list[str]:
    """Judge a repo or folder by its file list and return the files that are wanted.

    Args:
        name: for the sentence.
        sizes: path in the repo → bytes (0 when unknown).

    Raises:
        UserError: ``weights_refused`` or ``weights_missing``.
    """
    if len(sizes) > MAX_LISTED_FILES:
        raise refuse(
            f"{name} has {len(sizes)} files, more than {MAX_LISTED_FILES}: that is no checkpoint."
        )
    for path in sizes:
        if path.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", path) or "\0" in path:
            raise refuse(f"{name} lists a file whose name leaves its folder: {path[:80]!r}.")
    if "adapter_config.json" in sizes:
        raise refuse(f"{name} is an adapter to other weights; merge it and publish the result.")
    if WEIGHTS not in sizes:
        raise _without_weights(name, sizes)
    if sizes[WEIGHTS] > MAX_WEIGHT_BYTES:
        raise refuse(
            f"{name} has {sizes[WEIGHTS] / 1e9:.1f} GB of weights; the limit is "
            f"{MAX_WEIGHT_BYTES / 1e9:.0f} GB."
        )
    if "config.json" not in sizes:
        raise refuse(f"{name} has no config.json, so its architecture is unknown.")
    small = [path for path in SMALL_FILES if path in sizes]
    for path in small:
        if sizes[path] > MAX_SMALL_BYTES:
            raise refuse(f"{path} of {name} has {sizes[path] / 1e6:.0f} MB: far too large.")
    return [*small, WEIGHTS]


def read_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return ``{tensor name: (dtype, shape)}`` of a safetensors file; reads no tensor.

    Raises:
        UserError: ``weights_refused`` for anything that is not a complete safetensors file, or
            whose header tells another size than its tensors have.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 10 or not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise refuse(f"{path.name} is not a safetensors file.")
        try:
            header = json.loads(file.read(length))
            tensors = [_tensor(key, entry) for key, entry in header.items() if key != _METADATA]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise refuse(f"{path.name} has a broken header.") from error
    if not tensors:
        raise refuse(f"{path.name} holds no weights.")
    if len(tensors) > MAX_TENSORS:
        raise refuse(f"{path.name} holds {len(tensors)} tensors; no detector has so many.")
    end = 0
    for tensor in sorted(tensors, key=lambda tensor: (tensor.start, tensor.stop)):
        if tensor.start != end or tensor.stop - tensor.start != tensor.bytes:
            raise refuse(f"{path.name} has a header that lies about its tensors.")
        end = tensor.stop
    if 8 + length + end != size:
        raise refuse(f"{path.name} is cut off or has bytes that no tensor owns; fetch it again.")
    return {tensor.name: (tensor.dtype, tensor.shape) for tensor in tensors}


class _Tensor(NamedTuple):
    """One entry of a header: bytes ``start`` to ``stop`` after it, ``bytes`` by its shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int
    bytes: int


def _tensor(name: str, entry: Mapping[str, Any]) -> _Tensor:
    dtype, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if any(type(value) is not int or value < 0 for value in (*shape, start, stop)):
        raise ValueError("sizes and offsets are whole numbers")
    return _Tensor(name, dtype, tuple(shape), start, stop, math.prod(shape) * DTYPE_BYTES[dtype])


def check_head(name: str, header: Mapping[str, tuple[str, tuple[int, ...]]], n_labels: int) -> None:
    """Refuse a backbone without classifier: loading it would draw a random one.

    The head is a matrix, or a 1x1 convolution, whose name says so and which has one row a label.
    """
    result: list[int] = []
    for key, (_, shape) in header.items():
        if len(shape) in (2, 4) and key.endswith("weight") and _HEAD_NAME.search(key):
            result.append(shape[0])
    if n_labels not in result:
        raise refuse(
            f"{name} has no classification head for its {n_labels} label(s): it is a backbone, "
            "and a detector made of it would guess at random."
        )


def _without_weights(name: str, files: Iterable[str]) -> UserError:
    files = list(files)
    if any(path.endswith("model.safetensors.index.json") for path in files):
        return refuse(f"{name} has its weights in several parts; one {WEIGHTS} is needed.")
    pickles = [path for path in files if path.endswith(PICKLES)]
    if pickles:
        return refuse(
            f"{name} has only {pickles[0][:60]!r}, a format that can run code when it is opened, "
            f"so it was not downloaded. Ask its author for {WEIGHTS}, or convert it yourself on a "
            "machine you can lose and give the folder here."
        )
    return UserError("weights_missing", f"{name} has no {WEIGHTS}.")
