"""Does a single image of this face look manipulated? (Vision Transformer)

Any image classifier that transformers can load works here, and attention queries on the patch
tokens of the frozen backbone (`frozen.attention`). The embedded one is a DINOv2 whose head is
linear on its patch tokens. Of these two the heatmap is an exact part of the score, not an attention
map.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors import deletion
from detectors.base import Backbone, Detector, Measurement
from detectors.exhibits import FaceImage
from detectors.frozen.layout import ATTENTION
from detectors.frozen.probe import backbone_under
from detectors.preprocess import crop_side_px, spread, to_input
from hub.checkpoint import Card, Checkpoint
from hub.labels import log_odds_from_logits
from hub.role import Crop, Modality, Role, Task
from media import align

if TYPE_CHECKING:
    import torch

    from media.tracks import FaceTrack
    from media.windows import Window

FRAMES_A_WINDOW = 8  # images of a face that are looked at in one window


class Spatial(Detector):
    """Looks at single images of the face."""

    role = Role(
        name="spatial",
        title="Picture of the face",
        question="Do single pictures show blending edges, odd texture or generated detail?",
        blind_to="changes of the sound, and motion that is wrong while every single picture looks "
        "right",
        modality=Modality.IMAGE,
        phrase_for="single pictures of the face look manipulated",
        phrase_against="single pictures of the face look like a filmed face",
        task=Task.IMAGE,
        recheck=True,
    )

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str) -> Any:
        """An image classifier of transformers, or attention queries, on the device."""
        from detectors.loading import load_image_network

        return load_image_network(checkpoint, device)

    @classmethod
    def backbone(cls, checkpoint: Checkpoint) -> Backbone | None:
        """The frozen network under attention queries."""
        return backbone_under(checkpoint, ATTENTION)

    def measure(self, window: Window, track: FaceTrack | None) -> Measurement:
        """Mean raw log-odds of up to eight images; the map of the strongest one.

        A still image is looked at in the mirror too, and both answers are averaged.
        """
        card = self.checkpoint.card
        images, times_s = _chosen(window, track, card)
        batch = to_input(images, card)
        raw, maps = self._scores(batch)
        if window.is_image:
            mirrored, turned = self._scores(batch.flip(-1))
            raw = (raw + mirrored) / 2
            maps = None if maps is None or turned is None else (maps + turned[..., ::-1]) / 2
        top = int(raw.argmax())
        strongest = FaceImage(
            float(times_s[top]), float(raw[top]), np.array(images[top]),
            heatmap=None if maps is None else maps[top].sum(0),
            parts={} if maps is None or maps.shape[1] < 2 else dict(enumerate(maps[top], 1)),
        )  # fmt: skip
        measures = {"pictures": float(len(raw)), "strongest_picture_log_odds": float(raw.max())}
        return Measurement(float(raw.mean()), measures=measures, image=strongest)

    def confirm(self, image: FaceImage) -> FaceImage:
        """Put the heatmap of an image that speaks for manipulation to the deletion test.

        Where it holds, so are the maps of the single queries; those that hold are kept.
        """
        if image.heatmap is None or image.score <= 0:
            return image

        def scores(images: np.ndarray) -> np.ndarray:
            return self._scores(to_input(images, self.checkpoint.card))[0]

        def holds(heatmap: np.ndarray) -> bool:
            return deletion.holds(scores, image.image, heatmap)

        if not holds(image.heatmap):
            return replace(image, confirmed=False, parts={})
        parts = {number: part for number, part in image.parts.items() if holds(part)}
        return replace(image, confirmed=True, parts=parts)

    def _scores(self, batch: torch.Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """(n,) raw log-odds of a prepared batch, and (n, k, g, g) what each of k heads on the
        patches adds at each of them, if known.
        """
        from detectors.inference import inference, moved

        card = self.checkpoint.card
        with inference(self.device):
            given = moved(batch, self.device)
            if self.shared is not None:
                raw, maps = self.network.judge(self.shared, given)
                return raw.double().cpu().numpy(), maps.float().cpu().numpy()
            output = self.network(pixel_values=given, output_hidden_states=True)
            maps = patch_log_odds(self.network, output.hidden_states, card)
        logits = output.logits.float().cpu().numpy()
        return log_odds_from_logits(logits, card.fake_indices, card.real_indices), maps


def _chosen(
    window: Window, track: FaceTrack | None, card: Card
) -> tuple[np.ndarray | list[np.ndarray], np.ndarray]:
    """Images spread evenly over the window: face crops, or whole images if the card says so."""
    if card.crop == Crop.FRAME or track is None:
        return list(window.stills), window.stills_s
    index = spread(len(track.crops), FRAMES_A_WINDOW)
    if card.crop == Crop.BOX:
        faces = align.boxes(track.crops[index], track.landmarks[index], card.margin)
    else:
        faces = align.center(track.crops[index], crop_side_px(card))
    return faces, track.times_s[index]


def patch_log_odds(network: Any, hidden_states: Any, card: Card) -> np.ndarray | None:
    """What each patch adds to the log-odds, where the head is linear on the patch mean (DINOv2).

    Returns:
        (n, 1, g, g) float32 whose mean over the grid is the patches' share of the logit, or None
        for other architectures: attention is not evidence, so no map is shown for them.
    """
    if getattr(network.config, "model_type", "") != "dinov2" or not hidden_states:
        return None
    weight = network.classifier.weight
    width = weight.shape[1] // 2
    if weight.shape[0] != 2:
        return None
    direction = weight[card.fake_indices[0], width:] - weight[card.real_indices[0], width:]
    tokens = network.dinov2.layernorm(hidden_states[-1])[:, 1:]
    grid = round(tokens.shape[1] ** 0.5)
    return (tokens @ direction).reshape(-1, 1, grid, grid).float().cpu().numpy()
