"""How does a trained state become a checkpoint folder with a calibration, figures and a card?

`write` saves the averaged weights in half precision, `calibrate` fits the line to log-odds,
`evaluate` measures what the card states, on the held-out half that chose nothing, and on a folder
of labelled clips. Imports `media` and `training`.
"""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from transformers import AutoModelForImageClassification

from media import align
from media.faces import FaceFinder
from training import spatial_data
from training import spatial_figures as figures
from training.spatial import MEAN, STD, PatchLogits

log = logging.getLogger(__name__)

DRAWS = 1000  # of the bootstrap
CLIP_FRAMES = 8  # pictures looked at in a labelled clip
INDICATIVE_BELOW = 200  # samples
TRAINED_ON = (
    "DFDC challenge faces (6,742 real, 6,376 face swaps of 2019), research use",
    "450 FFHQ photos and 450 StyleGAN faces, research use",
    "272 web portraits, frames of Arabic news presenters and of actors speaking English (real)",
    "Fakes made from the real faces of each of these sources: self-blends, swaps, re-rendered "
    "faces, lower faces of another moment, animated photos, local edits, up-sampling traces",
)
LIMITS = (
    "Looks at single pictures: wrong motion or changed sound is not seen.",
    "Talking heads made from one photo are hardly recognised: AUC 0.65 on the development clips.",
    "Learned from few generators; diffusion portraits and tools newer than the data may pass.",
    "Trained for less than three hours on processor cores and still improving when it ended; the "
    "figures say how many real faces of each source are called fake.",
    "Faces under about 60 pixels and strong compression hide the traces.",
    "Not evidence about a person: it must not be the only ground for an accusation, a dismissal, a "
    "block or a publication.",
)
DEFAULT_CARD = {
    "detector": "spatial",
    "title": "DINOv2-small, nine layers, face swaps and self-made fakes",
    "version": "1",
    "licence": "research use (weights learned from research-only data); base model Apache-2.0",
    "crop": "face",
    "margin": 0.0,
    "size_px": spatial_data.INPUT_PX,
    "mean": list(MEAN),
    "std": list(STD),
    "frames": 1,
    "rate_hz": None,
    "fake_indices": [1],
    "real_indices": [0],
    "labels_known_by": "Named in config.json by the recipe that trained it (training/spatial.py).",
    "calibration": None,
    "votes": True,
    "trained_on": list(TRAINED_ON),
    "limits": list(LIMITS),
    "figures": [],
}
CALIBRATION_LINE = (
    "log-odds = {scale} x raw + {offset}, fitted on {fitted_on} ({n_real} real, {n_fake} fake), "
    "{date}."
)
README = """---
license: other
pipeline_tag: image-classification
library_name: transformers
tags: [deepfake-detection]
---
# {title}

Says whether one picture of a face looks manipulated: label 0 is real, label 1 is fake.

## How to use it
`AutoModelForImageClassification.from_pretrained(FOLDER)`, 168 x 168 pixels, RGB, ImageNet mean and
deviation, on the tight upright crop of a face (eyes level, side 2.75 times the distance from eyes
to mouth). The raw score is logit(fake) minus logit(real), averaged over pictures. The head is
linear on the class token and on the mean of the patch tokens, so what each patch adds to the score
is exact; the heatmaps show just that.

## Calibration
{calibration}
Real and fake weigh the same, so log-odds assume that both are equally likely.

## Data and terms
{data}

The data may be used for research; so may these weights. Base weights: DINOv2-small (Apache-2.0).

## Recipe
`training/spatial.py`: every fake is shown beside a real face of the same source, and both go
through the same draw of resizing, JPEG or WebP, sharpening, smoothing, colour, noise and captions,
so that neither the source nor the encoder is the cue. Blocks 3 to 9 are trained with layer-wise
rates, half of the patches are dropped, weights are averaged; a second loss tells the patches which
area was touched. `training/LOG.md` has the experiments, failures too.

## Figures
AUC or share, with 95 % bootstrap intervals over groups (people or source videos).

| what | value | 95 % interval | real | fake | protocol |
|---|---|---|---|---|---|
{figures}

## What it cannot see, and what it must not be used for
{limits}
"""


def write(model: PatchLogits, folder: Path) -> float:
    """Save the checkpoint folder in bfloat16.

    Returns:
        The largest change of a logit by the loss of precision, on noise pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pixels = torch.randn(8, 3, spatial_data.INPUT_PX, spatial_data.INPUT_PX)
    with torch.no_grad():
        before = model(pixels)[0]
    model.network.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    with torch.no_grad():
        change = (load(folder)(pixels)[0] - before).abs().max().item()
    _write_card(folder, DEFAULT_CARD)
    return change


def load(folder: Path) -> PatchLogits:
    """A checkpoint folder as the app loads it, in single precision."""
    network = AutoModelForImageClassification.from_pretrained(folder, dtype=torch.float32)
    return PatchLogits(network).eval()


def read_card(folder: Path) -> dict:
    """card.json of a folder."""
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def _write_card(folder: Path, card: dict) -> None:
    text = json.dumps(card, indent=2, ensure_ascii=False)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")


# --- scores --------------------------------------------------------------------------------------


def scores(model: PatchLogits, crops: Path, selection: bool) -> pd.DataFrame:
    """Raw logits of one half of the held-out faces, clean and harmed, and of self-made fakes.

    Returns:
        A row for each face and tier: source, label, group, tier, raw, size_bytes (of the network's
        input as JPEG: the baseline that must not explain the result).
    """
    table, faces = figures.held_out(crops, selection), figures.Faces(crops)
    tables = []
    for tier, harm in figures.HARM.items():
        inputs = [figures.to_input(faces.face(r.part, r.row), harm) for r in table.itertuples()]
        raw = figures.logits(model, inputs)
        sizes = [_jpeg_bytes(picture) for picture in inputs]
        tables.append(table.assign(tier=tier, raw=raw, size_bytes=sizes))
        log.info("%s: %d faces", tier, len(table))
    made = figures.self_made(crops, table)
    made = made.assign(tier="self-made", raw=figures.logits(model, list(made.picture)))
    return pd.concat([*tables, made.drop(columns="picture")], ignore_index=True)


def _jpeg_bytes(picture: np.ndarray) -> int:
    return len(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


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
        own = table.label == label
        counts = table.origin[own].map(table.origin[own].value_counts())
        weights[own] = 0.5 / counts / table.origin[own].nunique()
    fit = LogisticRegression(C=1e6)
    fit.fit(table[["raw"]].to_numpy(), table.label, sample_weight=weights * len(table))
    card = read_card(folder)
    card["calibration"] = {
        "scale": round(float(fit.coef_[0, 0]), 4),
        "offset": round(float(fit.intercept_[0]), 4),
        "fitted_on": fitted_on,
        "n_real": int((table.label == 0).sum()),
        "n_fake": int((table.label == 1).sum()),
        "date": datetime.date.today().isoformat(),
    }
    _write_card(folder, card)


def log_odds(folder: Path, raw: pd.Series) -> pd.Series:
    """Raw scores through the folder's calibration."""
    fitted = read_card(folder)["calibration"]
    return fitted["scale"] * raw + fitted["offset"]


# --- figures -------------------------------------------------------------------------------------


def interval(table: pd.DataFrame, value: str = "raw") -> tuple[float, float, float]:
    """AUC with its 95 % bootstrap interval over groups."""
    auc = roc_auc_score(table.label, table[value])
    groups, index = np.unique(table.group.astype(str), return_inverse=True)
    rng, drawn = np.random.default_rng(0), []
    for _ in range(DRAWS):
        weights = np.bincount(rng.integers(len(groups), size=len(groups)), minlength=len(groups))[
            index
        ]
        if 0 < table.label[weights > 0].mean() < 1:
            drawn.append(roc_auc_score(table.label, table[value], sample_weight=weights))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return round(float(auc), 4), round(float(low), 4), round(float(high), 4)


def figure(name: str, table: pd.DataFrame, protocol: str, value: str = "raw") -> dict:
    """One entry of the card's figures."""
    auc, low, high = interval(table, value)
    counts = table.label.value_counts()
    if counts.min() < INDICATIVE_BELOW:
        protocol += "; few samples, indicative"
    return {
        "name": name,
        "value": auc,
        "low": low,
        "high": high,
        "n_real": int(counts[0]),
        "n_fake": int(counts[1]),
        "protocol": protocol,
    }


def evaluate(table: pd.DataFrame, half: str, tiers: Iterable[str] = figures.HARM) -> list[dict]:
    """AUC by part and tier, of the baseline, and of self-made fakes by source."""
    protocol = f"{half}, one picture a face, tight crop 168 px"
    found = []
    for tier in tiers:
        part = table[table.tier == tier]
        swaps = part[part.source == "dfdc"]
        gan = part[part.source.isin(["ffhq", "stylegan"])]
        found.append(figure(f"AUC, DFDC face swaps, {tier}", swaps, protocol))
        found.append(figure(f"AUC, StyleGAN against FFHQ, {tier}", gan, protocol))
        if tier == "clean":
            name = "AUC of file size alone, DFDC face swaps"
            found.append(figure(name, swaps, protocol + ", baseline", "size_bytes"))
    made = table[table.tier == "self-made"]
    made = made.assign(group=np.arange(len(made)))
    for source, part in made.groupby("source"):
        found.append(
            figure(f"AUC, self-made fakes of {source}", part, protocol + ", degraded alike")
        )
    return found


def false_alarms(folder: Path, table: pd.DataFrame, half: str) -> list[dict]:
    """Share of real faces of each source with calibrated log-odds above 0."""
    real = table[(table.label == 0) & (table.tier == "clean")]
    real = real.assign(alarm=log_odds(folder, real.raw) > 0)
    found = []
    for source, part in real.groupby("source"):
        by_group = part.groupby("group").alarm.mean().to_numpy()
        rng = np.random.default_rng(0)
        draws = by_group[rng.integers(len(by_group), size=(DRAWS, len(by_group)))].mean(1)
        low, high = np.quantile(draws, [0.025, 0.975])
        found.append(
            {
                "name": f"False alarms, real {source}, clean",
                "value": round(float(by_group.mean()), 4),
                "low": round(float(low), 4),
                "high": round(float(high), 4),
                "n_real": len(part),
                "n_fake": 0,
                "protocol": f"{half}, log-odds above 0",
            }
        )
    return found


def store(folder: Path, found: list[dict]) -> None:
    """Put the figures into the card and write the model card README.md."""
    card = read_card(folder)
    card["figures"] = found
    _write_card(folder, card)
    rows = [
        f"| {f['name']} | {f['value']:.3f} | {f['low']:.3f} to {f['high']:.3f} | {f['n_real']} | "
        f"{f['n_fake']} | {f['protocol']} |"
        for f in found
    ]
    fitted = card["calibration"]
    text = README.format(
        title=card["title"],
        data="\n".join(f"- {line}" for line in card["trained_on"]),
        limits="\n".join(f"- {line}" for line in card["limits"]),
        figures="\n".join(rows),
        calibration=CALIBRATION_LINE.format(**fitted),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


# --- labelled clips ------------------------------------------------------------------------------


def clip_scores(model: PatchLogits, folder: Path) -> pd.DataFrame:
    """Mean raw logit of a few pictures of every clip in ``folder/labels.csv``."""
    table = pd.read_csv(folder / "labels.csv")
    raw = []
    with FaceFinder() as finder:
        for name in table["file"]:
            inputs = [
                crop for picture in _frames(folder / name) for crop in _main_face(picture, finder)
            ]
            raw.append(figures.logits(model, inputs).mean() if inputs else np.nan)
    label = table["label"].map(lambda value: int(str(value).lower() in ("1", "fake")))
    return table.assign(raw=raw, label=label, group=table["file"])


def clip_figures(folder: Path, table: pd.DataFrame) -> list[dict]:
    """AUC of labelled clips, by kind of fake, and the false alarms of the real ones."""
    seen = table.dropna(subset="raw")
    protocol = f"development clips, {CLIP_FRAMES} pictures a clip, nothing tuned on them"
    found = [figure("AUC, clips", seen, protocol)]
    for kind in sorted(seen.kind[seen.label == 1].unique()):
        part = seen[(seen.label == 0) | (seen.kind == kind)]
        found.append(figure(f"AUC, clips, {kind}", part, protocol))
    seen = seen.assign(tier="clean")
    found += false_alarms(folder, seen.assign(source="clips"), protocol)
    return found + false_alarms(folder, seen.assign(source="clips, " + seen.kind), protocol)


def _frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [frames[i] for i in np.linspace(0, len(frames) - 1, CLIP_FRAMES).astype(int)]


def _main_face(picture: np.ndarray, finder: FaceFinder) -> list[np.ndarray]:
    """The network's input of the largest face, made as in the app."""
    faces = finder.find(picture)[:1]
    size = (spatial_data.INPUT_PX, spatial_data.INPUT_PX)
    crops = [align.cut(picture, align.face_matrix(f.landmarks), align.CROP_PX) for f in faces]
    return [
        cv2.resize(align.centre(crop, align.TIGHT_PX), size, interpolation=cv2.INTER_AREA)
        for crop in crops
    ]
