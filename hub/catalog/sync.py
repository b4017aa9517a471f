"""Known checkpoints that compare lips and voice."""

from __future__ import annotations

from hub.checkpoint import Source

_NO_FORMAT = "The sync detector takes this program's own format only, so it is refused."

SYNC = (
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
