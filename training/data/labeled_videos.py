"""How are labeled videos turned into the measures that the landmarks judge is fitted on?

`python -m training.data.labeled_videos DATA OUT` walks the development clips and the talking clips
as the app does (its windows, its tracks, the largest face), as they are and re-encoded, and writes
one row a window: OUT/motion.parquet. Files that are done are not done again. Imports `detectors`,
`evaluation` and `media`.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from detectors.landmarks.detector import measure_face
from evaluation.tiers import TIERS, copies
from media.clip import Clip
from media.faces import FaceFinder
from media.identity import IdentityLinker
from media.tracks import FaceTrack
from media.windows import Mode, Window, plan, read_window
from training.data.manifests import devset_items
from training.data.talking_people import person_by_name

log = logging.getLogger(__name__)

SHORTEST_S = 1.0  # the Arabic clips last 1.2 s
MOST_WINDOWS = 2  # of each file; more of one person teaches little
ARABIC_EVERY = 32  # one of so many Arabic clips
SAVE_EVERY = 10  # files
Measure = Callable[[Window, FaceTrack], dict | None]


def items(data: Path) -> pd.DataFrame:
    """Files with label, kind (of fake or of real) and group."""
    rows = [
        {"path": i.path, "label": i.label, "kind": i.kind.split("+")[0] if i.label else i.source,
         "group": i.group}
        for i in devset_items(data / "devset")
    ]  # fmt: skip
    for path in sorted((data / "talking").glob("en_*.mp4")):
        person = person_by_name(path.stem)
        rows.append({"path": path, "label": 0, "kind": "talking-en", "group": person})
    for path in sorted((data / "talking").glob("ar_*.mp4"))[::ARABIC_EVERY]:
        rows.append({"path": path, "label": 0, "kind": "talking-ar", "group": path.stem})
    return pd.DataFrame(rows)


def windows(path: Path, most: int) -> Iterator[tuple[Window, FaceTrack]]:
    """The windows of a clip, each with its largest face."""
    with Clip(path) as clip, FaceFinder() as finder:
        people = IdentityLinker()
        for stretch in plan(clip.duration_s, Mode.THOROUGH)[:most]:
            window = read_window(clip, stretch, finder, people)
            if window.tracks and window.tracks[0].quality.problem is None:
                yield window, window.tracks[0]


def measured(window: Window, track: FaceTrack) -> dict | None:
    """What the landmarks judge is fitted on; None where a face is seen for too short a time."""
    if np.ptp(track.times_s) < SHORTEST_S:
        return None
    measures = measure_face(track.landmarks, track.crops, track.times_s)
    return {"face_px": track.quality.face_px} | measures


def rows_of(path: Path, tier: str, assessment: Measure, most: int = MOST_WINDOWS) -> list[dict]:
    """What is seen in each window of one file in one tier."""
    result = []
    chosen = next((t for t in TIERS if t.name == tier), None)
    with copies(chosen)(path) if chosen else nullcontext(path) as copy:
        for number, (window, track) in enumerate(windows(copy, most)):
            observed = assessment(window, track)
            if observed is not None:
                result.append({"tier": tier, "window": number} | observed)
    return result


def collect(
    table: pd.DataFrame,
    file: Path,
    assessment: Measure,
    tiers: Sequence[str] = ("clean", *(tier.name for tier in TIERS)),
    most: int = MOST_WINDOWS,
) -> None:
    """Measure at all files of `items` and write one row a window; resumes.

    Args:
        table: the files, ``path`` and what is known of each: label, kind, group.
        file: the parquet file.
        assessment: gives the columns of one window's largest face, or None to leave it out.
        tiers: as they are, and re-encoded.
        most: windows of one file.
    """
    rows = pd.read_parquet(file).to_dict("records") if file.exists() else []
    done = {(row["name"], row["tier"]) for row in rows}
    known = [name for name in table.columns if name != "path"]
    for number, item in enumerate(table.itertuples()):
        facts = {"name": item.path.name} | {name: getattr(item, name) for name in known}
        for tier in tiers:
            if (item.path.name, tier) not in done:
                result = rows_of(item.path, tier, assessment, most)
                rows += [facts | row for row in result]
        if number % SAVE_EVERY == SAVE_EVERY - 1:
            pd.DataFrame(rows).to_parquet(file)
            log.info("%s: %d windows in all", item.path.name, len(rows))
    pd.DataFrame(rows).to_parquet(file)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure motion in labelled videos.")
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cv2.setNumThreads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    collect(items(chosen.data), chosen.out / "motion.parquet", measured)


if __name__ == "__main__":
    main()
