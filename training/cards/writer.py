"""How does a recipe hand over a checkpoint folder with its figures?

Figures with 95 % intervals over groups; the page is that of `training.cards.page`. Imports
`evaluation` and `hub`.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from evaluation.bootstrap import Interval, interval
from evaluation.metrics import INDICATIVE_BELOW, auc
from hub.checkpoint import Calibration, Card
from training.cards import page

RESAMPLES = 500


def auc_figure(name: str, labels, scores, groups, protocol: str) -> dict:
    """One AUC for a card."""
    labels, scores = np.asarray(labels, int), np.asarray(scores, float)
    limits = interval(lambda rows: auc(labels[rows], scores[rows]), list(groups), RESAMPLES)
    return figure(name, auc(labels, scores), limits, labels, protocol)


def share_figure(name: str, hits, groups, label: int, protocol: str) -> dict:
    """One share (a rate of alarms, or of judged faces) for a card; ``label`` says of which kind."""
    hits = np.asarray(hits, float)
    limits = interval(lambda rows: hits[rows].mean(), list(groups), RESAMPLES)
    return figure(name, float(hits.mean()), limits, np.full(len(hits), label), protocol)


def figure(
    name: str, value: float, limits: Interval | None, labels: np.ndarray, protocol: str
) -> dict:
    """One entry of a card's figures; a small one is called indicative."""
    low, high = limits or (None, None)
    note = "; indicative" if len(labels) < INDICATIVE_BELOW else ""
    return {
        "name": name,
        "value": round(value, 3),
        "low": None if low is None else round(low, 3),
        "high": None if high is None else round(high, 3),
        "n_real": int((labels == 0).sum()),
        "n_fake": int((labels == 1).sum()),
        "protocol": protocol + note,
    }


def write_folder(
    folder: Path, tensors: dict[str, np.ndarray], config: dict, card: Card, name: str | None = None
) -> None:
    """Write config.json and model.safetensors, and what `page.write` writes with all figures."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / "model.safetensors"
    )
    (folder / "model.safetensors").chmod(0o644)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    page.write(folder, card, card.figures, name)


def write_card(folder: Path, card: Card) -> None:
    """Write card.json, figures.csv and README.md with all figures of the card."""
    page.write(folder, card, card.figures)


def with_figures(card: Card, figures: list[dict], calibration: Calibration | None) -> Card:
    """The card with what was measured."""
    return dataclasses.replace(card, figures=tuple(figures), calibration=calibration)
