"""How does a trained state become a checkpoint folder with a calibration, figures and a card?

`write` saves the averaged weights in half precision, `calibrate` fits the line to log-odds on the
held-out half that chose nothing. The card's figures on published fakes come from `training.cards`.
Imports `training`.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from transformers import AutoModelForImageClassification

from hub.checkpoint import Calibration, Card
from media.degrade import encode
from training.cards import page
from training.cards.writer import auc_figure, write_card
from training.spatial import data as spatial_data
from training.spatial import figures
from training.spatial.network import MEAN, STD, PatchLogits

log = logging.getLogger(__name__)

TRAINED_ON = (
    "DFDC challenge faces (6,742 real, 6,376 face swaps of 2019), research use",
    "450 FFHQ photos and 450 StyleGAN faces, research use",
    "272 web portraits, frames of Arabic news presenters and of actors speaking English (real)",
    "Fakes made from the real faces of each of these sources: self-blends, swaps, re-rendered "
    "faces, lower faces of another moment, animated photos, local edits, up-sampling traces",
    "5,950 of these faces, as they are, animated or swapped, drawn by Real-ESRGAN and SPAN "
    "networks (none of it is in the checkpoint)",
    "388 official portraits and 136 athletes' portraits (real), and 120 images and clips by "
    "image and video generators, out of public packages (`training.data.external`), research use",
)
LIMITS = (
    "Looks at single images: wrong motion or changed sound is not seen.",
    "Talking heads made from one photo are often missed (AUC, talking heads of four tools).",
    "Images and clips that a generator of today drew as a whole are often missed (AUC, fakes by "
    "today's generators); "
    "it saw 120 of them, by other makers.",
    "A GAN that it never saw can look real to it: ProGAN faces of 128 pixels rank no higher than "
    "real photos (AUC 0.41 against photos of origins never seen, 0.67 against studio portraits).",
    "Trained for about eleven core-hours; the figures say how many real faces of each source are "
    "called fake. Photos of sources that it never saw are called fake more often (packages).",
    "Faces under about 60 pixels and strong compression hide the traces.",
    "Not evidence about a person: it must not be the only ground for an accusation, a dismissal, a "
    "block or a publication.",
)
DEFAULT_CARD = Card(
    detector="spatial",
    title="DINOv2-small, nine layers, face swaps and self-made fakes",
    license="research use (weights learned from research-only data); base model Apache-2.0",
    size_px=spatial_data.INPUT_PX,
    mean=MEAN,
    std=STD,
    fake_indices=(1,),
    real_indices=(0,),
    labels_known_by="Named in config.json by the recipe that trained it (training/spatial/).",
    trained_on=TRAINED_ON,
    limits=LIMITS,
)


def write(model: PatchLogits, folder: Path) -> float:
    """Save the checkpoint folder in bfloat16.

    Returns:
        The largest change of a logit by the loss of precision, on noise images.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pixels = torch.randn(8, 3, spatial_data.INPUT_PX, spatial_data.INPUT_PX)
    with torch.no_grad():
        before = model(pixels)[0]
    model.network.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    with torch.no_grad():
        change = (load(folder)(pixels)[0] - before).abs().max().item()
    write_card(folder, DEFAULT_CARD)
    return change


def load(folder: Path) -> PatchLogits:
    """A checkpoint folder as the app loads it, in single precision."""
    network = AutoModelForImageClassification.from_pretrained(folder, dtype=torch.float32)
    return PatchLogits(network).eval()


def read_card(folder: Path) -> Card:
    """card.json of a folder."""
    return Card.from_json((folder / "card.json").read_text(encoding="utf-8"))


# --- scores --------------------------------------------------------------------------------------


def scores(
    model: PatchLogits, crops: Path, selection: bool, tiers: Iterable[str] = figures.DEGRADATIONS
) -> pd.DataFrame:
    """Raw logits of one half of the held-out faces in some tiers, and of self-made fakes.

    Returns:
        A row for each face and tier: source, label, group, tier, raw, size_bytes (of the network's
        input as JPEG: the baseline that must not explain the result).
    """
    table, faces = figures.held_out(crops, selection), figures.Faces(crops)
    tables = []
    for tier in tiers:
        degrade = figures.DEGRADATIONS[tier]
        inputs = [figures.to_input(faces.face(r.part, r.row), degrade) for r in table.itertuples()]
        raw = figures.logits(model, inputs)
        sizes = [len(encode(image, 90)) for image in inputs]
        tables.append(table.assign(tier=tier, raw=raw, size_bytes=sizes))
        log.info("%s: %d faces", tier, len(table))
    made = figures.self_made(crops, table)
    made = made.assign(tier="self-made", raw=figures.logits(model, list(made.image)))
    return pd.concat([*tables, made.drop(columns="image")], ignore_index=True)


def calibrate(folder: Path, table: pd.DataFrame, fitted_on: str) -> None:
    """Fit log-odds = scale * raw + offset (Platt 1999) and store it in the card.

    Every source of real faces weighs the same; of the fakes, swaps, generated faces and self-made
    ones weigh a third each (the many faint self-made ones would hide what the network knows of the
    others); real and fake weigh the same together.
    """
    made = (table.label == 1) & table.tier.eq("self-made")
    table = table.assign(origin=np.where(made, "self-made", table.source))
    weights = np.zeros(len(table))
    for label in (0, 1):
        subset = table.label == label
        counts = table.origin[subset].map(table.origin[subset].value_counts())
        weights[subset] = 0.5 / counts / table.origin[subset].nunique()
    fit = LogisticRegression(C=1e6)
    fit.fit(table[["raw"]].to_numpy(), table.label, sample_weight=weights * len(table))
    line = Calibration(
        scale=round(float(fit.coef_[0, 0]), 4),
        offset=round(float(fit.intercept_[0]), 4),
        fitted_on=fitted_on,
        n_real=int((table.label == 0).sum()),
        n_fake=int((table.label == 1).sum()),
        date=datetime.date.today().isoformat(),
    )
    write_card(folder, replace(read_card(folder), calibration=line))


# --- figures -------------------------------------------------------------------------------------


def _auc(name: str, table: pd.DataFrame, protocol: str = "") -> dict:
    return auc_figure(name, table.label, table.raw, table.group.astype(str), protocol)


def figure_words(table: pd.DataFrame, half: str) -> Iterator[dict]:
    """AUC by part and tier on the prepared crops, and of file size alone: for the training log."""
    for tier in [t for t in figures.DEGRADATIONS if t in set(table.tier)]:
        part = table[table.tier == tier]
        swaps = part[part.source == "dfdc"]
        generated = part[part.source.isin(["ffhq", "stylegan"])]
        yield _auc(f"{half}, DFDC, {tier}", swaps)
        yield _auc(f"{half}, StyleGAN, {tier}", generated)
        if tier == "clean":
            yield _auc(f"{half}, DFDC, file size alone", swaps.assign(raw=swaps.size_bytes))


def self_made(table: pd.DataFrame, half: str) -> list[dict]:
    """Figures of the card that only this recipe can make: self-made fakes of each source."""
    made = table[table.tier == "self-made"]
    made = made.assign(group=np.arange(len(made)))
    protocol = f"{half}, one image a face, degraded alike"
    return [
        _auc(f"AUC, self-made fakes of {source}", part, protocol)
        for source, part in made.groupby("source")
    ]


def store(folder: Path, result: list[dict]) -> None:
    """Write the card, all figures and the page."""
    page.write(folder, read_card(folder), result)
