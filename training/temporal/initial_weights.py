"""Where does the temporal network start from?

A small VideoMAE classifier (Tong et al. 2022, arXiv:2203.12602) whose patch embedding begins as a
whitened cosine transform of each tube of two frames: their mean and, with more coefficients, their
change. So the blocks see motion and flicker from the first step on, at the same size as the
image itself. Imports `training.temporal.data`.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import fft
from torch import nn
from transformers import VideoMAEConfig, VideoMAEForVideoClassification

from training.temporal.data import FRAMES, OUT_PX

PATCH_PX, TUBELET, LAYERS = 16, 2, 6
WIDTH = 192
LUMA, BLUE, RED = (0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081)  # BT.601
# coefficients a tube, lowest frequencies first: (color, sign of the second frame, how many)
PLAN = ((LUMA, 1, 64), (LUMA, -1, 112), (BLUE, 1, 4), (RED, 1, 4), (BLUE, -1, 4), (RED, -1, 4))


def empty_model() -> VideoMAEForVideoClassification:
    """The architecture with random weights: 16 frames of 112 px, 8 x 7 x 7 tokens."""
    config = VideoMAEConfig(
        image_size=OUT_PX,
        patch_size=PATCH_PX,
        num_frames=FRAMES,
        tubelet_size=TUBELET,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=3,
        intermediate_size=4 * WIDTH,
        layer_norm_eps=1e-6,
        id2label={0: "real", 1: "fake"},
        label2id={"real": 0, "fake": 1},
    )
    return VideoMAEForVideoClassification(config)


def new_model(tubes: torch.Tensor) -> VideoMAEForVideoClassification:
    """The network before its first step.

    Args:
        tubes: (n, 3, 2, 16, 16) normalized pixels of real shots; the answers of the patch
            embedding to them are brought to zero mean and unit variance.
    """
    model = empty_model()
    weight = torch.tensor(cosine_filters(), dtype=torch.float32)
    answers = tubes.flatten(1) @ weight.flatten(1).T
    spread = answers.std(0).clamp(min=1e-3)
    projection = model.videomae.embeddings.patch_embeddings.projection
    with torch.no_grad():
        projection.weight.copy_(weight / spread.view(-1, 1, 1, 1, 1))
        projection.bias.copy_(-answers.mean(0) / spread)
        nn.init.normal_(model.classifier.weight, std=0.01)
    return model


def cosine_filters() -> np.ndarray:
    """(192, 3, 2, 16, 16): the transform that `PLAN` describes, orthonormal within a channel."""
    basis = fft.idct(np.eye(PATCH_PX), norm="ortho", axis=0)  # column k is the k-th cosine
    order = sorted(
        ((v, u) for v in range(PATCH_PX) for u in range(PATCH_PX)), key=lambda p: (sum(p), p)
    )
    filters = []
    for color, sign, count in PLAN:
        for v, u in order[:count]:
            plane = np.outer(basis[:, v], basis[:, u])
            tube = np.stack([plane, sign * plane]) / np.sqrt(2)
            filters.append(np.asarray(color)[:, None, None, None] * tube[None])
    return np.stack(filters)
