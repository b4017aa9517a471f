"""What does a finding's detector call itself, ask, and say?

The one place of this room that asks. Imports detectors.
"""

from __future__ import annotations

from detectors import registry
from detectors.base import Finding


def title(name: str) -> str:
    """The name of a detector for people; a stored report may know one that is gone."""
    titles = {role.name: role.title for role in registry.roles()}
    return titles.get(name, name.capitalize())


def question(finding: Finding) -> str:
    """What the detector asks."""
    return finding.role.question


def phrase(finding: Finding, suspicious: bool) -> str:
    """What it saw when it speaks for, or against, manipulation."""
    return finding.role.phrase_for if suspicious else finding.role.phrase_against
