"""What does a batch on Ray lose when a worker, a machine and the program itself are killed?

``python -m tests.batch_cluster`` makes a cluster of two nodes on this machine, examines 200 small
files and one that kills whoever opens it, kills those three on the way, gives the same command once
more, and counts. Linux only.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pyarrow
import pyarrow.dataset as ds
from pyarrow import parquet

from batch.run import run_batch
from tests.batch_looks import NOTHING, files_in, slow_look
from tests.conftest import ROOT

FILES = 200
ACTOR = "ray::MapWorker(MapBatches(Examiner)"
WAIT_S = 900.0


def drive(source: str, out: str) -> None:
    """The program that is killed: one batch on the cluster of ``RAY_ADDRESS``."""
    print(run_batch(source, out, NOTHING, "ray", look=slow_look), flush=True)


def driver(source: Path, out: Path, address: str) -> subprocess.Popen:
    """A process that runs `drive`."""
    command = [sys.executable, "-m", "tests.batch_cluster", "--drive", str(source), str(out)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "RAY_ADDRESS": address})


def ids_in(out: Path) -> list[str]:
    """Ids of all rows that are written by now."""
    ids = []
    for path in out.glob("verdicts-*/rows/*.parquet"):
        with suppress(pyarrow.ArrowInvalid, OSError):  # a part that is being written
            ids += parquet.read_table(path, columns=["id"])["id"].to_pylist()
    return ids


def wait_for(rows: int, out: Path, process: subprocess.Popen) -> int:
    """Until so many rows are there; how many there are."""
    until_s = time.monotonic() + WAIT_S
    while (there := len(ids_in(out))) < rows:
        assert process.poll() is None, f"the program ended with {there} rows"
        assert time.monotonic() < until_s, f"only {there} rows after {WAIT_S:g} s"
        time.sleep(0.2)
    return there


def kill_an_actor() -> int:
    """Kill one process that examines files; its number."""
    below = psutil.Process().children(recursive=True)
    actor = next(p for p in below if " ".join(p.cmdline()).startswith(ACTOR))
    os.kill(actor.pid, signal.SIGKILL)
    return actor.pid


def main() -> None:
    """Kill, go on, count."""
    os.environ.update(RAY_worker_niceness="0", RAY_USAGE_STATS_ENABLED="0")
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as folder:
        source, out = files_in(Path(folder) / "in", FILES, "poison.mp4"), Path(folder) / "out"
        node = {"num_cpus": 1, "object_store_memory": 200_000_000}
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        second = cluster.add_node(**node)
        started = time.monotonic()

        def say(event: str) -> None:
            print(f"{time.monotonic() - started:6.1f} s  {len(ids_in(out)):3} rows  {event}")

        try:
            process = driver(source, out, cluster.address)
            wait_for(20, out, process)
            say(f"kills worker {kill_an_actor()}")
            wait_for(60, out, process)
            say("kills a node of two")
            cluster.remove_node(second, allow_graceful=False)
            wait_for(110, out, process)
            say("kills the program")
            process.kill()
            process.wait()
            cluster.add_node(**node)
            say("gives the same command")
            assert driver(source, out, cluster.address).wait(WAIT_S) == 0
            say("done")
        finally:
            cluster.shutdown()
        ids = Counter(ids_in(out))
        (rows,) = out.glob("verdicts-*/rows")
        codes = Counter(ds.dataset(rows).to_table(columns=["error"])["error"].to_pylist())
        print(f"{len(ids)} of {FILES + 1} files have a row, {ids.total() - len(ids)} have two")
        print(f"errors: {dict(codes)}; parts: {len(list(rows.glob('*.parquet')))}")
        assert len(ids) == ids.total() == FILES + 1 and codes == {None: FILES, "worker_killed": 1}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--drive", nargs=2, metavar=("SOURCE", "OUT"))
    chosen = parser.parse_args()
    drive(*chosen.drive) if chosen.drive else main()
