"""Do this mouth and this audio belong to the same moment? The network.

Two streams in the manner of AV-HuBERT (Shi et al. 2022, arXiv:2201.02184) share one space: mouth
crops go through a 3-D convolution and a small residual trunk, the lips' outline through one layer,
audio through the lower layers of the Whisper encoder (`audio_encoder`), each then through short
convolutions over time. Pure torch; never sees a file but its own checkpoint, nor a face that is not
found yet. May import `errors`, `media.align`, `audio_encoder`, `offset`
and `detectors.inference`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from detectors.inference import inference, moved
from detectors.sync.audio_encoder import LogMel, MelEncoder, WhisperEncoder
from errors import UserError
from media import align
from media.mesh import LEFT_EYE, LEFT_LIP_LINES, MOUTH, RIGHT_EYE, RIGHT_LIP_LINES
from media.rates import AUDIO_HZ, MOTION_HZ

SAMPLES = AUDIO_HZ // MOTION_HZ  # audio samples per embedding
CROP_PX = 88  # center of the 96-pixel mouth crop that is looked at (AV-HuBERT)
LONGEST_S = 28.0  # the ear has positions for 30 s


@dataclass(frozen=True)
class SyncConfig:
    """Sizes of the network and numbers of the judge; `config.json` of a checkpoint folder.

    Attributes:
        model_type: says which network the folder holds.
        eyes: what is looked at: "lips" (outline from the landmarks), "mouth" (the images) or
        both.
        ear: "whisper" or "mel" (stacked log-mel frames only).
        ear_layers: encoder layers of Whisper that are kept.
        ear_taps: whose outputs are heard; 0 is the convolution stem, k the k-th layer.
        ear_width, ear_heads: Whisper's sizes (tiny: 384 and 6).
        trunk: channels of the stem and of the three residual stages.
        width, size: channels over time and of the shared space.
        judge: numbers of the judge: `names`, `mean`, `spread`, `weights`, `offset` of the logistic
            regression; `scale`, `shift` of its calibration; `fake_out`, `real_out` (see
            `offset.raw_log_odds`); `highest_confidence`, the largest confidence seen on real
            speech.
    """

    model_type: str = "mouth-sound-sync"
    eyes: tuple[str, ...] = ("lips", "mouth")
    ear: str = "whisper"
    ear_layers: int = 2
    ear_taps: tuple[int, ...] = (0, 2)
    ear_width: int = 384
    ear_heads: int = 6
    trunk: tuple[int, ...] = (24, 48, 96, 192)
    width: int = 256
    size: int = 128
    judge: dict = field(default_factory=dict)

    @classmethod
    def from_folder(cls, folder: Path) -> SyncConfig:
        """Read `config.json`; a missing or foreign one is a `UserError`."""
        try:
            values = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
            known = {f.name for f in fields(cls)}
            chosen: dict[str, Any] = {
                k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
            }
            if values["model_type"] != cls.model_type or set(values) - known:
                raise KeyError("model_type")
            return cls(**chosen)
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise UserError(
                "weights_refused",
                "This folder does not hold a mouth-and-sound checkpoint of this program's format.",
            ) from problem

    def to_json(self) -> str:
        """The text of `config.json`."""
        return json.dumps(asdict(self), indent=1)


SCALE = "_scale"  # after the name of a matrix that is stored in 8 bits: its largest value by row


def restored(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as they are stored, in 8 or 16 bits, to float32."""
    scales = {n.removesuffix(SCALE): v.float() for n, v in state.items() if n.endswith(SCALE)}
    return {
        name: value.float() * (scales[name] / 127 if name in scales else 1)
        for name, value in state.items()
        if not name.endswith(SCALE)
    }


class Residual2d(nn.Module):
    """Two 3x3 convolutions that halve the image, with a short cut."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, 2, 1, bias=False)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)
        self.short = nn.Conv2d(inside, outside, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(k, inside, h, w) to (k, outside, h / 2, w / 2)."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.short(x))


class TemporalConvBlock(nn.Module):
    """A residual convolution over time; edges are repeated so that no frame knows where it is."""

    def __init__(self, width: int, reach: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, 2 * reach + 1)
        self.mix = nn.Linear(width, width)
        self.reach, self.dropout = reach, dropout

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, width) to the same."""
        y = F.pad(self.norm(x).transpose(1, 2), (self.reach, self.reach), mode="replicate")
        y = self.mix(F.gelu(self.conv(y)).transpose(1, 2))
        return x + F.dropout(y, self.dropout, self.training)


class MouthStream(nn.Module):
    """Mouth crops to unit vectors, one a frame."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        stem, *stages = config.trunk
        self.stem = nn.Conv3d(1, stem, 5, (1, 2, 2), (0, 2, 2), bias=False)
        self.stem_norm = nn.BatchNorm2d(stem)
        pairs = zip(config.trunk[:-1], stages, strict=True)
        self.trunk = nn.Sequential(*(Residual2d(i, o) for i, o in pairs))
        self.flat = nn.Linear(stages[-1] * 9, config.width)
        self.over = nn.Sequential(*(TemporalConvBlock(config.width) for _ in range(3)))
        self.out = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, config.size))

    def shapes(self, mouths: Tensor) -> Tensor:
        """(b, n, 88, 88) float 0..255 to (b, n, width): what each image looks like."""
        b, n = mouths.shape[:2]
        x = F.avg_pool2d(mouths, 2)
        light, spread = x.mean((1, 2, 3), keepdim=True), x.std((1, 2, 3), keepdim=True)
        x = ((x - light) / (spread + 4.0))[:, None]  # 4 gray levels: no noise out of flat images
        x = F.pad(x, (0, 0, 0, 0, 2, 2), mode="replicate")
        x = self.stem(x).transpose(1, 2).flatten(0, 1)
        x = F.relu(self.stem_norm(x.contiguous(memory_format=torch.channels_last)))
        return self.flat(self.trunk(x).flatten(1)).view(b, n, -1)

    def forward(self, mouths: Tensor) -> Tensor:
        """(b, n, 88, 88) float 0..255 to (b, n, size) unit vectors."""
        return F.normalize(self.out(self.over(self.shapes(mouths))), dim=-1)


def lip_outline(landmarks: np.ndarray) -> np.ndarray:
    """The lips and chin in mouth-crop coordinates, averaged with their mirror image.

    Args:
        landmarks: (n, 468, 2) px in any image.

    Returns:
        (n, 46) float32: x and y of 23 points, 0 at the crop's center, 1 at its edge.
    """
    points = np.asarray(landmarks, np.float32)
    eyes = [points[:, list(pair)].mean(1) for pair in (RIGHT_EYE, LEFT_EYE)]
    mouth, across = points[:, list(MOUTH)].mean(1), eyes[1] - eyes[0]
    down = mouth - (eyes[0] + eyes[1]) / 2
    size = np.maximum(np.linalg.norm(across, axis=1), np.linalg.norm(down, axis=1)).clip(1e-3)
    unit = across / np.linalg.norm(across, axis=1, keepdims=True).clip(1e-3)
    turn = np.stack([unit, np.stack([-unit[:, 1], unit[:, 0]], 1)], 1)
    scale = (2 / align.MOUTH_SIDE / size)[:, None, None]
    left, right = (
        np.einsum("nij,nkj->nki", turn, points[:, list(side)] - mouth[:, None]) * scale
        for side in (RIGHT_LIP_LINES, LEFT_LIP_LINES)
    )
    return ((left + right * [-1, 1]) / 2).reshape(len(points), -1).astype(np.float32)


class LipStream(nn.Module):
    """Lip outlines to unit vectors, one a frame."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2 * len(RIGHT_LIP_LINES)))
        self.register_buffer("spread", torch.ones(2 * len(RIGHT_LIP_LINES)))
        self.inside = nn.Linear(2 * len(RIGHT_LIP_LINES), config.width)
        self.over = nn.Sequential(*(TemporalConvBlock(config.width) for _ in range(3)))
        self.out = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, config.size))

    def shapes(self, lips: Tensor) -> Tensor:
        """(b, n, 46) of `lip_outline` to (b, n, width)."""
        return self.inside((lips - self.mean) / self.spread)

    def forward(self, lips: Tensor) -> Tensor:
        """(b, n, 46) to (b, n, size) unit vectors."""
        return F.normalize(self.out(self.over(self.shapes(lips))), dim=-1)


class AudioStream(nn.Module):
    """What the ear heard, 50 times a second, to unit vectors, 25 times a second."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        speech = [config.ear_width] * len(config.ear_taps)
        self.parts = speech if config.ear == "whisper" else [2 * LogMel.BANDS]
        self.norms = nn.ModuleList(nn.LayerNorm(part) for part in self.parts)
        self.inside = nn.Linear(sum(self.parts), config.width)
        self.join = nn.Conv1d(config.width, config.width, 5, stride=2)
        self.over = nn.Sequential(*(TemporalConvBlock(config.width) for _ in range(3)))
        self.out = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, config.size))

    def forward(self, speech: Tensor) -> Tensor:
        """(b, 2 n, ear) to (b, n, size) unit vectors."""
        pieces = speech.split(self.parts, -1)
        x = torch.cat([norm(p) for norm, p in zip(self.norms, pieces, strict=True)], -1)
        x = F.gelu(self.inside(x)).transpose(1, 2)
        x = F.gelu(self.join(F.pad(x, (2, 2), mode="replicate"))).transpose(1, 2)
        return F.normalize(self.out(self.over(x)), dim=-1)


class SyncModel(nn.Module):
    """Both streams with the frozen ear."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        self.config = config
        sizes = (config.ear_layers, config.ear_taps, config.ear_width, config.ear_heads)
        self.ear = WhisperEncoder(*sizes) if config.ear == "whisper" else MelEncoder()
        if "lips" in config.eyes:
            self.lips = LipStream(config)
        if "mouth" in config.eyes:
            self.mouth = MouthStream(config)
        self.sound = AudioStream(config)

    @classmethod
    def from_folder(cls, folder: Path) -> SyncModel:
        """Load a checkpoint folder (config.json, model.safetensors), float32, ready to judge."""
        config = SyncConfig.from_folder(folder)
        try:
            model = cls(config)
            model.load_state_dict(restored(load_file(str(Path(folder) / "model.safetensors"))))
        except Exception as problem:  # sizes of any kind may fail in their own way
            raise UserError(
                "weights_refused", "The weights in this folder do not fit its config.json."
            ) from problem
        return model.eval()

    @property
    def uses_images(self) -> bool:
        """Whether mouth crops are looked at, beside the lips' outline."""
        return "mouth" in self.config.eyes

    def embed_mouths(self, mouths: np.ndarray | None, landmarks: np.ndarray) -> np.ndarray:
        """Embed the mouths of one face.

        Args:
            mouths: (n, 96, 96) uint8 gray crops (`align.mouth_matrix`) at 25 Hz; None when the
                network does not look at them (`uses_images`).
            landmarks: (n, 468, 2) px of the same frames, in any image (`FaceTrack.landmarks`).

        Returns:
            (n, d) float32 unit vectors; row i is at i / 25 s.
        """
        if landmarks.ndim != 3 or landmarks.shape[1:] != (468, 2) or not len(landmarks):
            raise ValueError(f"landmarks: expected (n, 468, 2), got {landmarks.shape}")
        if mouths is not None and mouths.shape != (len(landmarks), 96, 96):
            raise ValueError(f"mouths: expected {(len(landmarks), 96, 96)}, got {mouths.shape}")
        device, edge = next(self.parameters()).device, (align.MOUTH_PX - CROP_PX) // 2
        with inference(device):
            outline = moved(torch.from_numpy(lip_outline(landmarks)), device)[None]
            inner = None
            if mouths is not None:
                center = np.ascontiguousarray(mouths[:, edge:-edge, edge:-edge])
                inner = moved(torch.from_numpy(center), device)[None].float()
            return self.look(outline, inner)[0].float().cpu().numpy()

    def look(self, outline: Tensor, mouths: Tensor | None) -> Tensor:
        """(b, n, 46) outlines and (b, n, 88, 88) mouths to (b, n, size) unit vectors.

        Both streams live in one space; without mouths, or eyes for them, the outline has it alone.
        """
        observed = []
        if "lips" in self.config.eyes:
            observed.append(self.lips(outline))
        if "mouth" in self.config.eyes and mouths is not None:
            observed.append(self.mouth(mouths))
        return F.normalize(torch.stack(observed).sum(0), dim=-1)

    def embed_audio(self, samples: np.ndarray) -> np.ndarray:
        """Embed the audio of the same stretch of time.

        Args:
            samples: (m,) float32, -1..1, 16 kHz mono, at most 28 s.

        Returns:
            (ceil(m / 640), d) float32 unit vectors; row i is at i / 25 s.
        """
        if samples.ndim != 1 or not 0 < len(samples) <= LONGEST_S * AUDIO_HZ:
            raise ValueError(f"samples: expected (m,) of at most 28 s, got {samples.shape}")
        device = next(self.parameters()).device
        padded = np.pad(samples.astype(np.float32), (0, -len(samples) % SAMPLES))
        with inference(device):
            rows = self.sound(self.ear(moved(torch.from_numpy(padded), device)[None]))[0]
        return rows.float().cpu().numpy()
