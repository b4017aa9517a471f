"""Who speaks when, as far as sound alone tells?

A turn is speech of one voice without another's between. Each stretch of speech is described by a
Gaussian over its cepstra; two are one voice where one Gaussian describes them better than two, by
the Bayesian information criterion (Chen & Gopalakrishnan 1998). No voice is recognized, and nothing
of it is kept but sums. Imports `cepstra` and `windows`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from media.cepstra import cepstra
from media.rates import AUDIO_HZ
from media.windows import Window

CEPSTRA = slice(1, 13)  # without the energy: who speaks louder is no other voice
LEAST_S = 1.0  # of speech; shorter stretches say too little about a voice
PENALTY = 1.5  # weight of the number of parameters; 1 in theory; see training/LOG.md, 28 November
MOST_STRETCHES = 200  # of speech that are compared; longer files have no turns


@dataclass(frozen=True)
class Turn:
    """Speech of one voice without another's between.

    Attributes:
        start_s, stop_s: on the clip's clock.
        voice: "A" for the first one heard, then "B" and so on.
    """

    start_s: float
    stop_s: float
    voice: str


@dataclass(frozen=True)
class _Sums:
    """Sufficient statistics of (n, d) cepstra, which add up."""

    count: int
    first: np.ndarray
    second: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> _Sums:
        values = rows.astype(np.float64)
        return cls(len(values), values.sum(0), values.T @ values)

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(self.count + other.count, self.first + other.first, self.second + other.second)

    @cached_property
    def cost(self) -> float:
        """Half of n times the logarithm of the determinant of the covariance."""
        mean = self.first / self.count
        covariance = self.second / self.count - np.outer(mean, mean)
        covariance += 1e-6 * np.eye(len(mean))
        return 0.5 * self.count * float(np.linalg.slogdet(covariance)[1])


def difference(one: _Sums, other: _Sums) -> float:
    """Above 0 where two Gaussians describe both better than one: another voice."""
    both, size = one + other, len(one.first)
    parameters = size + size * (size + 1) / 2
    gain = both.cost - one.cost - other.cost
    return gain - PENALTY * 0.5 * parameters * float(np.log(both.count))


class TurnFinder:
    """Collects, window by window, how speech sounds; then tells voices apart."""

    def __init__(self) -> None:
        self._stretches: list[tuple[float, float, _Sums]] = []

    def add(self, window: Window) -> None:
        """Remember the speech of a window."""
        if window.audio is None or len(self._stretches) > MOST_STRETCHES:
            return
        for start_s, stop_s in window.speech_s.tolist():
            first = round((start_s - window.audio_start_s) * AUDIO_HZ)
            samples = window.audio[first : first + round((stop_s - start_s) * AUDIO_HZ)]
            if len(samples) >= LEAST_S * AUDIO_HZ:
                sums = _Sums.of(cepstra(samples)[:, CEPSTRA])
                self._stretches.append((start_s, stop_s, sums))

    def turns(self) -> tuple[Turn, ...]:
        """The turns in their order; none where nobody speaks for long, or in very long files."""
        if not 0 < len(self._stretches) <= MOST_STRETCHES:
            return ()
        voices = _voices([sums for _, _, sums in self._stretches])
        turns: list[Turn] = []
        for (start_s, stop_s, _), voice in zip(self._stretches, voices, strict=True):
            if turns and turns[-1].voice == voice:
                turns[-1] = Turn(turns[-1].start_s, stop_s, voice)
            else:
                turns.append(Turn(start_s, stop_s, voice))
        return tuple(turns)


def _voices(sums: list[_Sums]) -> list[str]:
    """A letter for each stretch: the two most alike are joined until all differ."""
    groups: dict[int, tuple[_Sums, list[int]]] = {i: (s, [i]) for i, s in enumerate(sums)}
    between = {(i, j): difference(sums[i], sums[j]) for i in groups for j in groups if i < j}
    while between:
        (i, j), least = min(between.items(), key=lambda item: item[1])
        if least >= 0:
            break
        joined = groups[i][0] + groups[j][0]
        groups[i] = (joined, groups[i][1] + groups.pop(j)[1])
        between = {pair: value for pair, value in between.items() if not {i, j} & set(pair)}
        between |= {
            (min(i, k), max(i, k)): difference(joined, groups[k][0]) for k in groups if k != i
        }
    names = [""] * len(sums)
    for letter, (_, members) in enumerate(sorted(groups.values(), key=lambda g: min(g[1]))):
        for member in members:
            names[member] = _letter(letter)
    return names


def _letter(number: int) -> str:
    """0 → "A", 25 → "Z", 26 → "AA"."""
    text = ""
    while number >= 0:
        text = chr(ord("A") + number % 26) + text
        number = number // 26 - 1
    return text
