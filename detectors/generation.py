"""Was this face, as a whole, drawn by a network?

A linear head on frozen CLIP features of the face with 30 % margin and, larger, of mouth and chin:
the *generation* expert. It
knows talking heads, video diffusion, image diffusion and GANs, and says little about a small region
that was pasted into an honest image; that is what `spatial` looks for.
"""

from __future__ import annotations

from detectors.frozen.probe import ProbeDetector
from hub.role import Modality, Role


class Generation(ProbeDetector):
    """Looks at the whole face with a backbone that was never trained on fakes."""

    role = Role(
        name="generation",
        title="Generated face",
        question="Was the face as a whole drawn by a network, not filmed?",
        blind_to="an honest face of which only a part was exchanged, and anything in the sound",
        modality=Modality.IMAGE,
        phrase_for="the face looks drawn as a whole by a network",
        phrase_against="the face as a whole looks filmed",
    )

    view = "face"
