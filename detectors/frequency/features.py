"""What do fine detail, its spectrum and its regularities look like on one face?

A face is described in training as in the app by local spectra of eight regions (block DCT,
wavelets, noise residual) and a profile of the whole (radial and angular Fourier spectrum, traces of
interpolation). Imports nothing of the project.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import cv2
import numpy as np
import scipy  # loads its rooms when they are first used

DESCRIBED_PX = 208  # side of the part of the crop that is described: the face without its border
TILE_PX = 16  # side of a tile: two DCT blocks
TILES = DESCRIBED_PX // TILE_PX
BLOCK_PX = 8  # JPEG's and H.264's block
FLOOR = 0.3  # energy added before a logarithm, gray levels squared: quantization noise is 1/12
RADIAL_BINS = 52
RINGS = np.array([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5])  # cycles a pixel
SECTORS = 8  # of a half circle of directions
ANGULAR_RINGS = ((0.1, 0.2), (0.2, 0.35), (0.35, 0.5))
TRACE_BANDS = 8  # bands of the spectrum of the second derivative in which a peak is looked for
WAVELET = "db2"
LEVELS = 3

REGION_ROWS = ((0, 3), (3, 6), (6, 9), (9, 13))  # tiles: forehead, eyes, nose, mouth and chin
REGION_COLUMNS = (
    (0, 3),
    (3, 7),
)  # tiles: the sides and the middle, after both halves were averaged
REGIONS = len(REGION_ROWS) * len(REGION_COLUMNS)

TILE_CHANNELS = 63 + 2 * 7 + 5 * 3 + 3 + 3 + 5
PROFILE_PARTS = {
    "radial": RADIAL_BINS,
    "angular": len(ANGULAR_RINGS) * SECTORS,
    "peaks": len(RINGS) - 1,
    "traces": 2 * TRACE_BANDS,
    "blocks": 2,
}
PROFILE_LENGTH = sum(PROFILE_PARTS.values())
LENGTH = PROFILE_LENGTH + (REGIONS + 1) * TILE_CHANNELS


def describe(assessment: np.ndarray) -> np.ndarray:
    """Describe one face.

    Args:
        assessment: (208, 208, 3) uint8 RGB, the center of a face crop.

    Returns:
        (1029,) float32: the profile (102, parts as in `PROFILE_PARTS`), the means of the 103
        channels
        of the tile map in 8 regions, and their spreads over all tiles.
    """
    if assessment.shape != (DESCRIBED_PX, DESCRIBED_PX, 3):
        raise ValueError(
            f"expected a picture of {DESCRIBED_PX} pixels a side, got {assessment.shape}"
        )
    planes = cv2.cvtColor(assessment, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    luma = planes[..., 0]
    spectrum = power_spectrum(luma)
    profile = {
        "radial": radial_profile(spectrum),
        "angular": angular_profile(spectrum),
        "peaks": ring_peaks(spectrum),
        "traces": interpolation_traces(luma),
        "blocks": blockiness(luma),
    }
    tiles = np.concatenate(
        [
            block_dct(luma),
            *(_by_frequency(block_dct(planes[..., i])) for i in (1, 2)),
            wavelet_energies(luma),
            residual_statistics(assessment),
        ]
    )
    parts = [profile[name] for name in PROFILE_PARTS]
    return np.concatenate([*parts, *regions(tiles), tiles.std((1, 2))]).astype(np.float32)


def profile_part(description: np.ndarray, name: str) -> np.ndarray:
    """One part of the profile out of (..., 1029) descriptions."""
    names = list(PROFILE_PARTS)
    start = sum(PROFILE_PARTS[n] for n in names[: names.index(name)])
    return description[..., start : start + PROFILE_PARTS[name]]


def regions(tiles: np.ndarray) -> list[np.ndarray]:
    """Means of (c, 13, 13) tiles over 8 regions; the left and right half of the face are
    averaged.
    """
    folded = (tiles + tiles[..., ::-1]) / 2
    return [
        folded[:, top:bottom, left:right].mean((1, 2))
        for top, bottom in REGION_ROWS
        for left, right in REGION_COLUMNS
    ]


# --- the map of local spectra --------------------------------------------------------------------


def block_dct(plane: np.ndarray) -> np.ndarray:
    """Log energies of the 63 AC coefficients of 8x8 blocks, mean of the four blocks of a tile.

    Args:
        plane: (208, 208) float32, 0..255.

    Returns:
        (63, 13, 13) float32, row by row of the block's coefficients (Frank et al. 2020,
        arXiv:2003.08685, use the same coefficients of whole images).
    """
    count = DESCRIBED_PX // BLOCK_PX
    blocks = plane.reshape(count, BLOCK_PX, count, BLOCK_PX).transpose(0, 2, 1, 3)
    basis = np.asarray(scipy.fft.dct(np.eye(BLOCK_PX, dtype=np.float32), axis=0, norm="ortho"))
    energies = (basis @ blocks @ basis.T) ** 2
    tiles = energies.reshape(TILES, 2, TILES, 2, BLOCK_PX * BLOCK_PX).mean((1, 3))
    return np.log(tiles[..., 1:] + FLOOR).transpose(2, 0, 1)


def _by_frequency(log_energies: np.ndarray) -> np.ndarray:
    """63 coefficients to 7 bands of equal diagonal distance from DC: color holds less detail."""
    rows, columns = np.divmod(np.arange(1, 64), BLOCK_PX)
    band = (rows + columns - 1) // 2
    return np.stack([log_energies[band == b].mean(0) for b in range(7)])


def wavelet_energies(plane: np.ndarray) -> np.ndarray:
    """Log energies of three levels of wavelet detail, and how sparse the finer two are.

    Returns:
        (15, 13, 13): per level, coarse to fine, three directions; sparseness is the logarithm of
        squared mean magnitude over mean square (0 for equal magnitudes, lower for few large ones).
    """
    import pywt

    result = []
    details = pywt.wavedec2(plane, WAVELET, mode="periodization", level=LEVELS)[1:]
    for number, level in enumerate(details):
        for band in level:
            energy = _tile_mean(band**2)
            result.append(np.log(energy + FLOOR))
            if number > 0:
                result.append(np.log((_tile_mean(np.abs(band)) ** 2 + FLOOR) / (energy + FLOOR)))
    return np.stack(result)


def residual_statistics(assessment: np.ndarray) -> np.ndarray:
    """What a median filter takes away: its energy, its likeness between colors and neighbors.

    A camera's noise is alike in all colors after demosaicing, and neighbors correlate as its
    interpolation says; a decoder's texture has other correlations (Popescu & Farid 2005).

    Returns:
        (11, 13, 13): log energy of R, G, B; correlations RG, GB, BR; correlations of the mean
        residual
        with itself one pixel right, down, diagonal and two pixels right, down; all -1..1.
    """
    residual = assessment.astype(np.float32) - cv2.medianBlur(assessment, 3)
    energy = np.stack([_tile_mean(residual[..., i] ** 2) for i in range(3)])
    result = [np.log(energy + FLOOR)]
    for a, b in ((0, 1), (1, 2), (2, 0)):
        shared = _tile_mean(residual[..., a] * residual[..., b])
        result.append((shared / np.sqrt((energy[a] + FLOOR) * (energy[b] + FLOOR)))[None])
    gray = residual.mean(-1)
    subset = _tile_mean(gray**2) + FLOOR
    for down, right in ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0)):
        result.append((_tile_mean(gray * np.roll(gray, (-down, -right), (0, 1))) / subset)[None])
    return np.concatenate(result)


def _tile_mean(values: np.ndarray) -> np.ndarray:
    """Mean over tiles of a square array whose side is a multiple of 13."""
    step = values.shape[0] // TILES
    return values.reshape(TILES, step, TILES, step).mean((1, 3))


# --- the profile of the whole --------------------------------------------------------------------


def power_spectrum(plane: np.ndarray) -> np.ndarray:
    """Power of the Hann-windowed plane, (208, 208), zero frequency first, gray levels squared."""
    weights = _window()
    flat = (plane - float((plane * weights).sum() / weights.sum())) * weights
    spectrum = np.asarray(scipy.fft.fft2(flat))
    return (np.real(spectrum) ** 2 + np.imag(spectrum) ** 2) / (weights**2).sum()


@cache
def _window() -> np.ndarray:
    window = np.hanning(DESCRIBED_PX + 1)[:-1]
    return np.outer(window, window).astype(np.float32)


@cache
def _polar() -> tuple[np.ndarray, np.ndarray]:
    """Radius in cycles a pixel and direction, 0..pi, of each entry of a spectrum."""
    axis = scipy.fft.fftfreq(DESCRIBED_PX)
    return np.hypot(axis[:, None], axis[None]), np.mod(np.arctan2(axis[:, None], axis[None]), np.pi)


def radial_profile(spectrum: np.ndarray) -> np.ndarray:
    """Log mean power at 52 radii up to 0.5 cycles a pixel (Durall et al. 2020,
    arXiv:2003.01826).
    """
    radius, _ = _polar()
    bins = np.minimum((radius / 0.5 * RADIAL_BINS).astype(int), RADIAL_BINS)
    total = np.bincount(bins.ravel(), spectrum.ravel(), RADIAL_BINS + 1)
    count = np.bincount(bins.ravel(), minlength=RADIAL_BINS + 1)
    return np.log(total / count + FLOOR)[:RADIAL_BINS]


def angular_profile(spectrum: np.ndarray) -> np.ndarray:
    """Log power of 8 directions in 3 rings, relative to the ring's mean, (24,)."""
    radius, direction = _polar()
    sector = np.minimum((direction / np.pi * SECTORS).astype(int), SECTORS - 1)
    result = []
    for low, high in ANGULAR_RINGS:
        inside = (radius >= low) & (radius < high)
        total = np.bincount(sector[inside], spectrum[inside], SECTORS)
        means = np.log(total / np.bincount(sector[inside], minlength=SECTORS) + FLOOR)
        result.append(means - means.mean())
    return np.concatenate(result)


def ring_peaks(spectrum: np.ndarray) -> np.ndarray:
    """How far the strongest single frequency of each of 8 rings rises above the ring's median.

    Up-sampling networks leave such peaks (Zhang et al. 2019, arXiv:1907.06515). The spectrum is
    smoothed over three entries first. Natural logarithm of a power ratio.
    """
    radius, _ = _polar()
    smooth = scipy.ndimage.uniform_filter(spectrum, 3, mode="wrap")
    result = []
    for low, high in pairwise(RINGS):
        values = np.log(smooth[(radius >= low) & (radius < high)] + FLOOR)
        result.append(values.max() - np.median(values))
    return np.array(result)


def interpolation_traces(plane: np.ndarray) -> np.ndarray:
    """Peaks of the spectrum of the second derivative's magnitude, along rows and columns, (16,).

    Interpolation makes the variance of the second derivative periodic (Gallagher 2005; Mahdian &
    Saic 2008); a peak at f cycles a pixel speaks of an image that was enlarged 1/f times.
    """
    result = []
    for image in (plane, plane.T):
        second = np.abs(2 * image[:, 1:-1] - image[:, :-2] - image[:, 2:])
        trace = second.mean(0)
        trace = trace - scipy.ndimage.gaussian_filter1d(trace, 4)
        power = np.abs(np.asarray(scipy.fft.rfft(trace * np.hanning(len(trace))))) ** 2
        level = np.log(power + 1e-3)
        level -= np.median(level)
        result += [band.max() for band in np.array_split(level[8:], TRACE_BANDS)]
    return np.array(result)


def blockiness(plane: np.ndarray) -> np.ndarray:
    """Log ratio of steps across the 8-pixel grid's best phase to steps elsewhere, rows, columns.

    Args:
        plane: (h, w) uint8 or float32, 0..255.

    Returns:
        (2,) float64, natural logarithms: along the rows, along the columns.
    """
    result = []
    for axis, (late, early) in enumerate(((plane[:, 1:], plane[:, :-1]), (plane[1:], plane[:-1]))):
        steps = cv2.reduce(cv2.absdiff(late, early), axis, cv2.REDUCE_AVG, dtype=cv2.CV_64F).ravel()
        phases = np.array([steps[phase::BLOCK_PX].mean() for phase in range(BLOCK_PX)])
        result.append(np.log((phases.max() + 0.1) / (np.median(phases) + 0.1)))
    return np.array(result)


def image_blocks_db(images: np.ndarray) -> float:
    """How much an encoder's 8-pixel grid stands out in whole images, in their own pixels.

    Args:
        images: (k, h, w, 3) uint8 RGB, not scaled since they were decoded.

    Returns:
        Steps across the grid over steps elsewhere, decibels, median over the images.
    """
    logs = [blockiness(cv2.extractChannel(image, 1)).mean() for image in images]
    return float(np.median(logs) * 20 / np.log(10))
