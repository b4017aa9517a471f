"""Does a file that brings down its reader bring down anything else?"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import gradio as gr
import numpy as np
import psutil
import pytest

import cli
import confine
from analysis import Settings, analyze
from confine import landlock_version
from errors import UserError
from hub.spacefile import read_spacefile
from media import nursery, wire, worker
from media.nursery import Nurseries
from media.reader import LocalReader, coding_of, isolation, open_reader
from media.windows import plan
from report.language import languages
from stop import Stop
from tests.conftest import ROOT
from tests.hostile_files import MISDEEDS
from ui import source
from ui.analyze import analyze_tab

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine a process")
PORTRAIT, CLIP = ROOT / "examples" / "portrait.jpg", ROOT / "examples" / "animated.mp4"

# A reader that a hostile file has taken over: it does what the file is called.
TAKEN_OVER = """
import ctypes, os, platform, resource, signal, socket, subprocess, sys, threading, time
import numpy as np
from media import cell, wire
from media.provenance import Provenance

def attempt(call):
    try:
        call()
    except OSError as error:
        return type(error).__name__
    return "done"

LIBC, PARENT = ctypes.CDLL(None, use_errno=True), os.getppid()  # the program itself
COLUMN = ("x86_64", "aarch64").index(platform.machine())

def raw(*numbers, arguments=(0, 0, 0, 0, 0, 0)):
    # a call by its number on this machine, where the C library has no name for it
    if LIBC.syscall(ctypes.c_long(numbers[COLUMN]), *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def fork():
    if os.fork() == 0:
        os._exit(0)

def thread():
    begun = threading.Thread(target=int)
    begun.start()
    begun.join()

def look_in(path):
    with open(path, "rb") as file:
        file.read(1)

PROCESSES = {  # what reaches beyond this process
    "kill": lambda: os.kill(PARENT, 0),
    "tkill": lambda: raw(200, 130, arguments=(PARENT, 0, 0)),
    "tgkill": lambda: raw(234, 131, arguments=(PARENT, PARENT, 0)),
    "rt_sigqueueinfo": lambda: raw(129, 138, arguments=(PARENT, 0, 0)),
    "rt_tgsigqueueinfo": lambda: raw(297, 240, arguments=(PARENT, PARENT, 0, 0)),
    "pidfd_open": lambda: os.pidfd_open(PARENT),
    "pidfd_send_signal": lambda: signal.pidfd_send_signal(0, 0),
    "pidfd_getfd": lambda: raw(438, 438, arguments=(0, 0, 0)),
    "ptrace": lambda: raw(101, 117, arguments=(16, PARENT, 0, 0)),
    "process_vm_readv": lambda: raw(310, 270, arguments=(PARENT, 0, 0, 0, 0, 0)),
    "process_vm_writev": lambda: raw(311, 271, arguments=(PARENT, 0, 0, 0, 0, 0)),
    "process_madvise": lambda: raw(440, 440),
    "process_mrelease": lambda: raw(448, 448),
    "kcmp": lambda: raw(312, 272, arguments=(PARENT, PARENT, 0, 0, 0)),
    "prlimit": lambda: resource.prlimit(PARENT, resource.RLIMIT_CPU),
    "fork": fork,
    "vfork": lambda: raw(58, 220, arguments=(17,)),  # on ARM: clone
    "clone": lambda: raw(56, 220, arguments=(17,)),
    "unshare": lambda: raw(272, 97, arguments=(0x40000000,)),
    "setns": lambda: raw(308, 268),
    "perf_event_open": lambda: raw(298, 241),
    "bpf": lambda: raw(321, 280),
    "userfaultfd": lambda: raw(323, 282),
    "chmod": lambda: os.chmod(__import__("tempfile").gettempdir(), 0o1777),
    "utime": lambda: os.utime(OWN),
}
ALLOWED = {  # what it needs itself
    "thread": thread,
    "raise": lambda: (signal.signal(signal.SIGUSR1, signal.SIG_IGN),
                      signal.raise_signal(signal.SIGUSR1)),
    "limit": lambda: resource.getrlimit(resource.RLIMIT_CPU),
    "memory": lambda: os.close(os.memfd_create("a")),
    "file": lambda: look_in(OWN),
    "library": lambda: look_in(os.__file__),
    "program": lambda: look_in(cell.__file__),
}
FILES = {  # that are not its own
    "passwd": lambda: look_in("/etc/passwd"),
    "beside": lambda: look_in(OWN.with_name("beside.txt")),
    "folder": lambda: os.listdir(OWN.parent),
    "root": lambda: os.listdir("/"),
    "environment": lambda: look_in(f"/proc/{PARENT}/environ"),
    "memory": lambda: look_in(f"/proc/{PARENT}/mem"),
    "write": lambda: open(OWN, "r+b").close(),
    "cut": lambda: os.truncate(OWN, 1),
    "make": lambda: open(OWN.with_name("made"), "xb").close(),
    "make in the program": lambda: open(cell.__file__ + ".made", "xb").close(),
    "delete": lambda: os.unlink(OWN),
    "move": lambda: os.rename(OWN, OWN.with_name("moved")),
    "link": lambda: os.symlink(OWN, OWN.with_name("link")),
    "make a folder": lambda: os.mkdir(OWN.with_name("made")),
}

def tried(deeds):
    return tuple(f"{name}: {attempt(deed)}" for name, deed in deeds.items())

def ask():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.connect(("127.0.0.1", 9))

class Taken(cell.LocalReader):
    def provenance(self):
        deed = self.path.stem
        if deed == "crash":
            ctypes.string_at(0)
        if deed == "spin":
            while True:
                pass
        if deed == "sleep":
            time.sleep(600)
        if deed == "eat":
            self.eaten = [np.empty(1_000_000_000, np.uint8) for _ in range(100)]
        if deed == "fill":
            os.truncate(os.memfd_create("filled"), cell.LIMITS.output_bytes + 1)
        found = super().provenance()
        global OWN
        OWN = self.path
        for kind in (PROCESSES, ALLOWED, FILES):
            if deed in [kind_name for kind_name, one in globals().items() if one is kind]:
                return Provenance(found.facts, tried(kind), found.content_credentials)
        answers = (
            attempt(ask), attempt(lambda: subprocess.run(["true"])), attempt(lambda: os.kill(1, 0)),
            "torch" if "torch" in __import__("sys").modules else "no torch",
            "\\x1b[2J" + str(sorted(name for name in os.environ if "TOKEN" in name)),
        )
        return Provenance(found.facts, answers, found.content_credentials)

    def frames(self, *stretch):
        if self.path.stem == "hang":
            time.sleep(600)
        return super().frames(*stretch)

    def own_audio(self, start_s, stop_s):
        if self.path.stem == "garble":
            os.write(3, b"no message")
        return super().own_audio(start_s, stop_s)

cell.LocalReader = Taken
cell.main()
"""


@pytest.fixture(scope="module")
def taken():
    """The nursery of the readers that were taken over; it is started once."""
    os.environ["HF_TOKEN"] = "secret"
    held = Nurseries("-c", TAKEN_OVER)
    held.without()
    del os.environ["HF_TOKEN"]
    yield held
    held.close()


@pytest.fixture
def taken_over(monkeypatch, taken):
    """Readers do what the files are called."""
    monkeypatch.setattr(worker, "READERS", taken)


def named(tmp_path, deed: str, source=PORTRAIT):
    path = tmp_path / f"{deed}{source.suffix}"
    path.write_bytes(source.read_bytes())
    return path


# ------------------------------------------------------------------ what an honest file gives


@pytest.mark.parametrize("path", [PORTRAIT, CLIP], ids=["image", "video"])
def test_another_process_reads_the_same(path):
    with open_reader(path) as apart, LocalReader(path) as here:
        for name in ("name", "bytes", "kind", "container", "duration_s", "fps"):
            assert getattr(apart, name) == getattr(here, name)
        assert (apart.size_wh, apart.has_audio) == (here.size_wh, here.has_audio)
        assert apart.provenance() == here.provenance()
        for stretch in plan(here.duration_s, "quick")[:1]:
            observed, wanted = apart.window(stretch), here.window(stretch)
            for name in ("times_s", "stills", "stills_s", "speech_s"):
                assert np.array_equal(getattr(observed, name), getattr(wanted, name))
            assert (observed.audio is None) == (wanted.audio is None) == (path == PORTRAIT)
            assert observed.audio is None or np.array_equal(observed.audio, wanted.audio)
            for one, other in zip(observed.tracks, wanted.tracks, strict=True):
                assert (one.person, one.quality) == (other.person, other.quality)
                assert np.array_equal(one.crops, other.crops)
                assert np.array_equal(one.landmarks, other.landmarks)
        frames, others = apart.frames(0.5, 0.7), here.frames(0.5, 0.7)
        for (time_s, image), (other_s, other) in zip(frames, others, strict=True):
            assert time_s == other_s
            assert np.array_equal(image, other)


def test_the_coding_is_known_without_decoding():
    assert (coding_of(CLIP), coding_of(PORTRAIT)) == (("video", "h264"), ("picture", ""))


def test_it_is_said_where_files_are_read():
    assert "process of its own" in isolation()


def test_the_sentences_are_there_in_german():
    table = languages()["de"].table
    words = (nursery.CRASHED, nursery.KILLED, nursery.MEMORY, nursery.NOT_STARTED)
    assert set(words) <= set(table)


def test_what_cannot_be_read_is_said_in_the_same_words(tmp_path):
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(CLIP.read_bytes()[:3000])
    data = []
    for opened in (open_reader, LocalReader):
        with pytest.raises(UserError) as why:
            opened(damaged)
        data.append((why.value.code, why.value.sentence))
    assert data[0] == data[1]
    assert data[0][0] == "decode_failed"


def test_closed_readers_leave_no_process_and_no_file_behind():
    with open_reader(PORTRAIT) as reader:
        assert reader.kind == "picture"
    made_by = psutil.Process(worker.READERS.get()._process.pid)
    assert made_by.children() == []
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with open_reader(PORTRAIT) as reader:
            reader.window(plan(0.0, "quick")[0])
    gc.collect()
    assert made_by.children() == []
    assert len(os.listdir("/proc/self/fd")) <= before


# ------------------------------------------------------------------ what a hostile one gets


@pytest.mark.parametrize(("what", "deed", "code", "sentence"), MISDEEDS)
def test_each_misdeed_is_a_sentence_and_the_next_file_is_read(
    tmp_path, taken_over, monkeypatch, what, deed, code, sentence
):
    monkeypatch.setattr(nursery, "ANSWER_CPU_S", 1)
    with open_reader(named(tmp_path, deed)) as reader, pytest.raises(UserError) as why:
        reader.provenance()
    assert why.value.code == code
    assert sentence in why.value.sentence
    with open_reader(named(tmp_path, "honest")) as reader:
        assert reader.provenance().facts["container"] == "JPEG"


def test_an_analysis_ends_in_that_sentence(tmp_path, taken_over):
    with pytest.raises(UserError) as why:
        analyze(named(tmp_path, "crash"), Settings(detectors=()))
    assert why.value.code == "reader_crashed"


def test_one_such_file_ends_neither_a_folder_run_nor_its_json(
    tmp_path, taken_over, monkeypatch, capsys
):
    monkeypatch.setattr(nursery, "ANSWER_CPU_S", 1)
    for deed in ("crash", "eat", "honest", "spin"):
        named(tmp_path, deed)
    table, options = tmp_path / "rows.csv", ["--json", "--detector", "landmarks"]
    cli.main(["analyze", str(tmp_path), "--csv", str(table), *options])
    reports = {r["file"]["name"]: r for r in json.loads(capsys.readouterr().out)}
    codes = {name: report.get("error") or {} for name, report in reports.items()}
    assert [codes[f"{deed}.jpg"].get("code") for deed in ("crash", "eat", "honest", "spin")] == [
        "reader_crashed", "reader_memory", None, "reader_limit",
    ]  # fmt: skip
    assert reports["honest.jpg"]["verdict"]["level"]
    assert len(table.read_text("utf-8").splitlines()) == 5


def test_a_reader_that_does_not_answer_is_ended_by_the_clock(tmp_path, taken_over, monkeypatch):
    monkeypatch.setattr(nursery, "ANSWER_S", 1.0)
    with open_reader(named(tmp_path, "sleep")) as reader:
        with pytest.raises(UserError, match="took longer") as why:
            reader.provenance()
        assert why.value.code == "reader_limit"
    assert psutil.Process(worker.READERS.get()._process.pid).children() == []


def test_who_presses_stop_does_not_wait_for_a_reader_that_hangs(tmp_path, taken_over):
    stop = Stop()
    with open_reader(named(tmp_path, "sleep"), stop) as reader:
        threading.Timer(0.2, stop.ask).start()
        begun = time.monotonic()
        with pytest.raises(UserError) as why:
            reader.provenance()
    assert why.value.code == "stopped"
    assert time.monotonic() - begun < 5


def test_it_has_no_network_no_programs_no_other_process_no_torch_and_no_token(tmp_path, taken_over):
    assert "without network" in isolation()
    with open_reader(named(tmp_path, "honest")) as reader:
        tried = reader.provenance().notes
    assert tried[:4] == ("PermissionError", "PermissionError", "PermissionError", "no torch")
    assert tried[4] == "\ufffd[2J[]"  # no variable with a token, and no escape for a terminal


def deeds(path) -> dict[str, str]:
    """What came of the deeds that a file is called after."""
    with open_reader(path) as reader:
        return dict(note.split(": ") for note in reader.provenance().notes)


def test_it_reaches_no_other_process_by_any_call_and_makes_none(tmp_path, taken_over):
    answers = deeds(named(tmp_path, "PROCESSES"))
    assert len(answers) == 25
    assert {name: how for name, how in answers.items() if how != "PermissionError"} == {}


def test_it_reads_no_other_file_and_writes_none(tmp_path, taken_over):
    if landlock_version() == 0:
        pytest.skip("this kernel has no Landlock")
    (tmp_path / "beside.txt").write_text("another visitor's")
    answers = deeds(named(tmp_path, "FILES"))
    assert len(answers) == 14
    assert {name: how for name, how in answers.items() if how != "PermissionError"} == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FILES.jpg", "beside.txt"]


def test_it_still_does_what_it_needs(tmp_path, taken_over):
    assert set(deeds(named(tmp_path, "ALLOWED")).values()) == {"done"}


def test_a_kernel_without_landlock_is_said(monkeypatch, taken):
    assert isolation().endswith("without other files.") == (landlock_version() > 0)
    monkeypatch.setattr(worker.READERS, "without", lambda: {nursery.NETWORK})
    assert "did not let it give up other files" in isolation()
    monkeypatch.setattr(confine, "landlock_version", lambda: 0)
    assert not confine.read_only(PORTRAIT)  # and this process still reads what it likes
    assert CLIP.read_bytes()


def test_a_file_that_hangs_when_it_is_chosen_is_let_go_of(tmp_path, taken_over, monkeypatch):
    monkeypatch.setattr(source, "LOOK_S", 0.3)
    path = str(named(tmp_path, "hang"))
    for look in (lambda: source.check_file(path, read_spacefile()), lambda: source.still(path)):
        begun = time.monotonic()
        with pytest.raises(UserError, match="To open the file") as why:
            look()
        assert why.value.code == "reader_limit"
        assert time.monotonic() - begun < 30


def test_four_visitors_can_choose_a_file_at_once():
    with gr.Blocks() as page:
        analyze_tab(read_spacefile())
    limits = [fn.concurrency_limit for fn in page.fns.values() if fn.concurrency_id == "look"]
    assert limits == [4, 4, 4]  # drop zone, film, image


def test_what_is_no_message_ends_the_reader(tmp_path, taken_over):
    with open_reader(named(tmp_path, "garble", CLIP)) as reader:
        with pytest.raises(UserError) as why:
            reader.audio(0.0, 1.0)
        assert why.value.code == "reader_crashed"


def test_a_reader_that_is_killed_in_the_middle_is_a_sentence_and_so_is_its_nursery():
    with open_reader(CLIP) as reader:
        os.kill(reader.line.process, signal.SIGKILL)
        with pytest.raises(UserError, match="short of memory"):
            reader.provenance()
    with open_reader(CLIP) as reader:
        os.kill(worker.READERS.get()._process.pid, signal.SIGKILL)
        with pytest.raises(UserError) as why:
            list(reader.frames())
        assert why.value.code == "reader_crashed"
    with open_reader(CLIP) as reader:
        assert reader.kind == "video"


def test_readers_end_with_the_program_even_when_it_is_killed():
    program = (
        "import os, signal; from media.reader import open_reader; from media import worker\n"
        f"reader = open_reader({str(CLIP)!r})\n"
        "print(worker.READERS.get()._process.pid, reader.line.process, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    until = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


# ------------------------------------------------------------------ the wire


@pytest.fixture
def line():
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("shape", [(0, 3), (7,), (2, 3, 4), (1200, 1000)])
def test_arrays_arrive_as_they_were_and_may_be_changed(line, shape):
    ours, theirs = line
    sent = np.random.default_rng(1).standard_normal(shape)
    wire.send(theirs, {"deep": [{"array": sent}], "text": "é\udc80", "none": None})
    result = wire.receive(ours)
    assert np.array_equal(result["deep"][0]["array"], sent)
    assert (result["text"], result["none"]) == ("é\udc80", None)
    result["deep"][0]["array"][...] = 0


def test_what_could_shrink_under_our_hands_is_refused(line):
    ours, theirs = line
    file = os.memfd_create("array", os.MFD_ALLOW_SEALING)
    os.ftruncate(file, 8)
    body = json.dumps({"a": {wire.ARRAY: 0, "dtype": "<f8", "shape": [1]}}).encode()
    for seals, refused in ((0, True), (wire.SEALS, False)):
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
        socket.send_fds(theirs, [wire.HEADER.pack(len(body), 1), body], [file])
        if refused:
            with pytest.raises(wire.Garbled):
                wire.receive(ours)
        else:
            assert wire.receive(ours)["a"] == [0.0]
    os.close(file)


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a": {"__array__": 0}}',
        b'{"a": {"__array__": 5, "dtype": "<f8", "shape": [1]}}',
        b'{"a": {"__array__": 0, "dtype": "O", "shape": [1]}}',
        b'{"a": {"__array__": 0, "dtype": "<f8", "shape": [-1]}}',
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(line, body):
    ours, theirs = line
    theirs.sendall(wire.HEADER.pack(len(body), 0) + body)
    with pytest.raises(wire.Garbled):
        wire.receive(ours)


def test_a_message_without_end_is_refused(line):
    ours, theirs = line
    theirs.sendall(wire.HEADER.pack(wire.MOST_BYTES + 1, 0))
    with pytest.raises(wire.Garbled):
        wire.receive(ours)
    theirs.close()
    with pytest.raises(wire.Gone):
        wire.receive(ours)
