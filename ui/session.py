"""What does one visitor's session need, whatever tab it is on?

Settings from what was chosen, the analysis itself (on a ZeroGPU device where there is one), limits
of a shared machine. Imports analysis and what lies before it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from analysis import Analysis, Settings, analyze
from detectors.base import Finding
from detectors.registry import names, role_of
from errors import UserError
from hub import catalog
from hub.spacefile import Space
from hub.store import EMBEDDED, NONE, looks_like_folder
from media.mode import Mode
from media.reader import open_reader
from media.windows import plan
from report.export import to_json
from report.language import ENGLISH, Language
from report.render import render
from report.seal import Chain
from stop import Stop, current_stop
from ui import keeping
from ui.jobs import is_hosted, progressed, show_progress, visitors_language
from ui.texts import label

try:  # there on ZeroGPU Spaces only; wants to be imported before CUDA is used
    import spaces  # pyright: ignore[reportMissingImports]
except ImportError:
    spaces = None

BEAT_S = 0.9  # so that progress is told at least once a second
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
JOB: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": None,
}  # ui.line has its own
CHAIN = Chain(partial(print, flush=True))  # hashes and the level, no names
GPU_BASE_S, GPU_WINDOW_S, GPU_MOST_S = 20, 6, 120  # ZeroGPU seconds: to start, a window, at most


@dataclass(frozen=True)
class Done:
    """What one visitor's session holds after an analysis."""

    path: str
    analysis: Analysis


@dataclass(frozen=True)
class Step:
    """Where an analysis stands.

    Attributes:
        fraction: 0..1 of the work.
        text: what is being done.
        finding: what a detector says so far, when that is the news.
        share: 0..1 of the windows that it has seen.
    """

    fraction: float
    text: str
    finding: Finding | None = None
    share: float = 0.0


Listener = Callable[[Step], None]


def shown(step: Step) -> None:
    """Tell a step where Gradio shows the progress of an event."""
    show_progress(step.fraction, visitors_language()(step.text))


def gpu_seconds(path: str, settings: Settings, stop: Stop, references: Sequence[str] = ()) -> int:
    """ZeroGPU time to ask for, s: what the windows of the file and its references need, no more."""
    windows = window_count(path, settings.mode)
    windows += sum(window_count(reference, Mode.QUICK) for reference in references)
    return min(GPU_MOST_S, GPU_BASE_S + GPU_WINDOW_S * windows)


def window_count(path: str, mode: Mode) -> int:
    """How many windows of a file are examined; none of one that cannot be read."""
    try:
        with open_reader(path) as clip:
            return len(plan(clip.duration_s, mode))
    except UserError:  # told by the analysis
        return 0


def on_gpu(function: Callable) -> Callable:
    """Run on a ZeroGPU device where there is one; unchanged elsewhere."""
    return spaces.GPU(duration=gpu_seconds)(function) if spaces is not None else function


def examine(
    path: str,
    settings: Settings,
    tell: Listener = shown,
    references: Sequence[str] = (),
) -> Analysis:
    """Analyze a file, against recordings given as real where there are any.

    Every step is told, and the last one again where nothing new comes for `BEAT_S`.
    """
    for file in (path, *references):
        keeping.touch(file)
    for step in _steps(path, settings, current_stop(), references):
        if isinstance(step, Analysis):
            CHAIN.add(to_json(step))
            return step
        progressed(step.fraction)
        tell(step)
    raise RuntimeError("an analysis ended without a result")


@on_gpu
def _steps(
    path: str, settings: Settings, stop: Stop, references: Sequence[str]
) -> Iterator[Step | Analysis]:
    """The steps of an analysis, then its result; a second never goes by without a step.

    A generator, because it may run elsewhere.
    """
    steps: queue.Queue[Step | Analysis | BaseException] = queue.Queue()
    last = Step(0.0, "")

    def on_progress(fraction: float, text: str) -> None:
        nonlocal last
        last = Step(fraction, text)
        steps.put(last)

    def on_finding(finding: Finding, share: float) -> None:
        steps.put(Step(last.fraction, last.text, finding, share))

    def work() -> None:
        try:
            steps.put(
                analyze(
                    path,
                    settings,
                    on_progress,
                    on_finding=on_finding,
                    stop=stop,
                    references=references,
                )
            )
        except BaseException as error:  # handed to the reader of the steps
            steps.put(error)

    thread = threading.Thread(target=work, name="analysis", daemon=True)
    thread.start()
    ended = False
    try:
        while not ended:
            try:
                step = steps.get(timeout=BEAT_S)
            except queue.Empty:
                step = last  # told again: who waits shall see that it is alive
            ended = isinstance(step, Analysis | BaseException)
            if isinstance(step, BaseException):
                raise step
            yield step
    finally:
        if not ended:  # nobody reads on: the thread must not outlive its job
            stop.ask()
        thread.join()


def chosen_settings(
    mode: str,
    detectors: list[str] | None = None,
    stability: bool = True,
    specs: Mapping[str, str | None] | None = None,
    answers: Mapping[str, str | None] | None = None,
) -> Settings:
    """Settings from what was chosen; refuses folders of the server on a Space."""
    picked = {
        r: s.strip() for r, s in (specs or {}).items()
        if s and s.strip() not in ("", EMBEDDED, NONE)
    }  # fmt: skip
    for spec in picked.values():
        if is_hosted() and looks_like_folder(spec):
            raise UserError("weights_refused", "Folders of this machine cannot be chosen here.")
    words = {r: a for r, a in (answers or {}).items() if r in picked and a and a.strip()}
    labels = {r: _labels(text) for r, text in words.items()}
    return Settings(Mode(mode), tuple(detectors or names()), picked, labels, stability=stability)


def _labels(text: str) -> tuple[str, ...]:
    """ "fake, 2" → ("fake", "2"); "none" → ()."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    return () if parts in (("none",), ("None",)) else parts


def check_limits(path: str, settings: Settings, space: Space) -> None:
    """Refuse what would hold up all other visitors of a Space."""
    if not is_hosted() or settings.mode != Mode.THOROUGH:
        return
    with open_reader(path) as clip:
        if clip.duration_s > space.max_minutes * 60:
            raise UserError(
                "too_long",
                f"The clip is longer than {space.max_minutes} minutes: choose “quick”, which looks "
                "at stretches spread over it, or run the program on your own machine.",
            )


def alert(error: UserError, language: Language = ENGLISH) -> str:
    """An error as a sentence on the page."""
    return render("alert", language, sentence=error.sentence, code=error.code)


def specs_of(role: str) -> list[tuple[str, str]]:
    """Choices of the catalog for a role; labels are text, so that an event may send them."""
    known = [source for source in catalog.search("", role) if source.usable]
    comes, none = str(label("Comes with the program")), str(label("None comes with the program"))
    choices = [
        (comes if source.spec == EMBEDDED else source.repo_id or source.name, source.spec)
        for source in known
    ]
    return [(none, NONE), *choices] if role_of(role).empty else choices


def stem_of(name: str) -> str:
    """A file name without its ending, short enough for a file of results."""
    return Path(name).stem[:60] or "file"
