"""What do the networks of the sync detector have in common?

Two towers, one for the face and one for the voice, each with an embedding every 40 ms; the cosine
between them by lag says whether both belong to the same moment. The embedded network, AV-HuBERT,
SyncNet and that of LatentSync differ in what they look at and in how the curve is read. Imports
hub, media and the networks of this room.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import cast

import cv2
import numpy as np
import torch
from torch import nn

from detectors.inference import inference, moved
from detectors.loading import load_layout
from detectors.sync.avhubert import AVHubert, build_avhubert
from detectors.sync.crops import avhubert_mouths, latentsync_faces, syncnet_faces
from detectors.sync.network import CROP_PX, SyncModel
from detectors.sync.offset import compare, out_of_step, raw_log_odds
from detectors.sync.stable_plan import FACE_PX as LATENTSYNC_PX
from detectors.sync.stable_syncnet import StableSyncNet, build_stable_syncnet
from detectors.sync.syncnet import FACE_PX, FRAMES, SyncNet, build_syncnet
from errors import UserError
from hub import layouts
from hub.checkpoint import Checkpoint
from media import align
from media.cepstra import cepstra, log_filterbank, stacked
from media.rates import AUDIO_HZ, MOTION_HZ
from media.tracks import FaceTrack

BLANK_FRAMES = MOTION_HZ  # one second is tried before the first verdict
LIP_MEAN, LIP_STD = 0.421, 0.165  # gray values of mouths in AV-HuBERT's training data, 0..1
QUIET = 1e-5  # added to a variance, as torch's layer norm does


class Towers(ABC):
    """Two towers with one embedding each every 40 ms.

    Attributes:
        context: frames of video in one embedding; of n frames there are n - context + 1 rows.
    """

    context: int = 1

    @abstractmethod
    def embed_face(self, track: FaceTrack, index: np.ndarray) -> np.ndarray:
        """(n, d) float32 unit vectors of the frames ``index`` (n,) of a face, on ticks of 25 Hz."""

    @abstractmethod
    def embed_blank(self, frames: int) -> np.ndarray:
        """What `embed_face` makes of ``frames`` black images of a face."""

    @abstractmethod
    def embed_audio(self, samples: np.ndarray) -> np.ndarray:
        """(k, d) float32 unit vectors of (m,) float32 audio, -1..1, 16 kHz, on the same ticks."""

    @abstractmethod
    def judge(self, measures: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        """Raw log-odds of manipulation from `offset.compare`, and more measures to show."""


class OwnTowers(Towers):
    """The network that this program trains, with the judge in its config."""

    def __init__(self, network: SyncModel) -> None:
        self.network = network

    def embed_face(self, track: FaceTrack, index: np.ndarray) -> np.ndarray:
        """Outlines of the lips, and images of the mouth where the network looks at them."""
        observed = mouths(track)[index] if self.network.uses_images else None
        return self.network.embed_mouths(observed, track.landmarks[index])

    def embed_blank(self, frames: int) -> np.ndarray:
        """Black mouths, all points in one place."""
        observed = blank_mouths(frames) if self.network.uses_images else None
        return self.network.embed_mouths(observed, np.zeros((frames, 468, 2), np.float32))

    def embed_audio(self, samples: np.ndarray) -> np.ndarray:
        """What the ear hears."""
        return self.network.embed_audio(samples)

    def judge(self, measures: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        """A likelihood ratio, bounded by how often real recordings are out of step."""
        values, numbers = dict(measures), self.network.config.judge
        shown = {"out_of_step_log_odds": out_of_step(values, numbers)}
        return raw_log_odds(values, numbers), shown


class AVHubertTowers(Towers):
    """AV-HuBERT asked twice, with the voice alone and with the lips alone.

    Training-free, as SpeechForensics does it (Liang et al. 2024): the mean cosine at the best lag
    is high where lips and voice say the same. Lags that no recording has are not forgiven here, so
    that a moved voice is found as well as a drawn mouth.
    """

    def __init__(self, network: AVHubert) -> None:
        self.network = network

    def embed_face(self, track: FaceTrack, index: np.ndarray) -> np.ndarray:
        """Gray mouths, cut as for its training."""
        return self.embed_mouths(avhubert_mouths(track, index))

    def embed_blank(self, frames: int) -> np.ndarray:
        """Black mouths."""
        return self.embed_mouths(blank_mouths(frames))

    def embed_mouths(self, crops: np.ndarray) -> np.ndarray:
        """(n, d) unit vectors of (n, 96, 96) uint8 gray mouths, whose center is looked at."""
        edge = (align.MOUTH_PX - CROP_PX) // 2
        inner = crops[:, edge:-edge, edge:-edge]
        values = (inner.astype(np.float32) / 255 - LIP_MEAN) / LIP_STD
        return _unit(self._run(lips=values))

    def embed_audio(self, samples: np.ndarray) -> np.ndarray:
        """Log filterbanks."""
        return _unit(self._run(audio=audio_rows(samples)))

    def judge(self, measures: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        """Minus the mean cosine at the best lag that a recording may have."""
        return -measures["in_step"], {}

    def _run(self, **given: np.ndarray) -> torch.Tensor:
        device = next(self.network.parameters()).device
        rows = {n: torch.from_numpy(np.ascontiguousarray(v, np.float32)) for n, v in given.items()}
        with inference(device):
            return self.network(**{name: moved(row, device)[None] for name, row in rows.items()})[0]


class SyncNetTowers(Towers):
    """SyncNet: five frames of the face against twenty columns of cepstra."""

    context = FRAMES

    def __init__(self, network: SyncNet) -> None:
        self.network = network

    def embed_face(self, track: FaceTrack, index: np.ndarray) -> np.ndarray:
        """The face with its surroundings, cut as for its training; four rows fewer than frames."""
        return self.embed_crops(syncnet_faces(track.crops[index]))

    def embed_blank(self, frames: int) -> np.ndarray:
        """Black faces; four rows fewer than frames."""
        return self.embed_crops(np.zeros((frames, FACE_PX, FACE_PX, 3), np.uint8))

    def embed_crops(self, crops: np.ndarray) -> np.ndarray:
        """(n - 4, d) unit vectors of (n, 224, 224, 3) uint8 RGB faces, looked at as BGR."""
        device = next(self.network.parameters()).device
        with inference(device):
            rows = self.network.look(moved(torch.from_numpy(crops[..., ::-1].copy()), device))
        return _unit(rows)

    def embed_audio(self, samples: np.ndarray) -> np.ndarray:
        """Thirteen cepstra, a hundred times a second."""
        device = next(self.network.parameters()).device
        with inference(device):
            rows = self.network.hear(moved(torch.from_numpy(cepstra(samples)), device))
        return _unit(rows)

    def judge(self, measures: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        """Minus SyncNet's confidence, best against median, at lags that a recording may have."""
        return -_confidence(measures), {}


class StableSyncNetTowers(Towers):
    """LatentSync's: the lower half of 16 faces against 52 columns of a mel spectrogram."""

    def __init__(self, network: StableSyncNet) -> None:
        self.network = network
        self.context = network.frames

    def embed_face(self, track: FaceTrack, index: np.ndarray) -> np.ndarray:
        """Faces cut as for its training; fifteen rows fewer than frames."""
        return self._run(self.network.look, latentsync_faces(track, index))

    def embed_blank(self, frames: int) -> np.ndarray:
        """Black faces, of which one row is as good as all."""
        black = np.zeros((self.context, LATENTSYNC_PX, LATENTSYNC_PX, 3), np.uint8)
        return self._run(self.network.look, black).repeat(frames - self.context + 1, 0)

    def embed_audio(self, samples: np.ndarray) -> np.ndarray:
        """The mel spectrogram; what is shorter than a row is filled up with silence."""
        least = self.context * AUDIO_HZ // MOTION_HZ
        return self._run(self.network.hear, np.pad(samples, (0, max(0, least - len(samples)))))

    def judge(self, measures: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        """As SyncNet's."""
        return -_confidence(measures), {}

    def _run(self, tower: Callable[[torch.Tensor], torch.Tensor], rows: np.ndarray) -> np.ndarray:
        device = next(self.network.parameters()).device
        with inference(device):
            return _unit(tower(moved(torch.from_numpy(rows), device)))


def _confidence(measures: Mapping[str, float]) -> float:
    """Best cosine at the lags that a recording may have, above the median of all."""
    return measures["in_step"] - (measures["best_cosine"] - measures["confidence"])


def load_towers(checkpoint: Checkpoint, device: str) -> Towers:
    """Build the towers of a checkpoint on a device, ready to judge.

    Raises:
        UserError: ``weights_refused`` when they do not fit their layout, or cannot judge a blank
            second.
    """
    layout = layouts.find(checkpoint.config)
    if layout is layouts.AVHUBERT:
        network = cast(AVHubert, load_layout(checkpoint, build_avhubert)).to(device)
        towers: Towers = AVHubertTowers(network)
    elif layout is layouts.SYNCNET:
        towers = SyncNetTowers(cast(SyncNet, load_layout(checkpoint, build_syncnet)).to(device))
    elif layout is layouts.STABLE_SYNCNET:
        stable = cast(StableSyncNet, load_layout(checkpoint, build_stable_syncnet)).to(device)
        towers = StableSyncNetTowers(stable)
    else:
        towers = OwnTowers(SyncModel.from_folder(checkpoint.folder).to(device))
    _try_once(towers, checkpoint.name)
    return towers


def _try_once(towers: Towers, name: str) -> None:
    """Judge one blank second: what cannot run, or gives no numbers, is found before a verdict."""
    frames = BLANK_FRAMES + towers.context - 1
    try:
        face = towers.embed_blank(frames)
        audio = towers.embed_audio(np.zeros(AUDIO_HZ * frames // MOTION_HZ, np.float32))
        result = compare(face, audio)
        raw = None if result is None else towers.judge(result.measures)[0]
    except Exception as error:  # tensors of any shape and number may fail in their own way
        words = str(error).strip().splitlines() or [type(error).__name__]
        sentence = f"{name} cannot compare a second of lips and voice: {words[0][:160]}"
        raise UserError("weights_refused", sentence) from error
    if raw is None or not np.isfinite(raw):
        sentence = f"{name} does not answer a second of lips and voice with finite numbers."
        raise UserError("weights_refused", sentence)


def _unit(rows: torch.Tensor) -> np.ndarray:
    """(n, d) of any type and device to float32 unit vectors on the processor."""
    return nn.functional.normalize(rows.float(), dim=-1).cpu().numpy()


def audio_rows(samples: np.ndarray) -> np.ndarray:
    """(k, 104) float32 at 25 Hz: four log filterbanks a row, each row of mean 0 and deviation 1."""
    rows = stacked(log_filterbank(samples))
    return (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + QUIET)


def mouths(track: FaceTrack) -> np.ndarray:
    """(n, 96, 96) uint8 gray mouth crops, cut from the face crops."""
    cuts = [
        align.cut(crop, align.mouth_matrix(points), align.MOUTH_PX)
        for crop, points in zip(track.crops, track.crop_landmarks(), strict=True)
    ]
    return np.stack([cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY) for cut in cuts])


def blank_mouths(count: int) -> np.ndarray:
    """(count, 96, 96) uint8 mouth crops, black."""
    return np.zeros((count, align.MOUTH_PX, align.MOUTH_PX), np.uint8)
