"""The command line: one file, a folder or a manifest in, a verdict or figures out.

``python cli.py COMMAND --help`` says what each command takes; an installed copy is called
``deepfake-detector COMMAND``. Wiring only: each command has its file in commands/.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from commands.analyze import add_analyze, add_replay
from commands.arguments import Parser
from commands.batch import add_batch
from commands.console import ERROR, EXIT_CODES, STOPPED, say
from commands.measure import add_calibrate, add_evaluate, add_probe
from commands.models import add_convert, add_models, add_publish
from errors import UserError, need_temporary_files, reason
from media.native_logs import silence_native_logs
from threads import set_threads
from version import __version__

COMMANDS = (
    add_analyze, add_batch, add_evaluate, add_calibrate, add_probe, add_models, add_convert,
    add_publish, add_replay,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    chosen = make_parser().parse_args(arguments)
    try:
        need_temporary_files()
        return chosen.run(chosen)
    except UserError as error:
        say(f"{error.sentence} [{error.code}]")
        return ERROR
    except BrokenPipeError:  # whoever read the results has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except OSError as error:  # a disk that is full, read-only or gone
        where = f"{error.filename}: " if error.filename else ""
        say(f"{where}{reason(error)}. [cannot_write]")
        return ERROR
    except KeyboardInterrupt:
        say("\nStopped. Measurements go on with the same command.")
        return STOPPED


def make_parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(
        prog=program_name(),
        description="Looks for manipulated faces and voices in videos, images and audio.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"deepfake-detector {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    return parser


def program_name() -> str:
    """What the user typed: ``cli.py`` in a clone, ``deepfake-detector`` when installed."""
    name = Path(sys.argv[0]).name
    return name if name.startswith("deepfake-detector") else "cli.py"


def installed() -> int:
    """Entry point of the installed command."""
    silence_native_logs()
    set_threads()
    return main()


if __name__ == "__main__":
    raise SystemExit(installed())
