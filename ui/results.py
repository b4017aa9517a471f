"""The places where an analysis is shown, and what moves the player.

What is shown is made in report/. Imports report and ui.session.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr

from analysis import Analysis
from errors import UserError, writing
from report import cards, export, feedback, page, timeline, video
from report.draw import annotated, heatmap_figure
from report.words import clock
from ui.jobs import current_stop
from ui.keeping import fresh_folder
from ui.session import QUIET, Done, boxed

WELCOME = (
    "<section class='empty'><h2>Choose a file to begin</h2><p>You will read which face, which "
    "seconds, which evidence, how strong it is, what speaks against it, and what could not be "
    "judged.</p></section>"
)


@dataclass(frozen=True)
class Places:
    """The components that show an analysis, in the order of `results`."""

    verdict: gr.HTML
    shown: gr.Column
    short: gr.HTML
    summed: gr.HTML
    drawn: gr.Image
    jump: gr.Dropdown
    pictures: gr.Gallery
    people: gr.HTML
    evidence: gr.HTML
    facts: gr.HTML
    as_json: gr.DownloadButton
    as_html: gr.DownloadButton
    draw: gr.Button
    marked: gr.Video
    text: gr.File

    def all(self) -> list[Any]:
        """The components as outputs."""
        return [getattr(self, f.name) for f in fields(self)]


def result_column(done: gr.State) -> Places:
    """The places where results are shown, hidden until there are any."""
    made: dict[str, Any] = {"verdict": gr.HTML(boxed(WELCOME), elem_id="verdict")}
    with gr.Column(visible=False) as made["shown"]:
        made["short"] = gr.HTML()
        with gr.Accordion("How the evidence adds up", open=True):
            made["summed"] = gr.HTML()
        with gr.Accordion("Over time", open=True):
            made["drawn"] = gr.Image(
                label="Timeline", show_label=False, type="numpy", interactive=False,
                elem_id="timeline", buttons=["fullscreen"],
            )  # fmt: skip
            made["jump"] = gr.Dropdown(
                [], label="Move the video to a moment", interactive=True, elem_id="jump",
                info="A click on the timeline or on a picture below does the same.",
            )  # fmt: skip
        with gr.Accordion("Pictures", open=True):
            made["pictures"] = gr.Gallery(
                label="Annotated pictures and heatmaps", show_label=False, columns=3,
                object_fit="contain", height="auto", interactive=False, format="jpeg",
                elem_id="pictures",
            )  # fmt: skip
        with gr.Accordion("People", open=True):
            made["people"] = gr.HTML()
        with gr.Accordion("Evidence by detector", open=True):
            made["evidence"] = gr.HTML()
        with gr.Accordion("The file, and how this was made", open=False):
            made["facts"] = gr.HTML()
        with gr.Row():
            made["as_json"] = gr.DownloadButton("Report as JSON", size="sm", elem_id="as-json")
            made["as_html"] = gr.DownloadButton("Report as HTML", size="sm", elem_id="as-html")
            made["draw"] = gr.Button("Make the annotated video", size="sm", elem_id="draw")
        made["marked"] = gr.Video(
            visible=False, label="Annotated video", interactive=False, elem_id="marked"
        )
        made["text"] = feedback_form(done)
    return Places(**made)


def results(done: Done) -> list[Any]:
    """Everything the page shows of an analysis, in the order of the output components."""
    found = done.analysis
    folder, stem = fresh_folder(), Path(found.name).stem[:60] or "report"
    as_json, as_html = folder / f"{stem}.report.json", folder / f"{stem}.report.html"
    as_json.write_text(export.to_text(found), "utf-8")
    as_html.write_text(page.to_html(found), "utf-8")
    drawn, is_video = timeline.timeline(found), found.kind == "video"
    jumps = (
        [(moment.words, moment.time_s) for moment in timeline.moments(found)] if is_video else []
    )
    return [
        boxed(cards.declared(found) + cards.verdict_card(found)),
        gr.Column(visible=True),
        boxed("<h3>In short</h3>" + cards.explanation(found)),
        boxed(cards.for_and_against(found)),
        gr.Image(value=drawn, visible=drawn is not None, alt_text=timeline.alt_text(found)),
        gr.Dropdown(choices=jumps, value=None, visible=is_video),
        gallery(found),
        boxed(cards.people_table(found)),
        boxed(cards.evidence_table(found)),
        boxed(cards.file_facts(found) + "<h3>Made with</h3>" + cards.made_with(found)),
        gr.DownloadButton(value=str(as_json)),
        gr.DownloadButton(value=str(as_html)),
        gr.Button(visible=is_video),
        gr.Video(value=None, visible=False),
        gr.File(value=None, visible=False),
    ]


def gallery(found: Analysis) -> list[tuple[Any, str]]:
    """The annotated pictures, then the heatmaps, each with a caption."""
    said = "Picture at {}" if found.kind == "video" else "The picture"
    shown = [(annotated(found, shot), said.format(clock(shot.time_s))) for shot in found.keyframes]
    figures = [heatmap_figure(found, heatmap) for heatmap in page.strongest_heatmaps(found)]
    return shown + [figure for figure in figures if figure is not None]


def seek_by_click(done: Done | None, event: gr.SelectData) -> Any:
    """A click on the timeline moves the player."""
    moment = timeline.time_at(done.analysis, event.index[0]) if done is not None else None
    return gr.skip() if moment is None else gr.Video(playback_position=moment)


def seek_by_picture(done: Done | None, event: gr.SelectData) -> Any:
    """Choosing an annotated picture moves the player to its moment."""
    shots = done.analysis.keyframes if done is not None else ()
    inside = isinstance(event.index, int) and event.index < len(shots)
    return gr.Video(playback_position=shots[event.index].time_s) if inside else gr.skip()


def seek_by_choice(time_s: float | None) -> Any:
    """The list of moments moves the player, for those who do not use a mouse."""
    return gr.skip() if time_s is None else gr.Video(playback_position=float(time_s))


def draw_video(done: Done | None, progress=gr.Progress()) -> Any:  # noqa: B008
    """Write the annotated video."""
    if done is None:
        return gr.skip()
    target = fresh_folder() / f"{Path(done.analysis.name).stem[:60]}.annotated.mp4"
    try:

        def told(fraction: float, text: str) -> None:
            progress(fraction, desc=text)

        with writing("The annotated video"):
            video.write_video(done.analysis, done.path, target, told, current_stop())
    except UserError as error:
        raise gr.Error(error.sentence, print_exception=False) from error
    return gr.Video(value=str(target), visible=True)


def feedback_form(done: gr.State) -> gr.File:
    """Where a wrong answer is put into a text that can be sent."""
    with gr.Accordion("Is this answer wrong?", open=False):
        gr.Markdown("This makes a text that you can send to whoever runs this. Nothing is sent.")
        truth = gr.Radio(feedback.TRUTHS, value=feedback.TRUTHS[0], label="What is true?")
        comment = gr.Textbox(label="How do you know?", lines=2)
        make = gr.Button("Make the text", size="sm")
        text = gr.File(visible=False, label="Text to send", interactive=False)
    make.click(write_feedback, [done, truth, comment], text, **QUIET)
    return text


def write_feedback(done: Done | None, truth: str, comment: str) -> Any:
    """Make the text about a wrong answer; nothing is sent."""
    if done is None:
        return gr.skip()
    target = fresh_folder() / "wrong-answer.md"
    target.write_text(feedback.wrong_answer(done.analysis, truth, comment), "utf-8")
    return gr.File(value=str(target), visible=True)
