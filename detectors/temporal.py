"""Does the face move and change as a filmed face does? (VideoMAE)

Any video classifier that transformers can load works here, and a recurrent network on the class
tokens of the frozen backbone (`frozen.recurrent`). Frames are steadied with one crop for
the whole pass, so that the face's own motion and flicker stay visible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.base import Backbone, Detector, Measurement
from detectors.frozen.layout import RECURRENT
from detectors.frozen.probe import backbone_under
from detectors.preprocess import crop_side_px, to_input
from hub.checkpoint import Card, Checkpoint
from hub.labels import log_odds_from_logits
from hub.role import Crop, Modality, Role, Task
from media import align
from media.rates import MOTION_HZ

if TYPE_CHECKING:
    from media.tracks import FaceTrack
    from media.windows import Window

PASSES_A_WINDOW = 3
LARGEST_GAP_S = 0.25  # a face that was lost for longer breaks the motion


class Temporal(Detector):
    """Looks at short runs of frames of one face."""

    role = Role(
        name="temporal",
        title="Motion of the face",
        question="Does the face flicker, freeze, slide or deform from frame to frame?",
        blind_to="single pictures, and swaps whose motion is that of the filmed person",
        modality=Modality.IMAGE,
        phrase_for="the face moves or changes in a way that filmed faces do not",
        phrase_against="the face moves and changes like a filmed face",
        task=Task.VIDEO,
        needs_time=True,
    )

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str) -> Any:
        """A video classifier of transformers, or a recurrent head, on the device."""
        from detectors.loading import load_video_network

        return load_video_network(checkpoint, device)

    @classmethod
    def backbone(cls, checkpoint: Checkpoint) -> Backbone | None:
        """The frozen network under a recurrent head."""
        return backbone_under(checkpoint, RECURRENT)

    def measure(self, window: Window, track: FaceTrack | None) -> Measurement:
        """Mean raw log-odds of up to three runs of frames."""
        import torch

        from detectors.inference import inference, moved

        card = self.checkpoint.card
        runs = runs_of(window, track, card)
        if not runs:
            return Measurement.cannot("clip_too_short")
        if self.shared is not None:  # each frame costs a pass of the backbone; it learned from one
            runs = [runs[len(runs) // 2]]
        batch = torch.stack([to_input(run, card) for run in runs])
        with inference(self.device):
            given = moved(batch, self.device)
            if self.shared is None:
                logits = self.network(pixel_values=given).logits
            else:
                logits = self.network.judge(self.shared, given)[:, None]
        numbers = logits.float().cpu().numpy()
        raw = log_odds_from_logits(numbers, card.fake_indices, card.real_indices)
        measures = {"runs": float(len(raw)), "strongest_run_log_odds": float(raw.max())}
        return Measurement(float(raw.mean()), measures=measures)


def runs_of(window: Window, track: FaceTrack | None, card: Card) -> list[np.ndarray]:
    """Up to three (frames, h, w, 3) runs, at the checkpoint's frame rate, over the window."""
    face = None if card.crop == Crop.FRAME else track
    whole = face is None
    times_s = window.stills_s if face is None else face.times_s
    length_s = (card.frames - 1) / (card.rate_hz or MOTION_HZ)
    if whole:  # too few whole images are kept for a fixed rate: spread the run over the window
        length_s = float(times_s[-1] - times_s[0]) if len(times_s) > 1 else 0.0
    spare_s = float(times_s[-1] - times_s[0]) - length_s
    if len(times_s) < 2 or spare_s < -0.5 / MOTION_HZ:
        return []
    count = PASSES_A_WINDOW if spare_s > length_s / 2 else 1
    runs = []
    for start_s in times_s[0] + np.linspace(0, max(spare_s, 0), count):
        wanted = start_s + np.linspace(0, length_s, card.frames)
        index = np.abs(times_s[None] - wanted[:, None]).argmin(1)
        if not whole and np.diff(times_s[index[0] : index[-1] + 1]).max(initial=0) > LARGEST_GAP_S:
            continue
        runs.append(window.stills[index] if face is None else _steady(face, index, card))
    return runs


def _steady(track: FaceTrack, index: np.ndarray, card: Card) -> np.ndarray:
    run = align.steady(track.crops[index], track.landmarks[index], align.CROP_PX)
    return align.center(run, crop_side_px(card))
