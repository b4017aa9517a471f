"""How do checkpoints (frequency, landmarks, temporal) become folders with a card and a README?

Figures with 95 % intervals over groups, `card.json` and the model card in one go. Imports
`evaluation`
and `hub`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from evaluation.bootstrap import Interval, interval
from evaluation.metrics import INDICATIVE_BELOW, auc
from hub.checkpoint import Calibration, Card

RESAMPLES = 500
TABLE_HEAD = (
    "| what | value | 95 % interval | real | fake | protocol |\n|---|---|---|---|---|---|\n"
)
README = """---
license: other
tags: [deepfake-detection]
---
# {title}

{intro}

## Calibration
{calibration}

## Data and terms
{data}

The data may be used for research; so may these weights.

## Recipe
{recipe} `training/LOG.md` has the experiments, failures too.

## Figures
95 % bootstrap intervals over groups (people or source videos).

{figures}

## What it cannot see, and what it must not be used for
{limits}
"""


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
    folder: Path, tensors: dict[str, np.ndarray], config: dict, card: Card, intro: str, recipe: str
) -> None:
    """Write config.json, model.safetensors, card.json and README.md."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / "model.safetensors"
    )
    (folder / "model.safetensors").chmod(0o644)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_card(folder, card, intro, recipe)


def write_card(folder: Path, card: Card, intro: str, recipe: str) -> None:
    """Write card.json and the model card README.md."""
    (folder / "card.json").write_text(card.to_json(), encoding="utf-8")
    text = README.format(
        title=card.title,
        intro=intro,
        recipe=recipe,
        calibration=_calibration_line(card),
        data="\n".join(f"- {line}" for line in card.trained_on),
        figures=figure_table(card.figures),
        limits="\n".join(f"- {line}" for line in card.limits),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def with_figures(card: Card, figures: list[dict], calibration: Calibration) -> Card:
    """The card with what was measured."""
    return dataclasses.replace(card, figures=tuple(figures), calibration=calibration)


def _calibration_line(card: Card) -> str:
    line = card.calibration
    if line is None:
        return "None."
    return (
        f"log-odds = {line.scale:.3f} x raw + {line.offset:.3f} (Platt 1999), fitted on "
        f"{line.fitted_on} "
        f"({line.n_real} real, {line.n_fake} fake), {line.date}. Real and fake weigh the same."
        + ("" if card.votes else " Experimental: shown to the user, takes no part in the verdict.")
    )


def figure_table(figures: Sequence[dict]) -> str:
    """All figures of a card as a table; the only one of a model card."""
    return TABLE_HEAD + "\n".join(_row(figure) for figure in figures)


def _row(figure: dict) -> str:
    low, high = figure["low"], figure["high"]
    interval = "" if low is None else f"{low:.3f} to {high:.3f}"
    return "| {name} | {value:.3f} | {interval} | {n_real} | {n_fake} | {protocol} |".format(
        interval=interval, **figure
    )
