"""Networks are loaded once, within a limit, and nobody waits for somebody else's."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from detectors.pool import Pool
from detectors.registry import role_of
from detectors.spatial import Spatial
from errors import UserError
from hub import store
from hub.checkpoint import Checkpoint
from stop import Stop, check
from tests.tiny_models import write_model

AT_ONCE_S = 1.0  # what is promised to who stops


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = write_model(tmp_path_factory.mktemp("model") / "vit")
    return store.resolve(str(folder), role_of("spatial"))


@pytest.fixture
def gate():
    """Holds back the loading of checkpoints whose name is slow."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def kind(gate: threading.Event) -> Any:
    class Slow(Spatial):
        loaded: list[str] = []  # noqa: RUF012

        @classmethod
        def load(cls, checkpoint: Checkpoint, device: str) -> Any:
            cls.loaded.append(checkpoint.name)
            if checkpoint.name == "slow":
                assert gate.wait(30)
            if checkpoint.name == "broken" and len(cls.loaded) == 1:
                raise UserError("weights_refused", "Broken.")
            return object()

    return Slow


def untried(kind: type, checkpoint: Checkpoint) -> None:
    """These are no files; what is tried before loading is told in test_trial.py."""


def called(checkpoint: Checkpoint, name: str) -> Checkpoint:
    return replace(checkpoint, name=name, sha256=name, folder=Path(name))


def test_a_slow_checkpoint_holds_up_nobody_elses(checkpoint, kind, gate):
    pool = Pool(trial=untried)
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(pool.detector, kind, called(checkpoint, "slow"), "cpu")
        assert pool.detector(kind, called(checkpoint, "quick"), "cpu").network
        assert not waiting.done()
        gate.set()
        assert waiting.result(30).network


def test_one_network_is_loaded_once_however_many_ask(checkpoint, kind, gate):
    pool, slow = Pool(trial=untried), called(checkpoint, "slow")
    with ThreadPoolExecutor(4) as others:
        asked = [others.submit(pool.detector, kind, slow, "cpu") for _ in range(4)]
        gate.set()
        assert len({id(one.result(30).network) for one in asked}) == 1
    assert kind.loaded == ["slow"]


def test_a_checkpoint_that_hangs_is_given_up_with_a_sentence(checkpoint, kind):
    with pytest.raises(UserError, match=r"slow did not load within 0\.1 s") as caught:
        Pool(limit_s=0.1, trial=untried).detector(kind, called(checkpoint, "slow"), "cpu")
    assert caught.value.code == "weights_refused"


def test_a_checkpoint_that_failed_may_be_tried_again(checkpoint, kind):
    pool, broken = Pool(trial=untried), called(checkpoint, "broken")
    with pytest.raises(UserError, match="Broken"):
        pool.detector(kind, broken, "cpu")
    assert pool.detector(kind, broken, "cpu").network


class Tried:
    """A trial that lasts until the gate opens or its stop is asked; counts."""

    def __init__(self, gate: threading.Event, outcome: UserError | None = None) -> None:
        self.gate, self.outcome = gate, outcome
        self.ended = threading.Event()
        self.times = 0

    def __call__(self, kind: type, checkpoint: Checkpoint) -> None:
        self.times += 1
        try:
            while not self.gate.wait(0.01):
                check()
            if self.outcome is not None:
                raise self.outcome
        finally:
            self.ended.set()


def two_visitors(pool: Pool, kind: Any, checkpoint: Checkpoint) -> tuple[Stop, Stop, list[Future]]:
    """Both ask for the same checkpoint at once, each in a thread of its own."""
    one, two, executor = Stop(), Stop(), ThreadPoolExecutor(2)
    asked = [
        executor.submit(stop.obeyed()(pool.detector), kind, checkpoint, "cpu")
        for stop in (one, two)
    ]
    executor.shutdown(wait=False)
    return one, two, asked


def all_wait(pool: Pool, many: int) -> None:
    until = time.monotonic() + 30
    while sum(trying.waiting for trying in pool._trying.values()) < many:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_two_who_load_a_strangers_checkpoint_share_one_trial(kind, gate, checkpoint):
    tried = Tried(gate)
    pool = Pool(trial=tried)
    *_, asked = two_visitors(pool, kind, checkpoint)
    all_wait(pool, 2)
    gate.set()
    assert {future.result(30).network for future in asked} == {
        pool.detector(kind, checkpoint, "cpu").network
    }
    assert (tried.times, len(kind.loaded)) == (1, 1)


def test_two_who_load_what_a_trial_refuses_both_hear_why_and_a_third_has_it_tried_again(
    kind, gate, checkpoint
):
    tried = Tried(gate, UserError("weights_refused", "It is broken."))
    pool = Pool(trial=tried)
    *_, asked = two_visitors(pool, kind, checkpoint)
    all_wait(pool, 2)
    gate.set()
    for future in asked:
        with pytest.raises(UserError, match="It is broken"):
            future.result(30)
    with pytest.raises(UserError, match="It is broken"):
        pool.detector(kind, checkpoint, "cpu")
    assert (tried.times, kind.loaded) == (2, [])


@pytest.mark.parametrize("place", [0, 1])
def test_one_who_stops_leaves_a_shared_trial_at_once_and_the_other_keeps_it(
    kind, gate, checkpoint, place
):
    tried = Tried(gate)
    pool = Pool(trial=tried)
    *stops, asked = two_visitors(pool, kind, checkpoint)
    all_wait(pool, 2)
    stops[place].ask()
    with pytest.raises(UserError, match="was stopped"):
        asked[place].result(AT_ONCE_S)
    assert not tried.ended.is_set()
    gate.set()
    assert asked[1 - place].result(30).network
    assert tried.times == 1


def test_a_trial_ends_when_the_last_who_waits_for_it_stops(kind, gate, checkpoint):
    tried = Tried(gate)
    pool = Pool(trial=tried)
    *stops, asked = two_visitors(pool, kind, checkpoint)
    all_wait(pool, 2)
    for stop, future in zip(stops, asked, strict=True):
        stop.ask()
        with pytest.raises(UserError, match="was stopped"):
            future.result(AT_ONCE_S)
    assert tried.ended.wait(AT_ONCE_S)
    assert kind.loaded == []
