"""Can a person use the page, and a program the endpoint? Driven in headless Chromium."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import app
from errors import UserError
from hub.space import read_spacefile
from report.export import schema
from tests.conftest import ROOT
from tests.tiny_models import write_model
from ui import analyze, results, session

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARTIFACTS = ROOT / "artifacts"
PATIENCE_MS = 180_000  # an analysis on two busy cores
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--mute-audio"]
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
VIDEO, PICTURE = ROOT / "examples" / "animated.mp4", ROOT / "examples" / "portrait.jpg"


@pytest.fixture(scope="module")
def address():
    blocks = app.build()
    yield app.serve(blocks, wait=False)
    blocks.close()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed, so the page cannot be driven")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Watched:
    """A page with everything that it said and asked for."""

    def __init__(self, browser, address: str, size_wh: tuple[int, int]):
        self.page = browser.new_page(viewport={"width": size_wh[0], "height": size_wh[1]})
        self.page.set_default_timeout(PATIENCE_MS)
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url))
        self.page.goto(address)
        self.page.wait_for_selector("#go")

    def _note(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1", "http://localhost", "data:", "blob:")):
            self.strangers.append(url)

    def upload(self, path: Path) -> None:
        self.page.set_input_files("#upload input[type=file]", str(path))

    def analyse(self, path: Path) -> str:
        """Upload, press the button, wait; returns the text of the verdict."""
        self.upload(path)
        self.page.wait_for_selector("#verdict :text('Ready')")
        self.page.click("#go")
        self.page.wait_for_selector("#verdict .verdict")
        return self.page.inner_text("#verdict")

    def keep(self, name: str) -> None:
        """Scroll through the page, so that lazy pictures are there, and keep a screenshot."""
        height = self.page.evaluate("document.documentElement.scrollHeight")
        for top in [*range(0, height, 600), 0]:
            self.page.evaluate(f"window.scrollTo(0, {top})")
            self.page.wait_for_timeout(120)
        ARTIFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


@pytest.fixture(params=SIZES, ids=list(SIZES))
def watched(request, browser, address):
    page = Watched(browser, address, SIZES[request.param])
    page.name = request.param
    yield page
    page.page.close()


def test_a_visitor_uploads_a_clip_sees_progress_and_reads_a_verdict(watched):
    page = watched.page
    watched.upload(VIDEO)
    page.wait_for_selector("#verdict :text('Ready')")
    page.click("#go")
    page.wait_for_selector("#verdict :text-matches('Finding faces|Examining')")
    page.wait_for_selector("#verdict .verdict")
    said = page.inner_text("#verdict .verdict h2")
    assert any(
        level in said for level in schema()["properties"]["verdict"]["properties"]["level"]["enum"]
    )
    picture = page.locator("#timeline img")
    picture.scroll_into_view_if_needed()
    picture.click(position={"x": picture.bounding_box()["width"] * 0.6, "y": 40})
    page.wait_for_function("document.querySelector('#player video').currentTime > 1")
    page.click("#draw")
    page.wait_for_selector("#marked video", state="attached")
    watched.keep(f"app-{watched.name}")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[watched.name][0]
    assert watched.errors == []
    assert watched.strangers == []


def test_a_visitor_analyses_a_picture_and_saves_the_reports(browser, address, tmp_path):
    watched = Watched(browser, address, SIZES["wide"])
    watched.analyse(PICTURE)
    assert not watched.page.is_visible("#timeline")
    for name, ending in (("#as-json", ".json"), ("#as-html", ".html")):
        with watched.page.expect_download() as waiting:
            watched.page.click(name)
        saved = tmp_path / f"report{ending}"
        waiting.value.save_as(saved)
        assert saved.stat().st_size > 500
    jsonschema.validate(json.loads((tmp_path / "report.json").read_text("utf-8")), schema())
    assert watched.errors == []
    watched.page.close()


def test_a_damaged_file_ends_in_a_sentence(browser, address, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(VIDEO.read_bytes()[:20_000])
    watched = Watched(browser, address, SIZES["wide"])
    watched.upload(broken)
    watched.page.wait_for_selector("#verdict :text('Ready'), #verdict [role=alert]")
    if not watched.page.is_visible("#verdict [role=alert]"):
        watched.page.click("#go")
    watched.page.wait_for_selector("#verdict [role=alert], #verdict .verdict")
    said = watched.page.inner_text("#verdict")
    assert "Traceback" not in said
    assert "." in said
    assert watched.errors == []
    watched.page.close()


@pytest.mark.parametrize("tab", ["Compare checkpoints", "Models", "About"])
def test_every_tab_opens_without_an_error(browser, address, tab):
    watched = Watched(browser, address, SIZES["wide"])
    watched.page.get_by_role("tab", name=tab).click()
    watched.page.wait_for_timeout(500)
    watched.keep(f"app-{tab.split()[0].lower()}")
    assert watched.errors == []
    assert watched.strangers == []
    watched.page.close()


# ------------------------------------------------------------------ for programs


@pytest.fixture(scope="module")
def client(address):
    from gradio_client import Client

    return Client(address, verbose=False)


def test_the_endpoint_returns_the_published_json(client):
    from gradio_client import handle_file

    report = client.predict(file=handle_file(str(PICTURE)), mode="quick", api_name="/analyze")
    jsonschema.Draft202012Validator(schema()).validate(report)
    assert report["file"]["kind"] == "picture"


def test_the_same_file_gives_the_same_json_twice(client):
    from gradio_client import handle_file

    twice = [client.predict(file=handle_file(str(PICTURE)), api_name="/analyze") for _ in range(2)]
    for report in twice:
        report.pop("seconds_by_stage")
    assert twice[0] == twice[1]


def test_the_endpoint_is_the_only_public_one(client):
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/analyze"]


def test_an_error_reaches_the_program_as_code_and_sentence(client, tmp_path):
    from gradio_client import handle_file

    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"\x00" * 100)
    with pytest.raises(Exception, match="decode_failed"):
        client.predict(file=handle_file(str(empty)), api_name="/analyze")


@pytest.mark.parametrize("meta", [{"_type": "gradio.FileData"}, {}])
def test_no_file_of_the_machine_can_be_named(address, meta):
    named = {"path": str(ROOT / "README.md"), "meta": meta}
    data = json.dumps({"data": [named, "quick", None, None]}).encode()
    request = urllib.request.Request(
        f"{address}gradio_api/call/analyze", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{address}gradio_api/call/analyze/{event}") as stream:
        said = stream.read().decode()
    assert "event: error" in said
    assert "text, not a video" not in said  # the file was not even opened


def test_the_endpoint_is_described_for_programs_and_agents(address):
    with urllib.request.urlopen(f"{address}gradio_api/openapi.json") as answer:
        assert any(path.endswith("/analyze") for path in json.load(answer)["paths"])
    with urllib.request.urlopen(f"{address}gradio_api/mcp/schema") as answer:
        (tool,) = json.load(answer)
    assert tool["inputSchema"]["required"] == ["file"]
    assert "never proof" in tool["description"]


def test_a_busy_port_is_said():
    assert "in use" not in app._address_line(f"http://127.0.0.1:{app.PORT}/", None)
    assert "in use" not in app._address_line("http://127.0.0.1:9999/", 9999)
    said = app._address_line("http://127.0.0.1:7861/", None)
    assert said.startswith(f"Port {app.PORT} is in use. The page is at http://127.0.0.1:7861/")


# ------------------------------------------------------------------ choices


def test_two_visitors_choices_do_not_meet():
    first = session.chosen_settings("quick", None, True, {"spatial": "owner/one"})
    second = session.chosen_settings("quick", None, True, {"spatial": "embedded"})
    assert first.checkpoints == {"spatial": "owner/one"}
    assert second.checkpoints == {}


def test_an_answer_about_labels_counts_only_with_a_chosen_checkpoint():
    chosen = session.chosen_settings(
        "quick", None, True, {"spatial": "owner/one"}, {"spatial": "1, fake", "sync": "0"}
    )
    assert chosen.fake_labels == {"spatial": ("1", "fake")}
    none = session.chosen_settings(
        "quick", None, True, {"spatial": "owner/one"}, {"spatial": "none"}
    )
    assert none.fake_labels == {"spatial": ()}


def run_page(spec: str, answer: str = "") -> list:
    """Press the button with one detector, its checkpoint and an answer about its labels."""
    others = [""] * (len(session.ROLES) - 1)
    return analyze.runner(read_spacefile())(
        str(PICTURE), "quick", ["spatial"], False, spec, *others, answer, *others,
        progress=lambda fraction, desc: None,
    )  # fmt: skip


def test_a_checkpoint_with_unclear_labels_is_asked_about_then_shown_without_a_vote(tmp_path):
    folder = write_model(tmp_path / "unclear", labels=("LABEL_0", "LABEL_1"))
    done, verdict, *_ = outputs = run_page(str(folder))
    assert done is None
    assert "mean fake?" in verdict
    assert outputs[-len(session.ROLES)].visible
    done, verdict, *_ = run_page(str(folder), "LABEL_1")
    (finding,) = done.analysis.findings
    assert finding.status == "uncalibrated"
    assert "Inconclusive" in verdict


def test_a_checkpoint_that_is_refused_ends_in_its_reason(tmp_path):
    (tmp_path / "empty").mkdir()
    done, verdict, *_ = run_page(str(tmp_path / "empty"))
    assert done is None
    assert "role='alert'" in verdict


def test_two_programs_with_two_checkpoints_each_get_their_own(client, tmp_path):
    from gradio_client import handle_file

    folders = [
        str(write_model(tmp_path / name, labels=labels, seed=3))
        for name, labels in (("one", ("Real", "Fake")), ("two", ("Fake", "Real")))
    ]
    jobs = [
        client.submit(
            file=handle_file(str(PICTURE)), checkpoints={"spatial": folder}, api_name="/analyze"
        )
        for folder in folders
    ]
    first, second = (job.result(timeout=PATIENCE_MS / 1000) for job in jobs)
    assert first["checkpoints"]["spatial"].startswith("one@")
    assert second["checkpoints"]["spatial"].startswith("two@")
    values = [r["findings"][0]["log_odds"] for r in (first, second)]
    assert values[0] == pytest.approx(-values[1], abs=1e-5)


def test_visitors_of_a_space_cannot_name_folders(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "owner/space")
    with pytest.raises(UserError) as told:
        session.chosen_settings("quick", None, True, {"spatial": "/etc"})
    assert told.value.code == "weights_refused"


def test_a_click_outside_the_timeline_moves_nothing():
    from types import SimpleNamespace

    from tests.made_analysis import made_analysis

    done = session.Done("clip.mp4", made_analysis())
    inside = results.seek_by_click(done, SimpleNamespace(index=(700, 50)))
    outside = results.seek_by_click(done, SimpleNamespace(index=(3, 50)))
    assert np.isfinite(inside.playback_position)
    assert not hasattr(outside, "playback_position")


def test_the_text_about_a_wrong_answer_is_only_written_to_a_file():
    from tests.made_analysis import made_analysis

    made = results.write_feedback(
        session.Done("clip.mp4", made_analysis()), "It is real", "I filmed it"
    )
    text = Path(made.value["path"])
    assert "I filmed it" in text.read_text("utf-8")


def test_every_example_has_an_honest_label():
    listed = (ROOT / "examples" / "labels.csv").read_text("utf-8").splitlines()[1:]
    files = {line.split(",", 1)[0] for line in listed}
    kept = {path.name for path in (ROOT / "examples").iterdir()} - {"labels.csv"}
    assert files == kept
    changed = [line for line in listed if not line.startswith("portrait")]
    assert all("by us" in line for line in changed)
