"""What must an analysis cost at least?

The floor is one decoding of the examined windows, one search for faces in every k-th frame, and the
networks alone on tensors that are ready, in the batch that suits this machine best. Nothing is cut
out, followed, measured or weighed. Imports media, detectors and analysis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis import Settings, analyze, load_detector
from benchmarks.measure import cost_of
from detectors.pool import Pool
from detectors.registry import role_of
from media.clip import Clip
from media.faces import FaceFinder
from media.tracks import SEARCH_EVERY
from media.windows import plan

BATCHES = (1, 4, 16)  # images at a time that are tried


@dataclass
class Calls:
    """What one network was asked in an analysis.

    Attributes:
        network: itself.
        inputs: the tensors, all of one shape but for their first side.
        other: whatever else it was given, by place and by name.
        keyword: the name of the tensor, where it was given by name.
        batch: how many rows at a time cost least.
    """

    network: nn.Module
    inputs: list[torch.Tensor]
    other: tuple[tuple[Any, ...], dict[str, Any]]
    keyword: str | None
    batch: int = BATCHES[0]
    rows: torch.Tensor = field(init=False)

    def run(self) -> None:
        """Ask it all again, in batches."""
        self._ask(self.rows)

    def choose_batch(self) -> None:
        """Join the inputs, and keep the batch that costs least, tried on some of them."""
        self.rows = torch.cat(self.inputs)
        costs = {}
        for self.batch in BATCHES:
            costs[self.batch] = cost_of(lambda: self._ask(self.rows[: BATCHES[-1]])).cpu_s
            if self.batch >= len(self.rows):
                break
        self.batch = min(costs, key=lambda size: costs[size])

    def _ask(self, rows: torch.Tensor) -> None:
        more, named = self.other
        with torch.inference_mode():
            for part in rows.split(self.batch):
                if self.keyword is None:
                    self.network(part, *more, **named)
                else:
                    self.network(*more, **{self.keyword: part, **named})


class Networks:
    """The networks of an analysis, with the tensors that it gave them."""

    def __init__(self, path: Path, settings: Settings, pool: Pool) -> None:
        self._calls: dict[tuple, Calls] = {}
        modules: dict[int, nn.Module] = {}
        for name in settings.detectors:
            if role_of(name).empty:  # no checkpoint comes with the program
                continue
            for module in _modules(load_detector(name, settings, pool)):
                modules[id(module)] = module
        with self._listening(list(modules.values())):
            self.analysis = analyze(path, settings, pool=pool)
        for calls in self._calls.values():
            calls.choose_batch()

    def run(self) -> None:
        """Ask all of them again what they were asked."""
        for calls in self._calls.values():
            calls.run()

    @contextmanager
    def _listening(self, modules: Sequence[nn.Module]) -> Iterator[None]:
        hooks = [m.register_forward_pre_hook(self._note, with_kwargs=True) for m in modules]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _note(self, network: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        keyword = None if given else next(n for n, v in named.items() if torch.is_tensor(v))
        rows = given[0] if keyword is None else named[keyword]
        other = given[1:], {n: v for n, v in named.items() if n != keyword}
        key = (id(network), tuple(rows.shape[1:]), str(other))
        self._calls.setdefault(key, Calls(network, [], other, keyword)).inputs.append(rows.clone())


def _modules(detector: Any) -> Iterator[nn.Module]:
    """The networks of torch that a detector asks, its own and the shared one."""
    for held in (detector.network, detector.shared):
        parts = (
            [held] if isinstance(held, nn.Module) else list(getattr(held, "__dict__", {}).values())
        )
        yield from (part for part in parts if isinstance(part, nn.Module))


def decode(path: Path, settings: Settings) -> None:
    """Decode the examined windows once."""
    with Clip(path) as clip:
        for stretch in plan(clip.duration_s, settings.mode):
            for _ in clip.frames(stretch.start_s, stretch.stop_s):
                pass


def search(path: Path, settings: Settings) -> Callable[[], None]:
    """A search for faces in every k-th frame of the examined windows, decoded beforehand."""
    with Clip(path) as clip:
        images = [
            image
            for stretch in plan(clip.duration_s, settings.mode)
            for index, (_, image) in enumerate(clip.frames(stretch.start_s, stretch.stop_s))
            if index % SEARCH_EVERY == 0
        ]

    def work() -> None:
        with FaceFinder() as finder:
            for image in images:
                finder.find(image)

    return work
