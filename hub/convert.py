"""How does a pickled checkpoint of a known layout become a folder that may be used?

The file is opened once, in a child process without network, with torch's restricted unpickler, and
never elsewhere. What comes back are tensors; their names must belong to one layout. Writes
config.json, model.safetensors and README.md. Imports errors and hub.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import UserError
from hub.checks import WEIGHTS, read_header, refuse
from hub.checksums import sha256_of
from hub.layouts import AVHUBERT, GEND, SIMLBR, STABLE_SYNCNET, SYNCNET, Layout

ROOT = Path(__file__).resolve().parent.parent
MAX_PICKLE_BYTES = 4_000_000_000
TIME_LIMIT_S = 900
ENDINGS = (".pt", ".pth", ".ckpt", ".bin", ".model")
RISK = (
    "A pickle can run code when it is opened. It was opened in a process of its own with the "
    "restricted loader, which builds tensors only, {network}. The weights may still be made to "
    "mislead: check their direction on your own files."
)
_KNOWN_BY = (
    ("netcnnaud.", SYNCNET),
    ("visual_encoder.", STABLE_SYNCNET),
    ("feature_extractor_video.", AVHUBERT),
    ("feature_extractor.", GEND),
    ("backbone.model.", SIMLBR),
)
Header = Mapping[str, tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class Converted:
    """What a conversion gave: the folder, its layout, and a sentence about the risk."""

    folder: Path
    layout: Layout
    risk: str


def convert(source: Path, to: Path) -> Converted:
    """Turn a .pt, .pth, .ckpt, .bin or .model file into a safetensors folder.

    Args:
        source: the pickled file.
        to: a folder that does not exist yet, or is empty.

    Raises:
        UserError: ``weights_missing``, ``weights_refused`` or ``bad_settings``.
    """
    _check(source, to)
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent) as name:
        weights = Path(name) / WEIGHTS
        _open_in_a_child(source, weights)
        header, network = read_header(weights), _network_of(weights)
        layout = _layout_of(source.name, header)
        os.replace(weights, to / WEIGHTS)
    config = _config(layout, header)
    (to / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    risk = RISK.format(network=network)
    (to / "README.md").write_text(_readme(source, layout, risk), encoding="utf-8")
    return Converted(to, layout, risk)


def _check(source: Path, to: Path) -> None:
    if not source.is_file():
        raise UserError("weights_missing", f"The file {source.name} was not found.")
    if source.suffix.lower() not in ENDINGS:
        raise refuse(f"{source.name} is none of {', '.join(ENDINGS)}.")
    if source.stat().st_size > MAX_PICKLE_BYTES:
        raise refuse(f"{source.name} is larger than {MAX_PICKLE_BYTES / 1e9:.0f} GB.")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError("bad_settings", f"The folder “{to.name}” is not empty.")


def _open_in_a_child(source: Path, target: Path) -> None:
    """Let ``hub.unpickle`` open the file, with nothing of our environment but the way to Python."""
    selected = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
    command = [sys.executable, "-m", "hub.unpickle", str(source.resolve()), str(target.resolve())]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env={**selected, "OMP_NUM_THREADS": "1"}, timeout=TIME_LIMIT_S,
            check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise refuse(f"{source.name} could not be read within {TIME_LIMIT_S} s.") from error
    if done.returncode != 0 or not target.is_file():
        why = done.stdout.strip()[:300] or "the process that opened it came to grief"
        raise refuse(f"{source.name} was not converted: {why}.")


def _network_of(weights: Path) -> str:
    """What the child says about its network, out of the file's metadata."""
    with weights.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    cut_off = header.get("__metadata__", {}).get("network") == "none"
    return "without network" if cut_off else "but this kernel did not let it give up the network"


def _layout_of(name: str, header: Header) -> Layout:
    for part, layout in _KNOWN_BY:
        if any(part in key for key in header):
            missing = [
                words for p, words in layout.towers.items() if not any(p in k for k in header)
            ]
            if missing:
                raise refuse(f"{name} looks like {layout.title} but has no {missing[0]}.")
            return layout
    known = ", ".join(layout.title for _, layout in _KNOWN_BY)
    raise refuse(f"{name} is of no known layout; known are {known}.")


def _config(layout: Layout, header: Header) -> dict[str, Any]:
    """A config for what the names and shapes of the tensors say."""
    if layout in (SYNCNET, STABLE_SYNCNET):
        return {"model_type": layout.name}
    if layout is AVHUBERT:  # all that fairseq published has its norms first
        return {"model_type": "av_hubert", "layer_norm_first": True}
    if layout is SIMLBR:
        return {"model_type": "simlbr"}
    clip = any("vision_model." in key for key in header)
    perception = any("attn_pool." in key for key in header)
    backbone = "clip" if clip else "vit_pe" if perception else "dinov3"
    return {"model_type": "GenD", "backbone": backbone, "head": "LinearNorm"}


def _readme(source: Path, layout: Layout, risk: str) -> str:
    name = re.sub(r"[^\w.-]", "_", source.name)
    return (
        f"# {layout.title}, converted\n\nFrom `{name}`, sha256 `{sha256_of(source)}`. {risk}\n\n"
        "The license is that of the file's author, who is to be asked before it is shared.\n"
    )
