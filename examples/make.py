"""Which files can a visitor try, and what was done to each of them?

Writes this folder from one portrait in the public domain (the astronaut of scikit-image, NASA),
one photo without a face (the rocket of scikit-image, SpaceX, public domain) and a synthetic voice
(espeak-ng): the portrait as it is, with its face blended with a moved copy of itself, with its
mouth drawn again, animated to speech, and so animated under other speech. No other face is used.

    python -m examples.make
"""

from __future__ import annotations

import csv
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from media import align
from media.degrade import rescale
from media.faces import FaceFinder
from media.mesh import CHIN, LOWER_LIP_INSIDE, NOSE_TIP
from media.rates import AUDIO_HZ, MOTION_HZ
from media.writer import ClipWriter, Encoding

FOLDER = Path(__file__).resolve().parent
SECONDS = 5
SIDE_PX = 512
ENCODING = Encoding(21, "medium")
TEXT = "This voice was made by a machine, and so was the movement of these lips."
OTHER_TEXT = (
    "Good evening, here are twelve numbers: four, nine, one, seven, two, eight, and six more."
)
DRAWN_PX = 96  # side at which Wav2Lip draws a face (Prajwal et al. 2020, arXiv:2008.10010)
LABELS = (  # file, what was done, the level that this program gave it when it was measured
    ("portrait.jpg", "Portrait (NASA, public domain), as it is", "Inconclusive"),
    ("blended.jpg", "The same, face blended by us", "Some signs"),
    (
        "redrawn.jpg",
        "The same, mouth and chin drawn again by us, as lip-sync tools do",
        "Some signs",
    ),
    (
        "animated.mp4",
        "The same, animated by us as a talking head, synthetic voice",
        "No signs found",
    ),
    (
        "foreign_voice.mp4",
        "The same animation, a foreign voice put under it by us",
        "Inconclusive",
    ),
    ("rocket.jpg", "No face: a rocket (SpaceX, public domain), as it is", "Not assessed"),
)


def main() -> None:
    """Write the examples and their labels."""
    portrait = load_portrait()
    with FaceFinder() as finder:
        (face, *_) = finder.find(portrait)
    Image.fromarray(portrait).save(FOLDER / LABELS[0][0], quality=92)
    Image.fromarray(self_blended(portrait, face.landmarks)).save(FOLDER / LABELS[1][0], quality=92)
    voice = speech(TEXT)
    redrawn = mouth_redrawn(portrait, face.landmarks)
    Image.fromarray(redrawn).save(FOLDER / LABELS[2][0], quality=92)
    write_clip(FOLDER / LABELS[3][0], animate(portrait, face.landmarks, voice), voice)
    write_clip(FOLDER / LABELS[4][0], animate(portrait, face.landmarks, voice), speech(OTHER_TEXT))
    Image.fromarray(load_rocket()).save(FOLDER / LABELS[5][0], quality=90)
    with (FOLDER / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("file", "label", "answer"), *LABELS])


def load_portrait() -> np.ndarray:
    """(512, 512, 3) uint8 RGB: head and shoulders, enlarged twice."""
    from skimage.data import astronaut

    return cv2.resize(astronaut()[:300, 70:370], (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)


def load_rocket() -> np.ndarray:
    """(427, 640, 3) uint8 RGB: a launch, nobody in it."""
    from skimage.data import rocket

    return np.asarray(rocket())


def mouth_redrawn(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Draw the face below the nose again at a low resolution, as tools for lip-sync do."""
    unit = align.face_scale_px(landmarks)
    low, high = landmarks.min(0).astype(int), landmarks.max(0).astype(int)
    face = image[low[1] : high[1], low[0] : high[0]]
    small = cv2.resize(face, (DRAWN_PX, DRAWN_PX), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 0.7)
    drawn = image.copy()
    drawn[low[1] : high[1], low[0] : high[0]] = cv2.resize(
        small, face.shape[1::-1], interpolation=cv2.INTER_LINEAR
    )
    drawn = np.clip(drawn * np.array([1.02, 1.0, 0.98]) + 2, 0, 255)
    below = landmarks[landmarks[:, 1] > landmarks[NOSE_TIP, 1]]
    mask = np.zeros(image.shape[:2], np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(below).astype(np.int32)), 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.03 * unit)[..., None]
    return np.clip(image * (1 - mask) + drawn * mask, 0, 255).astype(np.uint8)


def self_blended(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Blend a moved, resampled, slightly tinted copy into the face.

    The idea of self-blended images (Shiohara & Yamasaki 2022, arXiv:2204.08376): the traces of a
    face swap without another person's face.
    """
    center = landmarks.mean(0)
    unit = align.face_scale_px(landmarks)
    small = rescale(image, 0.4)
    copy = cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    matrix = cv2.getRotationMatrix2D(center.tolist(), 2.0, 1.04)
    matrix[:, 2] += 0.04 * unit
    copy = cv2.warpAffine(copy, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101)
    copy = np.clip(copy * np.array([1.05, 1.0, 0.94]) + 4, 0, 255)
    mask = np.zeros(image.shape[:2], np.float32)
    hull = cv2.convexHull(np.round(center + 0.92 * (landmarks - center)).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.06 * unit)[..., None]
    return np.clip(image * (1 - mask) + copy * mask, 0, 255).astype(np.uint8)


def speech(text: str) -> np.ndarray:
    """(n,) float32 -1..1 at 16 kHz: a synthetic voice that says a text."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["espeak-ng", "-s", "150", "-w", file.name, text], check=True)
        with av.open(file.name) as container:
            resampler = av.AudioResampler("flt", "mono", AUDIO_HZ)
            frames = [r for f in container.decode(audio=0) for r in resampler.resample(f)]
            frames += resampler.resample(None)
    audio = np.concatenate([frame.to_ndarray().ravel() for frame in frames])
    wanted = np.zeros(SECONDS * AUDIO_HZ, np.float32)
    wanted[: min(len(audio), len(wanted))] = audio[: len(wanted)]
    return wanted


def loudness(voice: np.ndarray) -> np.ndarray:
    """(frames,) 0..1: how loud the voice is in each image, smoothed over three of them."""
    parts = voice[: SECONDS * AUDIO_HZ].reshape(SECONDS * MOTION_HZ, -1)
    level = np.sqrt((parts**2).mean(1))
    level = np.convolve(level, [0.25, 0.5, 0.25], "same")
    return np.clip(level / max(np.percentile(level, 95), 1e-6), 0, 1)


def animate(image: np.ndarray, landmarks: np.ndarray, voice: np.ndarray) -> Iterator[np.ndarray]:
    """Images in which the jaw follows the loudness and the head sways."""
    unit = align.face_scale_px(landmarks)
    for index, open_share in enumerate(loudness(voice)):
        time_s = index / MOTION_HZ
        moved = _drop_jaw(image, landmarks, 0.13 * unit * float(open_share))
        sway = np.array([[1, 0, 3 * np.sin(1.7 * time_s)], [0, 1, 2 * np.sin(1.1 * time_s)]])
        size_wh = image.shape[1::-1]
        yield cv2.warpAffine(moved, sway, size_wh, borderMode=cv2.BORDER_REFLECT_101)


def _drop_jaw(image: np.ndarray, landmarks: np.ndarray, drop_px: float) -> np.ndarray:
    """Pull everything below the upper teeth down and darken the gap that opens."""
    unit = align.face_scale_px(landmarks)
    lip, chin = landmarks[LOWER_LIP_INSIDE], landmarks[CHIN]
    rows, columns = _grid(image)
    across = np.exp(-(((columns - lip[0]) / (0.6 * unit)) ** 2))
    down = np.clip((rows - lip[1] + 0.02 * unit) / (0.04 * unit), 0, 1)
    fade = np.clip((chin[1] + 0.5 * unit - rows) / (0.6 * unit), 0, 1)
    pulled = _sampled(image, columns, rows - drop_px * across * down * fade)
    half_width, half_height = 0.24 * unit, 0.6 * drop_px + 1
    gap = ((columns - lip[0]) / half_width) ** 2 + (
        (rows - lip[1] - drop_px / 2) / half_height
    ) ** 2
    dark = np.clip(1.5 - 1.5 * gap, 0, 1)[..., None] * min(1.0, drop_px / (0.05 * unit)) * 0.8
    return (pulled * (1 - dark) + np.array([58, 24, 24]) * dark).astype(np.uint8)


def _grid(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each pixel, two (h, w) float32 arrays."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    return rows, columns


def _sampled(image: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The image read at other places, (h, w, 3) uint8 RGB."""
    across, down = columns.astype(np.float32), rows.astype(np.float32)
    return cv2.remap(image, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def write_clip(path: Path, images: Iterable[np.ndarray], voice: np.ndarray) -> None:
    """Write images and a voice that start together."""
    with ClipWriter(path, ENCODING, (SIDE_PX, SIDE_PX), MOTION_HZ, has_audio=True) as writer:
        for index, image in enumerate(images):
            writer.add_image(image, index / MOTION_HZ)
        writer.add_audio(voice, 0.0)


if __name__ == "__main__":
    main()
