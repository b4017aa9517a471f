"""Known checkpoints that look at single images: of a face, or of the whole image."""

from __future__ import annotations

from hub.checkpoint import LabelOverride, Source

UNTESTED = "Nobody independent has published a test of it that we know of."
_GEND = (
    "Deepfake Detection that Generalizes Across Benchmarks (WACV 2026, arXiv:2508.06248), trained "
    "on FaceForensics++; its own code is not needed and not run."
)
_GEND_ORDER = "Two outputs, real and fake by its authors' code; the direction check confirms it."

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
    Source(
        name="prithiv-detect-siglip2",
        detector="spatial",
        title="Deepfake-Detect-Siglip2 (prithivMLmods)",
        repo_id="prithivMLmods/Deepfake-Detect-Siglip2",
        architecture="SigLIP2, 224 px",
        labels=LabelOverride(
            names=("Fake", "Real"),
            evidence="its card reads index 0 as Fake and 1 as Real.",
            only_if_unnamed=True,
        ),
        notes=("Labels in index order: Fake, Real.", UNTESTED),
    ),
    Source(
        name="prithiv-three-siglip2",
        detector="spatial",
        title="AI vs Deepfake vs Real, SigLIP2 (prithivMLmods)",
        repo_id="prithivMLmods/AI-vs-Deepfake-vs-Real-Siglip2",
        architecture="SigLIP2, 224 px",
        labels=LabelOverride(
            names=("AI", "Deepfake", "Real"),
            evidence="its card reads the three outputs as AI, Deepfake and Real.",
            only_if_unnamed=True,
        ),
        notes=("Three classes, AI, Deepfake, Real: fake is the sum of the first two.", UNTESTED),
    ),
    Source(
        name="commfor-384",
        detector="spatial",
        title="Community Forensics, 384 px (OwensLab)",
        repo_id="OwensLab/commfor-model-384",
        architecture="ViT-S/16, 384 px",
        crop="frame",
        margin=0.0,
        labels=LabelOverride(
            names=("fake",),
            evidence="its authors read the sigmoid of its one logit as the probability of fake.",
        ),
        notes=(
            "One logit: sigmoid, never softmax.",
            "It looks at the whole picture, with a face or without.",
            "Made by the authors of the Community Forensics data set (arXiv:2411.04125).",
        ),
    ),
    Source(
        name="gend-clip",
        detector="spatial",
        title="GenD on CLIP (yermandy)",
        repo_id="yermandy/GenD_CLIP_L_14",
        architecture="CLIP ViT-L/14, 224 px, linear head on the unit class token",
        margin=0.3,
        license="mit",
        notes=(_GEND, _GEND_ORDER),
    ),
    Source(
        name="gend-pe",
        detector="spatial",
        title="GenD on the Perception Encoder (yermandy)",
        repo_id="yermandy/GenD_PE_L",
        architecture="Perception Encoder ViT-L/14 (timm), 224 px",
        margin=0.3,
        license="mit",
        notes=(_GEND, _GEND_ORDER),
    ),
    Source(
        name="gend-dinov3",
        detector="spatial",
        title="GenD on DINOv3 (yermandy)",
        repo_id="yermandy/GenD_DINOv3_L",
        architecture="DINOv3 ViT-L/16, 224 px",
        margin=0.3,
        license="mit",
        notes=(_GEND, _GEND_ORDER),
    ),
    Source(
        name="gend-clip-ff",
        detector="spatial",
        title="GenD on CLIP, trained with SAM (Ant-One)",
        repo_id="Ant-One/GenD_CLIP_L_14_FF",
        architecture="CLIP ViT-L/14, 224 px",
        margin=0.3,
        notes=(
            "Its card states frame AUC 0.906 and video AUC 0.943, equal error rate 12.4 %, after "
            "training on FaceForensics++.",
            _GEND_ORDER,
        ),
    ),
    Source(
        name="gend-dinov3-ff",
        detector="spatial",
        title="GenD on DINOv3, trained with SAM (HoopitAI)",
        repo_id="HoopitAI/video-deepfake-detection-GenD_DINOv3_L_FF",
        architecture="DINOv3 ViT-L/16, 224 px",
        margin=0.3,
        notes=(
            "Its card states frame AUC 0.869 and video AUC 0.918, equal error rate 15.1 %, after "
            "training on FaceForensics++.",
            _GEND_ORDER,
        ),
    ),
    Source(
        name="aidetect",
        detector="spatial",
        title="AI detect, ViT-B/16 (husseinelsaadi)",
        repo_id="husseinelsaadi/aidetect-vit-b16",
        architecture="ViT-B/16",
        crop="frame",
        margin=0.0,
        license="cc-by-nc-4.0",
        notes=(
            "Not for commercial use.",
            "Its files are not known to us: it is refused unless they are safetensors.",
            UNTESTED,
        ),
    ),
    Source(
        name="simlbr",
        detector="spatial",
        title="SimLBR (MVRL)",
        repo_id="MVRL/SimLBR",
        architecture="a head on a backbone that lies in another repository",
        bad=("It is a head only: without its backbone it cannot be loaded, so it is refused.",),
        usable=False,
    ),
)
