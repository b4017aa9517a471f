"""The whole story of one file, to be read like a page.

``analyze(path, settings, on_progress)`` is the one way from a file to a verdict: the app, the
command, the evaluation and the batch all call it.
"""

from __future__ import annotations

import math
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from detectors.base import Detector, Finding, Look, Measurement, Reason, collect, unavailable
from detectors.pool import Pool, best_device
from detectors.registry import DETECTORS
from errors import UserError
from hub.store import resolve
from media.clip import Clip
from media.faces import FaceFinder
from media.provenance import Provenance, read_provenance
from media.shaken import shaken
from media.speech import speech_stretches
from media.tracks import FaceTrack, People, Quality, track_faces
from media.windows import Window, plan
from verdict.explain import explain
from verdict.fusion import Verdict, fitted_numbers, fuse

__version__ = "0.1.0"
MODES = ("quick", "thorough")
STILLS_A_WINDOW = 16  # whole pictures kept while a window is examined
FRAMES_IN_REPORT = 8  # pictures that are kept to the end, with their faces marked
Progress = Callable[[float, str], None]
POOL = Pool()


@dataclass(frozen=True)
class Settings:
    """What the user chose.

    Attributes:
        mode: ``quick`` (at most four windows of about 3 s) or ``thorough`` (end to end).
        detectors: names of those to run.
        checkpoints: detector → Hub id, ``owner/repo@revision`` or folder; embedded when absent.
        fake_labels: detector → names of the outputs that mean manipulated, where a model is unclear.
        device: ``auto``, ``cpu`` or ``cuda``.
        stability: look again at a re-encoded, half-size copy before raising an alarm.
    """

    mode: str = "quick"
    detectors: tuple[str, ...] = tuple(d.name for d in DETECTORS)
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    fake_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    device: str = "auto"
    stability: bool = True

    def __post_init__(self) -> None:
        known = [d.name for d in DETECTORS]
        if self.mode not in MODES:
            raise UserError("bad_settings", f"Mode must be one of {', '.join(MODES)}, got “{self.mode}”.")
        for name in (*self.detectors, *self.checkpoints):
            if name not in known:
                raise UserError("bad_settings", f"There is no detector “{name}”; there are {', '.join(known)}.")


@dataclass(frozen=True)
class Followed:
    """Where a face was while it was followed without a break.

    Attributes:
        times_s: (n,) float64 on the clip's clock.
        boxes_xyxy: (n, 4) float32 px.
    """

    times_s: np.ndarray
    boxes_xyxy: np.ndarray


@dataclass(frozen=True)
class PersonSeen:
    """Where one person was seen, over all windows.

    Attributes:
        name: "Face A".
        stretches_s: (start, stop) of each window in which the face was followed.
        frames: number of pictures.
        quality: of the best window.
        tracks: its boxes over time, for the annotated video.
    """

    name: str
    stretches_s: tuple[tuple[float, float], ...]
    frames: int
    quality: Quality
    tracks: tuple[Followed, ...] = ()


@dataclass(frozen=True)
class Shot:
    """A picture kept for the report, with the faces in it.

    Attributes:
        time_s: on the clip's clock.
        picture: (h, w, 3) uint8 RGB.
        faces: person → (box (4,) px, landmarks (468, 2) px).
    """

    time_s: float
    picture: np.ndarray
    faces: Mapping[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Analysis:
    """All that a report needs."""

    name: str
    sha256: str
    bytes: int
    kind: str
    container: str
    duration_s: float
    examined_s: float
    size_wh: tuple[int, int]
    fps: float
    has_sound: bool
    speech_s: tuple[tuple[float, float], ...]
    provenance: Provenance
    warnings: tuple[str, ...]
    people: tuple[PersonSeen, ...]
    findings: tuple[Finding, ...]
    verdict: Verdict
    explanation: tuple[str, ...]
    shots: tuple[Shot, ...]
    settings: Settings
    checkpoints: Mapping[str, str]
    versions: Mapping[str, str]
    seconds_by_stage: Mapping[str, float]


class _Stopwatch:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str):
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start


def analyze(
    path: str | Path,
    settings: Settings | None = None,
    on_progress: Progress = lambda fraction, text: None,
    pool: Pool = POOL,
) -> Analysis:
    """From a file to a verdict.

    Args:
        path: video or picture.
        settings: what the user chose.
        on_progress: called with a fraction 0..1 and what is being done.
        pool: where loaded networks are kept.

    Raises:
        UserError: when the file cannot be read at all, or the settings make no sense.
    """
    settings = settings or Settings()
    watch = _Stopwatch()
    on_progress(0.0, "Opening the file")
    with watch.stage("open"):
        clip = Clip(path)
    with clip, FaceFinder() as finder:
        with watch.stage("metadata"):
            provenance = read_provenance(clip)
        on_progress(0.02, "Loading the detectors")
        with watch.stage("load"):
            detectors, failed = _load_detectors(settings, pool)
        looks: dict[tuple[str, str | None], list[Look]] = defaultdict(list)
        again: dict[str | None, list[tuple[float, float]]] = defaultdict(list)
        people, seen, shots, speech = People(), _Seen(), [], []
        stretches = plan(clip.duration_s, settings.mode)
        for index, stretch in enumerate(stretches):
            def report(part: float, text: str, index: int = index) -> None:
                on_progress(0.05 + 0.9 * (index + part) / len(stretches), f"{text} ({index + 1} of {len(stretches)})")

            report(0.0, "Finding faces")
            with watch.stage("faces and sound"):
                window = _read_window(clip, stretch, finder, people)
            seen.add(window)
            shots += _shots(window, max(1, FRAMES_IN_REPORT // len(stretches)))
            speech += [tuple(map(float, pair)) for pair in window.speech_s]
            for step, detector in enumerate(detectors):
                report(0.4 + 0.6 * step / len(detectors), f"Examining: {detector.title.lower()}")
                with watch.stage(detector.name):
                    _examine(detector, window, looks)
            if settings.stability:
                with watch.stage("stability"):
                    _look_again(detectors, window, looks, again)
        on_progress(0.96, "Weighing the evidence")
        findings = _findings(detectors, failed, looks)
        verdict = fuse(findings, unstable=_unstable(findings, again))
    examined = math.fsum(min(s.stop_s, clip.duration_s) - s.start_s for s in stretches)
    return Analysis(
        name=clip.name,
        sha256=clip.sha256,
        bytes=clip.bytes,
        kind=clip.kind,
        container=clip.container,
        duration_s=clip.duration_s,
        examined_s=max(0.0, examined),
        size_wh=clip.size_wh,
        fps=float(clip.fps),
        has_sound=clip.has_sound,
        speech_s=tuple(speech),
        provenance=provenance,
        warnings=(*clip.warnings, *verdict.warnings),
        people=seen.people(),
        findings=findings,
        verdict=verdict,
        explanation=explain(verdict, findings, clip.duration_s, max(0.0, examined)),
        shots=tuple(shots),
        settings=settings,
        checkpoints={d.name: d.checkpoint.label for d in detectors},
        versions=_versions(),
        seconds_by_stage=dict(watch.seconds),
    )


def load_detector(name: str, settings: Settings, pool: Pool = POOL) -> Detector:
    """One detector with the checkpoint that the settings ask for.

    Raises:
        UserError: ``weights_missing``, ``weights_refused`` and the other codes of the store.
    """
    kind = next(d for d in DETECTORS if d.name == name)
    answer = settings.fake_labels.get(name)
    checkpoint = resolve(settings.checkpoints.get(name), name, fake_labels=answer)
    return pool.detector(kind, checkpoint, best_device(settings.device))


def _load_detectors(settings: Settings, pool: Pool) -> tuple[list[Detector], list[Finding]]:
    loaded, failed = [], []
    for name in (d.name for d in DETECTORS if d.name in settings.detectors):
        try:
            loaded.append(load_detector(name, settings, pool))
        except UserError as error:
            if name in settings.checkpoints:  # the user's own choice must not be passed over in silence
                raise
            failed.append(unavailable(name, "embedded", Reason(error.code, error.sentence)))
    return loaded, failed


def _read_window(clip: Clip, stretch, finder: FaceFinder, people: People) -> Window:
    """Decode a stretch once: follow the faces, keep a few whole pictures, read the sound."""
    step_s = max(stretch.stop_s - stretch.start_s, 1e-6) / STILLS_A_WINDOW
    stills: list[tuple[float, np.ndarray]] = []
    times: list[float] = []

    def watched():
        for time_s, picture in clip.frames(stretch.start_s, stretch.stop_s):
            times.append(time_s)
            if not stills or time_s >= stills[-1][0] + step_s - 1e-6:
                stills.append((time_s, picture))
            yield time_s, picture

    tracks = people.name(track_faces(watched(), finder))
    sound = clip.sound(stretch.start_s, stretch.stop_s)
    still_shape = (0, *clip.size_wh[::-1], 3)
    return Window(
        stretch=stretch,
        times_s=np.array(times),
        stills=np.stack([p for _, p in stills]) if stills else np.zeros(still_shape, np.uint8),
        stills_s=np.array([t for t, _ in stills]),
        tracks=tracks,
        sound=sound,
        sound_start_s=stretch.start_s,
        speech_s=speech_stretches(sound, stretch.start_s),
        is_picture=clip.kind == "picture",
    )


def _examine(detector: Detector, window: Window, looks: dict) -> None:
    """Let one detector look at every subject of a window."""
    subjects = [None] if detector.checkpoint.card.crop == "frame" else list(window.tracks) or [None]
    for track in subjects:
        person = track.person if track is not None else None
        looks[detector.name, person].append((window.stretch, detector.look(window, track)))


def _look_again(detectors: list[Detector], window: Window, looks: dict, again: dict) -> None:
    """Ask the picture detector once more about a re-encoded, half-size copy of suspicious faces."""
    some = fitted_numbers().some
    for detector in detectors:
        calibration = detector.checkpoint.card.calibration
        if detector.name != "spatial" or calibration is None:
            continue
        for track in window.tracks:
            before: Measurement = looks[detector.name, track.person][-1][1]
            if before.raw is not None and calibration.apply(before.raw) >= some:
                after = detector.look(window, shaken(track))
                if after.raw is not None:
                    again[track.person].append((calibration.apply(before.raw), calibration.apply(after.raw)))


def _unstable(findings: tuple[Finding, ...], again: dict) -> bool:
    """The face with the strongest picture evidence looks harmless once re-encoded."""
    strongest = max(
        (f for f in findings if f.detector == "spatial" and f.log_odds is not None),
        key=lambda f: f.log_odds,
        default=None,
    )
    pairs = again.get(strongest.person, []) if strongest is not None else []
    return bool(pairs) and float(np.mean([after for _, after in pairs])) < 0


def _findings(detectors: list[Detector], failed: list[Finding], looks: dict) -> tuple[Finding, ...]:
    """One finding a detector and person; windows without any face matter only if no person was seen."""
    found = list(failed)
    for detector in detectors:
        people = sorted(p for d, p in looks if d == detector.name and p is not None)
        for person in people or [None]:
            found.append(collect(detector, person, looks[detector.name, person]))
    order = [d.name for d in DETECTORS]
    return tuple(sorted(found, key=lambda f: (order.index(f.detector), f.person or "")))


def _shots(window: Window, count: int) -> list[Shot]:
    """A few pictures of a window with the faces that are seen in them."""
    if not len(window.stills):
        return []
    index = np.unique(np.linspace(0, len(window.stills) - 1, count + 2).round().astype(int)[1:-1])
    return [Shot(float(window.stills_s[i]), window.stills[i], _faces_at(window.tracks, float(window.stills_s[i]))) for i in index]


def _faces_at(tracks: tuple[FaceTrack, ...], time_s: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    faces = {}
    for track in tracks:
        nearest = int(np.abs(track.times_s - time_s).argmin())
        if abs(float(track.times_s[nearest]) - time_s) < 0.05:
            faces[track.person] = (track.boxes_xyxy[nearest], track.landmarks[nearest])
    return faces


class _Seen:
    """Collects where people were seen."""

    def __init__(self) -> None:
        self._tracks: dict[str, list[tuple[Followed, Quality]]] = defaultdict(list)

    def add(self, window: Window) -> None:
        for t in window.tracks:
            self._tracks[t.person].append((Followed(t.times_s, t.boxes_xyxy), t.quality))

    def people(self) -> tuple[PersonSeen, ...]:
        return tuple(
            PersonSeen(
                name,
                tuple((float(f.times_s[0]), float(f.times_s[-1])) for f, _ in entries),
                sum(len(f.times_s) for f, _ in entries),
                max((q for _, q in entries), key=lambda q: q.face_px),
                tuple(f for f, _ in entries),
            )
            for name, entries in sorted(self._tracks.items())
        )


def _versions() -> dict[str, str]:
    packages = ("torch", "transformers", "av", "mediapipe", "opencv-contrib-python")
    return {"program": __version__, "python": platform.python_version(), **{p: version(p) for p in packages}}
