"""How sure is a figure?

Percentile bootstrap over whole groups (people or sources): files of one group resemble each other,
so drawing them one by one would promise too much. Imports numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

RESAMPLES = 1000  # percentiles are then steady to about 0.003
MIN_RESAMPLES = 100  # fewer draws that gave a number give no interval
LEVEL = (0.025, 0.975)  # quantiles: a 95 % interval

Interval = tuple[float, float]


def intervals(
    figures: Callable[[np.ndarray], Mapping[str, float]],
    groups: Sequence[str] | np.ndarray,
    resamples: int = RESAMPLES,
) -> dict[str, Interval]:
    """95 % intervals of several figures of the same files.

    Args:
        figures: from (m,) row numbers, in which a row may occur more than once, to named figures;
            empty, or NaN for one of them, where a draw does not allow it.
        groups: (n,) one group is drawn as a whole.
        resamples: how often.

    Returns:
        name → (low, high), without those that too few draws allowed. Seeded, so that it repeats.
    """
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    rows = [np.flatnonzero(member == number) for number in range(len(names))]
    generator = np.random.default_rng(0)
    drawn: dict[str, list[float]] = {}
    for _ in range(resamples if len(rows) > 1 else 0):
        chosen = generator.integers(0, len(rows), len(rows))
        for name, value in figures(np.concatenate([rows[number] for number in chosen])).items():
            drawn.setdefault(name, []).append(value)
    enough = min(MIN_RESAMPLES, resamples)
    return {
        name: (float(low), float(high))
        for name, values in drawn.items()
        if np.count_nonzero(np.isfinite(values)) >= enough
        for low, high in [np.nanquantile(values, LEVEL)]
    }


def interval(
    figure: Callable[[np.ndarray], float],
    groups: Sequence[str] | np.ndarray,
    resamples: int = RESAMPLES,
) -> Interval | None:
    """95 % interval of one figure of (m,) row numbers; see `intervals`."""
    return intervals(lambda rows: {"": figure(rows)}, groups, resamples).get("")
