"""Networks are loaded while the first visitor chooses a file, and not before."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page

from detectors.registry import roles
from errors import UserError
from ui import ahead


@pytest.fixture
def loaded(monkeypatch):
    """The names of what is loaded, in place of loading it."""
    names: list[str] = []
    monkeypatch.setattr(ahead, "load_detector", lambda name, settings: names.append(name))
    ahead.begin.cache_clear()
    yield names
    ahead.begin.cache_clear()


def test_the_first_who_opens_the_page_has_the_networks_loaded(loaded, address, browser):
    assert loaded == []
    expected = [role.name for role in roles() if not role.empty]
    for _ in range(2):
        page: Page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#go")
        soon_s = time.monotonic() + 10
        while len(loaded) < len(expected) and time.monotonic() < soon_s:
            page.wait_for_timeout(50)
        page.close()
    assert loaded == expected


def test_weights_that_are_gone_are_left_to_the_analysis(monkeypatch):
    def refuse(name, settings):
        raise UserError("weights_missing", "There are no weights.")

    monkeypatch.setattr(ahead, "load_detector", refuse)
    ahead._try()
    with pytest.raises(UserError):
        ahead.load()
