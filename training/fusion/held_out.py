"""What would the program say with a head that had not learned from these files?

``python -m training.fusion.held_out RESULTS NAME=SCORES.csv --out DIR`` copies a folder that
``cli.py evaluate`` wrote and puts held-out raw scores (``path,raw``, paths as the manifest has
them) in the place of a detector's own; files without one are left out. The copy is judged like any
other folder, and `training.fusion.table` reads it. Imports evaluation.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from analysis import Settings
from errors import UserError
from evaluation.evaluate import LINES
from evaluation.manifest import read_manifest, write_manifest
from evaluation.run import ScoreRecord, read_lines, score_of, set_up
from evaluation.scores import write_scores


def exchanged(record: ScoreRecord, name: str, raw: float) -> ScoreRecord:
    """The record with another raw score of one detector, for every person that it judged."""
    findings = tuple(
        {**finding, "raw": raw}
        if finding["detector"] == name and finding["raw"] is not None
        else finding
        for finding in record.findings
    )
    return replace(record, findings=findings)


def copy(folder: Path, name: str, scores: Mapping[str, float], out: Path) -> None:
    """Write lines, manifest and scores of the files that have a held-out score.

    Raises:
        UserError: ``bad_results`` when no file of the folder has one.
    """
    items = [item for item in read_manifest(folder / "items.csv") if item.name in scores]
    if not items:
        raise UserError("bad_results", f"No file of {folder} has a held-out score of {name}.")
    lines = folder / LINES
    records = {key[0]: record for key, record in read_lines(lines).items()}
    changed = [exchanged(records[item.name], name, scores[item.name]) for item in items]
    head = lines.read_text("utf-8").splitlines()[0]
    out.mkdir(parents=True, exist_ok=True)
    text = [head, *(json.dumps(asdict(record)) for record in changed)]
    (out / LINES).write_text("\n".join(text) + "\n", "utf-8")
    write_manifest(out / "items.csv", items)
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    facts = {"calibrations": metrics["calibrations"], "held_out": name}
    (out / "metrics.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    setup = set_up(Settings())
    pairs = zip(items, changed, strict=True)
    write_scores(out / "scores.csv", [score_of(item, record, setup) for item, record in pairs])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder of cli.py evaluate")
    parser.add_argument("scores", metavar="NAME=SCORES.csv")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    name, _, path = chosen.scores.partition("=")
    scores = pd.read_csv(path).drop_duplicates("path").set_index("path")["raw"].to_dict()
    copy(chosen.results, name, scores, chosen.out)


if __name__ == "__main__":
    main()
