"""Does the sync checkpoint hold on files that have nothing to do with its training?

`python -m training.sync.external CHECKPOINT MANIFEST` (columns `file` or `path`, `label`) lays real
files beside their own sound, the same sound shifted and the sound of other files, compares real and
fake files with their own sound, and adds the figures to the checkpoint's card. Imports
`detectors.sync.network` and, in the same room, `training.sync.export`, `training.sync.figures`,
`training.data.talking`.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from silero_vad import get_speech_timestamps, load_silero_vad

from detectors.sync.network import SAMPLES, SyncModel
from detectors.sync.offset import raw_log_odds
from hub.checkpoint import Card
from media import align
from media.faces import FaceFinder
from media.rates import AUDIO_HZ, MOTION_HZ
from training.cards import page
from training.cards.writer import auc_figure
from training.data.talking import decode, main_faces
from training.sync.data import SHORTEST_FRAMES, grid
from training.sync.figures import Protocol, Spoken, figures, judged, window_rows

log = logging.getLogger(__name__)

PROTOCOL = Protocol({"other": 75}, hop=75)


def spoken_file(path: Path, vad) -> Spoken | None:
    """One file on the 25 Hz grid from its first face on, or None without sound or a steady face."""
    clip = decode(path)
    with FaceFinder() as finder:
        faces = main_faces(clip.frames, finder)
    good = np.array([face is not None for face in faces])
    if not good.any() or not len(clip.audio):
        return None
    start_s = max(float(clip.times_s[good][0]), clip.audio_start_s)
    stop_s = clip.audio_start_s + len(clip.audio) / AUDIO_HZ
    n = int((min(stop_s, float(clip.times_s[good][-1]) + 0.03) - start_s) * MOTION_HZ)
    frames = grid(clip.times_s, good, start_s, 1.0, n) if n >= SHORTEST_FRAMES else None
    if frames is None:
        return None
    audio = clip.audio.astype(np.float32) / 32768
    spoken = np.zeros(len(audio), bool)
    for part in get_speech_timestamps(torch.from_numpy(audio), vad):
        spoken[part["start"] : part["end"]] = True
    first = round((start_s - clip.audio_start_s) * AUDIO_HZ)
    part = slice(first, first + n * SAMPLES)
    speech = spoken[part].reshape(n, -1).mean(1) > 0.5
    points = np.stack([faces[i].landmarks for i in frames])
    mouths = np.stack([_mouth(clip.frames[i], faces[i].landmarks) for i in frames])
    return Spoken(path.name, "other", path.name, mouths, points, audio[part], speech)


def _mouth(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    to_crop = align.face_matrix(landmarks)
    crop = align.cut(image, to_crop, align.CROP_PX)
    inside = align.mouth_matrix(align.move(landmarks, to_crop))
    return cv2.cvtColor(align.cut(crop, inside, align.MOUTH_PX), cv2.COLOR_RGB2GRAY)


def external_figures(
    model: SyncModel, real: list[Spoken], fake: list[Spoken], name: str
) -> list[dict]:
    """Real files against wrong sound, and real against fake files, each with its own sound."""
    classifier = model.config.judge
    rows = window_rows(model, real, PROTOCOL)
    result = figures(rows, judged(rows, classifier), f"real files of {name}")
    both = {}
    for label, table in ((0, rows), (1, window_rows(model, fake, PROTOCOL))):
        subset = table[table["kind"] == "in_step"]
        raws = [raw_log_odds(row, classifier) for row in subset.to_dict("records")]
        both[label] = pd.Series(raws).groupby(subset["clip"].to_numpy()).mean().to_numpy()
    what = "AUC, real against fake, own sound (these fakes are in step)"
    labels, raws = np.repeat([0, 1], [len(both[0]), len(both[1])]), np.r_[both[0], both[1]]
    files = np.arange(len(raws)).astype(str)
    return [*result, auc_figure(what, labels, raws, files, f"files of {name}")]


def add_to_card(folder: Path, result: list[dict]) -> None:
    """Replace the figures of the same protocols, and write the page anew."""
    card = Card.from_json((folder / "card.json").read_text(encoding="utf-8"))
    fresh = {entry["protocol"] for entry in result}
    others = [row for row in page.read_figures(folder) if row["protocol"] not in fresh]
    page.write(folder, card, others + result)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("manifest", type=Path)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    table = pd.read_csv(args.manifest)
    vad, clips = load_silero_vad(), {False: [], True: []}
    for row in table.to_dict("records"):
        clip = spoken_file(args.manifest.parent / (row.get("file") or row["path"]), vad)
        log.info("%s: %s", row.get("file"), "skipped" if clip is None else len(clip.speech))
        if clip is not None:
            clips[str(row["label"]) in ("fake", "1")].append(clip)
    model = SyncModel.from_folder(args.checkpoint)
    result = external_figures(model, clips[False], clips[True], args.manifest.parent.name)
    for entry in result:
        log.info("%s", entry)
    add_to_card(args.checkpoint, result)


if __name__ == "__main__":
    main()
