"""Known checkpoints that compare lips and voice."""

from __future__ import annotations

from hub.checkpoint import Source

_HOW = (
    "Voice alone and lips alone are encoded and compared by lag, without any training (after "
    "SpeechForensics); its decoder is left out and its own code is not run."
)
_UNFITTED = "Nobody has published figures of it in this use; calibrate it on your own files."

_INPUT = "gray mouths, 88 px, and log filterbanks, 25 Hz"
_OUTPUTS = "none: cosines by lag"

SYNC = (
    Source(
        name="avhubert-muavic",
        detector="sync",
        title="AV-HuBERT MuAViC English (nguyenvulebinh)",
        repo_id="nguyenvulebinh/AV-HuBERT-MuAViC-en",
        architecture="AV-HuBERT large with a decoder, 24 layers of 1024",
        input=_INPUT,
        outputs=_OUTPUTS,
        crop="mouth",
        margin=0.0,
        license="cc-by-nc-4.0",
        notes=(_HOW, _UNFITTED, "Its own code is on GitHub; MuAViC is not for commercial use."),
    ),
    Source(
        name="avhubert-muavic-multilingual",
        detector="sync",
        title="AV-HuBERT MuAViC multilingual (nguyenvulebinh)",
        repo_id="nguyenvulebinh/AV-HuBERT-MuAViC-multilingual",
        architecture="AV-HuBERT large with a decoder, 24 layers of 1024",
        input=_INPUT,
        outputs=_OUTPUTS,
        crop="mouth",
        margin=0.0,
        license="cc-by-nc-4.0",
        notes=(_HOW, _UNFITTED, "Fine-tuned on eight languages that are not English."),
    ),
    Source(
        name="avhubert-japanese",
        detector="sync",
        title="Japanese AV-HuBERT base (enactic)",
        repo_id="enactic/japanese-avhubert-base",
        architecture="AV-HuBERT base, 12 layers of 768",
        input=_INPUT,
        outputs=_OUTPUTS,
        crop="mouth",
        margin=0.0,
        notes=(_HOW, _UNFITTED, "It offers code of its own, which is not needed."),
    ),
    Source(
        name="avhubert-japanese-large",
        detector="sync",
        title="Japanese AV-HuBERT large, trained with noise (enactic)",
        repo_id="enactic/japanese-avhubert-large_noise_pt",
        architecture="AV-HuBERT large, 24 layers of 1024",
        input=_INPUT,
        outputs=_OUTPUTS,
        crop="mouth",
        margin=0.0,
        notes=(_HOW, _UNFITTED, "Pre-trained on about 2,250 hours of Japanese, says its card."),
    ),
    Source(
        name="avhubert-fairseq",
        detector="sync",
        title="AV-HuBERT for fairseq (vumichien)",
        repo_id="vumichien/AV-HuBERT",
        architecture="AV-HuBERT",
        input=_INPUT,
        outputs=_OUTPUTS,
        crop="mouth",
        bad=(
            "It is published as a pickle only, so it is refused; download it yourself and use "
            "cli.py convert.",
        ),
        usable=False,
    ),
    Source(
        name="latentsync-syncnet",
        detector="sync",
        title="Stable SyncNet of LatentSync (ByteDance)",
        repo_id="ByteDance/LatentSync-1.6",
        architecture="StableSyncNet, two towers of convolutions and attention, 401 million weights",
        input="lower half of 16 faces, 256 px, 25 Hz, and 52 columns of a mel spectrogram",
        outputs=_OUTPUTS,
        crop="face",
        margin=0.0,
        bad=(
            "It is published as a pickle only (stable_syncnet.pt), so it is refused; download it "
            "yourself and use cli.py convert.",
        ),
        notes=("A processor needs about a second of one core for each frame of a face.",),
        usable=False,
    ),
)
