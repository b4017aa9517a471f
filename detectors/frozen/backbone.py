"""What does an image network that was never trained on fakes see in a face?

The image tower of CLIP ViT-B/16 (Radford et al. 2021, arXiv:2103.00020), frozen, its weights kept
as 8-bit integers. Several detectors put a small linear head on its features (Ojha et al. 2023,
arXiv:2302.10174: frozen features carry over to unseen generators), so that it is loaded once and
shared. Imports `layout` and errors.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from detectors.frozen.layout import HEADS, HIDDEN, LAYERS, PATCH_PX, SIZE_PX, WIDTH
from errors import UserError

LEVELS = 127  # of the symmetric 8-bit scale
GELU_SLOPE = 1.702  # CLIP's fast approximation of the Gaussian error linear unit


class QuantizedLinear(nn.Module):
    """A linear layer with 8-bit weights; its input is quantized token by token as it comes.

    One scale a token, not one a batch: the same face gives the same number whatever stands beside
    it in the batch. Where the processor has no fast product of integers, the same integers are
    multiplied as floats, which is exact too.
    """

    weight: torch.Tensor  # (inputs, outputs) int8, or the same integers as float32
    scale: torch.Tensor  # (outputs,) float32
    bias: torch.Tensor  # (outputs,) float32

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(inputs, outputs, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(outputs))
        self.register_buffer("bias", torch.zeros(outputs))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(..., inputs) float to (..., outputs) float32."""
        if tokens.device.type != "cpu":  # integer products pay on processors only
            matrix = self.weight.to(tokens.dtype) * self.scale.to(tokens.dtype)
            return tokens @ matrix + self.bias.to(tokens.dtype)
        rows = tokens.reshape(-1, tokens.shape[-1])
        step = rows.abs().amax(-1, keepdim=True).clamp_min(1e-8) / LEVELS
        levels = (rows / step).round_()
        if self.weight.is_floating_point():
            product = levels @ self.weight
        else:
            product = _integer_product(levels.to(torch.int8), self.weight).float()
        result = product.mul_(step).mul_(self.scale).add_(self.bias)
        return result.reshape(*tokens.shape[:-1], -1)


def _integer_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """(n, k) and (k, m) int8 to (n, m) int32."""
    return torch._int_mm(left, right)  # pyright: ignore[reportPrivateImportUsage]


@cache
def integers_are_fast() -> bool:
    """Does this processor multiply 8-bit integers faster than floats? Measured once, in 0.1 s.

    PyTorch has a fast product only where the processor has instructions for it (AVX-512 VNNI); its
    substitute takes thirty times as long as the product of floats.
    """
    whole = torch.ones(64, WIDTH, dtype=torch.int8), torch.ones(WIDTH, WIDTH, dtype=torch.int8)
    parts = whole[0].float(), whole[1].float()
    return _seconds(_integer_product, *whole) < _seconds(torch.matmul, *parts)


def _seconds(product: Callable[..., torch.Tensor], *matrices: torch.Tensor) -> float:
    """The faster of two goes: the first one may set things up."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        product(*matrices)
        times.append(time.perf_counter() - began)
    return min(times)


class Block(nn.Module):
    """One transformer layer, normalized before attention and before the multilayer perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.query, self.key, self.value, self.out = (
            QuantizedLinear(WIDTH, WIDTH) for _ in range(4)
        )
        self.mlp_norm = nn.LayerNorm(WIDTH)
        self.expand, self.contract = QuantizedLinear(WIDTH, HIDDEN), QuantizedLinear(HIDDEN, WIDTH)

    def forward(self, tokens: torch.Tensor, wanted: int | None = None) -> torch.Tensor:
        """(n, tokens, WIDTH) to the same shape, or only the first ``wanted`` of the tokens."""
        normed, tokens = self.attention_norm(tokens), tokens[:, :wanted]
        query, key, value = (
            layer(part).unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2)
            for layer, part in (
                (self.query, normed[:, :wanted]), (self.key, normed), (self.value, normed),
            )
        )  # fmt: skip
        mixed = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(2))
        hidden = self.expand(self.mlp_norm(tokens))
        return tokens + self.contract(hidden * torch.sigmoid(GELU_SLOPE * hidden))


class ClipBackbone(nn.Module):
    """The frozen image tower; gives the tokens after every layer."""

    def __init__(self) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(WIDTH))
        self.position = nn.Parameter(torch.zeros((SIZE_PX // PATCH_PX) ** 2 + 1, WIDTH))
        self.patch = nn.Conv2d(3, WIDTH, PATCH_PX, PATCH_PX, bias=False)
        self.norm = nn.LayerNorm(WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))

    @classmethod
    def from_folder(cls, folder: Path) -> ClipBackbone:
        """The network of a folder with ``model.safetensors``.

        Raises:
            UserError: ``weights_refused`` when the tensors are not those of this network.
        """
        network = cls()
        try:
            tensors = load_file(folder / "model.safetensors")
            network.load_state_dict(tensors)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise UserError(
                "weights_refused", "The image backbone cannot be read: its tensors do not fit."
            ) from error
        return network.eval()

    def multiply_as_floats(self) -> None:
        """Keep the integers of all weights as float32: the same numbers, four times the memory."""
        for layer in self.modules():
            if isinstance(layer, QuantizedLinear):
                layer.weight = layer.weight.float()

    @torch.inference_mode()
    def forward(
        self, images: torch.Tensor, depth: int = LAYERS, class_only: bool = False
    ) -> list[torch.Tensor]:
        """Tokens after each of the first layers.

        Args:
            images: (n, 3, SIZE_PX, SIZE_PX) float32, standardized by `MEAN` and `STD`.
            depth: layers that are wanted, 1 to `LAYERS`.
            class_only: of the last one, only the class token is wanted, a fifth of its work.

        Returns:
            ``depth`` tensors (n, 197, WIDTH) float32, the last one (n, 1, WIDTH) if ``class_only``;
            token 0 is the class token.
        """
        # bfloat16 moved *generation* by 0.3 log-odds; all other networks move by 0.01 at most
        with torch.autocast(images.device.type, enabled=False):
            tokens = self.patch(images).flatten(2).transpose(1, 2)
            first = self.class_token.expand(len(tokens), 1, -1)
            tokens = self.norm(torch.cat([first, tokens], 1) + self.position)
            result = []
            for layer, block in enumerate(self.blocks[:depth], 1):
                tokens = block(tokens, 1 if class_only and layer == depth else None)
                result.append(tokens)
            return result


def load_backbone(folder: Path, device: str) -> ClipBackbone:
    """The network of a folder on a device, for `detectors.base.Backbone`."""
    network = ClipBackbone.from_folder(folder)
    if device == "cpu" and not integers_are_fast():
        network.multiply_as_floats()
    return network.to(device)
