"""What does the sync network learn from?

From agreement in time between mouth and sound of real speech: which frame, which lag, which
sentence. And from the lips' outline: a small stream over landmarks learns first, cheaply, and the
image trunk then learns to see what that stream was given. Imports `detectors.sync.network`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.sync.network import SyncConfig, SyncModel

LAGS = 12  # frames: the offset curve of training reaches so far
SOFT = ((0, 0.7), (-1, 0.15), (1, 0.15))  # the truth is known to about a frame


class Learner(nn.Module):
    """The network with what only training needs: the scales of the cosines."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        self.model = SyncModel(config)
        self.scales = nn.Parameter(torch.tensor([2.3, 3.0, 2.7]))  # log; frames, curves, clips

    def forward(self, batch: dict[str, Tensor], eyes: bool) -> dict[str, Tensor]:
        """Losses of one batch; without `eyes` only the lip stream learns to see."""
        speech = self.model.sound(F.dropout(batch["heard"], 0.1, self.training))
        observed = self.model.lips(batch["lips"] + 0.01 * torch.randn_like(batch["lips"]))
        if not eyes:
            return self._agreement(observed, speech, batch)
        mouth = self.model.mouth
        shapes = mouth.shapes(batch["mouths"])
        likeness = {"lips": self._likeness(shapes, batch["lips"])}
        if "stills" in batch:
            likeness["stills"] = self._still_loss(batch["stills"], batch["still_lips"])
        pictured = mouth.out(mouth.over(F.dropout(shapes, 0.1, self.training)))
        pictured = F.normalize(pictured, dim=-1)
        alone = self._agreement(pictured, speech, batch)
        both = self._agreement(F.normalize(pictured + observed, dim=-1), speech, batch)
        return likeness | {name: (alone[name] + both[name]) / 2 for name in alone}

    def _agreement(
        self, observed: Tensor, speech: Tensor, batch: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """The three questions about time."""
        cosines = observed @ speech.transpose(1, 2)
        frame, curve, clip = self.scales.clamp(max=4.0).exp()
        return {
            "frame": frame_loss(frame * cosines, batch["speech"], batch["lag"]),
            "curve": curve_loss(curve * cosines, batch["speech"], batch["lag"]),
            "clip": clip_loss(observed, speech, batch, clip),
        }

    def hand_over(self) -> None:
        """After the first stage: the mouth stream starts with what the lip stream knows of time."""
        self.model.mouth.over.load_state_dict(self.model.lips.over.state_dict())
        self.model.mouth.out.load_state_dict(self.model.lips.out.state_dict())

    def _likeness(self, shapes: Tensor, lips: Tensor) -> Tensor:
        """How far the trunk is from what the lip stream was given, in units of its variance."""
        with torch.no_grad():
            target = self.model.lips.shapes(lips)
            unit = target.var((0, 1)).mean().clamp(min=1e-4)
        return F.mse_loss(shapes, target) / unit

    def _still_loss(self, stills: Tensor, lips: Tensor) -> Tensor:
        """The same for still faces; normalization keeps to the statistics of talking ones."""
        norms = [m for m in self.model.mouth.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.eval()
        shapes = self.model.mouth.shapes(stills)
        for norm in norms:
            norm.train(self.training)
        return self._likeness(shapes, lips)


def frame_loss(cosines: Tensor, speech: Tensor, lag: Tensor) -> Tensor:
    """Which mouth of the clip does this moment of sound belong to, and the other way round.

    Args:
        cosines: (b, n mouths, n sounds), scaled.
        speech: (b, n) bool, of the sound.
        lag: (b,) int64: mouth t belongs to sound t + lag.
    """
    n = cosines.shape[1]
    moment = torch.arange(n)
    gap = moment[None, :, None] + lag[:, None, None] - moment[None, None]
    target = sum(share * (gap == off).float() for off, share in SOFT)
    cosines = cosines.masked_fill(gap.abs() == 2, -1e4)  # neither right nor wrong
    to_mouth = -(target * cosines.log_softmax(1)).sum(1)
    to_audio = -(target * cosines.log_softmax(2))
    return to_mouth[speech].mean() / 2 + to_audio.sum(1)[speech].mean() / 2


def curve_loss(cosines: Tensor, speech: Tensor, lag: Tensor) -> Tensor:
    """The clip's mean cosine must be highest at the true lag; arguments as in `frame_loss`."""
    curve, n = [], speech.shape[1]
    for tried in range(-LAGS, LAGS + 1):
        weight = speech[:, max(tried, 0) : n + min(tried, 0)].float()
        along = torch.diagonal(cosines, tried, 1, 2)
        curve.append((along * weight).sum(1) / weight.sum(1).clamp(min=1))
    logits = torch.stack(curve, 1).log_softmax(1)
    rows = torch.arange(len(lag))
    each = -sum(share * logits[rows, LAGS + lag + off] for off, share in SOFT)
    return each[speech.sum(1) >= LAGS].mean()


def clip_loss(observed: Tensor, speech: Tensor, batch: dict[str, Tensor], scale: Tensor) -> Tensor:
    """The sound of this clip against other sentences of the same person, each at its true lag."""
    n = observed.shape[1]
    place = torch.arange(n)[None] + batch["lag"][:, None]
    inside = (place >= 0) & (place < n)
    place = place.clamp(0, n - 1)
    speech = speech.gather(1, place[..., None].expand_as(speech))
    weight = (batch["speech"].gather(1, place) & inside).float()
    weight = weight / weight.sum(1, keepdim=True).clamp(min=1)
    scores = scale * torch.einsum("itd,jtd,jt->ij", observed, speech, weight)
    same = batch["person"][:, None] == batch["person"][None]
    scores = scores.masked_fill(~same, -1e4)
    truth = torch.arange(len(scores))
    return (F.cross_entropy(scores, truth) + F.cross_entropy(scores.T, truth)) / 2
