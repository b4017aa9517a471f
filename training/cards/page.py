"""What does the one page say that stands beside a checkpoint?

A model card after Whisper's: intended use, data and terms, six figures, limits. All other figures
are rows of ``figures.csv``. `write` is the one place that writes ``card.json``, ``figures.csv`` and
``README.md`` of an embedded checkpoint. Imports hub.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.checkpoint import Card
from hub.publish import FIGURES

WORDS = {  # what a reader calls sets and sources of files that recipes name in short
    "devset": "talking heads of four tools",
    "devset clips": "mixed real clips",
    "outside": "fakes by today's generators",
    "wild clips": "real clips of tools' pages",
    "talking-ar": "Arabic news presenters",
    "talking-en": "actors speaking English",
    "real talking-ar": "real Arabic news presenters",
    "real talking-en": "real actors speaking English",
    "real officials": "official portraits",
    "real athletes": "athletes' portraits",
}
COLUMNS = ("name", "value", "low", "high", "n_real", "n_fake", "protocol")
HEADLINES = 6
README = """---
license: other
tags: [deepfake-detection, {detector}]{front}
---
# {title}

{about}

## Intended use

{use}

## Data and terms

{data}

The data may be used for research; so may these weights. No image, voice or name of a person is
in this folder.{terms}

Trained by `python -m {recipe}`; `training/LOG.md` has the experiments, failures
too.

## Figures

{calibration}
Intervals are 95 %, by bootstrap over people or source videos. All {count} rows: `figures.csv`.

{figures}

## What it cannot see, and what it must not be used for

{limits}
"""
TABLE_HEAD = "| what | value | 95 % interval | real | fake |\n|---|---|---|---|---|\n"
WHISPER_TERMS = """

The tensors of the audio encoder are layers of Whisper, Copyright (c) 2022 OpenAI, under the MIT
license: "Permission is hereby granted, free of charge, to any person obtaining a copy of this
software and associated documentation files (the "Software"), to deal in the Software without
restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions: The above copyright notice and
this permission notice shall be included in all copies or substantial portions of the Software. THE
SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT.
IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.\""""


@dataclass(frozen=True)
class Page:
    """What only a person can write of a checkpoint.

    Attributes:
        about: what it looks at, and how.
        use: what its score means and how to get it.
        headlines: name and a part of the protocol of the six figures that stand on the page.
        recipe: what trains it, of `python -m`; empty for `training.recipe` with its detector.
        front: further lines of the front matter.
        terms: license notices.
    """

    about: str
    use: str
    headlines: tuple[tuple[str, str], ...]
    recipe: str = ""
    front: str = ""
    terms: str = ""


PAGES = {
    "spatial": Page(
        about="Says whether one image of a face looks manipulated. DINOv2-small (Apache-2.0), nine "
        "layers, with a linear head on the class token and on the mean of the patch tokens: what "
        "each patch adds to the score is exact, and the heatmaps show just that.",
        use="`AutoModelForImageClassification.from_pretrained(FOLDER)`, 168 x 168 pixels, RGB, "
        "ImageNet mean and deviation, on the tight upright crop of a face (eyes level, side 2.75 "
        "times the distance from eyes to mouth). Label 0 is real, label 1 is fake; the raw score "
        "is logit(fake) minus logit(real), averaged over images.",
        headlines=(
            ("AUC, DFDC face swaps, as published", ""),
            ("AUC, StyleGAN against FFHQ, as published", ""),
            ("AUC, talking heads of four tools", ""),
            ("AUC, fakes by today's generators", ""),
            ("False alarms, real dfdc, as published", ""),
            ("False alarms, official portraits", ""),
        ),
        front="\npipeline_tag: image-classification\nlibrary_name: transformers",
    ),
    "frequency": Page(
        about="Says whether the fine detail of a face looks drawn by a network. 1,029 numbers of "
        "an upright face crop (block DCT, wavelet and noise-residual statistics of eight regions, "
        "Fourier spectrum, spectral peaks, traces of interpolation) and one hidden layer.",
        use="Read by `detectors.frequency` of this program. Positive raw scores speak for fake; up "
        "to six images of a window are averaged. `config.json` holds the domain: without fine "
        "detail there is no number.",
        headlines=(
            ("AUC, DFDC face swaps, as published", ""),
            ("AUC, StyleGAN against FFHQ, as published", ""),
            ("AUC, talking heads of four tools", ""),
            ("AUC, fakes by today's generators", ""),
            ("False alarms, real dfdc, as published", ""),
            ("Judged, real dfdc, as published", ""),
        ),
    ),
    "temporal": Page(
        about="Says whether a face moves as a filmed one does. A VideoMAE classifier: 16 frames of "
        "112 px at 25 Hz, 0.64 s of one face, cut with one crop for the whole run, so that what "
        "trembles in it trembles in the video.",
        use="`AutoModelForVideoClassification.from_pretrained(FOLDER)` on runs cut by "
        "`media.align.steady`. Label 1 is fake.",
        headlines=(
            ("AUC, talking heads, clean", ""),
            ("AUC, talking heads, web", ""),
            ("AUC, self-made all", ""),
            ("AUC, fakes by today's generators", ""),
            ("false alarms, Arabic news presenters", ""),
            ("false alarms, actors speaking English", ""),
        ),
        front="\npipeline_tag: video-classification\nlibrary_name: transformers",
    ),
    "generation": Page(
        about="Says whether a face as a whole was drawn by a network. A linear head on CLIP "
        "ViT-B/16, which stays frozen and was never trained on fakes: class tokens of layers 6, 8, "
        "10 and 12 and mean patch tokens of layers 4 and 8, each of unit length. Sources weigh by "
        "the root of their size; directions in which real sources differ from each other are "
        "projected out. It shows no heatmap: a class token has no place in the image.",
        use="Read by `detectors.generation` of this program, on the face with 30 % margin at 224 "
        "px. Two frames of a window, or an image and its mirror image, are averaged.",
        headlines=(
            ("AUC, all", ""),
            ("AUC, diffusion", ""),
            ("AUC, talking-head", ""),
            ("AUC, text-to-video", ""),
            ("AUC, face-swap", ""),
            ("false alarms", ""),
        ),
    ),
    "mouth": Page(
        about="Says whether mouth and chin were drawn again and pasted back, as lip-sync tools do. "
        "A linear head on CLIP ViT-B/16, which stays frozen. It learned from pairs: a real face, "
        "and the same face with its lower part drawn at 50 to 140 px and pasted back, both through "
        "the same resize and encoder. Half of the head's score of the eyes, which lip-sync leaves "
        "alone, is taken off: camera and codec set the level of both.",
        use="Read by `detectors.mouth` of this program, on the lower middle of the face at 224 px. "
        "Two frames of a window, or an image and its mirror image, are averaged.",
        headlines=(
            ("AUC, self-made lip-sync", ""),
            ("AUC, lip-sync tools, clips", ""),
            ("false alarms, real clips of tools' pages", ""),
            ("false alarms, mixed real clips", ""),
            ("found, self-made lip-sync", ""),
            ("found, lip-sync tools, clips", ""),
        ),
    ),
    "sync": Page(
        about="Says by how many milliseconds mouth and sound of a talking face are apart, how sure "
        "that is, and how likely they do not belong together. Mouth images with the outline of "
        "lips and chin, and frozen lower layers of Whisper tiny.en, give unit vectors at 25 Hz; "
        "the mean cosine by lag (±600 ms) over frames with speech is the evidence. It learned from "
        "real speech alone.",
        use="Read by `detectors.sync` of this program. The score is a log-likelihood ratio of a "
        "foreign or moved sound, between -2.27 and +3.40, under two shares: 90 % of such files and "
        "3 % of real recordings are out of step. It says nothing about the image.",
        headlines=(
            ("AUC, dubbed", ""),
            ("AUC in step against shifted", "unseen people, clean, en"),
            ("AUC in step against shifted", "unseen people, clean, ar"),
            ("AUC in step against other person", "real files of devset"),
            ("AUC, talking heads of four tools", ""),
            ("False alarms, real Arabic news presenters", ""),
        ),
        front="\npipeline_tag: video-classification",
        terms=WHISPER_TERMS,
    ),
    "landmarks": Page(
        about="Measures 1.5 seconds or more of a face at up to 25 images a second: in four bands "
        "of detail and three regions that 468 landmarks have aligned, how much detail there is, "
        "how fast it changes and how evenly. A linear classifier adds these up.",
        use="Read by `detectors.landmarks` of this program. Positive scores speak for an animated "
        "face. Blinks, mouth and head movement are measured and shown, but not judged: they did "
        "not carry over to unseen tools.",
        headlines=(
            ("AUC, talking heads, clean", ""),
            ("AUC, talking heads, web", ""),
            ("AUC, fakes by today's generators", ""),
            ("false alarms, driving-video", ""),
            ("false alarms, Arabic news presenters", ""),
            ("false alarms, actors speaking English", ""),
        ),
    ),
}


ALTERNATIVES = {
    "clip-attention": Page(
        about="Says whether one image of a face looks manipulated. Four learned queries (after "
        "multi-attention, Zhao et al. 2021) on the patch tokens of layer 8 of CLIP ViT-B/16, which "
        "stays frozen. Each looks at places of its own; what it adds there is an exact share of "
        "the score and is shown as a map of its own.",
        use="`--checkpoint spatial=clip-attention`, or this name in the row of *spatial* on the "
        "page. The face with 30 % margin at 224 px, CLIP's mean and deviation; up to eight frames "
        "of a window, or an image and its mirror image, are averaged.",
        headlines=(
            ("AUC, all", ""),
            ("AUC, diffusion", ""),
            ("AUC, face-swap", ""),
            ("AUC, lip-sync", ""),
            ("AUC, talking-head", ""),
            ("false alarms", ""),
        ),
        recipe="training.spatial.attention",
    ),
    "clip-lstm": Page(
        about="Says whether a face moves as a filmed one does. A bidirectional LSTM with 32 units "
        "each way on the class tokens of layer 8 of CLIP ViT-B/16, which stays frozen: 16 frames "
        "at 12.5 Hz, 1.2 s of one face, whose mean is taken off.",
        use="`--checkpoint temporal=clip-lstm`, or this name in the row of *temporal* on the page. "
        "Runs are cut by `media.align.steady`; one run of a window is looked at.",
        headlines=(("AUC, all", ""), ("false alarms", "")),
        recipe="training.temporal.recurrent",
    ),
}
"""The same for those of hub/alternatives, by the name of their folder."""


def write(
    folder: Path, card: Card, figures: Sequence[Mapping[str, Any]], name: str | None = None
) -> None:
    """Write ``card.json`` (six figures), ``figures.csv`` (all) and ``README.md``.

    Args:
        folder: of the checkpoint.
        card: all that is known; its own figures are replaced.
        figures: every measured value, as `training.cards.writer` makes them.
        name: of `ALTERNATIVES`; None for the page of its role.
    """
    figures = [{**row, "name": in_words(row["name"])} for row in figures]
    plain = Page(card.title, card.labels_known_by, ())
    texts = ALTERNATIVES[name] if name else PAGES.get(card.detector, plain)
    card = dataclasses.replace(card, figures=tuple(headlines(texts, figures)))
    card.save(folder)
    with (folder / FIGURES).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: row.get(name) for name in COLUMNS} for row in figures)
    (folder / "README.md").write_text(page(texts, card, len(figures)), encoding="utf-8")


def in_words(name: str) -> str:
    """The name of a figure with its sets and sources as a reader calls them."""
    return ", ".join(WORDS.get(part, part) for part in name.split(", "))


def read_figures(folder: Path) -> list[dict[str, Any]]:
    """All rows of ``figures.csv``, numbers as numbers; those of the card where there is no file."""
    path = folder / FIGURES
    if not path.is_file():
        return [dict(row) for row in Card.from_json((folder / "card.json").read_text()).figures]
    with path.open(newline="", encoding="utf-8") as file:
        return [_typed(row) for row in csv.DictReader(file)]


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    typed: dict[str, Any] = {"name": row["name"], "protocol": row["protocol"]}
    for name in ("value", "low", "high"):
        typed[name] = float(row[name]) if row[name] else None
    for name in ("n_real", "n_fake"):
        typed[name] = int(row[name] or 0)
    return {name: typed[name] for name in COLUMNS}


def headlines(texts: Page, figures: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows that stand on the page; the first six where nobody has named them."""
    if not texts.headlines:
        return [dict(row) for row in figures[:HEADLINES]]
    result = []
    for name, part in texts.headlines:
        rows = [row for row in figures if row["name"] == name and part in row["protocol"]]
        result += [dict(row) for row in rows[:1]]
    return result


def page(texts: Page, card: Card, count: int) -> str:
    """The text of ``README.md``.

    Args:
        texts: of `PAGES` or `ALTERNATIVES`.
        card: with the figures of the page.
        count: rows of ``figures.csv``.
    """
    return README.format(
        detector=card.detector,
        front=texts.front,
        title=card.title,
        about=texts.about,
        use=texts.use,
        data="\n".join(f"- {line}" for line in card.trained_on),
        terms=texts.terms,
        recipe=texts.recipe or f"training.recipe {card.detector}",
        calibration=_calibration(card),
        count=count,
        figures=TABLE_HEAD + "\n".join(_row(figure) for figure in card.figures),
        limits="\n".join(f"- {line}" for line in card.limits),
    )


def _calibration(card: Card) -> str:
    line = card.calibration
    if line is None:
        return "Not calibrated."
    vote = "" if card.votes else " Experimental: shown to the user, no vote in the verdict."
    return (
        f"Log-likelihood ratio = {line.scale:.3f} x raw {line.offset:+.3f} (Platt, 1999), fitted "
        f"on {line.fitted_on} ({line.n_real} real, {line.n_fake} fake), {line.date}; real and fake "
        f"weigh the same.{vote}"
    )


def _row(figure: Mapping[str, Any]) -> str:
    low, high = figure["low"], figure["high"]
    limits = "" if low is None else f"{low:.3f} to {high:.3f}"
    return (
        f"| {figure['name']} | {figure['value']:.3f} | {limits} | {figure['n_real']} "
        f"| {figure['n_fake']} |"
    )
