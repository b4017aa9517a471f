"""Do processes share work, and survive that one of them is killed?"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import cv2
import pytest
import torch

from batch.cluster import Examiner
from batch.job import Job, facts_of, fingerprint
from batch.storage import place_of
from errors import UserError
from evaluation.run import set_up
from evaluation.workers import TRIES, share
from stop import Stop
from tests.batch_looks import NOTHING
from tests.conftest import ROOT
from threads import VARIABLES, threads


def squared(number: int) -> int:
    return number * number


def deadly(number: int, marks: Path, deaths: dict[int, int]) -> int:
    """Kills its own process as often as ``deaths`` says, as a kernel short of memory does."""
    before = len(list(marks.glob(f"{number}-*")))
    if before < deaths.get(number, 0):
        (marks / f"{number}-{before}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def broken(number: int) -> int:
    raise ZeroDivisionError(number)


def test_every_task_is_answered_once():
    answers = {answer.task: answer.result for answer in share(squared, range(9), 2)}
    assert answers == {number: number * number for number in range(9)}


def test_a_killed_process_costs_no_task_and_a_deadly_one_is_given_up(tmp_path):
    call = partial(deadly, marks=tmp_path, deaths={1: 1, 3: 99, 6: 1})
    answers = [(answer.task, answer.result) for answer in share(call, range(8), 2)]
    assert sorted(answers, key=lambda answer: answer[0]) == [
        (number, None if number == 3 else number) for number in range(8)
    ]
    assert len(list(tmp_path.glob("3-*"))) == TRIES


def test_tasks_are_taken_only_when_a_process_is_free():
    taken = []
    tasks = (taken.append(number) or number for number in range(100))
    answers = share(squared, tasks, 2)
    next(answers)
    assert len(taken) <= 3
    answers.close()


def test_an_error_of_ours_ends_the_work():
    with pytest.raises(ZeroDivisionError):
        list(share(broken, range(4), 2))


def refusing(_: int) -> int:
    raise UserError("bad_settings", "Not so.")


def test_a_sentence_for_the_user_comes_back_with_its_code():
    with pytest.raises(UserError, match="Not so") as caught:
        list(share(refusing, range(1), 1))
    assert caught.value.code == "bad_settings"


# A cell that answers which threads its libraries have, once it has decoded an image.
CELL = """
import cv2
from media import cell

class Asked(cell.LocalReader):
    def _decode(self, container, stream):
        for frame in super()._decode(container, stream):
            self.used = {"torch": 0, "cv2": cv2.getNumThreads(), "ffmpeg": stream.thread_count}
            yield frame

class Cell(cell.Cell):
    def _coding(self, path):
        self._open(path)
        return self._reader.used

cell.LocalReader, cell.Cell = Asked, Cell
cell.main()
"""


def threads_of_both(_: int) -> tuple[dict, dict]:
    """Threads of a worker's own libraries, and of those in a cell that it lets read a file."""

    from media.nursery import Line, Nurseries

    nurseries = Nurseries("-c", CELL)
    with closing(Line(nurseries, Stop())) as line:
        cell = line.ask("coding", path=str(ROOT / "examples" / "animated.mp4"))
    nurseries.close()
    del cell["warnings"]
    return {"torch": torch.get_num_threads(), "cv2": cv2.getNumThreads(), "ffmpeg": 0}, cell


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has cells")
def test_a_worker_and_the_cell_that_reads_for_it_have_one_thread_each(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    (answer,) = share(threads_of_both, range(1), 1)
    worker, cell = answer.result
    assert worker == {"torch": 1, "cv2": 1, "ffmpeg": 0}
    assert cell == {"torch": 0, "cv2": 1, "ffmpeg": 1}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has cells")
def test_a_cell_has_as_many_threads_as_the_program_was_told(monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "3")
    assert threads_of_both(0)[1] == {"torch": 0, "cv2": 3, "ffmpeg": 3}


@pytest.mark.parametrize(("value", "meant"), [("3", 3), ("2,1", 2), ("0", 1)])
def test_the_number_of_threads_is_that_of_openmp(monkeypatch, value, meant):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert threads() == meant


@pytest.mark.parametrize("value", ["", "many"])
def test_without_a_number_each_core_of_the_process_gets_a_thread(monkeypatch, value):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert threads() == len(os.sched_getaffinity(0))


@pytest.fixture
def three_threads(monkeypatch):
    """A process whose libraries were imported before anybody set their threads."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    for name in VARIABLES:
        monkeypatch.setenv(name, "3")
    torch.set_num_threads(3)
    cv2.setNumThreads(3)
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


def test_an_actor_of_a_cluster_has_one_thread(three_threads):
    facts = facts_of(set_up(NOTHING), 1.0)
    job = Job(NOTHING, fingerprint(facts), place_of("strikes"), "", 1.0)
    Examiner(job)
    assert (torch.get_num_threads(), cv2.getNumThreads(), threads()) == (1, 1, 1)
