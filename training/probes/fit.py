"""How do features become the checkpoints of the probes?

Fits the head of one detector, calibrates it on scores of heads that saw nothing of a face's source,
measures it and writes its folder. Imports evaluation, hub and training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from detectors.frozen.layout import MEAN, SIZE_PX, STD
from detectors.frozen.probe import MODEL_TYPE, Part
from evaluation.calibrate import platt
from hub.checkpoint import Calibration, Card
from training.cards.writer import auc_figure, share_figure, with_figures, write_folder
from training.probes import familiar, mouth
from training.probes.heads import (
    Head,
    Recipe,
    balanced_weights,
    fit,
    held_out_scores,
    source_folds,
)
from training.probes.people import GROUPS, LEAST, NUMBERS
from training.probes.tables import Table, read
from training.probes.views import BACKBONE, PARTS

FOLDS = 6
ALARM = 1.7  # log-likelihood ratio from which on a real face is counted as a false alarm
PROTOCOL = "crops, image by image, heads that saw nothing of the face's source (6 folds)"
COMMON_LIMITS = (
    "Not evidence about a person: it must not be the only ground for an accusation, a dismissal, a "
    "block or a publication.",
)
TERMS = "CLIP's image tower, frozen (OpenAI, MIT; hub/backbones/clip-vit-b16)"


@dataclass(frozen=True)
class Expert:
    """What is special about one probe.

    Attributes:
        card: without calibration and figures.
        recipe: chosen by cross-validation over whole sources.
        parts: the feature vector.
    """

    card: Card
    recipe: Recipe
    parts: tuple[Part, ...] = PARTS


def card(
    detector: str, title: str, margin: float, data: Sequence[str], limits: Sequence[str]
) -> Card:
    """The card of a probe before it was measured."""
    return Card(
        detector=detector,
        title=title,
        size_px=SIZE_PX,
        mean=MEAN,
        std=STD,
        margin=margin,
        fake_indices=(0,),
        real_indices=(),
        labels_known_by="fitted by us on labelled faces",
        license="research use (numbers learned from research-only data)",
        trained_on=(*data, TERMS),
        limits=(*limits, *COMMON_LIMITS),
    )


def line(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray, fitted_on: str
) -> Calibration:
    """The line from raw scores of faces that were not learned from to log-likelihood ratios."""
    scale, offset = platt(labels, scores, weights)
    return Calibration(
        scale=scale,
        offset=offset,
        fitted_on=fitted_on,
        n_real=int((labels == 0).sum()),
        n_fake=int((labels == 1).sum()),
        date=date.today().isoformat(),
    )


def figures(table: Table, llrs: np.ndarray, groups: np.ndarray) -> list[dict]:
    """AUC over all, by kind of fake, and false alarms by source, from held-out scores."""
    labels, rows = table.labels, table.rows
    result = [auc_figure("AUC, all", labels, llrs, groups, PROTOCOL)]
    kinds = rows["kind"].to_numpy() if "kind" in rows else np.where(labels == 1, "fake", "real")
    for kind in sorted(set(kinds[labels == 1])):
        subset = (labels == 0) | (kinds == kind)
        result.append(
            auc_figure(f"AUC, {kind}", labels[subset], llrs[subset], groups[subset], PROTOCOL)
        )
    protocol = f"{PROTOCOL}; alarm: log-likelihood ratio above {ALARM}"
    real = labels == 0
    result.append(share_figure("false alarms", llrs[real] > ALARM, groups[real], 0, protocol))
    for source in sorted(set(table.sources[real])):
        subset = real & (table.sources == source)
        name = f"false alarms, {source}"
        result.append(share_figure(name, llrs[subset] > ALARM, groups[subset], 0, protocol))
    return result


def fairness(table: Table, llrs: np.ndarray, known: pd.DataFrame, groups: np.ndarray) -> list[dict]:
    """False alarms by group of people, and the AUC of what no detector may live on.

    Args:
        table: the judged faces.
        llrs: (n,) held-out log-likelihood ratios.
        known: of `training.probes.people`, one row a face.
        groups: (n,) faces that belong together.
    """
    real, protocol = table.labels == 0, f"{PROTOCOL}; alarm: log-likelihood ratio above {ALARM}"
    result = [
        auc_figure(f"AUC of {name} alone", table.labels, known[name].to_numpy(), groups, PROTOCOL)
        for name in NUMBERS
    ]
    for kind in GROUPS:
        values = known[kind].to_numpy(str)
        for value in sorted(set(values[real]) - {""}):
            subset = real & (values == value)
            if subset.sum() >= LEAST:
                name = f"false alarms, {kind}: {value}"
                result.append(share_figure(name, llrs[subset] > ALARM, groups[subset], 0, protocol))
    return result


def dealt(judged: Table, always: Table) -> tuple[Table, np.ndarray]:
    """All faces, and the fold in which each is left out: -1 for those that are always learned."""
    folds = source_folds(judged.labels, judged.sources, FOLDS)
    return judged.and_(always), np.r_[folds, np.full(len(always.labels), -1)]


def out_of_fold(learned: Table, folds: np.ndarray, recipe: Recipe) -> np.ndarray:
    """(n,) scores by heads that saw nothing of a face's source; NaN in fold -1."""
    return held_out_scores(learned.features, learned.labels, learned.sources, recipe, folds)


def export(
    expert: Expert,
    judged: Table,
    copies: Table,
    always: Table,
    known: pd.DataFrame,
    folder: Path,
) -> None:
    """Fit, calibrate, measure and write the checkpoint of an expert that needs no control.

    Args:
        expert: what is special about it.
        judged: sources that are left out in turn, for calibration and figures.
        copies: the judged faces after degradation; left out with them, and calibrated on too.
        always: further faces that every head learns from.
        known: what is known of the judged faces (`training.probes.people`).
        folder: where the checkpoint is written; the held-out scores lie beside it, for
            `training.fusion.levels`.
    """
    both, clean = judged.and_(copies), len(judged.labels)
    learned, folds = dealt(both, always)
    bank, trusted = familiar.bank_of(learned, folds, familiar.columns(expert.parts))
    scores = (out_of_fold(learned, folds, expert.recipe) * trusted)[: len(both.labels)]
    fitted_on = f"faces of {len(set(judged.sources))} sources, each held out, clean and degraded"
    calibration = line(scores, both.labels, balanced_weights(both.labels, both.sources), fitted_on)
    head = fit(learned.features, learned.labels, learned.sources, expert.recipe)
    llrs = calibration.apply(scores)
    groups = judged.rows["group"].astype(str).to_numpy()
    measured = figures(judged, llrs[:clean], groups) + fairness(judged, llrs[:clean], known, groups)
    measured += degraded(copies, llrs[clean:])
    write(expert, head, 0.0, calibration, measured, folder, bank)
    held_out = judged.rows[["label", "source", "group"]].assign(llr=llrs[:clean])
    held_out.to_csv(folder.with_name(f"{folder.name}-held-out.csv"), index=False)


def degraded(copies: Table, llrs: np.ndarray) -> list[dict]:
    """AUC and false alarms on faces that were shrunk and encoded again, from held-out scores."""
    groups, real = copies.rows["group"].astype(str).to_numpy(), copies.labels == 0
    protocol = f"{PROTOCOL}; shrunk and encoded again, once or twice"
    alarms = f"{protocol}; alarm: log-likelihood ratio above {ALARM}"
    return [
        auc_figure("AUC, degraded", copies.labels, llrs, groups, protocol),
        share_figure("false alarms, degraded", llrs[real] > ALARM, groups[real], 0, alarms),
    ]


def export_mouth(expert: Expert, pairs: Table, features: Path, folder: Path) -> None:
    """The same for the mouth, whose eyes are its control (`training.probes.mouth`)."""
    head = fit(pairs.features, pairs.labels, pairs.sources, expert.recipe)
    folds = source_folds(pairs.labels, pairs.sources, FOLDS)
    scores = out_of_fold(pairs, folds, expert.recipe)
    made = mouth.self_made(head, pairs, scores, read(features, ("eyes-pairs-wild",)))
    result = mouth.evidence(head, features, made)
    fitted_on = "real files of many sources against self-made lip-sync and two lip-sync tools"
    calibration = line(result.scores, result.labels, result.weights, fitted_on)
    measured = mouth.figures(result, calibration.apply(result.scores))
    write(expert, head, mouth.CONTROL, calibration, measured, folder)


def write(
    expert: Expert,
    head: Head,
    control: float,
    calibration: Calibration,
    measured: list[dict],
    folder: Path,
    bank: familiar.Bank | None = None,
) -> None:
    """The folder of a checkpoint."""
    tensors = {
        "weight": head.weight.astype(np.float32),
        "bias": np.array([head.bias], np.float32),
    }
    config: dict[str, Any] = {
        "model_type": MODEL_TYPE,
        "frozen_backbone": BACKBONE,
        "features": [_without_none(part) for part in expert.parts],
        "control": control,
    }
    if bank is not None:
        tensors |= {"familiar": bank.faces, "familiar_distances": bank.distances}
        config["familiarity"] = {
            **_without_none(familiar.PART),
            "neighbors": familiar.NEIGHBORS,
            "shrinkage": familiar.SHRINKAGE,
        }
    write_folder(folder, tensors, config, with_figures(expert.card, measured, calibration))


def _without_none(part: Part) -> dict[str, object]:
    """A part as ``config.json`` has it; the detector's own view is not named."""
    return {name: value for name, value in dataclasses.asdict(part).items() if value is not None}
