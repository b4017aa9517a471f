"""``evaluate``, ``calibrate``, ``probe``: how good is it on my files, and can it be fitted to them?

Imports evaluation when a command runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from commands.arguments import (
    CHECKPOINT,
    MANIFEST_HELP,
    SPEC_HELP,
    add_command,
    add_device,
    add_fake_labels,
    add_mode,
    add_settings,
    checkpoint_from,
    fake_labels_for,
    settings_for_one,
    settings_from,
)
from commands.console import ASSESSED, count_files, show
from errors import UserError

PROBE_SPEC = "spatial=embedded"


def add_evaluate(commands: Any) -> None:
    """Declare ``evaluate``."""
    parser = add_command(commands, "evaluate", "Measure how good the verdicts are.", run_evaluate)
    parser.add_argument("manifest", metavar="MANIFEST", help=MANIFEST_HELP)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="for scores.csv, metrics.json and report.html; the same folder goes on where it ended",
    )
    parser.add_argument("--tiers", action="store_true", help="measure re-encoded copies as well")
    parser.add_argument(
        "--workers", type=int, default=1, help="processes at the same time (default: 1)"
    )
    add_settings(parser)


def add_calibrate(commands: Any) -> None:
    """Declare ``calibrate``."""
    text = "Fit a checkpoint's scores to your files."
    parser = add_command(commands, "calibrate", text, run_calibrate)
    parser.add_argument("manifest", metavar="MANIFEST", help=MANIFEST_HELP)
    parser.add_argument("--checkpoint", required=True, metavar=CHECKPOINT, help=SPEC_HELP)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for the measurements, to go on later"
    )
    add_fake_labels(parser)
    add_mode(parser)
    add_device(parser)


def add_probe(commands: Any) -> None:
    """Declare ``probe``."""
    text = "Fit a linear head on the features of an image checkpoint."
    parser = add_command(commands, "probe", text, run_probe)
    parser.add_argument("manifest", metavar="MANIFEST", help=MANIFEST_HELP)
    parser.add_argument(
        "--checkpoint",
        default=PROBE_SPEC,
        metavar="spatial=SPEC",
        help=f"the network under the new head (default: {PROBE_SPEC})",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new checkpoint folder"
    )
    add_fake_labels(parser)
    add_device(parser)


def run_evaluate(chosen: argparse.Namespace) -> int:
    """Measure a manifest and print the main figures."""
    from evaluation.commands import evaluated

    settings, how = settings_from(chosen), (chosen.tiers, chosen.workers)
    show(evaluated(chosen.manifest, chosen.out, settings, *how, count_files))
    return ASSESSED


def run_calibrate(chosen: argparse.Namespace) -> int:
    """Fit and keep a calibration."""
    from evaluation.commands import calibrated

    settings = settings_for_one(checkpoint_from(chosen.checkpoint), chosen)
    show(calibrated(chosen.manifest, settings, chosen.out, count_files))
    return ASSESSED


def run_probe(chosen: argparse.Namespace) -> int:
    """Fit a linear probe and save it as a checkpoint folder."""
    from evaluation.commands import probed

    choice = checkpoint_from(chosen.checkpoint)
    if choice.detector != "spatial":
        raise UserError("bad_settings", "A probe is fitted on a checkpoint of spatial.")
    labels = fake_labels_for(choice, chosen.fake_labels)
    out, device = chosen.out, chosen.device
    show(probed(chosen.manifest, choice.spec, out, labels, device, count_files))
    return ASSESSED
