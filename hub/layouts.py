"""Which published layouts, beside the classifiers of transformers, are known here?

A layout is a way in which somebody published weights: whose config it is, which tensors must be
there, for which role, and how its input is prepared. Their own code is never needed and never run;
``detectors`` has a network for each of them. Reads no tensor. Imports errors and hub.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hub.checkpoint import Card, Source
from hub.checks import refuse
from hub.role import Crop

Triple = tuple[float, float, float]
CLIP: tuple[Triple, Triple] = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)
"""Mean and deviation that CLIP was trained with (Radford et al. 2021, arXiv:2103.00020)."""
IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES: tuple[Triple, Triple] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
GEND_MARGIN = 0.3
"""GenD cuts its faces 1.3 times as wide as its template of an upright face."""
GEND_SIZE_PX = 224
SIMLBR_SIZE_PX = 256
SATELLITE: tuple[Triple, Triple] = ((0.430, 0.411, 0.296), (0.213, 0.156, 0.143))
"""DINOv3's for satellite images, which SimLBR takes for all (simlbr/utils.py at 7d5d800)."""
NOT_A_CLASSIFIER = "Not a classifier: the worse lips and voice fit each other, the higher."
AVHUBERT_SIZE_PX = 88
SYNCNET_SIZE_PX = 224
STABLE_SYNCNET_SIZE_PX = 256
SYNCNET_MARGIN = 0.4
"""SyncNet looks at 1.4 times the box of the face."""


@dataclass(frozen=True)
class Layout:
    """One way of publishing weights.

    Attributes:
        name: short name, which the network's builder goes by.
        detector: the role.
        title: for people.
        towers: parts of tensor names, each with what is missing when no tensor has it.
    """

    name: str
    detector: str
    title: str
    towers: Mapping[str, str]


GEND = Layout(
    "gend",
    "spatial",
    "GenD, a backbone with a small head",
    {"feature_extractor.": "backbone", "model.linear.": "head"},
)
SIMLBR = Layout(
    "simlbr",
    "spatial",
    "SimLBR, a small head on DINOv3",
    {"backbone.model.": "backbone", "classifier.": "head"},
)
AVHUBERT = Layout(
    "avhubert",
    "sync",
    "AV-HuBERT",
    {
        "feature_extractor_audio.": "tower for the voice",
        "feature_extractor_video.": "tower for the lips",
        "encoder.layers.": "transformer",
    },
)
SYNCNET = Layout(
    "syncnet",
    "sync",
    "SyncNet",
    {"netcnnaud.": "tower for the voice", "netcnnlip.": "tower for the face"},
)
STABLE_SYNCNET = Layout(
    "stable_syncnet",
    "sync",
    "StableSyncNet of LatentSync",
    {"audio_encoder.": "tower for the voice", "visual_encoder.": "tower for the face"},
)
KNOWN_BY_TYPE = {
    "gend": GEND, "simlbr": SIMLBR, "avhubert": AVHUBERT, "av_hubert": AVHUBERT, "syncnet": SYNCNET,
    "stable_syncnet": STABLE_SYNCNET,
}  # fmt: skip
_SPEECH_TO_TEXT = "speech_to_text"
"""What the config of AV-HuBERT with a decoder calls itself in transformers."""


def find(config: Mapping[str, Any]) -> Layout | None:
    """Return the layout that a config belongs to, or None for transformers' own."""
    model_type = str(config.get("model_type")).lower()
    named = str(config.get("architectures"))
    if model_type == _SPEECH_TO_TEXT and ("AV2Text" in named or "AVHubert" in named):
        return AVHUBERT
    return KNOWN_BY_TYPE.get(model_type)


def check_towers(name: str, layout: Layout, header: Mapping[str, object]) -> None:
    """Refuse weights that lack a tower of their layout.

    Raises:
        UserError: ``weights_refused``.
    """
    for part, words in layout.towers.items():
        if not any(part in key for key in header):
            raise refuse(f"{name} ({layout.title}) has no {words}: no tensor is called {part}….")


def card_for(layout: Layout, name: str, config: Mapping[str, Any], source: Source | None) -> Card:
    """Describe how a checkpoint of a layout is used.

    Args:
        layout: its layout.
        name: of the checkpoint, its title where the catalog has none.
        config: content of its config.json.
        source: its entry in the catalog.

    Raises:
        UserError: ``weights_refused`` for a backbone or a head that is not known here.
    """
    card = CARDS[layout.name](config)
    if source is None:
        return replace(card, title=name)
    return replace(card, title=source.title, license=source.license)


def gend_family(config: Mapping[str, Any]) -> str:
    """Return ``clip``, ``pe`` or ``dino``: GenD names its backbone, and only known ones are built.

    Raises:
        UserError: ``weights_refused`` for another backbone or head.
    """
    backbone, head = str(config.get("backbone", "")).lower(), str(config.get("head", "linear"))
    if head not in ("linear", "LinearNorm"):
        raise refuse(f"This GenD has the head {head[:40]!r}; linear and LinearNorm are known here.")
    for word, family in (("clip", "clip"), ("vit_pe", "pe"), ("dinov3", "dino")):
        if word in backbone:
            return family
    raise refuse(
        f"This GenD stands on {backbone[:60]!r}; CLIP, DINOv3 and the Perception Encoder are known."
    )


def _gend_card(config: Mapping[str, Any]) -> Card:
    mean, std = {"clip": CLIP, "dino": IMAGENET, "pe": HALVES}[gend_family(config)]
    return Card(
        detector=GEND.detector,
        title=GEND.title,
        size_px=GEND_SIZE_PX,
        fake_indices=(1,),
        real_indices=(0,),
        labels_known_by="GenD's own order: output 0 is real, 1 is fake. Its config does not say "
        "so; the direction check on a few labelled files confirms it.",
        crop=Crop.BOX,
        margin=GEND_MARGIN,
        mean=mean,
        std=std,
    )


def _simlbr_card(config: Mapping[str, Any]) -> Card:
    return Card(
        detector=SIMLBR.detector,
        title=SIMLBR.title,
        size_px=SIMLBR_SIZE_PX,
        fake_indices=(0,),
        real_indices=(),
        labels_known_by="SimLBR's own: one output, the higher the more likely fake. Its weights do "
        "not say so; the direction check on a few labelled files confirms it.",
        crop=Crop.FRAME,
        mean=SATELLITE[0],
        std=SATELLITE[1],
    )


def _avhubert_card(config: Mapping[str, Any]) -> Card:
    return Card(
        detector=AVHUBERT.detector,
        title=AVHUBERT.title,
        size_px=AVHUBERT_SIZE_PX,
        fake_indices=(0,),
        real_indices=(),
        labels_known_by=NOT_A_CLASSIFIER,
        crop="mouth",
        rate_hz=25.0,
    )


def _syncnet_card(config: Mapping[str, Any]) -> Card:
    return replace(
        _avhubert_card(config),
        title=SYNCNET.title,
        size_px=SYNCNET_SIZE_PX,
        crop="face",
        margin=SYNCNET_MARGIN,
        frames=5,
    )


def _stable_syncnet_card(config: Mapping[str, Any]) -> Card:
    return replace(
        _avhubert_card(config),
        title=STABLE_SYNCNET.title,
        size_px=STABLE_SYNCNET_SIZE_PX,
        crop="face",
        frames=16,
    )


CARDS: Mapping[str, Callable[[Mapping[str, Any]], Card]] = {
    "gend": _gend_card,
    "simlbr": _simlbr_card,
    "avhubert": _avhubert_card,
    "syncnet": _syncnet_card,
    "stable_syncnet": _stable_syncnet_card,
}
"""How a checkpoint of each layout is used, from its config, by the layout's name."""
