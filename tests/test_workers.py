"""Do processes share work, and survive that one of them is killed?"""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from errors import UserError
from evaluation.workers import TRIES, share


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


def threads(_: int) -> tuple[int, int]:
    import cv2
    import torch

    return torch.get_num_threads(), cv2.getNumThreads()


def test_each_process_has_one_thread(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [answer.result for answer in share(threads, range(1), 1)] == [(1, 1)]
