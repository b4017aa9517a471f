"""Which figures of ``cli.py evaluate`` stand in the model cards?

``python -m training.cards RESULTS…`` reads what ``cli.py evaluate`` wrote for the manifests of
`training.data` (one folder each, named as its manifest) and puts those figures beside every
embedded checkpoint, in place of the former ones; figures of a recipe's own test (self-made fakes,
shifted sound) stay. Without RESULTS the pages are written anew. Imports evaluation, hub and
training.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from detectors.registry import roles
from hub.checkpoint import Card
from training.cards import page
from training.cards.writer import auc_figure, share_figure
from training.spatial.figures import is_selection

DEFAULTS = Path(__file__).parent.parent.parent / "hub" / "defaults"
PROTOCOL = "cli.py evaluate"  # how the protocol of every figure of this module begins
FACE_SETS = {
    "faces": "as published",
    "faces-jpeg40": "after JPEG 40",
    "faces-half": "at half size",
}
LEAST = 3  # files of each class, below which there is no figure
IN_SAMPLE = {(d, s) for d in ("landmarks", "temporal") for s in ("devset", "talking", "dubbed")}


@dataclass(frozen=True)
class Results:
    """What ``evaluate`` found on one set.

    Attributes:
        name: of the manifest.
        table: a row a file: label, group, kind, source, and ``NAME_log_odds`` of each detector.
        baselines: of metrics.json.
    """

    name: str
    table: pd.DataFrame
    baselines: dict

    @property
    def protocol(self) -> str:
        """How the figures were made."""
        maker = "external" if self.name in ("outside", "studio") else "manifests"
        return f"{PROTOCOL} {self.name}.csv (training.data.{maker}), one number a file"


def read_results(folder: Path) -> Results:
    """One folder of ``cli.py evaluate``."""
    scores = pd.read_csv(folder / "scores.csv")
    items = pd.read_csv(folder / "items.csv", keep_default_na=False)
    sources = items["source"].str.replace(r"^package-.*", "packages", regex=True)
    table = scores.assign(source=sources.to_numpy(), group=items["group"].to_numpy())
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    return Results(folder.name, table, metrics["baselines"])


def figures(detector: str, results: Results) -> Iterator[dict]:
    """All figures of one detector on one set, as far as it gave numbers."""
    table = results.table.assign(value=results.table[f"{detector}_log_odds"])
    deaf = results.name == "dubbed" and detector != "sync"  # both copies show the same images
    if deaf or table.value.notna().sum() < LEAST:
        return
    protocol = results.protocol
    if (detector, results.name) in IN_SAMPLE:
        protocol += "; its recipe was fitted on files of this set"
    for name, part in _parts(results.name, table):
        yield from _ranked(name, part, protocol)
    if results.name == "faces" and detector in ("spatial", "frequency"):
        chosen_nothing = ~table.group.str.partition("-")[2].map(is_selection)
        swaps = table[chosen_nothing & (table.source == "dfdc")]
        name = "AUC, DFDC face swaps, groups that chose nothing"
        yield from _ranked(name, swaps, protocol)
    for source, part in table[table.label == 0].groupby("source"):
        alarms = part.value.fillna(-1.0) > 0
        state = f", {FACE_SETS[results.name]}" if results.name in FACE_SETS else ""
        name = f"False alarms, real {source}{state}"
        yield share_figure(name, alarms, part.group, 0, protocol + ", log-odds above 0")
        judged = part.value.notna()
        if results.name in FACE_SETS and judged.mean() < 0.9:
            name = f"Judged, real {source}, {FACE_SETS[results.name]}"
            yield share_figure(name, judged, part.group, 0, protocol)


def _parts(name: str, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Names and files of the rankings of one set."""
    if name in FACE_SETS:
        words = FACE_SETS[name]
        yield f"AUC, DFDC face swaps, {words}", table[table.source == "dfdc"]
        generated = table[table.source.isin(["ffhq", "stylegan"])]
        yield f"AUC, StyleGAN against FFHQ, {words}", generated
        yield f"AUC, faces-val, {words}", table
        return
    yield f"AUC, {name}", table
    kinds = sorted(table.kind[table.label == 1].unique())
    for kind in kinds if len(kinds) > 1 else []:
        yield f"AUC, {name}, {kind}", table[(table.label == 0) | (table.kind == kind)]


def _ranked(name: str, part: pd.DataFrame, protocol: str) -> Iterator[dict]:
    """An AUC over the files that have a number, if there are enough of both classes."""
    part = part[part.value.notna()]
    if part.label.value_counts().reindex([0, 1], fill_value=0).min() >= LEAST:
        yield auc_figure(name, part.label, part.value, part.group, protocol)


def baseline_figures(results: Results) -> Iterator[dict]:
    """What metadata alone and file size alone reach on the set."""
    counts = results.table.label.value_counts()
    for key, name in (("metadata", "metadata alone"), ("file_size", "file size alone")):
        result = results.baselines[key]["auc"]
        if result is None:
            continue
        value = result if isinstance(result, float) else result["value"]
        yield {
            "name": f"AUC of {name}, {results.name}",
            "value": round(value, 3),
            "low": None if isinstance(result, float) else round(result["low"], 3),
            "high": None if isinstance(result, float) else round(result["high"], 3),
            "n_real": int(counts.get(0, 0)),
            "n_fake": int(counts.get(1, 0)),
            "protocol": f"{results.protocol}, baseline",
        }


def rewrite(folder: Path, result: list[dict]) -> None:
    """Replace this module's figures; with none, only write the page and its table anew."""
    card = Card.from_json((folder / "card.json").read_text("utf-8"))
    rows = page.read_figures(folder)
    if result:
        rows = [row for row in rows if not row["protocol"].startswith(PROTOCOL)] + result
    page.write(folder, card, rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Put figures of evaluate into the model cards.")
    parser.add_argument("results", nargs="*", type=Path, help="folders of cli.py evaluate")
    parser.add_argument("--defaults", type=Path, default=DEFAULTS, help="checkpoint folders")
    arguments = parser.parse_args()
    results = [read_results(folder) for folder in arguments.results]
    for detector in (role.name for role in roles() if not role.empty):
        result = []
        for one in results:
            subset = list(figures(detector, one))
            result += subset
            if subset and np.ptp(one.table.label) > 0:
                result += baseline_figures(one)
        rewrite(arguments.defaults / detector, result)
