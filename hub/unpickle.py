"""The child process that opens one pickled checkpoint, and nothing else.

``python -m hub.unpickle FILE OUT`` (OUT: a safetensors file). It gives up the network, bounds its
own memory, time and output, and lets torch's restricted unpickler build tensors only
(``weights_only``). Objects of known frameworks that lie beside the tensors are replaced by inert
ones: their names are allowed, their code is neither needed nor imported. Imports torch.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
from collections.abc import Iterator, Mapping
from typing import Any

MAX_MEMORY_BYTES = 16_000_000_000  # address space; a file of 2 GB and its copies need about 7
MAX_CPU_S = 600
MAX_OUTPUT_BYTES = 4_000_000_000
MAX_DEPTH = 4  # dictionaries within dictionaries around the tensors
CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000  # linux/sched.h
NAMED = (
    "argparse.Namespace",
    "fairseq.data.dictionary.Dictionary",
    "fairseq.data.encoders.sentencepiece_bpe.SentencepieceBPE",
    "sentencepiece.SentencePieceProcessor",
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.nodes.AnyNode",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "typing.Any",
    "_codecs.encode",
)
"""Globals of fairseq, omegaconf and Lightning that lie in checkpoints of known layouts."""


class Inert:
    """Takes the place of any object: swallows its arguments and its state."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        """Swallow an item."""

    def extend(self, values: object) -> None:
        """Swallow items."""


def give_up_the_network() -> bool:
    """Enter an empty network namespace; False where the kernel does not allow it."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0
    except (OSError, AttributeError):
        return False


def limit() -> None:
    """Bound memory, time and output of this process."""
    for what, most in (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_CPU, MAX_CPU_S),
        (resource.RLIMIT_FSIZE, MAX_OUTPUT_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def tensors_of(loaded: object, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every tensor in nested dictionaries, by its last names."""
    import torch

    if not isinstance(loaded, Mapping) or depth > MAX_DEPTH:
        return
    for key, value in loaded.items():
        if isinstance(value, torch.Tensor):
            yield f"{prefix}{key}", value
        elif isinstance(value, Mapping):
            inner = f"{prefix}{key}." if depth else ""  # "model", "state_dict" and the like
            yield from tensors_of(value, inner, depth + 1)


def reason(error: Exception) -> str:
    """Why the restricted unpickler refused; torch's own words advise to unpickle without it."""
    found = re.search(r"GLOBAL ([A-Za-z_][\w.]{2,80})", str(error))
    if found is not None:
        return f"it holds {found[1]}, which is no tensor"
    return f"it is no checkpoint that holds tensors only ({type(error).__name__})"


def main() -> int:
    """Open the file that is named first, write the tensors to the second; say what went wrong."""
    source, target = sys.argv[1:]
    isolated = give_up_the_network()
    limit()
    import torch
    from safetensors.torch import save_file

    torch.serialization.add_safe_globals([(Inert, name) for name in NAMED])
    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True)
        found = dict(tensors_of(loaded))
    except MemoryError:
        print("it needs more memory than is allowed")
        return 1
    except Exception as error:  # a hostile file may fail in any way
        print(reason(error))
        return 1
    own = {name: value.detach().clone().contiguous() for name, value in found.items()}
    save_file(own, target, metadata={"format": "pt", "network": "none" if isolated else "open"})
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    raise SystemExit(main())
