"""What must every worker know, and what makes two runs the same run?

Imports analysis, evaluation.run and rooms to the left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from analysis import Analysis, Settings, analyze
from batch.rows import VERSION
from batch.storage import Place
from evaluation.run import Setup
from verdict.fusion import fusion_parameters
from version import __version__

FINGERPRINT_HEX = 12  # 48 bits: enough for the folders below one --out


@dataclass(frozen=True)
class Job:
    """What every worker must know.

    Attributes:
        settings: of each analysis; checkpoints of the Hub are named with their commits.
        fingerprint: of settings and checkpoints, as the program that began the run saw them.
        strikes: the folder for files at work, and those that killed a process.
        source: where the files were listed; its URI may hold settings of their storage.
        limit_s: seconds that one file may take.
        analyze: what examines a file; tests put others in.
    """

    settings: Settings
    fingerprint: str
    strikes: Place
    source: str
    limit_s: float
    analyze: Callable[..., Analysis] = analyze


def facts_of(setup: Setup, limit_s: float) -> dict[str, Any]:
    """All that a row depends on beside the file: settings, commits, calibrations, fusion, program.

    Where networks run is not among it.
    """
    settings = setup.settings
    checkpoints = {
        name: {
            "label": checkpoint.label,
            "key": setup.key(name),
            "calibration": asdict(line) if (line := checkpoint.card.calibration) else None,
            "votes": checkpoint.card.votes,
        }
        for name, checkpoint in setup.checkpoints.items()
    }
    return {
        "program": __version__,
        "rows": VERSION,
        "mode": str(settings.mode),
        "detectors": list(settings.detectors),
        "stability": settings.stability,
        "limit_s": limit_s,
        "checkpoints": checkpoints,
        "missing": {name: reason.code for name, reason in setup.failed.items()},
        "fusion": asdict(fusion_parameters()),
    }


def fingerprint(facts: dict[str, Any]) -> str:
    """Hexadecimal digits of a hash of `facts_of`."""
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:FINGERPRINT_HEX]


def pinned(setup: Setup) -> Settings:
    """The settings with commits instead of branches: a worker may load weeks later."""
    specs = dict(setup.settings.checkpoints)
    for name in specs:
        checkpoint = setup.checkpoints[name]
        if checkpoint.revision is not None:
            specs[name] = f"{specs[name].partition('@')[0]}@{checkpoint.revision}"
    return replace(setup.settings, checkpoints=specs)
