"""Where does the embedded landmarks checkpoint come from?

`python -m training.landmarks TALKING FOLDER` (TALKING: the arrays of `training.talking_data`)
measures
real people and imitations of what tools do to their movement, fits the linear judge on the training
people, calibrates it on validation people and reports on test people. Takes a few minutes. Imports
`detectors` and `training`.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage
from sklearn.linear_model import LogisticRegression

from detectors.landmarks import MODEL_TYPE
from detectors.landmarks_model import REGIONS, RIGID, Judge, measure_motion
from evaluation.calibrate import fit_calibration
from hub.checkpoint import Card
from training.small_cards import auc_figure, share_figure, with_figures, write_folder
from training.talking_data import Talking

log = logging.getLogger(__name__)

WINDOW_S = 3.0
EN_STEP_S = 1.5  # between two windows of a long clip
SHORTEST_S = 1.1  # the ar clips are 1.2 s long; they teach all but blinks
AR_EVERY = 3  # one of so many ar clips: two dozen people, many clips each
STRENGTH = 0.05  # of the ridge: few people, so a plain judge
# Indices into the face mesh, beside the regions of `landmarks_model`.
INNER_LIPS = (
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)  # fmt: skip
LOWER_REST = (185, 409, 39, 269, 146, 375, 181, 405, 17, 18, 200)
LOWER = (*REGIONS["mouth"], *REGIONS["jaw"], *INNER_LIPS, *LOWER_REST)
LIDS = (
    7, 163, 154, 155, 246, 161, 159, 157, 173, 145,
    249, 390, 381, 382, 466, 388, 386, 384, 398, 374,
)  # fmt: skip
CARD = Card(
    detector="landmarks",
    title="Blinks, mouth and head movement, a linear judge",
    size_px=224,
    fake_indices=(1,),
    real_indices=(0,),
    labels_known_by="Its recipe (training/landmarks.py) gives imitations the higher score.",
    licence="research use (numbers learned from research-only data)",
    votes=False,  # chance level on unseen tools, see LOG.md
    trained_on=(
        "Face landmarks of clips of Arabic news presenters and of actors speaking English (real "
        "people), research use",
        "Imitations made of these landmarks: smoothed or trembling motion, frozen lids, moving "
        "mouths on still heads, mouths of another take, puppets of another person",
    ),
    limits=(
        "Learned from few people and from imitations of landmarks, not from real tools; at chance "
        "level on the talking heads it was tried on. Experimental, takes no part in the verdict.",
        "Face swaps keep the movement of a real performance and pass.",
        "A person who sits still, reads, acts, or is filmed in low quality can look unusual here.",
        "Not evidence about a person: it must not be the only ground for an accusation, a "
        "dismissal, a block or a publication.",
    ),
)
INTRO = (
    "Measures 1.5 seconds or more of a face's 468 landmarks (lids, mouth, head pose, trembling of "
    "parts against each other, at 25 pictures a second) and adds the measures up; positive scores "
    "speak for fake."
)
RECIPE = (
    "`training/landmarks.py`: each real take beside one imitation of it, ridge logistic "
    "regression on standardised measures, people weighted against the number of their takes."
)


@dataclass(frozen=True)
class Take:
    """A real piece of a clip: (n, 468, 2) landmarks in px, (n,) times, who, and from where."""

    landmarks: np.ndarray
    times_s: np.ndarray
    person: str
    part: str
    split: str


def takes(talking: Talking) -> Iterator[Take]:
    """Real windows of all clips, at most three seconds each."""
    for number, clip in enumerate(talking.index.itertuples()):
        part = clip.set
        if part == "ar" and number % AR_EVERY:
            continue
        rows = np.arange(clip.first, clip.first + clip.n)
        times = talking.times_s[part][rows]
        good = talking.valid[part][rows] & ~talking.faded[part][rows]
        for start in np.arange(0, max(times.max() - WINDOW_S, 0) + 1e-6, EN_STEP_S):
            inside = (times >= start) & (times < start + WINDOW_S)
            if inside.any() and good[inside].all() and np.ptp(times[inside]) >= SHORTEST_S:
                marks = np.asarray(talking.landmarks_frame[part][rows[inside]], np.float64)
                yield Take(marks, times[inside], clip.person, part, clip.split)


# --- imitations: what a tool does to movement ----------------------------------------------------
# Each takes a real take, another take (a driver) and a generator, and returns landmarks.


def smoothed(take: Take, other: Take, rng: np.random.Generator) -> np.ndarray:
    """Predicted motion without its quick part; the tracker's own noise is put back, out of
    order."""
    slow = ndimage.gaussian_filter1d(take.landmarks, rng.uniform(1.2, 3.5), axis=0)
    return slow + _reordered(take.landmarks - slow, rng) * rng.uniform(0.6, 1.0)


def trembling(take: Take, other: Take, rng: np.random.Generator) -> np.ndarray:
    """Parts drawn anew in every picture tremble against the head."""
    name = rng.choice([*REGIONS, "all"])
    chosen = slice(None) if name == "all" else list(REGIONS[str(name)])
    weights = np.zeros(468)
    weights[chosen] = 1.0
    size = _eye_px(take.landmarks) * rng.uniform(0.006, 0.03)
    return take.landmarks + rng.normal(0, size, (len(take.landmarks), 1, 2)) * weights[:, None]


def frozen_lids(take: Take, other: Take, rng: np.random.Generator) -> np.ndarray:
    """Eyes that keep one shape."""
    still = (
        _in_head(take.landmarks).mean(0) + _head_places(take.landmarks) + _tracker_noise(take, rng)
    )
    return _with_part(take.landmarks, still, REGIONS["eyes"] + LIDS)


def mouth_only(take: Take, other: Take, rng: np.random.Generator) -> np.ndarray:
    """One picture in which only the mouth speaks, the head held or swaying slowly."""
    still = np.repeat(np.median(take.landmarks, 0)[None], len(take.landmarks), 0)
    moving = _in_head(take.landmarks)
    mixed = still.copy()
    mixed[:, list(LOWER)] = still[:, list(LOWER)] + (moving - moving.mean(0))[:, list(LOWER)]
    return _swayed(mixed, rng) + _tracker_noise(take, rng)


def other_mouth(take: Take, other: Take, rng: np.random.Generator) -> np.ndarray:
    """The lower face speaks the words of another take: lip-sync."""
    donor = _in_head(_stretched(other.landmarks, len(take.landmarks)))
    scale = _eye_px(take.landmarks) / _eye_px(other.landmarks) * rng.uniform(0.6, 1.0)
    change = ndimage.gaussian_filter1d(donor - donor.mean(0), rng.uniform(0.3, 1.5), axis=0) * scale
    own = _in_head(take.landmarks)
    result = take.landmarks.copy()
    result[:, list(LOWER)] += (change - (own - own.mean(0)))[:, list(LOWER)]
    return result


def puppet(take: Take, other: Take, rng: np.random.Generator) -> np.ndarray:
    """One picture of this face, moved by another person's smoothed performance."""
    donor = _stretched(other.landmarks, len(take.landmarks))
    scale = _eye_px(take.landmarks) / _eye_px(other.landmarks) * rng.uniform(0.5, 1.1)
    change = ndimage.gaussian_filter1d(donor - donor.mean(0), rng.uniform(0.8, 2.5), axis=0) * scale
    return np.median(take.landmarks, 0) + change + _tracker_noise(take, rng)


IMITATIONS: dict[str, Callable[[Take, Take, np.random.Generator], np.ndarray]] = {
    "smoothed": smoothed,
    "trembling": trembling,
    "frozen_lids": frozen_lids,
    "mouth_only": mouth_only,
    "other_mouth": other_mouth,
    "puppet": puppet,
}


def _eye_px(landmarks: np.ndarray) -> float:
    return float(np.median(np.hypot(*(landmarks[:, 33] - landmarks[:, 263]).T)))


def _head_places(landmarks: np.ndarray) -> np.ndarray:
    """(n, 1, 2) centre of the rigid points."""
    return landmarks[:, list(RIGID)].mean(1, keepdims=True)


def _in_head(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks without the head's shifts; turns stay, they are small within three seconds."""
    return landmarks - _head_places(landmarks)


def _with_part(landmarks: np.ndarray, other: np.ndarray, points: tuple[int, ...]) -> np.ndarray:
    result = landmarks.copy()
    result[:, list(points)] = other[:, list(points)]
    return result


def _stretched(landmarks: np.ndarray, count: int) -> np.ndarray:
    """Another take cut or mirrored in time to ``count`` frames."""
    there_and_back = np.concatenate([landmarks, landmarks[::-1]])
    return there_and_back[np.arange(count) % len(there_and_back)]


def _swayed(landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A slow, smooth movement of the whole head."""
    walk = ndimage.gaussian_filter1d(rng.normal(0, 1, (len(landmarks), 2)), 12, axis=0)
    walk *= rng.uniform(0, 0.1) * _eye_px(landmarks) / max(float(walk.std()), 1e-9)
    return landmarks + walk[:, None]


def _tracker_noise(take: Take, rng: np.random.Generator) -> np.ndarray:
    """The quick rest of a real take in another order: what the tracker adds to any video."""
    rest = take.landmarks - ndimage.gaussian_filter1d(take.landmarks, 1.0, axis=0)
    return _reordered(rest, rng) * rng.uniform(0.7, 1.2)


def _reordered(noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Backwards and rolled in time: the same spectrum, but no longer the movement's own."""
    return np.roll(noise[::-1], rng.integers(len(noise)), axis=0)


# --- fit -----------------------------------------------------------------------------------------


def table(talking: Talking, seed: int) -> pd.DataFrame:
    """Measures of every real take and of one imitation of it, with person, part, split and kind."""
    rng = np.random.default_rng(seed)
    found = list(takes(talking))
    log.info("%d takes of %d persons", len(found), len({t.person for t in found}))
    rows = []
    for take in found:
        others = [t for t in found if t.split == take.split and t.person != take.person] or found
        other = others[rng.integers(len(others))]
        kind = str(rng.choice(list(IMITATIONS)))
        for label, marks in ((0, take.landmarks), (1, IMITATIONS[kind](take, other, rng))):
            about = {"label": label, "kind": kind if label else "real", "person": take.person}
            about |= {"part": take.part, "split": take.split}
            rows.append(about | measure_motion(marks, take.times_s))
    return pd.DataFrame(rows)


ABOUT = ("label", "kind", "person", "part", "split")
NOT_JUDGED = ("head_jitter_px",)  # depends on the size of the picture, so on the source


def fit(rows: pd.DataFrame, strength: float = STRENGTH) -> Judge:
    """Ridge logistic regression on standardised measures; every person weighs the same."""
    names = tuple(c for c in rows.columns if c not in (*ABOUT, *NOT_JUDGED))
    values = rows[list(names)].to_numpy()
    mean, spread = values.mean(0), values.std(0) + 1e-6
    weight = 1 / rows["person"].map(rows["person"].value_counts()).to_numpy() ** 0.5
    model = LogisticRegression(C=strength, max_iter=2000)
    model.fit(
        np.clip((values - mean) / spread, -3, 3),
        rows["label"],
        sample_weight=weight / weight.mean(),
    )
    return Judge(names, mean, spread, model.coef_[0], float(model.intercept_[0]))


def scores(judge: Judge, rows: pd.DataFrame) -> np.ndarray:
    """Raw log-odds of every row."""
    return np.array([judge.log_odds(row) for row in rows.to_dict("records")])


def figures(judge: Judge, rows: pd.DataFrame) -> list[dict]:
    """AUC by kind of imitation and alarms by source, on people who neither fitted nor
    calibrated."""
    told = "real takes of at most 3 s against one imitation each, test people"
    rows = rows.assign(raw=scores(judge, rows))
    unseen, known = rows[rows["split"] == "test"], rows[rows["split"] == "val"]
    result = [auc_figure("AUC, imitations", unseen["label"], unseen["raw"], unseen["person"], told)]
    for kind in IMITATIONS:
        part = unseen[(unseen["label"] == 0) | (unseen["kind"] == kind)]
        result.append(auc_figure(f"AUC, {kind}", part["label"], part["raw"], part["person"], told))
    threshold = float(np.quantile(known["raw"][known["label"] == 0], 0.95))
    for source, part in unseen[unseen["label"] == 0].groupby("part"):
        alarm, name = part["raw"] > threshold, f"false alarms, {source}"
        note = "real takes of test people; alarm: above 95 % of the real takes of validation people"
        result.append(share_figure(name, alarm, part["person"], 0, note))
    return result


def export(rows: pd.DataFrame, folder: Path) -> None:
    """Fit, calibrate, measure and write the checkpoint folder."""
    judge = fit(rows[rows["split"] == "train"])
    known = rows[rows["split"] == "val"]
    calibration = fit_calibration(
        known["label"].to_numpy(),
        scores(judge, known),
        "validation people of the talking clips, imitations",
    )
    tensors = {
        name: getattr(judge, name).astype(np.float32) for name in ("mean", "spread", "weights")
    }
    tensors["offset"] = np.array([judge.offset], np.float32)
    card = with_figures(CARD, figures(judge, rows), calibration)
    config = {"model_type": MODEL_TYPE, "measures": list(judge.names)}
    write_folder(folder, tensors, config, card, INTRO, RECIPE)
    for figure in card.figures:
        log.info("%s: %s", figure["name"], figure["value"])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fit the embedded landmarks checkpoint.")
    parser.add_argument("talking", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    export(table(Talking(arguments.talking), arguments.seed), arguments.folder)


if __name__ == "__main__":
    main()
