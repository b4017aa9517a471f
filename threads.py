"""How many threads may each native library use? One number for PyTorch, OpenCV and FFmpeg.

Left alone each of them takes all cores, in every process. The number stands in the environment:
libraries read it there when they are imported, and processes that are started inherit it. Called
once at the start of a program or worker. Imports nothing.
"""

from __future__ import annotations

import os
import sys

OPENMP = "OMP_NUM_THREADS"  # read by PyTorch and by every other library on OpenMP
OPENCV = "OPENCV_FOR_THREADS_NUM"
VARIABLES = (OPENMP, OPENCV)


def threads() -> int:
    """Threads that a library may use, at least 1: the environment's number, or one a core."""
    number = os.environ.get(OPENMP, "").partition(",")[0]  # a list is by depth of nesting
    return max(1, int(number)) if number.isdecimal() else _cores()


def set_threads(count: int | None = None) -> None:
    """Give all libraries of this process, and processes started from now on, the same number.

    FFmpeg is told where a file is opened (`media.clip`); it asks `threads`.

    Args:
        count: threads of each library; `threads` where it is left out.
    """
    count = count or threads()
    os.environ.update(dict.fromkeys(VARIABLES, str(count)))
    if (cv2 := sys.modules.get("cv2")) is not None:  # it was imported before, and read no variable
        cv2.setNumThreads(count)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(count)


def _cores() -> int:
    """Cores that this process may use, not all that there are (3.13: ``process_cpu_count``)."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
