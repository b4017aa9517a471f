"""The whole story of very many files, to be read like a page.

``run_batch(source, out, settings)`` lists the files, leaves out those that have a row, and lets
processes of this machine or actors of a Ray cluster examine the others. The same call goes on where
a former one was stopped. Imports the rest of batch and rooms to the left.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

import pyarrow as pa

from analysis import POOL, Analysis, Settings, analyze
from batch.examine import examined, killed
from batch.job import Job, facts_of, fingerprint, pinned
from batch.listing import listing
from batch.output import Output, output_for
from batch.rows import Row
from batch.storage import ask_each
from evaluation.run import Progress, set_up
from evaluation.workers import share

MOST_ROWS = 500  # of a part: a million files make two thousand of them
PARTS = 20  # of a small run, so that little is lost when it is stopped
WRITE_EVERY_S = 60.0  # what a stopped run loses at most, beside the files at work
LIMIT_S = 900.0  # for one file; the longest decoding takes 200 s


@dataclass(frozen=True)
class Outcome:
    """What a run has done.

    Attributes:
        folder: address of the output.
        files: in the listing.
        former: that had a row before.
        counts: level or error → rows in the output.
    """

    folder: str
    files: int
    former: int
    counts: dict[str, int]


def run_batch(
    source: str,
    out: str,
    settings: Settings,
    engine: str = "local",
    workers: int | None = None,
    limit_s: float = LIMIT_S,
    on_progress: Progress = lambda done, total, text: None,
    look: Callable[..., Analysis] = analyze,
) -> Outcome:
    """Examine all files of a source that have no row yet, or could not be fetched.

    Args:
        source: see `batch.listing.listing`.
        out: folder or URI of a folder.
        settings: of each analysis.
        engine: ``local``, or ``ray``, which needs the package ``ray``.
        workers: processes, one by default; or actors at most, by default one a core.
        limit_s: seconds that one file may take.
        on_progress: called when files are done.
        look: what examines a file; tests put others in.

    Raises:
        UserError: before the first file, when something is wrong with the listing, checkpoints,
            credentials, the disk, or rows that are there; ``cannot_write`` at any time.
    """
    files = listing(source)
    setup = set_up(settings)
    facts = facts_of(setup, limit_s)
    POOL.clear()  # from now on the workers have their own
    output = output_for(out, fingerprint(facts))
    output.begin(facts, len(files))
    with output.alone():
        todo, again = output.without_a_row(files)
        ask_each(todo["uri"].to_pylist(), source)
        output.take_out(again)
        former = len(files) - len(todo)
        job = Job(pinned(setup), fingerprint(facts), output.inner("strikes"), source, limit_s, look)
        part_rows = max(1, min(MOST_ROWS, len(todo) // PARTS))
        try:
            if engine == "ray" and len(todo):
                from batch.cluster import examine_on_ray

                examine_on_ray(todo, job, output, workers, part_rows)
            else:

                def done(number: int, text: str) -> None:
                    on_progress(former + number, len(files), text)

                _examine_here(todo, job, output, workers or 1, part_rows, done)
        except KeyboardInterrupt:
            output.forgive()
            raise
        return Outcome(output.place.uri(output.place.path), len(files), former, output.counts())


def _examine_here(
    todo: pa.Table,
    job: Job,
    output: Output,
    workers: int,
    part_rows: int,
    on_done: Callable[[int, str], None],
) -> None:
    """Let processes of this machine examine files; rows are written in parts, and when stopped."""
    run, numbers, rows = uuid.uuid4().hex[:8], count(), list[Row]()
    written_s = time.monotonic()

    def write() -> None:
        output.write(rows, f"{run}-{next(numbers):06}.parquet")
        rows.clear()

    try:
        files = zip(todo["id"].to_pylist(), todo["uri"].to_pylist(), strict=True)
        for done, answer in enumerate(share(partial(examined, job=job), files, workers), 1):
            rows.append(answer.result or killed(answer.task))
            on_done(done, answer.task[1])
            if len(rows) >= part_rows or time.monotonic() - written_s > WRITE_EVERY_S:
                write()
                written_s = time.monotonic()
    finally:
        if rows:
            write()
