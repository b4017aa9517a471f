"""Is the benchmark right about its own clips and files, and is no ratio off by a factor?"""

from __future__ import annotations

from itertools import pairwise

import av
import numpy as np
import pytest

from analysis import Settings
from benchmarks import clips, floor, parts, results, server
from benchmarks.__main__ import PARTS
from benchmarks.clips import Kind
from benchmarks.measure import memory_of
from benchmarks.plain import PlainPipeline
from detectors.pool import Pool
from media.clip import Clip
from media.rates import MOTION_HZ
from media.reader import coding_of
from tests.conftest import ROOT
from threads import threads
from verdict.levels import Level

SMALL = parts.Scale(
    rounds=2,
    kind=Kind(4, "360p"),
    fakes=(Kind(4, "360p", source="blended.jpg"),),
    plain_frames=10,
    settings=Settings(detectors=("spatial",)),
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Clips of the benchmark in a folder of the test."""
    before, clips.FOLDER = clips.FOLDER, tmp_path_factory.mktemp("benchmark")
    yield
    clips.FOLDER = before


@pytest.mark.parametrize("kind", [SMALL.kind, Kind(23, "360p", 4), *SMALL.fakes])
def test_a_clip_is_as_long_and_as_full_as_it_says(small, kind):
    with Clip(clips.clip(kind)) as clip:
        assert clip.duration_s == pytest.approx(kind.seconds, abs=0.05)
        assert clip.size_wh == (640, 360)
        assert clip.has_audio
        assert not clip.warnings


def test_a_still_face_moves_in_its_clip(small):
    with Clip(clips.clip(SMALL.fakes[0])) as clip:
        images = [image.astype(int) for _, image in clip.frames(0.0, 1.0)]
    assert np.abs(images[-1] - images[0]).mean() > 1


def test_repeating_a_clip_keeps_its_time_stamps_in_order(small):
    path = clips.clip(Kind(23, "360p", 4))
    with av.open(str(path)) as file:
        times = [packet.pts for packet in file.demux(video=0) if packet.pts is not None]
    assert len(times) == 23 * MOTION_HZ
    assert all(a < b for a, b in pairwise(times))


def test_a_clip_as_telephones_film_it_is_the_same_clip(small):
    path = clips.clip(Kind(23, "360p", codec="hevc"))
    assert path.suffix == ".mov" and coding_of(path)[1] == "hevc"
    with Clip(path) as clip:
        assert clip.duration_s == pytest.approx(23, abs=0.05)
        assert clip.size_wh == (640, 360) and clip.has_audio
        assert sum(1 for _ in clip.frames()) == 23 * MOTION_HZ


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
    assert (result.frames, result.judged) == (4 * MOTION_HZ, 2)
    looking_s = result.cpu_s["faces"] + result.cpu_s["generation"]
    assert result.whole_cpu_s() == result.cpu_s["reading"] + 50 * looking_s


def test_both_verdicts_of_a_real_and_of_a_fake_face_are_told(small):
    section = parts.verdicts(SMALL)
    assert [row[0] for row in section.rows] == ["4 s, 360p, 1 face", "4 s, 360p, 1 face, blended"]
    assert all(row[1] in tuple(Level) and row[3] in tuple(Level) for row in section.rows)
    assert section.rows[1][4] > section.rows[0][4]  # of the plain pipeline


def test_stages_have_seconds_of_the_clock_and_of_processors(small):
    before = threads()
    rows = {name: (wall_s, cpu_s) for name, wall_s, cpu_s in parts.stages(SMALL).rows}
    assert threads() == before
    assert {"open", "faces and sound", "spatial", "sum"} <= set(rows)
    assert all(rows[name][1] > 0 for name in ("open", "faces and sound", "spatial"))
    assert rows["spatial"][1] <= rows["spatial"][0] + 0.05  # one thread; a clock of 10 ms


def test_a_server_is_timed_and_ended(monkeypatch):
    code = (
        "import http.server as s; "
        "s.HTTPServer(('127.0.0.1', {port}), s.SimpleHTTPRequestHandler).serve_forever()"
    )
    monkeypatch.setattr(server, "CODE", code)
    with server.served() as running:
        assert running.waited_s > 0
        assert memory_of(running.process) > 1e6
    assert not running.process.is_running()


def test_a_server_that_does_not_start_is_told(monkeypatch):
    monkeypatch.setattr(server, "CODE", "{port}")
    with pytest.raises(RuntimeError, match="did not start"), server.served():
        pass


def test_each_part_has_a_title_of_its_own():
    assert list(parts.TITLES) == list(PARTS)
    assert len(set(parts.TITLES.values())) == len(PARTS)


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


def test_the_results_have_all_parts():
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    assert [name for name, title in parts.TITLES.items() if f"\n## {title}\n" not in text] == []
