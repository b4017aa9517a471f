"""Which detectors are there?

The one list. App, command line, explanation, report, evaluation and tests ask here, when they need
it, so that a detector that is added is known everywhere. Imports no torch.
"""

from __future__ import annotations

from detectors.base import Detector
from detectors.frequency.detector import Frequency
from detectors.generation import Generation
from detectors.landmarks.detector import Landmarks
from detectors.mouth import Mouth
from detectors.spatial import Spatial
from detectors.sync.detector import Sync
from detectors.temporal import Temporal
from detectors.voice import Voice
from hub.role import Role, Task

DETECTORS: tuple[type[Detector], ...] = (
    Spatial,
    Generation,
    Mouth,
    Sync,
    Temporal,
    Frequency,
    Landmarks,
    Voice,
)


def roles() -> tuple[Role, ...]:
    """What every detector declares about itself, in the order in which they are shown."""
    return tuple(detector.role for detector in DETECTORS)


def names() -> tuple[str, ...]:
    """The names of all detectors."""
    return tuple(role.name for role in roles())


def detector_of(name: str) -> type[Detector]:
    """The detector of that name; KeyError for an unknown one."""
    return {detector.role.name: detector for detector in DETECTORS}[name]


def role_of(name: str) -> Role:
    """The role of that name; KeyError for an unknown one."""
    return detector_of(name).role


def roles_for(task: Task) -> tuple[str, ...]:
    """Names of the detectors that take foreign checkpoints of that task."""
    return tuple(role.name for role in roles() if role.task is task)
