"""How does the mouth's head become comparable between recordings, and a checkpoint?

The head is fitted on pairs (`views.mouth_pairs`). Its level follows camera and codec, and so does
its score of the eyes, which lip-sync leaves alone: `CONTROL` of that score is taken off. The line
to log-likelihood ratios is fitted on real files against self-made fakes and the lip-sync tools of
``wild``. The head learned from no fake of a tool and from none of these files, but its pairs are
made of crops whose sources some real clips of ``wild`` share; devset, faces-val and studio are new.
Imports evaluation and training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from training.cards.writer import auc_figure, share_figure
from training.probes.heads import Head
from training.probes.tables import Table, read

CONTROL = 0.5  # of the eyes' score; chosen on the files below, between 0 (follows the codec) and 1
SELF_MADE = 0.6  # share of the self-made fakes in the calibration, the rest are tools
FILES = ("wild-clips", "devset", "faces-val", "studio")  # parts with mouths-PART and eyes-PART
ALARM = 1.5  # log-likelihood ratio from which on a file counts as found, or as a false alarm
PROTOCOL = "mean of the crops of a file, eyes' score taken off"


@dataclass(frozen=True)
class Evidence:
    """Raw scores, what they are, and their weights in the calibration.

    Attributes:
        scores: (n,) less the control's.
        labels: (n,) 0 real, 1 fake.
        sets: (n,) "self-made", or the part a file comes from.
        groups: (n,) for the bootstrap.
        weights: (n,) that sum to 1 a class.
    """

    scores: np.ndarray
    labels: np.ndarray
    sets: np.ndarray
    groups: np.ndarray
    weights: np.ndarray


def self_made(head: Head, pairs: Table, scores: np.ndarray, eyes: Table) -> np.ndarray:
    """Held-out scores of self-made fakes less the control's.

    Args:
        head: fitted on all pairs; it judges the eyes, which it never learned from.
        pairs: all pairs, those of wild first.
        scores: (n,) of the pairs, by heads that saw nothing of their source.
        eyes: of every second pair of wild.
    """
    control = head(eyes.features)
    of_wild = np.flatnonzero(pairs.rows["part"] == "pairs-wild")
    fakes = of_wild[1::4][: len(control)]
    return scores[fakes] - CONTROL * control


def of_files(head: Head, features: Path, part: str) -> pd.DataFrame:
    """One row a file of a part: score, label, kind and source."""
    mouths, eyes = read(features, (f"mouths-{part}",)), read(features, (f"eyes-{part}",))
    rows = mouths.rows.copy()
    rows["score"] = head(mouths.features) - CONTROL * head(eyes.features)
    rows["file"] = rows["file"] if "file" in rows else np.arange(len(rows)).astype(str)
    rows["kind"] = rows["kind"].astype(str) if "kind" in rows else "real"
    result = rows.groupby("file").agg(
        score=("score", "mean"),
        label=("label", "first"),
        kind=("kind", "first"),
        source=("source", "first"),
    )
    return result.assign(set=part)


def evidence(head: Head, features: Path, made: np.ndarray) -> Evidence:
    """Real files, self-made fakes and the lip-sync tools of ``wild``."""
    files = pd.concat([of_files(head, features, part) for part in FILES])
    reals = files[files["label"] == 0]
    tools = files[(files["set"] == "wild-clips") & (files["kind"] == "lip-sync")]
    sources = reals["source"].astype(str)
    of_real = sources.map(sources.value_counts()).to_numpy(float) ** -0.5
    weights = (
        of_real / of_real.sum(),
        np.full(len(made), SELF_MADE / len(made)),
        np.full(len(tools), (1 - SELF_MADE) / len(tools)),
    )
    return Evidence(
        scores=np.r_[reals["score"], made, tools["score"]],
        labels=np.repeat([0, 1, 1], [len(part) for part in weights]),
        sets=np.r_[reals["set"], ["self-made"] * len(made), ["tools"] * len(tools)],
        groups=np.r_[reals["source"], [f"pair {n}" for n in range(len(made))], tools.index],
        weights=np.concatenate(weights),
    )


def figures(result: Evidence, llrs: np.ndarray) -> list[dict]:
    """Rows of the card."""
    real = result.labels == 0
    rows = []
    for name, part in (("self-made lip-sync", "self-made"), ("lip-sync tools, clips", "tools")):
        subset = real | (result.sets == part)
        rows.append(
            auc_figure(
                f"AUC, {name}", result.labels[subset], llrs[subset], result.groups[subset], PROTOCOL
            )
        )
    protocol = f"{PROTOCOL}; log-likelihood ratio above {ALARM}"
    for part in FILES:
        subset = real & (result.sets == part)
        name = f"false alarms, {part.replace('-', ' ')}"
        name += " clips" if part == "devset" else ""
        rows.append(share_figure(name, llrs[subset] > ALARM, result.groups[subset], 0, protocol))
    for name, part in (("self-made lip-sync", "self-made"), ("lip-sync tools, clips", "tools")):
        subset = result.sets == part
        rows.append(
            share_figure(f"found, {name}", llrs[subset] > ALARM, result.groups[subset], 1, protocol)
        )
    return rows
