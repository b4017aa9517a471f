"""Stop is heard wherever an analysis computes or waits: between layers, while it loads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn

from analysis import Settings, analyze
from detectors import trial
from detectors.frozen.backbone import Block
from detectors.inference import inference
from detectors.pool import Pool
from detectors.registry import role_of
from detectors.spatial import Spatial
from errors import UserError
from hub import remote, store
from hub.checkpoint import Checkpoint
from media import nursery
from stop import Stop, check, current_stop, left_alone
from tests.conftest import ROOT
from tests.hub_server import XET, serving
from tests.tiny_models import write_model

AT_ONCE_S = 1.0  # what is promised
LONG_S = 30.0  # what would have been waited for


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = write_model(tmp_path_factory.mktemp("model") / "vit")
    return store.resolve(str(folder), role_of("spatial"))


def stopped_s(work: Callable[[], Any], begun: threading.Event) -> float:
    """Seconds from Stop, once the work has begun, to its end; it must end as stopped."""
    stop = Stop()
    with ThreadPoolExecutor(1) as other:
        working = other.submit(stop.obeyed()(work))
        assert begun.wait(LONG_S)
        asked_at_s = time.monotonic()
        stop.ask()
        with pytest.raises(UserError) as why:
            working.result()
    assert why.value.code == "stopped", why.value.sentence
    return time.monotonic() - asked_at_s


def wait_for_those_left_alone() -> None:
    for thread in threading.enumerate():
        if thread.name == left_alone.__name__:
            thread.join(LONG_S)


class Asking(nn.Identity):
    """Asks for the end of the work of its thread, as a visitor might meanwhile."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        current_stop().ask()
        return values


class Counting(nn.Identity):
    """Counts how often it was asked."""

    calls = 0

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return values


def test_a_network_ends_before_its_next_layer():
    after = Counting()
    with Stop().obeyed(), inference("cpu"), pytest.raises(UserError) as why:
        nn.Sequential(Asking(), after)(torch.zeros(1))
    assert (why.value.code, after.calls) == ("stopped", 0)


def test_a_stop_is_heard_by_the_thread_of_its_work_alone():
    after, stop = Counting(), Stop()
    stop.ask()
    with stop.obeyed(), inference("cpu"), ThreadPoolExecutor(1) as other:
        other.submit(nn.Sequential(Asking(), after), torch.zeros(1)).result()
    with inference("cpu"):
        after(torch.zeros(1))
    assert after.calls == 2


def test_an_analysis_ends_in_the_middle_of_a_backbone(fresh_probes, monkeypatch):
    stop, layers, really = Stop(), [], Block.forward

    def asked(block: Block, *given: Any) -> torch.Tensor:
        layers.append(block)
        stop.ask()
        return really(block, *given)

    monkeypatch.setattr(Block, "forward", asked)
    portrait, only = ROOT / "examples" / "portrait.jpg", Settings(detectors=("mouth",))
    with pytest.raises(UserError) as why:
        analyze(portrait, only, pool=Pool(), stop=stop)  # a backbone that has seen nothing yet
    assert (why.value.code, len(layers)) == ("stopped", 1)


def test_no_further_detector_is_loaded_once_an_analysis_was_stopped():
    loaded = []

    class Asked(Pool):
        def detector(self, *asked: Any) -> Any:
            loaded.append(asked)
            current_stop().ask()
            check()

    with pytest.raises(UserError, match="was stopped"):
        analyze(ROOT / "examples" / "portrait.jpg", pool=Asked(), stop=Stop())
    wait_for_those_left_alone()
    assert len(loaded) == 1


def test_who_stops_does_not_wait_for_a_checkpoint_that_loads(checkpoint):
    begun, gate = threading.Event(), threading.Event()

    class Slow(Spatial):
        @classmethod
        def load(cls, checkpoint: Checkpoint, device: str) -> Any:
            begun.set()
            assert gate.wait(LONG_S)
            return "loaded"

    pool = Pool(trial=lambda kind, checkpoint: None)
    assert stopped_s(lambda: pool.detector(Slow, checkpoint, "cpu"), begun) < AT_ONCE_S
    gate.set()  # it was loaded once, for the next one
    assert pool.detector(Slow, checkpoint, "cpu").network == "loaded"


class Hanging(Spatial):
    """A checkpoint whose loading never ends; only ever loaded by a trial."""

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str) -> Any:
        while True:
            pass


@pytest.mark.skipif(trial.sys.platform != "linux", reason="only Linux tries a checkpoint first")
@pytest.mark.parametrize(("kind", "name"), [(nursery.Nursery, "without"), (nursery.Line, "_wait")])
def test_who_stops_ends_the_trial_of_a_strangers_checkpoint(checkpoint, monkeypatch, kind, name):
    """While the process that tries it starts, and while it tries."""
    begun, really = threading.Event(), getattr(kind, name)

    def observed(self: Any) -> Any:
        begun.set()
        return really(self)

    monkeypatch.setattr(kind, name, observed)
    try:
        assert stopped_s(lambda: Pool().detector(Hanging, checkpoint, "cpu"), begun) < AT_ONCE_S
    finally:
        assert trial.TRIALS._nurseries is not None
        trial.TRIALS._nurseries.close()


def test_who_stops_does_not_wait_for_the_hub_and_the_transfer_ends(
    checkpoint, tmp_path, monkeypatch
):
    with serving(tmp_path, monkeypatch) as hub:
        hub.add("someone/detector", checkpoint.folder)
        hub.gate.clear()
        fetch = lambda: store.resolve("someone/detector", role_of("spatial"))  # noqa: E731
        assert stopped_s(fetch, hub.half) < AT_ONCE_S
        hub.gate.set()
        wait_for_those_left_alone()
        assert not list(remote.cache_folder().rglob("model.safetensors"))
        assert fetch().revision
        assert not [path for _, path, _ in hub.seen if path == XET]  # which nobody could stop
