"""Shared pieces of the tests: clips that they make themselves, and where shared data may lie."""

from __future__ import annotations

import hashlib
import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
if (WORKER := os.environ.get("PYTEST_XDIST_WORKER")) is not None:  # one of several: gw0, gw1, …
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # they share the cores
    os.environ["GRADIO_SERVER_PORT"] = str(8000 + 100 * int(WORKER.removeprefix("gw")))
ROOT = Path(__file__).resolve().parent.parent
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--mute-audio",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",  # a camera of its own
]  # fmt: skip
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def own_user_folder(tmp_path_factory) -> None:
    """No test writes to the user's real folder, or counts what was calibrated there."""
    os.environ["DEEPFAKE_DETECTOR_HOME"] = str(tmp_path_factory.mktemp("user"))


@pytest.fixture(scope="session", autouse=True)
def embedded_probes_look_once() -> None:
    """An embedded head on the frozen backbone looks at the same images once a session.

    Half of an analysis is this backbone, and most tests analyze one of three files. Tests that ask
    for the same numbers twice use `fresh_probes`.
    """
    from detectors.frozen.probe import ProbeDetector

    looked: dict[tuple[str, bytes], tuple[np.ndarray, np.ndarray]] = {}
    really = ProbeDetector._log_odds

    def look(self: ProbeDetector, crops: np.ndarray, view: str) -> tuple[np.ndarray, np.ndarray]:
        if not self.checkpoint.embedded:
            return really(self, crops, view)
        key = self.checkpoint.sha256 + view, hashlib.sha256(crops.tobytes()).digest()
        if key not in looked:
            looked[key] = really(self, crops, view)
        return looked[key][0].copy(), looked[key][1].copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProbeDetector, "_log_odds", look)
        patch.setattr(ProbeDetector, "really_log_odds", really, raising=False)
        yield


@pytest.fixture
def fresh_probes(monkeypatch) -> None:
    """Every head on the frozen backbone looks anew."""
    from detectors.frozen.probe import ProbeDetector

    monkeypatch.setattr(ProbeDetector, "_log_odds", ProbeDetector.really_log_odds)


@pytest.fixture(scope="module")
def address():
    """The address of the running page."""
    import app

    blocks = app.build()
    yield app.serve(blocks, wait=False)
    blocks.close()


def needed(there: object, words: str) -> None:
    """Skip the test where something is missing, and say so; in CI, which installs it, fail."""
    if not there:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(words)


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window; while it is open, this thread has a running event loop."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    needed(chromium, "chromium is not installed, so the page cannot be driven")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def devset() -> Path:
    """Folder of labeled clips that never enters the repository."""
    folder = SHARED / "devset"
    if not folder.is_dir():
        pytest.skip(
            "../shared/data/devset is not here: other people's faces are not in the repository"
        )
    return folder


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """(512, 512, 3) uint8 RGB: a face in the public domain (NASA), from scikit-image."""
    from skimage.data import astronaut

    return astronaut()


@pytest.fixture(scope="session")
def landscape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hills in a haze, 320 x 240: nobody is there."""
    path = tmp_path_factory.mktemp("images") / "hills.png"
    y, x = np.mgrid[:240, :320]
    hills = 120 + 60 * np.sin(x / 40) + y / 3 + np.random.default_rng(0).normal(0, 4, (240, 320))
    cv2.imwrite(str(path), np.repeat(hills.clip(0, 255).astype(np.uint8)[..., None], 3, 2))
    return path


def write_clip(
    path: Path,
    images: list[np.ndarray],
    fps: Fraction = Fraction(25),
    audio: np.ndarray | None = None,
    audio_late_s: float = 0.0,
    audio_hz: int = 16_000,
    codec: str = "libx264",
    times_s: list[float] | None = None,
    audio_codec: str = "aac",
) -> Path:
    """Write a small clip; the sound's time stamps start ``sound_late_s`` after the images'."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=fps)
        video.height, video.width = images[0].shape[:2]
        video.pix_fmt = "yuv420p" if codec != "gif" else "rgb8"
        stream = (
            container.add_stream(audio_codec, rate=audio_hz, layout="mono")
            if audio is not None
            else None
        )
        base = Fraction(1, 90_000)
        if times_s is not None:
            video.time_base = video.codec_context.time_base = base
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            if times_s is not None:
                frame.pts, frame.time_base = round(times_s[index] / base), base
            else:
                frame.pts, frame.time_base = index, 1 / fps
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if stream is not None:
            late = round(audio_late_s * audio_hz)
            for start in range(0, len(audio) - 1023, 1024):
                piece = np.ascontiguousarray(audio[None, start : start + 1024], dtype=np.float32)
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = audio_hz, start + late
                frame.time_base = Fraction(1, audio_hz)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def write_audio(
    path: Path, audio: np.ndarray, codec: str, audio_hz: int = 16_000, cover: bool = False
) -> Path:
    """Write a file of mono sound alone, with an image of its cover if wanted."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=audio_hz, layout="mono")
        attached = container.add_stream("mjpeg", rate=1) if cover else None
        if attached is not None:
            attached.width = attached.height = 64
            attached.pix_fmt = "yuvj420p"
            attached.disposition = Disposition.attached_pic
            image = np.full((64, 64, 3), 90, np.uint8)
            container.mux(attached.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(attached.encode())
        for start in range(0, len(audio), 1024):
            piece = np.ascontiguousarray(audio[None, start : start + 1024], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = audio_hz, start, Fraction(1, audio_hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def moving_portrait(portrait: np.ndarray, count: int, side: int = 320) -> list[np.ndarray]:
    """The portrait drifting a little from frame to frame, ``side`` pixels a side."""
    import cv2

    small = cv2.resize(portrait, (side + 32, side + 32), interpolation=cv2.INTER_AREA)
    offsets = [(int(8 + 8 * np.sin(i / 7)), int(8 + 8 * np.cos(i / 9))) for i in range(count)]
    return [small[y : y + side, x : x + side] for y, x in offsets]


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    """(n,) float32 at 16 kHz: something that a voice detector takes for speech, from espeak-ng."""
    import subprocess
    import tempfile

    there = shutil.which("espeak-ng")
    needed(there, "espeak-ng is not installed, so there is no voice to test with")
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        text = "The quick brown fox jumps over the lazy dog, and then it tells everybody about it."
        subprocess.run(["espeak-ng", "-w", file.name, text], check=True)
        with av.open(file.name) as container:
            resampler = av.AudioResampler("flt", "mono", 16_000)
            parts = [
                r.to_ndarray().ravel()
                for f in container.decode(audio=0)
                for r in resampler.resample(f)
            ]
    return np.concatenate(parts).astype(np.float32)


@pytest.fixture(scope="session")
def talking_clip(tmp_path_factory, portrait, speech) -> Path:
    """Four seconds of a drifting portrait with speech: a face and a voice, and nothing in step."""
    folder = tmp_path_factory.mktemp("clips")
    return write_clip(
        folder / "talking.mp4", moving_portrait(portrait, 100), audio=speech[: 4 * 16_000]
    )
