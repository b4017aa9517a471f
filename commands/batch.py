"""``batch``: what about all files of a folder, a manifest or a storage, however many?

Imports batch when the command runs.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from commands.arguments import add_command, add_settings, settings_from
from commands.console import ASSESSED, count_files, show
from errors import UserError

ENGINES = ("local", "ray")
SAY_EVERY_S = 1.0


def add_batch(commands: Any) -> None:
    """Declare ``batch``."""
    parser = add_command(commands, "batch", "Assess very many files, a row each.", run_batch)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="folder, CSV with a column path or uri, or a URI of one (file://, s3://, gs://)",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="for Parquet files, also a URI; the same command goes on where it ended",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="local",
        help="local: processes of this machine; ray: a Ray cluster (default: local)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        help="processes at the same time (default: 1; ray: as many as the cluster has cores)",
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=900.0,
        metavar="SECONDS",
        help="time that one file may take (default: 900)",
    )
    add_settings(parser)


def run_batch(chosen: argparse.Namespace) -> int:
    """Examine what has no row yet, and print how many files got which level."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UserError(
            "not_installed",
            "Parquet needs pyarrow: pip install 'deepfake-detector[batch]', or '.[batch]'.",
        ) from error
    from batch.run import run_batch

    settings, said_s = settings_from(chosen), 0.0

    def progress(done: int, total: int, text: str) -> None:
        nonlocal said_s
        if done == total or time.monotonic() - said_s > SAY_EVERY_S:
            said_s = time.monotonic()
            count_files(done, total, text)

    outcome = run_batch(
        chosen.source, chosen.out, settings, chosen.engine, chosen.workers, chosen.limit, progress
    )
    lines = [f"{number:6d}  {word}" for word, number in outcome.counts.items()]
    known = f", {outcome.former} of them before" if outcome.former else ""
    show("\n".join([f"{outcome.files} files{known}:", *lines, f"Rows: {outcome.folder}/rows"]))
    return ASSESSED
