"""``analyze``: is a face or voice in these files manipulated, and how do we know?

One file, several, or folders; words, JSON, a CSV row each, or a folder of reports. ``replay`` asks
whether a stored report still holds. Imports analysis and report when a command runs.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.arguments import add_command, add_settings, settings_from
from commands.console import ASSESSED, ERROR, NOT_ASSESSABLE, ProgressBar, say, show
from errors import UserError, from_bug, writing
from media.sniff import MediaKind, may_be_media

if TYPE_CHECKING:
    from analysis import Analysis, Settings


def add_analyze(commands: Any) -> None:
    """Declare ``analyze``."""
    parser = add_command(commands, "analyze", "Assess videos, images and audio.", run_analyze)
    parser.add_argument("files", nargs="+", metavar="FILE", help="file, or folder with files")
    parser.add_argument(
        "--json", action="store_true", help="print the report as JSON on stdout (several: a list)"
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE.csv", help="write one row a file there, as they are done"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write report, timeline, images and annotated video there",
    )
    add_reference(parser)
    add_settings(parser)


def add_reference(parser: argparse.ArgumentParser) -> None:
    """``--reference``."""
    parser.add_argument(
        "--reference",
        action="append",
        default=[],
        dest="references",
        metavar="FILE",
        help="recording known to be real, of the same person or camera; tells the level of the "
        "numbers; may be given up to five times",
    )


def add_replay(commands: Any) -> None:
    """Declare ``replay``."""
    parser = add_command(commands, "replay", "Does a stored report still hold?", run_replay)
    parser.add_argument("report", metavar="REPORT", help="JSON of an earlier analysis")
    parser.add_argument("file", metavar="FILE", help="the file that it is about")
    add_reference(parser)


def run_analyze(chosen: argparse.Namespace) -> int:
    """Assess files one by one; an unreadable one does not stop the others."""
    from media.reader import prepare

    prepare()  # while the networks' library is imported
    from report.export import to_json
    from report.table import TableWriter

    settings, paths = settings_from(chosen), expand(chosen.files)
    if chosen.out is not None:
        with writing("The folder of reports"):
            chosen.out.mkdir(parents=True, exist_ok=True)
    reports: list[dict[str, Any]] = []
    with TableWriter(chosen.csv) as table:
        for path in paths:
            try:
                analysis = _analyze_one(path, settings, chosen.out, chosen.references)
            except Exception as caught:  # one file must not end the run over all the others
                error = caught if isinstance(caught, UserError) else from_bug(caught)
                if error.code != "decode_failed" and len(paths) == 1 and not chosen.json:
                    raise error from caught
                say(f"{path.name}: {error.sentence} [{error.code}]")
                reason = {"code": error.code, "sentence": error.sentence}
                reports.append({"file": {"name": path.name}, "error": reason})
            else:
                reports.append(to_json(analysis))
                if not chosen.json:
                    show(in_words(analysis))
            table.write(reports[-1])
    if chosen.json:
        show(json.dumps(reports[0] if len(paths) == 1 else reports, indent=2, ensure_ascii=False))
    if len(paths) > 1:
        say(summary(reports))
    return exit_code(reports)


def expand(names: Sequence[str]) -> list[Path]:
    """Files, and the files in folders."""
    paths = []
    for path in map(Path, names):
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        paths += [p for p in inside if p == path or (p.is_file() and may_be_media(p))]
    if not paths:
        raise UserError("bad_settings", "The folder holds no files.")
    return paths


def level_of(report: dict[str, Any]) -> str:
    """The level of a report, or that there is none."""
    return "Could not be read" if "error" in report else report["verdict"]["level"]


def exit_code(reports: Sequence[dict[str, Any]]) -> int:
    """One code for all files: an error weighs more than "not assessed"."""
    levels = {level_of(report) for report in reports}
    if "Could not be read" in levels:
        return ERROR
    return NOT_ASSESSABLE if "Not assessed" in levels else ASSESSED


def summary(reports: Sequence[dict[str, Any]]) -> str:
    """How many files got which level, most frequent first."""
    counts = Counter(level_of(report) for report in reports)
    lines = [f"{count:6d}  {level}" for level, count in counts.most_common()]
    return "\n".join([f"{len(reports)} files:", *lines])


def in_words(analysis: Analysis) -> str:
    """Name, level and explanation, a sentence a line."""
    opinion = analysis.verdict.opinion
    number = "" if opinion.log_odds is None else f" (log-odds {opinion.log_odds:+.2f})"
    return "\n  ".join((f"{analysis.name}: {opinion.level}{number}", *analysis.explanation))


def _analyze_one(
    path: Path, settings: Settings, out: Path | None, references: Sequence[str]
) -> Analysis:
    from analysis import analyze

    with ProgressBar(path.name) as tell:
        analysis = analyze(path, settings, tell, references=references)
        if out is not None:
            tell(0.98, "Writing the report")
            with writing(f"The report of {path.name}"):
                _write_all(analysis, path, out)
        tell(1.0, "Done")
        return analysis


def _write_all(analysis: Analysis, path: Path, out: Path) -> None:
    """Write ``NAME.json``, ``.html``, ``.frame-1.jpg`` … and the video.

    A line of ``reports.log`` holds the hash of each report.
    """
    from report.draw import annotated, jpeg
    from report.export import to_json, to_text
    from report.render import to_html
    from report.seal import append
    from report.video import write_video

    stem = _free_stem(out, path.stem, analysis.sha256)
    (out / f"{stem}.json").write_text(to_text(analysis), "utf-8")
    say(append(out, to_json(analysis)).text())
    (out / f"{stem}.html").write_text(to_html(analysis), "utf-8")
    for number, keyframe in enumerate(analysis.keyframes, 1):
        (out / f"{stem}.frame-{number}.jpg").write_bytes(jpeg(annotated(analysis, keyframe)))
    if analysis.kind == MediaKind.VIDEO:
        write_video(analysis, path, out / f"{stem}.annotated.mp4")


def _free_stem(out: Path, stem: str, sha256: str) -> str:
    """The file's own name, or with some digits where another file of that name was written."""
    there = out / f"{stem}.json"
    if there.is_file() and sha256 not in there.read_text("utf-8"):
        return f"{stem}-{sha256[:8]}"
    return stem


def run_replay(chosen: argparse.Namespace) -> int:
    """Analyze a file as a stored report says, and compare."""
    from analysis import analyze
    from report.replay import compare, logged, read_report, settings_of
    from report.seal import LOG_NAME

    stored = read_report(chosen.report)
    with ProgressBar(Path(chosen.file).name) as tell:
        analysis = analyze(chosen.file, settings_of(stored), tell, references=chosen.references)
    log = Path(chosen.report).with_name(LOG_NAME)
    differences = [*logged(stored, log), *compare(stored, analysis)]
    show("The report holds: nothing differs." if not differences else "The report differs:")
    for difference in differences:
        show(f"- {difference.sentence}")
    return ERROR if differences else ASSESSED
