"""Is the benchmark right about its own clips and files, and is no ratio off by a factor?"""

from __future__ import annotations

from itertools import pairwise

import av
import pytest

from analysis import Settings
from benchmarks import clips, floor, parts, results
from benchmarks.clips import Kind
from benchmarks.plain import PlainPipeline
from detectors.pool import Pool
from media.clip import Clip
from media.rates import MOTION_HZ
from tests.conftest import ROOT

SMALL = parts.Scale(
    rounds=2, kind=Kind(4, "360p"), plain_frames=10, settings=Settings(detectors=("spatial",))
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Clips of the benchmark in a folder of the test."""
    before, clips.FOLDER = clips.FOLDER, tmp_path_factory.mktemp("benchmark")
    yield
    clips.FOLDER = before


@pytest.mark.parametrize(("seconds", "faces"), [(4, 1), (23, 4)])
def test_a_clip_is_as_long_and_as_full_as_it_says(small, seconds, faces):
    with Clip(clips.clip(Kind(seconds, "360p", faces))) as clip:
        assert clip.duration_s == pytest.approx(seconds, abs=0.05)
        assert clip.size_wh == (640, 360)
        assert clip.has_audio
        assert not clip.warnings


def test_repeating_a_clip_keeps_its_time_stamps_in_order(small):
    path = clips.clip(Kind(23, "360p", 4))
    with av.open(str(path)) as file:
        times = [packet.pts for packet in file.demux(video=0) if packet.pts is not None]
    assert len(times) == 23 * MOTION_HZ
    assert all(a < b for a, b in pairwise(times))


def test_the_floor_asks_the_networks_what_the_analysis_asked(small):
    path = clips.clip(SMALL.kind)
    networks = floor.Networks(path, SMALL.settings, Pool())
    asked: list[int] = []
    (calls,) = networks._calls.values()
    hook = calls.network.register_forward_pre_hook(
        lambda network, given, named: asked.append(len(named["pixel_values"])), with_kwargs=True
    )
    networks.run()
    hook.remove()
    assert sum(asked) == len(calls.rows) == 8  # images that the spatial detector takes of a window


def test_whole_floor_and_plain_pipeline_stand_in_their_usual_ratio(small):
    section, ratios = parts.compared(SMALL)
    assert 1.0 < ratios["whole / floor"] < 8
    assert ratios["plain pipeline / whole"] > 1
    assert "| whole analysis |" in section.markdown()


def test_the_plain_pipeline_asks_only_the_networks_of_the_settings(small):
    plain = PlainPipeline(Settings(detectors=("generation",)), Pool())
    result = plain.run(clips.clip(SMALL.kind), 2)
    assert {name: len(values) for name, values in result.log_odds.items()} == {"generation": 2}
    assert set(result.cpu_s) == {"reading", "faces", "generation"}


def test_reading_apart_costs_no_multiple_of_reading_here(small):
    _, ratios = parts.isolation(SMALL)
    assert 0.5 < ratios["apart / here"] < 3


def test_a_run_replaces_only_what_it_measured(tmp_path):
    file = tmp_path / "RESULTS.md"
    one, two = (results.Section(title, ("", "s"), [("work", 1.0)], "") for title in ("One", "Two"))
    results.write([one, two], file)
    results.write([results.Section("One", ("", "s"), [("work", 234.5)], "")], file)
    text = file.read_text("utf-8")
    assert text.count("## One") == text.count("## Two") == 1
    assert "| work | 234 |" in text and "| work | 1 |" in text


def test_the_results_name_processor_and_versions():
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    for word in ("threads of PyTorch", "torch ", "mediapipe ", "| whole analysis |", "ratio"):
        assert word in text
