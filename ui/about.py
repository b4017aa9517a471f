"""The tab that says what the program can and cannot see, how good it is, and what words mean.

Imports media, report and its neighbors.
"""

from __future__ import annotations

import re
from pathlib import Path

import gradio as gr

from detectors.registry import roles
from hub.spacefile import Space
from media.reader import isolation
from report.checkpoints import what_it_sees
from report.quality import quality
from report.render import render
from ui.tab import Tab
from ui.texts import label, written

FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
ROOT = Path(__file__).resolve().parent.parent


def about_tab(space: Space) -> None:
    """What it can and cannot see, how good it is, words, the model cards, and programs."""
    written(lambda say: render("about", say, isolation=isolation()))
    written(quality)
    written(what_it_sees)
    written(lambda say: render("glossary", say))
    written(lambda say: render("heading", say, text="Model cards (in English)"))
    for detector in roles():
        card = ROOT / "hub" / "defaults" / detector.name / "README.md"
        if card.is_file():
            with gr.Accordion(label(detector.title), open=False):
                gr.Markdown(FRONT_MATTER.sub("", card.read_text("utf-8")))
    written(lambda say: render("programs", say))


TAB = Tab("About", about_tab)
