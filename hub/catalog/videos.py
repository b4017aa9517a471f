"""Known checkpoints that look at runs of frames."""

from __future__ import annotations

from hub.catalog.images import UNTESTED
from hub.checkpoint import Source

VIDEOS = (
    Source(
        name="vansh-videomae",
        detector="temporal",
        title="VideoMAE FFC23 deepfake detector (Vansh180)",
        repo_id="Vansh180/VideoMae-ffc23-deepfake-detector",
        architecture="VideoMAE-B",
        input="16 frames of a face, 224 px",
        outputs="0 real, 1 fake",
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
        license="non-commercial",
        notes=("Slow on a CPU.", "The order of its labels is not known to us.", UNTESTED),
    ),
    Source(
        name="muneeb-videomae",
        detector="temporal",
        title="VideoMAE fake video classification (muneeb1812)",
        repo_id="muneeb1812/videomae-base-fake-video-classification",
        revision="refs/pr/2",
        commit="b411b6b",
        architecture="VideoMAE-B",
        notes=("The order of its labels is not known to us.", UNTESTED),
        bad=(
            "Its owner published a pickle only; the safetensors are in pull request 2 "
            "(refs/pr/2), made by a bot of the Hub, and are what is taken here.",
        ),
    ),
    Source(
        name="av-mae-256",
        detector="temporal",
        title="AV-MAE task 1, 256 frames (yadvender12)",
        repo_id="yadvender12/AV_MAE_task1_256_DF1M_epoch2",
        architecture="VideoMAE, tubelet 32",
        input="256 frames of a face",
        outputs="0 fake, 1 real",
        notes=(
            "Frames and tubelet come from its config.",
            UNTESTED,
        ),
    ),
    Source(
        name="ammar-videomae",
        detector="temporal",
        title="VideoMAE fine-tuned on a deepfake subset (Ammar2k)",
        repo_id="Ammar2k/videomae-base-finetuned-deepfake-subset",
        architecture="VideoMAE-B",
        input="16 frames of a face, 224 px",
        notes=("The order of its labels is not known to us.", UNTESTED),
    ),
)
