"""Was the mouth of this face drawn again?

A linear head on frozen CLIP features of mouth and chin. It was fitted on real faces against the
same faces with a self-made lip-sync (`training.augment.lip_sync`): the pair teaches the trace of
the paste and not the person. The same head's score of the eyes, which lip-sync leaves alone, is
taken off: what a camera or codec does to the level, it does to both.
"""

from __future__ import annotations

from detectors.frozen.probe import ProbeDetector
from hub.role import Modality, Role, Way


class Mouth(ProbeDetector):
    """Looks at mouth and chin with a backbone that was never trained on fakes."""

    role = Role(
        name="mouth",
        title="Mouth and chin",
        question="Were mouth and chin drawn again and pasted into the face?",
        blind_to="faces that were drawn or exchanged as a whole, a foreign voice on honest lips",
        modality=Modality.IMAGE,
        way=Way.MOUTH,
        phrase_for="mouth and chin look as if they were drawn again",
        phrase_against="mouth and chin look as filmed as the rest of the face",
    )

    view = "mouth"
    control_view = "eyes"  # lip-sync tools leave it alone
