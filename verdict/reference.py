"""What do recordings that are known to be real say about the level of a file?

A detector's number differs from camera to camera and from person to person more than a fake differs
from its own real. Who has real footage of the same person or camera can measure that level and take
it off. How much of it is believed follows from how far real recordings lie apart, between sources
and within one (best linear unbiased prediction of a random effect; Robinson 1991,
doi:10.1214/ss/1177011926). Imports detectors.base (its types).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.base import Finding

MOST_REFERENCES = 5  # files beside the examined one; more say hardly more
MOST_SHIFT = 3.0  # log-odds; a level further off is no level of a camera


@dataclass(frozen=True)
class LevelSpread:
    """How a detector's calibrated numbers of real recordings are spread, log-odds.

    Attributes:
        mean: over sources of real recordings.
        between: standard deviation of the sources' own levels.
        within: standard deviation of the recordings of one source around its level.
    """

    mean: float
    between: float
    within: float

    def shift(self, llrs: Sequence[float]) -> float:
        """By how much a source lies above the mean of all, as its reference recordings tell.

        Args:
            llrs: (n,) calibrated log-likelihood ratios of the references.

        Returns:
            log-odds, 0 without references; nearer to 0 the fewer there are.
        """
        if not llrs or self.between <= 0:
            return 0.0
        share = self.between**2 / (self.between**2 + self.within**2 / len(llrs))
        return float(np.clip(share * (np.mean(llrs) - self.mean), -MOST_SHIFT, MOST_SHIFT))


@dataclass(frozen=True)
class Reference:
    """One recording that the user gives as real, of the same person or camera.

    Attributes:
        name, sha256: of the file.
        level: what the program says of it by itself.
        llrs: detector → calibrated log-likelihood ratio, the mean over the people in it.
    """

    name: str
    sha256: str
    level: str
    llrs: Mapping[str, float]


def llrs_of(findings: Sequence[Finding]) -> dict[str, float]:
    """Detector → the mean calibrated number over the people of a file."""
    values: dict[str, list[float]] = {}
    for finding in findings:
        if finding.llr is not None:
            values.setdefault(finding.detector, []).append(finding.llr)
    return {name: float(np.mean(of_people)) for name, of_people in values.items()}


def level_shifts(
    references: Sequence[Reference], spreads: Mapping[str, LevelSpread]
) -> dict[str, float]:
    """Detector → the level of this camera or person, log-odds, where the spread is known."""
    return {
        name: spread.shift([r.llrs[name] for r in references if name in r.llrs])
        for name, spread in spreads.items()
    }


def leveled(findings: Sequence[Finding], shifts: Mapping[str, float]) -> tuple[Finding, ...]:
    """The findings with the level of their source taken off, in every window too."""
    return tuple(_leveled(finding, shifts.get(finding.detector, 0.0)) for finding in findings)


def _leveled(finding: Finding, shift: float) -> Finding:
    if not shift or finding.llr is None:
        return finding
    windows = tuple(w if w.llr is None else replace(w, llr=w.llr - shift) for w in finding.windows)
    return replace(finding, llr=finding.llr - shift, windows=windows, level_shift=shift)
