"""How long does a visitor of the page wait?

The served program in a process of its own, and Chromium without a window. Imports the rest of the
room.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.clips import ROOT, Kind, clip
from benchmarks.parts import TITLES
from benchmarks.results import Section
from benchmarks.server import served

PORTRAIT = ROOT / "examples" / "portrait.jpg"
MINUTE = Kind(60)
PATIENCE_MS = 600_000  # for anything on the page
FLAGS = ["--no-sandbox", "--disable-gpu", "--mute-audio"]
WAITS = ("file chosen: ready", "playable", "pressed: first movement", "first finding", "verdict")


def page(rounds: int) -> Section:
    """What is waited for, from the chosen file to the verdict; medians over so many visits."""
    files = {
        "image, 512 x 512": PORTRAIT,
        f"{MINUTE.label}, H.264 in .mp4": clip(MINUTE),
        f"{MINUTE.label}, HEVC in .mov": clip(replace(MINUTE, codec="hevc")),
    }
    rows = []
    with served() as server, opened() as window:
        visit(window, server.address, clip(Kind(10)))  # networks are loaded
        for name, path in files.items():
            visits = [visit(window, server.address, path) for _ in range(rounds)]
            rows.append((name, *(median(each) for each in zip(*visits, strict=True))))
    note = (
        f"Chromium and the server on one machine, `quick`, networks loaded; medians of {rounds} "
        "visits, in seconds by the clock since the file was chosen (two columns) and since the "
        "button was pressed (three)."
    )
    return Section(TITLES["page"], ("file", *WAITS), rows, note)


def visit(window: Page, address: str, path: Path) -> Sequence[float]:
    """Choose a file, wait until it plays, press the button, wait for the verdict.

    Args:
        window: of the browser.
        address: of the page.
        path: video or image.

    Returns:
        Seconds by `WAITS`.
    """
    window.goto(address)
    window.wait_for_selector("[data-example]")
    chosen = Since()
    window.set_input_files("#upload input[type=file]", str(path))
    window.wait_for_selector("#go:enabled")
    ready_s = chosen.seconds
    window.wait_for_selector("#player video, #player img[src^='gradio_api']")
    playable_s, pressed = chosen.seconds, Since()
    window.click("#go")
    waited = [ready_s, playable_s]
    for shown in (".working", ".sofar .in", ".verdict"):
        window.wait_for_selector(f"#answer {shown}, #answer .verdict")
        waited.append(pressed.seconds)
    return waited


class Since:
    """A stopwatch that runs."""

    def __init__(self) -> None:
        self._begun_s = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds by the clock since it was made."""
        return time.perf_counter() - self._begun_s


@contextmanager
def opened() -> Iterator[Any]:
    """A window of Chromium, 1280 by 900 px.

    Raises:
        RuntimeError: when Chromium is not installed.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise RuntimeError("Chromium is not installed, so the page cannot be measured.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        window = browser.new_page(viewport={"width": 1280, "height": 900})
        window.set_default_timeout(PATIENCE_MS)
        yield window
        browser.close()
