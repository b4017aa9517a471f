"""Which checkpoints do we know, and what is known against them?

The one place where a checkpoint is named. Facts come from cards, configs, issues and independent
tests of the Hub's checkpoints; their figures are small samples and say so. No commit of these repos
is known to us, so all of them are unpinned: type ``owner/repo@commit`` to pin one. Imports
hub.checkpoint.
"""

from __future__ import annotations

import json
from pathlib import Path

from hub.checkpoint import LabelOverride, Source

DEFAULTS = Path(__file__).parent / "defaults"
BACKBONES = Path(__file__).parent / "backbones"  # frozen networks that several heads share
UNTESTED = "Nobody independent has published a test of it that we know of."

IMAGES = (
    Source(
        name="dima806",
        detector="spatial",
        title="deepfake vs real image detection (dima806)",
        repo_id="dima806/deepfake_vs_real_image_detection",
        architecture="ViT-B/16, 224 px",
        notes=("Labels in index order: Real, Fake.", "Its card itself warns of drift."),
        bad=("An independent test found AUC 0.586 and 70 % false alarms.",),
    ),
    Source(
        name="prithiv-v2",
        detector="spatial",
        title="Deep-Fake-Detector-v2-Model (prithivMLmods)",
        repo_id="prithivMLmods/Deep-Fake-Detector-v2-Model",
        architecture="ViT-B/16, 224 px",
        labels=LabelOverride(
            names=("Deepfake", "Realism"),
            evidence="its config says Realism, Deepfake, but independent tests on four sets "
            "found AUROC 0.009, 0.000, 0.473 and 0.430, and a discussion on the Hub says that the "
            "labels are swapped.",
        ),
        bad=(
            "Its own label map is inverted according to four independent tests, so it is read the "
            "other way round here; run the sign self-check on your files.",
        ),
    ),
    Source(
        name="prithiv-v1",
        detector="spatial",
        title="Deep-Fake-Detector-Model (prithivMLmods)",
        repo_id="prithivMLmods/Deep-Fake-Detector-Model",
        architecture="ViT, 224 px",
        notes=("Labels in index order: Real, Fake.",),
        bad=(
            "Its base changed between revisions.",
            "An independent test found AUROC 0.385.",
        ),
    ),
    Source(
        name="prithiv-exp-21",
        detector="spatial",
        title="Deepfake-Detection-Exp-02-21 (prithivMLmods)",
        repo_id="prithivMLmods/Deepfake-Detection-Exp-02-21",
        architecture="ViT, patch 32, 224 px",
        notes=(
            "Labels in index order: Deepfake, Real, the opposite of the author's others.",
            UNTESTED,
        ),
    ),
    Source(
        name="prithiv-exp-22",
        detector="spatial",
        title="Deepfake-Detection-Exp-02-22 (prithivMLmods)",
        repo_id="prithivMLmods/Deepfake-Detection-Exp-02-22",
        architecture="ViT, patch 32, 224 px",
        notes=(
            "Labels in index order: Deepfake, Real, the opposite of the author's others.",
            UNTESTED,
        ),
    ),
    Source(
        name="prithiv-siglip2",
        detector="spatial",
        title="deepfake-detector-model-v1 (prithivMLmods)",
        repo_id="prithivMLmods/deepfake-detector-model-v1",
        architecture="SigLIP2, 512 px",
        notes=("Labels in index order: fake, real.", UNTESTED),
    ),
    Source(
        name="prithiv-three",
        detector="spatial",
        title="AI vs Deepfake vs Real (prithivMLmods)",
        repo_id="prithivMLmods/AI-vs-Deepfake-vs-Real",
        architecture="ViT, 224 px",
        notes=(
            "Three classes, Artificial, Deepfake, Real: fake is the sum of the first two.",
            UNTESTED,
        ),
    ),
    Source(
        name="wvolf",
        detector="spatial",
        title="ViT Deepfake Detection (Wvolf)",
        repo_id="Wvolf/ViT_Deepfake_Detection",
        architecture="ViT, 224 px",
        bad=(
            "It is published as a pickle only, so it is refused.",
            "An independent test found AUROC 0.594 and 76 % false alarms.",
            "The order of its labels is not confirmed.",
        ),
        usable=False,
    ),
    Source(
        name="ashish",
        detector="spatial",
        title="deepfake detection using ViT (ashish-001)",
        repo_id="ashish-001/deepfake-detection-using-ViT",
        architecture="ViT, 224 px",
        labels=LabelOverride(
            names=("Fake", "Real"),
            evidence="the author's own code reads index 0 as Fake and 1 as Real.",
            only_if_unnamed=True,
        ),
        notes=("Its config may say LABEL_0 and LABEL_1 only.", UNTESTED),
    ),
    Source(
        name="organika-sdxl",
        detector="spatial",
        title="SDXL detector (Organika)",
        repo_id="Organika/sdxl-detector",
        architecture="Swin, 224 px",
        crop="frame",
        margin=0.0,
        notes=("Labels in index order: artificial, human.", "It looks at the whole picture."),
        bad=("It knows pictures made by SDXL, and was not made for swapped faces.",),
    ),
    Source(
        name="community-forensics",
        detector="spatial",
        title="Community Forensics DeepfakeDet ViT (buildborderless)",
        repo_id="buildborderless/CommunityForensics-DeepfakeDet-ViT",
        architecture="ViT-S/16, 384 px",
        crop="frame",
        margin=0.0,
        labels=LabelOverride(
            names=("fake",),
            evidence="its authors read the sigmoid of its one logit as the probability of fake.",
        ),
        notes=(
            "One logit: sigmoid, never softmax, which would always say 1.",
            "It looks at the whole picture.",
            UNTESTED,
        ),
    ),
    Source(
        name="hrutik-ff",
        detector="spatial",
        title="deepfake detector FaceForensics (HrutikAdsare)",
        repo_id="HrutikAdsare/deepfake-detector-faceforensics",
        architecture="not stated",
        gated=True,
        notes=("Labels in index order: Real, Fake.", "Its terms must be accepted first."),
    ),
)

VIDEOS = (
    Source(
        name="vansh-videomae",
        detector="temporal",
        title="VideoMAE FFC23 deepfake detector (Vansh180)",
        repo_id="Vansh180/VideoMae-ffc23-deepfake-detector",
        architecture="VideoMAE-B, 16 frames, 224 px",
        notes=("Labels in index order: real, fake.",),
        bad=(
            "It was trained on the Deepfakes part of FaceForensics++ only.",
            "An independent test found AUROC 0.51, which is chance.",
        ),
    ),
    Source(
        name="shylhy-videomae",
        detector="temporal",
        title="VideoMAE-Large fine-tuned on a deepfake subset (shylhy)",
        repo_id="shylhy/videomae-large-finetuned-deepfake-subset",
        architecture="VideoMAE-L",
        licence="non-commercial",
        notes=("Slow on a CPU.", "The order of its labels is not known to us.", UNTESTED),
    ),
    Source(
        name="muneeb-videomae",
        detector="temporal",
        title="VideoMAE fake video classification (muneeb1812)",
        repo_id="muneeb1812/videomae-base-fake-video-classification",
        architecture="VideoMAE-B",
        bad=("It is published as a pickle only, so it is refused.",),
        usable=False,
    ),
    Source(
        name="av-mae-256",
        detector="temporal",
        title="AV-MAE task 1, 256 frames (yadvender12)",
        repo_id="yadvender12/AV_MAE_task1_256_DF1M_epoch2",
        architecture="VideoMAE, 256 frames, tubelet 32",
        notes=(
            "Labels in index order: fake, real.",
            "Frames and tubelet come from its config.",
            UNTESTED,
        ),
    ),
)

_NO_FORMAT = "The sync detector takes this program's own format only, so it is refused."

AUDIO_AND_IMAGES = (
    Source(
        name="avhubert-muavic",
        detector="sync",
        title="AV-HuBERT MuAViC English (nguyenvulebinh)",
        repo_id="nguyenvulebinh/AV-HuBERT-MuAViC-en",
        architecture="AV-HuBERT speech recogniser",
        crop="mouth",
        bad=(
            "It is a speech recogniser whose class lives in another repository; the Auto classes "
            "load a wrong model.",
            _NO_FORMAT,
        ),
        usable=False,
    ),
    Source(
        name="avhubert-japanese",
        detector="sync",
        title="Japanese AV-HuBERT base (enactic)",
        repo_id="enactic/japanese-avhubert-base",
        architecture="AV-HuBERT",
        crop="mouth",
        bad=("It wants to run its own code, so it is refused.",),
        usable=False,
    ),
    Source(
        name="avhubert-fairseq",
        detector="sync",
        title="AV-HuBERT for fairseq (vumichien)",
        repo_id="vumichien/AV-HuBERT",
        architecture="AV-HuBERT",
        crop="mouth",
        bad=("It is published as a pickle only, so it is refused.",),
        usable=False,
    ),
)

HUB_SOURCES = IMAGES + VIDEOS + AUDIO_AND_IMAGES


def embedded_sources() -> tuple[Source, ...]:
    """The checkpoints that come with the program: one a folder with a card."""
    return tuple(_embedded(file) for file in sorted(DEFAULTS.glob("*/card.json")))


def _embedded(file: Path) -> Source:
    card, name = json.loads(file.read_text("utf-8")), file.parent.name
    return Source(
        name=name,
        detector=name,
        title=f"The {name} checkpoint that comes with the program",
        folder=name,
        architecture="see its model card",
        crop=card.get("crop", "face"),
        margin=0.0,
        notes=("Works without a network.",),
    )


def sources() -> tuple[Source, ...]:
    """All entries: those that come with the program, then those of the Hub."""
    return embedded_sources() + HUB_SOURCES


def find(name_or_repo: str) -> Source | None:
    """Return the entry of that short name or repo id (any case), or None."""
    wanted = name_or_repo.strip().lower()
    for source in sources():
        if wanted in (source.name.lower(), (source.repo_id or "").lower()):
            return source
    return None


def search(text: str, detector: str | None = None) -> tuple[Source, ...]:
    """Return the entries in which every word of ``text`` occurs, in catalogue order.

    Args:
        text: words in any case; empty finds everything.
        detector: only entries for this role.
    """
    words = text.lower().split()
    return tuple(
        source
        for source in sources()
        if (detector is None or source.detector == detector)
        and all(word in _searchable(source) for word in words)
    )


def _searchable(source: Source) -> str:
    parts = (source.name, source.detector, source.title, source.repo_id or "embedded")
    return " ".join((*parts, source.architecture, *source.notes, *source.bad)).lower()
