"""``models``, ``convert``, ``publish``: which checkpoints are there, and how are they shared?

Imports hub, and analysis and evaluation when a command runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.arguments import (
    CHECKPOINT,
    MANIFEST_HELP,
    SPEC_HELP,
    add_command,
    add_device,
    add_fake_labels,
    checkpoint_from,
    settings_for_one,
)
from commands.console import ASSESSED, ERROR, count_files, show
from detectors.registry import names

if TYPE_CHECKING:
    from hub.checkpoint import Checkpoint


def add_models(commands: Any) -> None:
    """Declare ``models list``, ``search``, ``check`` and ``cache``."""
    text = "List, search and check checkpoints."
    models = commands.add_parser("models", help=text, description=text)
    inner = models.add_subparsers(dest="models_command", required=True, metavar="COMMAND")
    parser = add_command(inner, "list", "All checkpoints of the catalog.", run_search)
    _add_detector_filter(parser)
    parser.set_defaults(words=[])
    parser = add_command(inner, "search", "Entries in which all words occur.", run_search)
    parser.add_argument("words", nargs="+", metavar="WORD", help="part of a name, title or license")
    _add_detector_filter(parser)
    text = "Fetch, verify and load a checkpoint; check its direction."
    parser = add_command(inner, "check", text, run_check)
    parser.add_argument("checkpoint", metavar=CHECKPOINT, help=SPEC_HELP)
    parser.add_argument(
        "--files", metavar="MANIFEST", help=f"labelled files for the sign check: {MANIFEST_HELP}"
    )
    add_fake_labels(parser)
    add_device(parser)
    parser = add_command(inner, "cache", "What was fetched from the Hub.", run_cache)
    parser.add_argument(
        "--empty", nargs="?", const="", metavar="owner/repo", help="delete it, or this one of it"
    )


def add_publish(commands: Any) -> None:
    """Declare ``publish``."""
    parser = add_command(commands, "publish", "Upload a checkpoint to the Hub.", run_publish)
    parser.add_argument("checkpoint", metavar=CHECKPOINT, help=SPEC_HELP)
    parser.add_argument("--to", required=True, metavar="owner/repo", help="the repository to write")
    parser.add_argument("--license", help="SPDX name, where the card does not say one")
    parser.add_argument("--private", action="store_true", help="a new repository is private")


def add_convert(commands: Any) -> None:
    """Declare ``convert``."""
    text = "Turn a pickled checkpoint of a known layout into a safetensors folder."
    parser = add_command(commands, "convert", text, run_convert)
    parser.add_argument("file", type=Path, metavar="FILE", help=".pt, .pth, .ckpt, .bin or .model")
    parser.add_argument(
        "--to", required=True, type=Path, metavar="FOLDER", help="a new or empty folder"
    )


def _add_detector_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detector", choices=names(), help="only those of one detector")


def run_convert(chosen: argparse.Namespace) -> int:
    """Convert in a child process, and say how the folder is used."""
    from hub.convert import convert

    done = convert(chosen.file, chosen.to)
    print(f"{done.folder}: {done.layout.title}. {done.risk}")
    print(f"Use it as {done.layout.detector}=./{done.folder.name} or by its full path.")
    return ASSESSED


def run_search(chosen: argparse.Namespace) -> int:
    """Print the entries of the catalog that fit, each as it is given to ``--checkpoint``."""
    from hub.catalog import search

    for source in search(" ".join(chosen.words), chosen.detector):
        state = "" if source.usable else "  [cannot be used]"
        show(f"{source.detector}={source.spec}  {source.title}, {source.architecture}{state}")
        facts = f"input {source.input}; outputs {source.outputs}; license {source.license}"
        for fact in (facts, *source.notes, *source.bad):
            show(f"    {fact}")
    return ASSESSED


def run_check(chosen: argparse.Namespace) -> int:
    """Resolve and load a checkpoint; with labeled files, check its direction."""
    from analysis import load_detector
    from hub.calibrations import save_answer

    choice = checkpoint_from(chosen.checkpoint)
    settings = settings_for_one(choice, chosen)
    checkpoint = load_detector(choice.detector, settings).checkpoint
    show(_described(checkpoint))
    if chosen.fake_labels is not None:
        save_answer(checkpoint.sha256, settings.fake_labels[choice.detector])
    if chosen.files is None:
        return ASSESSED
    from evaluation.commands import direction

    check = direction(chosen.files, settings, count_files)
    show(check.sentence)
    return ERROR if check.verdict == "inverted" else ASSESSED


def _described(checkpoint: Checkpoint) -> str:
    """What is known about a checkpoint that was loaded, a fact a line."""
    card = checkpoint.card
    margin = f"margin {card.margin:.0%}"
    counts = (
        "counted" if checkpoint.counts else "shown, not counted: no calibration or experimental"
    )
    facts = (
        card.labels_known_by,
        f"crop {card.crop}, {margin}, {card.size_px} px, license {card.license}",
        counts,
        *checkpoint.warnings,
    )
    return "\n  ".join((f"{checkpoint.label}: verified and loaded ({card.title})", *facts))


def run_cache(chosen: argparse.Namespace) -> int:
    """List or empty what was fetched from the Hub."""
    from hub.remote import empty_cache, list_cache

    if chosen.empty is not None:
        show(f"{empty_cache(chosen.empty or None) / 1e6:.1f} MB freed")
        return ASSESSED
    for entry in list_cache():
        show(f"{entry.repo_id}@{entry.commit}  {entry.size_bytes / 1e6:.1f} MB")
    return ASSESSED


def run_publish(chosen: argparse.Namespace) -> int:
    """Upload a checkpoint."""
    from detectors.registry import role_of
    from hub.publish import publish
    from hub.store import resolve

    choice = checkpoint_from(chosen.checkpoint)
    checkpoint = resolve(choice.spec, role_of(choice.detector))
    done = publish(checkpoint, chosen.to, private=chosen.private, license=chosen.license)
    show(f"{done.url} at commit {done.commit}")
    return ASSESSED
