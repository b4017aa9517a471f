"""Is the next window read while the networks look at this one, and nothing else different?"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

import pytest

import analysis
from analysis import Settings, analyze
from errors import UserError
from media.sniff import MediaKind
from media.windows import Stretch
from report.export import to_json
from report.seal import FIELD
from stop import Stop
from tests.conftest import ROOT

CLIP = ROOT / "examples" / "animated.mp4"  # two windows of a face that speaks
WAIT_S = 60.0  # longer than any of this takes, on busy cores too
READS_S = 0.05
STRETCHES = [Stretch(3.0 * n, 3.0 * n + 3.0) for n in range(4)]


class SlowClip:
    """A clip whose windows are their own numbers; notes which were begun and which are read."""

    kind = MediaKind.VIDEO

    def __init__(self) -> None:
        self.begun, self.read = [], threading.Semaphore(0)

    def window(self, stretch: Stretch, audio_s: float) -> int:
        self.begun.append(STRETCHES.index(stretch))
        time.sleep(READS_S)
        self.read.release()
        return self.begun[-1]


class EndlessClip(SlowClip):
    """A clip whose second window takes for ever, unless somebody asks for the end."""

    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self.stop, self.reads = stop, threading.Event()

    def window(self, stretch: Stretch, audio_s: float) -> int:
        while stretch is not STRETCHES[0]:
            self.reads.set()
            self.stop.check()
            time.sleep(0.01)
        return 0


@pytest.fixture
def watch() -> analysis._Stopwatch:
    return analysis._Stopwatch(Stop())


def windows_of(clip: SlowClip, watch: analysis._Stopwatch):
    return analysis._read_windows(clip, STRETCHES, [], lambda fraction, text: None, watch)


def test_one_window_is_read_ahead_and_no_more(watch):
    clip = SlowClip()
    windows = windows_of(clip, watch)
    for number in range(len(STRETCHES)):
        assert next(windows)[0] == number
        for _ in range(2 if number == 0 else number + 1 < len(STRETCHES)):
            assert clip.read.acquire(timeout=WAIT_S)
        time.sleep(2 * READS_S)
        assert clip.begun == list(range(min(number + 2, len(STRETCHES))))
    assert next(windows, None) is None


def test_reading_counts_its_own_time_and_not_that_of_the_networks(watch):
    for _ in windows_of(SlowClip(), watch):
        time.sleep(4 * READS_S)
    assert 4 * READS_S <= watch.seconds["faces and sound"] < 12 * READS_S


@pytest.fixture
def endless(watch):
    """Windows after the first one, while the second is read without end."""
    clip = EndlessClip(watch.reading)
    windows = windows_of(clip, watch)
    next(windows)
    assert clip.reads.wait(WAIT_S)
    return windows


def test_whoever_takes_no_more_windows_does_not_wait_for_the_one_read_ahead(endless, watch):
    endless.close()  # would not return
    watch.stop.check()  # what else is done with this file goes on


def test_a_stop_is_heard_by_the_reading_ahead(endless, watch):
    watch.stop.ask()
    with pytest.raises(UserError) as why:
        next(endless)
    assert why.value.code == "stopped"


def test_an_error_of_the_reading_ahead_comes_after_its_window_was_asked_for(monkeypatch, watch):
    def window(clip, stretch, audio_s):
        if stretch is STRETCHES[1]:
            raise UserError("reader_crashed", "")
        return 0

    monkeypatch.setattr(SlowClip, "window", window)
    windows = windows_of(SlowClip(), watch)
    assert next(windows)[0] == 0
    with pytest.raises(UserError):
        next(windows)


class OneAfterTheOther:
    """An executor that begins to work when the result is asked for."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call, *values):
        class Late(Future):
            def result(self, timeout=None):
                return call(*values)

        return Late()


def test_every_number_is_the_same_to_the_last_bit_as_without_reading_ahead(monkeypatch):
    settings = Settings(mode="thorough", detectors=("spatial", "temporal", "sync", "landmarks"))
    ahead = to_json(analyze(CLIP, settings))
    monkeypatch.setattr(analysis, "ThreadPoolExecutor", OneAfterTheOther)
    after = to_json(analyze(CLIP, settings))
    for report in (ahead, after):
        for name in ("seconds_by_stage", "analyzed_at", FIELD):
            del report[name]
    assert ahead["verdict"]["log_odds"] is not None
    assert ahead == after
