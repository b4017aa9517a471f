"""The tab where a file is examined: where it comes from, what is chosen, the run.

Layout and wiring. Imports hub, media, report and its neighbours results and session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr

from analysis import Settings
from detectors.registry import DETECTORS
from errors import UserError, writing
from hub.space import Space
from hub.store import EMBEDDED, resolve
from media.sniff import sniff
from ui.jobs import is_hosted, stoppable
from ui.keeping import KEEP_S
from ui.results import (
    WELCOME,
    Places,
    draw_video,
    result_column,
    results,
    seek_by_choice,
    seek_by_click,
    seek_by_picture,
)
from ui.session import (
    QUEUE,
    QUIET,
    ROLES,
    Done,
    alert,
    boxed,
    check_limits,
    chosen_settings,
    examine,
    specs_of,
)

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PLAYABLE = ("MP4 / QuickTime", "Matroska / WebM", "Ogg")


def analyze_tab(space: Space) -> None:
    """Layout and wiring of the main tab."""
    done = gr.State(None, time_to_live=KEEP_S)
    with gr.Row():
        with gr.Column(scale=2, min_width=320, elem_id="left"):
            path, player, _, listen = source_column()
            mode = gr.Radio(
                [("Quick: up to 12 s of it", "quick"), ("Thorough: end to end", "thorough")],
                value="quick", label="How much of a video is examined",
            )  # fmt: skip
            go = gr.Button("Analyse", variant="primary", elem_id="go")
            stop = gr.Button("Stop", variant="secondary", size="sm")
            picked, stability, specs, answers = checkpoint_choices(space)
        with gr.Column(scale=3, min_width=320):
            places = result_column(done)
    listen(places.verdict, places.shown)
    begun = go.click(begin, None, [places.verdict, places.shown], **QUIET)
    started = begun.then(
        stoppable(runner(space)),
        [path, mode, picked, stability, *specs.values(), *answers.values()],
        [done, *places.all(), *answers.values()],
        show_progress_on=places.verdict, concurrency_limit=1, concurrency_id=QUEUE,
        api_visibility="private",
    )  # fmt: skip
    stop.click(stopped, None, places.verdict, cancels=[begun, started], **QUIET)
    places.drawn.select(seek_by_click, done, player, **QUIET)
    places.pictures.select(seek_by_picture, done, player, **QUIET)
    places.jump.input(seek_by_choice, places.jump, player, **QUIET)
    places.draw.click(
        stoppable(draw_video),
        done,
        places.marked,
        concurrency_id=QUEUE,
        api_visibility="private",
    )


def source_column() -> tuple[gr.State, gr.Video, gr.Image, Callable]:
    """Where the file comes from, and its preview."""
    path = gr.State(None)
    with gr.Tabs():
        with gr.Tab("File"):
            chosen = gr.File(
                label="Video or picture", type="filepath", height=130, elem_id="upload",
                file_types=["video", "image", ".mkv", ".avi", ".mpg", ".mpeg", ".webm", ".ts"],
            )  # fmt: skip
        with gr.Tab("Webcam video"):
            filmed = gr.Video(sources=["webcam"], include_audio=True, label="Film yourself")
        with gr.Tab("Webcam picture"):
            shot = gr.Image(sources=["webcam"], type="filepath", label="Take a picture")
    player = gr.Video(visible=False, interactive=False, label="Your video", elem_id="player")
    picture = gr.Image(
        visible=False, interactive=False, label="Your picture", alt_text="The chosen picture"
    )
    show_examples(chosen)

    def listen(verdict: gr.HTML, shown: gr.Column) -> None:
        for source in (chosen, filmed, shot):
            source.change(choose, source, [path, player, picture, verdict, shown], **QUIET)

    return path, player, picture, listen


def choose(path: str | None) -> tuple[Any, ...]:
    """A file was chosen: show it, or say at once why it cannot be read."""
    hidden = gr.Video(visible=False, value=None), gr.Image(visible=False, value=None)
    if not path:
        return None, *hidden, boxed(WELCOME), gr.Column(visible=False)
    try:
        kind = sniff(Path(path))
    except UserError as error:
        return None, *hidden, alert(error), gr.Column(visible=False)
    said = WELCOME.replace("Choose a file to begin", "Ready: press “Analyse”")
    player, picture = hidden
    if kind.kind == "picture":
        picture = gr.Image(visible=True, value=path)
    elif kind.name in PLAYABLE:
        player = gr.Video(visible=True, value=path)
    return path, player, picture, boxed(said), gr.Column(visible=False)


def show_examples(chosen: gr.File) -> None:
    """The examples of the repository, each with what was really done to it."""
    listed = EXAMPLES / "labels.csv"
    if not listed.is_file():
        return
    rows = [line.split(",", 1) for line in listed.read_text("utf-8").splitlines()[1:] if line]
    gr.Examples(
        [[str(EXAMPLES / name)] for name, _ in rows],
        inputs=chosen,
        label="Examples",
        example_labels=[label.strip().strip('"') for _, label in rows],
        api_visibility="private",
    )


def checkpoint_choices(space: Space) -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    """Detectors and the checkpoint of each role."""
    specs, answers = {}, {}
    with gr.Accordion("Detectors and checkpoints", open=False, elem_id="checkpoints"):
        titles = [(d.title, d.name) for d in DETECTORS]
        picked = gr.CheckboxGroup(titles, value=list(ROLES), label="Detectors to run")
        stability = gr.Checkbox(
            True, label="Look again at a re-encoded copy before raising an alarm",
            info="Evidence that vanishes by re-encoding makes the verdict inconclusive.",
        )  # fmt: skip
        gr.Markdown(
            "A checkpoint is `owner/repo`, `owner/repo@commit`, a name of the catalogue"
            + ("." if is_hosted() else " or a folder.")
            + " Your choice holds for your session only. A checkpoint without calibration is shown "
            "and **not counted**."
        )
        for detector in DETECTORS:
            specs[detector.name] = gr.Dropdown(
                specs_of(detector.name), value=space.checkpoints.get(detector.name, EMBEDDED),
                allow_custom_value=True, filterable=True, label=f"Checkpoint: {detector.title}",
            )  # fmt: skip
            answers[detector.name] = gr.Textbox(
                label=f"{detector.title}: which outputs mean fake?", visible=False,
                placeholder="names or numbers, separated by commas",
            )  # fmt: skip
    return picked, stability, specs, answers


def begin() -> tuple[Any, Any]:
    """Clear the verdict, so that progress is shown on an empty place."""
    empty = "<section class='working' aria-label='Working'></section>"
    return boxed(empty), gr.Column(visible=False)


def stopped() -> str:
    """The visitor stopped the analysis."""
    return boxed(WELCOME.replace("Choose a file to begin", "Stopped"))


def runner(space: Space) -> Callable:
    """The function behind the button, for the limits of this Space."""

    def run(path, mode, picked, stability, *chosen, progress=gr.Progress()):  # noqa: B008
        half, unchanged = len(ROLES), [gr.skip() for _ in fields(Places)[2:]]
        question = None
        try:
            if not path:
                raise UserError("no_file", "Choose a video or a picture first.")
            pairs = (dict(zip(ROLES, c, strict=True)) for c in (chosen[:half], chosen[half:]))
            settings = chosen_settings(mode, picked, stability, *pairs)
            question = ambiguous(settings)
            if question is not None:
                where = "Answer under “Detectors and checkpoints”."
                raise UserError("labels_ambiguous", f"{question[1]} {where}")
            check_limits(path, settings, space)
            done = Done(path, examine(path, settings, progress))
            with writing("The report"):
                return [done, *results(done), *asked(None)]
        except UserError as error:
            return [None, alert(error), gr.Column(visible=False), *unchanged, *asked(question)]

    return run


def ambiguous(settings: Settings) -> tuple[str, str] | None:
    """The role and the question when a chosen checkpoint does not say what its outputs mean."""
    for role, spec in settings.checkpoints.items():
        try:
            resolve(spec, role, fake_labels=settings.fake_labels.get(role))
        except UserError as error:
            if error.code != "labels_ambiguous":
                raise
            return role, error.sentence
    return None


def asked(question: tuple[str, str] | None) -> list[Any]:
    """The answer boxes: the one that is asked for is shown."""
    if question is None:
        return [gr.skip() for _ in ROLES]
    return [
        gr.Textbox(visible=True, info=question[1]) if r == question[0] else gr.skip() for r in ROLES
    ]
