"""Can a person use the page, and a program the endpoint? Driven in headless Chromium."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import stat
import time
import urllib.error
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import axe_playwright_python
import jsonschema
import numpy as np
import pytest
from pydantic import AnyUrl

import app
from analysis import Settings
from errors import UserError
from hub.spacefile import read_spacefile
from media.clip import Clip
from media.mode import Mode
from report.export import schema
from report.language import ENGLISH, languages
from stop import Stop
from tests.conftest import ROOT, write_clip
from tests.tiny_models import write_model
from ui import analyze, batch, playable, results, session, source
from ui.registry import TABS
from ui.tab import Tab
from verdict.levels import Level

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
ARTIFACTS = ROOT / "artifacts"
PATIENCE_MS = 180_000  # an analysis on two busy cores
UNCOUNTED = '#answer section[aria-label="Shown, not counted"] .card'
WELCOME = "Which face, which seconds, which evidence?"
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
MOST_HEIGHT_PX = {"wide": 3000, "narrow": 5500}  # of the page with the result of a video
VIDEO, IMAGE = ROOT / "examples" / "animated.mp4", ROOT / "examples" / "portrait.jpg"


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

    def analyze(self, path: Path) -> str:
        """Upload, press the button, wait; returns the text of the verdict."""
        self.upload(path)
        self.page.wait_for_selector("#player .stage")
        self.page.click("#go")
        self.page.wait_for_selector("#answer .verdict")
        return self.page.inner_text("#answer .verdict")

    def keep(self, name: str) -> None:
        """Scroll through the page, so that lazy images are there, and keep a screenshot."""
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


def test_a_visitor_uploads_a_clip_sees_findings_come_and_reads_a_verdict(watched):
    page = watched.page
    watched.upload(VIDEO)
    page.wait_for_selector("#player .stage video")
    page.evaluate("window.live = document.querySelector('#live [role=status]')")
    page.click("#go")
    page.wait_for_selector("#answer .working")
    assert page.is_visible("#stop")
    page.wait_for_selector("#answer .sofar .in")
    page.wait_for_selector("#answer .verdict")
    level = page.inner_text("#answer .verdict h2").strip("▲◆○– ")
    assert level == source.examples()[VIDEO.name][1]
    page.wait_for_function("document.activeElement.matches('#answer .verdict')")
    assert page.is_visible("#answer .verdict h2")
    page.wait_for_function("window.live.isConnected && window.live.innerText.includes('Verdict: ')")
    assert page.evaluate("window.live.ariaLive") == "polite"
    assert not page.is_visible("#stop")
    watched.keep(f"app-{watched.name}")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[watched.name][0]
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height <= MOST_HEIGHT_PX[watched.name]
    assert not page.is_visible(".overflow-menu > button")  # no tab hides behind “…”
    assert watched.errors == []
    assert watched.strangers == []


def test_the_timeline_moves_the_player_and_boxes_follow_the_face(browser, address):
    watched = Watched(browser, address, SIZES["wide"])
    page = watched.page
    watched.analyze(VIDEO)
    page.locator("#timeline .seek").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('#player video').currentTime > 1")
    page.wait_for_selector("#player .boxes > div")
    box, video = (page.locator(s).bounding_box() for s in ("#player .boxes > div", "#player video"))
    assert video["x"] <= box["x"] and box["x"] + box["width"] <= video["x"] + video["width"]
    assert page.inner_text("#player .boxes span").startswith("Face A")
    words = page.inner_text("#timeline .value")  # for those who move through it by keys
    assert words == page.get_attribute("#timeline .seek", "aria-valuetext")
    assert "Picture of the face" in words
    cell = page.locator("#timeline .cell.for, #timeline .cell.against").last
    cell.scroll_into_view_if_needed()
    place = cell.bounding_box()
    middle = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.mouse.move(*middle)
    assert page.inner_text("#timeline .value") == cell.get_attribute("title")
    tip = page.locator("#timeline .value").bounding_box()
    assert tip["y"] + tip["height"] <= place["y"]  # nothing of the cell is covered
    page.mouse.click(*middle)
    track = page.locator("#timeline .track").first.bounding_box()
    share = (middle[0] - track["x"]) / track["width"]
    page.wait_for_function(
        "(t) => Math.abs(document.querySelector('#player video').currentTime - t) < 0.2",
        arg=share * float(page.get_attribute("#timeline .seek", "max")),
    )
    page.mouse.move(*middle[:1], 0)
    assert not page.is_visible("#timeline .value")
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    assert page.locator("#player video").bounding_box()["y"] >= 0  # still in view
    page.locator("[data-seek]").last.click()
    page.click("#draw")
    page.wait_for_selector("#marked video", state="attached")
    page.wait_for_selector("#marked track[src$='.vtt']", state="attached")  # what the detectors say
    page.click("#again")
    page.wait_for_selector("#upload", state="visible")
    assert page.is_visible("#go")
    assert watched.errors == []
    page.close()


def test_stop_ends_an_analysis_and_gives_the_button_back(browser, address):
    watched = Watched(browser, address, SIZES["wide"])
    watched.upload(VIDEO)
    watched.page.wait_for_selector("#player .stage video")
    watched.page.click("#go")
    watched.page.click("#stop")
    watched.page.wait_for_selector("#go", state="visible")
    assert not watched.page.is_visible("#stop")
    assert watched.page.query_selector("#answer .verdict") is None
    watched.page.close()


def test_an_example_is_chosen_by_its_image(browser, address):
    watched = Watched(browser, address, SIZES["wide"])
    watched.page.click(f"[data-example='{IMAGE.name}']")
    watched.page.wait_for_selector("#player .stage img")
    assert watched.page.is_enabled("#go")
    assert watched.errors == []
    watched.page.close()


def test_a_visitor_analyzes_an_image_and_saves_the_reports(browser, address, tmp_path):
    watched = Watched(browser, address, SIZES["wide"])
    assert source.examples()[IMAGE.name][1] in watched.analyze(IMAGE)
    assert not watched.page.is_visible("#timeline .rows")
    watched.page.fill("#case input, #case textarea", "2026-117")
    watched.page.keyboard.press("Tab")
    watched.page.wait_for_timeout(1500)
    for name, ending in (("#as-json", ".json"), ("#as-html", ".html")):
        with watched.page.expect_download() as waiting:
            watched.page.click(name)
        saved = tmp_path / f"report{ending}"
        waiting.value.save_as(saved)
        assert saved.stat().st_size > 500
    jsonschema.validate(json.loads((tmp_path / "report.json").read_text("utf-8")), schema())
    assert "2026-117" in (tmp_path / "report.html").read_text("utf-8")
    assert watched.errors == []
    watched.page.close()


def test_a_damaged_file_is_refused_at_the_drop_zone(browser, address, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(VIDEO.read_bytes()[:20_000])
    watched = Watched(browser, address, SIZES["wide"])
    watched.upload(broken)
    watched.page.wait_for_selector("#player [role=alert]")
    words = watched.page.inner_text("#player")
    assert "Traceback" not in words
    assert "." in words
    assert not watched.page.is_enabled("#go")
    assert watched.errors == []
    watched.page.close()


@pytest.mark.parametrize(("tab", "zone"), [("Analyze", "upload"), ("Batch", "batch-files")])
def test_what_is_too_large_or_of_no_kind_is_refused_before_it_is_sent(
    browser, address, tmp_path, tab, zone
):
    large, odd = tmp_path / "large.mp4", tmp_path / "letter.pdf"
    with large.open("wb") as file:
        file.truncate(read_spacefile().max_upload_mb * 1_000_000 + 1)
    odd.write_bytes(b"%PDF-1.7")
    watched = Watched(browser, address, SIZES["wide"])
    watched.page.get_by_role("tab", name=tab).click()
    sent: list[str] = []
    watched.page.on("request", lambda r: sent.append(r.url) if "/upload" in r.url else None)
    for path, words in ((large, "larger than"), (odd, "not a kind of file")):
        watched.page.set_input_files(f"#{zone} input[type=file]", str(path))
        watched.page.wait_for_selector(f".refused:visible:has-text('{words}')")
    assert sent == []
    watched.page.set_input_files(f"#{zone} input[type=file]", str(IMAGE))
    watched.page.wait_for_selector(".refused", state="detached")
    assert watched.errors == []
    watched.page.close()


@pytest.mark.parametrize(
    ("tab", "button", "words"),
    [
        ("Batch", "#batch-go", "Choose several files"),
        ("Compare", "#compare-go", "Choose a video, an image or a recording first"),
        ("Check", "#replay-go", "Drop both"),
    ],
)
def test_what_is_missing_is_said_where_it_is_missing(browser, address, tab, button, words):
    watched = Watched(browser, address, SIZES["wide"])
    watched.page.get_by_role("tab", name=tab).click()
    watched.page.click(button)
    watched.page.wait_for_selector(f":visible:text('{words}')")
    watched.page.close()


def test_no_selector_of_the_page_has_a_comma_within_parentheses():
    """Gradio puts its own prefix behind every comma: within `:has(a, b)` the second never fits."""
    styles = (ROOT / "ui" / "page.css").read_text("utf-8")
    selectors = re.sub(r"/\*.*?\*/", "", re.sub(r"\{[^{}]*\}", "{}", styles), flags=re.S)
    assert re.findall(r":\w+\([^(){}]*,[^(){}]*\)", selectors) == []


def test_an_address_inside_is_refused_on_the_page(browser, address):
    watched = Watched(browser, address, SIZES["wide"])
    watched.page.get_by_role("tab", name="Address").click()
    watched.page.fill("#url input, #url textarea", f"{address}a.jpg")
    watched.page.click("#fetch")
    refusal = "#address-refused [role=alert]:has-text('url_refused')"
    watched.page.wait_for_selector(refusal)
    watched.page.wait_for_timeout(2000)  # an event that comes later would have wiped it
    assert watched.page.is_visible(refusal)
    assert not watched.page.is_enabled("#go")
    watched.page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_of_ours_shuts_anybody_out(browser, address, theme):
    """No serious finding of axe-core in our own elements, before and after an analysis."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, bypass_csp=True)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{address}?__theme={theme}")
    page.wait_for_selector("[data-example]")
    result = barriers(page)
    page.set_input_files("#upload input[type=file]", str(IMAGE))
    page.wait_for_selector("#player .stage")
    page.click("#go")
    page.wait_for_selector("#answer .verdict")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert result + barriers(page) == []
    page.close()


def barriers(page) -> list[str]:
    """What axe-core finds serious in our own elements."""
    page.evaluate(AXE.read_text("utf-8"))
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{one['id']}: {node['html'][:120]}"
        for one in result
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
        if page.evaluate(
            "(s) => !!document.querySelector(s)?.closest('.dd, .tab-container')", node["target"][0]
        )
    ]


def test_a_german_browser_reads_german(browser, address):
    page = browser.new_page(locale="de-DE")
    page.goto(address)
    page.wait_for_selector("#go")
    page.wait_for_function("document.querySelector('#head h1').innerText.includes('Deepfake')")
    assert page.inner_text("#go") == languages()["de"]("Analyze")
    page.wait_for_selector(f"#answer :text({json.dumps(languages()['de'](WELCOME))})")
    page.close()


def test_several_files_fill_a_table_row_by_row(browser, address, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    watched = Watched(browser, address, SIZES["wide"])
    watched.page.get_by_role("tab", name="Batch").click()
    files = [str(IMAGE), str(broken)]
    watched.page.set_input_files("#batch-files input[type=file]", files)
    watched.page.wait_for_selector("#batch-files :text('broken')")
    watched.page.click("#batch-go")
    watched.page.wait_for_selector("#batch-csv", state="visible")
    words = watched.page.inner_text("#batch-table")
    assert batch.UNREAD in words
    with watched.page.expect_download() as waiting:
        watched.page.click("#batch-csv")
    rows = Path(waiting.value.path()).read_text("utf-8").splitlines()
    assert len(rows) == 3
    with watched.page.expect_download() as waiting:
        watched.page.click("#batch-zip")
    with zipfile.ZipFile(waiting.value.path()) as archive:
        reports = [f"{IMAGE.stem}.report.{ending}" for ending in ("html", "json")]
        assert archive.namelist() == [*reports, "results.csv"]
    assert watched.errors == []
    watched.page.close()


def test_a_checkpoint_is_looked_at_tried_and_chosen_for_the_session(browser, address, tmp_path):
    folder = write_model(tmp_path / "mine")
    watched = Watched(browser, address, SIZES["wide"])
    page = watched.page
    page.get_by_role("tab", name="Models").click()
    page.fill("#catalog input.search-input", "Motion of the face")  # rows below are not drawn
    page.click("#catalog [role=gridcell]:has-text('Motion of the face') >> visible=true >> nth=0")
    page.wait_for_selector("#facts dt:has-text('License')")
    page.click("#use")
    page.wait_for_selector("#facts .badge:has-text('Chosen for “Motion of the face”')")
    page.fill("#spec input, #spec textarea", str(folder))
    page.click("#role input")
    page.get_by_role("option", name="Picture of the face").click()
    page.click("#use")
    page.wait_for_selector("#facts .badge:has-text('Chosen for “Picture of the face”')")
    page.get_by_role("tab", name="Analyze").click()
    page.click("#checkpoints button")
    page.wait_for_function(
        "(folder) => document.querySelector('#spec-spatial input')?.value === folder",
        arg=str(folder),
    )
    page.close()


def test_a_new_tab_is_one_object(browser):
    import gradio as gr

    blocks = app.build((*TABS, Tab("Toys", lambda space: gr.Markdown("A toy", elem_id="toy"))))
    url = app.serve(blocks, wait=False)
    page = browser.new_page()
    page.goto(url)
    page.get_by_role("tab", name="Toys").click()
    page.wait_for_selector("#toy")
    page.close()
    blocks.close()


@pytest.mark.parametrize("tab", [tab.title for tab in TABS[1:]])
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

    report = client.predict(file=handle_file(str(IMAGE)), mode="quick", api_name="/analyze")
    jsonschema.Draft202012Validator(schema()).validate(report)
    assert report["file"]["kind"] == "picture"


def test_the_same_file_gives_the_same_json_twice(client):
    from gradio_client import handle_file

    twice = [client.predict(file=handle_file(str(IMAGE)), api_name="/analyze") for _ in range(2)]
    for report in twice:
        for name in ("seconds_by_stage", "analyzed_at", "report_sha256"):  # tell when it was made
            report.pop(name)
    assert twice[0] == twice[1]


def test_three_endpoints_are_public_and_typed(client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert set(named) == {"/analyze", "/models", "/batch"}


def test_the_catalog_can_be_asked(client):
    listed = client.predict(query="", detector="sync", api_name="/models")
    assert listed and {entry["detector"] for entry in listed} == {"sync"}


def test_one_damaged_file_does_not_stop_a_batch(client, tmp_path):
    from gradio_client import handle_file

    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    files = [handle_file(str(IMAGE)), handle_file(str(tmp_path / "broken.mp4"))]
    good, bad = client.predict(files=files, api_name="/batch")
    assert good["report"]["verdict"]["level"] in tuple(Level)
    assert bad["error"]["code"] == "decode_failed"


def post(address: str, endpoint: str, body: bytes) -> tuple[int, str]:
    """Call an endpoint as curl does; returns the status and what came in the end."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}gradio_api/call/{endpoint}", body, headers)
    try:
        with urllib.request.urlopen(request) as answer:
            event = json.load(answer)["event_id"]
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    name = endpoint.removeprefix("v2/")
    with urllib.request.urlopen(f"{address}gradio_api/call/{name}/{event}") as stream:
        return 200, stream.read().decode()


@pytest.mark.parametrize(
    ("endpoint", "body", "code"),
    [
        ("analyze", b"{}", "bad_arguments"),
        ("analyze", b"no json", "bad_arguments"),
        ("analyze", b'{"data": []}', "no_file"),
        ("analyze", b'{"data": [1, 2, 3, 4, 5, 6, 7]}', "bad_arguments"),
        ("analyze", b'{"data": ["data:video/mp4;base64,!"]}', "bad_data_url"),
        ("v2/analyze", b"{}", "no_file"),
        ("v2/analyze", b'{"file": "abc"}', "no_file"),
        ("v2/analyze", b'{"fil": "abc"}', "bad_arguments"),
        ("v2/analyze", b'{"file": {"path": "/etc/passwd"}}', "no_file"),
        ("v2/batch", b"{}", "no_file"),
        ("v2/models", b'{"detector": "nose"}', "bad_arguments"),
        ("v2/nothing", b"{}", "no_endpoint"),
    ],
)
def test_every_wrong_argument_is_answered_with_a_code_and_a_sentence(address, endpoint, body, code):
    status, words = post(address, endpoint, body)
    assert status < 500
    assert code in words
    assert "null" not in words
    assert "Traceback" not in words


@pytest.mark.parametrize("route", ["run", "api"])
def test_no_call_goes_past_the_line_and_the_check_of_its_arguments(address, route):
    body = json.dumps({"data": [{"path": "/etc/passwd"}, "quick", None, None, None]}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}gradio_api/{route}/analyze", body, headers)
    with pytest.raises(urllib.error.HTTPError) as data:
        urllib.request.urlopen(request)
    assert data.value.code == 404
    assert "queue" in json.load(data.value)["detail"]


def test_a_data_url_is_a_file_too(address):
    url = "data:image/jpeg;base64," + base64.b64encode(IMAGE.read_bytes()).decode()
    _, words = post(address, "v2/analyze", json.dumps({"file": url}).encode())
    assert '"level": ' in words


def test_an_error_reaches_the_program_as_code_and_sentence(client, tmp_path):
    from gradio_client import handle_file

    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"\x00" * 100)
    with pytest.raises(Exception, match="decode_failed"):
        client.predict(file=handle_file(str(empty)), api_name="/analyze")


def test_the_endpoints_are_described_for_programs(address):
    with urllib.request.urlopen(f"{address}gradio_api/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    for name in ("analyze", "models", "batch"):
        assert f"/gradio_api/call/v2/{name}" in paths


# ------------------------------------------------------------------ for agents


async def ask(
    address: str, calls: list[tuple[str, dict[str, Any]]], headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Talk to the MCP server with a real client."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async with (
        streamablehttp_client(f"{address}gradio_api/mcp/", headers) as (reader, writer, _),
        ClientSession(reader, writer) as agent,
    ):
        await agent.initialize()
        steps: list[tuple[float, float | None, str | None]] = []

        async def note(progress: float, total: float | None, message: str | None) -> None:
            steps.append((progress, total, message))

        return {
            "tools": (await agent.list_tools()).tools,
            "prompts": (await agent.list_prompts()).prompts,
            "card": (await agent.read_resource(AnyUrl("card://spatial"))).contents[0],
            "answers": [
                await agent.call_tool(name, arguments, progress_callback=note)
                for name, arguments in calls
            ],
            "steps": steps,
        }


@pytest.fixture(scope="module")
def agent(address):
    url = "data:image/jpeg;base64," + base64.b64encode(IMAGE.read_bytes()).decode()
    calls = [
        ("analyze_file", {"file": str(IMAGE)}),
        ("analyze_file", {"file": url}),
        ("analyze_file", {}),
        ("analyze_file", {"file": "/nowhere.mp4"}),
        ("analyze_file", {"file": str(IMAGE), "mode": "slow"}),
        ("list_checkpoints", {"detector": "sync"}),
    ]
    return asked(address, calls)


def asked(address: str, calls: list, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """What `ask` returns, from a thread: the browser's driver has a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(ask(address, calls, headers))).result()


def sent(address: str, path: Path) -> str:
    """Upload a file as a program does; the path that the server answers."""
    edge = "a-line-that-is-in-no-file"
    part = f'Content-Disposition: form-data; name="files"; filename="{path.name}"'
    head = f"--{edge}\r\n{part}\r\n\r\n".encode()
    body = head + path.read_bytes() + f"\r\n--{edge}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    request = urllib.request.Request(f"{address}gradio_api/upload", body, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)[0]


def test_an_agent_elsewhere_uploads_its_file_and_names_no_path_of_this_machine(address):
    calls = [
        ("analyze_file", {"file": sent(address, IMAGE)}),
        ("analyze_file", {"file": str(IMAGE)}),
    ]
    good, refused = asked(address, calls, {"X-Forwarded-For": "203.0.113.5"})["answers"]
    jsonschema.Draft202012Validator(schema()).validate(good.structuredContent)
    assert refused.isError and refused.content[0].text.startswith("no_file: ")


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("analyze_file", {"file": None}, "bad_arguments"),
        ("analyze_file", {"file": 7}, "bad_arguments"),
        ("analyze_file", {"file": ""}, "no_file"),
        ("analyze_file", {"file": "data:video/mp4;base64,!"}, "bad_data_url"),
        ("analyze_file", {"file": "http://127.0.0.1/a.jpg"}, "no_file"),
        ("analyze_file", {"file": "a\0b"}, "no_file"),
        ("list_checkpoints", {"detector": "nose"}, "bad_arguments"),
        ("list_checkpoints", {"query": []}, "bad_arguments"),
    ],
)
def test_no_wrong_argument_of_an_agent_is_answered_with_null(address, tool, arguments, code):
    (answer,) = asked(address, [(tool, arguments)])["answers"]
    assert answer.isError
    words = answer.content[0].text
    assert words.startswith(f"{code}: ") and words.endswith(".")


def test_an_agent_gets_a_structured_report_by_path_and_by_data_url(agent):
    for answer in agent["answers"][:2]:
        assert not answer.isError
        jsonschema.Draft202012Validator(schema()).validate(answer.structuredContent)
        assert json.loads(answer.content[0].text) == answer.structuredContent


def test_an_agent_is_told_how_far_its_analysis_is_in_shares_that_grow(agent):
    steps = agent["steps"]
    first = steps[: next(i for i, step in enumerate(steps) if step[2] == "Weighing the evidence")]
    shares = [share for share, _, _ in first]
    assert shares == sorted(set(shares))
    assert shares[0] >= 0 and shares[-1] < 1
    assert {total for _, total, _ in steps} == {1.0}
    assert any(text.startswith("Examining: Picture of the face") for _, _, text in first)


def test_an_agent_is_refused_with_a_code_and_a_sentence(agent):
    for answer, code in zip(
        agent["answers"][2:5], ("bad_arguments", "no_file", "bad_arguments"), strict=True
    ):
        assert answer.isError
        assert answer.content[0].text.startswith(f"{code}: ")
        assert "pydantic" not in answer.content[0].text


def test_tools_say_everything_about_their_arguments_and_their_answer(agent):
    (analyze_tool, listing) = agent["tools"]
    properties = analyze_tool.inputSchema["properties"]
    assert analyze_tool.inputSchema["required"] == ["file"]
    assert all("description" in one for one in properties.values())
    assert "data URL" in properties["file"]["description"]
    assert "verdict" in analyze_tool.outputSchema["properties"]
    assert listing.outputSchema is not None
    assert "never proof" in analyze_tool.description


def test_an_agent_reads_model_cards_and_how_to_report(agent):
    assert "license" in agent["card"].text
    assert [prompt.name for prompt in agent["prompts"]] == ["report_a_finding"]


def test_a_page_of_a_stranger_cannot_use_the_tools(address):
    request = urllib.request.Request(
        f"{address}gradio_api/mcp/",
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}',
        {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
         "Origin": "https://example.org"},
    )  # fmt: skip
    with pytest.raises(urllib.error.HTTPError) as data:
        urllib.request.urlopen(request)
    assert data.value.code == 403


def test_a_busy_port_is_said():
    assert "in use" not in app._address_line(f"http://127.0.0.1:{app.PORT}/", None)
    assert "in use" not in app._address_line("http://127.0.0.1:9999/", 9999)
    words = app._address_line("http://127.0.0.1:7861/", None)
    assert words.startswith(f"Port {app.PORT} is in use. The page is at http://127.0.0.1:7861/")


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


def run_page(spec: str, answer: str = "") -> dict[str, Any]:
    """Press the button with one detector, its checkpoint and an answer about its labels."""
    import gradio as gr

    with gr.Blocks():
        space, done = read_spacefile(), gr.State()
        choices = analyze.choice_column(space, gr.State())
        places = analyze.Places(
            *(gr.HTML() for _ in range(8)),
            results.keep_column(done),  # type: ignore[arg-type]
        )
    chosen = {one: None for one in choices.inputs()} | {
        choices.path: str(IMAGE), choices.mode: "quick", choices.detectors: ["spatial"],
        choices.stability: False, choices.specs["spatial"]: spec,
        choices.answers["spatial"]: answer,
    }  # fmt: skip
    out = analyze.runner(space, done, choices, places)(lambda progress: None, chosen, None)
    return {
        "done": out[done], "answer": out[places.answer],
        "asked": out.get(choices.answers["spatial"]),
    }  # fmt: skip


def test_a_checkpoint_with_unclear_labels_is_asked_about_then_shown_without_a_vote(tmp_path):
    folder = write_model(tmp_path / "unclear", labels=("LABEL_0", "LABEL_1"))
    out = run_page(str(folder))
    assert out["done"] is None
    assert "mean fake?" in out["answer"]
    assert out["asked"].visible
    out = run_page(str(folder), "LABEL_1")
    (finding,) = out["done"].analysis.findings
    assert finding.status == "uncalibrated"
    assert "Inconclusive" in out["answer"]


def test_a_checkpoint_that_is_refused_ends_in_its_reason(tmp_path):
    (tmp_path / "empty").mkdir()
    out = run_page(str(tmp_path / "empty"))
    assert out["done"] is None
    assert 'role="alert"' in out["answer"]


def test_two_programs_with_two_checkpoints_each_get_their_own(client, tmp_path):
    from gradio_client import handle_file

    folders = [
        str(write_model(tmp_path / name, labels=labels, seed=3))
        for name, labels in (("one", ("Real", "Fake")), ("two", ("Fake", "Real")))
    ]
    jobs = [
        client.submit(
            file=handle_file(str(IMAGE)), checkpoints={"spatial": folder}, api_name="/analyze"
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
    with pytest.raises(UserError) as data:
        session.chosen_settings("quick", None, True, {"spatial": "/etc"})
    assert data.value.code == "weights_refused"


def test_the_seconds_of_a_borrowed_gpu_follow_the_windows_of_the_files(tmp_path):
    """20 s to start and 6 s a window of 3 s, two minutes at most."""
    images = [np.zeros((32, 32, 3), np.uint8)] * 25
    clip = str(write_clip(tmp_path / "25s.mp4", images, Fraction(1)))
    (tmp_path / "broken.mp4").write_bytes(b"no video")

    def seconds(path: str | Path, mode: str, *references: str) -> int:
        return session.gpu_seconds(str(path), Settings(Mode(mode)), Stop(), references)

    assert seconds(IMAGE, "thorough") == 20 + 6 * 1
    assert seconds(clip, "quick") == 20 + 6 * 4
    assert seconds(clip, "thorough") == 20 + 6 * 8
    assert seconds(IMAGE, "quick", clip, str(IMAGE)) == 20 + 6 * (1 + 4 + 1)
    assert seconds(tmp_path / "broken.mp4", "thorough") == 20
    assert seconds(clip, "thorough", *[clip] * 5) == 120


def test_a_zip_is_unpacked_under_its_files_own_names_and_up_to_the_limit(tmp_path):
    archive = tmp_path / "many.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name in ("../../evil.jpg", "a/b/one.jpg", "__MACOSX/x", ".hidden", "folder/"):
            opened.writestr(name, b"x")
    paths = batch.unpacked([str(archive)], 5, 1)
    assert [path.name for path in paths] == ["evil.jpg", "one.jpg"]
    assert all("deepfake-detector" in str(path) for path in paths)
    with pytest.raises(UserError) as data:
        batch.unpacked([str(archive)], 1, 1)
    assert data.value.code == "too_many_files"


def test_a_link_in_a_zip_is_a_row_that_cannot_be_read_and_is_never_followed(tmp_path):
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(IMAGE.read_bytes())
    archive, entry = tmp_path / "links.zip", zipfile.ZipInfo("link.jpg")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(entry, str(outside))
    (path,) = batch.unpacked([str(archive)], 5, 1)
    row = batch.examined(path, "quick", read_spacefile(), tmp_path, ENGLISH, lambda step: None)
    assert (row.name, row.level, row.probability) == ("link.jpg", batch.UNREAD, None)
    assert not path.is_symlink() and path.read_text() == str(outside)


def test_no_cell_of_the_table_is_a_formula(tmp_path):
    table = batch.as_table([("=1+1.mp4", "@x", "", "-2")], tmp_path).read_text("utf-8")
    assert "'=1+1.mp4" in table and "'@x" in table and "'-2" in table


def test_what_a_browser_cannot_play_gets_a_copy_on_the_same_clock(tmp_path):
    clip = write_clip(
        tmp_path / "old.avi",
        [np.full((120, 160, 3), i, np.uint8) for i in range(60)],
        codec="mpeg4",
    )
    assert not source.plays(str(clip))
    assert "data:image" in source.preview(str(clip))
    copy = source.proxy(str(clip), tmp_path)
    assert source.plays(copy)
    with Clip(copy) as now, Clip(clip) as before:
        assert now.duration_s == pytest.approx(before.duration_s, abs=0.1)


def test_a_copy_that_cannot_be_made_leaves_the_still_and_a_sentence(tmp_path):
    clip = write_clip(tmp_path / "old.avi", [np.zeros((64, 64, 3), np.uint8)] * 5, codec="mpeg4")
    shown = playable.playable(str(clip), ENGLISH, Stop(-1.0))
    assert shown is not None and "data:image" in shown and source.NO_COPY in shown


def test_the_copy_of_a_file_that_is_no_longer_chosen_is_given_up_and_never_shown(
    browser, address, tmp_path, monkeypatch
):
    first, second = (
        write_clip(tmp_path / f"{side}.avi", [np.zeros((side, side, 3), np.uint8)] * 5,
                   codec="mpeg4")
        for side in (64, 96)
    )  # fmt: skip
    really, made, stops = source.proxy, {}, []

    def late(path: str, folder: Path, stop: Stop) -> str:
        """The first copy is done just when it is given up."""
        made[Path(path).name] = folder.name
        while Path(path).name == first.name and not stop.asked:
            time.sleep(0.01)
        stops.append(stop.asked)
        return really(path, folder)

    monkeypatch.setattr(source, "proxy", late)
    watched = Watched(browser, address, SIZES["wide"])
    page = watched.page
    page.evaluate(
        "window.seen = []; new MutationObserver(() => document.querySelectorAll('#player video')"
        ".forEach((one) => window.seen.push(one.src)))"
        ".observe(document.querySelector('#player'), {subtree: true, childList: true})"
    )
    watched.upload(first)
    page.wait_for_selector("#player .stage img")
    page.click("#upload button[aria-label=Clear]")
    watched.upload(second)
    page.wait_for_selector("#player .stage video")
    assert stops[0] and not any(stops[1:])
    assert {url.split("/")[-2] for url in page.evaluate("window.seen")} == {made[second.name]}
    assert watched.errors == []
    page.close()


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
    selected = {path.name for path in (ROOT / "examples").iterdir() if path.is_file()}
    selected -= {"labels.csv", "make.py", "__init__.py"}
    assert files == selected
    changed = [line for line in listed if "as it is" not in line]
    assert all("by us" in line for line in changed) and len(listed) - len(changed) == 2
    german = languages()["de"].table
    for label, answer in source.examples().values():
        assert label in german and answer in german


@pytest.mark.parametrize(
    "name", ["blended.jpg", "redrawn.jpg", "rocket.jpg", "foreign_voice.mp4"]
)  # the other two are analyzed on the page
def test_an_example_gets_the_answer_that_stands_under_it(name):
    from analysis import analyze

    assert analyze(ROOT / "examples" / name).verdict.level == source.examples()[name][1]


def test_two_examples_are_found():
    answers = [answer for _, answer in source.examples().values()]
    assert len(answers) == 6
    assert sum(answer in ("Some signs", "Strong signs") for answer in answers) >= 2
