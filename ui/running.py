"""What does a visitor read while the analysis runs?

Findings appear detector by detector; the verdict comes when all are in. Imports detectors, report
and its neighbor session.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from detectors.base import Finding, Status
from detectors.registry import names
from report.language import ENGLISH, Language
from report.render import render
from report.roles import title
from report.words import strength
from ui.line import Wait
from ui.session import Step

EVERY_S = 0.25  # between two images of the progress
SURE_AFTER = 0.15  # share of the work from which on the time left can be guessed


class Board:
    """Shows the steps of an analysis, at most four times a second.

    Args:
        show: takes the HTML.
        detectors: names of those that were chosen.
        language: of the visitor.
    """

    def __init__(
        self, show: Callable[[str], None], detectors: tuple[str, ...], language: Language = ENGLISH
    ) -> None:
        self._show, self._language = show, language
        self._begun = time.monotonic()
        self._last = 0.0
        self._names = [name for name in names() if name in detectors]
        self._findings: dict[str, dict[str | None, tuple[Finding, float]]] = {}

    def tell(self, step: Step) -> None:
        """Take one step, and show it if the last image is old enough or a finding is new."""
        new = step.finding is not None and step.finding.detector not in self._findings
        if step.finding is not None:
            data = self._findings.setdefault(step.finding.detector, {})
            data[step.finding.person] = (step.finding, step.share)
        now = time.monotonic()
        if new or now - self._last >= EVERY_S:
            self._last = now
            self._show(self.html(step, now - self._begun))

    def html(self, step: Step, elapsed_s: float) -> str:
        """The progress and what every detector says so far."""
        say = self._language
        return render(
            "working", say, eyebrow="", text=say(step.text) if step.text else say("Starting"),
            percent=round(100 * step.fraction), left=_left(step.fraction, elapsed_s, say),
            rows=[self._row(name) for name in self._names],
        )  # fmt: skip

    def _row(self, name: str) -> tuple[str, str, str]:
        """(title, what it says, state) of one detector."""
        say, data = self._language, self._findings.get(name)
        if not data:
            return say(title(name)), "…", "later"
        with_number = [pair for pair in data.values() if pair[0].value is not None]
        if not with_number:
            (finding, _) = next(iter(data.values()))
            return say(title(name)), say(finding.reason.sentence if finding.reason else ""), "in"
        finding, share = max(with_number, key=lambda pair: pair[0].value or 0.0)
        words = strength(finding.value or 0.0, say)
        if finding.status != Status.COUNTED:
            words = say("not counted")
        return say(title(name)), words if share >= 1 else say("so far: {words}", words=words), "in"


def _left(fraction: float, elapsed_s: float, language: Language) -> str:
    """The time left in words, as far as it can be guessed."""
    if fraction < SURE_AFTER:
        return language("The verdict comes when all detectors are done.")
    left_s = elapsed_s * (1 - fraction) / fraction
    if left_s < 1.5:
        return language("Nearly done.")
    if left_s < 90:
        return language("About {n} seconds left.", n=round(left_s))
    return language("About {n} minutes left.", n=round(left_s / 60))


def in_line(wait: Wait, language: Language = ENGLISH) -> str:
    """While others are before the visitor."""
    return render(
        "working", language, eyebrow="Waiting", text=wait.where(language), percent=None, rows=(),
        left=wait.how_long(language),
    )  # fmt: skip


def waiting(language: Language = ENGLISH) -> str:
    """Before the first step: shown at once when the button is pressed."""
    return render(
        "working", language, eyebrow="", text=language("Starting"), percent=None, rows=(),
        left=language("The verdict comes when all detectors are done."),
    )  # fmt: skip
