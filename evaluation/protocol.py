"""Under which conditions was a figure measured?

One line that is printed with every figure: a number without it cannot be compared. Imports
evaluation.run, detectors and media (their constants), verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

from detectors.spatial import FRAMES_A_WINDOW
from evaluation.bootstrap import RESAMPLES
from evaluation.manifest import Item
from evaluation.run import Setup
from media.windows import QUICK_WINDOWS, WINDOW_S, Mode
from verdict.fusion import FusionParameters


def protocol(name: str, items: Sequence[Item], setup: Setup, numbers: FusionParameters) -> str:
    """The line for one run.

    Args:
        name: of the manifest or folder.
        items: its files.
        setup: what they were measured with.
        numbers: what their findings were fused with.
    """
    n_fake = sum(item.label for item in items)
    windows = (
        f"at most {QUICK_WINDOWS} windows of {WINDOW_S:g} s spread over the file"
        if setup.settings.mode == Mode.QUICK
        else f"windows of {WINDOW_S:g} s end to end"
    )
    return "; ".join(
        (
            f"data {name}: {len(items) - n_fake} real and {n_fake} fake files",
            f"{len({item.unit for item in items})} groups",
            f"mode {setup.settings.mode}: {windows}, {FRAMES_A_WINDOW} images of each face a "
            "window for the image detector, all frames for the others",
            "faces by MediaPipe full range and the 468-point mesh, eyes level",
            f"crops: {_crops(setup)}",
            "score of a file: mean raw log-odds of its windows by person, calibrated, fused "
            "(mean likelihood ratio over the people)",
            "no face or nothing assessable: no number, left out of the ranking and counted in the "
            "coverage",
            f"checkpoints: {_checkpoints(setup)}",
            f"fusion fitted on: {numbers.fitted_on} ({numbers.date})",
            f"intervals: 95 %, {RESAMPLES} bootstrap draws of whole groups",
        )
    )


def _crops(setup: Setup) -> str:
    cards = {name: checkpoint.card for name, checkpoint in setup.checkpoints.items()}
    words = [
        f"{name} {card.crop} with a margin of {card.margin:.0%} at {card.size_px} px"
        for name, card in cards.items()
    ]
    return ", ".join(words) or "none"


def _checkpoints(setup: Setup) -> str:
    words = []
    for name in setup.settings.detectors:
        checkpoint = setup.checkpoints.get(name)
        if checkpoint is None:
            words.append(f"{name} missing")
            continue
        line = checkpoint.card.calibration
        state = f"calibrated on {line.fitted_on}" if line else "not calibrated"
        words.append(f"{name} {checkpoint.label} ({state})")
    return ", ".join(words)
