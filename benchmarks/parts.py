"""What is measured, part by part?

Each part measures and returns a section of `RESULTS.md`. Imports the rest of the room, media,
detectors and analysis.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import ClassVar
from unittest.mock import patch

import analysis
from analysis import Analysis, Settings, analyze
from benchmarks import floor
from benchmarks.clips import EXAMPLES, Kind, clip
from benchmarks.crowd import Watch, crowd
from benchmarks.measure import (
    Cost,
    children_s,
    in_turns,
    memory_of,
    peak_memory,
    together,
    typical,
)  # fmt: skip
from benchmarks.plain import PlainPipeline, Result
from benchmarks.results import Section
from benchmarks.server import served
from detectors.frozen.memo import forget
from detectors.pool import Pool
from media.mode import Mode
from media.reader import LocalReader, open_reader
from media.windows import plan
from stop import Stop
from threads import set_threads, threads

LENGTHS_S = (10, 60, 600, 3600)
MINUTE = Kind(60)
MB = 1e6
PORTRAIT = EXAMPLES / "portrait.jpg"
READING = ("open", "metadata", "faces and sound")  # stages whose work is done by the cell
SETTLES_S = 10.0  # after which nothing is imported or let go any more
TITLES = {
    "compared": "Whole, floor and plain pipeline",
    "verdicts": "Verdicts of whole and plain pipeline",
    "stages": "Stages of the whole analysis",
    "isolation": "The cost of isolation",
    "growth": "Growth",
    "visitors": "Concurrent requests",
    "load": "Many visitors of the running app",
    "memory": "Peak memory",
    "start": "Start",
    "app": "The running app",
    "page": "What a visitor waits for",
}
ONE_FILE = "from sys import argv; from analysis import *; analyze(argv[1], Settings(mode=argv[2]))"


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        rounds: goes of each work that is compared.
        kind: the clip of the parts that measure one.
        fakes: clips of manipulated faces, of which both verdicts are compared.
        plain_frames: of a clip, that the plain pipeline looks at; the rest is reckoned.
        visitors: numbers of requests at the same time.
        crowds: numbers of visitors of the app at the same time.
        settings: of the analysis that is compared.
    """

    rounds: int = 3
    kind: Kind = MINUTE
    fakes: tuple[Kind, ...] = (Kind(60, source="blended.jpg"), Kind(60, source="redrawn.jpg"))
    plain_frames: int = 20
    visitors: tuple[int, ...] = (1, 2, 4)
    crowds: tuple[int, ...] = (16, 40)
    settings: Settings = field(default_factory=Settings)


def afresh(path: Path, settings: Settings, pool: Pool) -> Analysis:
    """An analysis whose backbone remembers no image of the one before."""
    forget()
    return analyze(path, settings, pool=pool)


def compared(scale: Scale) -> tuple[Section, dict[str, float]]:
    """The whole analysis, its floor and the plain pipeline; and their ratios by name."""
    path, settings, pool = clip(scale.kind), scale.settings, Pool()
    networks, plain = floor.Networks(path, settings, pool), PlainPipeline(settings, pool)
    analyses: list[Analysis] = []
    judged: list[Result] = []
    goes = in_turns(
        {
            "whole analysis": lambda: analyses.append(afresh(path, settings, pool)),
            "floor: decoding": lambda: floor.decode(path, settings),
            "floor: search in every k-th frame": floor.search(path, settings),
            "floor: networks alone": networks.run,
            "plain": lambda: judged.append(plain.run(path, scale.plain_frames)),
        },
        scale.rounds,
    )
    costs = {name: typical(each) for name, each in goes.items() if name != "plain"}
    parts = [cost for name, cost in costs.items() if name.startswith("floor")]
    costs["floor, sum"] = Cost(sum(c.wall_s for c in parts), sum(c.cpu_s for c in parts))
    plain_s = _plain_s(judged)
    whole_s, examined_s = costs["whole analysis"].cpu_s, analyses[-1].examined_s
    ratios = {
        "whole / floor": whole_s / costs["floor, sum"].cpu_s,
        **{f"{name} / whole": seconds / whole_s for name, seconds in plain_s.items()},
        "CPU seconds of the whole an examined second": whole_s / examined_s,
    }
    rows = [
        *((name, cost.wall_s, cost.cpu_s) for name, cost in costs.items()),
        *((name, None, seconds) for name, seconds in plain_s.items()),
        *((f"ratio: {name}", None, value) for name, value in ratios.items()),
    ]
    note = (
        f"{scale.kind.label}; `quick`, {examined_s:.0f} s examined; medians of {scale.rounds} goes "
        f"in turns. Plain: all frames read, {judged[-1].judged} of {judged[-1].frames} looked at, "
        f"the rest reckoned. Level of the whole: {analyses[-1].verdict.level}, of the plain "
        f"pipeline: {judged[-1].verdict.level}."
    )
    return Section(TITLES["compared"], ("", "wall s", "CPU s"), rows, note), ratios


def _plain_s(judged: Sequence[Result]) -> dict[str, float]:
    """CPU seconds of the plain pipeline for the whole clip, by which networks it asks."""
    costs = {"plain pipeline": median(result.whole_cpu_s() for result in judged)}
    if "spatial" in judged[0].log_odds:
        costs["plain pipeline, spatial network alone"] = median(
            result.whole_cpu_s(spatial_only=True) for result in judged
        )
    return costs


def verdicts(scale: Scale) -> Section:
    """The levels that the whole analysis and the plain pipeline give, of real and fake faces."""
    pool = Pool()
    plain = PlainPipeline(scale.settings, pool)
    rows = []
    for kind in (scale.kind, *scale.fakes):
        whole = analyze(clip(kind), scale.settings, pool=pool).verdict
        other = plain.run(clip(kind), scale.plain_frames).verdict
        rows.append((
            kind.label, str(whole.level), whole.opinion.log_odds, str(other.level),
            other.opinion.log_odds,
        ))  # fmt: skip
    header = ("clip", "whole analysis", "log-odds", "plain pipeline", "log-odds")
    note = (
        f"`quick`; the plain pipeline takes the mean of {scale.plain_frames} frames spread over "
        "the clip. Fakes: a face blended, a mouth drawn again, both by the project's own "
        "augmentations."
    )
    return Section(TITLES["verdicts"], header, rows, note)


class _CpuWatch(analysis._Stopwatch):
    """Counts CPU seconds by stage too: of the thread that works, and of the cell that reads."""

    made: ClassVar[list[_CpuWatch]] = []

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop)
        self.cpu_s: dict[str, float] = defaultdict(float)
        self.made.append(self)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count one stage."""
        others = children_s if name in READING else lambda: 0.0
        begun_s = time.thread_time() + others()
        with super().stage(name):
            yield
        self.cpu_s[name] += time.thread_time() + others() - begun_s


def stages(scale: Scale) -> Section:
    """Seconds of the whole analysis by stage, with one thread a library."""
    path, pool, usual = clip(scale.kind), Pool(), threads()
    set_threads(1)
    with patch.object(analysis, "_Stopwatch", _CpuWatch):
        for _ in range(scale.rounds + 1):  # the first one loads
            afresh(path, scale.settings, pool)
    set_threads(usual)
    goes, _CpuWatch.made[:] = _CpuWatch.made[1:], []
    rows = [
        (name, median(go.seconds[name] for go in goes), median(go.cpu_s[name] for go in goes))
        for name in goes[0].seconds
    ]
    rows.append(("sum", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    note = (
        f"{scale.kind.label}; medians of {scale.rounds} goes with one thread, networks loaded. The "
        "next window is read while the networks look at this one: the clock runs twice then."
    )
    return Section(TITLES["stages"], ("stage", "wall s", "CPU s"), rows, note)


def isolation(scale: Scale) -> tuple[Section, dict[str, float]]:
    """Reading in a process of its own against reading in the program's."""
    path = clip(scale.kind)

    def read(opened: Callable) -> None:
        with opened(path) as reader:
            reader.provenance()
            for stretch in plan(reader.duration_s, Mode.QUICK):
                reader.window(stretch)

    read(open_reader)  # the nursery starts
    costs = in_turns(
        {"apart": lambda: read(open_reader), "here": lambda: read(LocalReader)}, scale.rounds
    )
    apart, here = typical(costs["apart"]), typical(costs["here"])
    ratios = {"apart / here": apart.cpu_s / here.cpu_s}
    rows = [
        ("in a confined process (the app)", apart.wall_s, apart.cpu_s),
        ("in the program's own process", here.wall_s, here.cpu_s),
        ("ratio", apart.wall_s / here.wall_s, ratios["apart / here"]),
    ]
    note = f"{scale.kind.label}; open, provenance and all windows of `quick`, without networks."
    return Section(TITLES["isolation"], ("", "wall s", "CPU s"), rows, note), ratios


def growth(scale: Scale) -> Section:
    """What the analysis costs by length, resolution and number of faces."""
    kinds = [Kind(seconds) for seconds in LENGTHS_S]
    kinds += [Kind(12, size) for size in ("360p", "720p", "1080p", "4K")] + [Kind(12, faces=4)]
    pool, analyses = Pool(), {kind: [] for kind in kinds}
    analyze(clip(Kind(10)), pool=pool)  # networks are loaded

    def work(kind: Kind) -> Callable[[], object]:
        return lambda: analyses[kind].append(afresh(clip(kind), scale.settings, pool))

    for kind in kinds:
        clip(kind)
    costs = in_turns({kind.label: work(kind) for kind in kinds}, scale.rounds)
    rows = []
    for kind in kinds:
        cost, times = typical(costs[kind.label]), analyses[kind][-1].seconds_by_stage
        rows.append((
            kind.label, cost.wall_s, cost.cpu_s, times["open"] + times["metadata"],
            times["faces and sound"],
        ))  # fmt: skip
    header = ("clip", "wall s", "CPU s", "of it opening, wall s", "of it reading, wall s")
    note = f"`quick` (at most 12 s examined), networks loaded; medians of {scale.rounds} goes."
    return Section(TITLES["growth"], header, rows, note)


def visitors(scale: Scale) -> Section:
    """Several analyses at the same time in one process."""
    pool, paths = Pool(), [clip(Kind(12 + n, "360p")) for n in range(max(scale.visitors))]
    analyze(paths[0], pool=pool)
    rows = []
    for count in scale.visitors:
        goes = []
        for _ in range(scale.rounds):
            left = iter(paths)
            forget()
            goes.append(together(lambda left=left: analyze(next(left), pool=pool), count))
        cost = typical([cost for cost, _ in goes])
        slowest = median(max(took_s) for _, took_s in goes)
        rows.append((count, slowest, cost.wall_s / count, cost.cpu_s / count))
    header = ("requests at the same time", "slowest, wall s", "wall s a request", "CPU s a request")
    note = (
        "12 to 15 s, 360p, 1 face, `quick`; without the app's queue, which lets one in at a time."
    )
    return Section(TITLES["visitors"], header, rows, note)


def load(scale: Scale) -> Section:
    """The app while many ask at once: what they wait for, memory, and how the event loop fares."""
    rows, before = [], os.getloadavg()[0]
    for visitors in scale.crowds:
        with served() as server:
            server.ask(PORTRAIT)  # networks are loaded
            with Watch(server.address, server.process) as watch:
                result = crowd(server.address, PORTRAIT, visitors)
        rows.append((
            f"{visitors}", float(result.came["read"]), result.percentile(50), result.percentile(95),
            max(watch.memory) / MB, 1000 * median(watch.waited_s), 1000 * max(watch.waited_s),
        ))  # fmt: skip
    header = ("visitors", "reports", "p50, s", "p95, s", "peak MB", "event loop: median, ms",
              "longest, ms")  # fmt: skip
    note = (
        "An image each, all at once; one is analyzed at a time, 20 may wait, the others are asked "
        "to come again. The event loop is asked for the length of its queue, 20 times a second. "
        f"Load of the machine before: {before:.1f}; what exceeds its cores is other work."
    )
    return Section(TITLES["load"], header, rows, note)


def memory(scale: Scale) -> Section:
    """Peak memory of a fresh process with its reader, by length and way of looking."""
    runs = [(Kind(30, "360p"), Mode.THOROUGH), (Kind(600, "360p"), Mode.THOROUGH),
            (Kind(60), Mode.QUICK), (Kind(12, "4K"), Mode.QUICK)]  # fmt: skip
    rows = []
    for kind, mode in runs:
        held, cost = peak_memory(("-c", ONE_FILE, str(clip(kind)), mode))
        rows.append((f"{kind.label}, {mode}", held / MB, cost.wall_s, cost.cpu_s))
    note = "One go each, a fresh process that loads everything; PSS of all processes together."
    return Section(TITLES["memory"], ("clip", "MB", "wall s", "CPU s"), rows, note)


def start(scale: Scale) -> Section:
    """What waits before the first verdict."""
    codes = {
        "`import analysis`": "import analysis",
        "`import app`": "import app",
        "first verdict of a fresh process (10 s, 360p)": ONE_FILE,
    }
    path = str(clip(Kind(10, "360p")))
    rows = []
    for name, code in codes.items():
        held, cost = peak_memory(("-c", code, path, Mode.QUICK))
        again = [peak_memory(("-c", code, path, Mode.QUICK)) for _ in range(scale.rounds - 1)]
        cost = typical([cost, *(c for _, c in again)])
        rows.append((name, cost.wall_s, cost.cpu_s, max(held, *(h for h, _ in again), 0) / MB))
    note = f"Fresh processes, disk warm after the first one; medians of {scale.rounds} goes."
    return Section(TITLES["start"], ("", "wall s", "CPU s", "peak MB"), rows, note)


def app(scale: Scale) -> Section:
    """The app: until it serves, and what it holds while nobody asks for anything."""
    waited_s, before, after = [], [], []
    for _ in range(scale.rounds):
        with served() as server:
            waited_s.append(server.waited_s)
            time.sleep(SETTLES_S)
            before.append(memory_of(server.process) / MB)
            server.ask(PORTRAIT)
            time.sleep(SETTLES_S)
            after.append(memory_of(server.process) / MB)
    rows = [
        ("first answer (HTTP 200)", median(waited_s), None),
        ("idle, before the first analysis", None, median(before)),
        ("idle, all networks loaded", None, median(after)),
    ]
    note = f"Medians of {scale.rounds} starts, disk warm after the first; PSS of all its processes."
    return Section(TITLES["app"], ("", "wall s", "MB"), rows, note)
