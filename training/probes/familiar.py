"""Which faces does a head know, and how much is it trusted on others?

A bank of a few faces of each source of each class, and the distances at which real faces of sources
that the bank does not hold lie from it (`detectors.frozen.familiarity`). Imports detectors and
training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from detectors.frozen.familiarity import Familiarity
from detectors.frozen.layout import WIDTH
from detectors.frozen.probe import PERCENTILES, Part
from training.probes.tables import Table

PART = Part(8, "patches")  # chosen by cross-validation over whole sources (training/LOG.md)
NEIGHBORS = 5
A_SOURCE = 12  # faces of each source and class in the bank; 55 are no better
SHRINKAGE = 0.6
SEED = 0


@dataclass(frozen=True)
class Bank:
    """What is stored beside a head.

    Attributes:
        faces: (n, WIDTH) float16, unit length.
        distances: (PERCENTILES,) float32.
    """

    faces: np.ndarray
    distances: np.ndarray


def members(table: Table) -> np.ndarray:
    """(n,) bool: at most `A_SOURCE` faces of each source and class, drawn by lot."""
    rng = np.random.default_rng(SEED)
    result = np.zeros(len(table.labels), bool)
    for source in np.unique(table.sources):
        for label in (0, 1):
            subset = np.flatnonzero((table.sources == source) & (table.labels == label))
            result[rng.permutation(subset)[:A_SOURCE]] = True
    return result


def columns(parts: tuple[Part, ...]) -> slice:
    """Where `PART` stands in the feature vector."""
    first = parts.index(PART) * WIDTH
    return slice(first, first + WIDTH)


def distances(faces: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """(n,) mean distance of each face to its `NEIGHBORS` nearest ones of a bank."""
    known = torch.from_numpy(bank.astype(np.float32))
    pairs = torch.cdist(torch.from_numpy(faces.astype(np.float32)), known)
    return pairs.topk(NEIGHBORS, largest=False).values.mean(1).numpy()


def held_out_distances(table: Table, folds: np.ndarray, where: slice) -> np.ndarray:
    """(n,) distances of faces to a bank that holds nothing of their source.

    Faces of fold -1 are in every bank and get NaN.
    """
    faces, chosen = table.features[:, where], members(table)
    result = np.full(len(table.labels), np.nan)
    for fold in np.unique(folds[folds >= 0]):
        rest = folds != fold
        result[~rest] = distances(faces[~rest], faces[rest & chosen])
    return result


def bank_of(table: Table, folds: np.ndarray, where: slice) -> tuple[Bank, np.ndarray]:
    """The bank of all sources, and (n,) factors of the held-out log-odds (NaN in fold -1)."""
    lengths = held_out_distances(table, folds, where)
    real = np.isfinite(lengths) & (table.labels == 0)
    steps = np.quantile(lengths[real], np.linspace(0, 1, PERCENTILES))
    faces = table.features[members(table)][:, where].astype(np.float16)
    percentiles = np.interp(lengths, steps, np.linspace(0, 1, PERCENTILES))
    known = Familiarity((0, WIDTH), torch.from_numpy(faces), NEIGHBORS, steps, SHRINKAGE)
    return Bank(faces, steps.astype(np.float32)), known.trusted(percentiles)
