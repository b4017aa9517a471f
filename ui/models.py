"""The tab of checkpoints: catalog, check, calibration on one's own files, downloads.

Imports evaluation, hub, report and ui.session.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from analysis import POOL, load_detector
from detectors.registry import names, roles
from errors import UserError
from evaluation.calibrate import MIN_OF_EACH, calibrate, labeled_raws
from evaluation.manifest import read_manifest
from evaluation.run import score_files, set_up
from hub import catalog
from hub.calibrations import save_answer
from hub.checkpoint import Checkpoint
from hub.selfcheck import MIN_OF_EACH as MIN_FOR_DIRECTION
from hub.selfcheck import check_sign
from hub.spacefile import Space
from hub.store import empty_cache, list_cache
from media.mode import Mode
from report import checkpoints as shown
from report.language import ENGLISH, Language
from report.roles import title
from stop import current_stop
from ui.checks import checked, given
from ui.jobs import is_hosted
from ui.keeping import fresh_folder
from ui.session import QUIET, alert, chosen_settings
from ui.stopping import runs, stop_button
from ui.tab import Tab, component
from ui.texts import filled, label, language_of, written


def models_tab(space: Space) -> None:
    """The catalog as a table, check, calibration and cache."""
    titles = [(label(d.title), d.name) for d in roles()]
    sources = catalog.search("")
    gr.Markdown(label("Click a row to choose it, then check it here or use it for your session."))
    table = gr.Dataframe(
        value=shown.catalog_table(sources),
        datatype="str", interactive=False, wrap=True, show_search="filter", elem_id="catalog",
        max_height=420, column_widths=[190, 180, 120, 140, 130, 150, 110, 240],
        label=label("Catalog"),
    )  # fmt: skip
    filled(table, lambda say: shown.catalog_table(sources, say))
    with gr.Row(equal_height=True):
        spec = gr.Textbox(
            label=label("owner/repo, owner/repo@commit, catalog name or folder"), scale=3,
            min_width=280, elem_id="spec",
        )  # fmt: skip
        role = gr.Dropdown(
            titles, value=names()[0], label=label("Role"), min_width=210, elem_id="role"
        )
        answer = gr.Textbox(label=label("Outputs that mean fake (only if asked)"), min_width=210)
    with gr.Row():
        check = gr.Button(label("Check"), elem_id="check")
        stop_check = stop_button("check-stop")
        use = gr.Button(label("Use in my session"), variant="primary", elem_id="use")
        stop_use = stop_button("use-stop")
    facts = gr.HTML("", apply_default_css=False, elem_id="facts")

    def pick(event: gr.SelectData, request: gr.Request) -> tuple[Any, Any, Any]:
        row, say = event.row_value or ["", "", ""], language_of(request)
        by_spec = {(source.spec, say(title(source.detector))): source for source in sources}
        source = by_spec.get((row[1], row[2]))
        if source is None:
            return gr.skip(), gr.skip(), gr.skip()
        return source.spec, source.detector, shown.source_facts(source, say)

    table.select(pick, None, [spec, role, facts], **QUIET)
    asked = [spec, role, answer]
    runs(check, stop_check, check_spec, asked, facts, named)
    boxes = {name: component(f"spec-{name}") for name in names()}
    runs(use, stop_use, user(boxes, facts), asked, [facts, *boxes.values()], named)
    calibration(asked)
    with gr.Accordion(label("Downloaded checkpoints"), open=False) as downloads:
        cached = gr.HTML(apply_default_css=False)
        downloads.expand(downloaded, None, cached, **QUIET)
        if not is_hosted():
            empty = gr.Button(label("Delete all downloads"), size="sm", variant="stop")
            empty.click(empty_downloads, None, cached, **QUIET)


def calibration(asked: list[Any]) -> None:
    """Direction check and calibration of the checkpoint that is asked for, on one's own files."""
    with gr.Accordion(label("Direction check and calibration on your own files"), open=False):
        written(how_to_calibrate)
        with gr.Row():
            real = gr.File(
                file_count="multiple", type="filepath", label=label("Real files"), height=150
            )
            fake = gr.File(
                file_count="multiple", type="filepath", label=label("Manipulated files"), height=150
            )
        fit = gr.Button(label("Check direction and calibrate"), elem_id="fit")
        stop = stop_button("fit-stop")
        fitted = gr.HTML("", min_height=40, apply_default_css=False)
    runs(fit, stop, calibrate_here, [*asked, real, fake], fitted)


def how_to_calibrate(language: Language) -> str:
    """What to give, and what it is good for."""
    text = language(
        "Give real and manipulated files of the kind you will examine. {few} of each show whether "
        "the labels are inverted; {more} of each fit the line that turns this checkpoint's raw "
        "score into log-odds, so that it may be counted.",
        few=MIN_FOR_DIRECTION, more=MIN_OF_EACH,
    )  # fmt: skip
    return shown.panel(language, text=text)


def downloaded(request: gr.Request) -> str:
    """What lies in the cache."""
    return shown.cache_table(list_cache(), language_of(request))


def named(spec: str, role: str, answer: str, request: gr.Request) -> list[Any]:
    """Say at once that no checkpoint was named."""
    fine = gr.validate(True, "")
    sentence = "Choose a row, or type the name of a checkpoint."
    return [checked(lambda: given(spec.strip(), sentence), request), fine, fine]


def user(boxes: Mapping[str, gr.Dropdown], facts: gr.HTML) -> Callable:
    """The function behind “Use in my session”."""

    def use(spec: str, role: str, answer: str, request: gr.Request) -> dict[Any, Any]:
        return use_spec(boxes, facts, spec, role, answer, language_of(request))

    return use


def use_spec(
    boxes: Mapping[str, gr.Dropdown], facts: gr.HTML, spec: str, role: str, answer: str,
    say: Language = ENGLISH,
) -> dict[Any, Any]:  # fmt: skip
    """Check a checkpoint and choose it on the tab Analyze; nothing is chosen that cannot run."""
    try:
        checkpoint = checked_spec(spec, role, answer)
    except UserError as error:
        return {facts: alert(error, say)}
    words = say(
        "Chosen for “{detector}” on the tab Analyze, for your session.", detector=say(title(role))
    )
    chosen = shown.panel(say, badges=((words, "good"),))
    return {facts: chosen + shown.checkpoint_facts(checkpoint, say), boxes[role]: spec.strip()}


def checked_spec(spec: str, role: str, answer: str) -> Checkpoint:
    """Resolve a checkpoint and build its network.

    Raises:
        UserError: why it cannot be used.
    """
    settings = chosen_settings(Mode.QUICK, [role], True, {role: spec}, {role: answer})
    checkpoint = load_detector(role, settings).checkpoint
    if settings.fake_labels and not is_hosted():
        save_answer(checkpoint.sha256, settings.fake_labels[role])
    return checkpoint


def check_spec(spec: str, role: str, answer: str, request: gr.Request) -> str:
    """Resolve a checkpoint and build its network, or say exactly why not."""
    say = language_of(request)
    try:
        return shown.checkpoint_facts(checked_spec(spec, role, answer), say)
    except UserError as error:
        return alert(error, say)


def calibrate_here(
    spec, role, answer, real, fake, request: gr.Request, progress=gr.Progress()  # noqa: B008
):  # fmt: skip
    """Check the direction of a checkpoint on labeled files; calibrate it if they are enough."""
    say = language_of(request)
    try:
        folder = fresh_folder() / "your own files"  # the calibration is named after it
        folder.mkdir()
        for name, files in (("real", real), ("fake", fake)):
            (folder / name).mkdir()
            for place, path in enumerate(files or []):
                shutil.copy(path, folder / name / f"{place:04d}{Path(path).suffix}")
        settings = chosen_settings(Mode.QUICK, [role], False, {role: spec}, {role: answer})
        items, lines = read_manifest(folder), folder / "measured.jsonl"

        stop = current_stop()

        def data(done: int, total: int, text: str) -> None:
            stop.check()
            progress(done / max(1, total), desc=text)

        records = score_files(items, set_up(settings, POOL), lines, data, pool=POOL)
        check = check_sign(*(column.tolist() for column in labeled_raws(items, records, role)))
        words = shown.direction_words(check, say)
        enough = min(check.n_real, check.n_fake) >= MIN_OF_EACH
        if check.verdict != "right" or not enough or is_hosted():
            return words + shown.not_calibrated(check, MIN_OF_EACH, is_hosted(), say)
        fit = calibrate(folder, settings, lines)
        text = say("Kept on this machine: this checkpoint is counted from now on.")
        return words + shown.panel(say, text=text) + shown.checkpoint_facts(fit.checkpoint, say)
    except UserError as error:
        return alert(error, say)


def empty_downloads(request: gr.Request) -> str:
    """Delete what was downloaded and let go of loaded networks."""
    freed = empty_cache()
    POOL.clear()
    return shown.cache_table(list_cache(), language_of(request), freed / 1e6)


TAB = Tab("Models", models_tab)
