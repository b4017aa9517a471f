"""`python -m training.probes features CROPS FEATURES`, then `… fit generation|mouth FEATURES OUT`.

CROPS holds what `training.data.face_crops` cut of faces-train, portraits, the talking clips and of
``wild`` (crops of many tools and cameras). Both commands skip what is there.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from detectors.mouth import Mouth
from training.data.face_crops import load_part
from training.probes.fit import Expert, card, export, export_mouth
from training.probes.heads import Recipe
from training.probes.mouth import FILES
from training.probes.people import people
from training.probes.tables import ALWAYS, JUDGED, read
from training.probes.views import faces, mouth_pairs, pair_eyes, regions

log = logging.getLogger(__name__)

SWAP_GROUPS = 0.25  # share of the groups of swaps that generation learns from
NO_HARD = 10**9
PAIRS_EVERY = {  # one pair of so many real faces, and one hard pair
    "wild": (2, 4),
    "talking": (8, 16),
    "portraits": (3, NO_HARD),
    "faces-train": (24, NO_HARD),
}
WILD = (
    "Crops of 37 tools (swaps, lip-sync, talking heads, image and video diffusion, GANs) and "
    "of 40 sources, real ones of many cameras, ages and skin tones (research use)"
)
EXPERTS = {
    "generation": Expert(
        card=card(
            "generation",
            "Generated face: linear head on frozen CLIP features",
            0.3,
            (WILD, "A quarter of the DFDC groups, FFHQ and StyleGAN (research use)"),
            (
                "Tools that redraw only the mouth pass; expression transfer often does.",
                "Retouched or heavily made-up studio portraits can look generated to it.",
                "In most of its data the source is the label; only figures on whole unseen sources "
                "mean anything.",
            ),
        ),
        recipe=Recipe(strength=2e-3, nuisances=30),
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
    rng = np.random.default_rng(0)
    if not (out / "faces-wild.parquet").exists():
        faces(crops, "wild", out / "faces-wild", None)
    if not (out / "people-wild.parquet").exists():
        people(crops, "wild", out / "people-wild")
    if not (out / "faces-faces-train.parquet").exists():
        rows = load_part(crops, "faces-train")[2]
        swaps = rows["source"] == "dfdc"
        groups = rng.permutation(rows["group"][swaps].unique())
        selected = rows["group"].isin(groups[: int(len(groups) * SWAP_GROUPS)])
        others = np.flatnonzero(~swaps)[::2]
        chosen = np.r_[np.flatnonzero(swaps & selected), others]
        faces(crops, "faces-train", out / "faces-faces-train", chosen)
    for part, (every, hard) in PAIRS_EVERY.items():
        if not (out / f"pairs-{part}.parquet").exists():
            rows = load_part(crops, part)[2]
            real = rows["label"] == 0
            if "split" in rows:
                real &= rows["split"] == "train"
            result = np.flatnonzero(real)
            mouth_pairs(crops, part, result[::every], result[1::hard], out / f"pairs-{part}")
        log.info("%s: pairs", part)
    if not (out / "eyes-pairs-wild.parquet").exists():
        pairs = pd.read_parquet(out / "pairs-wild.parquet")
        eyes = pairs[(pairs["label"] == 0) & (pairs["degraded"] < 2)].iloc[::2]
        pair_eyes(crops, "wild", eyes, out / "eyes-pairs-wild")
    for part in FILES:
        chosen = np.arange(len(load_part(crops, part)[2]))
        for name, cut in (("mouths", Mouth.cut), ("eyes", Mouth.cut_control)):
            if not (out / f"{name}-{part}.parquet").exists():
                regions(crops, part, cut, chosen, out / f"{name}-{part}")


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
        export(EXPERTS[name], judged, always, known, chosen.out)


if __name__ == "__main__":
    main()
