"""The whole measurement of a manifest, to be read like a page.

``evaluate(manifest, folder, settings)`` writes ``scores.csv``, ``metrics.json`` and ``report.html``
into the folder, and goes on where a stopped run stopped. Imports the rest of evaluation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from analysis import POOL, Settings
from detectors.pool import Pool
from evaluation.baselines import metadata_baseline
from evaluation.benchmark import benchmark_figures
from evaluation.manifest import Item, read_manifest, write_manifest
from evaluation.protocol import protocol
from evaluation.report import write_report
from evaluation.run import Progress, ScoreRecord, score_files, score_of, set_up
from evaluation.scores import Score, write_scores
from evaluation.summary import compare, summarize
from evaluation.tiers import TIERS, copies
from hub.checkpoint import Checkpoint
from verdict.fusion import fusion_parameters

SCHEMA_VERSION = "1.0"
LINES = "measured.jsonl"


def evaluate(
    manifest: str | Path,
    folder: str | Path,
    settings: Settings | None = None,
    tiers: bool = False,
    on_progress: Progress = lambda done, total, text: None,
    pool: Pool = POOL,
    workers: int = 1,
) -> dict[str, Any]:
    """Measure the files of a manifest.

    Args:
        manifest: CSV, or folder with ``real/`` and ``fake/``.
        folder: where the results go; a former run of the same setup is continued.
        settings: of the analysis.
        tiers: measure re-encoded copies as well.
        on_progress: called before each file.
        pool: where loaded networks are kept.
        workers: processes that measure at the same time.

    Returns:
        The content of ``metrics.json``.
    """
    items = read_manifest(manifest)
    folder = Path(folder)
    setup = set_up(settings or Settings(), pool)
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder / "items.csv", items)
    measure = partial(score_files, items, setup, pool=pool, workers=workers)
    records = measure(folder / LINES, on_progress)
    fuse = partial(score_of, setup=setup, numbers=(numbers := fusion_parameters()))
    scores = list(map(fuse, items, records))
    write_scores(folder / "scores.csv", scores)
    kinds = [str(record.facts.get("kind", "")) for record in records]
    metrics: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "date": date.today().isoformat(),
        "protocol": protocol(Path(manifest).name, items, setup, numbers),
        **summarize(scores, kinds),
        "benchmark": benchmark_figures(scores),
        "baselines": metadata_baseline(items, records),
        "checkpoints": {n: c.label for n, c in setup.checkpoints.items()},
        "calibrations": {n: _line(c) for n, c in setup.checkpoints.items()},
        "missing_checkpoints": {n: r.sentence for n, r in setup.failed.items()},
        "unreadable": _unreadable(records),
        "seconds": seconds_by_stage(records),
    }
    if tiers:
        metrics["tiers"] = _tiers(items, fuse, folder, scores, measure, on_progress)
    (folder / "metrics.json").write_text(json.dumps(strict(metrics), indent=2) + "\n", "utf-8")
    write_report(folder / "report.html", metrics, scores)
    return metrics


def _tiers(
    items: Sequence[Item],
    fuse: Callable[[Item, ScoreRecord], Score],
    folder: Path,
    clean: Sequence[Score],
    measure: Callable[..., list[ScoreRecord]],
    on_progress: Progress,
) -> dict[str, Any]:
    """The same files as they are and after each way of re-encoding."""
    result = {"clean": compare(clean, clean)}
    for tier in TIERS:
        lines = folder / f"measured-{tier.name}.jsonl"

        def named(done: int, total: int, text: str, tier: str = tier.name) -> None:
            on_progress(done, total, f"{tier}: {text}")

        records = measure(lines, named, copies(tier))
        scores = list(map(fuse, items, records))
        write_scores(folder / f"scores-{tier.name}.csv", scores)
        result[tier.name] = compare(scores, clean)
    return result


def _line(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """The calibration that was used, and whether it has a vote."""
    calibration = checkpoint.card.calibration
    return None if calibration is None else asdict(calibration) | {"votes": checkpoint.card.votes}


def _unreadable(records: Sequence[ScoreRecord]) -> list[dict[str, str]]:
    return [{"path": record.name, **record.error} for record in records if record.error is not None]


def seconds_by_stage(records: Sequence[ScoreRecord]) -> dict[str, float]:
    """Mean seconds a readable file, by stage."""
    read = [record.seconds for record in records if record.error is None]
    stages = dict.fromkeys(stage for seconds in read for stage in seconds)
    return {s: round(sum(r.get(s, 0.0) for r in read) / len(read), 3) for s in stages}


def strict(value: Any) -> Any:
    """The same with None for numbers that JSON cannot say."""
    if isinstance(value, dict):
        return {str(key): strict(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [strict(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
