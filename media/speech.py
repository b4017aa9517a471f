"""When does somebody speak? (Silero VAD, MIT license, weights inside its package)"""

from __future__ import annotations

from functools import cache
from threading import Lock

import numpy as np

from media.rates import AUDIO_HZ

IN_USE = Lock()  # the network remembers what it heard last: one recording at a time
SHORTEST_MS = 200  # shorter bursts are clicks and coughs


@cache
def _network():
    from silero_vad import load_silero_vad  # loads a network: only when there is audio

    return load_silero_vad()


def speech_stretches(audio: np.ndarray | None, start_s: float) -> np.ndarray:
    """Stretches of speech.

    Args:
        audio: (m,) float32, -1..1, 16 kHz mono, or None.
        start_s: time of the first sample on the clip's clock.

    Returns:
        (p, 2) float64: start and stop in seconds on the clip's clock.
    """
    if audio is None or len(audio) < AUDIO_HZ * SHORTEST_MS // 1000 or not np.any(audio):
        return np.zeros((0, 2))
    import torch
    from silero_vad import get_speech_timestamps

    with IN_USE:
        result = get_speech_timestamps(
            torch.from_numpy(audio),
            _network(),
            sampling_rate=AUDIO_HZ,
            min_speech_duration_ms=SHORTEST_MS,
        )
    return np.array([[f["start"], f["end"]] for f in result]).reshape(-1, 2) / AUDIO_HZ + start_s
