"""The tab that says what the program can and cannot see, with the model cards.

Imports report and ui.session.
"""

from __future__ import annotations

import re
from pathlib import Path

import gradio as gr

from detectors.registry import DETECTORS
from report import models
from ui.session import boxed

FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
ROOT = Path(__file__).resolve().parent.parent


def about_tab() -> None:
    """What it can and cannot see, and the model cards."""
    gr.HTML(boxed(models.what_it_sees()))
    gr.Markdown((ROOT / "report" / "about.md").read_text("utf-8"))
    for detector in DETECTORS:
        card = ROOT / "hub" / "defaults" / detector.name / "README.md"
        if card.is_file():
            with gr.Accordion(f"Model card: {detector.title}", open=False):
                gr.Markdown(FRONT_MATTER.sub("", card.read_text("utf-8")))
