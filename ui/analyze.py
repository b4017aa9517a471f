"""The tab where a file is examined: where it comes from, what is chosen, the run.

Layout and wiring. Imports hub, media, report and its neighbors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from analysis import Settings, checkpoint_for
from detectors.registry import names, roles
from errors import UserError, writing
from hub.spacefile import Space
from report.language import Language
from report.render import answer, over_time
from ui import camera, source, web
from ui.jobs import is_hosted, streamed
from ui.keeping import KEEP_S, fresh_folder
from ui.line import Wait
from ui.playable import Current, copied
from ui.results import Keep, keep_column, stored
from ui.running import Board, in_line, waiting
from ui.session import (
    JOB,
    QUIET,
    Done,
    alert,
    check_limits,
    chosen_settings,
    examine,
    specs_of,
)
from ui.tab import Tab
from ui.texts import label, language_of, written

ON_A_SPACE = (
    "A checkpoint is `owner/repo`, `owner/repo@commit` or a name of the catalog. Your choice holds "
    "for your session only. A checkpoint without calibration is shown and **not counted**."
)
HERE = ON_A_SPACE.replace(" or a name of the catalog.", ", a name of the catalog or a folder.")
PICK = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-example]');
  if (button) trigger('pick', {name: button.dataset.example}); });"""
LIVE = "element.setAttribute('role', 'status'); element.setAttribute('aria-live', 'polite');"


LOOKS = 4  # at chosen files at the same time


@dataclass(frozen=True)
class Choices:
    """What a visitor chooses; components."""

    path: gr.State
    mode: gr.Radio
    detectors: gr.CheckboxGroup
    stability: gr.Checkbox
    references: gr.File
    specs: dict[str, gr.Dropdown]
    answers: dict[str, gr.Textbox]

    def inputs(self) -> set[Any]:
        """All of them, as inputs that arrive by name."""
        one = {self.path, self.mode, self.detectors, self.stability, self.references}
        return {*one, *self.specs.values(), *self.answers.values()}

    def settings(self, chosen: dict[Any, Any]) -> Settings:
        """The settings that were chosen."""
        return chosen_settings(
            chosen[self.mode], chosen[self.detectors], chosen[self.stability],
            {role: chosen[box] for role, box in self.specs.items()},
            {role: chosen[box] for role, box in self.answers.items()},
        )  # fmt: skip


@dataclass(frozen=True)
class Places:
    """Where things are shown; components."""

    setup: gr.Column
    player: gr.HTML
    timeline: gr.HTML
    answer: gr.HTML
    live: gr.HTML
    go: gr.Button
    stop: gr.Button
    again: gr.Button
    keep: Keep

    def all(self) -> set[Any]:
        """All components that a run changes."""
        subset = {self.setup, self.player, self.timeline, self.answer, self.live}
        return subset | {self.go, self.stop, self.again} | self.keep.outputs()


def analyze_tab(space: Space) -> None:
    """Layout and wiring of the main tab."""
    done = gr.State(None, time_to_live=KEEP_S)
    with gr.Row(elem_id="analyze"):
        with gr.Column(scale=5, min_width=320, elem_id="left"):
            with gr.Column(elem_id="setup") as setup:
                path, sources, named = source_column(space)
            player = gr.HTML("", elem_id="player", apply_default_css=False)
            timeline = gr.HTML("", elem_id="timeline", apply_default_css=False)
            with gr.Row(elem_id="buttons"):
                go = gr.Button(label("Analyze"), variant="primary", elem_id="go", interactive=False)
                stop = gr.Button(label("Stop"), visible=False, elem_id="stop")
                again = gr.Button(label("Another file"), visible=False, elem_id="again")
            with gr.Column(elem_id="settings") as choosing:
                choices = choice_column(space, path)
        with gr.Column(scale=7, min_width=320, elem_id="right"):
            shown = written(source.welcome, elem_id="answer", js_on_load=PICK)
            # only what changes inside of an element that stays is read out
            live = gr.HTML("", elem_id="live", apply_default_css=False, js_on_load=LIVE)
            keep = keep_column(done)
    places = Places(setup, player, timeline, shown, live, go, stop, again, keep)
    wire(space, done, choices, places, sources, choosing)
    if named is not None:
        outputs = [sources[0], named.refused]
        for event in (named.go.click, named.url.submit):
            event(fetcher(space, sources[0], named), named.url, outputs,
                  show_progress_on=named.url, concurrency_limit=2,
                  concurrency_id="fetch", api_visibility="private")  # fmt: skip


def wire(
    space: Space, done: gr.State, choices: Choices, places: Places, sources: list[Any],
    choosing: gr.Column,
) -> None:  # fmt: skip
    """What happens when."""
    picked = [choices.path, places.player, places.timeline, places.answer, places.go]
    choose = chooser(space, choices, places)
    current = gr.State(Current())
    for one in sources:
        one.change(
            choose, [one, current], picked, concurrency_limit=LOOKS, concurrency_id="look", **QUIET
        ).then(copied, current, places.player, trigger_mode="always_last", **QUIET)
    places.answer.pick(take_example, None, sources[0], **QUIET)  # type: ignore[attr-defined]
    outputs = [done, choosing, *places.all(), *choices.answers.values()]
    begun = places.go.click(beginner(choices, places, choosing), choices.path, outputs, **QUIET)
    started = begun.success(
        streamed(runner(space, done, choices, places), waiter(places)), choices.inputs(), outputs,
        show_progress="hidden", **JOB,
    )  # fmt: skip
    places.stop.click(stopper(places, choosing), None, outputs, cancels=[begun, started], **QUIET)
    places.again.click(starter(places, choosing), None, outputs, **QUIET)


@dataclass(frozen=True)
class Named:
    """Where a file is named by its address; components."""

    url: gr.Textbox
    go: gr.Button
    refused: gr.HTML


def source_column(space: Space) -> tuple[gr.State, list[Any], Named | None]:
    """Where the file comes from; addresses only where they are allowed."""
    path = gr.State(None)
    with gr.Tabs(elem_id="sources"):
        with gr.Tab(label("File")):
            chosen = gr.File(
                label=label("Video, image or audio"), type="filepath", height=150, elem_id="upload",
            )  # fmt: skip
            written(lambda say: source.limits("upload", space, say))
        with gr.Tab(label("Film yourself")):
            filmed = camera.film()
        with gr.Tab(label("Take a picture")):
            keyframe = camera.still()
        named = address_tab() if web.allowed(space) else None
    return path, [chosen, filmed, keyframe], named


def address_tab() -> Named:
    """A file by its address."""
    with gr.Tab(label("Address")):
        url = gr.Textbox(
            label=label("Address of a video, image or recording"), placeholder="https://",
            max_lines=1,
            max_length=web.MOST_CHARACTERS, elem_id="url",
            info=label("This machine asks that site for the file; public addresses only."),
        )  # fmt: skip
        go = gr.Button(label("Fetch"), size="md", elem_id="fetch")
        return Named(url, go, gr.HTML("", elem_id="address-refused", apply_default_css=False))


def fetcher(space: Space, chosen: gr.File, named: Named) -> Callable:
    """The function behind the address."""

    def fetch(url: str, request: gr.Request) -> dict[Any, Any]:
        """Put the file where an upload would be, or say below the address why not.

        A file that was chosen before stays: the player is written by its own event alone.
        """
        try:
            return {chosen: str(web.fetch(url, space, fresh_folder()).path), named.refused: ""}
        except UserError as error:
            return {named.refused: alert(error, language_of(request))}

    return fetch


def chooser(space: Space, choices: Choices, places: Places) -> Callable:
    """The function behind the drop zone."""

    def choose(path: str | None, current: Current, request: gr.Request) -> dict[Any, Any]:
        """Show the file at once, or say at once why it cannot be read."""
        say, current.path = language_of(request), None
        shown: dict[Any, Any] = {
            choices.path: None, places.player: "", places.timeline: "",
            places.answer: source.welcome(say), places.go: gr.Button(interactive=False),
        }  # fmt: skip
        if not path:
            return shown
        try:
            source.check_file(path, space)
            image = source.preview(path, say)
        except UserError as error:
            return shown | {places.player: alert(error, say)}
        current.path = path
        ready = {choices.path: path, places.player: image}
        return shown | ready | {places.go: gr.Button(interactive=True)}

    return choose


def take_example(event: gr.EventData) -> Any:
    """An example was chosen."""
    path = source.example_path(str(event.name))  # type: ignore[attr-defined]
    return path if path is not None else gr.skip()


def choice_column(space: Space, path: gr.State) -> Choices:
    """How much is examined, by which detectors and checkpoints."""
    mode = gr.Radio(
        [(label("Quick: up to 12 s of it"), "quick"), (label("Thorough: end to end"), "thorough")],
        value="quick", elem_id="mode",
        label=label("How much of a video or a recording is examined"),
    )  # fmt: skip
    with gr.Accordion(label("Compare with real recordings"), open=False, elem_id="reference"):
        references = gr.File(
            label=label("Known to be real, same person or camera"), file_count="multiple",
            type="filepath", height=150, elem_id="references",
        )  # fmt: skip
        gr.Markdown(
            label(
                "Optional, at most five. Detectors give some cameras and people higher numbers "
                "than others; recordings that you know to be real tell by how much, and that is "
                "taken off."
            )
        )
    specs, answers = {}, {}
    with gr.Accordion(label("Detectors and checkpoints"), open=False, elem_id="checkpoints"):
        titles = [(label(d.title), d.name) for d in roles()]
        picked = gr.CheckboxGroup(titles, value=list(names()), label=label("Detectors to run"))
        stability = gr.Checkbox(
            True, label=label("Look again at a re-encoded copy before raising an alarm"),
            info=label("Evidence that vanishes by re-encoding makes the verdict inconclusive."),
        )  # fmt: skip
        gr.Markdown(label(ON_A_SPACE if is_hosted() else HERE))
        for detector in roles():
            known = specs_of(detector.name)
            specs[detector.name] = gr.Dropdown(
                known, value=space.checkpoints.get(detector.name) or known[0][1],
                allow_custom_value=True, filterable=True,
                label=f"Checkpoint: {label(detector.title)}",
                elem_id=f"spec-{detector.name}",
            )  # fmt: skip
            answers[detector.name] = gr.Textbox(
                label=label("Which outputs mean fake?"), visible=False,
                placeholder=label("names or numbers, separated by commas"),
            )  # fmt: skip
    return Choices(path, mode, picked, stability, references, specs, answers)


def beginner(choices: Choices, places: Places, choosing: gr.Column) -> Callable:
    """The function that answers the button at once."""

    def begin(path: str | None, request: gr.Request) -> dict[Any, Any]:
        say = language_of(request)
        if not path:
            error = UserError("no_file", "Choose a video, an image or a recording first.")
            return {places.player: alert(error, say)}
        return {
            places.answer: waiting(say), places.live: say("Starting"), places.timeline: "",
            places.setup: gr.Column(visible=False), choosing: gr.Column(visible=False),
            places.go: gr.Button(visible=False), places.stop: gr.Button(visible=True),
            places.again: gr.Button(visible=False), places.keep.shown: gr.Column(visible=False),
        }  # fmt: skip

    return begin


def starter(places: Places, choosing: gr.Column) -> Callable:
    """The function that goes back to the beginning, with the file still chosen."""

    def start(request: gr.Request) -> dict[Any, Any]:
        return back(places, choosing) | {
            places.timeline: "", places.live: "",
            places.answer: source.welcome(language_of(request)),
        }  # fmt: skip

    return start


def stopper(places: Places, choosing: gr.Column) -> Callable:
    """The function behind Stop."""

    def stopped(request: gr.Request) -> dict[Any, Any]:
        say = language_of(request)
        return back(places, choosing) | {
            places.answer: source.welcome(say), places.live: say("Stopped"),
        }  # fmt: skip

    return stopped


def back(places: Places, choosing: gr.Column) -> dict[Any, Any]:
    """Everything as it was before the button was pressed."""
    return {
        places.setup: gr.Column(visible=True), choosing: gr.Column(visible=True),
        places.go: gr.Button(visible=True), places.stop: gr.Button(visible=False),
        places.again: gr.Button(visible=False), places.keep.shown: gr.Column(visible=False),
    }  # fmt: skip


def waiter(places: Places) -> Callable:
    """The function that shows what is known before the work begins."""

    def wait(what: Wait | UserError, language: Language) -> dict[Any, Any]:
        if isinstance(what, UserError):
            ended = {places.stop: gr.Button(visible=False), places.again: gr.Button(visible=True)}
            says = {places.answer: alert(what, language), places.live: language(what.sentence)}
            return ended | says
        return {places.answer: in_line(what, language), places.live: what.where(language)}

    return wait


def runner(space: Space, done: gr.State, choices: Choices, places: Places) -> Callable:
    """The function behind the button, for the limits of this Space."""

    def run(
        tell: Callable[[dict[Any, Any]], None], chosen: dict[Any, Any], request: gr.Request
    ) -> dict[Any, Any]:
        """Analyze what was chosen; ``tell`` shows what is known so far."""
        say, question = language_of(request), None
        ended = {places.stop: gr.Button(visible=False), places.again: gr.Button(visible=True)}
        try:
            settings = choices.settings(chosen)
            question = ambiguous(settings)
            if question is not None:
                where = "Answer under “Detectors and checkpoints”."
                raise UserError("labels_ambiguous", f"{question[1]} {where}")
            check_limits(chosen[choices.path], settings, space)
            board = Board(lambda html: tell({places.answer: html}), settings.detectors, say)
            path, known = chosen[choices.path], chosen[choices.references] or ()
            for reference in known:
                source.check_file(reference, space)
            result = Done(path, examine(path, settings, board.tell, known))
            with writing("The report"):
                files = stored(result, places.keep, request)
            return ended | shown(result, done, places, say) | files
        except UserError as error:
            failed = {places.answer: alert(error, say), places.live: say(error.sentence)}
            return ended | failed | asked(question, choices, say) | {done: None}

    return run


def shown(result: Done, done: gr.State, places: Places, language: Language) -> dict[Any, Any]:
    """The result, over the whole page."""
    level = language(result.analysis.verdict.level)
    return {
        done: result,
        places.answer: answer(result.analysis, language),
        places.timeline: over_time(result.analysis, language),
        places.live: language("Verdict: {level}", level=level),
    }


def ambiguous(settings: Settings) -> tuple[str, str] | None:
    """The role and the question when a chosen checkpoint does not say what its outputs mean."""
    for role in settings.checkpoints:
        try:
            checkpoint_for(role, settings)
        except UserError as error:
            if error.code != "labels_ambiguous":
                raise
            return role, error.sentence
    return None


def asked(question: tuple[str, str] | None, choices: Choices, say: Language) -> dict[Any, Any]:
    """The answer box of the role that is asked for is shown."""
    if question is None:
        return {}
    return {choices.answers[question[0]]: gr.Textbox(visible=True, info=say(question[1]))}


TAB = Tab("Analyze", analyze_tab)
