"""What does a visitor click, and what answers? On results made by hand, which cost no networks."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis import Analysis
from benchmarks.page import visit
from errors import UserError
from hub.spacefile import read_spacefile
from report import render
from report.export import to_text
from report.language import ENGLISH, languages
from stop import current_stop
from tests.made_analysis import made_analysis
from tests.test_app import IMAGE, PATIENCE_MS, SIZES, VIDEO, WELCOME, Watched, barriers
from ui import batch, compare, models, replay, results, session
from ui.registry import TABS
from verdict.levels import Level

AT_ONCE_S = 0.3  # of this process's CPU time, which busy cores do not stretch
A4_PAGES = 4  # that a printed report takes at most
PAGE_OF_PDF = re.compile(rb"/Type\s*/Page\b")
MOST_TABS = 120  # presses of Tab that lead anywhere on the page


class Made:
    """Stands for the analysis: says what it was asked for and returns a result made by hand."""

    def __init__(self) -> None:
        self.references: list[str] = []

    def __call__(self, path: str, settings: Any, on_progress: Any, **rest: Any) -> Analysis:
        self.references = [Path(one).name for one in rest["references"]]
        on_progress(0.5, "Finding faces (window 1 of 2)")
        return replace(made_analysis(Path(path).name), settings=settings)


@pytest.fixture
def made(monkeypatch) -> Made:
    """Every analysis of this process gives the same two faces."""
    monkeypatch.setattr(session, "analyze", made := Made())
    return made


@pytest.fixture
def watched(browser, address, made):
    page = Watched(browser, address, SIZES["wide"])
    yield page
    page.page.close()


def test_the_tip_of_a_word_stays_in_the_window(watched):
    page, width = watched.page, SIZES["wide"][0]
    watched.analyze(VIDEO)
    page.evaluate("document.querySelector('#answer .verdict').scrollIntoView()")
    for word in ("#timeline .legend .term", "#answer .verdict .term"):
        page.locator(word).first.hover()
        tip = page.locator(f"{word} .tip").first.bounding_box()
        assert tip["x"] >= 0 and tip["x"] + tip["width"] <= width
        assert tip["y"] >= 0
    assert watched.errors == []


class Endless:
    """Work that ends only when it is asked to."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.begun.set()
        try:
            while True:
                current_stop().check()
                time.sleep(0.01)
        finally:
            self.ended.set()


def stopped(page, monkeypatch, module, name: str, button: str) -> None:
    """Press a button whose work, a function of a module, never ends; then Stop in its place."""
    with monkeypatch.context() as patch:
        work = Endless()
        patch.setattr(module, name, work)
        page.click(f"#{button}")
        assert work.begun.wait(PATIENCE_MS / 1000)
        assert not page.is_visible(f"#{button}")
        page.click(f"#{button.removesuffix('-go')}-stop")
        page.wait_for_selector(f"#{button}")
        assert not page.is_visible(f"#{button.removesuffix('-go')}-stop")
        assert work.ended.wait(PATIENCE_MS / 1000)


# ------------------------------------------------------------------ from drop to report


@pytest.mark.parametrize("size_wh", [(1280, 900), (1440, 900)], ids=str)
def test_two_people_leave_the_player_whole_in_view(browser, address, made, size_wh):
    watched = Watched(browser, address, size_wh)
    page, height = watched.page, size_wh[1]
    watched.analyze(VIDEO)
    page.wait_for_selector("#timeline .row.speech")
    for share in (0, 0.5, 1):
        page.evaluate("(s) => scrollTo(0, s * document.documentElement.scrollHeight)", share)
        place = page.locator("#player video").bounding_box()
        assert place["y"] >= 0 and place["y"] + place["height"] <= height
    for part in ("#timeline .legend", "#again"):  # below it nothing is cut off either
        place = page.locator(part).bounding_box()
        assert place["y"] + place["height"] <= height
    page.locator("#timeline .seek").focus()
    page.keyboard.press("ArrowRight")
    tip, face = (page.locator(s).bounding_box() for s in ("#timeline .value", "#player video"))
    assert tip["y"] >= face["y"] + face["height"]  # what the keys tell covers no face
    scroller = page.locator("#timeline .scroller")
    assert scroller.evaluate("(e) => e.scrollHeight > e.clientHeight")
    page.locator("#timeline .row.axis").scroll_into_view_if_needed()
    rows, place = scroller.bounding_box(), page.locator("#timeline .row.axis").bounding_box()
    assert place["y"] + place["height"] <= rows["y"] + rows["height"] + 1
    assert page.locator("#player video").bounding_box()["y"] >= 0
    page.close()


def test_what_is_pressed_is_answered_at_once(watched):
    watched.upload(VIDEO)
    watched.page.wait_for_selector("#player .stage video")
    pressed_s = time.process_time()
    watched.page.click("#go")
    watched.page.wait_for_selector("#answer .working, #answer .verdict")
    assert time.process_time() - pressed_s < AT_ONCE_S


def test_the_benchmark_of_the_page_waits_for_one_thing_after_the_other(watched, address):
    ready, playable, moved, first, verdict = visit(watched.page, address, VIDEO)
    assert 0 < ready <= playable
    assert 0 < moved <= first <= verdict


def test_somebody_without_a_mouse_gets_from_the_drop_zone_to_the_report(watched, tmp_path):
    page = watched.page
    page.on("filechooser", lambda chooser: chooser.set_files(str(VIDEO)))
    page.wait_for_selector("[data-example]")
    page.wait_for_timeout(500)  # the drop zone is laid out anew once the page is there
    tab_to(page, "#upload")
    page.keyboard.press("Enter")
    page.wait_for_selector("#player .stage video")
    tab_to(page, "#go")
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.matches('#answer .verdict')")
    tab_to(page, "#as-html")
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    assert waiting.value.suggested_filename == f"{VIDEO.stem}.report.html"
    assert watched.errors == []


def tab_to(page, selector: str) -> None:
    """Press Tab until something inside of the selector has the focus."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("(s) => !!document.activeElement.closest(s)", selector):
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def test_recordings_given_as_real_reach_the_analysis(watched, made):
    page = watched.page
    page.click("#reference button")
    page.set_input_files("#references input[type=file]", [str(IMAGE), str(VIDEO)])
    page.wait_for_selector(f"#references :text('{VIDEO.stem}')")
    watched.analyze(VIDEO)
    assert made.references == [IMAGE.name, VIDEO.name]


def test_a_wrong_answer_becomes_a_text_and_both_copies_of_the_face_are_there(watched):
    page = watched.page
    watched.analyze(VIDEO)
    page.click("button:has-text('Original and re-encoded copy')")
    page.wait_for_function(
        "[...document.querySelectorAll('#copies img')].filter((one) => one.naturalWidth).length > 1"
    )
    page.click("button:has-text('Is this answer wrong?')")
    page.get_by_label("It is manipulated").check()
    page.get_by_label("How do you know?").fill("I made it")
    page.click("button:has-text('Make the text')")
    with page.expect_download() as waiting:
        page.click("a[download='wrong-answer.md']")
    text = Path(waiting.value.path()).read_text("utf-8")
    assert "I made it" in text and "The truth: It is manipulated" in text
    assert watched.errors == []


def test_a_visitor_who_switches_to_german_reads_result_and_report_in_german(
    browser, address, made, tmp_path
):
    say = languages()["de"]
    page = browser.new_page(locale="de-DE")
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    page.wait_for_selector(f"#answer :text({json.dumps(say(WELCOME))})")
    page.set_input_files("#upload input[type=file]", str(VIDEO))
    page.wait_for_selector("#player .stage video")
    page.click("#go")
    page.wait_for_selector("#answer .verdict")
    level = made_analysis().verdict.level
    assert say(level) in page.inner_text("#answer .verdict") and say(level) != level
    with page.expect_download() as waiting:
        page.click("#as-html")
    assert say(level) in Path(waiting.value.path()).read_text("utf-8")
    page.close()


# ------------------------------------------------------------------ the other tabs


def test_two_checkpoints_are_compared_and_a_comparison_can_be_stopped(watched, monkeypatch):
    page = watched.page
    page.get_by_role("tab", name="Compare").click()
    page.set_input_files("#compare-file input[type=file]", str(IMAGE))
    page.wait_for_selector("#compare-file :text('portrait')")
    stopped(page, monkeypatch, compare, "examine", "compare-go")
    page.click("#compare-go")
    page.wait_for_selector("#compare-out td:has-text('Face A')")
    page.wait_for_selector("#compare-go")
    assert watched.errors == []


def test_a_report_is_checked_against_its_file_and_a_check_can_be_stopped(
    watched, monkeypatch, tmp_path
):
    stored = tmp_path / "stored.json"
    settings = session.chosen_settings("quick")
    stored.write_text(to_text(replace(made_analysis(VIDEO.name), settings=settings)), "utf-8")
    page = watched.page
    page.get_by_role("tab", name="Check").click()
    page.set_input_files("#replay-report input[type=file]", str(stored))
    page.set_input_files("#replay-file input[type=file]", str(VIDEO))
    page.wait_for_selector("#replay-report :text('stored')")
    page.wait_for_selector(f"#replay-file :text('{VIDEO.stem}')")
    stopped(page, monkeypatch, replay, "examine", "replay-go")
    page.click("#replay-go")
    page.wait_for_selector("#replay-out :text('The report holds')")
    assert watched.errors == []


def test_looking_at_a_checkpoint_and_calibrating_it_can_be_stopped(watched, monkeypatch):
    page = watched.page
    page.get_by_role("tab", name="Models").click()
    page.fill("#spec input, #spec textarea", "owner/repo")
    for button in ("check", "use"):
        stopped(page, monkeypatch, models, "checked_spec", button)
    page.click("button:has-text('Direction check and calibration')")
    stopped(page, monkeypatch, models, "read_manifest", "fit")
    assert watched.errors == []


def test_drawing_the_annotated_video_can_be_stopped(watched, monkeypatch):
    watched.analyze(VIDEO)
    stopped(watched.page, monkeypatch, results.video, "write_video", "draw")
    assert not watched.page.is_visible("#marked video")
    assert watched.errors == []


def test_a_table_of_files_is_sorted_by_level_and_by_number(watched, monkeypatch, tmp_path):
    rows = {
        "a.jpg": batch.Row("a.jpg", "○ No signs found", 3, 0.09, ""),
        "b.jpg": batch.Row("b.jpg", "▲▲ Strong signs of manipulation", 0, 0.89, ""),
        "c.jpg": batch.Row("c.jpg", "◆ Inconclusive", 2, None, ""),
        "d.jpg": batch.Row("d.jpg", "▲ Some signs", 1, 0.7, ""),
    }
    monkeypatch.setattr(batch, "examined", lambda path, *_: rows[path.name])
    for name in rows:
        (tmp_path / name).write_bytes(IMAGE.read_bytes())
    page = watched.page
    page.get_by_role("tab", name="Batch").click()
    page.set_input_files("#batch-files input[type=file]", [str(tmp_path / name) for name in rows])
    page.wait_for_selector("#batch-files :text('d')")
    page.click("#batch-go")
    page.wait_for_selector("#batch-csv", state="visible")
    assert sorted_by(page, "Level", "ascending") == ["b.jpg", "d.jpg", "c.jpg", "a.jpg"]
    assert sorted_by(page, "Probability", "descending")[:3] == ["b.jpg", "d.jpg", "a.jpg"]
    assert "89 %" in page.inner_text("#batch-table")
    assert "Strong signs" in page.inner_text("#batch-table")


def sorted_by(page, column: str, order: str) -> list[str]:
    """Names of the files when the table is sorted by one column alone."""
    menu = page.locator("[role=menuitem]:visible")
    for entry in ("Clear sort", f"Sort {order}"):
        head = page.locator(f"#batch-table th:visible:has-text('{column}')").first
        head.hover()
        head.locator("button[aria-label='Open cell menu']").click()
        menu.filter(has_text=entry).click()
    page.wait_for_timeout(300)
    return re.findall(r"\w\.jpg", page.inner_text("#batch-table"))


def test_a_row_is_ranked_as_it_reads_and_what_was_not_read_comes_last(made, monkeypatch, tmp_path):
    def row() -> batch.Row:
        return batch.examined(
            VIDEO, "quick", read_spacefile(), tmp_path, ENGLISH, lambda step: None
        )

    read = row()
    assert read.level.endswith(list(Level)[read.rank])

    def refuse(*_: Any) -> None:
        raise UserError("decode_failed", "It cannot be read.")

    monkeypatch.setattr(batch, "examine", refuse)
    unread = row()
    assert unread.cells == (VIDEO.name, batch.UNREAD, "", "It cannot be read.")
    assert unread.rank == len(Level)


LIVE = "#sources video:not([src])"  # what the camera sees


def test_what_the_camera_took_is_shown_once_and_analyzed(watched):
    page = watched.page
    page.get_by_role("tab", name="Film yourself").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function(f"document.querySelector('{LIVE}')?.currentTime > 0.2")
    page.get_by_text("Record", exact=True).click()
    page.get_by_text("Stop", exact=True).locator("visible=true").wait_for()
    page.wait_for_timeout(2000)  # of film
    page.get_by_text("Stop", exact=True).locator("visible=true").click()
    page.wait_for_selector("#go:not([disabled])")
    page.wait_for_selector("#sources video[src]:visible")
    assert not page.is_visible("#player .stage")
    page.click("#go")
    page.wait_for_selector("#answer .verdict")
    assert page.is_visible("#player .stage video")
    page.click("#again")
    page.get_by_role("tab", name="Take a picture").click()
    page.get_by_text("Click to Access Webcam").locator("visible=true").click()
    page.wait_for_selector(f"{LIVE}:visible")
    page.wait_for_selector("#player .stage video")  # the film is still what would be analyzed
    page.get_by_label("capture photo").click()
    page.wait_for_selector("#player .stage img", state="attached")
    assert not page.is_visible("#player .stage")
    assert watched.errors == []


# ------------------------------------------------------------------ on a narrow screen

APART = """() => {  // names of faces over the video: inside of it, and none on another
  const stage = document.querySelector('#player .stage').getBoundingClientRect();
  const names = [...document.querySelectorAll('#player .boxes span')]
    .map((one) => one.getBoundingClientRect());
  const inside = names.every((one) => stage.left <= one.left && one.right <= stage.right);
  const apart = names.every((one, i) => names.every((two, j) => i === j ||
    one.right <= two.left || two.right <= one.left ||
    one.bottom <= two.top || two.bottom <= one.top));
  return names.length === 2 && inside && apart; }"""


def test_long_german_words_are_neither_cut_nor_on_each_other_on_a_phone(browser, address, made):
    page = browser.new_page(viewport={"width": 390, "height": 844}, locale="de-DE")
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    page.wait_for_selector("#go")
    page.set_input_files("#upload input[type=file]", str(VIDEO))
    page.wait_for_selector("#player .stage video")
    page.click("#go")
    page.wait_for_function(APART)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not page.is_visible(".overflow-menu > button")
    notes = page.locator("#timeline .note").all()
    assert notes and all(note.evaluate("e => e.scrollHeight <= e.clientHeight") for note in notes)
    again, keep = (page.locator(one).bounding_box() for one in ("#again", "#keep"))
    assert again["y"] > keep["y"]  # another file comes after this one
    page.get_by_role("tab", name="Modelle").click()
    heads = page.locator("#catalog .header-cell:visible").all()
    assert heads and max(head.bounding_box()["height"] for head in heads) < 60  # no word broken
    page.close()


# ------------------------------------------------------------------ on paper, and for everyone


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The HTML report of two people in a video, in the language that takes most room."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render.to_html(made_analysis(), languages()["de"]), "utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_prints_on_four_pages_at_most(browser, report, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(report.as_uri())
    pages = PAGE_OF_PDF.findall(page.pdf(prefer_css_page_size=True))
    assert 1 <= len(pages) <= A4_PAGES
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_tab_and_no_report_shuts_anybody_out_on_a_phone(browser, address, made, report, scheme):
    page = browser.new_page(viewport={"width": 390, "height": 844}, bypass_csp=True,
                            color_scheme=scheme)  # fmt: skip
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{address}?__theme={scheme}")
    page.wait_for_selector("#go")
    page.set_input_files("#upload input[type=file]", str(VIDEO))
    page.wait_for_selector("#player .stage video")
    page.click("#go")
    page.wait_for_selector("#timeline .cell", state="attached")
    problems = barriers(page)
    for tab in TABS[1:]:
        page.get_by_role("tab", name=tab.title).click()
        page.wait_for_timeout(300)
        problems += barriers(page)
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert problems + barriers(page) == []
    page.close()
