"""Networks are loaded once, within a limit, and nobody waits for somebody else's."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
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
from tests.tiny_models import write_model


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
