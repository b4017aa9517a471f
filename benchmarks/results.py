"""How are the figures written down?

`RESULTS.md` has a section for each part; a run replaces the sections that it measured. Imports
nothing of the project but its version.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import cv2
import psutil
import torch

from version import __version__

FILE = Path(__file__).with_name("RESULTS.md")
PACKAGES = ("torch", "transformers", "av", "opencv-contrib-python", "mediapipe", "numpy")
HEAD = """# Benchmark

Made by `make bench` (`python -m benchmarks`). Ratios are what counts: seconds are those of one
machine. CPU seconds are of all processes of the program together. All clips are generated
(`clips.py`).
"""


@dataclass(frozen=True)
class Section:
    """One table.

    Attributes:
        title: heading of its section.
        header: of the columns.
        rows: words, numbers, or None for an empty cell.
        note: what was measured and how.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]
    note: str

    def markdown(self) -> str:
        """The section with its heading, machine and date."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        table = "\n".join(f"| {' | '.join(_cell(c) for c in line)} |" for line in lines)
        return f"## {self.title}\n\n{self.note}\n{machine()}\n\n{table}\n"


def _cell(value: str | float | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def machine() -> str:
    """Processor, threads, memory, versions and day, as a sentence."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{processor()}, {psutil.cpu_count()} cores, {torch.get_num_threads()} threads of PyTorch, "
        f"{cv2.getNumThreads()} of OpenCV, {psutil.virtual_memory().total / 2**30:.0f} GiB; "
        f"deepfake-detector {__version__}, Python {platform.python_version()}, {packages}; "
        f"{datetime.now(UTC):%Y-%m-%d}."
    )


def processor() -> str:
    """The model of the processor, with the instructions that decide about fast integers."""
    info = Path("/proc/cpuinfo")
    text = info.read_text("utf-8") if info.exists() else ""
    model = re.search(r"model name\s*: (.+)", text)
    flags = [flag for flag in ("avx2", "avx512_vnni", "amx_int8") if f" {flag}" in text]
    return f"{model[1] if model else platform.machine()} ({', '.join(flags) or 'plain'})"


def write(sections: Sequence[Section], file: Path = FILE) -> None:
    """Put sections into the file, in place of former ones of the same title."""
    parts = re.split(r"^(?=## )", file.read_text("utf-8"), flags=re.M) if file.exists() else [HEAD]
    stored = {part.partition("\n")[0]: part for part in parts[1:]}
    stored |= {f"## {section.title}": section.markdown() for section in sections}
    file.write_text("\n".join([HEAD, *(part.strip() + "\n" for part in stored.values())]), "utf-8")
