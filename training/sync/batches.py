"""How do pieces of clips become batches for the sync network?

Draws persons and sentences, disturbs mouths and hearing, adds still faces. Imports
`detectors.sync.network` and, in the same room, `training.sync.augment`, `training.sync.data`,
`training.sync.learner`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from detectors.sync.network import SyncConfig, lip_outline
from training.sync.augment import disturbed_mouths, repeated
from training.sync.data import Pieces, Stills
from training.sync.learner import LAGS

# set: pieces a batch, frames a piece, persons a batch; about 630 frames a batch either way
BATCHES = {"ar": (28, 22, 4), "en": (10, 64, 3)}
FURTHEST = 8  # frames between the start of the mouths and that of the sound
STILLS = 48  # still faces a batch


class Feeder:
    """Draws batches: one set at a time, some persons, several sentences of each."""

    def __init__(
        self, pieces: Pieces, data: Path, config: SyncConfig, seed: int, stills: Stills | None
    ) -> None:
        self.pieces, self.config, self.stills = pieces, config, stills
        self.still_lips = None if stills is None else lip_outline(stills.landmarks)
        self.rng = np.random.default_rng(seed)
        self.lips = outlines(data, pieces)
        spoken = [pieces.speech[r.first : r.first + r.n].sum() for r in pieces.table.itertuples()]
        table = pieces.table[np.array(spoken) >= LAGS].reset_index(drop=True)
        self.persons = {s: dict(list(t.groupby("person"))) for s, t in table.groupby("set")}

    def batch(self, eyes: bool, wider: int = 1) -> dict[str, Tensor]:
        """One batch: heard (b, 2 n, ear), speech, lag, lips, person; with `eyes` also images."""
        part = str(self.rng.choice(list(self.persons)))
        count, frames, people = BATCHES[part]
        persons = self.persons[part]
        sizes = np.array([t["clip"].nunique() for t in persons.values()], float) ** 0.5
        people = min(people * wider, len(persons))
        names = self.rng.choice(list(persons), people, False, sizes / sizes.sum())
        chosen = []
        for i in range(count * wider):
            table = persons[names[i % people]]
            chosen.append(table.iloc[int(self.rng.integers(len(table)))])
        rows = [self._one(row, frames, eyes) for row in chosen]
        batch = {k: torch.stack([r[k] for r in rows]) for k in rows[0]}
        codes = pd.factorize(np.array([row["person"] for row in chosen]))[0]
        batch["person"] = torch.from_numpy(codes)
        return batch | self._stills() if eyes and self.stills is not None else batch

    def _one(self, row: pd.Series, n: int, eyes: bool) -> dict[str, Tensor]:
        """A stretch of one piece, disturbed; mouth and sound start at different moments.

        Were they cut alike, both streams could learn to feel the stretch's ends and match those.
        """
        observed, start = self.rng.integers(max(row["n"] - n, 0) + 1, size=2)
        observed = int(np.clip(observed, start - FURTHEST, start + FURTHEST))
        audio = ear_input(self.pieces, self.config, row["first"] + int(start), n)
        for _ in range(int(self.rng.integers(0, 3))):  # gaps in hearing, as in SpecAugment
            gap = int(self.rng.integers(2 * n - 6))
            audio[gap : gap + int(self.rng.integers(2, 7))] = 0
        first = row["first"] + int(start)
        speech = torch.from_numpy(self.pieces.speech[first : first + n].copy())
        result = {"heard": audio, "speech": speech, "lag": torch.tensor(observed - int(start))}
        frames = self.pieces.frames[row["first"] + observed : row["first"] + observed + n]
        if not eyes:
            lips = self.lips[row["set"]][frames[repeated(n, self.rng)]]
            return result | {"lips": torch.from_numpy(lips)}
        mouths = self.pieces.mouth(row, observed, observed + n)
        mouths, order, zoom = disturbed_mouths(mouths, self.rng)
        lips = self.lips[row["set"]][frames[order]] * zoom
        return result | {"mouths": mouths, "lips": torch.from_numpy(lips)}

    def _stills(self) -> dict[str, Tensor]:
        """A few still mouths, each a piece of one frame, with their outlines."""
        rows = self.rng.integers(len(self.stills.mouths), size=STILLS)
        made = [disturbed_mouths(self.stills.mouths[i : i + 1], self.rng) for i in rows]
        lips = [
            self.still_lips[i : i + 1] * zoom for i, (_, _, zoom) in zip(rows, made, strict=True)
        ]
        mouths = torch.stack([mouth for mouth, _, _ in made])
        return {"stills": mouths, "still_lips": torch.from_numpy(np.stack(lips))}


def outlines(data: Path, pieces: Pieces) -> dict[str, np.ndarray]:
    """{set: (frames, 46) float32} lip outlines of all frames."""
    names = pieces.table["set"].unique()
    return {s: lip_outline(np.load(data / f"{s}_landmarks_frame.npy")) for s in names}


def ear_input(pieces: Pieces, config: SyncConfig, first: int, n: int) -> Tensor:
    """(2 n, ear) float32: the taps that this network listens to."""
    part = slice(2 * first, 2 * (first + n))
    if config.ear == "mel":
        return torch.from_numpy(pieces.mel[part].astype(np.float32))
    speech = pieces.has_speech[part].astype(np.float32)
    width = config.ear_width
    taps = [speech[:, tap * width : (tap + 1) * width] for tap in config.ear_taps]
    return torch.from_numpy(np.concatenate(taps, 1))
