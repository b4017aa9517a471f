"""What did each detector find? One card a detector, with one image that shows the thing.

A card asks the finding what it carries: the strongest image with its heatmap, lines along an axis,
or else bars over time. Imports analysis (types), verdict and the other files of this room.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis import Analysis
from detectors.base import Finding, WindowScore
from detectors.exhibits import FaceImage
from media.sniff import MediaKind
from report.draw import data_uri, heat_on_image
from report.language import ENGLISH, Language
from report.plots import Plot, plots
from report.roles import phrase, question, title
from report.words import NO_VOTE, clock, sentence, signed, strength
from verdict.explain import UNCOUNTED, sees_nothing
from verdict.fusion import NOTABLE, Opinion

IMAGE_PX = 300  # height of an image on a card
EVEN_LOG_ODDS = 0.25  # a heatmap whose parts differ by less shows nothing


@dataclass(frozen=True)
class Figure:
    """What a card shows: images, drawings, or bars over time.

    Attributes:
        caption: what it is.
        images: (data URI, caption) of one or two.
        plots: lines, a drawing for each axis; each has a caption of its own.
        bars: (left %, width %, height % of the half, side, words) over time.
        heat: the images include a heatmap.
    """

    caption: str
    images: tuple[tuple[str, str], ...] = ()
    plots: tuple[Plot, ...] = ()
    bars: tuple[tuple[float, float, float, str, str], ...] = ()
    heat: bool = False


@dataclass(frozen=True)
class EvidencePanel:
    """What one detector found in the person whom the verdict is about.

    Attributes:
        title, question: of the detector.
        side: ``for``, ``against`` or ``neither``.
        weight: how much it moves the sum, in words; for one that is not counted, why not.
        says: what it saw, a sentence; empty where a counted one leans to neither side.
        when: its strongest window, or empty.
        start_s: where that begins, or None.
        counted: it is part of the sum.
        figure: what shows it, or None.
        note: why there is no image, or empty.
    """

    title: str
    question: str
    side: str
    weight: str
    says: str
    when: str
    start_s: float | None
    counted: bool
    figure: Figure | None
    note: str


def evidence_cards(analysis: Analysis, language: Language = ENGLISH) -> tuple[EvidencePanel, ...]:
    """The cards of the verdict's person: counted ones by weight, then those only shown."""
    opinion = analysis.verdict.opinion
    subset = [
        f for f in analysis.findings
        if f.person in (opinion.person, None) and f.score is not None
    ]  # fmt: skip
    subset.sort(key=lambda f: _order(f, opinion))
    return tuple(_card(analysis, finding, language) for finding in subset)


def _order(finding: Finding, opinion: Opinion) -> tuple[bool, float]:
    return (
        finding.detector not in opinion.contributions,
        -abs(opinion.contributions.get(finding.detector, finding.value or 0.0)),
    )


def _card(analysis: Analysis, finding: Finding, language: Language) -> EvidencePanel:
    opinion = analysis.verdict.opinion
    contributions = opinion.contributions
    counted = finding.detector in contributions
    value = contributions.get(finding.detector, finding.value or 0.0)
    side = "neither" if abs(value) < NOTABLE else "for" if value > 0 else "against"
    says = sentence(language(phrase(finding, side == "for")))
    weight = strength(value, language) if counted else language(_why_not(finding))
    if sees_nothing(finding, opinion):
        weight = language("no trace found")
        says += " " + language("That says little about other ways to fake a file.")
    elif side == "neither":  # its weight says so already
        says = "" if counted else sentence(strength(value, language))
    top = max(finding.windows, key=lambda w: w.value, default=None)
    timed = top is not None and analysis.kind != MediaKind.IMAGE and len(finding.windows) > 1
    figure, note = _figure(analysis, finding, language)
    return EvidencePanel(
        title=language(title(finding.detector)),
        question=language(question(finding)),
        side=side,
        weight=weight,
        says=says,
        when=_when(top, analysis.duration_s, language) if timed and top else "",
        start_s=top.start_s if timed and top else None,
        counted=counted,
        figure=figure,
        note=note,
    )


def _why_not(finding: Finding) -> str:
    """Why a number is not counted; how strong it is, is not said."""
    return UNCOUNTED.get(finding.status, NO_VOTE)


def _when(window: WindowScore, end_s: float, language: Language) -> str:
    """The window that speaks most for manipulation."""
    return language(
        "Most suspicious {a} to {b}",
        a=clock(window.start_s, language), b=clock(min(window.stop_s, end_s), language),
    )  # fmt: skip


def _figure(analysis: Analysis, finding: Finding, language: Language) -> tuple[Figure | None, str]:
    """The figure of a finding, and a sentence on what is not shown."""
    note = ""
    if finding.image is not None:
        note = _why_no_heatmap(finding.image, language)
        return _image_figure(analysis, finding.image, not note, language), note
    drawings = plots(finding, language)
    if drawings:
        return Figure("", plots=drawings), note
    if len(finding.windows) > 1:
        return _bars(analysis, finding, language), note
    return None, note


def _why_no_heatmap(image: FaceImage, language: Language) -> str:
    """Why a heatmap would mislead; empty where it would not, or where there is none."""
    if image.heatmap is None:
        return ""
    if float(np.ptp(image.heatmap)) < EVEN_LOG_ODDS:
        return language("No heatmap: no part of the face stands out, the whole face counts alike.")
    if image.score <= 0:
        return language("No heatmap: no part of the face speaks for manipulation more than others.")
    if not image.confirmed:
        return language(
            "No heatmap: blurring the part it points at lowers the score no more than blurring "
            "other parts of that size."
        )
    return ""


def _image_figure(analysis: Analysis, image: FaceImage, heat: bool, language: Language) -> Figure:
    """The strongest image; beside it the same with its heatmap, or the control region."""
    moment = clock(image.time_s, language).replace(" ", "\N{NO-BREAK SPACE}")
    when = f", {moment}" if analysis.kind == MediaKind.VIDEO else ""
    images = [(image.image, language("What was looked at") + when)]
    caption = language("The moment that speaks most for manipulation.") if when else ""
    heat = heat and image.heatmap is not None
    if image.heatmap is not None and heat:
        images.append((heat_on_image(image.image, image.heatmap), language("What each part adds")))
        for number, part in image.parts.items():
            words = language("What query {number} adds", number=number)
            images.append((heat_on_image(image.image, part), words))
        caption = language("Red parts speak for manipulation, blue parts against it.")
    if image.control is not None:
        images.append((image.control, language("For comparison")))
        caption = language("What camera and codec do, they do to both; the difference counts.")
    shown = tuple((data_uri(part, IMAGE_PX), words) for part, words in images)
    return Figure(caption, shown, heat=heat)


def _bars(analysis: Analysis, finding: Finding, language: Language) -> Figure:
    most = max(1.0, *(abs(w.value) for w in finding.windows))
    bars = []
    for window in finding.windows:
        left = 100 * window.start_s / analysis.duration_s
        stop = 100 * min(window.stop_s, analysis.duration_s) / analysis.duration_s
        height, side = 50 * abs(window.value) / most, "for" if window.value > 0 else "against"
        words = f"{clock(window.start_s, language)}: {signed(window.value, language)}"
        bars.append((round(left, 2), round(stop - left, 2), round(height, 2), side, words))
    caption = language("Over time: up for manipulation, down against it.")
    return Figure(caption, bars=tuple(bars))
