"""How does an image, a clip or a voice look after one more trip through a messenger?

The one place that re-encodes and rescales: `analysis` asks it whether an alarm survives, the
evaluation by how much its copies lose, and the recipes what real and fake alike go through. The
squares that networks are shown are made by `detectors.preprocess`. Imports errors, `align`,
`tracks` and `writer`.
"""

from __future__ import annotations

import io
from dataclasses import replace

import av
import cv2
import numpy as np

from errors import UserError
from media import align
from media.rates import MOTION_HZ
from media.tracks import FaceTrack
from media.writer import ClipWriter, Encoding

JPEG, WEBP = ".jpg", ".webp"
QUALITY = {JPEG: cv2.IMWRITE_JPEG_QUALITY, WEBP: cv2.IMWRITE_WEBP_QUALITY}
SCALE = 0.5
WEBP_QUALITY = 45  # VP8's intra coding, a close relative of what H.264 does to one image
LOOKS = 8  # images of a track that are degraded, spread evenly


def degrade(track: FaceTrack) -> FaceTrack:
    """The same face in up to eight images, each crop scaled to half, compressed, scaled back."""
    index = np.unique(np.linspace(0, len(track.crops) - 1, LOOKS).round().astype(int))
    crops = np.stack([degrade_crop(track.crops[i]) for i in index])
    return replace(
        track,
        times_s=track.times_s[index],
        boxes_xyxy=track.boxes_xyxy[index],
        landmarks=track.landmarks[index],
        crops=crops,
    )


def degrade_crop(crop: np.ndarray) -> np.ndarray:
    """One (320, 320, 3) uint8 RGB crop after that trip, at its old size."""
    small = recompress(rescale(crop, SCALE)[..., ::-1], WEBP_QUALITY, WEBP)[..., ::-1]
    return cv2.resize(small, (align.CROP_PX, align.CROP_PX), interpolation=cv2.INTER_CUBIC)


def rescale(image: np.ndarray, scale: float, kernel: int = cv2.INTER_AREA) -> np.ndarray:
    """(h, w, c) or (h, w) uint8 or float32 at ``scale`` times its width and height."""
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=kernel)


def size_within(size_wh: tuple[int, int], long_side_px: int) -> tuple[int, int]:
    """A size with at most this long side; never enlarged; at least two pixels a side."""
    scale = min(1.0, long_side_px / max(size_wh))
    width, height = (max(2, round(side * scale)) for side in size_wh)
    return width, height


def even_size_within(size_wh: tuple[int, int], long_side_px: int) -> tuple[int, int]:
    """`size_within` with even sides, as H.264 wants them; an odd side loses a pixel."""
    width, height = size_within(size_wh, long_side_px)
    return width // 2 * 2, height // 2 * 2


def shrink(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """(h, w, c) or (h, w) uint8 or float32 at a smaller size, by averages over areas."""
    return cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)


def fit(image: np.ndarray, long_side_px: int) -> np.ndarray:
    """(h, w, 3) uint8 at `size_within` of its size."""
    return shrink(image, size_within(image.shape[1::-1], long_side_px))


def encode(image: np.ndarray, quality: int, codec: str = JPEG) -> bytes:
    """An image file.

    Args:
        image: (h, w, 3) uint8 BGR, or (h, w) uint8 gray.
        quality: 1 to 100, as the codec counts it.
        codec: `JPEG` or `WEBP`.

    Raises:
        UserError: ``decode_failed`` when the codec refuses the image, as one that is too large.
    """
    done, data = cv2.imencode(codec, image, [QUALITY[codec], quality])
    if not done:
        raise UserError("decode_failed", "The picture could not be written again.")
    return data.tobytes()


def recompress(image: np.ndarray, quality: int, codec: str = JPEG) -> np.ndarray:
    """An image after a codec, of the same shape; arguments as in `encode`."""
    data = np.frombuffer(encode(image, quality, codec), np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert decoded is not None  # it was encoded a line above
    return decoded


def through_h264(frames: np.ndarray, crf: int, preset: str = "veryfast") -> np.ndarray:
    """Images after H.264 at 25 Hz.

    Args:
        frames: (n, h, w, 3) uint8 RGB, h and w even.
        crf: constant rate factor, 0 to 51.
        preset: of x264.

    Returns:
        uint8 RGB of the same shape.
    """
    file = io.BytesIO()
    encoding = Encoding(crf, preset, options={"threads": "1"})
    height, width = frames.shape[1:3]
    with ClipWriter(file, encoding, (width, height), MOTION_HZ) as writer:
        for index, image in enumerate(frames):
            writer.add_image(image, index / MOTION_HZ)
    file.seek(0)
    with av.open(file, "r") as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def through_aac(samples: np.ndarray, bit_rate: int) -> np.ndarray:
    """Audio after AAC, in step with what went in.

    Args:
        samples: (n,) float32, -1..1, 16 kHz mono.
        bit_rate: bits a second.

    Returns:
        (n,) float32.
    """
    file = io.BytesIO()
    with ClipWriter(file, Encoding(0, audio_bps=bit_rate), None, has_audio=True) as writer:
        writer.add_audio(samples, 0.0)
    file.seek(0)
    with av.open(file, "r") as container:
        parts = [f.to_ndarray()[0] for f in container.decode(audio=0)]
    decoded = np.concatenate(parts).astype(np.float32)[: len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded)))
