"""How do decoded pieces of audio become one line of samples?

FFmpeg mixes; NumPy only sees interleaved samples, because PyAV reads past its own pointers when it
hands out the planes of eight or more channels. Imports nothing of the project.
"""

from __future__ import annotations

import av
import numpy as np

from media.rates import AUDIO_HZ

STEREO = 2  # channels up to which the mix is their mean


class MonoMixer:
    """Turns the frames of one stream into mono samples of one rate.

    The mean of one or two channels is what the sync detector learned from. Of surround audio
    FFmpeg's own downmix (ITU-R BS.775) is taken instead: it keeps the voice, which sits in the
    center channel, and drops the bass effects; a mean would bury it.

    Args:
        rate_hz: of the samples that are wanted; a frame of another rate is resampled.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._resamplers: dict[tuple[str, str, int], av.AudioResampler] = {}

    def mix(self, frame: av.AudioFrame) -> np.ndarray:
        """(n,) float32, -1..1, of a frame of any format, layout and rate.

        Raises:
            av.error.FFmpegError, ValueError: when FFmpeg cannot convert the frame.
        """
        key = (frame.format.name, frame.layout.name, frame.sample_rate)
        if key not in self._resamplers:  # some broadcasts change the layout midway
            layout = frame.layout if frame.layout.nb_channels <= STEREO else "mono"
            self._resamplers[key] = av.AudioResampler("flt", layout, self._rate_hz)
        mixed = [
            part.to_ndarray().reshape(-1, part.layout.nb_channels).mean(1)
            for part in self._resamplers[key].resample(frame)
        ]
        samples = np.concatenate(mixed) if mixed else np.zeros(0, np.float32)
        return np.clip(np.nan_to_num(samples), -1, 1).astype(np.float32)


def resampled(speech: tuple[np.ndarray, int] | None) -> np.ndarray | None:
    """Samples at 16 kHz.

    Args:
        speech: (n,) float32 and their rate in Hz, or None.
    """
    if speech is None:
        return None
    from scipy.signal import resample_poly  # a second of imports, for nobody who reads images

    samples, rate_hz = speech
    divisor = np.gcd(AUDIO_HZ, rate_hz)
    return resample_poly(samples, AUDIO_HZ // divisor, rate_hz // divisor).astype(np.float32)


def put(target: np.ndarray, samples: np.ndarray, position: int) -> None:
    """Copy samples to a position that may lie partly outside the target."""
    begin, end = max(position, 0), min(position + len(samples), len(target))
    if end > begin:
        target[begin:end] = samples[begin - position : end - position]
