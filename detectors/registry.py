"""Which detectors are there? The one list; the app, the command and the tests follow from it."""

from __future__ import annotations

from detectors.base import Detector
from detectors.frequency.detector import Frequency
from detectors.landmarks.detector import Landmarks
from detectors.spatial import Spatial
from detectors.sync.detector import Sync
from detectors.temporal import Temporal

DETECTORS: tuple[type[Detector], ...] = (Spatial, Temporal, Frequency, Sync, Landmarks)
