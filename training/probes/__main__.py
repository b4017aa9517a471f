"""`python -m training.probes features CROPS FEATURES`, then `… fit generation|mouth FEATURES OUT`.

CROPS holds what `training.data.face_crops` cut of faces-train, portraits, the talking clips and of
``wild`` (crops of many tools and cameras). Both commands skip what is there.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from training.data.face_crops import load_part
from training.probes.fit import Expert, card, export, export_mouth
from training.probes.heads import Recipe
from training.probes.mouth import FILES
from training.probes.people import people
from training.probes.tables import ALWAYS, COPIES, JUDGED, read
from training.probes.views import (
    PARTS,
    degraded_faces,
    faces,
    mouth_pairs,
    pair_eyes,
    regions,
)

log = logging.getLogger(__name__)

Make = Callable[[Path], None]  # writes one table to a path without suffix

SWAP_GROUPS = 0.25  # share of the groups of swaps that generation learns from
TALKING = 200  # frames of each set of talking clips that generation learns from
NO_HARD = 10**9
PAIRS_EVERY = {  # one pair of so many real faces, and one hard pair
    "wild": (2, 4),
    "talking": (8, 16),
    "portraits": (3, NO_HARD),
    "faces-train": (24, NO_HARD),
}
WILD = (
    "Crops of 37 tools (swaps, lip-sync, talking heads, image and video diffusion, GANs) and "
    "of 40 sources, real ones of many cameras, ages and skin tones, each face as it is and shrunk "
    "and encoded again (research use)"
)
EXPERTS = {
    "generation": Expert(
        card=card(
            "generation",
            "Generated face: linear head on frozen CLIP features",
            0.3,
            (
                WILD,
                "A quarter of the DFDC groups, FFHQ and StyleGAN (research use)",
                "Real web portraits, official portraits, athletes and talking clips, and images "
                "and videos of generators of 2025 and 2026 out of packages (research use)",
            ),
            (
                "Tools that redraw only the mouth pass; expression transfer often does.",
                "Retouched or heavily made-up studio portraits can look generated to it.",
                "In most of its data the source is the label; only figures on whole unseen sources "
                "mean anything.",
            ),
        ),
        recipe=Recipe(strength=1e-3, nuisances=30, shares=(1.0, 0.5)),
        parts=(*PARTS, *(replace(part, view="mouth") for part in PARTS)),
    ),
    "mouth": Expert(
        card=card(
            "mouth",
            "Mouth and chin: linear head on frozen CLIP features",
            0.3,
            (
                "Real faces of tools' pages, of talking clips, web portraits, FFHQ and DFDC "
                "(research use), each with a self-made lip-sync of itself; no fake of any tool",
            ),
            (
                "Lip-sync tools that draw at 256 px and more leave a trace that it does not know.",
                "A face that was smoothed around the mouth only can look redrawn.",
            ),
        ),
        recipe=Recipe(strength=3e-4, nuisances=0),
    ),
}


def make_features(crops: Path, out: Path) -> None:
    """Write the tables that both heads learn from; what is there is kept."""
    out.mkdir(parents=True, exist_ok=True)
    for name, make in {**generation_tables(crops), **mouth_tables(crops, out)}.items():
        if not (out / f"{name}.parquet").exists():
            make(out / name)
            log.info("%s", name)


def generation_tables(crops: Path) -> dict[str, Make]:
    """What generation learns from and is judged on: the name of each table, and what writes it."""
    return {
        "faces-wild": partial(faces, crops, "wild", None),
        "degraded-wild": partial(degraded_faces, crops, "wild"),
        "people-wild": partial(people, crops, "wild"),
        "faces-outside-train": partial(faces, crops, "outside-train", None),
        "faces-portraits": partial(faces, crops, "portraits", None),
        "faces-talking": partial(faces, crops, "talking", some_talking),
        "faces-faces-train": partial(faces, crops, "faces-train", some_swaps),
    }


def some_swaps(rows: pd.DataFrame) -> np.ndarray:
    """(k,) rows of some groups of face swaps, and every other one of the rest."""
    swaps = rows["source"] == "dfdc"
    groups = np.random.default_rng(0).permutation(rows["group"][swaps].unique())
    selected = rows["group"].isin(groups[: int(len(groups) * SWAP_GROUPS)])
    return np.r_[np.flatnonzero(swaps & selected), np.flatnonzero(~swaps)[::2]]


def some_talking(rows: pd.DataFrame) -> np.ndarray:
    """(k,) rows, as many of each set of talking clips."""
    rng, sources = np.random.default_rng(0), rows["source"].to_numpy(str)
    dealt = [rng.permutation(np.flatnonzero(sources == s))[:TALKING] for s in np.unique(sources)]
    return np.sort(np.concatenate(dealt))


def mouth_tables(crops: Path, features: Path) -> dict[str, Make]:
    """The same for mouth: pairs of real faces and what is made of them, and files of tools."""
    pairs = {
        f"pairs-{part}": partial(some_pairs, crops, part, every, hard)
        for part, (every, hard) in PAIRS_EVERY.items()
    }
    files = {
        f"{name}-{part}": partial(regions, crops, part, view)
        for part in FILES
        for name, view in (("mouths", "mouth"), ("eyes", "eyes"))
    }
    return {**pairs, "eyes-pairs-wild": partial(eyes_of_pairs, crops, features), **files}


def some_pairs(crops: Path, part: str, every: int, hard: int, out: Path) -> None:
    """One pair of ``every`` real faces of a part, and one hard pair of ``hard``."""
    rows = load_part(crops, part)[2]
    real = rows["label"] == 0
    if "split" in rows:
        real &= rows["split"] == "train"
    result = np.flatnonzero(real)
    mouth_pairs(crops, part, result[::every], result[1::hard], out)


def eyes_of_pairs(crops: Path, features: Path, out: Path) -> None:
    """The eyes of every other real face of the pairs of wild that are not degraded hard."""
    pairs = pd.read_parquet(features / "pairs-wild.parquet")
    pair_eyes(crops, "wild", pairs[(pairs["label"] == 0) & (pairs["degraded"] < 2)].iloc[::2], out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("features", help="crops to features")
    make.add_argument("crops", type=Path)
    make.add_argument("features", type=Path)
    head = commands.add_parser("fit", help="features to a checkpoint folder")
    head.add_argument("detector", choices=sorted(EXPERTS))
    head.add_argument("features", type=Path)
    head.add_argument("out", type=Path)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if chosen.command == "features":
        make_features(chosen.crops, chosen.features)
        return
    name, features = chosen.detector, chosen.features
    judged, always = read(features, JUDGED[name]), read(features, ALWAYS[name])
    if name == "mouth":
        export_mouth(EXPERTS[name], judged.and_(always), features, chosen.out)
    else:
        known = pd.read_parquet(features / "people-wild.parquet")
        copies = read(features, COPIES[name])
        export(EXPERTS[name], judged, copies, always, known, chosen.out)


if __name__ == "__main__":
    main()
