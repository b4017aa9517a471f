"""What does audio look like as log filterbanks and cepstra?

With the constants of the package that AV-HuBERT and SyncNet were trained with
(python_speech_features 0.6): windows of 25 ms without taper, a step of 10 ms, 26 triangles on the
HTK mel scale. Numpy and scipy only. Imports media.
"""

from __future__ import annotations

import numpy as np
import scipy  # loads its rooms when they are first used

from media.rates import AUDIO_HZ

WINDOW = 400  # samples, 25 ms
STEP = 160  # samples, 10 ms
FFT = 512
BANDS = 26
EMPHASIS = 0.97  # of the sample before, taken away
LIFTER = 22
FULL_SCALE = 32_768.0  # both were trained on 16-bit whole numbers
STACKED = 4  # frames of 10 ms in one of 40 ms
TINY = float(np.finfo(np.float64).eps)  # in place of silence, whose logarithm there is none of


def log_filterbank(samples: np.ndarray) -> np.ndarray:
    """Logarithm of the energy in 26 mel bands.

    Args:
        samples: (m,) float32, -1..1, 16 kHz.

    Returns:
        (k, 26) float32, 100 rows a second.
    """
    return np.log(_positive(_power(samples) @ _triangles().T)).astype(np.float32)


def cepstra(samples: np.ndarray, count: int = 13) -> np.ndarray:
    """Mel cepstra (Davis & Mermelstein 1980) whose first number is the log energy of the frame.

    Args:
        samples: (m,) float32, -1..1, 16 kHz.
        count: numbers a frame.

    Returns:
        (k, count) float32, 100 rows a second.
    """
    power = _power(samples)
    logs = np.log(_positive(power @ _triangles().T))
    result = np.asarray(scipy.fft.dct(logs, type=2, axis=1, norm="ortho"))[:, :count]
    index = np.arange(count)
    result = result * (1 + LIFTER / 2 * np.sin(np.pi * index / LIFTER))
    result[:, 0] = np.log(_positive(power.sum(1)))
    return result.astype(np.float32)


def stacked(features: np.ndarray) -> np.ndarray:
    """(k, f) at 100 Hz to (ceil(k / 4), 4 f) at 25 Hz; the last row is filled up with zeros."""
    missing = -len(features) % STACKED
    padded = np.pad(features, ((0, missing), (0, 0)))
    return padded.reshape(len(padded) // STACKED, STACKED * features.shape[1])


def _power(samples: np.ndarray) -> np.ndarray:
    """(k, 257) float64: power of each window."""
    signal = np.asarray(samples, np.float64) * FULL_SCALE
    signal = np.append(signal[:1], signal[1:] - EMPHASIS * signal[:-1])
    count = 1 + max(0, -(-(len(signal) - WINDOW) // STEP))
    signal = np.pad(signal, (0, max(0, (count - 1) * STEP + WINDOW - len(signal))))
    windows = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::STEP][:count]
    return np.abs(np.fft.rfft(windows, FFT)) ** 2 / FFT


def _triangles() -> np.ndarray:
    """(26, 257) float64: a filter a row, its corners on whole bins of the transform."""
    top = 2595 * np.log10(1 + AUDIO_HZ / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    corners = np.floor((FFT + 1) * hertz / AUDIO_HZ)[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    bins = np.arange(FFT // 2 + 1)[None]
    rising = (bins - left) / (middle - left)
    falling = (right - bins) / (right - middle)
    inside = np.where((bins >= left) & (bins < middle), rising, 0.0)
    return np.where((bins >= middle) & (bins < right), falling, inside)


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(values == 0, TINY, values)
