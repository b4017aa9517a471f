"""Does everybody get a turn, in order, and does everybody who waits know how long?"""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

import app
import cli
from analysis import Settings, analyze
from benchmarks.crowd import NO_WORK, ask, client_of
from commands import console
from detectors.frequency.detector import Frequency
from errors import UserError
from hub.spacefile import read_spacefile
from report.language import ENGLISH, languages
from stop import Stop
from tests.conftest import ROOT
from tests.test_server import connected, uploaded
from ui import batch, jobs, line, running, session

IMAGE = ROOT / "examples" / "portrait.jpg"
GERMAN = languages()["de"]
PATIENCE_S = 60.0
AT_ONCE_S = 0.25  # that the event loop may be busy with anything else
MANY = 16  # visitors


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


# ------------------------------------------------------------------ the line


def test_first_come_first_served(clock):
    made = line.Line(clock=clock)
    first, second, third = (made.enter() for _ in range(3))
    assert not made.begin(second)
    assert made.begin(first)
    assert not made.begin(second)
    assert [made.wait_of(t).place for t in (second, third)] == [1, 2]
    made.leave(first, done=True)
    assert not made.begin(third)
    assert made.begin(second)


def test_nothing_is_guessed_before_anything_was_measured(clock):
    made = line.Line(clock=clock)
    made.begin(made.enter())
    waiting = made.wait_of(made.enter())
    assert waiting.seconds is None
    assert "not known yet" in waiting.how_long()


def test_the_expected_wait_is_what_the_present_job_has_left_and_the_mean_of_the_last(clock):
    made = line.Line(clock=clock)
    for took_s in (10.0, 30.0):
        ticket = made.enter()
        made.begin(ticket)
        clock.now_s += took_s
        made.leave(ticket, done=True)
    made.begin(working := made.enter())
    tickets = [made.enter() for _ in range(3)]
    clock.now_s += 5.0
    assert [made.wait_of(t).seconds for t in tickets] == [15.0, 35.0, 55.0]
    made.progress(working, 0.5)  # it takes 10 s in all, as its own progress says
    assert [made.wait_of(t).seconds for t in tickets] == [5.0, 25.0, 45.0]
    assert made.try_again_s() == 5


def test_with_more_places_each_waits_for_the_one_that_is_free_first(clock):
    made = line.Line(places=2, clock=clock)
    made.begin(ticket := made.enter())
    clock.now_s += 20.0
    made.leave(ticket, done=True)
    first, second, *waiting = (made.enter() for _ in range(6))
    assert made.wait_of(second).seconds == 20.0 - 20.0  # both places are free
    assert made.begin(first) and not made.begin(waiting[0])
    clock.now_s += 5.0
    assert made.begin(second) and not made.begin(waiting[0])
    assert [made.wait_of(t).seconds for t in waiting] == [15.0, 20.0, 35.0, 40.0]
    made.progress(second, 0.5)  # it has begun this moment, and is half done already
    assert [made.wait_of(t).seconds for t in waiting] == [0.0, 15.0, 20.0, 35.0]
    assert made.try_again_s() == 1
    made.leave(second, done=True)
    assert made.begin(waiting[0]) and not made.begin(waiting[1])


def test_a_place_that_is_made_later_is_taken_at_once(clock):
    made = line.Line(clock=clock)
    assert made.begin(made.enter())
    assert not made.begin(ticket := made.enter())
    made.make_places(2)
    assert made.begin(ticket)


@pytest.mark.parametrize(
    ("device", "cores", "places"), [("cpu", 16, 1), ("cuda", 16, 4), ("cuda", 2, 2)]
)
def test_a_gpu_has_a_place_a_core_up_to_four_and_a_cpu_one(monkeypatch, device, cores, places):
    monkeypatch.setattr(jobs, "threads", lambda: cores)
    assert jobs.places_on(device) == places


def test_the_page_makes_the_places_of_its_device(monkeypatch):
    made = line.Line()
    monkeypatch.setattr(app, "LINE", made)
    monkeypatch.setattr(app, "best_device", lambda: "cuda")
    monkeypatch.setattr(jobs, "threads", lambda: 8)
    app._first_import()
    assert all(made.begin(made.enter()) for _ in range(4)) and not made.begin(made.enter())


def test_a_job_that_was_broken_off_tells_nothing_about_the_next(clock):
    made = line.Line(clock=clock)
    ticket = made.enter()
    made.begin(ticket)
    clock.now_s += 1.0
    made.leave(ticket)
    made.begin(made.enter())
    assert made.wait_of(made.enter()).seconds is None


def test_whoever_leaves_the_line_is_passed_over(clock):
    made = line.Line(clock=clock)
    made.begin(working := made.enter())
    gone, last = made.enter(), made.enter()
    made.leave(gone)
    assert made.wait_of(last).place == 1
    made.leave(working, done=True)
    assert made.begin(last)


def test_whoever_has_many_files_lets_the_others_go_first(clock):
    made = line.Line(clock=clock)
    made.begin(many := made.enter())
    assert not made.step_back(many)  # nobody waits
    one = made.enter()
    assert made.step_back(many)
    assert not made.begin(many)
    assert made.begin(one)
    made.leave(one, done=True)
    assert made.begin(many)


def test_a_full_line_says_when_to_try_again(clock):
    made = line.Line(most=2, clock=clock)
    made.begin(made.enter())
    for _ in range(2):
        made.enter()
    with pytest.raises(UserError) as refusal:
        made.enter()
    assert refusal.value.code == "queue_full"
    assert f"try again in {line.RETRY_S} seconds." in refusal.value.sentence
    assert GERMAN(refusal.value.sentence) == (
        "Es warten schon 2 Analysen, mehr werden nicht angenommen; versuchen Sie es in "
        f"{line.RETRY_S} Sekunden noch einmal."
    )


@pytest.mark.parametrize("seconds", [None, 0.2, 20.0, 300.0])
def test_a_place_in_the_line_is_told_in_german(seconds):
    waiting = line.Wait(2, seconds)
    assert waiting.where(GERMAN) == "Nummer 2 in der Warteschlange"
    assert waiting.how_long(GERMAN) != waiting.how_long()
    assert waiting.where(GERMAN) in running.in_line(waiting, GERMAN)
    assert GERMAN("Waiting") in running.in_line(waiting, GERMAN)


def test_time_in_the_line_does_not_count_as_work():
    stop = Stop(0.0)
    time.sleep(0.01)
    with pytest.raises(UserError):
        stop.check()
    stop.extend(60.0)
    stop.check()


# ------------------------------------------------------------------ the server


class Barrier:
    """Holds every analysis of the server of this process until it is opened; notes their order."""

    def __init__(self, monkeypatch):
        self.begun: list[str] = []
        self.first, self.opened = threading.Event(), threading.Event()
        monkeypatch.setattr(session, "analyze", self._analyze)

    def _analyze(self, path, settings, on_progress, *, stop, **rest):
        self.begun.append(Path(path).stem)
        self.first.set()
        while not self.opened.wait(0.05):
            stop.check()
        cheap = replace(settings, detectors=("frequency",))
        return analyze(path, cheap, on_progress, stop=stop, **rest)


@pytest.fixture
def barrier(monkeypatch):
    made = Barrier(monkeypatch)
    yield made
    made.opened.set()


@pytest.fixture
def small(monkeypatch):
    """A line where three may wait."""
    made = line.Line(most=3)
    for room in (jobs, app_api()):
        monkeypatch.setattr(room, "LINE", made)
    return made


def app_api():
    from ui import api

    return api


def named(tmp_path: Path, name: str) -> Path:
    """The example under another name, so that it is known again."""
    path = tmp_path / f"{name}.jpg"
    path.write_bytes(IMAGE.read_bytes())
    return path


def until(condition) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_visitors_are_answered_in_order_and_the_one_too_many_is_refused(
    address, barrier, small, tmp_path
):
    names = ["one", "two", "three", "four"]
    calls = []
    for place, name in enumerate(names):
        calls.append(
            connected(address).submit(file=uploaded(named(tmp_path, name)), api_name="/analyze")
        )
        until(barrier.first.is_set if place == 0 else lambda n=place: len(small._waiting) == n)
    for place, job in enumerate(calls[1:], 1):
        until(lambda job=job: job.status().progress_data)
        assert job.status().progress_data[0].desc.startswith(f"Number {place} in line. ")
    refused = httpx.post(f"{address}gradio_api/call/analyze", json={"data": [None]})
    assert refused.status_code == 503
    error = refused.json()["error"]
    assert error["code"] == "queue_full" and error["sentence"].endswith(" seconds.")
    assert int(refused.headers["Retry-After"]) >= 1
    with pytest.raises(Exception, match="queue_full: 3 analyses are waiting already"):
        connected(address).predict(file=uploaded(IMAGE), api_name="/analyze")
    catalog = httpx.post(f"{address}gradio_api/call/models", json={"data": []})
    assert catalog.status_code == 200  # takes no place
    barrier.opened.set()
    reports = [job.result() for job in calls]
    assert barrier.begun == names
    assert [report["file"]["name"] for report in reports] == [f"{name}.jpg" for name in names]
    small.check()


def longest_stall_s(address: str, until: threading.Event) -> float:
    """Longest wait for an answer of no work; only processor time counts where cores are busy."""
    longest_s = 0.0
    with client_of() as client:
        while not until.wait(0.02):
            wall_s, cpu_s = time.monotonic(), time.process_time()
            client.get(address + NO_WORK).raise_for_status()
            took_s = min(time.monotonic() - wall_s, time.process_time() - cpu_s)
            longest_s = max(longest_s, took_s)
    return longest_s


def test_the_event_loop_answers_at_once_while_16_visitors_come_and_one_is_analyzed(
    address, monkeypatch
):
    app._first_import()
    arrived, working, ended = threading.Event(), threading.Event(), threading.Event()

    def work(path, settings, on_progress, **rest):
        while not arrived.is_set():
            analyze(path, replace(settings, detectors=("frequency",)))
            working.set()
        raise UserError("decode_failed", "It has done enough.")

    monkeypatch.setattr(session, "analyze", work)
    with ThreadPoolExecutor(MANY + 1) as visitors:
        first = visitors.submit(ask, address, IMAGE)
        assert working.wait(PATIENCE_S)
        stall = visitors.submit(longest_stall_s, address, ended)
        others = [visitors.submit(ask, address, IMAGE) for _ in range(MANY - 1)]
        until(lambda: len(jobs.LINE._waiting) == MANY - 1)
        arrived.set()
        came = {visit.result(PATIENCE_S) for visit in (first, *others)}
        ended.set()
    assert came == {"decode_failed"}
    assert stall.result() < AT_ONCE_S


def test_a_new_visitor_costs_the_event_loop_no_second_look_at_signatures(monkeypatch):
    from gradio.state_holder import SessionState

    blocks = app.build()
    monkeypatch.setattr("inspect._signature_from_function", None)  # what reads one anew
    assert len(SessionState(blocks).config_values) > 100


def test_whoever_gives_up_waiting_leaves_the_line(address, barrier, small, tmp_path):
    first = connected(address).submit(file=uploaded(named(tmp_path, "one")), api_name="/analyze")
    until(barrier.first.is_set)
    second = connected(address).submit(file=uploaded(named(tmp_path, "two")), api_name="/analyze")
    until(lambda: second.status().progress_data)
    second.cancel()
    until(lambda: not small._waiting)
    barrier.opened.set()
    assert first.result()["file"]["name"] == "one.jpg"
    assert barrier.begun == ["one"]


def test_sessions_of_visitors_who_left_are_forgotten(monkeypatch):
    monkeypatch.setattr(app, "MOST_SESSIONS", 3)
    blocks = app.build()
    app.serve(blocks, wait=False)
    sessions = blocks.app.state_holder
    for visitor in range(10):
        assert sessions[str(visitor)]
    assert len(sessions.session_data) == 3
    blocks.close()


def test_a_batch_lets_a_visitor_go_first(address, barrier, small, tmp_path):
    files = [uploaded(named(tmp_path, name)) for name in ("many1", "many2")]
    many = connected(address).submit(files=files, api_name="/batch")
    until(barrier.first.is_set)
    one = connected(address).submit(file=uploaded(named(tmp_path, "one")), api_name="/analyze")
    until(lambda: small._waiting)
    barrier.opened.set()
    assert one.result()["file"]["name"] == "one.jpg"
    assert all(entry["report"] for entry in many.result())
    assert barrier.begun == ["many1", "one", "many2"]


# ------------------------------------------------------------------ a sign of life


SLOW_S = 1.0
BEAT_S = 0.1
AGAIN = 4  # times at least, on busy cores too


@pytest.fixture
def slow(monkeypatch) -> Settings:
    """Settings with a detector that says nothing for a second."""
    really = Frequency.look

    def look(self, window, track):
        time.sleep(SLOW_S)
        return really(self, window, track)

    monkeypatch.setattr(Frequency, "look", look)
    monkeypatch.setattr(session, "BEAT_S", BEAT_S)
    monkeypatch.setattr(console, "BEAT_S", BEAT_S)
    return Settings(detectors=("frequency",))


def test_a_slow_detector_is_told_again_and_again(slow):
    steps: list[session.Step] = []
    session.examine(str(IMAGE), slow, steps.append)
    again = [step for step in steps if step.text.startswith("Examining")]
    assert len(again) >= AGAIN
    assert len({(step.fraction, step.text) for step in again}) == 1
    assert [s.fraction for s in steps] == sorted(s.fraction for s in steps)


def test_a_program_is_told_of_a_slow_detector_again_and_again(address, slow, monkeypatch):
    monkeypatch.setattr(app_api(), "chosen_settings", lambda *_: slow)
    statuses: list[object] = []
    job = connected(address).submit(file=uploaded(IMAGE), api_name="/analyze")
    while not job.done():
        if job.status().progress_data:
            statuses.append(job.status())
        time.sleep(BEAT_S / 4)
    words = [status.progress_data[0].desc for status in statuses]
    assert job.result()["verdict"]
    assert any(word.startswith("Examining") for word in words)
    assert len({status.time for status in statuses}) >= AGAIN


def test_a_batch_on_the_page_is_told_of_a_slow_detector(slow, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "chosen_settings", lambda *_: slow)
    steps: list[session.Step] = []
    batch.examined(IMAGE, "quick", read_spacefile(), tmp_path, ENGLISH, steps.append)
    assert len(steps) >= AGAIN


def test_the_command_tells_of_a_slow_detector_with_the_seconds_so_far(slow, capsys):
    assert cli.main(["analyze", str(IMAGE), "--detector", "frequency"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "Examining" in line]
    assert len(lines) >= AGAIN
    assert re.fullmatch(r"portrait.jpg: 41% Examining: .*, \d+ s", lines[-1])


def test_progress_ends_with_its_file(capsys, monkeypatch):
    monkeypatch.setattr(console, "BEAT_S", 0.01)
    with console.ProgressBar("one.jpg") as tell:
        tell(1.0, "Done")
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""
