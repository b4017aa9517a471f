"""What does the sync recipe train on, and how is real speech made harder to hear?

Reads the folder that `training.data.talking` makes (index.parquet with persons and splits, mouth
crops, sound on one clock), lays pieces of clips on a 25 Hz grid, disturbs their sound in several
variants and keeps what the frozen ear hears in them. Imports `media.align`, `detectors.sync`
and, in the same room, `training.data.whisper_weights`; never changes a file of the data folder.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
import torchaudio
from scipy import signal
from silero_vad import get_speech_timestamps, load_silero_vad

from detectors.sync.audio_encoder import WhisperEncoder
from detectors.sync.network import SAMPLES
from media import align
from media.degrade import through_aac
from media.rates import AUDIO_HZ, MOTION_HZ
from training.data.whisper_weights import ear_state

log = logging.getLogger(__name__)

PIECE_FRAMES = 100  # 4 s: longer clips are cut into pieces of this, the next one starts half-way
SHORTEST_FRAMES = 24
NEAREST_S = 0.03  # a moment of the grid takes the nearest good frame no farther than this
SPEEDS = (0.92, 1.0, 1.0, 1.08)  # images and sound together
EAR_LAYERS = 3  # all of their outputs are kept


@dataclass(frozen=True)
class Pieces:
    """Pieces of clips with what the ear hears in them.

    Attributes:
        table: one row a piece: `clip, set, person, variant, first, n` (frames of the 25 Hz grid).
        frames: (k,) int64, row of the set's mouth array for each frame of the grid.
        speech: (k,) bool, speech and a visible face.
        has_speech: (2 k, taps x 384) float16, the ear's outputs at 50 Hz (all taps).
        mel: (2 k, 160) float16, log-mel pairs at 50 Hz.
        mouths: {set: (frames, 96, 96) uint8}, not copied.
    """

    table: pd.DataFrame
    frames: np.ndarray
    speech: np.ndarray
    has_speech: np.ndarray
    mel: np.ndarray
    mouths: dict[str, np.ndarray]

    @classmethod
    def load(cls, folder: Path, data: Path, split: str) -> Pieces:
        """What `make_pieces` has written, as far as today's index has it in this split."""
        clips = pd.read_parquet(data / "index.parquet").set_index("clip")
        table = pd.read_parquet(folder / "pieces.parquet")
        table["person"] = table["clip"].map(clips["person"])
        table = table[table["clip"].map(clips["split"]) == split].reset_index(drop=True)
        names = ("frames", "speech", "heard", "mel")
        arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in names]
        mouths = {s: np.load(data / f"{s}_mouth.npy", mmap_mode="r") for s in table["set"].unique()}
        return cls(table, np.array(arrays[0]), np.array(arrays[1]), *arrays[2:], mouths)

    def mouth(self, row: pd.Series, start: int = 0, stop: int | None = None) -> np.ndarray:
        """(n, 96, 96) uint8 mouths of frames start..stop of one piece."""
        stop = row["n"] if stop is None else stop
        return self.mouths[row["set"]][self.frames[row["first"] + start : row["first"] + stop]]


class Stills:
    """Mouths of many still faces: they teach the shapes of lips that few talking people cannot.

    Args:
        folder: holds `NAME-img.npy` (n, 320, 320, 3) uint8 wide crops, `NAME-lm.npy` (n, 468, 2)
            landmarks in them and `NAME-meta.parquet` with `kind`.
        name: which set; only real faces are taken.
    """

    def __init__(self, folder: Path, name: str = "faces-train") -> None:
        kinds = pd.read_parquet(folder / f"{name}-meta.parquet")["kind"]
        rows = np.flatnonzero(kinds == "real")
        images = np.load(folder / f"{name}-img.npy", mmap_mode="r")
        landmarks = np.load(folder / f"{name}-lm.npy", mmap_mode="r")[rows]
        observed = np.isfinite(landmarks).all((1, 2))
        self.landmarks, rows = landmarks[observed], rows[observed]
        self.mouths = np.stack(
            [_mouth(images[i], points) for i, points in zip(rows, self.landmarks, strict=True)]
        )


def _mouth(crop: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    cut = align.cut(crop, align.mouth_matrix(landmarks), align.MOUTH_PX)
    return cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY)


class Talk:
    """The talking clips, one at a time, on their own clock."""

    def __init__(self, folder: Path) -> None:
        self.index = pd.read_parquet(folder / "index.parquet")
        sets = self.index["set"].unique()
        self.frames = {s: dict(np.load(folder / f"{s}_frames.npz")) for s in sets}
        self.recordings = {s: np.load(folder / f"{s}_sound.npy", mmap_mode="r") for s in sets}
        self.vad = load_silero_vad()

    def audio(self, row: pd.Series) -> np.ndarray:
        """(m,) float32 sound from time 0 of the clip's clock on."""
        first = row["sound_first"]
        samples = self.recordings[row["set"]][first : first + row["sound_n"]]
        values = np.array(samples, np.float32) / 32768
        shift = round(row["sound_start_s"] * AUDIO_HZ)
        return np.pad(values, (shift, 0)) if shift >= 0 else values[-shift:]

    def times(self, row: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Times of the clip's frames (s), and which of them show a face that is not faded."""
        part = slice(row["first"], row["first"] + row["n"])
        columns = self.frames[row["set"]]
        good = columns["valid"][part] & ~columns["faded"][part]
        return columns["times_s"][part], good

    def speech(self, audio: np.ndarray) -> np.ndarray:
        """(m,) bool, samples that Silero takes for speech."""
        mask = np.zeros(len(audio), bool)
        with torch.inference_mode():
            for part in get_speech_timestamps(torch.from_numpy(audio), self.vad):
                mask[part["start"] : part["end"]] = True
        return mask


def grid(
    times_s: np.ndarray, good: np.ndarray, start_s: float, speed: float, n: int
) -> np.ndarray | None:
    """(n,) good frames nearest to start + i x speed / 25 s, or None where one is missing."""
    moments = start_s + np.arange(n) * speed / MOTION_HZ
    where = np.flatnonzero(good)
    if len(where) < n // 2:
        return None
    nearest = where[np.abs(times_s[where][None] - moments[:, None]).argmin(1)]
    return nearest if np.abs(times_s[nearest] - moments).max() < NEAREST_S else None


def stretches(
    duration_s: float, speed: float, rng: np.random.Generator | None
) -> list[tuple[float, int]]:
    """(start_s, frames) of the pieces of one clip; starts are random unless rng is None."""
    total = int(duration_s / speed * MOTION_HZ + 1e-6)
    if total <= PIECE_FRAMES:
        return [(0.0, total)] if total >= SHORTEST_FRAMES else []
    first = int(rng.integers(PIECE_FRAMES // 2)) if rng is not None else 0
    starts = range(first, total - PIECE_FRAMES + 1, PIECE_FRAMES // 2)
    return [(s * speed / MOTION_HZ, PIECE_FRAMES) for s in starts]


def band_limited(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Telephone to loudspeaker: a band-pass without delay."""
    low, high = rng.uniform(50, 350), rng.uniform(2500, 7500)
    sections = signal.butter(2, (low, high), "bandpass", fs=AUDIO_HZ, output="sos")
    return signal.sosfiltfilt(sections, audio).astype(np.float32)


def in_a_room(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Reverberation by decaying noise (0.1 to 0.6 s) after the direct sound."""
    decay_s = rng.uniform(0.1, 0.6)
    n = int(decay_s * AUDIO_HZ)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail *= rng.uniform(0.1, 0.7) / np.linalg.norm(tail)
    tail[0] = 1.0
    return signal.fftconvolve(audio, tail)[: len(audio)].astype(np.float32)


def with_noise(audio: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """White to brown noise, or other people's speech, 3 to 25 dB below."""
    if rng.random() < 0.5:
        noise = np.resize(other[::-1], len(audio)).copy()  # babble: another clip, backwards
    else:
        spectrum = np.fft.rfft(rng.standard_normal(len(audio)))
        slope = rng.uniform(0, 1)
        spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** slope
        noise = np.fft.irfft(spectrum, len(audio))
    gap_db = rng.uniform(3, 25)
    scale = np.sqrt(np.mean(audio**2) / (np.mean(noise**2) + 1e-12)) * 10 ** (-gap_db / 20)
    return (audio + scale * noise).astype(np.float32)


def disturbed(audio: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One clip's sound as it may arrive from the wild, still in step."""
    if rng.random() < 0.4:
        audio = in_a_room(audio, rng)
    if rng.random() < 0.6:
        audio = with_noise(audio, other, rng)
    if rng.random() < 0.4:
        audio = band_limited(audio, rng)
    if rng.random() < 0.4:
        audio = through_aac(audio, int(rng.integers(16, 65)) * 1000)
    gain = rng.uniform(0.2, 0.95) / max(float(np.abs(audio).max()), 1e-4)
    return np.clip(audio * gain * rng.choice([1.0, 1.0, 1.0, 1.6]), -1, 1).astype(np.float32)


def make_pieces(data: Path, folder: Path, base: Path, split: str, variants: int) -> None:
    """Write the pieces of one split: variant 0 is untouched, the others are disturbed."""
    if (folder / "pieces.parquet").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    ear = WhisperEncoder(EAR_LAYERS, tuple(range(EAR_LAYERS + 1)))
    ear.load_state_dict(ear_state(base, EAR_LAYERS))
    talk = Talk(data)
    rows: list[dict] = []
    parts: dict[str, list[np.ndarray]] = {"frames": [], "speech": [], "heard": [], "mel": []}
    clips = talk.index[talk.index["split"] == split].reset_index(drop=True)
    total = 0
    for number, clip in clips.iterrows():
        other = talk.audio(clips.iloc[(number * 7 + 3) % len(clips)])
        spoken = talk.speech(talk.audio(clip))
        for variant in range(variants):
            rng = np.random.default_rng([number, variant])
            for arrays in _pieces_of(talk, ear, clip, (other, spoken), rng, variant > 0):
                n = len(arrays["frames"])
                named = {key: clip[key] for key in ("clip", "set", "person")}
                rows.append(named | {"variant": variant, "first": total, "n": n})
                total += n
                for name, values in arrays.items():
                    parts[name].append(values)
        if number % 200 == 0:
            log.info("%s: %d of %d clips", split, number, len(clips))
    for name, values in parts.items():
        np.save(folder / f"{name}.npy", np.concatenate(values))
    pd.DataFrame(rows).to_parquet(folder / "pieces.parquet")


def _pieces_of(
    talk: Talk,
    ear: WhisperEncoder,
    clip: pd.Series,
    extra: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    disturb: bool,
) -> list[dict[str, np.ndarray]]:
    """All pieces of one variant of one clip; `extra`: another clip's sound, speech by sample."""
    speed = float(rng.choice(SPEEDS)) if disturb else 1.0
    audio, (times, good) = talk.audio(clip), talk.times(clip)
    other, spoken = extra
    speech = disturbed(audio, other, rng) if disturb else audio
    speech = torchaudio.functional.resample(
        torch.from_numpy(speech), round(AUDIO_HZ * speed), AUDIO_HZ
    ).numpy()
    end_s = min(len(audio) / AUDIO_HZ, float(np.nanmax(times)) + 1 / MOTION_HZ)
    result = []
    for start_s, n in stretches(end_s, speed, rng if disturb else None):
        frames = grid(times, good, start_s, speed, n)
        if frames is None:
            continue
        begin = round(start_s / speed * AUDIO_HZ)
        piece = speech[begin : begin + n * SAMPLES]
        piece = torch.from_numpy(np.pad(piece, (0, n * SAMPLES - len(piece))))[None]
        moments = ((start_s + np.arange(n) * speed / MOTION_HZ) * AUDIO_HZ).astype(int)
        mel = ear.mel(piece).transpose(1, 2).unflatten(1, (-1, 2)).flatten(2)
        result.append(
            {
                "frames": frames + clip["first"],
                "speech": spoken[np.minimum(moments, len(spoken) - 1)],
                "heard": ear(piece)[0].numpy().astype(np.float16),
                "mel": mel[0].numpy().astype(np.float16),
            }
        )
    return result
