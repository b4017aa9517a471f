"""How are lips and voice encoded by AV-HuBERT?

The encoder of AV-HuBERT (Shi et al. 2022, arXiv:2201.02184) in plain torch, for weights of any of
its published layouts: names and shapes as in facebookresearch/av_hubert, avhubert/hubert.py and
resnet.py at b4fa4af; nguyenvulebinh/AV-HuBERT-S2S, src/model/avhubert.py at 0bc522d;
reazon-research/ReazonSpeech, pkg/avsr/src/avhubert/modeling_avhubert.py at 03439e2. Sizes are read
off the tensors; decoders and heads are left out. Never sees a file. Imports hub, media and
torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hub.configs import MAX_LAYERS
from media.cepstra import BANDS, STACKED

AUDIO_WIDTH = STACKED * BANDS  # numbers of one 40 ms frame of audio that are given here
HEAD_WIDTH = 64  # numbers an attention head has in the base and in the large model
PREFIXES = ("model.encoder.", "encoder.w2v_model.", "avhubert.")
"""In front of the encoder's names: speech to text in transformers, fairseq after fine-tuning, with
a decoder beside it."""
RENAMED = (
    (r"\bencoder\.pos_conv\.0\.", "encoder.pos_conv_embed.conv."),
    (r"\.parametrizations\.weight\.original0$", ".weight_g"),
    (r"\.parametrizations\.weight\.original1$", ".weight_v"),
    (r"\.self_attn_layer_norm\.", ".layer_norm."),
    (r"\.self_attn\.", ".attention."),
    (r"\.fc1\.", ".feed_forward.intermediate_dense."),
    (r"\.fc2\.", ".feed_forward.output_dense."),
)
"""fairseq's names and those of torch's newer weight norm, to transformers' names."""
_WANTED = re.compile(
    r"^(feature_extractor_(audio|video)|post_extract_proj|layer_norm"
    r"|encoder\.(pos_conv_embed|layers|layer_norm))\b"
)


@dataclass(frozen=True)
class Shape:
    """Sizes of an encoder.

    Attributes:
        width: of the transformer.
        layers, heads: of the transformer.
        inner: width within a feed-forward layer.
        stem: channels of the first convolution; the trunk has 1, 2, 4 and 8 times as many.
        positions: (kernel, groups) of the convolution that tells positions.
        concatenates: both modalities side by side, else added.
        prelu: slopes are learned, else ReLU.
        norm_first: layer norms stand before attention and feed-forward, else behind.
    """

    width: int
    layers: int
    heads: int
    inner: int
    stem: int
    positions: tuple[int, int]
    concatenates: bool
    prelu: bool
    norm_first: bool


def canonical(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder's tensors by transformers' names, weight norm folded, in fp32."""
    named: dict[str, Tensor] = {}
    for key, value in tensors.items():
        name = next((key[len(p) :] for p in PREFIXES if key.startswith(p)), key)
        for pattern, new in RENAMED:
            name = re.sub(pattern, new, name)
        if _WANTED.match(name):
            named[name] = value.float() if value.is_floating_point() else value
    at = "encoder.pos_conv_embed.conv.weight"
    if f"{at}_v" in named:
        size, direction = named.pop(f"{at}_g"), named.pop(f"{at}_v")
        named[at] = size * direction / direction.norm(dim=(0, 1), keepdim=True)
    return named


def shape_of(config: Mapping[str, Any], named: Mapping[str, Tensor]) -> Shape:
    """Read the sizes off the tensors, and what they do not show off the config.

    Raises:
        KeyError: when a tensor is missing.
        ValueError: for sizes that cannot run, in a sentence.
    """
    width, audio = named["feature_extractor_audio.proj.weight"].shape
    if audio != AUDIO_WIDTH:
        raise ValueError(
            f"its tower for the voice takes {audio} numbers every 40 ms; {AUDIO_WIDTH} are given, "
            f"{STACKED} times {BANDS} filterbanks."
        )
    places = named["encoder.pos_conv_embed.conv.weight"]
    first = config.get("layer_norm_first", True)  # of all that fairseq published
    if str(config.get("model_type")) == "avhubert":  # transformers leaves the default, false, out
        first = config.get("do_stable_layer_norm", False)
    return Shape(
        width=width,
        layers=_layers_of(named),
        heads=_heads_of(config, width),
        inner=len(named["encoder.layers.0.feed_forward.intermediate_dense.weight"]),
        stem=len(named["feature_extractor_video.resnet.frontend3D.0.weight"]),
        positions=(places.shape[2], width // places.shape[1]),
        concatenates="post_extract_proj.weight" in named,
        prelu="feature_extractor_video.resnet.frontend3D.2.weight" in named,
        norm_first=bool(first),
    )


def _layers_of(named: Mapping[str, Tensor]) -> int:
    """How many layers the transformer has; they are counted from 0 without a gap."""
    matches = (re.match(r"encoder\.layers\.(\d+)\.", name) for name in named)
    numbers = {match[1] for match in matches if match}
    missing = next((i for i in range(len(numbers)) if str(i) not in numbers), None)
    if missing is not None:
        raise ValueError(f"layer {missing} of its transformer is missing, and later ones are not.")
    if len(numbers) > MAX_LAYERS:
        raise ValueError(f"its transformer has {len(numbers)} layers; the limit is {MAX_LAYERS}.")
    return len(numbers)


def _heads_of(config: Mapping[str, Any], width: int) -> int:
    """How many attention heads there are, which no tensor shows."""
    heads = config.get("encoder_attention_heads", config.get("num_attention_heads"))
    heads = heads if type(heads) is int else max(1, width // HEAD_WIDTH)
    if heads < 1 or width % heads:
        raise ValueError(f"{heads} attention heads do not divide a width of {width}.")
    return heads


def build_avhubert(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> AVHubert:
    """Build the encoder from its config and its tensors.

    Raises:
        KeyError, RuntimeError, ValueError: when tensors are missing or do not fit each other.
    """
    named = canonical(tensors)
    with torch.device("meta"):
        network = AVHubert(shape_of(config, named))
    network.load_state_dict(named, assign=True)
    return network


class AVHubert(nn.Module):
    """Lips or voice, or both, to one row of numbers every 40 ms."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        fused = 2 * shape.width if shape.concatenates else shape.width
        self.feature_extractor_audio = nn.ModuleDict({"proj": nn.Linear(AUDIO_WIDTH, shape.width)})
        self.feature_extractor_video = nn.ModuleDict(
            {"resnet": LipEncoder(shape), "proj": nn.Linear(8 * shape.stem, shape.width)}
        )
        self.layer_norm = nn.LayerNorm(fused)
        if shape.concatenates:
            self.post_extract_proj = nn.Linear(fused, shape.width)
        self.encoder = Transformer(shape)

    def forward(self, audio: Tensor | None = None, lips: Tensor | None = None) -> Tensor:
        """Encode audio, lips, or both; a modality that is missing is zeros.

        Args:
            audio: (b, n, 104) stacked log filterbanks, each row of mean 0 and deviation 1.
            lips: (b, n, 88, 88) float, gray, (x / 255 - 0.421) / 0.165.

        Returns:
            (b, n, width).
        """
        given = [
            None if audio is None else self.feature_extractor_audio["proj"](audio),
            None if lips is None else self._observed(lips),
        ]
        like = next(part for part in given if part is not None)
        speech, observed = (torch.zeros_like(like) if part is None else part for part in given)
        if not self.shape.concatenates:
            return self.encoder(self.layer_norm(speech + observed))
        return self.encoder(
            self.post_extract_proj(self.layer_norm(torch.cat([speech, observed], -1)))
        )

    def _observed(self, lips: Tensor) -> Tensor:
        video = self.feature_extractor_video
        return video["proj"](video["resnet"](lips))


class LipEncoder(nn.Module):
    """A convolution over space and time, and a ResNet-18 on each frame (He et al. 2016)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        stem = shape.stem
        self.frontend3D = nn.Sequential(
            nn.Conv3d(1, stem, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False),
            nn.BatchNorm3d(stem),
            nn.PReLU(stem) if shape.prelu else nn.ReLU(),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        stages, inside = nn.ModuleDict(), stem
        for index, times in enumerate((1, 2, 4, 8)):
            outside = times * stem
            first = ResidualBlock(inside, outside, 1 if index == 0 else 2, shape.prelu)
            second = ResidualBlock(outside, outside, 1, shape.prelu)
            stages[f"layer{index + 1}"] = nn.Sequential(first, second)
            inside = outside
        self.trunk = stages

    def forward(self, lips: Tensor) -> Tensor:
        """(b, n, h, w) to (b, n, 8 stem)."""
        x = self.frontend3D(lips[:, None])
        b, _, n = x.shape[:3]
        x = x.transpose(1, 2).flatten(0, 1)
        for stage in self.trunk.values():
            x = stage(x)
        return x.mean((2, 3)).view(b, n, -1)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a short cut."""

    def __init__(self, inside: int, outside: int, stride: int, prelu: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)
        self.relu1 = nn.PReLU(outside) if prelu else nn.ReLU()
        self.relu2 = nn.PReLU(outside) if prelu else nn.ReLU()
        self.downsample = None
        if stride != 1 or inside != outside:
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(k, inside, h, w) to (k, outside, h / stride, w / stride)."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + (x if self.downsample is None else self.downsample(x)))


class Transformer(nn.Module):
    """Positions by a grouped convolution, then attention layers (wav2vec 2.0, Baevski 2020)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        kernel, groups = shape.positions
        places = nn.Conv1d(shape.width, shape.width, kernel, padding=kernel // 2, groups=groups)
        self.pos_conv_embed = nn.ModuleDict({"conv": places})
        self.even = 1 - kernel % 2  # an even kernel gives one frame too many
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.layer_norm = nn.LayerNorm(shape.width)
        self.norm_first = shape.norm_first

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, width) to the same."""
        places = self.pos_conv_embed["conv"](x.transpose(1, 2))
        x = x + F.gelu(places[..., : places.shape[-1] - self.even]).transpose(1, 2)
        if not self.norm_first:
            x = self.layer_norm(x)
        for layer in self.layers:
            x = layer(x)
        return self.layer_norm(x) if self.norm_first else x


class Layer(nn.Module):
    """Attention and feed-forward, each with a short cut and a layer norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads, self.norm_first = shape.heads, shape.norm_first
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        self.attention = nn.ModuleDict({name: nn.Linear(width, width) for name in names})
        self.layer_norm, self.final_layer_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed_forward = nn.ModuleDict(
            {
                "intermediate_dense": nn.Linear(width, shape.inner),
                "output_dense": nn.Linear(shape.inner, width),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, width) to the same."""
        if self.norm_first:
            x = x + self._attend(self.layer_norm(x))
            return x + self._feed(self.final_layer_norm(x))
        x = self.layer_norm(x + self._attend(x))
        return self.final_layer_norm(x + self._feed(x))

    def _attend(self, x: Tensor) -> Tensor:
        b, n, width = x.shape
        query, key, value = (
            self.attention[name](x).view(b, n, self.heads, -1).transpose(1, 2)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        result = F.scaled_dot_product_attention(query, key, value)
        return self.attention["out_proj"](result.transpose(1, 2).reshape(b, n, width))

    def _feed(self, x: Tensor) -> Tensor:
        inner = F.gelu(self.feed_forward["intermediate_dense"](x))
        return self.feed_forward["output_dense"](inner)
