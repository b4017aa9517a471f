"""What does the sync detector hear?

Sound as Whisper hears it (Radford et al. 2022, arXiv:2212.04356): its log-mel image, and the stem
and lower layers of its encoder, frozen. Pure torch, no weights of its own. Imports media.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor, nn

from media.rates import AUDIO_HZ


class LogMel(nn.Module):
    """Whisper's log-mel image of audio: 80 bands, 100 frames a second."""

    filters: Tensor
    window: Tensor

    FFT, HOP, BANDS = 400, 160, 80

    def __init__(self) -> None:
        super().__init__()
        filters = torchaudio.functional.melscale_fbanks(
            self.FFT // 2 + 1, 0.0, AUDIO_HZ / 2, self.BANDS, AUDIO_HZ, "slaney", "slaney"
        )
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(self.FFT), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """(b, m) float32 audio to (b, 80, m / 160), about -1..1; row i is centered at i x 10 ms."""
        with torch.autocast(samples.device.type, enabled=False):  # powers span 100 dB
            wave = torch.stft(samples, self.FFT, self.HOP, window=self.window, return_complex=True)
            power = wave[..., :-1].abs().square()
            mel = torch.einsum("bfn,fk->bkn", power, self.filters)
        logs = mel.clamp(min=1e-10).log10()
        floor = logs.amax((1, 2), keepdim=True) - 8.0  # 80 dB below the loudest
        return (torch.maximum(logs, floor) + 4.0) / 4.0


class EncoderLayer(nn.Module):
    """One pre-norm transformer layer of the Whisper encoder."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, width) to the same."""
        b, n, width = x.shape
        parts = self.qkv(self.norm_1(x)).view(b, n, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        speech = F.scaled_dot_product_attention(query, key, value)
        x = x + self.out(speech.transpose(1, 2).reshape(b, n, width))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class WhisperEncoder(nn.Module):
    """Stem and lower layers of Whisper's encoder, frozen: what was said, 50 times a second.

    Args:
        layers: encoder layers that are kept.
        taps: whose outputs are given out; 0 is the convolution stem, k the k-th layer.
        width, heads: Whisper's sizes (tiny: 384 and 6).
    """

    def __init__(
        self, layers: int, taps: tuple[int, ...], width: int = 384, heads: int = 6
    ) -> None:
        super().__init__()
        self.taps = taps
        self.mel = LogMel()
        self.conv1 = nn.Conv1d(LogMel.BANDS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.layers = nn.ModuleList(EncoderLayer(width, heads) for _ in range(layers))
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, samples: Tensor) -> Tensor:
        """(b, m) audio, m divisible by 640, to (b, m / 320, taps x width); row i at i x 20 ms."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(self.mel(samples))))).transpose(1, 2)
        outputs = [x]
        x = x + sinusoids(x.shape[1], x.shape[2]).to(x)
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return torch.cat([outputs[tap] for tap in self.taps], -1)


class MelEncoder(nn.Module):
    """The plain ear: two log-mel frames side by side, 50 times a second."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel()

    def forward(self, samples: Tensor) -> Tensor:
        """(b, m) audio, m a multiple of 640, to (b, m / 320, 160)."""
        return self.mel(samples).transpose(1, 2).unflatten(1, (-1, 2)).flatten(2)


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width) position code of Whisper."""
    rate = math.log(10_000) / (width // 2 - 1)
    angle = torch.arange(length)[:, None] * torch.exp(-rate * torch.arange(width // 2))[None]
    return torch.cat([angle.sin(), angle.cos()], 1)
