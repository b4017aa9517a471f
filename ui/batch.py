"""The tab where several files are examined: a table that fills row by row, and one report each.

Imports hub, report and its neighbors.
"""

from __future__ import annotations

import csv
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr

from errors import UserError, writing
from hub.spacefile import Space
from report import export, render
from report.cells import text_cell
from report.language import ENGLISH, Language
from report.view import view
from report.words import percent
from ui.checks import checked, given
from ui.jobs import give_way, is_hosted, streamed
from ui.keeping import fresh_folder
from ui.line import Wait
from ui.running import in_line
from ui.session import (
    JOB,
    QUIET,
    Listener,
    Step,
    alert,
    check_limits,
    chosen_settings,
    examine,
    stem_of,
)  # fmt: skip
from ui.source import limits
from ui.tab import Tab
from ui.texts import filled, label, language_of, written
from verdict.levels import Level

MOST_FILES, MOST_HOSTED = 200, 20
HEADS = ("File", "Level", "Probability", "Reason")
UNREAD = "Not read"


@dataclass(frozen=True)
class Row:
    """One file in the table.

    Attributes:
        name: of the file.
        level: with its sign, or that it was not read.
        rank: what the column of levels is sorted by; 0 is the most alarming.
        probability: 0..1, or None where none is told.
        reason: a sentence.
    """

    name: str
    level: str
    rank: int
    probability: float | None
    reason: str

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """What is read, in the order of `HEADS`."""
        number = "" if self.probability is None else percent(self.probability)
        return self.name, self.level, number, self.reason


def batch_tab(space: Space) -> None:
    """Layout and wiring."""
    most = MOST_HOSTED if is_hosted() else MOST_FILES
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            files, mode = _choices(most, space)
            with gr.Row():
                go = gr.Button(label("Analyze all"), variant="primary", elem_id="batch-go")
                stop = gr.Button(label("Stop"), visible=False)
        with gr.Column(scale=5, min_width=320):
            note, table, ready, as_csv, as_zip = _results()
    outputs = [note, table, ready, as_csv, as_zip, go, stop]

    def check(chosen: list[str] | None, request: gr.Request) -> Any:
        return checked(lambda: count(chosen or [], most), request)

    def begin(chosen: list[str] | None, request: gr.Request) -> dict[Any, Any]:
        return {
            go: gr.Button(visible=False), stop: gr.Button(visible=True),
            table: in_table([], language_of(request)), ready: gr.Row(visible=False), note: "",
        }  # fmt: skip

    def end() -> dict[Any, Any]:
        return {go: gr.Button(visible=True), stop: gr.Button(visible=False)}

    def run(
        tell: Callable[[dict[Any, Any] | Wait], None], chosen: dict[Any, Any], request: gr.Request
    ) -> dict[Any, Any]:
        say = language_of(request)
        try:
            paths = unpacked(chosen[files] or [], most, space.max_upload_mb)
            folder, rows = fresh_folder(), []
            for index, path in enumerate(paths):
                give_way(tell)

                def show(step: Step, index: int = index, name: str = path.name) -> None:
                    tell({note: working(index + step.fraction, len(paths), name, say)})

                show(Step(0.0, ""))
                rows.append(examined(path, chosen[mode], space, folder, say, show))
                tell({table: in_table(rows, say)})
            cells = [row.cells for row in rows]
            return end() | {
                note: "", ready: gr.Row(visible=True),
                as_csv: gr.DownloadButton(value=str(as_table(cells, folder, say))),
                as_zip: gr.DownloadButton(value=str(bundled(folder))),
            }  # fmt: skip
        except UserError as error:
            return end() | {note: alert(error, say)}

    def wait(what: Wait | UserError, language: Language) -> dict[Any, Any]:
        if isinstance(what, UserError):
            return end() | {note: alert(what, language)}
        return {note: in_line(what, language)}

    begun = go.click(begin, files, outputs, validator=check, **QUIET)
    started = begun.success(
        streamed(run, wait), {files, mode}, outputs, show_progress="hidden", **JOB
    )  # fmt: skip
    stop.click(end, None, outputs, cancels=[begun, started], **QUIET)


def _results() -> tuple[gr.HTML, gr.Dataframe, gr.Row, gr.DownloadButton, gr.DownloadButton]:
    """A note, the table, and below it what can be downloaded once all rows are there."""
    note = gr.HTML("", apply_default_css=False, elem_id="batch-note")
    table = gr.Dataframe(
        value=in_table([], ENGLISH), interactive=False, wrap=True,
        datatype=["str", "number", "number", "str"], elem_id="batch-table",
        column_widths=[150, 170, 170, 360], label=label("Results"),
    )  # fmt: skip
    filled(table, lambda say: in_table([], say))
    with gr.Row(visible=False) as ready:
        as_csv = gr.DownloadButton("CSV", elem_id="batch-csv")
        as_zip = gr.DownloadButton(label("All reports (zip)"), elem_id="batch-zip")
    return note, table, ready, as_csv, as_zip


def _choices(most: int, space: Space) -> tuple[gr.File, gr.Radio]:
    """What is examined, and how much of it."""
    files = gr.File(
        label=f"{label('Several files, or a zip of them')} · max. {most}", type="filepath",
        file_count="multiple", height=180, elem_id="batch-files",
    )  # fmt: skip
    written(lambda say: limits("batch-files", space, say, "zip"))
    mode = gr.Radio(
        [(label("Quick: up to 12 s of it"), "quick"), (label("Thorough: end to end"), "thorough")],
        value="quick", label=label("How much of a video or a recording is examined"),
    )  # fmt: skip
    return files, mode


def working(done: float, count: int, name: str, language: Language) -> str:
    """Which file is examined now; ``done`` counts files, and the present one by its share."""
    return render.render(
        "working", language, eyebrow="", text=name, percent=round(100 * done / count), rows=(),
        left=language("File {n} of {total}", n=int(done) + 1, total=count),
    )  # fmt: skip


def examined(
    path: Path, mode: str, space: Space, folder: Path, language: Language, tell: Listener
) -> Row:
    """One row; a file that cannot be read is a row with its reason. The reports are written."""
    try:
        settings = chosen_settings(mode)
        check_limits(str(path), settings, space)
        analysis = examine(str(path), settings, tell)
    except UserError as error:
        if error.code in ("stopped", "took_too_long"):
            raise
        return Row(path.name, language(UNREAD), len(Level), None, language(error.sentence))
    target = _free(folder / f"{stem_of(path.name)}.report.html")
    target.write_text(render.to_html(analysis, language), "utf-8")
    target.with_suffix(".json").write_text(export.to_text(analysis), "utf-8")
    observed, opinion = view(analysis, language), analysis.verdict.opinion
    probability = opinion.probability if observed.probability else None
    level, rank = f"{observed.style.sign} {observed.level}", list(Level).index(opinion.level)
    return Row(path.name, level, rank, probability, observed.reason)


def unpacked(files: list[str], most: int, most_mb: int) -> list[Path]:
    """The files to examine; a zip is replaced by what is in it.

    Raises:
        UserError: ``no_file``, ``too_many_files``, ``bad_zip`` or ``too_large``.
    """
    paths: list[Path] = []
    for name in files:
        path = Path(name)
        paths += list(_members(path, most, most_mb)) if zipfile.is_zipfile(path) else [path]
    count(paths, most)
    return paths


def count(files: Sequence[str | Path], most: int) -> None:
    """Refuse none and too many.

    Raises:
        UserError: ``no_file`` or ``too_many_files``.
    """
    given(files, "Choose several files, or a zip of them, first.")
    if len(files) > most:
        raise UserError(
            "too_many_files", f"These are {len(files)} files; at most {most} can be examined here."
        )


def _members(archive: Path, most: int, most_mb: int) -> Iterator[Path]:
    """The files of a zip, written under their own names only, up to the limits."""
    folder = fresh_folder()
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [e for e in opened.infolist() if _is_file(e)]
            if len(entries) > most:
                raise UserError(
                    "too_many_files",
                    f"The zip holds {len(entries)} files; at most {most} can be examined here.",
                )
            for number, entry in enumerate(entries):
                if entry.file_size > most_mb * 1_000_000:
                    raise UserError(
                        "too_large", f"A file in the zip is larger than {most_mb} MB, the limit."
                    )
                target = folder / f"{number:03d}"
                target.mkdir()
                target /= PurePosixPath(entry.filename.replace("\\", "/")).name[-120:]
                with opened.open(entry) as source, target.open("wb") as written:
                    shutil.copyfileobj(source, written)
                yield target
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as error:
        raise UserError("bad_zip", f"{archive.name} is damaged or locked by a password.") from error


def _is_file(entry: zipfile.ZipInfo) -> bool:
    """No folder and none of the files that systems leave behind."""
    name = PurePosixPath(entry.filename)
    return not entry.is_dir() and not name.name.startswith(".") and "__MACOSX" not in name.parts


def in_table(rows: Sequence[Row], language: Language) -> dict[str, Any]:
    """The rows with the heads of the table, as the component takes them.

    They are sorted by numbers and read as words.
    """
    return {
        "headers": [language(head) for head in HEADS],
        "data": [[row.name, row.rank, row.probability, row.reason] for row in rows],
        "metadata": {"display_value": [list(row.cells) for row in rows]},
    }


def as_table(
    rows: list[tuple[str, str, str, str]], folder: Path, language: Language = ENGLISH
) -> Path:
    """The rows as CSV; no cell of it is run by a spreadsheet."""
    target = folder / "results.csv"
    with writing("The table"), target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([language(head) for head in HEADS])
        writer.writerows([text_cell(cell) for cell in row] for row in rows)
    return target


def bundled(folder: Path) -> Path:
    """All reports of a folder as one zip."""
    target = fresh_folder() / "reports.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return target


def _free(target: Path) -> Path:
    """A name that is not taken yet."""
    number, free = 2, target
    while free.exists():
        free = target.with_name(target.name.replace(".report", f"-{number}.report"))
        number += 1
    return free


TAB = Tab("Batch", batch_tab)
