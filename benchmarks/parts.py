"""What is measured, part by part?

Each part measures and returns a section of `RESULTS.md`. Imports the rest of the room, media,
detectors and analysis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from analysis import Analysis, Settings, analyze
from benchmarks import floor
from benchmarks.clips import Kind, clip
from benchmarks.measure import Cost, in_turns, peak_memory, together, typical
from benchmarks.plain import PlainPipeline, Result
from benchmarks.results import Section
from detectors.pool import Pool
from media.mode import Mode
from media.rates import MOTION_HZ
from media.reader import LocalReader, open_reader
from media.windows import plan

LENGTHS_S = (10, 60, 600, 3600)
MINUTE = Kind(60)
MB = 1e6
ONE_FILE = "from sys import argv; from analysis import *; analyze(argv[1], Settings(mode=argv[2]))"


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        rounds: goes of each work that is compared.
        kind: the clip of the parts that measure one.
        plain_frames: of it, that the plain pipeline judges; the rest is reckoned.
        visitors: numbers of requests at the same time.
        settings: of the analysis that is compared.
    """

    rounds: int = 3
    kind: Kind = MINUTE
    plain_frames: int = 20
    visitors: tuple[int, ...] = (1, 2, 4)
    settings: Settings = field(default_factory=Settings)


def compared(scale: Scale) -> tuple[Section, dict[str, float]]:
    """The whole analysis, its floor and the plain pipeline; and their ratios by name."""
    path, settings, pool = clip(scale.kind), scale.settings, Pool()
    networks, plain = floor.Networks(path, settings, pool), PlainPipeline(settings, pool)
    analyses: list[Analysis] = []
    judged: list[Result] = []
    goes = in_turns(
        {
            "whole analysis": lambda: analyses.append(analyze(path, settings, pool=pool)),
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
    plain_s = _plain_s(judged, scale.kind.seconds * MOTION_HZ)
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
        f"in turns. Plain: {judged[-1].frames} frames measured, the rest reckoned. Level of the "
        f"whole: {analyses[-1].verdict.level}, of the plain pipeline: {judged[-1].verdict.level}."
    )
    return Section("Whole, floor and plain pipeline", ("", "wall s", "CPU s"), rows, note), ratios


def _plain_s(judged: Sequence[Result], frames: int) -> dict[str, float]:
    """CPU seconds of the plain pipeline for so many frames, by which networks it asks."""
    costs = {"plain pipeline": frames * median(result.cpu_s_a_frame() for result in judged)}
    if "spatial" in judged[0].log_odds:
        costs["plain pipeline, spatial network alone"] = frames * median(
            result.cpu_s_a_frame(spatial_only=True) for result in judged
        )
    return costs


def stages(scale: Scale) -> Section:
    """Seconds of the whole analysis by stage."""
    path, pool, analyses = clip(scale.kind), Pool(), []
    for _ in range(scale.rounds + 1):  # the first one loads
        analyses.append(analyze(path, Settings(), pool=pool))
    rest = analyses[1:]
    rows = [
        (name, median(a.seconds_by_stage[name] for a in rest)) for name in rest[0].seconds_by_stage
    ]
    rows.append(("sum", sum(row[1] for row in rows)))
    note = f"{scale.kind.label}; medians of {scale.rounds} goes by the clock, networks loaded."
    return Section("Stages of the whole analysis", ("stage", "wall s"), rows, note)


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
    return Section("The cost of isolation", ("", "wall s", "CPU s"), rows, note), ratios


def growth(scale: Scale) -> Section:
    """What the analysis costs by length, resolution and number of faces."""
    kinds = [Kind(seconds) for seconds in LENGTHS_S]
    kinds += [Kind(12, size) for size in ("360p", "720p", "1080p", "4K")] + [Kind(12, faces=4)]
    pool, analyses = Pool(), {kind: [] for kind in kinds}
    analyze(clip(Kind(10)), pool=pool)  # networks are loaded

    def work(kind: Kind) -> Callable[[], object]:
        return lambda: analyses[kind].append(analyze(clip(kind), pool=pool))

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
    return Section("Growth", header, rows, note)


def visitors(scale: Scale) -> Section:
    """Several analyses at the same time in one process."""
    pool, path = Pool(), clip(Kind(10, "360p"))
    analyze(path, pool=pool)
    rows = []
    for count in scale.visitors:
        goes = [together(lambda: analyze(path, pool=pool), count) for _ in range(scale.rounds)]
        cost = typical([cost for cost, _ in goes])
        slowest = median(max(took_s) for _, took_s in goes)
        rows.append((count, slowest, cost.wall_s / count, cost.cpu_s / count))
    header = ("requests at the same time", "slowest, wall s", "wall s a request", "CPU s a request")
    note = "10 s, 360p, 1 face, `quick`; without the queue of the app, which lets one in at a time."
    return Section("Concurrent requests", header, rows, note)


def memory(scale: Scale) -> Section:
    """Peak memory of a fresh process with its reader, by length and way of looking."""
    runs = [(Kind(30, "360p"), Mode.THOROUGH), (Kind(600, "360p"), Mode.THOROUGH),
            (Kind(60), Mode.QUICK), (Kind(12, "4K"), Mode.QUICK)]  # fmt: skip
    rows = []
    for kind, mode in runs:
        held, cost = peak_memory(("-c", ONE_FILE, str(clip(kind)), mode))
        rows.append((f"{kind.label}, {mode}", held / MB, cost.wall_s, cost.cpu_s))
    note = "One go each, a fresh process that loads everything; PSS of all processes together."
    return Section("Peak memory", ("clip", "MB", "wall s", "CPU s"), rows, note)


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
    return Section("Start", ("", "wall s", "CPU s", "peak MB"), rows, note)
