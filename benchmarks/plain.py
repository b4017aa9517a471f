"""What would the same networks cost in a plain pipeline, as people write it?

OpenCV reads every frame, MediaPipe searches every frame for faces, `transformers.pipeline` judges
each face, one at a time; the other networks are asked one face at a time too. All frames are read;
to look at one costs the same wherever it stands, so frames spread over the clip are looked at and
the rest is reckoned. Imports media, detectors, verdict and analysis.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from analysis import Settings, load_detector
from detectors.base import Detector, Measurement, collect
from detectors.frozen.probe import ProbeDetector
from detectors.loading import load_image_classifier
from detectors.pool import Pool
from detectors.preprocess import crop_side_px
from media import align
from media.faces import FaceFinder
from media.windows import Stretch
from verdict.fusion import Verdict, fuse

SINGLE_IMAGE = ("spatial", "generation", "mouth")  # networks that judge one image of a face


@dataclass
class Result:
    """What the plain pipeline found and cost.

    Attributes:
        frames: that were read.
        judged: of them, that were looked at.
        cpu_s: seconds of processors by part: ``reading``, ``faces`` and the detectors.
        log_odds: detector → of each face.
        verdict: of their means, by the same calibrations.
    """

    frames: int = 0
    judged: int = 0
    cpu_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    log_odds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    verdict: Verdict = field(init=False)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the seconds of a part."""
        begun = time.process_time()
        yield
        self.cpu_s[name] += time.process_time() - begun

    def whole_cpu_s(self, *, spatial_only: bool = False) -> float:
        """Seconds of processors for all frames, with all networks or with the spatial one alone."""
        others = ("reading", "generation", "mouth") if spatial_only else ("reading",)
        looking_s = sum(s for name, s in self.cpu_s.items() if name not in others)
        return self.cpu_s["reading"] + looking_s * self.frames / self.judged


class PlainPipeline:
    """The networks of the settings that judge single images, asked one by one."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        names = [name for name in SINGLE_IMAGE if name in settings.detectors]
        self._detectors = {name: load_detector(name, settings, pool) for name in names}
        self._judges = {name: _judge(detector) for name, detector in self._detectors.items()}

    def run(self, path: Path, frames: int) -> Result:
        """Read a clip, and judge each face in so many frames that are spread over it."""
        result, video = Result(), cv2.VideoCapture(str(path))
        count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        chosen = set(np.linspace(0, count - 1, frames).round().astype(int).tolist())
        with FaceFinder() as finder:
            while True:
                with result.part("reading"):
                    there, image = video.read()
                    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if there else None
                if image is None:
                    break
                if result.frames in chosen:
                    self._look(finder, image, result)
                result.frames += 1
        video.release()
        result.verdict = self._weighed(result)
        return result

    def _look(self, finder: FaceFinder, image: np.ndarray, result: Result) -> None:
        """Judge each face in one (h, w, 3) uint8 RGB image."""
        result.judged += 1
        with result.part("faces"):
            faces = finder.find(image)
        for face in faces:
            crop = align.cut(image, align.face_matrix(face.landmarks), align.CROP_PX)
            self._judge(crop, result)

    def _judge(self, crop: np.ndarray, result: Result) -> None:
        """Ask every network about one (320, 320, 3) uint8 crop."""
        for name, judge in self._judges.items():
            with result.part(name):
                result.log_odds[name].append(judge(crop))

    def _weighed(self, result: Result) -> Verdict:
        """The means of all faces, calibrated and fused as an analysis does it."""
        whole = Stretch(0.0, 1.0)
        findings = [
            collect(self._detectors[name], "Face A", [(whole, Measurement(float(np.mean(values))))])
            for name, values in result.log_odds.items()
        ]
        return fuse(tuple(findings), False, False)


def _judge(detector: Detector) -> Callable[[np.ndarray], float]:
    """What gives the log-odds of one (320, 320, 3) uint8 crop."""
    if isinstance(detector, ProbeDetector):
        return lambda crop: float(detector.assess(crop[None])[0][0])
    ask, side = _pipeline(detector), crop_side_px(detector.checkpoint.card)

    def judge(crop: np.ndarray) -> float:
        answers = ask(Image.fromarray(align.center(crop, side)))
        (fake,) = (answer["score"] for answer in answers if answer["label"] == "fake")
        fake = min(max(fake, 1e-6), 1 - 1e-6)
        return float(np.log(fake / (1 - fake)))

    return judge


def _pipeline(detector: Detector) -> Any:
    """`transformers.pipeline` on the embedded checkpoint, with the preprocessing of its card."""
    from transformers import BitImageProcessor, pipeline

    card = detector.checkpoint.card
    size = {"height": card.size_px, "width": card.size_px}
    processor = BitImageProcessor(
        size=size, do_center_crop=False, do_rescale=True, do_normalize=True,
        image_mean=list(card.mean), image_std=list(card.std),
    )  # fmt: skip
    network: Any = load_image_classifier(detector.checkpoint)[0]
    return pipeline("image-classification", model=network, image_processor=processor, device="cpu")
