"""Known checkpoints that listen to voices. None comes with the program."""

from __future__ import annotations

from hub.catalog.images import UNTESTED
from hub.checkpoint import Source

_HOW = "It hears four seconds of speech at a time, 16 kHz mono."
_AWAY = (
    "Detectors of this kind rank almost without a mistake on the set that they learned from, and "
    "reached AUC 0.41 to 0.80 on others: calibrate it on files of your own kind."
)

_INPUT = "4 s of sound, 16 kHz"

VOICES = (
    Source(
        name="wav2vec2-asv19",
        detector="voice",
        title="wav2vec 2.0 base, ASVspoof 2019 (abhishtagatya)",
        repo_id="abhishtagatya/wav2vec2-base-960h-asv19-deepfake",
        architecture="wav2vec 2.0 base, 12 layers of 768",
        input=_INPUT,
        outputs="bonafide and spoof, in the order of its config",
        crop="frame",
        margin=0.0,
        license="apache-2.0",
        notes=(
            "Trained on ASVspoof 2019, whose synthesizers are older than 2020.",
            _HOW,
            _AWAY,
        ),
    ),
    Source(
        name="wav2vec2-xlsr-gustking",
        detector="voice",
        title="wav2vec 2.0 large XLSR (Gustking)",
        repo_id="Gustking/wav2vec2-large-xlsr-deepfake-audio-classification",
        architecture="wav2vec 2.0 large, 24 layers of 1024",
        input=_INPUT,
        crop="frame",
        margin=0.0,
        license="apache-2.0",
        notes=(
            "Its card states F1 0.95 on its own data and 0.94 on a part of ASVspoof 2019.",
            _HOW,
            _AWAY,
        ),
        bad=("A user reports that it ranked well and yet called 4 of 8 clean real clips fake.",),
    ),
    Source(
        name="wavlm-in-the-wild",
        detector="voice",
        title="WavLM base, In-the-Wild (abhishtagatya)",
        repo_id="abhishtagatya/wavlm-base-960h-itw-deepfake",
        architecture="WavLM base",
        input=_INPUT,
        crop="frame",
        margin=0.0,
        notes=("Named after the In-the-Wild set of public figures.", UNTESTED, _HOW, _AWAY),
    ),
    Source(
        name="melodymachine-v2",
        detector="voice",
        title="Deepfake audio detection V2 (MelodyMachine)",
        repo_id="MelodyMachine/Deepfake-audio-detection-V2",
        architecture="wav2vec 2.0 base",
        input=_INPUT,
        crop="frame",
        margin=0.0,
        notes=("Its card states an accuracy of 99.7 % on its own data.", _HOW),
        bad=(
            "A user's test on recordings of the real world found AUC 0.52, which is chance; "
            "another's, that it called all of six synthetic voices real.",
        ),
    ),
    Source(
        name="ast-asvspoof5",
        detector="voice",
        title="AST, ASVspoof 5 (MattyB95)",
        repo_id="MattyB95/AST-ASVspoof5-Synthetic-Voice-Detection",
        architecture="Audio Spectrogram Transformer",
        input="spectrograms",
        crop="frame",
        bad=("It takes spectrograms, and only networks for waveforms are read, so it is refused.",),
        usable=False,
    ),
)
