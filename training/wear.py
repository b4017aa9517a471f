"""What happens to a picture between a camera or a tool and us?

Resizing, JPEG, WebP and the codecs of video, retouching, colour, noise, captions: drawn anew for
every pair, the same for its real and its fake, so that none of it can be the cue. Imports
`training.textures`.
"""

from __future__ import annotations

import io

import av
import cv2
import numpy as np
from av.codec.context import Flags

from training import textures

UNHARMED = 0.45  # share of the pairs that pass without degradation
FILMED = 0.4  # of the encodings are those of video
FILMED_FRAMES = 3  # the last one is predicted from those before it
YUV = "yuv420p"
# encoder, the least and the most of its CRF or quantiser, and share
CODECS = (
    ("libx264", 18, 38, 0.55),
    ("mpeg4", 2, 12, 0.15),
    ("mpeg2video", 2, 12, 0.1),
    ("mpeg1video", 2, 12, 0.1),
    ("libvpx", 10, 50, 0.1),
)


def degraded(picture: np.ndarray, tight_px: float, rng: np.random.Generator) -> np.ndarray:
    """What happens to a picture between a camera or a tool and us; uint8 of the same shape."""
    if rng.random() < UNHARMED:
        return picture
    shape = picture.shape[1::-1]
    if rng.random() < 0.2:
        picture = _retouched(picture, rng)
    if rng.random() < 0.55:
        face_px = np.exp(rng.uniform(np.log(75), np.log(210)))  # width of the face that is left
        picture = _resized(picture, min(face_px / tight_px, 1.3), rng)
    for chance in (0.7, 0.2):
        if rng.random() < chance:
            picture = _encoded(picture, rng)
    if rng.random() < 0.08:
        picture = _with_text(picture, rng)
    picture = cv2.resize(picture, shape, interpolation=int(rng.choice(textures.KERNELS)))
    if rng.random() < 0.4:
        picture = _recoloured(picture, rng)
    if rng.random() < 0.15:
        sigma = rng.uniform(1, 7)
        noise = rng.normal(0, sigma, (*picture.shape[:2], 3 if rng.random() < 0.5 else 1))
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return picture


def _retouched(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sharpened, denoised or "beautified", as cameras and apps do with real faces."""
    if rng.random() < 0.45:
        return textures.sharpened(picture, rng, rng.uniform(0.2, 0.9))
    return textures.smoothed(picture, rng, rng.uniform(0.1, 0.9))


def _resized(picture: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    kernel = int(rng.choice(textures.KERNELS))
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=kernel)


def _encoded(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A codec of video, JPEG or WebP."""
    if rng.random() < FILMED:
        return filmed(picture, rng)
    if rng.random() < 0.75:
        name, options = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 96))]
    else:
        name, options = ".webp", [cv2.IMWRITE_WEBP_QUALITY, int(rng.integers(20, 91))]
    return cv2.imdecode(cv2.imencode(name, picture, options)[1], cv2.IMREAD_COLOR)


def filmed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The last of a few frames of a shaky clip, as a codec leaves it; uint8 of the same shape."""
    codec, low, high, _ = CODECS[rng.choice(len(CODECS), p=[share for *_, share in CODECS])]
    quality = str(rng.integers(low, high + 1))
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    drift = rng.normal(0, 0.8, 2)  # pixels a frame
    clip = io.BytesIO()
    with av.open(clip, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=25, options=_options(codec, quality))
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = width, height, YUV, 1
        if codec.startswith("mpeg"):
            stream.codec_context.flags |= Flags.qscale
        for left in range(FILMED_FRAMES - 1, -1, -1):
            move = np.array([[1, 0, drift[0] * left], [0, 1, drift[1] * left]])
            size = picture.shape[1::-1]
            shot = cv2.warpAffine(picture, move, size, borderMode=cv2.BORDER_REFLECT_101)
            pixels = np.ascontiguousarray(shot[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    clip.seek(0)
    with av.open(clip) as container:
        *_, last = container.decode(video=0)
    rest = [side - kept for side, kept in zip(picture.shape[:2], (height, width), strict=True)]
    pixels = last.to_ndarray(format="rgb24")
    return cv2.copyMakeBorder(pixels, 0, rest[0], 0, rest[1], cv2.BORDER_REPLICATE)


def _options(codec: str, quality: str) -> dict[str, str]:
    """Of an encoder, for a CRF or a quantiser."""
    if codec == "libx264":
        return {"crf": quality, "preset": "veryfast", "tune": "zerolatency"}
    if codec == "libvpx":
        return {"crf": quality, "b": "2M", "deadline": "realtime", "cpu-used": "6"}
    return {"qmin": quality, "qmax": quality}


def _with_text(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A caption or a logo over the face."""
    words = "".join(chr(rng.integers(65, 91)) for _ in range(rng.integers(3, 14)))
    place = (int(rng.integers(picture.shape[1] * 0.7)), int(rng.integers(20, picture.shape[0])))
    colour = [int(c) for c in rng.integers(0, 256, 3)]
    size = float(rng.uniform(0.4, 1.2))
    return cv2.putText(
        picture.copy(), words, place, int(rng.integers(8)), size, colour, 2, cv2.LINE_AA
    )


def _recoloured(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.15:
        return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, -1)
    return textures.colour_drift(picture, rng, rng.uniform(0.5, 2.5))
