"""What does the spectrum of a real face look like, so that one can be held against it?

``python -m training.frequency.typical MANIFEST …`` sends real files through the frequency detector
and writes ``detectors/frequency/typical.csv``, the line that people see behind a face's own. It
decides nothing. Every source weighs the same, and files whose fine detail is gone are left out, as
in the app. Imports analysis and evaluation.
"""

from __future__ import annotations

import argparse
import csv
import logging
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from analysis import Settings, analyze
from detectors.frequency.detector import TYPICAL
from errors import UserError
from evaluation.manifest import Item, read_manifest

log = logging.getLogger(__name__)

A_SOURCE = 12  # faces that each source of real files gives, at most
TRIED = 3  # times as many are looked at: many have lost their detail
QUANTILES = (0.1, 0.5, 0.9)  # eight of ten real faces lie between the first and the last
HEAD = ("cycles_a_pixel", "low_db", "middle_db", "high_db")


def spread_out(items: Iterable[Item]) -> dict[str, list[Item]]:
    """Real files by source, evenly thinned."""
    by_source: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if item.label == 0:
            by_source[item.source].append(item)
    most = A_SOURCE * TRIED
    return {name: real[:: -(-len(real) // most)] for name, real in sorted(by_source.items())}


def spectra(items: list[Item]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Radii, and (52,) decibels of each face that still has its detail, at most `A_SOURCE`."""
    cycles, result = np.zeros(0), []
    for item in items:
        try:
            findings = analyze(item.path, Settings(detectors=("frequency",))).findings
        except UserError as error:
            log.info("%s: %s", item.name, error.sentence)
            continue
        curves = [curve for finding in findings for curve in finding.curves]
        if curves:
            cycles = curves[0].x
            result.append(np.median([curve.y for curve in curves], axis=0))
        if len(result) == A_SOURCE:
            break
    return cycles, result


def weighted_quantiles(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(3, 52) quantiles of (n, 52) values with (n,) weights."""
    order = np.argsort(values, axis=0)
    sorted_values = np.take_along_axis(values, order, 0)
    share = np.cumsum(weights[order], axis=0) / weights.sum()
    return np.stack([[np.interp(q, s, v) for s, v in zip(share.T, sorted_values.T, strict=True)]
                     for q in QUANTILES])  # fmt: skip


def write_typical(manifests: list[Path], target: Path) -> None:
    """Measure and write the table."""
    cycles, values, weights = np.zeros(0), [], []
    for source, items in spread_out(i for m in manifests for i in read_manifest(m)).items():
        radii, data = spectra(items)
        log.info("%s: %d of %d faces", source, len(data), len(items))
        if data:
            cycles = radii
            values += data
            weights += [1 / len(data)] * len(data)
    table = weighted_quantiles(np.stack(values), np.array(weights))
    log.info("%d faces", len(values))
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEAD)
        writer.writerows(
            [f"{c:.5f}", *(f"{v:.2f}" for v in row)] for c, row in zip(cycles, table.T, strict=True)
        )


def main() -> None:
    """Command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifests", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=TYPICAL)
    chosen = parser.parse_args()
    write_typical(chosen.manifests, chosen.out)


if __name__ == "__main__":
    main()
