"""The command line: one file, a folder or a manifest in, a verdict or figures out.

``python cli.py COMMAND --help`` says what each command takes. Wiring only: the work is done in the
rooms to its left. Imports all of them, lazily, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from errors import UserError
from hub.checkpoint import DETECTORS

ASSESSED, ERROR, NOT_ASSESSABLE, STOPPED = 0, 1, 2, 130
EXIT_CODES = """exit codes:
  0  every file was assessed, or the command did its work
  1  an error: a file could not be read, a checkpoint could not be used, wrong arguments
  2  no error, but at least one file could not be assessed (no face, say)"""
NO_MEDIA = (".csv", ".json", ".md", ".txt", ".html")  # left out when a folder is analysed


class Parser(argparse.ArgumentParser):
    """Ends with exit code 1 on wrong arguments: 2 means "not assessable" here."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ERROR, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        return chosen.run(chosen)
    except UserError as error:
        say(f"{error.sentence} [{error.code}]")
        return ERROR
    except KeyboardInterrupt:
        say("\nStopped. Measurements go on with the same command.")
        return STOPPED


def say(text: str, end: str = "\n") -> None:
    """Write to stderr: stdout is for results."""
    print(text, end=end, file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------- arguments


def _parser() -> Parser:
    parser = Parser(
        prog="cli.py",
        description="Looks for manipulated faces and voices in videos and pictures.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_analyze, _add_evaluate, _add_calibrate, _add_probe, _add_models, _add_others):
        add(commands)
    return parser


def _command(commands: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    found = commands.add_parser(
        name, help=text, description=text, epilog=EXIT_CODES, formatter_class=raw
    )
    found.set_defaults(run=run)
    return found


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mode",
        choices=("quick", "thorough"),
        default="quick",
        help="quick: at most four windows of 3 s; thorough: end to end",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="DETECTOR=SPEC",
        help="owner/repo, owner/repo@revision or ./folder; may be repeated",
    )
    parser.add_argument(
        "--fake-labels",
        action="append",
        default=[],
        metavar="DETECTOR=name,name",
        help="outputs that mean fake, where a checkpoint does not say",
    )
    parser.add_argument(
        "--detector",
        action="append",
        choices=DETECTORS,
        dest="detectors",
        help="run only this one; may be repeated",
    )


def _add_analyze(commands: Any) -> None:
    one = _command(commands, "analyze", "Assess videos and pictures.", run_analyze)
    one.add_argument("files", nargs="+", metavar="FILE", help="file, or folder with files")
    one.add_argument("--json", action="store_true", help="print the report as JSON on stdout")
    one.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write report, timeline, pictures and annotated video there",
    )
    _add_settings(one)


def _add_evaluate(commands: Any) -> None:
    one = _command(commands, "evaluate", "Measure how good the verdicts are.", run_evaluate)
    one.add_argument(
        "manifest",
        metavar="MANIFEST",
        help="CSV with path,label[,group,kind,source], or folder with real/, fake/",
    )
    one.add_argument("--out", type=Path, required=True, metavar="DIR")
    one.add_argument("--tiers", action="store_true", help="measure re-encoded copies as well")
    one.add_argument("--workers", type=int, default=1, help="processes at the same time")
    _add_settings(one)


def _add_calibrate(commands: Any) -> None:
    one = _command(commands, "calibrate", "Fit a checkpoint's scores to your files.", run_calibrate)
    one.add_argument("manifest", metavar="MANIFEST")
    one.add_argument("--detector", required=True, choices=DETECTORS)
    one.add_argument("--checkpoint", metavar="SPEC", help="the embedded one when left out")
    one.add_argument("--fake-labels", metavar="name,name")
    one.add_argument("--mode", choices=("quick", "thorough"), default="quick")
    one.add_argument("--device", default="auto")
    one.add_argument("--out", type=Path, metavar="DIR", help="keep measurements, to go on later")


def _add_probe(commands: Any) -> None:
    one = _command(commands, "probe", "Fit a linear head on frozen features.", run_probe)
    one.add_argument("manifest", metavar="MANIFEST")
    one.add_argument("--checkpoint", metavar="SPEC", help="the embedded one when left out")
    one.add_argument("--out", type=Path, required=True, metavar="DIR", help="new checkpoint folder")
    one.add_argument("--fake-labels", metavar="name,name")
    one.add_argument("--device", default="auto")


def _add_models(commands: Any) -> None:
    models = commands.add_parser("models", help="List, search and check checkpoints.")
    inner = models.add_subparsers(dest="models_command", required=True, metavar="COMMAND")
    one = _command(inner, "list", "All checkpoints of the catalogue.", run_models_search)
    one.add_argument("--detector", choices=DETECTORS)
    one.set_defaults(words=[])
    one = _command(inner, "search", "Entries in which all words occur.", run_models_search)
    one.add_argument("words", nargs="+")
    one.add_argument("--detector", choices=DETECTORS)
    one = _command(inner, "check", "Fetch, verify and load one; check its direction.", run_check)
    one.add_argument("spec", metavar="SPEC", help="owner/repo, ./folder, or embedded")
    one.add_argument("--detector", choices=DETECTORS, default="spatial")
    one.add_argument("--fake-labels", metavar="name,name", help="kept for these weights")
    one.add_argument("--files", metavar="MANIFEST", help="labelled files for the sign check")
    one.add_argument("--device", default="auto")
    one = _command(inner, "cache", "What was fetched from the Hub.", run_cache)
    one.add_argument("--empty", nargs="?", const="", metavar="owner/repo", help="delete it")


def _add_others(commands: Any) -> None:
    one = _command(commands, "publish", "Upload a checkpoint to the Hub.", run_publish)
    one.add_argument("role", metavar="ROLE", choices=DETECTORS)
    one.add_argument("--to", required=True, metavar="owner/repo")
    one.add_argument("--checkpoint", metavar="SPEC", help="the embedded one when left out")
    one.add_argument("--licence")
    one.add_argument("--private", action="store_true")
    one = _command(commands, "replay", "Does a stored report still hold?", run_replay)
    one.add_argument("report", metavar="REPORT", help="JSON of an earlier analysis")
    one.add_argument("file", metavar="FILE")


def _settings(chosen: argparse.Namespace) -> Any:
    from analysis import Settings

    labels = _pairs(chosen.fake_labels, "--fake-labels")
    return Settings(
        mode=chosen.mode,
        detectors=tuple(d for d in DETECTORS if d in (chosen.detectors or DETECTORS)),
        checkpoints=_pairs(chosen.checkpoint, "--checkpoint"),
        fake_labels={name: _names(text) for name, text in labels.items()},
        device=chosen.device,
    )


def _one_detector(chosen: argparse.Namespace, detector: str, mode: str = "quick") -> Any:
    from analysis import Settings

    return Settings(
        mode=mode,
        detectors=(detector,),
        checkpoints={detector: chosen.spec} if chosen.spec else {},
        fake_labels={} if chosen.fake_labels is None else {detector: _names(chosen.fake_labels)},
        device=chosen.device,
        stability=False,
    )


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or name not in DETECTORS or not value:
            raise UserError(
                "bad_settings",
                f"{option} wants DETECTOR=…, with one of {', '.join(DETECTORS)}; got “{text}”.",
            )
        found[name] = value
    return found


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


# ------------------------------------------------------------------------------- analyze, replay


def run_analyze(chosen: argparse.Namespace) -> int:
    """Assess files one by one; an unreadable one does not stop the others."""
    from report.export import to_json

    settings, paths = _settings(chosen), _expanded(chosen.files)
    answers: list[dict[str, Any]] = []
    codes = []
    for path in paths:
        try:
            found = _analyzed(path, settings, chosen.out)
        except UserError as error:
            if error.code != "decode_failed" and len(paths) == 1 and not chosen.json:
                raise
            say(f"{path.name}: {error.sentence} [{error.code}]")
            said = {"code": error.code, "sentence": error.sentence}
            answers.append({"file": {"name": path.name}, "error": said})
            codes.append(ERROR)
            continue
        answers.append(to_json(found))
        codes.append(NOT_ASSESSABLE if found.verdict.opinion.level == "Not assessed" else ASSESSED)
        if not chosen.json:
            print(_in_words(found), flush=True)
    if chosen.json:
        print(json.dumps(answers[0] if len(paths) == 1 else answers, indent=2, ensure_ascii=False))
    return ERROR if ERROR in codes else max(codes)


def _expanded(names: Sequence[str]) -> list[Path]:
    """Files, and the files in folders."""
    paths = []
    for path in map(Path, names):
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        paths += [p for p in inside if p == path or _looks_like_media(p)]
    if not paths:
        raise UserError("bad_settings", "The folder holds no files.")
    return paths


def _looks_like_media(path: Path) -> bool:
    return path.is_file() and path.name[0] != "." and path.suffix.lower() not in NO_MEDIA


def _analyzed(path: Path, settings: Any, out: Path | None) -> Any:
    from analysis import analyze

    show = _bar(path.name)
    found = analyze(path, settings, show)
    if out is not None:
        show(0.98, "Writing the report")
        _write_all(found, path, out)
    show(1.0, "Done")
    return found


def _write_all(found: Any, path: Path, out: Path) -> None:
    """Write ``NAME.json``, ``.html``, ``.timeline.png``, ``.frame-1.jpg`` … and the video."""
    from report.draw import annotated
    from report.export import to_text
    from report.page import jpeg, to_html
    from report.timeline import png, timeline
    from report.video import write_video

    out.mkdir(parents=True, exist_ok=True)
    stem = _free_stem(out, path.stem, found.sha256)
    (out / f"{stem}.json").write_text(to_text(found), "utf-8")
    (out / f"{stem}.html").write_text(to_html(found), "utf-8")
    for number, shot in enumerate(found.shots, 1):
        (out / f"{stem}.frame-{number}.jpg").write_bytes(jpeg(annotated(found, shot)))
    picture = timeline(found)
    if picture is not None:
        (out / f"{stem}.timeline.png").write_bytes(png(picture))
    if found.kind == "video":
        write_video(found, path, out / f"{stem}.annotated.mp4")


def _free_stem(out: Path, stem: str, sha256: str) -> str:
    """The file's own name, or with some digits where another file of that name was written."""
    there = out / f"{stem}.json"
    if there.is_file() and sha256 not in there.read_text("utf-8"):
        return f"{stem}-{sha256[:8]}"
    return stem


def _in_words(found: Any) -> str:
    opinion = found.verdict.opinion
    number = "" if opinion.log_odds is None else f" (log-odds {opinion.log_odds:+.2f})"
    return "\n  ".join((f"{found.name}: {opinion.level}{number}", *found.explanation))


def run_replay(chosen: argparse.Namespace) -> int:
    """Analyse a file as a stored report says, and compare."""
    from analysis import analyze
    from report.replay import compare, read_report, settings_of

    stored = read_report(chosen.report)
    found = analyze(chosen.file, settings_of(stored), _bar(Path(chosen.file).name))
    differences = compare(stored, found)
    print("The report holds: nothing differs." if not differences else "The report differs:")
    for difference in differences:
        print(f"- {difference.sentence}")
    return ERROR if differences else ASSESSED


# ------------------------------------------------------------------------------- measuring


def run_evaluate(chosen: argparse.Namespace) -> int:
    """Measure a manifest and print the main figures."""
    from evaluation.commands import evaluated

    settings, how = _settings(chosen), (chosen.tiers, chosen.workers)
    print(evaluated(chosen.manifest, chosen.out, settings, *how, _counted))
    return ASSESSED


def run_calibrate(chosen: argparse.Namespace) -> int:
    """Fit and keep a calibration."""
    from evaluation.commands import calibrated

    chosen.spec = chosen.checkpoint
    settings = _one_detector(chosen, chosen.detector, chosen.mode)
    print(calibrated(chosen.manifest, settings, chosen.out, _counted))
    return ASSESSED


def run_probe(chosen: argparse.Namespace) -> int:
    """Fit a linear probe and save it as a checkpoint folder."""
    from evaluation.commands import probed

    labels = None if chosen.fake_labels is None else _names(chosen.fake_labels)
    spec, out = chosen.checkpoint, chosen.out
    print(probed(chosen.manifest, spec, out, labels, chosen.device, _counted))
    return ASSESSED


# ------------------------------------------------------------------------------- checkpoints


def run_models_search(chosen: argparse.Namespace) -> int:
    """Print the entries of the catalogue that fit."""
    from hub.catalog import search

    for source in search(" ".join(chosen.words), chosen.detector):
        state = "" if source.usable else "  [cannot be used]"
        print(f"{source.detector:10s} {source.spec}  {source.title}, {source.architecture}{state}")
        for fact in (*source.notes, *source.bad):
            print(f"{'':10s}   {fact}")
    return ASSESSED


def run_check(chosen: argparse.Namespace) -> int:
    """Resolve and load a checkpoint; with labelled files, check its direction."""
    from analysis import load_detector
    from hub.calibrations import save_answer

    if chosen.spec == "embedded":
        chosen.spec = None
    settings = _one_detector(chosen, chosen.detector)
    checkpoint = load_detector(chosen.detector, settings).checkpoint
    card = checkpoint.card
    print(f"{checkpoint.label}: verified and loaded ({card.title})")
    print(f"  {card.labels_known_by}")
    print(
        f"  crop {card.crop}, margin {card.margin:.0%}, {card.size_px} px, licence {card.licence}"
    )
    print(
        "  counted" if checkpoint.counts else "  shown, not counted: no calibration or experimental"
    )
    for warning in checkpoint.warnings:
        print(f"  {warning}")
    if chosen.fake_labels is not None:
        save_answer(checkpoint.sha256, _names(chosen.fake_labels))
    if chosen.files is None:
        return ASSESSED
    from evaluation.commands import direction

    check = direction(chosen.files, settings, _counted)
    print(check.sentence)
    return ERROR if check.verdict == "inverted" else ASSESSED


def run_cache(chosen: argparse.Namespace) -> int:
    """List or empty what was fetched from the Hub."""
    from hub.remote import empty_cache, list_cache

    if chosen.empty is not None:
        print(f"{empty_cache(chosen.empty or None) / 1e6:.1f} MB freed")
        return ASSESSED
    for entry in list_cache():
        print(f"{entry.repo_id}@{entry.commit}  {entry.size_bytes / 1e6:.1f} MB")
    return ASSESSED


def run_publish(chosen: argparse.Namespace) -> int:
    """Upload a checkpoint."""
    from hub.publish import publish
    from hub.store import resolve

    checkpoint = resolve(chosen.checkpoint, chosen.role)
    done = publish(checkpoint, chosen.to, private=chosen.private, licence=chosen.licence)
    print(f"{done.url} at commit {done.commit}")
    return ASSESSED


# ------------------------------------------------------------------------------- progress


def _bar(name: str) -> Any:
    """Progress of one file on stderr: one line that is rewritten in a terminal."""
    terminal = sys.stderr.isatty()

    def show(fraction: float, text: str) -> None:
        if terminal:
            say(f"\r{name}: {fraction:4.0%} {text:<50s}", end="\n" if fraction >= 1 else "")
        else:
            say(f"{name}: {fraction:.0%} {text}")

    return show


def _counted(done: int, total: int, text: str) -> None:
    say(f"[{done}/{total}] {text}")


def silence_native_logs() -> None:
    """Let only Python write to stderr: native libraries report their inner life there."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(kept, "w", buffering=1, encoding="utf-8", errors="replace")


if __name__ == "__main__":
    silence_native_logs()
    raise SystemExit(main())
