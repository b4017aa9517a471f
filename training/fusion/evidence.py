"""Which evidence is the fusion fitted on?

Reads folders that ``cli.py evaluate`` wrote into one table of calibrated log-odds, one row a
person, and deals its files into folds that leave out whole kinds of fakes and whole sources of
reals. Imports evaluation, hub.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from detectors.registry import names
from errors import UserError
from evaluation.evaluate import LINES
from evaluation.manifest import Item, read_manifest
from evaluation.run import ScoreRecord, read_lines
from hub.checkpoint import Calibration
from media.sniff import MediaKind

DETECTORS = names()
MIN_OF_EACH = 8  # files of each class with a number, below which a weight cannot be fitted


@dataclass(frozen=True)
class Table:
    """Calibrated log-odds of all people in all files.

    Attributes:
        values: (people, 5) float64 in the order of `DETECTORS`, NaN where there is no number.
        file: (people,) which file; ascending.
        labels, weights: (files,) truth, and weight in the fit.
        kinds, sources, units: (files,) kind of fake, source of real, group.
        images: (files,) bool, one image and not a clip.
        origins: (files,) name of the result folder.
    """

    values: np.ndarray
    file: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    kinds: np.ndarray
    sources: np.ndarray
    units: np.ndarray
    images: np.ndarray
    origins: np.ndarray

    def only(self, chosen: np.ndarray) -> Table:
        """The files of a mask (files,) bool, numbered anew; their weights in balance again."""
        rows = chosen[self.file]
        new_number = np.cumsum(chosen) - 1
        per_file = (self.labels, self.weights, self.kinds, self.sources, self.units)
        per_file += (self.images, self.origins)
        labels, weights, *rest = (column[chosen] for column in per_file)
        return Table(
            self.values[rows], new_number[self.file[rows]], labels, balanced(labels, weights), *rest
        )

    def seeing(self, coverage: Mapping[str, float], most: float) -> Table:
        """The same where detectors that see a share of all fakes say no more than that.

        The formula of `verdict.fusion.FusionParameters.evidence` (tests compare the two).
        """
        values = self.values.copy()
        for name, share in coverage.items():
            column = DETECTORS.index(name)
            ratio = np.exp(np.clip(values[:, column], -most, most))
            values[:, column] = np.log(share * ratio + 1 - share)
        return replace(self, values=values)

    def without(self, names: Sequence[str]) -> Table:
        """The same where some detectors said nothing; files keep their place."""
        values = self.values.copy()
        values[:, [DETECTORS.index(name) for name in names]] = np.nan
        return replace(self, values=values)


def balanced(labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(n,) weights scaled so that each class has half of a total of 1."""
    scaled = weights.astype(float).copy()
    for label in (0, 1):
        subset = labels == label
        scaled[subset] *= 0.5 / max(scaled[subset].sum(), 1e-12)
    return scaled


HeldOut = Mapping[str, Mapping[str, float]]


def read_held_out(path: Path) -> dict[str, float]:
    """File name → raw score from a recipe whose judges did not see that file's kind.

    A detector that was fitted on files of the fusion would look better on them than it is;
    `training.landmarks` writes such scores.
    """
    table = pd.read_csv(path)
    clean = table[table["tier"] == "clean"]
    return {str(name): float(raw) for name, raw in clean.groupby("name")["raw"].mean().items()}


def read_table(folders: Sequence[Path], held_out: HeldOut | None = None) -> Table:
    """Read result folders; each folder has the same weight, and each class in it.

    Args:
        folders: written by ``cli.py evaluate``.
        held_out: detector → scores of `read_held_out`, which take the place of its own raw scores.
    """
    values, file, labels, weights, kinds, sources, units, images, origins = ([] for _ in range(9))
    for folder in folders:
        items, records, lines = _read_folder(folder)
        subset = np.array([item.label for item in items])
        weights.append(balanced(subset, np.ones(len(subset))))
        for item, selected in zip(items, records, strict=True):
            own_scores = {d: data.get(item.path.name) for d, data in (held_out or {}).items()}
            rows = _people(selected, lines, own_scores)
            values.append(rows)
            file.append(np.full(len(rows), len(labels)))
            labels.append(item.label)
            kinds.append(item.kind.split("+")[0] if item.label else "real")
            sources.append(f"{folder.name}/{item.source or item.kind}")
            units.append(f"{folder.name}/{item.unit}")
            images.append(selected.facts.get("kind") == MediaKind.IMAGE)
            origins.append(folder.name)
    all_labels = np.array(labels)
    return Table(
        np.concatenate(values),
        np.concatenate(file),
        all_labels,
        balanced(all_labels, np.concatenate(weights)),
        np.array(kinds),
        np.array(sources),
        np.array(units),
        np.array(images),
        np.array(origins),
    )


def _read_folder(folder: Path) -> tuple[Sequence[Item], list[ScoreRecord], dict[str, Calibration]]:
    items = read_manifest(folder / "items.csv")
    selected = {name: record for (name, _), record in read_lines(folder / LINES).items()}
    missing = [item.name for item in items if item.name not in selected]
    if missing:
        raise UserError("bad_results", f"{folder.name} is not complete: {missing[0]} is missing.")
    words = json.loads((folder / "metrics.json").read_text("utf-8"))["calibrations"]
    lines = {name: Calibration.from_json(line) for name, line in words.items() if line is not None}
    return items, [selected[item.name] for item in items], lines


def _people(
    selected: ScoreRecord, lines: dict[str, Calibration], held_out: Mapping[str, float | None]
) -> np.ndarray:
    """(people, 5) calibrated log-odds; a finding on the whole image counts for everybody."""
    people = list(dict.fromkeys(f["person"] for f in selected.findings if f["person"] is not None))
    rows = np.full((max(1, len(people)), len(DETECTORS)), np.nan)
    for finding in selected.findings:
        line = lines.get(finding["detector"])
        if line is None or finding["raw"] is None:
            continue
        raw = held_out.get(finding["detector"])
        raw = finding["raw"] if raw is None else raw
        who = slice(None) if finding["person"] is None else people.index(finding["person"])
        rows[who, DETECTORS.index(finding["detector"])] = line.apply(raw)
    return rows


def usable(table: Table) -> np.ndarray:
    """(5,) bool: detectors that have a number for enough files of each class."""
    result = []
    for column in range(len(DETECTORS)):
        files = np.unique(table.file[np.isfinite(table.values[:, column])])
        fakes = int(table.labels[files].sum())
        result.append(min(fakes, len(files) - fakes) >= MIN_OF_EACH)
    return np.array(result)


def folds(table: Table) -> np.ndarray:
    """(files,) fold: each kind of fake is one; whole sources of reals are dealt out by size."""
    kinds = sorted(set(table.kinds[table.labels == 1]))
    fold = np.zeros(len(table.labels), dtype=int)
    for number, kind in enumerate(kinds):
        fold[table.kinds == kind] = number
    count = max(2, len(kinds))
    load = np.zeros(count)
    names = table.sources if len(set(table.sources[table.labels == 0])) >= count else table.units
    reals = table.labels == 0
    sizes = {name: float(table.weights[reals & (names == name)].sum()) for name in names[reals]}
    for name in sorted(sizes, key=lambda n: (-sizes[n], n)):
        lightest = int(load.argmin())
        fold[reals & (names == name)] = lightest
        load[lightest] += sizes[name]
    if len(kinds) == 1:
        fold[table.labels == 1] = (
            np.unique(table.units[table.labels == 1], return_inverse=True)[1] % 2
        )
    return fold
