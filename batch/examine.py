"""What happens to one of very many files on the process that examines it?

It is fetched, analyzed within its time, and becomes a row; also where it cannot be read. While it
is at work a strike stands against it in the output folder, which is taken back when it is done: a
file that killed two processes keeps two, and is not tried a third time, whoever tries. Imports
evaluation.workers, batch.job, batch.rows and batch.storage.
"""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Iterator
from contextlib import contextmanager

from batch.job import Job
from batch.rows import Row, error_row, verdict_row
from batch.storage import Place, address_of, fetched
from errors import UserError, from_bug
from evaluation.workers import KILLED, TRIES
from stop import Stop

GRACE_S = 60.0  # past its time until a process that does not hear is ended


def examined(file: tuple[str, str], job: Job) -> Row:
    """The row of a file.

    Args:
        file: its id and URI.
        job: what to do with it.
    """
    started = time.perf_counter()
    with _strike(file[0], job.strikes) as deaths:
        if deaths >= TRIES:
            row = error_row(KILLED)
        else:
            faulthandler.dump_traceback_later(job.limit_s + GRACE_S, exit=True)
            row = _row(file[1], job)
            faulthandler.cancel_dump_traceback_later()
    return {"id": file[0], "uri": file[1], "seconds": time.perf_counter() - started, **row}


def killed(file: tuple[str, str]) -> Row:
    """The row of a file that brought down the processes that examined it."""
    return {"id": file[0], "uri": file[1], **error_row(KILLED)}


def _row(uri: str, job: Job) -> Row:
    path = None
    try:
        with fetched(address_of(uri, job.source)) as path:
            try:
                return verdict_row(job.analyze(path, job.settings, stop=Stop(job.limit_s)))
            except Exception as caught:  # one file must not end the run over all the others
                error = caught if isinstance(caught, UserError) else from_bug(caught)
                return error_row(error, path)
    except UserError as error:
        return error_row(error)


@contextmanager
def _strike(name: str, strikes: Place) -> Iterator[int]:
    """How many processes the file killed; one more is counted until the block is left.

    A strike is a byte of a file of this name: asking for its size is one question to a storage.
    """
    path = f"{strikes.path}/{name}.txt"
    deaths = strikes.files.get_file_info(path).size or 0
    if deaths >= TRIES:
        yield deaths
        return
    with strikes.files.open_output_stream(path) as file:
        file.write(b"x" * (deaths + 1))
    yield deaths
    strikes.files.delete_file(path)
