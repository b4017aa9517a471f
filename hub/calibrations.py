"""What did this user tell us about a checkpoint: which label is fake, which line fits their files?

Kept in the user's own folder, one small file for exactly one set of weights used in exactly one
way: another commit, crop or label map is another checkpoint. Nothing here is shared between the
visitors of a Space: only the local app and the command line call the ``save`` functions. Imports
errors and hub.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from errors import UserError
from hub.checkpoint import Calibration, Checkpoint
from hub.checksums import write_atomically
from hub.remote import user_folder


def save_calibration(checkpoint: Checkpoint, calibration: Calibration) -> Path:
    """Keep a fitted calibration for this checkpoint, and return the file."""
    path, *_ = _calibration_paths(checkpoint)
    data = {"checkpoint": checkpoint.label, **asdict(calibration)}
    write_atomically(path, json.dumps(data, indent=2) + "\n")
    return path


def load_calibration(checkpoint: Checkpoint) -> Calibration | None:
    """Return this user's calibration of this checkpoint, or None; a broken file counts as none."""
    for path in _calibration_paths(checkpoint):
        try:
            return Calibration.from_json(json.loads(path.read_text()))
        except (OSError, ValueError, UserError):
            continue
    return None


def forget_calibration(checkpoint: Checkpoint) -> bool:
    """Delete this user's calibration; True when there was one."""
    paths = [path for path in _calibration_paths(checkpoint) if path.is_file()]
    for path in paths:
        path.unlink()
    return bool(paths)


def save_answer(sha256: str, fake_labels: Sequence[str]) -> Path:
    """Keep the user's answer to "which label means fake?" for these weights."""
    path = user_folder() / "labels" / f"{sha256}.json"
    write_atomically(path, json.dumps({"fake_labels": list(fake_labels)}) + "\n")
    return path


def load_answer(sha256: str) -> tuple[str, ...] | None:
    """Return the kept answer for these weights, or None."""
    try:
        data = json.loads((user_folder() / "labels" / f"{sha256}.json").read_text())
        return tuple(str(label) for label in data["fake_labels"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _calibration_paths(checkpoint: Checkpoint) -> list[Path]:
    """Where a calibration may lie: of these weights, then of those that they supersede."""
    folder = user_folder() / "calibrations"
    return [folder / f"{key}.json" for key in (checkpoint.key, *checkpoint.former_keys)]
