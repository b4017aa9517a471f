"""What does one visitor's session need, whatever tab it is on?

Settings from what was chosen, the analysis itself (on a ZeroGPU device where there is one), limits
of a shared machine. Imports analysis and what lies before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from analysis import Analysis, Settings, analyze
from detectors.registry import DETECTORS
from errors import UserError
from hub import catalog
from hub.space import Space
from hub.store import EMBEDDED, looks_like_folder
from media.clip import Clip
from report import cards
from report.export import to_json
from report.seal import next_line
from stop import Stop
from ui import keeping
from ui.jobs import current_stop, is_hosted

try:  # there on ZeroGPU Spaces only; wants to be imported before CUDA is used
    import spaces  # pyright: ignore[reportMissingImports]
except ImportError:
    spaces = None

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
QUEUE = "analysis"  # one analysis at a time: it takes all cores
GPU_BASE_S, GPU_WINDOW_S, GPU_WINDOWS_S = 20, 6, 120  # ZeroGPU seconds: to start, a window, at most
ROLES = tuple(d.name for d in DETECTORS)


@dataclass(frozen=True)
class Done:
    """What one visitor's session holds after an analysis."""

    path: str
    analysis: Analysis


def gpu_seconds(path: str, settings: Settings, progress: Any, stop: Stop) -> int:
    """ZeroGPU time to ask for: what the window plan needs, no more."""
    windows = 4 if settings.mode == "quick" else 16
    return min(GPU_WINDOWS_S, GPU_BASE_S + GPU_WINDOW_S * windows)


def on_gpu(function: Callable) -> Callable:
    """Run on a ZeroGPU device where there is one; unchanged elsewhere."""
    return spaces.GPU(duration=gpu_seconds)(function) if spaces is not None else function


def examine(path: str, settings: Settings, progress: Any = None) -> Analysis:
    """Analyse a file and report real fractions to a Gradio progress bar."""
    keeping.touch(path)
    found = _examine(path, settings, progress, current_stop())
    print(next_line(to_json(found)).text(), flush=True)  # hashes and the level, no names
    return found


@on_gpu
def _examine(path: str, settings: Settings, progress: Any, stop: Stop) -> Analysis:

    def told(fraction: float, text: str) -> None:
        if progress is not None:  # an unused gr.Progress is false: its length is 0
            progress(fraction, desc=text)

    return analyze(path, settings, told, stop=stop)


def chosen_settings(
    mode: str,
    detectors: list[str] | None = None,
    stability: bool = True,
    specs: Mapping[str, str | None] | None = None,
    answers: Mapping[str, str | None] | None = None,
) -> Settings:
    """Settings from what was chosen; refuses folders of the server on a Space."""
    picked = {
        r: s.strip() for r, s in (specs or {}).items() if s and s.strip() not in ("", EMBEDDED)
    }
    for spec in picked.values():
        if is_hosted() and looks_like_folder(spec):
            raise UserError("weights_refused", "Folders of this machine cannot be chosen here.")
    said = {r: a for r, a in (answers or {}).items() if r in picked and a and a.strip()}
    labels = {r: _labels(text) for r, text in said.items()}
    return Settings(mode, tuple(detectors or ROLES), picked, labels, stability=stability)


def _labels(text: str) -> tuple[str, ...]:
    """ "fake, 2" → ("fake", "2"); "none" → ()."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    return () if parts in (("none",), ("None",)) else parts


def check_limits(path: str, settings: Settings, space: Space) -> None:
    """Refuse what would hold up all other visitors of a Space."""
    if not is_hosted() or settings.mode != "thorough":
        return
    with Clip(path) as clip:
        if clip.duration_s > space.max_minutes * 60:
            raise UserError(
                "too_long",
                f"The clip is longer than {space.max_minutes} minutes: choose “quick”, which looks "
                "at stretches spread over it, or run the program on your own machine.",
            )


def boxed(html: str) -> str:
    """The frame that report.css styles."""
    return f"<div class='ev'>{html}</div>"


def alert(error: UserError) -> str:
    """An error as a sentence on the page."""
    sentence = cards.sentences([error.sentence])
    return boxed(f"<div class='alert' role='alert'><h3>This did not work</h3>{sentence}</div>")


def specs_of(role: str) -> list[tuple[str, str]]:
    """Choices of the catalogue for a role."""
    known = [source for source in catalog.search("", role) if source.usable]
    return [(source.repo_id or "Comes with the program", source.spec) for source in known]
