"""A stranger's checkpoint is loaded by another process first."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from confine import landlock_version
from detectors import trial
from detectors.pool import Pool
from detectors.registry import role_of
from detectors.spatial import Spatial
from errors import UserError
from hub import store
from hub.checkpoint import Checkpoint
from media import nursery
from tests.tiny_models import write_model

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine a process")


NO_LANDLOCK = pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")
LOOK = pytest.param("look", "PermissionError", marks=NO_LANDLOCK)


class Deed(Spatial):
    """Does what its checkpoint is called, but never in the process of the tests."""

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str):
        if "PYTEST_CURRENT_TEST" in os.environ:
            return "loaded here"
        if checkpoint.name == "crash":
            ctypes.string_at(0)
        while checkpoint.name == "spin":
            pass
        if checkpoint.name == "call":
            with socket.socket() as line:
                line.connect(("127.0.0.1", 9))
        if checkpoint.name == "look":
            Path("/etc/passwd").read_text()
        return super().load(checkpoint, device)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = write_model(tmp_path_factory.mktemp("model") / "vit")
    yield store.resolve(str(folder), role_of("spatial"))
    if trial.TRIALS._nurseries is not None:
        trial.TRIALS._nurseries.close()


@pytest.mark.parametrize(
    ("deed", "sentence"),
    [("crash", "crash brought down"), ("spin", "too long"), ("call", "PermissionError"), LOOK],
)
def test_what_brings_down_the_trial_is_refused_and_never_loaded_here(
    checkpoint, monkeypatch, deed, sentence
):
    monkeypatch.setattr(nursery, "ANSWER_CPU_S", 2)
    with pytest.raises(UserError, match=sentence) as why:
        Pool().detector(Deed, replace(checkpoint, name=deed, sha256=deed), "cpu")
    assert why.value.code == "weights_refused"


def test_what_loads_there_is_loaded_here(checkpoint):
    assert Pool().detector(Deed, checkpoint, "cpu").network == "loaded here"
    assert Pool().detector(Spatial, checkpoint, "cpu").network.training is False


def test_the_sentence_of_a_checkpoint_that_does_not_fit_is_the_same_as_here(checkpoint, tmp_path):
    folder = write_model(tmp_path / "vit")
    card = replace(checkpoint.card, size_px=16)
    broken = replace(checkpoint, folder=folder, card=card, name="broken", sha256="broken")
    data = []
    for classifier in (trial.try_once, lambda kind, checkpoint: None):
        with pytest.raises(UserError) as why:
            Pool(trial=classifier).detector(Spatial, broken, "cpu")
        data.append((why.value.code, why.value.sentence))
    assert data[0] == data[1]


def test_embedded_checkpoints_are_not_tried():
    def refuse(kind, checkpoint):
        raise AssertionError("tried")

    checkpoint = store.resolve(None, role_of("landmarks"))
    from detectors.registry import detector_of

    assert Pool(trial=refuse).detector(detector_of("landmarks"), checkpoint, "cpu")


def test_the_process_for_trials_ends_when_nothing_was_tried_for_a_while(checkpoint, monkeypatch):
    monkeypatch.setattr(trial, "IDLE_S", 0.1)
    Pool().detector(Deed, checkpoint, "cpu")
    ended = threading.Event()
    monkeypatch.setattr(trial.TRIALS._nurseries, "close", ended.set)
    Pool().detector(Deed, checkpoint, "cpu")
    assert ended.wait(10)
