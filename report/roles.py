"""What does a finding's detector call itself, ask, and say?

The one place of this room that asks. Imports detectors and verdict.
"""

from __future__ import annotations

from detectors.base import Finding
from detectors.registry import DETECTORS
from verdict.explain import CALM, SIGNS

_BY_NAME = {detector.name: detector for detector in DETECTORS}


def title(name: str) -> str:
    """The name of a detector for people."""
    return _BY_NAME[name].title if name in _BY_NAME else name.capitalize()


def question(finding: Finding) -> str:
    """What the detector asks."""
    return _BY_NAME[finding.detector].question if finding.detector in _BY_NAME else ""


def phrase(finding: Finding, suspicious: bool) -> str:
    """What it saw when it speaks for, or against, manipulation."""
    return (SIGNS if suspicious else CALM).get(finding.detector, title(finding.detector))
