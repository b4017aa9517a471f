"""Does the running server keep its promises: cancel, time limit, deletion, one job at a time?"""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import psutil
import pytest

from analysis import Settings, analyze
from errors import UserError
from media import worker
from stop import Stop
from tests.conftest import ROOT, moving_portrait, write_clip
from tests.tiny_models import bright_is_fake
from ui import jobs, keeping, session

IMAGE = ROOT / "examples" / "portrait.jpg"
AT_ONCE_S = 1.0  # of this process's CPU time, which busy cores do not stretch: then a job has ended
START_S = 120.0  # for a server process to answer, on busy cores


@pytest.fixture(scope="module")
def clip(tmp_path_factory, portrait) -> Path:
    """Thirty seconds of a drifting portrait: long enough to be stopped in the middle."""
    images = moving_portrait(portrait, 50) * 15
    return write_clip(tmp_path_factory.mktemp("long") / "long.mp4", images, codec="mpeg4")


class Watch:
    """Notes when analyses begin and end in the server of this process."""

    def __init__(self, monkeypatch):
        self.at_once = self.most_at_once = self.begun = 0
        self.working, self.ended_at = threading.Event(), 0.0
        self._lock = threading.Lock()
        monkeypatch.setattr(session, "analyze", self._analyze)

    def _analyze(self, path, settings, on_progress, **rest):
        with self._lock:
            self.begun += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)

        def data(fraction, text):
            on_progress(fraction, text)
            if text.startswith("Finding faces"):
                self.working.set()

        try:
            return analyze(path, settings, data, **rest)
        finally:
            self.ended_at = time.process_time()
            with self._lock:
                self.at_once -= 1

    def wait_for_end(self, within_s: float = 60.0) -> None:
        until = time.monotonic() + within_s
        while self.at_once and time.monotonic() < until:
            time.sleep(0.01)
        assert not self.at_once, "the analysis goes on"


@pytest.fixture
def watch(monkeypatch):
    return Watch(monkeypatch)


# ------------------------------------------------------------------ stop


def test_an_analysis_ends_within_a_second_of_being_asked(clip):
    stop, asked_at = Stop(), []

    def data(fraction, text):
        if text.startswith("Finding faces") and not asked_at:
            threading.Timer(0.3, lambda: (asked_at.append(time.process_time()), stop.ask())).start()

    with pytest.raises(UserError) as told_why:
        analyze(clip, Settings(mode="thorough", detectors=("landmarks",)), data, stop=stop)
    assert told_why.value.code == "stopped"
    assert time.process_time() - asked_at[0] < AT_ONCE_S


def test_an_analysis_beyond_its_limit_ends_in_a_sentence(clip):
    with pytest.raises(UserError) as told_why:
        analyze(clip, Settings(mode="thorough", detectors=("landmarks",)), stop=Stop(0.5))
    assert told_why.value.code == "took_too_long"
    assert "0.5 seconds" in told_why.value.sentence


def test_another_process_keeps_the_limit():
    with pytest.raises(UserError, match="longer"):
        pickle.loads(pickle.dumps(Stop(-1.0))).check()


def test_the_page_says_how_long_an_analysis_may_take(address):
    with urllib.request.urlopen(address) as answer:
        assert "An analysis is stopped after 45 minutes" in answer.read().decode()


def test_a_job_is_kept_until_its_limit_and_no_longer(monkeypatch, address, clip, watch):
    monkeypatch.setattr(jobs, "OWN_LIMIT_S", 0.5)
    with pytest.raises(Exception, match="took_too_long"):
        connected(address).predict(file=uploaded(clip), mode="thorough", api_name="/analyze")
    assert not watch.at_once


def test_six_canceled_analyses_hold_nobody_up(address, clip, watch):
    client = connected(address)
    for _ in range(6):
        watch.working.clear()
        job = client.submit(file=uploaded(clip), mode="thorough", api_name="/analyze")
        assert watch.working.wait(START_S)
        asked_at = time.process_time()
        job.cancel()
        watch.wait_for_end()
        assert watch.ended_at - asked_at < AT_ONCE_S
    assert (watch.begun, watch.most_at_once) == (6, 1)
    report = connected(address).predict(file=uploaded(IMAGE), api_name="/analyze")
    assert report["file"]["kind"] == "picture"


def test_a_client_that_goes_away_stops_its_analysis(address, clip, watch):
    stream = listening(address, clip)
    assert watch.working.wait(START_S)
    gone_at = time.process_time()
    stream.close()
    watch.wait_for_end()
    assert watch.ended_at - gone_at < AT_ONCE_S


# ------------------------------------------------------------------ many at once


def cells() -> list[psutil.Process]:
    """The processes that read files for this one now."""
    return psutil.Process(worker.READERS.get()._process.pid).children()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reads files in other processes")
def test_a_reader_that_is_killed_in_the_middle_costs_its_file_only(address, clip, watch):
    client = connected(address)
    job = client.submit(file=uploaded(clip), mode="thorough", api_name="/analyze")
    assert watch.working.wait(START_S)
    (cell,) = cells()
    cell.kill()
    with pytest.raises(Exception, match="reader_crashed"):
        job.result()
    report = client.predict(file=uploaded(IMAGE), api_name="/analyze")
    assert report["file"]["kind"] == "picture"
    assert cells() == []


def test_two_visitors_with_two_checkpoints_do_not_cross(address, tmp_path):
    folders = {
        "right": bright_is_fake(tmp_path / "right"),
        "inverted": bright_is_fake(tmp_path / "inverted", inverted=True),
    }
    data: dict[str, dict] = {}

    def visit(name: str) -> None:
        chosen = {"spatial": str(folders[name])}
        data[name] = connected(address).predict(
            file=uploaded(IMAGE), checkpoints=chosen, api_name="/analyze"
        )

    visitors = [threading.Thread(target=visit, args=(name,)) for name in folders]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    raw = {}
    for name in folders:
        assert data[name]["checkpoints"]["spatial"].split("@")[0] == name
        (finding,) = (f for f in data[name]["findings"] if f["detector"] == "spatial")
        raw[name] = finding["score"]
    assert raw["right"] == pytest.approx(-raw["inverted"])
    assert abs(raw["right"]) > 0.01


def test_the_page_answers_while_an_analysis_runs(address, clip, watch):
    job = connected(address).submit(file=uploaded(clip), mode="thorough", api_name="/analyze")
    assert watch.working.wait(START_S)
    waited_s = [asked_s(address) for _ in range(30)]
    assert watch.at_once == 1  # it ran all the time
    job.cancel()
    watch.wait_for_end()
    assert sorted(waited_s)[15] < 0.25


def asked_s(address: str) -> float:
    """Seconds that the event loop takes to answer the smallest of questions."""
    begun = time.monotonic()
    urllib.request.urlopen(f"{address}gradio_api/app_id", timeout=60).close()
    return time.monotonic() - begun


def connected(address: str):
    from gradio_client import Client

    return Client(address, verbose=False)


def uploaded(path: Path):
    from gradio_client import handle_file

    return handle_file(str(path))


def listening(address: str, path: Path) -> socket.socket:
    """Ask for an analysis over plain HTTP and listen to its events on a connection of one's own."""
    import httpx

    with path.open("rb") as file:
        (there,) = httpx.post(f"{address}gradio_api/upload", files={"files": file}).json()
    meta = {"_type": "gradio.FileData"}
    data = json.dumps({"data": [{"path": there, "meta": meta}, "thorough", None, None]}).encode()
    asked = urllib.request.Request(
        f"{address}gradio_api/call/analyze", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked) as answer:
        event = json.load(answer)["event_id"]
    server = urllib.parse.urlsplit(address)
    stream = socket.create_connection((server.hostname, server.port))
    stream.sendall(
        f"GET /gradio_api/call/analyze/{event} HTTP/1.1\r\nHost: {server.netloc}\r\n\r\n".encode()
    )
    return stream


# ------------------------------------------------------------------ deletion


def test_uploads_and_results_are_gone_within_an_hour():
    keeping.begin()
    old = [keeping.fresh_folder() / "report.json", keeping.own_folder() / "uploads" / "a" / "b.mp4"]
    for path in old:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("private")
    keeping.sweep(now_s=time.time() + keeping.KEEP_S - 60)
    assert all(path.exists() for path in old)
    keeping.sweep(now_s=time.time() + keeping.KEEP_S + 1)
    assert not any(path.parent.exists() for path in old)
    assert keeping.KEEP_S + keeping.SWEEP_EVERY_S < 3600
    assert keeping.KEEP_S > jobs.OWN_LIMIT_S  # a file that is being examined is not taken away


def test_the_page_keeps_its_own_examples():
    keeping.begin()
    keeping.fresh_folder().joinpath("example.jpg").write_text("ours")
    ours = keeping.held()
    keeping.sweep(ours, now_s=time.time() + 2 * keeping.KEEP_S)
    assert ours and all(path.exists() for path in ours)


def test_the_sweeper_works_by_the_clock(monkeypatch):
    monkeypatch.setattr(keeping, "KEEP_S", 0.2)
    sweeper = keeping.Sweeper(every_s=0.1)
    left = keeping.fresh_folder() / "report.json"
    left.write_text("private")
    until = time.monotonic() + 10
    while left.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not left.exists()
    sweeper.close()
    assert not (keeping.own_folder() / keeping.RESULTS).exists()


HOLDER = """
import sys
from ui import keeping
keeping.begin()
(keeping.fresh_folder() / "report.json").write_text("private")
print(keeping.own_folder(), flush=True)
sys.stdin.read()
"""


def test_a_folder_is_left_alone_while_its_server_lives_and_deleted_after_it_was_killed(
    home, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER], env=home, cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert other.stdout is not None
    folder = Path(other.stdout.readline().strip())
    keeping.begin()
    assert list(folder.rglob("report.json"))
    other.kill()
    other.wait()
    keeping.begin()
    assert not folder.exists() and not folder.with_suffix(keeping.LOCK).exists()
    assert keeping.own_folder().stat().st_mode & 0o777 == 0o700
    assert keeping.own_folder().parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("made", ["link", "open", "file"])
def test_a_folder_that_others_prepared_is_refused(tmp_path, monkeypatch, made):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    root = tmp_path / f"{keeping.ROOT_NAME}-{os.getuid()}"
    (tmp_path / "theirs").mkdir(mode=0o700)
    if made == "link":
        root.symlink_to(tmp_path / "theirs")
    elif made == "file":
        root.write_text("")
    else:
        root.mkdir()
        root.chmod(0o777)
    with pytest.raises(UserError) as why:
        keeping.begin()
    assert why.value.code == "cannot_write"
    assert not list((tmp_path / "theirs").iterdir())


def test_an_unwritable_place_for_temporary_files_is_told_in_a_sentence(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/proc")  # where nobody makes a folder
    with pytest.raises(UserError) as why:
        keeping.begin()
    assert why.value.code == "cannot_write" and "/proc" in why.value.sentence


@pytest.mark.parametrize("program", [["app.py"], ["cli.py", "analyze", str(IMAGE)]])
def test_where_no_temporary_file_can_be_written_one_sentence_says_so_before_anything_begins(
    program,
):
    nowhere = "import sys, tempfile, runpy; tempfile._candidate_tempdir_list = lambda: ['/proc']; "
    run = "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", nowhere + run, *program], cwd=ROOT, capture_output=True, text=True,
        timeout=START_S,
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout == ""
    assert "TMPDIR" in done.stderr and done.stderr.count("\n") == 1


@pytest.fixture
def home(tmp_path) -> dict[str, str]:
    """The environment of a server process that keeps its files under ``tmp_path``."""
    return {**os.environ, "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}


def started(home: dict[str, str], *before: str) -> tuple[subprocess.Popen, str]:
    """A server process that answers, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = {**home, "GRADIO_SERVER_PORT": str(port)}
    with Path(home["TMPDIR"], "log").open("wb") as log:
        process = subprocess.Popen(
            [*before, sys.executable, "app.py"], env=home, cwd=ROOT, stdout=log, stderr=log
        )
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
            return process, f"http://127.0.0.1:{port}/"
        except OSError:
            time.sleep(0.2)
    process.kill()
    raise AssertionError("the server did not start")


def private_files(folder: Path) -> list[Path]:
    """Copies of the image that a visitor sent, and reports about it."""
    sent = IMAGE.read_bytes()
    return [p for p in folder.rglob("*") if p.is_file() and p.read_bytes() == sent + b"private"]


def test_what_a_killed_server_left_is_deleted_when_the_next_one_starts(home, tmp_path):
    mine = tmp_path / "mine.jpg"
    mine.write_bytes(IMAGE.read_bytes() + b"private")
    selected = tmp_path / f"{keeping.ROOT_NAME}-{os.getuid()}"
    first, address = started(home)
    try:
        connected(address).predict(file=uploaded(mine), api_name="/analyze")
        assert private_files(selected)
        words = (tmp_path / "log").read_text("utf-8")
        assert "The page is at" in words and "Sparsity tensors" not in words
    finally:
        first.kill()
        first.wait()
    assert private_files(selected)
    subprocess.run(
        [sys.executable, "-c", "import app; app.build()"], env=home, cwd=ROOT, check=True
    )
    assert not private_files(selected)
