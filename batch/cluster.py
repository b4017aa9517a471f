"""How do the machines of a Ray cluster examine files? The same rows, and Ray Data writes them.

Ray keeps account of what it writes in two phases: a file of ids that are about to be written, the
part, and the file's final name. What it did not finish is deleted by the next run (`batch.output`),
which asks the rows themselves what is left to do; so both engines may take turns. Imports the rest
of batch but run.
"""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from batch.examine import examined
from batch.job import Job, facts_of, fingerprint
from batch.output import COMPRESSION, Output
from batch.rows import SCHEMA, table
from errors import UserError
from evaluation.run import set_up
from threads import set_threads

FILES_A_TASK = 16  # what an actor that is killed examines again, at most
CORES = 1  # of an actor: more of them wait for each other
ACTOR_BYTES = 2_000_000_000  # of memory; 1.35 GB with all embedded detectors (docs/scale.md)


class Examiner:
    """An actor: its networks are loaded once, for all the files that come to it.

    Args:
        job: what to do with them.
    """

    def __init__(self, job: Job) -> None:
        set_threads(CORES)
        here = fingerprint(facts_of(set_up(job.settings), job.limit_s))
        if here != job.fingerprint:
            raise UserError(
                "other_setup",
                "A machine of the cluster has another version of the program, other weights or "
                "other calibrations than this one: their rows must not be mixed.",
            )
        self._job = job

    def __call__(self, files: pa.Table) -> pa.Table:
        """The rows of some files."""
        pairs = zip(files["id"].to_pylist(), files["uri"].to_pylist(), strict=True)
        return table([examined(pair, self._job) for pair in pairs])


def examine_on_ray(
    todo: pa.Table, job: Job, output: Output, workers: int | None, part_rows: int
) -> None:
    """Let actors examine files and write their rows.

    Args:
        todo: id and URI of the files.
        job: what to do with them.
        output: where the rows go; every machine must reach it.
        workers: actors at most; None takes as many as the cluster has cores, and memory for.
        part_rows: rows of a part, at least.

    Raises:
        UserError: ``not_installed``, ``other_setup``, or ``cluster_failed`` with Ray's reason.
    """
    with _connected() as ray:
        run, files = uuid.uuid4().hex[:8], output.place.files
        names = f"{output.inner('files').path}/{run}.parquet"
        parquet.write_table(todo, names, filesystem=files)
        have = ray.cluster_resources()
        actors = min(workers or int(have.get("CPU", 1)), len(todo), _fitting(have))
        gpus = 0.0 if job.settings.device == "cpu" else have.get("GPU", 0.0)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = sys.stderr.isatty()
        context.checkpoint_config = ray.data.checkpoint.CheckpointConfig(
            id_column="id",
            checkpoint_path=output.inner(f"journal/{run}").path,
            override_filesystem=files,
        )
        ray.data.read_parquet(names, filesystem=files).repartition(
            target_num_rows_per_block=FILES_A_TASK
        ).map_batches(
            Examiner,
            fn_constructor_args=(job,),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors),
            num_cpus=CORES,
            memory=ACTOR_BYTES,
            num_gpus=min(1.0, gpus / actors),
        ).write_parquet(
            output.rows.path,
            filesystem=files,
            min_rows_per_file=part_rows,
            schema=SCHEMA,
            ray_remote_args={"num_cpus": 0},  # the cores are the actors'
            compression=COMPRESSION,
        )
        files.delete_file(names)


def _fitting(have: Mapping[str, float]) -> int:
    """Actors that the memory of the cluster bears.

    Raises:
        UserError: ``cluster_failed`` where it bears none; Ray would wait for ever.
    """
    count = int(have.get("memory", 0.0) / ACTOR_BYTES)
    if count < 1:
        raise UserError(
            "cluster_failed", f"The cluster has less than the {ACTOR_BYTES / 1e9:g} GB of memory "
            "that one process needs to examine files."
        )  # fmt: skip
    return count


@contextmanager
def _connected() -> Iterator[Any]:
    """Ray, and its failures as sentences; a cluster is made here where none is named."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that this program runs
    try:
        import ray.data.checkpoint
        from ray.exceptions import RayError
    except ImportError as error:
        raise UserError(
            "not_installed", "Ray is not installed: pip install 'deepfake-detector[batch]'."
        ) from error
    try:
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # its words are in Ray's own log
        yield ray
    except (RayError, ConnectionError) as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, UserError):
            raise cause from error
        words = str(error).strip().splitlines()[-1][:300]
        sentence = f"Ray gave up: {words}. The same command goes on."
        raise UserError("cluster_failed", sentence) from error
