"""The tab of checkpoints: catalogue, check, calibration on one's own files, downloads.

Imports evaluation, hub, report and ui.session.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import gradio as gr

from analysis import POOL, load_detector
from detectors.registry import DETECTORS
from errors import UserError
from evaluation.calibrate import MIN_OF_EACH, calibrate, labelled_raws
from evaluation.manifest import read_manifest
from evaluation.run import score_files, set_up
from hub import catalog
from hub.calibrations import save_answer
from hub.selfcheck import MIN_OF_EACH as MIN_FOR_DIRECTION
from hub.selfcheck import check_sign
from hub.store import empty_cache, list_cache
from report import models
from ui.jobs import current_stop, is_hosted, stoppable
from ui.keeping import fresh_folder
from ui.session import (
    QUEUE,
    QUIET,
    ROLES,
    alert,
    boxed,
    chosen_settings,
)


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
            stoppable(check_spec),
            [spec, role, answer],
            facts,
            concurrency_id=QUEUE,
            api_visibility="private",
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
            stoppable(calibrate_here), [spec, role, answer, real, fake], fitted,
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


def check_spec(spec: str, role: str, answer: str) -> str:
    """Resolve a checkpoint and build its network, or say exactly why not."""
    try:
        settings = chosen_settings("quick", [role], True, {role: spec}, {role: answer})
        checkpoint = load_detector(role, settings).checkpoint
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
        stop = current_stop()
        items, lines = read_manifest(folder), folder / "measured.jsonl"

        def told(done: int, total: int, text: str) -> None:
            stop.check()
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


def empty_downloads() -> str:
    """Delete what was downloaded and let go of loaded networks."""
    freed = empty_cache()
    POOL.clear()
    said = f"<p>{freed / 1e6:.1f} MB were freed.</p>"
    return boxed(said + models.cache_table(list_cache()))
