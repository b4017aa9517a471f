"""What can be done with a result: keep it, draw it into the video, say that it is wrong.

What is shown is made in report/. Imports report and its neighbors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from errors import UserError, writing
from media.sniff import MediaKind
from report import captions, draw, export, feedback, render, video
from stop import current_stop
from ui.keeping import fresh_folder
from ui.session import QUIET, Done, stem_of
from ui.stopping import runs, stop_button
from ui.texts import label, language_of


@dataclass(frozen=True)
class Keep:
    """The components below a result.

    Attributes:
        shown: holds them all; hidden until there is a result.
        as_html, as_json: download the report.
        draw: makes the annotated video.
        marked: shows it.
        copies: holds the slider; hidden where no face was seen.
        slider: the face as it is and re-encoded.
    """

    shown: gr.Column
    as_html: gr.DownloadButton
    as_json: gr.DownloadButton
    draw: gr.Button
    marked: gr.Video
    copies: gr.Accordion
    slider: gr.ImageSlider

    def outputs(self) -> set[Any]:
        """The components that `stored` fills."""
        subset = {self.shown, self.as_html, self.as_json, self.draw, self.marked}
        return subset | {self.copies, self.slider}


def keep_column(done: gr.State) -> Keep:
    """What can be done with a result, hidden until there is one."""
    with gr.Column(visible=False, elem_id="keep") as shown:
        with gr.Row(equal_height=True):
            as_html = gr.DownloadButton(label("Report (HTML)"), size="md", elem_id="as-html")
            as_json = gr.DownloadButton(label("Report (JSON)"), size="md", elem_id="as-json")
            mark = gr.Button(label("Annotated video"), size="md", elem_id="draw")
            stop = stop_button("draw-stop")
        case = gr.Textbox(
            label=label("Case number"), info=label("Printed on the report when you type one."),
            max_lines=1, max_length=80, elem_id="case",
        )  # fmt: skip
        marked = gr.Video(visible=False, label=label("Annotated video"), interactive=False,
                          elem_id="marked")  # fmt: skip
        with gr.Accordion(label("Original and re-encoded copy"), open=False) as copies:
            gr.Markdown(label(
                "Left as it is, right half as large and compressed once more, as a messenger does. "
                "An alarm must survive that."
            ))  # fmt: skip
            slider = gr.ImageSlider(
                label=label("Original and re-encoded copy"), interactive=False, format="png",
                max_height=420, elem_id="copies",
            )  # fmt: skip
        feedback_form(done)
    case.blur(with_case, [done, case], as_html, **QUIET)
    case.submit(with_case, [done, case], as_html, **QUIET)
    drawn = runs(mark, stop, draw_video, done, marked)
    # one after the other: a hidden player that is shown with subtitles stays empty in Gradio 6.31
    drawn.success(with_captions, done, marked, **QUIET)
    return Keep(shown, as_html, as_json, mark, marked, copies, slider)


def stored(done: Done, keep: Keep, request: gr.Request | None) -> dict[Any, Any]:
    """Write the reports of a result and show what can be done with it."""
    folder, stem = fresh_folder(), stem_of(done.analysis.name)
    as_json, as_html = folder / f"{stem}.report.json", folder / f"{stem}.report.html"
    as_json.write_text(export.to_text(done.analysis), "utf-8")
    as_html.write_text(render.to_html(done.analysis, language_of(request)), "utf-8")
    pair = draw.re_encoded_pair(done.analysis)
    return {
        keep.shown: gr.Column(visible=True),
        keep.as_json: gr.DownloadButton(value=str(as_json)),
        keep.as_html: gr.DownloadButton(value=str(as_html)),
        keep.draw: gr.Button(visible=done.analysis.kind == MediaKind.VIDEO),
        keep.marked: gr.Video(value=None, visible=False),
        keep.copies: gr.Accordion(visible=pair is not None),
        keep.slider: pair,
    }


def with_case(done: Done | None, case: str, request: gr.Request) -> Any:
    """The report once more, with the case number that was typed."""
    if done is None:
        return gr.skip()
    target = fresh_folder() / f"{stem_of(done.analysis.name)}.report.html"
    target.write_text(render.to_html(done.analysis, language_of(request), case), "utf-8")
    return gr.DownloadButton(value=str(target))


def draw_video(
    done: Done | None, request: gr.Request, progress=gr.Progress()  # noqa: B008
) -> Any:  # fmt: skip
    """Write the annotated video."""
    if done is None:
        return gr.skip()
    say = language_of(request)
    target = fresh_folder() / f"{stem_of(done.analysis.name)}.annotated.mp4"
    try:

        def data(fraction: float, text: str) -> None:
            progress(fraction, desc=say(text))

        with writing("The annotated video"):
            video.write_video(done.analysis, done.path, target, data, current_stop(), say)
    except UserError as error:
        raise gr.Error(say(error.sentence), print_exception=False) from error
    return gr.Video(value=str(target), visible=True)


def with_captions(done: Done | None, request: gr.Request) -> Any:
    """The same video with what the detectors say in each window."""
    if done is None:
        return gr.skip()
    target = fresh_folder() / f"{stem_of(done.analysis.name)}.annotated.vtt"
    cues = captions.cues(done.analysis, language_of(request))
    shown = captions.cut_to(cues, video.stretches_shown(done.analysis))
    target.write_text(captions.to_vtt(shown), "utf-8")
    return gr.Video(subtitles=str(target))


def feedback_form(done: gr.State) -> gr.File:
    """Where a wrong answer is put into a text that can be sent."""
    with gr.Accordion(label("Is this answer wrong?"), open=False):
        gr.Markdown(
            label("This makes a text that you can send to whoever runs this. Nothing is sent.")
        )
        truths = [(label(truth), truth) for truth in feedback.TRUTHS]
        truth = gr.Radio(truths, value=feedback.TRUTHS[0], label=label("What is true?"))
        comment = gr.Textbox(label=label("How do you know?"), lines=2)
        make = gr.Button(label("Make the text"), size="sm")
        text = gr.File(visible=False, label=label("Text to send"), interactive=False)
    make.click(write_feedback, [done, truth, comment], text, **QUIET)
    return text


def write_feedback(done: Done | None, truth: str, comment: str) -> Any:
    """Make the text about a wrong answer; nothing is sent."""
    if done is None:
        return gr.skip()
    target = fresh_folder() / "wrong-answer.md"
    target.write_text(feedback.wrong_answer(done.analysis, truth, comment), "utf-8")
    return gr.File(value=str(Path(target)), visible=True)
