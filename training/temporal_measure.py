"""How good is a temporal checkpoint, on self-made faults and on files it has nothing to do with?

    python -m training.temporal_measure faults DATA FOLDER    persons kept for test
    python -m training.temporal_measure files LABELS FOLDER   files of a CSV `file,label,kind`
    python -m training.temporal_measure prepare LABELS CACHE  cuts those files beforehand

All files are scaled and encoded alike (long side 480, H.264 CRF 28) before they are looked at.
Prints JSON; changes nothing but, with `--write`, card.json. Imports `hub`, `media` and `training`.
"""

from __future__ import annotations

import argparse
import json
import logging
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression

from hub.checkpoint import Card
from media import align
from media.faces import FaceFinder
from training.small_cards import with_figures, write_card
from training.talking_data import decode
from training.temporal import (
    CARD,
    INTRO,
    RECIPE,
    auc,
    load,
    raw_scores,
    score_pairs,
    validation_pairs,
)
from training.temporal_data import FRAMES, OUT_PX, RATE_HZ, h264, indices_at_rate
from training.temporal_faults import FAULTS

log = logging.getLogger(__name__)

LONG_SIDE_PX, CRF = 480, 28
PASSES = 4  # runs of 16 frames a file, spread over it
SEEN_PX = 300  # of the 320 px steady crop, as the card's margin says (224 * 1.34)
RESAMPLES = 1000


def interval(value, groups: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """A statistic with its bootstrap 95 % interval over groups.

    Args:
        value: function of an index array into the samples; may return nan, which is left out.
        groups: (n,) labels; whole groups are drawn with replacement.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    draws = []
    for _ in range(RESAMPLES):
        picked = rng.integers(len(members), size=len(members))
        draws.append(value(np.concatenate([members[i] for i in picked])))
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return (
        round(float(value(np.arange(len(groups)))), 3),
        round(float(low), 3),
        round(float(high), 3),
    )


def fault_figures(scores: np.ndarray, fault: np.ndarray, person: np.ndarray) -> list[dict]:
    """AUC over all faults and by fault, with intervals over persons."""
    figures = []
    for name in ("all", *FAULTS):
        chosen = np.ones(len(fault), bool) if name == "all" else fault == list(FAULTS).index(name)

        def value(rows: np.ndarray, chosen: np.ndarray = chosen) -> float:
            fake = scores[rows[chosen[rows]], 1]
            return auc(scores[rows, 0], fake) if len(fake) else np.nan

        middle, low, high = interval(value, person)
        figures.append({"name": f"AUC, self-made {name}", "value": middle, "low": low, "high": high,
                        "n_real": len(scores), "n_fake": int(chosen.sum())})  # fmt: skip
    return figures


def platt(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Scale and offset so that scale * raw + offset is the log-odds at equal priors."""
    raw = np.concatenate([real, fake])[:, None]
    labels = np.concatenate([np.zeros(len(real)), np.ones(len(fake))])
    fit = LogisticRegression(C=1.0, class_weight="balanced").fit(raw, labels)
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def cached_pairs(data: Path, split: str, each: int, cache: Path) -> dict:
    """The pairs of one split; made once."""
    file = cache / f"pairs-{split}-{each}.npz"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(file, **validation_pairs(data, split, each, {"val": 12, "test": 11}[split]))
    return dict(np.load(file))


def measure_faults(data: Path, folder: Path, each: int, cache: Path) -> dict:
    """Figures on the test persons; the line is fitted on the val persons."""
    model = load(folder)
    fit = cached_pairs(data, "val", each, cache)
    line = score_pairs(model, fit["pairs"])
    scale, offset = platt(line[:, 0], line[:, 1])
    check = cached_pairs(data, "test", each, cache)
    scores = score_pairs(model, check["pairs"])
    figures = fault_figures(scores, check["fault"], check["person"])
    people = len({*check["person"]})
    protocol = (
        f"talking clips, {people} persons unseen in training, 16 frames at 25 Hz, steady crop, "
        "real and fake through the same encoder (H.264 CRF 18 to 38), intervals over persons"
    )
    calibration = {
        "scale": round(scale, 4),
        "offset": round(offset, 4),
        "fitted_on": f"real shots and self-made faults of {len({*fit['person']})} persons not in "
        "training, equal priors, single runs of 16 frames",
        "n_real": len(line),
        "n_fake": len(line),
        "date": date.today().isoformat(),
    }
    alarms = float((scale * scores[:, 0] + offset > 0).mean())
    return {
        "calibration": calibration,
        "figures": [f | {"protocol": protocol} for f in figures],
        "false_alarms_at_even_odds": round(alarms, 3),
    }


def runs_of(path: Path) -> np.ndarray:
    """(k, 16, 112, 112, 3) uint8: runs of the largest face of a file that was encoded like all."""
    clip = decode(path)
    scale = LONG_SIDE_PX / max(clip.frames[0].shape[:2])
    size = [int(side * scale) // 2 * 2 for side in clip.frames[0].shape[1::-1]]
    small = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in clip.frames]
    frames = h264(np.stack(small), CRF)
    spare = max(clip.times_s[-1] - (FRAMES - 1) / RATE_HZ, 0)
    runs = []
    with FaceFinder() as finder:
        for start in np.linspace(0, spare, PASSES):
            picked = indices_at_rate(clip.times_s, start, FRAMES)
            run = None if picked is None else _run(frames[picked], finder)
            if run is not None:
                runs.append(run)
    return np.stack(runs) if runs else np.zeros((0, FRAMES, OUT_PX, OUT_PX, 3), np.uint8)


def _run(frames: np.ndarray, finder: FaceFinder) -> np.ndarray | None:
    """One run of the face that is largest at its start, as the app cuts it."""
    found = finder.find(frames[0])
    faces = found[:1]
    for picture in frames[1:]:
        face = finder.follow(picture, faces[-1]) if faces else None
        if face is None:
            return None
        faces.append(face)
    if not faces:
        return None
    points = np.stack([f.landmarks for f in faces])
    crops = np.stack([
        align.cut(f, align.face_matrix(p), align.CROP_PX)
        for f, p in zip(frames, points, strict=True)
    ])  # fmt: skip
    steady = align.centre(align.steady(crops, points, align.CROP_PX), SEEN_PX)
    size = (OUT_PX, OUT_PX)
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in steady])


def prepare_files(labels: Path, cache: Path) -> None:
    """Cut the runs of all files once; resumable."""
    cache.mkdir(parents=True, exist_ok=True)
    for file in pd.read_csv(labels)["file"]:
        target = cache / (file.replace("/", "__") + ".npy")
        if not target.exists():
            runs = runs_of(labels.parent / file)
            np.save(target, runs)
            log.info("%s: %d runs", file, len(runs))


def measure_files(labels: Path, folder: Path, cache: Path) -> dict:
    """Per-file mean raw score; AUC in all and by kind; false alarms by kind of real file."""
    table = pd.read_csv(labels)
    prepare_files(labels, cache)
    model = load(folder)
    means = []
    for file in table["file"]:
        runs = np.load(cache / (file.replace("/", "__") + ".npy"))
        means.append(raw_scores(model, runs).mean() if len(runs) else np.nan)
    table["raw"] = means
    seen = table.dropna(subset="raw")
    real = seen[seen["label"].isin([0, "0", "real"])]
    fake = seen.drop(real.index)
    card = json.loads((folder / "card.json").read_text()) if (folder / "card.json").exists() else {}
    line = card.get("calibration") or {"scale": 1.0, "offset": 0.0}
    alarm = line["scale"] * real["raw"] + line["offset"] > 0
    scores, is_fake = seen["raw"].to_numpy(), seen.index.isin(fake.index)
    groups = (seen["kind"] + seen["file"].str.replace(r"^.*/", "", regex=True).str[:14]).to_numpy()

    def value(rows: np.ndarray) -> float:
        a, b = scores[rows[~is_fake[rows]]], scores[rows[is_fake[rows]]]
        return auc(a, b) if len(a) and len(b) else np.nan

    kinds = {
        kind: round(auc(real["raw"].to_numpy(), part["raw"].to_numpy()), 3)
        for kind, part in fake.groupby("kind")
    }
    sources = real["file"].str.extract(r"/([a-z]+)")[0]
    middle, low, high = interval(value, groups)
    figure = {
        "name": "AUC, files of unseen sources",
        "value": middle,
        "low": low,
        "high": high,
        "n_real": len(real),
        "n_fake": len(fake),
        "protocol": "development files, nothing tuned on them; mean raw of 4 runs a file, largest "
        "face, all scaled to 480 px and encoded at CRF 28; intervals over groups; indicative",
    }
    return {
        "figures": [figure],
        "auc_by_kind": kinds,
        "false_alarms_at_even_odds": alarm.groupby(sources).agg(["sum", "count"]).T.to_dict(),
        "not_assessed": len(table) - len(seen),
        "scores": {f: round(float(r), 2) for f, r in zip(table["file"], table["raw"], strict=True)},
    }


def write_results(folder: Path, result: dict) -> None:
    """Put the figures into the card, in place of figures of the same name."""
    file = folder / "card.json"
    before = Card.from_json(file.read_text("utf-8")) if file.exists() else CARD
    names = {f["name"] for f in result["figures"]}
    kept = [f for f in before.figures if f["name"] not in names]
    # a line fitted on self-made faults would mislead on real files, so none is stored
    write_card(folder, with_figures(CARD, kept + result["figures"], None), INTRO, RECIPE)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("task", choices=("faults", "prepare", "files"))
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=24, help="pairs a fault")
    parser.add_argument("--cache", type=Path, default=Path("runs-cache"))
    parser.add_argument("--write", action="store_true", help="put the results into card.json")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if args.task == "prepare":
        prepare_files(args.data, args.folder)
        return
    if args.task == "files":
        result = measure_files(args.data, args.folder, args.cache)
    else:
        result = measure_faults(args.data, args.folder, args.each, args.cache)
    print(json.dumps(result, indent=1, default=int))
    if args.write:
        write_results(args.folder, result)


if __name__ == "__main__":
    main()
