"""The tab where a stored report is checked against its file.

Imports report and its neighbors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from errors import UserError
from hub.spacefile import Space
from report.checkpoints import panel
from report.language import ENGLISH, Language
from report.replay import compare, read_report, settings_of
from ui.checks import checked, given
from ui.jobs import is_hosted
from ui.session import alert, check_limits, examine
from ui.source import readable
from ui.stopping import runs, stop_button
from ui.tab import Tab
from ui.texts import label, language_of, written


def replay_tab(space: Space) -> None:
    """Layout and wiring."""
    gr.Markdown(label("Drop a report (JSON) and the file it is about: does the result still hold?"))
    with gr.Row():
        with gr.Column(min_width=300):
            report = gr.File(label=label("Report (JSON)"), type="filepath", height=150,
                             elem_id="replay-report")  # fmt: skip
            file = gr.File(label=label("The file it is about"), type="filepath", height=150,
                           elem_id="replay-file")  # fmt: skip
            known = gr.File(label=label("Recordings given as real, if any"),
                            file_count="multiple", type="filepath", height=150,
                            elem_id="replay-references")  # fmt: skip
            go = gr.Button(label("Check the report"), variant="primary", elem_id="replay-go")
            stop = stop_button("replay-stop")
        with gr.Column(scale=2, min_width=300):
            out = written(what_is_checked, elem_id="replay-out")

    def check(stored: str, path: str, references: list[str] | None, request: gr.Request) -> str:
        say = language_of(request)
        try:
            return replayed(stored, path, space, references or (), say)
        except UserError as error:
            return alert(error, say)

    def complete(
        stored: str | None, path: str | None, references: list[str] | None, request: gr.Request
    ) -> list[Any]:
        return [
            checked(lambda: stored_report(stored), request),
            checked(lambda: readable(path, space), request),
            gr.validate(True, ""),
        ]

    runs(go, stop, check, [report, file, known], out, complete)


def what_is_checked(language: Language) -> str:
    """What stands there before anything was checked."""
    return panel(
        language,
        text=language(
            "The file is analyzed again with the settings of the report. Every difference is "
            "named: the file itself, checkpoints and versions, the level, the numbers. A report "
            "that was edited is told by its own hash."
        ),
    )  # fmt: skip


def stored_report(stored: str | None) -> None:
    """Refuse at once no report, and a file that is none.

    Raises:
        UserError: ``no_file`` or ``bad_report``.
    """
    given(stored, "Drop both, the report and the file it is about.")
    read_report(str(stored))


def replayed(
    stored: str, path: str, space: Space, references: Sequence[str] = (),
    language: Language = ENGLISH,
) -> str:  # fmt: skip
    """Analyze the file again as the report says, and name every difference."""
    report = read_report(stored)
    settings = settings_of(report)
    if is_hosted() and any("/" not in s or s.startswith((".", "/", "~"))
                           for s in settings.checkpoints.values()):  # fmt: skip
        raise UserError("weights_refused", "Folders of this machine cannot be chosen here.")
    check_limits(path, settings, space)
    differences = compare(report, examine(path, settings, references=references))
    if not differences:
        text = language("The same file with the same settings gives the same result.")
        return panel(language, badges=((language("The report holds"), "good"),), text=text)
    return panel(
        language,
        badges=((language("The report does not hold as it is"), "caution"),),
        sentences=tuple(language(d.sentence) for d in differences),
    )


TAB = Tab("Check", replay_tab)
