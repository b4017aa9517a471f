"""How do labels of the page get their language?

Labels of components are looked up in the browser (`label`), HTML that the server writes in the
language that the browser asked for (`language_of`). Both read the tables of report.language.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.context import Context

from report.language import ENGLISH, Language, languages, preferred


@cache
def dictionary() -> gr.I18n:
    """All tables for the browser. English needs its texts too: they are looked up like others."""
    texts = {text for one in languages().values() for text in one.table}
    tables = {code: {text: one(text) for text in texts} for code, one in languages().items()}
    return gr.I18n(**tables)


def label(text: str) -> str:
    """A text of a component, in the language of whoever reads it."""
    known = any(text in one.table for one in languages().values())
    return dictionary()(text) if known else text  # type: ignore[return-value]


def language_of(request: gr.Request | None) -> Language:
    """The language that a visitor's browser asks for."""
    return preferred(request.headers.get("accept-language") if request is not None else None)


def written(make: Callable[[Language], str], **options: Any) -> gr.HTML:
    """HTML of the server, written again in the visitor's language when the page is opened."""
    place = gr.HTML(make(ENGLISH), apply_default_css=False, **options)
    filled(place, make)
    return place


def filled(place: Component, make: Callable[[Language], Any]) -> None:
    """Fill a component again in the visitor's language when the page is opened."""

    def translate(request: gr.Request) -> Any:
        say = language_of(request)
        return gr.skip() if say is ENGLISH else make(say)

    page = Context.root_block
    if page is not None:
        page.load(translate, None, place, api_visibility="private", show_progress="hidden")
