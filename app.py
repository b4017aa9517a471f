"""How does a person use it in a browser, and another program over the wire?

Gradio Blocks: layout and wiring only. What is shown is made in report/, what is found in
analysis.py. Nothing happens at import; ``build()`` makes the page and ``main()`` serves it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import gradio as gr
from gradio.events import api as endpoint
from gradio.themes import Base, Default
from gradio.utils import get_upload_folder

from analysis import POOL, Analysis, Settings, analyze, load_detector
from detectors.registry import DETECTORS
from errors import UserError
from evaluation.calibrate import MIN_OF_EACH, calibrate, labelled_raws
from evaluation.manifest import read_manifest
from evaluation.run import score_files, set_up
from hub import catalog
from hub.calibrations import save_answer
from hub.selfcheck import MIN_OF_EACH as MIN_FOR_DIRECTION
from hub.selfcheck import check_sign
from hub.space import Space, read_spacefile
from hub.store import EMBEDDED, empty_cache, list_cache, looks_like_folder, resolve
from media.clip import Clip
from media.sniff import sniff
from report import cards, export, feedback, models, page, timeline, video
from report.draw import annotated, heatmap_figure
from report.words import clock

try:  # there on ZeroGPU Spaces only; wants to be imported before CUDA is used
    import spaces  # pyright: ignore[reportMissingImports]
except ImportError:
    spaces = None

KEEP_S = 3600  # uploads and results are deleted after this long
SWEEP_EVERY_S = 600
MOST_WAITING = 20  # visitors in the queue
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
QUEUE = "analysis"  # one analysis at a time: it takes all cores
GPU_BASE_S, GPU_WINDOW_S, GPU_WINDOWS_S = 20, 6, 120  # ZeroGPU seconds: to start, a window, at most
ROLES = tuple(d.name for d in DETECTORS)
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
HERE = Path(__file__).resolve().parent
EXAMPLES = HERE / "examples"
PLAYABLE = ("MP4 / QuickTime", "Matroska / WebM", "Ogg")
PRIVACY = (
    "Files stay on the machine that runs this page and are deleted within an hour. "
    "Nothing is sent anywhere else."
)
WELCOME = (
    "<section class='empty'><h2>Choose a file to begin</h2><p>You will read which face, which "
    "seconds, which evidence, how strong it is, what speaks against it, and what could not be "
    "judged.</p></section>"
)
CSS = """
.gradio-container { width: 100% !important; max-width: 1280px !important; min-width: 0 !important;
  margin: 0 auto !important; }
#head h1 { font-size: 1.6rem; margin: 0; } #head p { margin: .2rem 0; }
#left { position: sticky; top: 12px; align-self: flex-start; }
#timeline img { cursor: pointer; } #verdict { padding: 0 !important; }
#pictures .grid-wrap { max-height: none !important; height: auto !important; }
.empty { border: 1px dashed var(--border-color-primary); border-radius: 8px; padding: 1.5rem; }
.ev .empty h2 { font-size: 1.2rem; }
:focus-visible { outline: 3px solid #0072b2 !important; outline-offset: 2px; }
@media (max-width: 900px) { #left { position: static; } }
@media (max-width: 640px) { .grid-container { grid-template-columns: 1fr 1fr !important; }
  #timeline { overflow-x: auto !important; } #timeline * { overflow: visible !important; }
  #timeline :has(> img) { justify-content: flex-start !important; }
  #timeline img { width: 640px !important; max-width: none !important; margin: 0 !important; } }
"""


@dataclass(frozen=True)
class Done:
    """What one visitor's session holds after an analysis."""

    path: str
    analysis: Analysis


def is_hosted() -> bool:
    """True on a Hugging Face Space, where visitors share one machine."""
    return bool(os.environ.get("SPACE_ID"))


def gpu_seconds(path: str, settings: Settings, progress: Any = None) -> int:
    """ZeroGPU time to ask for: what the window plan needs, no more."""
    windows = 4 if settings.mode == "quick" else 16
    return min(GPU_WINDOWS_S, GPU_BASE_S + GPU_WINDOW_S * windows)


def on_gpu(function: Callable) -> Callable:
    """Run on a ZeroGPU device where there is one; unchanged elsewhere."""
    return spaces.GPU(duration=gpu_seconds)(function) if spaces is not None else function


@on_gpu
def examine(path: str, settings: Settings, progress: Any = None) -> Analysis:
    """Analyse a file and report real fractions to a Gradio progress bar."""

    def told(fraction: float, text: str) -> None:
        if progress is not None:  # an unused gr.Progress is false: its length is 0
            progress(fraction, desc=text)

    return analyze(path, settings, told)


def chosen_settings(
    mode: str,
    detectors: list[str] | None = None,
    stability: bool = True,
    specs: Mapping[str, str | None] | None = None,
    answers: Mapping[str, str | None] | None = None,
) -> Settings:
    """Settings from what was chosen; refuses folders of the server on a Space."""
    picked = {
        r: s.strip() for r, s in (specs or {}).items() if s and s.strip() not in ("", EMBEDDED)
    }
    for spec in picked.values():
        if is_hosted() and looks_like_folder(spec):
            raise UserError("weights_refused", "Folders of this machine cannot be chosen here.")
    said = {r: a for r, a in (answers or {}).items() if r in picked and a and a.strip()}
    labels = {r: _labels(text) for r, text in said.items()}
    return Settings(mode, tuple(detectors or ROLES), picked, labels, stability=stability)


def _labels(text: str) -> tuple[str, ...]:
    """ "fake, 2" → ("fake", "2"); "none" → ()."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    return () if parts in (("none",), ("None",)) else parts


def check_limits(path: str, settings: Settings, space: Space) -> None:
    """Refuse what would hold up all other visitors of a Space."""
    if not is_hosted() or settings.mode != "thorough":
        return
    with Clip(path) as clip:
        if clip.duration_s > space.max_minutes * 60:
            raise UserError(
                "too_long",
                f"The clip is longer than {space.max_minutes} minutes: choose “quick”, which looks "
                "at stretches spread over it, or run the program on your own machine.",
            )


def fresh_folder() -> Path:
    """A new folder for results; folders of earlier results are deleted when they are old."""
    root = Path(tempfile.gettempdir()) / "deepfake-detector-results"
    root.mkdir(exist_ok=True)
    for old in root.iterdir():
        if time.time() - old.stat().st_mtime > KEEP_S:
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=root))


def boxed(html: str) -> str:
    """The frame that report.css styles."""
    return f"<div class='ev'>{html}</div>"


def alert(error: UserError) -> str:
    """An error as a sentence on the page."""
    sentence = cards.sentences([error.sentence])
    return boxed(f"<div class='alert' role='alert'><h3>This did not work</h3>{sentence}</div>")


# ---------------------------------------------------------------- the Analyse tab


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


def ambiguous(settings: Settings) -> tuple[str, str] | None:
    """The role and the question when a chosen checkpoint does not say what its outputs mean."""
    for role, spec in settings.checkpoints.items():
        try:
            resolve(
                spec,
                role,
                fake_labels=settings.fake_labels.get(role),
                allow_folders=not is_hosted(),
            )
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
        boxed(cards.verdict_card(found)),
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
    shown = [(annotated(found, shot), said.format(clock(shot.time_s))) for shot in found.shots]
    figures = [heatmap_figure(found, heatmap) for heatmap in page.strongest_heatmaps(found)]
    return shown + [figure for figure in figures if figure is not None]


def seek_by_click(done: Done | None, event: gr.SelectData) -> Any:
    """A click on the timeline moves the player."""
    moment = timeline.time_at(done.analysis, event.index[0]) if done is not None else None
    return gr.skip() if moment is None else gr.Video(playback_position=moment)


def seek_by_picture(done: Done | None, event: gr.SelectData) -> Any:
    """Choosing an annotated picture moves the player to its moment."""
    shots = done.analysis.shots if done is not None else ()
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

        video.write_video(done.analysis, done.path, target, told)
    except UserError as error:
        raise gr.Error(error.sentence, print_exception=False) from error
    return gr.Video(value=str(target), visible=True)


def write_feedback(done: Done | None, truth: str, comment: str) -> Any:
    """Make the text about a wrong answer; nothing is sent."""
    if done is None:
        return gr.skip()
    target = fresh_folder() / "wrong-answer.md"
    target.write_text(feedback.wrong_answer(done.analysis, truth, comment), "utf-8")
    return gr.File(value=str(target), visible=True)


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


def analyse_tab(space: Space) -> None:
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
        runner(space),
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
        draw_video, done, places.marked, concurrency_id=QUEUE, api_visibility="private"
    )


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
            return [done, *results(done), *asked(None)]
        except UserError as error:
            return [None, alert(error), gr.Column(visible=False), *unchanged, *asked(question)]

    return run


# ---------------------------------------------------------------- the other tabs


def compare(path, role, first, second, progress=gr.Progress()):  # noqa: B008
    """Two checkpoints of one role on one file."""
    try:
        if not path:
            raise UserError("no_file", "Choose a video or a picture first.")
        found = []
        for place, spec in enumerate((first, second)):
            settings = chosen_settings("quick", [role], False, {role: spec})

            def told(fraction, desc, place=place):
                progress((place + fraction) / 2, desc=f"Checkpoint {place + 1} of 2: {desc}")

            found.append(examine(path, settings, told))
        return boxed(models.side_by_side(role, found))
    except UserError as error:
        return alert(error)


def compare_tab() -> None:
    """Two checkpoints side by side."""
    gr.Markdown("Run two checkpoints of one role on the same file. Nothing here changes a verdict.")
    with gr.Row():
        with gr.Column(min_width=300):
            file = gr.File(
                label="Video or picture", type="filepath", file_types=["video", "image"], height=130
            )
            role = gr.Dropdown([(d.title, d.name) for d in DETECTORS], value=ROLES[0], label="Role")
            first, second = (
                gr.Dropdown(
                    specs_of(ROLES[0]),
                    value=EMBEDDED,
                    allow_custom_value=True,
                    label=f"Checkpoint {n}",
                )
                for n in (1, 2)
            )
            go = gr.Button("Compare", variant="primary")
        with gr.Column(scale=2, min_width=300):
            out = gr.HTML(min_height=120)
    role.change(
        lambda r: [gr.Dropdown(choices=specs_of(r), value=EMBEDDED)] * 2, role, [first, second],
        api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    go.click(
        compare, [file, role, first, second], out,
        concurrency_id=QUEUE, api_visibility="private",
    )  # fmt: skip


def specs_of(role: str) -> list[tuple[str, str]]:
    """Choices of the catalogue for a role."""
    known = [source for source in catalog.search("", role) if source.usable]
    return [(source.repo_id or "Comes with the program", source.spec) for source in known]


def check_spec(spec: str, role: str, answer: str) -> str:
    """Resolve a checkpoint and build its network, or say exactly why not."""
    try:
        settings = chosen_settings("quick", [role], True, {role: spec}, {role: answer})
        checkpoint = resolve(
            settings.checkpoints.get(role), role,
            fake_labels=settings.fake_labels.get(role), allow_folders=not is_hosted(),
        )  # fmt: skip
        load_detector(role, settings)
        if settings.fake_labels and not is_hosted():
            save_answer(checkpoint.sha256, settings.fake_labels[role])
        return boxed(models.checkpoint_facts(checkpoint))
    except UserError as error:
        return alert(error)


def calibrate_here(spec, role, answer, real, fake, progress=gr.Progress()):  # noqa: B008
    """Check the direction of a checkpoint on labelled files; calibrate it if they are enough."""
    try:
        folder = fresh_folder() / "your own files"  # the calibration is named after it
        folder.mkdir()
        for name, files in (("real", real), ("fake", fake)):
            (folder / name).mkdir()
            for place, path in enumerate(files or []):
                shutil.copy(path, folder / name / f"{place:04d}{Path(path).suffix}")
        settings = chosen_settings("quick", [role], False, {role: spec}, {role: answer})
        items, lines = read_manifest(folder), folder / "measured.jsonl"

        def told(done: int, total: int, text: str) -> None:
            progress(done / max(1, total), desc=text)

        records = score_files(items, set_up(settings, POOL), lines, told, pool=POOL)
        check = check_sign(*(column.tolist() for column in labelled_raws(items, records, role)))
        said = models.direction_words(check)
        enough = min(check.n_real, check.n_fake) >= MIN_OF_EACH
        if check.verdict != "right" or not enough or is_hosted():
            return boxed(said + models.not_calibrated(check, MIN_OF_EACH, is_hosted()))
        fit = calibrate(folder, settings, lines)
        kept = "<p>Kept on this machine: this checkpoint is counted from now on.</p>"
        return boxed(said + kept + models.checkpoint_facts(fit.checkpoint))
    except UserError as error:
        return alert(error)


def models_tab() -> None:
    """Catalogue, check, calibration and cache."""
    roles = [(d.title, d.name) for d in DETECTORS]
    with gr.Accordion("Check a checkpoint", open=True):
        with gr.Row():
            spec = gr.Textbox(
                label="owner/repo, owner/repo@commit, catalogue name or folder", scale=3
            )
            role = gr.Dropdown(roles, value=ROLES[0], label="Role")
            answer = gr.Textbox(label="Outputs that mean fake (only if asked)")
        check = gr.Button("Check")
        facts = gr.HTML(min_height=60)
        check.click(
            check_spec, [spec, role, answer], facts, concurrency_id=QUEUE, api_visibility="private"
        )
    with gr.Accordion("Direction check and calibration on your own files", open=False):
        gr.Markdown(
            f"Give real and manipulated files of the kind you will examine. {MIN_FOR_DIRECTION} of "
            f"each show whether the labels are inverted; {MIN_OF_EACH} of each fit the line that "
            "turns this checkpoint's raw score into log-odds, so that it may be counted."
        )
        with gr.Row():
            real = gr.File(file_count="multiple", type="filepath", label="Real files", height=130)
            fake = gr.File(
                file_count="multiple", type="filepath", label="Manipulated files", height=130
            )
        fit = gr.Button("Check direction and calibrate")
        fitted = gr.HTML(min_height=60)
        fit.click(
            calibrate_here, [spec, role, answer, real, fake], fitted,
            concurrency_id=QUEUE, api_visibility="private",
        )  # fmt: skip
    with gr.Accordion("Catalogue", open=True):
        with gr.Row():
            words = gr.Textbox(
                label="Search the catalogue", placeholder="e.g. videomae, siglip, 384", scale=3
            )
            only = gr.Dropdown([("All roles", ""), *roles], value="", label="Role")
        listed = gr.HTML(boxed(models.catalogue_table(catalog.search(""))))
        for source in (words, only):
            source.change(
                lambda w, r: boxed(models.catalogue_table(catalog.search(w or "", r or None))),
                [words, only], listed, **QUIET,
            )  # fmt: skip
    with gr.Accordion("Downloaded checkpoints", open=False) as downloads:
        cached = gr.HTML(boxed(models.cache_table(())))
        downloads.expand(lambda: boxed(models.cache_table(list_cache())), None, cached, **QUIET)
        if not is_hosted():
            empty = gr.Button("Delete all downloads", size="sm", variant="stop")
            empty.click(empty_downloads, None, cached, **QUIET)


def empty_downloads() -> str:
    """Delete what was downloaded and let go of loaded networks."""
    freed = empty_cache()
    POOL.clear()
    said = f"<p>{freed / 1e6:.1f} MB were freed.</p>"
    return boxed(said + models.cache_table(list_cache()))


def about_tab() -> None:
    """What it can and cannot see, and the model cards."""
    gr.HTML(boxed(models.what_it_sees()))
    gr.Markdown((HERE / "report" / "about.md").read_text("utf-8"))
    for detector in DETECTORS:
        card = HERE / "hub" / "defaults" / detector.name / "README.md"
        if card.is_file():
            with gr.Accordion(f"Model card: {detector.title}", open=False):
                gr.Markdown(FRONT_MATTER.sub("", card.read_text("utf-8")))


# ---------------------------------------------------------------- for programs


def analyze_file(
    file: gr.FileData,
    mode: Literal["quick", "thorough"] = "quick",
    checkpoints: dict[str, str] | None = None,
    fake_labels: dict[str, list[str]] | None = None,
) -> dict[str, Any]:
    """Look for signs that a face in a video or picture was manipulated, and say why.

    Returns one JSON object (report/schema.json): the file with its SHA-256, a verdict (level,
    calibrated probability, log-odds with the contribution of each detector), people, findings with
    a number or a reason for each detector, and an explanation in plain sentences. A level is
    evidence for a person who checks, never proof; "No signs found" does not mean "genuine".

    Args:
        file: the video or picture (MP4, MOV, MKV, WebM, AVI, MPEG, GIF, JPEG, PNG, WebP).
        mode: quick looks at up to four windows of 3 s; thorough looks at everything.
        checkpoints: detector (spatial, temporal, frequency, sync, landmarks) to a Hub id
            owner/repo or owner/repo@commit; embedded ones where absent.
        fake_labels: detector to the names of the outputs that mean fake, for checkpoints that do
            not say so themselves.
    """
    try:
        path = uploaded(file)
        said = {role: ",".join(labels) or "none" for role, labels in (fake_labels or {}).items()}
        space = read_spacefile()
        chosen = {**space.checkpoints, **(checkpoints or {})}
        settings = chosen_settings(mode, None, True, chosen, said)
        check_limits(path, settings, space)
        return export.to_json(examine(path, settings))
    except UserError as error:
        raise gr.Error(f"{error.code}: {error.sentence}", print_exception=False) from error


def uploaded(file: Any) -> str:
    """The path of an uploaded file; nothing else on this machine can be named."""
    path = Path(str((file or {}).get("path", ""))).resolve()
    if not path.is_relative_to(Path(get_upload_folder()).resolve()) or not path.is_file():
        raise UserError("no_file", "Upload a file first; paths of this machine are not read.")
    return str(path)


# ---------------------------------------------------------------- the page


def build() -> gr.Blocks:
    """The whole page."""
    space = read_spacefile()
    with gr.Blocks(
        title="Deepfake detector", analytics_enabled=False, delete_cache=(SWEEP_EVERY_S, KEEP_S)
    ) as blocks:
        gr.HTML(
            "<h1>Deepfake detector</h1><p>Does a face in this video or picture look manipulated? "
            f"Evidence with reasons, never a bare score.</p><p><small>{PRIVACY}</small></p>",
            elem_id="head",
        )
        with gr.Tabs():
            with gr.Tab("Analyse"):
                analyse_tab(space)
            with gr.Tab("Compare checkpoints"):
                compare_tab()
            with gr.Tab("Models"):
                models_tab()
            with gr.Tab("About"):
                about_tab()
        endpoint(analyze_file, api_name="analyze", concurrency_limit=1, concurrency_id=QUEUE)
    return blocks


def theme() -> Base:
    """Calm colours and fonts of the visitor's own machine: nothing is fetched."""
    return Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=("system-ui", "Segoe UI", "Liberation Sans", "sans-serif"),
        font_mono=("ui-monospace", "DejaVu Sans Mono", "monospace"),
    ).set(  # contrast of at least 4.5 to 1
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        color_accent="*primary_700",
        body_text_color_subdued="*neutral_600",
        block_info_text_color="*neutral_600",
        input_placeholder_color="*neutral_500",
    )


def serve(blocks: gr.Blocks, port: int | None = None, wait: bool = True) -> str:
    """Launch the page and return its address."""
    space = read_spacefile()
    _, address, _ = blocks.queue(max_size=MOST_WAITING).launch(
        server_name="0.0.0.0" if is_hosted() else "127.0.0.1",
        server_port=port,
        mcp_server=True,
        theme=theme(),
        css=cards.CSS.read_text("utf-8") + CSS,
        max_file_size=f"{space.max_upload_mb}mb",
        footer_links=["api"],
        ssr_mode=False,
        prevent_thread_lock=not wait,
    )
    return address


def main() -> None:
    """Serve the page until it is stopped."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    if spaces is not None:  # ZeroGPU wants networks on the device before the first visitor
        for role in ROLES:
            load_detector(role, Settings())
    serve(build())


if __name__ == "__main__":
    main()
