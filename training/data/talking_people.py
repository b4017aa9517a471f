"""Which clips show the same person, and which persons train, validate and test?

`python -m training.data.talking_people OUT BASE` works on the arrays of `training.data.talking`:
the `en_` clips are grouped by their names, the `ar_` clips by clustering frozen DINOv2 features of
the face. Those tell looks rather than persons apart, so only clusters that a look at the montage
found to be people of their own are held out.
Writes `person` and `split` into index.parquet, and `people.png`, the montage. Imports
`training.data.dinov2_weights`.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from sklearn.cluster import AgglomerativeClustering

from detectors.preprocess import resized
from training.data.dinov2_weights import dinov2_small

FRAMES_A_CLIP = 2
FEATURE_PX = 112  # side of the tight crop that DINOv2 sees
SAME_LOOK_COSINE = 0.45  # average-linkage cut over centered features; chosen by eye
# One actor each (file names and a look at the faces say so).
ELEPHANT = {
    "back",
    "belly",
    "ears",
    "eye",
    "intro",
    "legs",
    "mouth",
    "tail",
    "toe",
    "trunk",
    "tusks",
}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Clusters of `ar_` by what the eye says. Test: presenters with a headscarf. Val: a man with dark
# skin and glasses, a man with a ghutra. No other cluster shows one of them; all others train.
MERGED = {"ar_28": "ar_07"}
AR_SPLITS = {"ar_07": "test", "ar_06": "val", "ar_29": "val"}
SHARES = {"test": 0.15, "val": 0.15}  # share of the `en_` frames; the rest is train


def person_by_name(clip: str) -> str:
    """The person of an `en_` clip, from its file name."""
    stem = clip.removeprefix("en_").removeprefix("exit-")
    if stem in ELEPHANT:
        return "en_elephant"
    if stem.startswith("video-"):
        return "en_video"
    first = re.split(r"[-\d]", stem)[0]
    for tail in ("faq", "pricing", "examples", "fidget"):
        first = first.removesuffix(tail)
    return f"en_{first}"


def features(index: pd.DataFrame, out: Path, base: Path) -> np.ndarray:
    """(clips, 384) float32 unit vectors: mean DINOv2 class token of a few faces of each clip."""
    wide = np.load(out / "ar_wide.npy", mmap_mode="r")
    valid = np.load(out / "ar_frames.npz")["valid"]
    model = dinov2_small(base).eval()
    mean, std = (np.array(v, np.float32) for v in (IMAGENET_MEAN, IMAGENET_STD))
    result = []
    for first, n in zip(index["first"], index["n"], strict=True):
        rows = first + np.flatnonzero(valid[first : first + n])
        rows = rows[np.linspace(0, len(rows) - 1, FRAMES_A_CLIP).astype(int)]
        tight = resized(wide[rows, 29:163, 29:163], FEATURE_PX, cv2.INTER_LINEAR)
        pixels = torch.tensor((tight / np.float32(255) - mean) / std).permute(0, 3, 1, 2)
        with torch.inference_mode():
            tokens = model(pixel_values=pixels.float(), interpolate_pos_encoding=True)
        vector = tokens.last_hidden_state[:, 0].mean(0).numpy()
        result.append(vector / np.linalg.norm(vector))
    return np.stack(result)


def cluster(vectors: np.ndarray) -> np.ndarray:
    """(clips,) cluster numbers, largest cluster first."""
    method = AgglomerativeClustering(
        n_clusters=None, distance_threshold=1 - SAME_LOOK_COSINE, metric="cosine", linkage="average"
    )
    centered = vectors - vectors.mean(0)  # all news faces are alike: only the differences tell
    labels = method.fit_predict(centered)
    order = np.argsort(-np.bincount(labels))
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    return rank[labels]


def split_persons(index: pd.DataFrame) -> dict[str, str]:
    """Person to split: `ar_` as looked up, `en_` drawn with a fixed seed until shares are full."""
    result = {}
    for name, part in index.groupby("set"):
        if name == "ar":
            result |= {person: AR_SPLITS.get(person, "train") for person in part["person"]}
            continue
        sizes = part.groupby("person")["n"].sum()
        order = np.random.default_rng(7).permutation(len(sizes))
        left = {split: share * sizes.sum() for split, share in SHARES.items()}
        for person in sizes.index[order]:
            split = max(left, key=left.__getitem__)
            if sizes[person] <= 1.2 * left[split]:
                left[split] -= sizes[person]
                result[person] = split
            else:
                result[person] = "train"
    return result


def montage(index: pd.DataFrame, out: Path, columns: int = 14, side_px: int = 80) -> np.ndarray:
    """One row of faces a person, spread over the person's clips; (h, w, 3) uint8 RGB."""
    arrays = {part: np.load(out / f"{part}_wide.npy", mmap_mode="r") for part in ("ar", "en")}
    rows = []
    for person, clips in index.groupby("person", sort=True):
        picked = clips.iloc[np.linspace(0, len(clips) - 1, columns).astype(int)]
        row = [arrays[c.set][c.first + c.n // 2] for c in picked.itertuples()]
        row = np.hstack([cv2.resize(face, (side_px, side_px)) for face in row])
        label = f"{person} {len(clips)} {clips['split'].iloc[0]}"
        cv2.putText(row, label, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 0), 1)
        rows.append(row)
    return np.vstack(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("base", type=Path)
    args = parser.parse_args()
    index = pd.read_parquet(args.out / "index.parquet")
    arabic = index["set"] == "ar"
    cache = args.out / "ar_features.npy"
    if not cache.exists():
        np.save(cache, features(index[arabic], args.out, args.base))
    names = [f"ar_{label:02d}" for label in cluster(np.load(cache))]
    index["person"] = ""
    index.loc[arabic, "person"] = [MERGED.get(name, name) for name in names]
    index.loc[~arabic, "person"] = [person_by_name(clip) for clip in index.loc[~arabic, "clip"]]
    index["split"] = index["person"].map(split_persons(index))
    index.to_parquet(args.out / "index.parquet")
    cv2.imwrite(str(args.out / "people.png"), montage(index, args.out)[..., ::-1])
    print(index.groupby(["set", "split"]).agg(clips=("n", "size"), people=("person", "nunique")))


if __name__ == "__main__":
    main()
