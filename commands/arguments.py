"""Which arguments do several commands share, and what do they mean?

A checkpoint is written the same way everywhere: ``DETECTOR=SPEC``, where SPEC is ``owner/repo``,
``owner/repo@revision``, ``./folder`` or ``embedded``. Imports hub, and analysis when it is needed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from commands.console import ERROR, EXIT_CODES
from detectors.registry import names
from errors import UserError
from media.mode import Mode

if TYPE_CHECKING:
    from analysis import Settings

CHECKPOINT = "DETECTOR=SPEC"
SPEC_HELP = (
    f"DETECTOR is one of {', '.join(names())}; "
    "SPEC is owner/repo, owner/repo@revision, ./folder, embedded or a name of the catalog"
)
LABELS = "DETECTOR=name,name"
LABELS_HELP = "outputs that mean manipulated, where the checkpoint does not say so"
MANIFEST_HELP = "CSV with path,label[,group,kind,source], or a folder with real/ and fake/"

Run = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """Ends with exit code 1 on wrong arguments: 2 means "not assessable" here."""

    def error(self, message: str) -> NoReturn:
        """Say how the command is used and what was wrong."""
        self.print_usage(sys.stderr)
        self.exit(ERROR, f"{self.prog}: {message}\n")


@dataclass(frozen=True)
class Choice:
    """One checkpoint for one detector, as ``DETECTOR=SPEC`` says."""

    detector: str
    spec: str


def add_command(commands: Any, name: str, text: str, run: Run) -> argparse.ArgumentParser:
    """Declare one command; ``run`` receives its arguments and returns the exit code."""
    parser = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    """``--device``."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where networks run; auto takes a GPU where there is one (default: auto)",
    )


def add_mode(parser: argparse.ArgumentParser) -> None:
    """``--mode``."""
    parser.add_argument(
        "--mode",
        choices=tuple(Mode),
        default=Mode.QUICK,
        help="quick: at most four windows of 3 s; thorough: end to end (default: quick)",
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Everything that ``Settings`` takes, for commands that run several detectors."""
    add_mode(parser)
    add_device(parser)
    parser.add_argument(
        "--detector",
        action="append",
        choices=names(),
        dest="detectors",
        help="run only this one; may be repeated",
    )
    parser.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar=CHECKPOINT,
        help=f"{SPEC_HELP}; may be repeated",
    )
    parser.add_argument(
        "--fake-labels",
        action="append",
        default=[],
        metavar=LABELS,
        help=f"{LABELS_HELP}; may be repeated",
    )


def add_fake_labels(parser: argparse.ArgumentParser) -> None:
    """``--fake-labels`` for commands with one checkpoint."""
    parser.add_argument("--fake-labels", metavar=LABELS, help=LABELS_HELP)


def settings_from(chosen: argparse.Namespace) -> Settings:
    """The settings that ``add_settings`` asked for.

    Raises:
        UserError: ``bad_settings`` where DETECTOR=… is not written so.
    """
    from analysis import Settings

    labels = [named(text, "--fake-labels") for text in chosen.fake_labels]
    choices = [checkpoint_from(text) for text in chosen.checkpoint]
    return Settings(
        mode=Mode(chosen.mode),
        detectors=tuple(d for d in names() if d in (chosen.detectors or names())),
        checkpoints={choice.detector: choice.spec for choice in choices},
        fake_labels={detector: _names(text) for detector, text in labels},
        device=chosen.device,
    )


def settings_for_one(choice: Choice, chosen: argparse.Namespace) -> Settings:
    """Settings of a command that runs one detector with one checkpoint."""
    from analysis import Settings

    labels = fake_labels_for(choice, chosen.fake_labels)
    return Settings(
        mode=Mode(getattr(chosen, "mode", Mode.QUICK)),
        detectors=(choice.detector,),
        checkpoints={choice.detector: choice.spec},
        fake_labels={} if labels is None else {choice.detector: labels},
        device=chosen.device,
        stability=False,
    )


def checkpoint_from(text: str) -> Choice:
    """Read ``DETECTOR=SPEC``."""
    return Choice(*named(text, "A checkpoint"))


def fake_labels_for(choice: Choice, text: str | None) -> tuple[str, ...] | None:
    """Read ``DETECTOR=name,name`` for one checkpoint; None where nothing was said."""
    if text is None:
        return None
    detector, names = named(text, "--fake-labels")
    if detector != choice.detector:
        raise UserError(
            "bad_settings",
            f"--fake-labels is for {detector}, the checkpoint for {choice.detector}.",
        )
    return _names(names)


def named(text: str, what: str) -> tuple[str, str]:
    """Split ``DETECTOR=value``; ``what`` names the argument in the error."""
    detector, sign, value = text.partition("=")
    if not sign or detector not in names() or not value:
        raise UserError(
            "bad_settings",
            f"{what} is written DETECTOR=…, with one of {', '.join(names())}; got “{text}”.",
        )
    return detector, value


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
