"""A recording on the page and at the endpoint: played, and judged by a checkpoint typed by id."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import app
from report.export import schema
from tests.conftest import ROOT, moving_portrait, write_audio, write_clip
from tests.hub_server import HubServer, serving
from tests.published_layouts import wav2vec2
from tests.test_app import PATIENCE_MS, SIZES, UNCOUNTED, Watched

BASE = "abhishtagatya/wav2vec2-base-960h-asv19-deepfake"
EMPTY = (
    "No checkpoint that judges voices comes with this program; choose one on the tab "
    "Models or by its Hub id."
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[HubServer]:
    folder = tmp_path_factory.mktemp("hub")
    with pytest.MonkeyPatch.context() as patch, serving(folder / "home", patch) as server:
        server.add(BASE, wav2vec2(folder / "m"))
        yield server


@pytest.fixture(scope="module")
def recording(tmp_path_factory, speech: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("voices")
    return write_audio(folder / "talk.mp3", np.tile(speech, 2)[: 9 * 16_000], "libmp3lame")


@pytest.fixture(scope="module")
def address(hub: HubServer):
    blocks = app.build()
    yield app.serve(blocks, wait=False)
    blocks.close()


def test_a_recording_is_played_and_the_page_says_that_nothing_can_judge_it(
    browser, address, recording
):
    watched = Watched(browser, address, SIZES["wide"])
    page = watched.page
    assert "MP3" in page.inner_text(".limits")
    text = watched.analyze(recording)
    assert "Not assessed" in text and EMPTY in text
    assert page.locator("#player audio").count() == 1
    page.wait_for_function("document.querySelector('#player audio').duration > 8")
    page.locator("#timeline .seek").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('#player audio').currentTime > 1")
    assert page.locator("#timeline .row").count() == 2  # speech and the axis
    assert not page.is_visible("#draw") and page.is_visible("#as-html")
    watched.keep("app-recording")
    assert watched.errors == [] and watched.strangers == []
    page.close()


def test_a_voice_is_typed_by_id_and_its_numbers_stand_over_time(browser, address, recording):
    watched = Watched(browser, address, SIZES["narrow"])
    page = watched.page
    page.click("#checkpoints > button")
    box = page.get_by_label("Checkpoint: Voice")
    box.fill(BASE)
    box.press("Enter")
    text = watched.analyze(recording)
    assert "Inconclusive" in text
    assert page.locator("#timeline .row").first.locator(".cell").count() == 3
    assert page.locator(UNCOUNTED).count() == 1
    watched.keep("app-voice")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES["narrow"][0]
    assert watched.errors == []
    page.close()


def test_the_endpoint_judges_the_voice_of_a_recording_and_of_a_video(
    address, recording, tmp_path, portrait, speech
):
    from gradio_client import Client, handle_file

    client = Client(address, verbose=False)
    frames = moving_portrait(portrait, 100, 160)
    video = write_clip(tmp_path / "a.mp4", frames, audio=speech[: 4 * 16_000])
    for path, kind in ((recording, "audio"), (video, "video")):
        report = client.submit(
            file=handle_file(str(path)), checkpoints={"voice": BASE}, api_name="/analyze"
        ).result(timeout=PATIENCE_MS / 1000)
        jsonschema.Draft202012Validator(schema()).validate(report)
        assert report["file"]["kind"] == kind
        finding = next(f for f in report["findings"] if f["detector"] == "voice")
        assert finding["score"] is not None and finding["llr"] is None
        assert finding["checkpoint"].startswith(f"{BASE}@")
        assert "voice" not in report["verdict"]["contributions"]


def test_the_command_judges_a_recording_by_a_voice_typed_by_id(hub, recording, tmp_path):
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "cli.py", "analyze", str(recording), "--checkpoint", f"voice={BASE}",
         "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "its checkpoint is not calibrated" in done.stdout
    report = json.loads((out / "talk.json").read_text("utf-8"))
    finding = next(f for f in report["findings"] if f["detector"] == "voice")
    assert len(finding["windows"]) == 3 and finding["status"] == "uncalibrated"
