"""How are lips and voice encoded by the sync network of LatentSync?

Both towers of StableSyncNet (Li et al. 2024, arXiv:2412.09262), in the layout of its published
weights: names and shapes as in bytedance/LatentSync, latentsync/models/stable_syncnet.py and
attention.py (in the copy zll961020/LatentSync at 6c8ae86 and 02b975b), sound as in
latentsync/utils/audio.py with configs/audio.yaml (bf00e09). The lower half of 16 faces in color and
52 columns of a mel spectrogram, 640 ms, each to one vector. Sizes are `stable_plan`'s. Never sees a
file. Imports media and torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor, nn

from detectors.sync.stable_plan import (
    BANDS,
    FACE_PX,
    HALF,
    MEL_HZ,
    MOST_FRAMES,
    PUBLISHED,
    Block,
    Plan,
    columns,
    plan_of,
)  # fmt: skip
from media.rates import AUDIO_HZ, MOTION_HZ

HOP, WINDOW = AUDIO_HZ // MEL_HZ, 800  # samples: 12.5 and 50 ms
LOWEST_HZ, HIGHEST_HZ = 55.0, 7600.0
EMPHASIS = 0.97  # of the sample before, taken away
FLOOR_DB, REFERENCE_DB, REACH = -100.0, 20.0, 4.0  # decibels -80 to 20 become -4 to 4
GROUPS, HEADS = 32, 8  # of channels, in group norms and in attention
EPS = 1e-6
BATCH, BATCH_ON_GPU = 4, 32  # vectors of a face at once: activations of some 100 and 800 MB


class Residual(nn.Module):
    """Two convolutions that are added to their input, then a third that shrinks the image."""

    def __init__(self, sizes: Block) -> None:
        super().__init__()
        inside, outside = sizes.inside, sizes.outside
        self.norm1 = nn.GroupNorm(GROUPS, inside, EPS)
        self.norm2 = nn.GroupNorm(GROUPS, outside, EPS)
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()
        self.edges, whole = sizes.edges, sizes.step == 1
        self.downsample_conv = (
            nn.Identity() if whole else nn.Conv2d(outside, outside, 3, sizes.step)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, inside, h, w) to (n, outside, h / step, w / step)."""
        inner = self.conv1(F.silu(self.norm1(x)))
        inner = self.conv2(F.silu(self.norm2(inner)))
        return self.downsample_conv(F.pad(inner + self.conv_shortcut(x), self.edges))


class Attention(nn.Module):
    """Every place of an image looks at every other, in eight heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor) -> Tensor:
        """(n, places, width) to the same."""
        query, key, value = (
            layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for layer in (self.to_q, self.to_k, self.to_v)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.to_out[0](mixed.transpose(1, 2).flatten(2))


class GatedLinear(nn.Module):
    """A linear layer, half of whose numbers open and close the other half (Shazeer 2020)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to (..., inner)."""
        values, gates = self.proj(x).chunk(2, -1)
        return values * F.gelu(gates)


class FeedForward(nn.Module):
    """Two layers, place by place."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        # the names have numbers, and there is a dropout between both
        self.net = nn.ModuleDict({"0": GatedLinear(width, inner), "2": nn.Linear(inner, width)})

    def forward(self, x: Tensor) -> Tensor:
        """(n, places, width) to the same."""
        return self.net["2"](self.net["0"](x))


class Mixer(nn.Module):
    """Attention and a feed-forward layer over the places of an image."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, width, EPS)
        self.conv_in, self.conv_out = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.ff = Attention(width), FeedForward(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to the same."""
        places = self.conv_in(self.norm1(x)).flatten(2).transpose(1, 2)
        places = places + self.attn(self.norm2(places))
        places = places + self.ff(self.norm3(places))
        return x + self.conv_out(places.transpose(1, 2).unflatten(-1, x.shape[2:]))


class Tower(nn.Module):
    """An image of any number of channels to one vector."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(plan.inside, plan.first, 3, padding=1)
        self.down_blocks = nn.ModuleList([
            Mixer(sizes.inside, sizes.inner) if sizes.inner else Residual(sizes)
            for sizes in plan.blocks
        ])  # fmt: skip
        self.norm_out = nn.GroupNorm(GROUPS, plan.last, EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inside, h, w), of which the blocks leave one place, to (n, last)."""
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return F.relu(self.norm_out(x)).flatten(1)


class StableSyncNet(nn.Module):
    """Faces and samples to vectors, one for each start of 640 ms on a grid of 40 ms."""

    filters: Tensor
    taper: Tensor

    def __init__(self, audio: Tower, face: Tower) -> None:
        super().__init__()
        self.audio_encoder, self.visual_encoder = audio, face
        self.frames = face.conv_in.in_channels // 3
        filters = torchaudio.functional.melscale_fbanks(
            WINDOW // 2 + 1, LOWEST_HZ, HIGHEST_HZ, BANDS, AUDIO_HZ, "slaney", "slaney"
        )
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("taper", torch.hann_window(WINDOW), persistent=False)

    def look(self, faces: Tensor) -> Tensor:
        """(n, 256, 256, 3) RGB 0..255 at 25 Hz to (n - frames + 1, size)."""
        lower = faces[:, FACE_PX - HALF[0] :].movedim(-1, 1)  # (n, 3, 128, 256)
        windows = lower.unfold(0, self.frames, 1).movedim(-1, 1)  # (k, frames, 3, 128, 256)
        batch = BATCH if faces.device.type == "cpu" else BATCH_ON_GPU
        return torch.cat([
            self.visual_encoder(some.flatten(1, 2).float() / 127.5 - 1)
            for some in windows.split(batch)
        ])  # fmt: skip

    def hear(self, samples: Tensor) -> Tensor:
        """(m,) -1..1 at 16 kHz, as long as the frames or longer, to (n, size)."""
        windows = self.mel(samples).unfold(1, columns(self.frames), 1).transpose(0, 1)
        starts = torch.arange(len(windows)) * MEL_HZ // MOTION_HZ  # column of each frame of video
        return self.audio_encoder(windows[starts[starts < len(windows)], None])

    def mel(self, samples: Tensor) -> Tensor:
        """(m,) -1..1 at 16 kHz to (80, 1 + m // 200): decibels in mel bands, -4..4."""
        sharp = samples - EMPHASIS * F.pad(samples, (1, 0))[:-1]
        with torch.autocast(samples.device.type, enabled=False):  # levels span 100 dB
            spectrum = torch.stft(
                sharp, WINDOW, HOP, window=self.taper, pad_mode="constant", return_complex=True
            )
            bands = self.filters.T @ spectrum.abs()
        level = 20 * bands.clamp(min=10 ** (FLOOR_DB / 20)).log10() - REFERENCE_DB
        return (2 * REACH * (level - FLOOR_DB) / -FLOOR_DB - REACH).clamp(-REACH, REACH)


def build_stable_syncnet(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> StableSyncNet:
    """Build both towers from their tensors.

    Raises:
        KeyError, RuntimeError: when tensors are missing or do not fit each other.
        ValueError: for sizes that cannot run, in a sentence.
    """
    audio, face = (plan_of(name, config, tensors) for name in PUBLISHED)
    frames, rest = divmod(face.inside, 3)
    if rest or not 1 <= frames <= MOST_FRAMES:
        raise ValueError(
            f"its tower for the face takes {face.inside} channels; three of each of up to "
            f"{MOST_FRAMES} frames are given."
        )
    face.check("tower for the face", face.inside, HALF)
    audio.check("tower for the voice", 1, (BANDS, columns(frames)))
    if audio.last != face.last:
        raise ValueError(f"its towers give {audio.last} and {face.last} numbers.")
    with torch.device("meta"):
        towers = Tower(audio), Tower(face)
    network = StableSyncNet(*towers)
    named = {k: v.float() for k, v in tensors.items() if k.split(".")[0] in PUBLISHED}
    network.load_state_dict(named, assign=True)
    return network
