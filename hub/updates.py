"""How does a small file bring large weights up to date?

What further training changed lies beside ``model.safetensors`` as ``update.safetensors``: thin
factors of each matrix's change (LoRA, Hu et al. 2021, arXiv:2106.09685), the new values of every
small tensor. So a repository that keeps its history grows by megabytes and not by tens of them.
It belongs to folders of this machine; from the Hub it is never fetched, and what is published there
is whole. Imports hub, torch and safetensors.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hub.checks import WEIGHTS
from hub.checksums import sha256_of

if TYPE_CHECKING:
    from torch import Tensor

UPDATE = "update.safetensors"
UP, DOWN = ".up", ".down"  # NAME.up (o, r) @ NAME.down (r, i) is added to NAME (o, i)


def checksum(folder: Path) -> str:
    """Return 64 hex digits that stand for the weights of a folder, its update included."""
    weights = sha256_of(folder / WEIGHTS)
    if not (folder / UPDATE).is_file():
        return weights
    return hashlib.sha256((weights + sha256_of(folder / UPDATE)).encode()).hexdigest()


@contextmanager
def up_to_date(folder: Path) -> Iterator[Path]:
    """Yield a folder whose ``model.safetensors`` is whole: the folder itself if it has no update.

    Otherwise a temporary copy, which is gone afterwards.
    """
    if not (folder / UPDATE).is_file():
        yield folder
        return
    from safetensors.torch import load_file, save_file

    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for file in folder.iterdir():
            if file.is_file() and file.name not in (WEIGHTS, UPDATE):
                shutil.copy(file, copy / file.name)
        whole = updated(load_file(folder / WEIGHTS), load_file(folder / UPDATE))
        save_file(whole, copy / WEIGHTS, metadata={"format": "pt"})
        yield copy


def updated(weights: Mapping[str, Tensor], update: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with an update, in single precision where it changed something."""
    whole = dict(weights)
    for name, values in update.items():
        if name.endswith(UP):
            matrix = name.removesuffix(UP)
            change = values.float() @ update[matrix + DOWN].float()
            whole[matrix] = weights[matrix].float() + change
        elif not name.endswith(DOWN):
            whole[name] = values.float()
    return whole


def difference(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], rank: int
) -> dict[str, Tensor]:
    """Return the update that leads from one set of weights nearly to another, in bfloat16.

    Args:
        before, after: the same names and shapes.
        rank: of the change that is kept of a matrix; smaller tensors are kept as they are.
    """
    import torch

    update = {}
    for name, old in before.items():
        change = after[name].float() - old.float()
        if not bool(change.any()):
            continue
        if change.ndim != 2 or min(change.shape) <= rank:
            update[name] = after[name].to(torch.bfloat16).contiguous()
            continue
        left, strength, right = torch.linalg.svd(change, full_matrices=False)
        root = strength[:rank].sqrt()
        update[name + UP] = (left[:, :rank] * root).to(torch.bfloat16).contiguous()
        update[name + DOWN] = (root[:, None] * right[:rank]).to(torch.bfloat16).contiguous()
    return update
