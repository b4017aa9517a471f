"""What does the model card of the temporal checkpoint say, figures apart?

Imports `hub` and `training.temporal.data`.
"""

from __future__ import annotations

from hub.checkpoint import Card
from media.rates import MOTION_HZ
from training.temporal.data import FRAMES, OUT_PX

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, as DINOv2 was trained
CARD = Card(
    detector="temporal",
    title="VideoMAE, six layers, self-made faults and talking heads",
    version="3",
    votes=False,  # it adds nothing to landmarks, see LOG.md
    license="research use (weights learned from research-only data)",
    margin=0.34,
    size_px=OUT_PX,
    mean=MEAN,
    std=STD,
    frames=FRAMES,
    rate_hz=float(MOTION_HZ),
    fake_indices=(1,),
    real_indices=(0,),
    labels_known_by="Named in config.json by the recipe that trained it (training/temporal/).",
    trained_on=(
        "1,517 clips of 1.2 s of Arabic news presenters and 41 clips of at most 16 s of 17 actors "
        "speaking English (all real), research use",
        "Faults made from the same clips: flickering blends, swaps, lower faces of another moment, "
        "held and delayed faces, trembling warps, smeared and sticking textures, one image "
        "animated by landmarks",
        "The last layer: 27 clips of talking heads made from one photo (AniTalker, EDTalk, "
        "SadTalker, Sonic) against 33 real clips of the same set, 28 of the English and 33 of the "
        "Arabic clips, as they are and re-encoded, research use",
    ),
    limits=(
        "Its last layer was fitted on talking heads of four tools that animate one photo; other "
        "tools, face swaps and lip-sync may look otherwise to it.",
        "Clean, steady recordings of a kind that it never saw can look generated to it: see the "
        "false alarms of sources that were left out of the fit.",
        "Sees 0.64 s at a time; a fake whose motion is that of the filmed person may leave nothing "
        "to see.",
        "Not evidence about a person: it must not be the only ground for an accusation, a "
        "dismissal, a block or a publication.",
    ),
)
