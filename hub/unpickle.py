"""The child process that opens one pickled checkpoint, and nothing else.

``python -m hub.unpickle FILE OUT`` (OUT: a safetensors file). It bounds its own memory, time and
output, gives up the network, other processes and, with Landlock, all files but this one
(`confine`), and lets torch's restricted unpickler build tensors only (``weights_only``). Objects
of known frameworks that lie beside the tensors are replaced by inert ones: their names are allowed,
their code is neither needed nor imported. Imports confine and torch.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from confine import Limits, allow_cpu, confine, read_only, stand_alone

LIMITS = Limits(  # a file of 2 GB and its copies need about 9 GB of address space
    memory_bytes=16_000_000_000, output_bytes=4_000_000_000
)
MAX_CPU_S = 600
MAX_DEPTH = 4  # dictionaries within dictionaries around the tensors
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
    result = re.search(r"GLOBAL ([A-Za-z_][\w.]{2,80})", str(error))
    if result is not None:
        return f"it holds {result[1]}, which is no tensor"
    return f"it is no checkpoint that holds tensors only ({type(error).__name__})"


def main() -> int:
    """Open the file that is named first, write the tensors to the second; say what went wrong."""
    source, target = sys.argv[1:]
    import torch
    from safetensors.torch import save

    result_file = open(target, "wb")  # noqa: SIM115 (later no file can be opened for writing)
    allow_cpu(MAX_CPU_S)
    isolated = confine(LIMITS)
    stand_alone()
    read_only(Path(source))
    torch.serialization.add_safe_globals([(Inert, name) for name in NAMED])
    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True)
        result = dict(tensors_of(loaded))
    except MemoryError:
        print("it needs more memory than is allowed")
        return 1
    except Exception as error:  # a hostile file may fail in any way
        print(reason(error))
        return 1
    subset = {name: value.detach().clone().contiguous() for name, value in result.items()}
    with result_file:
        result_file.write(save(subset, {"format": "pt", "network": "none" if isolated else "open"}))
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    raise SystemExit(main())
