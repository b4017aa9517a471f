"""Tiny random weights laid out exactly as published checkpoints are, names and all.

Not a test. Sizes are small, names and the order of dimensions are those of the public code, which
is named with file and commit at each of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

WIDTH = 64  # one attention head of the large backbones


def save(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> Path:
    """Write config.json and model.safetensors."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    whole = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def gend(folder: Path, backbone: str, head: str = "LinearNorm", seed: int = 0) -> Path:
    """As yermandy/GenD_CLIP_L_14, _PE_L and _DINOv3_L: src/hf/modeling_gend.py at b26c2b2."""
    torch.manual_seed(seed)
    make, prefix = {
        "openai/clip-vit-large-patch14": (_clip, "feature_extractor.vision_model."),
        "vit_pe_core_large_patch14_336": (_perception, "feature_extractor.backbone."),
        "facebook/dinov3-vitl16-pretrain-lvd1689m": (_dinov3, "feature_extractor.backbone."),
    }[backbone]
    tensors = {prefix + name: value for name, value in make().items()}
    if "clip" in backbone:
        tensors["feature_extractor.visual_projection.weight"] = torch.randn(8, WIDTH)
    tensors |= {
        "model.linear.weight": torch.randn(2, WIDTH),
        "model.linear.bias": torch.randn(2),
    }
    config = {
        "architectures": ["GenD"],
        "auto_map": {"AutoModel": "modeling_gend.GenD"},  # as in Ant-One's copies
        "backbone": backbone,
        "head": head,
        "model_type": "GenD",
    }
    return save(folder, config, tensors)


def simlbr(hidden_layers: int = 1, seed: int = 0) -> dict[str, Tensor]:
    """As Lightning saves it: simlbr/model.py and backbones.py of mvrl/SimLBR at 7d5d800, the names
    within the backbone by dinov3/models/vision_transformer.py of facebookresearch/dinov3.
    """
    torch.manual_seed(seed)
    backbone = _dinov3()
    inner = {
        "cls_token": backbone["embeddings.cls_token"],
        "storage_tokens": backbone["embeddings.register_tokens"],
        "mask_token": torch.zeros(1, WIDTH),
        "rope_embed.periods": torch.ones(WIDTH // 4),
        "patch_embed.proj.weight": backbone["embeddings.patch_embeddings.weight"],
        "patch_embed.proj.bias": backbone["embeddings.patch_embeddings.bias"],
        "norm.weight": backbone["norm.weight"],
        "norm.bias": backbone["norm.bias"],
    }
    for n in range(2):
        old, new = f"layer.{n}.", f"blocks.{n}."
        for kind in ("weight", "bias"):
            none = torch.zeros(WIDTH)  # DINOv3 masks the bias of its keys
            parts = [backbone.get(f"{old}attention.{p}_proj.{kind}", none) for p in "qkv"]
            inner[f"{new}attn.qkv.{kind}"] = torch.cat(parts)
            inner[f"{new}attn.proj.{kind}"] = backbone[f"{old}attention.o_proj.{kind}"]
            for name in ("norm1", "norm2"):
                inner[f"{new}{name}.{kind}"] = backbone[f"{old}{name}.{kind}"]
            inner[f"{new}mlp.fc1.{kind}"] = backbone[f"{old}mlp.up_proj.{kind}"]
            inner[f"{new}mlp.fc2.{kind}"] = backbone[f"{old}mlp.down_proj.{kind}"]
        inner[f"{new}attn.qkv.bias_mask"] = torch.ones(3 * WIDTH)
        for scale in "12":
            inner[f"{new}ls{scale}.gamma"] = backbone[f"{old}layer_scale{scale}.lambda1"]
    result = {f"backbone.model.{name}": value for name, value in inner.items()}
    width = WIDTH
    for layer in range(hidden_layers + 1):
        out = 1 if layer == hidden_layers else width // 2
        result[f"classifier.{3 * layer}.weight"] = torch.randn(out, width)
        result[f"classifier.{3 * layer}.bias"] = torch.randn(out)
        width = out
    return result


def _clip() -> dict[str, Tensor]:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    sizes = {"hidden_size": WIDTH, "intermediate_size": 96, "num_hidden_layers": 2}
    config = CLIPVisionConfig(**sizes, num_attention_heads=1, image_size=224, patch_size=56)
    return CLIPVisionModel(config).state_dict()


def _dinov3() -> dict[str, Tensor]:
    """transformers 4.56, with which it was published, called the layers layer.0 and so on."""
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    sizes = {"hidden_size": WIDTH, "intermediate_size": 96, "num_hidden_layers": 2}
    config = DINOv3ViTConfig(
        **sizes, num_attention_heads=1, image_size=224, patch_size=56, num_register_tokens=4
    )
    named = DINOv3ViTModel(config).state_dict()
    return {name.removeprefix("model."): value for name, value in named.items()}


def _perception() -> dict[str, Tensor]:
    import timm

    return timm.create_model(
        "vit_pe_core_large_patch14_336", pretrained=False, num_classes=0, dynamic_img_size=True,
        embed_dim=WIDTH, depth=2, num_heads=1, img_size=56,
    ).state_dict()  # fmt: skip


def muavic(folder: Path, **sizes: int) -> Path:
    """As nguyenvulebinh/AV-HuBERT-MuAViC-*: src/model/avhubert2text.py at 0bc522d.

    Speech to text: the encoder lies under ``model.encoder.``, a decoder beside it.
    """
    tensors = {f"model.encoder.{k}": v for k, v in avhubert_tensors(**sizes).items()}
    width = len(tensors["model.encoder.post_extract_proj.bias"])
    tensors |= {
        "model.encoder.mask_emb": torch.randn(104),
        "model.encoder.label_embs_concat": torch.randn(5, width),
        "model.decoder.embed_tokens.weight": torch.randn(9, width),
        "model.decoder.layers.0.fc1.weight": torch.randn(8, width),
        "lm_head.weight": torch.randn(9, width),
    }
    config = {
        "architectures": ["AV2TextForConditionalGeneration"],
        "model_type": "speech_to_text",
        "audio_feat_dim": 104,
        "encoder_attention_heads": 2,
        "modality_fuse": "concat",
        "resnet_relu_type": "prelu",
        "conv_feature_layers": "[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2",
    }
    return save(folder, config, tensors)


def enactic(folder: Path, norm_first: bool = True, **sizes: int) -> Path:
    """As enactic/japanese-avhubert-base: modeling_avhubert.py at 03439e2 (ReazonSpeech)."""
    config = {
        "architectures": ["AVHubertModel"],
        "auto_map": {"AutoModel": "modeling_avhubert.AVHubertModel"},
        "model_type": "avhubert",
        "encoder_attention_heads": 2,
    }
    if norm_first:  # false is the default, and defaults are left out
        config["do_stable_layer_norm"] = True
    return save(folder, config, avhubert_tensors(**sizes))


def fairseq(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same encoder by the names of facebookresearch/av_hubert at b4fa4af."""
    words = [
        ("encoder.pos_conv_embed.conv.parametrizations.weight.original0", "pos_conv.0.weight_g"),
        ("encoder.pos_conv_embed.conv.parametrizations.weight.original1", "pos_conv.0.weight_v"),
        ("encoder.pos_conv_embed.conv.", "pos_conv.0."),
        (".attention.", ".self_attn."),
        (".feed_forward.intermediate_dense.", ".fc1."),
        (".feed_forward.output_dense.", ".fc2."),
    ]
    named = {}
    for old, value in tensors.items():
        name = old
        if ".layers." in name and ".final_layer_norm." not in name:
            name = name.replace(".layer_norm.", ".self_attn_layer_norm.")
        for ours, theirs in words:
            name = name.replace(ours, f"encoder.{theirs}" if theirs.startswith("pos") else theirs)
        named[name] = value
    return named


def avhubert_tensors(
    width: int = 32, layers: int = 2, inner: int = 48, stem: int = 4, seed: int = 0
) -> dict[str, Tensor]:
    """An encoder's tensors by the names of transformers' HuBERT and of the lip reader's ResNet."""
    torch.manual_seed(seed)
    tensors: dict[str, Tensor] = {}

    def linear(name: str, inside: int, outside: int) -> None:
        tensors[f"{name}.weight"] = torch.randn(outside, inside) / inside**0.5
        tensors[f"{name}.bias"] = torch.randn(outside) / 10

    def norm(name: str, size: int) -> None:
        tensors[f"{name}.weight"] = 1 + torch.randn(size) / 10
        tensors[f"{name}.bias"] = torch.randn(size) / 10

    def batch_norm(name: str, size: int) -> None:
        norm(name, size)
        tensors[f"{name}.running_mean"] = torch.randn(size) / 10
        tensors[f"{name}.running_var"] = 1 + torch.rand(size)
        tensors[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def conv(name: str, *shape: int) -> None:
        fan = torch.Size(shape[1:]).numel()
        tensors[f"{name}.weight"] = torch.randn(*shape) / fan**0.5

    linear("feature_extractor_audio.proj", 104, width)
    linear("feature_extractor_video.proj", 8 * stem, width)
    at = "feature_extractor_video.resnet."
    conv(at + "frontend3D.0", stem, 1, 5, 7, 7)
    batch_norm(at + "frontend3D.1", stem)
    tensors[at + "frontend3D.2.weight"] = torch.full((stem,), 0.25)
    inside = stem
    for stage, times in enumerate((1, 2, 4, 8), start=1):
        for block in range(2):
            here, outside = f"{at}trunk.layer{stage}.{block}.", times * stem
            conv(here + "conv1", outside, inside, 3, 3)
            conv(here + "conv2", outside, outside, 3, 3)
            for number in (1, 2):
                batch_norm(f"{here}bn{number}", outside)
                tensors[f"{here}relu{number}.weight"] = torch.full((outside,), 0.1 * number)
            if block == 0 and stage > 1:
                conv(here + "downsample.0", outside, inside, 1, 1)
                batch_norm(here + "downsample.1", outside)
            inside = outside
    norm("layer_norm", 2 * width)
    linear("post_extract_proj", 2 * width, width)
    places = "encoder.pos_conv_embed.conv."
    tensors[places + "parametrizations.weight.original0"] = 0.5 + torch.rand(1, 1, 128)
    tensors[places + "parametrizations.weight.original1"] = torch.randn(width, width // 16, 128)
    tensors[places + "bias"] = torch.randn(width) / 10
    for index in range(layers):
        here = f"encoder.layers.{index}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            linear(f"{here}attention.{name}", width, width)
        norm(here + "layer_norm", width)
        norm(here + "final_layer_norm", width)
        linear(here + "feed_forward.intermediate_dense", width, inner)
        linear(here + "feed_forward.output_dense", inner, width)
    norm("encoder.layer_norm", width)
    return tensors


def syncnet(folder: Path, size: int = 16, seed: int = 0) -> Path:
    """As syncnet_v2.model once converted: joonson/syncnet_python, SyncNetModel.py at 5befaa3."""
    return save(folder, {"model_type": "syncnet"}, syncnet_tensors(size, seed))


def syncnet_tensors(size: int = 16, seed: int = 0) -> dict[str, Tensor]:
    """Both towers with few channels; places and kernels are those of the published weights."""
    torch.manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    places = {
        "netcnnaud": [(0, 1, 4, (3, 3)), (4, 4, 6, (3, 3)), (8, 6, 8, (3, 3)), (11, 8, 6, (3, 3)),
                      (14, 6, 6, (3, 3)), (18, 6, 12, (5, 4))],
        "netcnnlip": [(0, 3, 4, (5, 7, 7)), (4, 4, 6, (1, 5, 5)), (8, 6, 6, (1, 3, 3)),
                      (11, 6, 6, (1, 3, 3)), (14, 6, 6, (1, 3, 3)), (18, 6, 12, (1, 6, 6))],
    }  # fmt: skip
    for tower, convs in places.items():
        for place, inside, outside, kernel in convs:
            fan = inside * torch.Size(kernel).numel()
            tensors[f"{tower}.{place}.weight"] = torch.randn(outside, inside, *kernel) / fan**0.5
            tensors[f"{tower}.{place}.bias"] = torch.randn(outside) / 10
            tensors |= _running(f"{tower}.{place + 1}", outside)
    for outlet in ("netfcaud", "netfclip"):
        tensors[f"{outlet}.0.weight"] = torch.randn(12, 12) / 12**0.5
        tensors[f"{outlet}.0.bias"] = torch.randn(12) / 10
        tensors |= _running(f"{outlet}.1", 12)
        tensors[f"{outlet}.3.weight"] = torch.randn(size, 12) / 12**0.5
        tensors[f"{outlet}.3.bias"] = torch.randn(size) / 10
    return tensors


def stable_syncnet(folder: Path, **sizes: Any) -> Path:
    """As LatentSync's stable_syncnet.pt once converted: see `stable_syncnet_tensors`."""
    return save(folder, {"model_type": "stable_syncnet"}, stable_syncnet_tensors(**sizes))


def stable_syncnet_tensors(
    voice: tuple[int, ...] = (32, 32, 32, 32, 32, 32, 64),
    face: tuple[int, ...] = (32, 32, 32, 32, 32, 32, 32, 64),
    attention: tuple[str, ...] = ("audio_encoder.3", "audio_encoder.4", "visual_encoder.4"),
    frames: int = 16,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Both towers with few channels: latentsync/models/stable_syncnet.py of bytedance/LatentSync
    (copy zll961020/LatentSync at 6c8ae86), configs/syncnet/syncnet_16_pixel_attn.yaml at 36ca2a3.
    """
    torch.manual_seed(seed)
    tensors: dict[str, Tensor] = {}

    def layer(name: str, *shape: int) -> None:
        fan = torch.Size(shape[1:]).numel()
        tensors[f"{name}.weight"] = torch.randn(*shape) / fan**0.5
        tensors[f"{name}.bias"] = torch.randn(shape[0]) / 10

    def norm(name: str, size: int) -> None:
        tensors[f"{name}.weight"] = 1 + torch.randn(size) / 10
        tensors[f"{name}.bias"] = torch.randn(size) / 10

    for tower, inside, channels in (
        ("audio_encoder", 1, voice), ("visual_encoder", 3 * frames, face),
    ):  # fmt: skip
        layer(f"{tower}.conv_in", channels[0], inside, 3, 3)
        before, place = channels[0], 0
        for block, size in enumerate(channels):
            here = f"{tower}.down_blocks.{place}"
            norm(f"{here}.norm1", before)
            layer(f"{here}.conv1", size, before, 3, 3)
            norm(f"{here}.norm2", size)
            layer(f"{here}.conv2", size, size, 3, 3)
            if size != before:
                layer(f"{here}.conv_shortcut", size, before, 1, 1)
            if not (tower == "audio_encoder" and len(channels) == 7 and block == 3):
                layer(f"{here}.downsample_conv", size, size, 3, 3)
            before, place = size, place + 1
            if f"{tower}.{block}" in attention:
                here = f"{tower}.down_blocks.{place}"
                for number in (1, 2, 3):
                    norm(f"{here}.norm{number}", size)
                layer(f"{here}.ff.net.0.proj", 8 * size, size)
                layer(f"{here}.ff.net.2", size, 4 * size)
                for name in ("conv_in", "conv_out"):
                    layer(f"{here}.{name}", size, size, 1, 1)
                for name in ("to_q", "to_k", "to_v", "to_out.0"):
                    layer(f"{here}.attn.{name}", size, size)
                place += 1
        norm(f"{tower}.norm_out", before)
    return tensors


def _running(name: str, size: int) -> dict[str, Tensor]:
    return {
        f"{name}.weight": 1 + torch.randn(size) / 10,
        f"{name}.bias": torch.randn(size) / 10,
        f"{name}.running_mean": torch.randn(size) / 10,
        f"{name}.running_var": 1 + torch.rand(size),
        f"{name}.num_batches_tracked": torch.tensor(3),
    }


WAV2VEC2: dict[str, Any] = {  # config.json of transformers 4.38.2, but for the sizes
    "_name_or_path": "facebook/wav2vec2-base-960h",
    "activation_dropout": 0.1, "adapter_attn_dim": None, "adapter_kernel_size": 3,
    "adapter_stride": 2, "add_adapter": False, "apply_spec_augment": True,
    "architectures": ["Wav2Vec2ForSequenceClassification"], "attention_dropout": 0.1,
    "bos_token_id": 1, "classifier_proj_size": 16, "codevector_dim": 256,
    "contrastive_logits_temperature": 0.1,
    "conv_dim": [16] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2], "ctc_loss_reduction": "sum",
    "ctc_zero_infinity": False, "diversity_loss_weight": 0.1,
    "eos_token_id": 2, "feat_extract_activation": "gelu",
    "feat_extract_dropout": 0.0,
    "feat_proj_dropout": 0.1, "feat_quantizer_dropout": 0.0, "final_dropout": 0.1,
    "gradient_checkpointing": False, "hidden_act": "gelu", "hidden_dropout": 0.1,
    "hidden_dropout_prob": 0.1, "hidden_size": 32,
    "initializer_range": 0.02, "intermediate_size": 48,
    "layer_norm_eps": 1e-05, "layerdrop": 0.1, "mask_feature_length": 10,
    "mask_feature_min_masks": 0, "mask_feature_prob": 0.0, "mask_time_length": 10,
    "mask_time_min_masks": 2, "mask_time_prob": 0.05, "model_type": "wav2vec2",
    "num_adapter_layers": 3, "num_attention_heads": 2, "num_codevector_groups": 2,
    "num_codevectors_per_group": 320, "num_conv_pos_embedding_groups": 16,
    "num_conv_pos_embeddings": 128, "num_feat_extract_layers": 7, "num_hidden_layers": 2,
    "num_negatives": 100, "output_hidden_size": 32, "pad_token_id": 0,
    "proj_codevector_dim": 256, "tdnn_dilation": [1, 2, 3, 1, 1],
    "tdnn_dim": [512, 512, 512, 512, 1500], "tdnn_kernel": [5, 3, 3, 1, 1],
    "torch_dtype": "float32", "transformers_version": "4.38.2",
    "use_weighted_layer_sum": False, "vocab_size": 32, "xvector_output_dim": 512,
}  # fmt: skip


def wav2vec2(
    folder: Path,
    labels: tuple[str, ...] = ("bonafide", "spoof"),
    large: bool = False,
    legacy: bool = False,
    seed: int = 0,
) -> Path:
    """As abhishtagatya/wav2vec2-base-960h-asv19-deepfake, or, ``large``, as Gustking's XLSR.

    transformers, models/wav2vec2/modeling_wav2vec2.py and configuration_wav2vec2.py at v4.38.2.
    ``legacy``: its positional convolution was saved by a torch before 2.0, as weight_g, weight_v.
    """
    from transformers import Wav2Vec2Config, Wav2Vec2ForSequenceClassification

    torch.manual_seed(seed)
    config = WAV2VEC2 | {
        "conv_bias": large, "do_stable_layer_norm": large,
        "feat_extract_norm": "layer" if large else "group",
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: str(index) for index, label in enumerate(labels)},
    }  # fmt: skip
    model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config.from_dict(dict(config)))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5)  # He et al., 2015
    tensors = model.state_dict()
    assert "wav2vec2.masked_spec_embed" in tensors and "projector.weight" in tensors
    if legacy:
        at = "wav2vec2.encoder.pos_conv_embed.conv."
        for index, name in enumerate(("weight_g", "weight_v")):
            tensors[at + name] = tensors.pop(f"{at}parametrizations.weight.original{index}")
    save(folder, config, tensors)
    processor = {
        "do_normalize": True, "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1, "padding_side": "right", "padding_value": 0.0,
        "return_attention_mask": large, "sampling_rate": 16000,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder
