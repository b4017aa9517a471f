"""How do the talking clips become arrays that all recipes of moving faces read?

`python -m training.data.talking CLIPS OUT` (CLIPS: the folder of `ar_*.mp4` and `en_*.mp4`) follows
the main face of every clip, cuts wide and mouth crops and takes the sound on the same clock; after
it, `training.data.talking_people` adds persons and splits. `Talking` is how recipes may read the
arrays. Imports `media`.
"""

from __future__ import annotations

import argparse
import logging
import os
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd

from media import align
from media.faces import Face, FaceFinder
from media.rates import AUDIO_HZ

log = logging.getLogger(__name__)

WIDE_PX = 192  # side of the stored wide crop (the app's is 320; the clips hold no more detail)
FIND_EVERY = 10  # frames between two searches with the detector; the mesh follows in between
AUDIO_HALF_S = 0.1  # the loudness at a frame is taken over this time before and after it
FADE_SHARE = (
    0.6  # a frame whose crop is this much darker or flatter than the clip's median is faded
)
SETS = ("ar", "en")


@dataclass(frozen=True)
class Decoded:
    """One clip on its container's clock.

    Attributes:
        frames: list of (h, w, 3) uint8 RGB images.
        times_s: (n,) float64, presentation times minus the common start of both streams.
        audio: (m,) int16, 16 kHz mono.
        audio_start_s: time of the first sample on the same clock.
        fps: nominal frame rate.
    """

    frames: list[np.ndarray]
    times_s: np.ndarray
    audio: np.ndarray
    audio_start_s: float
    fps: float


def decode(path: Path) -> Decoded:
    """Decode images and sound of one clip onto one clock."""
    frames, times, chunks, audio_start = [], [], [], None
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        streams = [video, *container.streams.audio[:1]]
        start = min(float(s.start_time * s.time_base) for s in streams if s.start_time is not None)
        resampler = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_HZ)
        for frame in container.decode(streams):
            moment = float(frame.pts * frame.time_base) - start
            if isinstance(frame, av.VideoFrame):
                frames.append(frame.to_ndarray(format="rgb24"))
                times.append(moment)
            else:
                audio_start = moment if audio_start is None else audio_start
                chunks += [out.to_ndarray().ravel() for out in resampler.resample(frame)]
        if chunks:
            chunks += [out.to_ndarray().ravel() for out in resampler.resample(None)]
        fps = float(video.average_rate)
    order = np.argsort(times, kind="stable")
    audio = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
    return Decoded(
        [frames[i] for i in order], np.array(times)[order], audio, audio_start or 0.0, fps
    )


def main_faces(frames: list[np.ndarray], finder: FaceFinder) -> list[Face | None]:
    """The clip's main face in every frame (None where it is gone)."""
    result: list[Face | None] = []
    face: Face | None = None
    for number, image in enumerate(frames):
        before, face = face, None
        if before is not None and number % FIND_EVERY:
            face = finder.follow(image, before)
        if face is None:
            face = _search(image, before, finder)
        result.append(face)
    return result


def _search(image: np.ndarray, before: Face | None, finder: FaceFinder) -> Face | None:
    """The largest face, or, when one was followed, the one at its place."""
    faces = finder.find(image)
    if not faces:
        return finder.follow(image, before) if before is not None else None
    if before is None:
        return faces[0]
    center = before.box_xyxy.reshape(2, 2).mean(0)
    return min(faces, key=lambda f: np.linalg.norm(f.box_xyxy.reshape(2, 2).mean(0) - center))


def cut_crops(
    image: np.ndarray, landmarks: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wide crop, mouth crop and landmarks of one face.

    Returns:
        (192, 192, 3) uint8 wide crop; (96, 96) uint8 gray mouth crop, cut from the 320-pixel wide
        crop as the app does; (468, 2) float32 landmarks in pixels of the 192-pixel crop.
    """
    to_app = align.face_matrix(landmarks)
    crop = align.cut(image, to_app, align.CROP_PX)
    mouth = align.cut(crop, align.mouth_matrix(align.move(landmarks, to_app)), align.MOUTH_PX)
    to_wide = align.face_matrix(landmarks, WIDE_PX)
    wide = align.cut(image, to_wide, WIDE_PX)
    return wide, cv2.cvtColor(mouth, cv2.COLOR_RGB2GRAY), align.move(landmarks, to_wide)


def _array_file(out: Path, part: str, name: str) -> Path:
    return out / f"{part}_{name}.npy"


def _count_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return video.frames or sum(1 for _ in container.decode(video))


def _prepare(job: tuple[Path, Path, str, int, int]) -> tuple[dict, np.ndarray, dict]:
    """Worker: one clip into its slice of the arrays; returns index row, sound, frame columns."""
    path, out, part, first, room = job
    clip = decode(path)
    n = min(len(clip.frames), room)
    with FaceFinder() as finder:
        faces = main_faces(clip.frames[:n], finder)
    names = ("wide", "mouth", "landmarks_frame", "landmarks_crop")
    arrays = [np.load(_array_file(out, part, name), mmap_mode="r+") for name in names]
    valid = np.zeros(room, bool)
    for i, face in enumerate(faces):
        if face is not None:
            wide, mouth, points = cut_crops(clip.frames[i], face.landmarks)
            for array, value in zip(arrays, (wide, mouth, face.landmarks, points), strict=True):
                array[first + i] = value
            valid[i] = True
    times = np.full(room, np.nan)
    times[:n] = clip.times_s[:n]
    columns = {"times_s": times, "valid": valid}
    columns["faded"] = _faded(arrays[0][first : first + room], valid)
    columns["sound_db"] = _loudness_db(clip, times)
    height, width = clip.frames[0].shape[:2]
    row = {"clip": path.stem, "set": part, "first": first, "n": n, "fps": clip.fps}
    row |= {"sound_n": len(clip.audio), "sound_start_s": clip.audio_start_s}
    row |= {"width_px": width, "height_px": height, "n_valid": int(valid.sum())}
    return row, clip.audio, columns


def _faded(crops: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Frames whose crop is much darker or flatter than the clip's median (a fade)."""
    gray = crops[:, ::4, ::4].reshape(len(crops), -1).astype(np.float32)
    faded = np.zeros(len(crops), bool)
    if valid.any():
        for measure in (gray.mean(1), gray.std(1)):
            faded |= measure < FADE_SHARE * np.median(measure[valid])
    return faded | ~valid


def _loudness_db(clip: Decoded, times_s: np.ndarray) -> np.ndarray:
    """Loudness around each frame, dB of full scale (-100 where there is no sound)."""
    power = np.concatenate([[0.0], np.cumsum((clip.audio / 32768.0) ** 2)])
    result = np.full(len(times_s), -100.0)
    for i, moment in enumerate(times_s):
        if np.isfinite(moment):
            ends = np.array([moment - AUDIO_HALF_S, moment + AUDIO_HALF_S]) - clip.audio_start_s
            low, high = np.clip((ends * AUDIO_HZ).astype(int), 0, len(clip.audio))
            if high > low:
                result[i] = 10 * np.log10((power[high] - power[low]) / (high - low) + 1e-10)
    return result


class Talking:
    """The prepared arrays, memory-mapped; a clip's rows in them are `first` to `first + n - 1`.

    Attributes:
        index: clips with set, first, n, fps, sound_first, sound_n, sound_start_s, person, split.
        wide, landmarks_frame, landmarks_crop: by set ("ar", "en"); (N, 192, 192, 3) uint8 and
            twice (N, 468, 2) float32, pixels of the video frame and of the wide crop.
        times_s, valid, faded, audio_db: by set, one value a frame.
    """

    def __init__(self, folder: Path) -> None:
        self.index = pd.read_parquet(folder / "index.parquet")
        self.wide, self.landmarks_frame, self.landmarks_crop = (
            {part: np.load(_array_file(folder, part, name), mmap_mode="r") for part in SETS}
            for name in ("wide", "landmarks_frame", "landmarks_crop")
        )
        frames = {part: np.load(folder / f"{part}_frames.npz") for part in SETS}
        self.times_s, self.valid, self.faded, self.audio_db = (
            {part: frames[part][name] for part in SETS}
            for name in ("times_s", "valid", "faded", "sound_db")
        )


def prepare(clips: Path, out: Path, workers: int) -> None:
    """Cut all clips into the arrays; the persons are added by `training.data.talking_people`."""
    rows = []
    for part in SETS:
        paths = sorted(clips.glob(f"{part}_*.mp4"))
        counts = [_count_frames(path) for path in paths]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(int)
        total = int(starts[-1])
        shapes = {
            "wide": ((total, WIDE_PX, WIDE_PX, 3), np.uint8),
            "mouth": ((total, align.MOUTH_PX, align.MOUTH_PX), np.uint8),
            "landmarks_frame": ((total, 468, 2), np.float32),
            "landmarks_crop": ((total, 468, 2), np.float32),
        }
        for name, (shape, kind) in shapes.items():
            np.lib.format.open_memmap(_array_file(out, part, name), "w+", kind, shape)
        jobs = [
            (p, out, part, int(s), c) for p, s, c in zip(paths, starts[:-1], counts, strict=True)
        ]
        with Pool(workers, initializer=_quiet) as pool:
            done = []
            for result in pool.imap(_prepare, jobs, chunksize=4):
                done.append(result)
                if len(done) % 100 == 0:
                    log.info("%s: %d of %d clips", part, len(done), len(jobs))
        recordings = [d[1] for d in done]
        offsets = np.concatenate([[0], np.cumsum([len(s) for s in recordings])])
        np.save(_array_file(out, part, "sound"), np.concatenate(recordings))
        frames = {k: np.concatenate([d[2][k] for d in done]) for k in done[0][2]}
        np.savez(out / f"{part}_frames.npz", **frames)
        rows += [d[0] | {"sound_first": int(o)} for d, o in zip(done, offsets[:-1], strict=True)]
    pd.DataFrame(rows).to_parquet(out / "index.parquet")


def _quiet() -> None:
    """Worker start: one OpenCV thread, no chatter of native libraries."""
    cv2.setNumThreads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    prepare(args.clips, args.out, args.workers)


if __name__ == "__main__":
    main()
