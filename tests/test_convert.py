"""A pickled checkpoint is opened in a child process only, and becomes a folder that runs."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest
import torch

from confine import confine, landlock_version
from detectors.loading import load_layout
from detectors.registry import role_of
from detectors.sync.avhubert import build_avhubert, canonical
from detectors.sync.stable_syncnet import build_stable_syncnet
from detectors.sync.syncnet import build_syncnet
from errors import UserError
from hub import store, unpickle
from hub.convert import convert
from tests.conftest import ROOT
from tests.published_layouts import (
    avhubert_tensors,
    fairseq,
    stable_syncnet_tensors,
    syncnet_tensors,
)


class Bomb:
    """Leaves a mark when it is unpickled, and calls a listener."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return (os.system, (self.command,))


def refused(path: Path, to: Path) -> str:
    with pytest.raises(UserError) as caught:
        convert(path, to)
    assert caught.value.code == "weights_refused"
    assert not (to / "model.safetensors").exists()
    return caught.value.sentence


def test_a_fairseq_checkpoint_with_objects_beside_the_weights_is_converted_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    import cli

    module = types.ModuleType("fairseq.data.dictionary")
    module.Dictionary = type("Dictionary", (), {"__module__": module.__name__})
    for name in ("fairseq", "fairseq.data", "fairseq.data.dictionary"):
        monkeypatch.setitem(sys.modules, name, module)
    words = module.Dictionary()
    words.symbols = ["<s>", "</s>"]
    model = {f"encoder.w2v_model.{k}": v for k, v in fairseq(avhubert_tensors(width=128)).items()}
    whole = {
        "args": argparse.Namespace(lr=0.1),
        "task_state": {"dictionaries": [words]},
        "model": {**model, "decoder.embed_tokens.weight": torch.randn(3, 3)},
    }
    torch.save(whole, tmp_path / "large_vox.pt")
    to = tmp_path / "converted"
    assert cli.main(["convert", str(tmp_path / "large_vox.pt"), "--to", str(to)]) == 0
    sentences = capsys.readouterr().out
    assert "AV-HuBERT" in sentences and "can run code" in sentences and "sync=" in sentences
    network = load_layout(store.resolve(str(to), role_of("sync")), build_avhubert)
    expected = canonical(model)
    assert set(network.state_dict()) == set(expected) and network.shape.norm_first
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    assert "sha256" in (to / "README.md").read_text()


def test_syncnets_file_is_converted(tmp_path: Path):
    torch.save(syncnet_tensors(), tmp_path / "syncnet_v2.model")
    done = convert(tmp_path / "syncnet_v2.model", tmp_path / "out")
    network = load_layout(store.resolve(str(done.folder), role_of("sync")), build_syncnet)
    assert network.hear(torch.randn(24, 13)).shape == (2, 16)


def test_latentsyncs_file_is_converted_and_runs(tmp_path: Path):
    torch.save(
        {"global_step": 7, "state_dict": stable_syncnet_tensors(attention=())},
        tmp_path / "stable_syncnet.pt",
    )
    done = convert(tmp_path / "stable_syncnet.pt", tmp_path / "out")
    assert done.layout.title == "StableSyncNet of LatentSync"
    network = load_layout(store.resolve(str(done.folder), role_of("sync")), build_stable_syncnet)
    assert network.hear(torch.randn(640 * 17)).shape == (2, 64)


def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path):
    marker = tmp_path / "executed"
    torch.save({"model": Bomb(f"touch {marker}")}, tmp_path / "evil.pt")
    assert "it holds posix.system, which is no tensor" in refused(
        tmp_path / "evil.pt", tmp_path / "out"
    )
    (tmp_path / "raw.ckpt").write_bytes(b"cos\nsystem\n(S'touch " + bytes(marker) + b"'\ntR.")
    refused(tmp_path / "raw.ckpt", tmp_path / "out")
    assert not marker.exists()


def test_the_child_has_no_network_where_the_kernel_allows_that(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        asked = threading.Event()

        def listen() -> None:
            server.settimeout(20)
            try:
                server.accept()
                asked.set()
            except OSError:
                return

        threading.Thread(target=listen, daemon=True).start()
        child = os.fork()
        if child == 0:
            code = 3
            try:
                code = 2 if not confine(unpickle.LIMITS) else 1
                if code == 1:
                    socket.create_connection(("127.0.0.1", port), 2)
            except OSError:
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == 2:
        pytest.skip("this kernel does not let a process give up its network")
    assert os.waitstatus_to_exitcode(status) == 0 and not asked.is_set()


TAKEN_OVER = """
import os, torch
from hub import unpickle

def load(source, **rest):
    for deed in (lambda: open("/etc/passwd"), lambda: open(source + ".made", "w"), os.fork):
        try:
            deed()
        except PermissionError:
            print("refused")

torch.load = load
unpickle.main()
"""


@pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")
def test_an_unpickler_that_is_taken_over_reads_and_writes_nothing_else(tmp_path: Path):
    (tmp_path / "a.pt").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-c", TAKEN_OVER, tmp_path / "a.pt", tmp_path / "b.safetensors"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["refused"] * 3, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "b.safetensors"]


def test_what_cannot_be_converted_is_said(tmp_path: Path):
    torch.save({"model": {"weight": torch.ones(2)}}, tmp_path / "other.pt")
    assert "no known layout" in refused(tmp_path / "other.pt", tmp_path / "a")
    half = {k: v for k, v in syncnet_tensors().items() if "lip" not in k}
    torch.save(half, tmp_path / "half.pth")
    assert "no tower for the face" in refused(tmp_path / "half.pth", tmp_path / "b")
    (tmp_path / "text.pt").write_text("no pickle")
    refused(tmp_path / "text.pt", tmp_path / "c")
    (tmp_path / "x.onnx").write_text("")
    assert "none of" in refused(tmp_path / "x.onnx", tmp_path / "d")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept.txt").write_text("mine")
    torch.save(syncnet_tensors(), tmp_path / "s.pt")
    with pytest.raises(UserError, match="not empty"):
        convert(tmp_path / "s.pt", tmp_path / "full")
    with pytest.raises(UserError, match="not found"):
        convert(tmp_path / "nothing.pt", tmp_path / "e")
