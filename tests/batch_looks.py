"""What examines a file in the tests of batch: cheap, and deadly where the file's name says so.

Not a test. The functions are found by name in processes and actors, so they stand in a module.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from analysis import Analysis, Settings
from errors import UserError
from stop import Stop
from tests.made_analysis import made_analysis

NOTHING = Settings(detectors=())  # loads no network
SLOW_S = 0.2


def look(path: Path, settings: Settings, stop: Stop) -> Analysis:
    """A made analysis; names say what goes wrong instead."""
    stop.check()
    if "poison" in path.name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "damaged" in path.name:
        raise UserError("decode_failed", "The picture could not be read.")
    if "bug" in path.name:
        raise ZeroDivisionError
    return made_analysis(path.read_text())


def slow_look(path: Path, settings: Settings, stop: Stop) -> Analysis:
    """The same after a fifth of a second, so that there is time to kill something."""
    time.sleep(SLOW_S)
    return look(path, settings, stop)


def resources(path: Path, settings: Settings, stop: Stop) -> Analysis:
    """An error whose code is the memory that Ray has put aside for this actor, in bytes."""
    import ray

    raise UserError(f"{ray.get_runtime_context().get_assigned_resources()['memory']:.0f}", "")


def files_in(folder: Path, count: int, *others: str) -> Path:
    """A folder with so many readable files, and others by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*(f"{number:04}.jpg" for number in range(count)), *others):
        (folder / name).write_text(name)
    return folder
