"""How is a result laid out, on the page and on paper?

Fills the templates; every text is escaped by them (Jinja2's autoescape). One style sheet for page,
report and evaluation. Imports analysis (types) and the other files of this room.
"""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis import Analysis
from media.sniff import MediaKind
from report.details import details, when
from report.draw import annotated, data_uri
from report.faces import overlay
from report.language import ENGLISH, Language
from report.view import view
from report.words import clock

ROOM = Path(__file__).parent
KEYFRAME_PX = 260  # height of a whole image in the report
MOST_KEYFRAMES = 4


@cache
def environment() -> Environment:
    """The templates; unknown names are mistakes, and everything is escaped."""
    made = Environment(
        loader=FileSystemLoader(ROOM / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.globals["glossary"] = glossary()
    return made


@cache
def glossary() -> dict[str, str]:
    """Term → explanation in English."""
    return tomllib.loads((ROOM / "glossary.toml").read_text("utf-8"))


@cache
def css() -> str:
    """The style sheet."""
    return (ROOM / "style.css").read_text("utf-8")


def render(template: str, language: Language = ENGLISH, **values: Any) -> str:
    """Fill one template."""
    return environment().get_template(f"{template}.html.j2").render(t=language, **values)


def answer(analysis: Analysis, language: Language = ENGLISH) -> str:
    """The result as a fragment of the page."""
    return render("answer", language, **_values(analysis, language, True))


def over_time(analysis: Analysis, language: Language = ENGLISH) -> str:
    """The timeline with the boxes for the player."""
    return render(
        "timeline", language, view=view(analysis, language),
        overlay=json.dumps(overlay(analysis, language)),
    )  # fmt: skip


def to_html(analysis: Analysis, language: Language = ENGLISH, case: str = "") -> str:
    """The whole report as one HTML document: images inside, no scripts, nothing fetched.

    Args:
        analysis: what is reported.
        language: of the reader.
        case: a number or name that the user typed; printed when not empty.
    """
    keyframes = [
        (
            data_uri(annotated(analysis, frame, language), KEYFRAME_PX),
            _frame_caption(analysis, frame.time_s, language),
        )
        for frame in _spread(analysis.keyframes, MOST_KEYFRAMES)
    ]
    return render(
        "report", language, **_values(analysis, language, False), case=case.strip(),
        sha256=analysis.sha256, when=when(analysis), keyframes=keyframes,
        version=analysis.versions.get("program", ""), css=css(),
    )  # fmt: skip


def _values(analysis: Analysis, language: Language, interactive: bool) -> dict[str, Any]:
    return {
        "view": view(analysis, language),
        "details": details(analysis, language),
        "marks": tuple(
            " ".join(map(language, sentences))
            for sentences in analysis.provenance.declared_sentences()
        ),
        "name": analysis.name,
        "interactive": interactive,
    }


def _spread(keyframes: tuple, most: int) -> list:
    step = max(1, -(-len(keyframes) // most))
    return list(keyframes[::step])[:most]


def _frame_caption(analysis: Analysis, time_s: float, language: Language) -> str:
    return clock(time_s, language) if analysis.kind == MediaKind.VIDEO else ""
