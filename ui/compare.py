"""The tab where two checkpoints of one role look at one file.

Imports report and ui.session.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from detectors.registry import names, roles
from errors import UserError
from hub.spacefile import Space
from media.mode import Mode
from report.checkpoints import panel, side_by_side
from report.language import Language
from ui.checks import checked
from ui.session import (
    Step,
    alert,
    chosen_settings,
    examine,
    specs_of,
)
from ui.source import readable
from ui.stopping import runs, stop_button
from ui.tab import Tab
from ui.texts import label, language_of, written


def compare_tab(space: Space) -> None:
    """Two checkpoints side by side."""
    gr.Markdown(
        label("Run two checkpoints of one role on the same file. Nothing here changes a verdict.")
    )
    with gr.Row():
        with gr.Column(min_width=300):
            file = gr.File(label=label("Video, image or audio"), type="filepath", height=150,
                           elem_id="compare-file")  # fmt: skip
            titles = [(label(d.title), d.name) for d in roles()]
            role = gr.Dropdown(titles, value=names()[0], label=label("Role"))
            first, second = (
                gr.Dropdown(
                    specs_of(names()[0]),
                    value=specs_of(names()[0])[0][1],
                    allow_custom_value=True,
                    label=f"{label('Checkpoint')} {n}",
                )
                for n in (1, 2)
            )
            go = gr.Button(label("Compare both"), variant="primary", elem_id="compare-go")
            stop = stop_button("compare-stop")
        with gr.Column(scale=2, min_width=300):
            out = written(what_is_compared, elem_id="compare-out")
    role.change(
        lambda r: [gr.Dropdown(choices=specs_of(r), value=specs_of(r)[0][1])] * 2,
        role, [first, second],
        api_visibility="private", show_progress="hidden",
    )  # fmt: skip

    def check(path, role, first, second, request: gr.Request) -> list[Any]:
        fine = gr.validate(True, "")
        return [checked(lambda: readable(path, space), request), fine, fine, fine]

    runs(go, stop, compare, [file, role, first, second], out, check)


def what_is_compared(language: Language) -> str:
    """What stands there before anything was compared."""
    return panel(
        language,
        text=language(
            "What both say of each person stands side by side, window by window, with a word on "
            "whether it would be counted. Other checkpoints are listed on the tab Models."
        ),
    )  # fmt: skip


def compare(
    path, role, first, second, request: gr.Request, progress=gr.Progress()  # noqa: B008
):  # fmt: skip
    """Two checkpoints of one role on one file."""
    say = language_of(request)
    try:
        result = []
        for place, spec in enumerate((first, second)):
            settings = chosen_settings(Mode.QUICK, [role], False, {role: spec})

            def data(step: Step, place: int = place) -> None:
                text = f"{say('Checkpoint')} {place + 1}: {say(step.text)}"
                progress((place + step.fraction) / 2, desc=text)

            result.append(examine(path, settings, data))
        return side_by_side(role, result, say)
    except UserError as error:
        return alert(error, say)


TAB = Tab("Compare", compare_tab)
