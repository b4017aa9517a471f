"""The whole story of one file, to be read like a page.

``analyze(path, settings, on_progress)`` is the one way from a file to a verdict: the app, the
command, the evaluation and the batch all call it.
"""

from __future__ import annotations

import math
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from detectors.base import (
    Detector,
    Finding,
    Reason,
    WindowMeasurement,
    by_turn,
    collect,
    obstacle_of_file,
    unavailable,
)
from detectors.exhibits import strongest
from detectors.pool import Pool, best_device
from detectors.registry import detector_of, names, role_of, roles_for
from errors import UserError
from hub.checkpoint import Checkpoint
from hub.configs import WrongTask
from hub.role import Crop
from hub.store import EMBEDDED, OWNER, VISITOR, resolve, who_asks
from media.clip import sha256_of
from media.degrade import degrade
from media.mode import Mode
from media.provenance import Provenance
from media.reader import Reader, open_reader
from media.record import Keyframe, PersonRecord, Recorder
from media.sniff import MediaKind
from media.tracks import FaceTrack
from media.turns import Turn
from media.windows import Stretch, Window, plan
from stop import Stop, check, current_stop, left_alone
from verdict.explain import explain
from verdict.fusion import Verdict, fuse, fusion_parameters
from verdict.reference import MOST_REFERENCES, Reference, level_shifts, leveled, llrs_of
from version import __version__

KEYFRAMES_IN_REPORT = 8  # images that are kept to the end, with their faces marked
SUSPICIOUS = 1.3  # log-odds (79 %) of a face's images, from which on they are looked at again
CLIP_FACTS = ("name", "bytes", "kind", "container", "duration_s", "size_wh", "has_audio")
Progress = Callable[[float, str], None]
Listener = Callable[[Finding, float], None]
MOST_UPDATES = 50  # times that a detector says what it found so far; long clips have more windows
POOL = Pool()
HASHING = ThreadPoolExecutor(thread_name_prefix="hashing")  # begins no thread at import


@dataclass(frozen=True)
class Settings:
    """What the user chose.

    Attributes:
        mode: ``quick`` (at most four windows of about 3 s) or ``thorough`` (end to end).
        detectors: names of those to run.
        checkpoints: detector → Hub id, ``owner/repo@revision`` or folder; embedded when absent.
        fake_labels: detector → names of the outputs that mean manipulated, where a model is
            unclear.
        device: ``auto``, ``cpu`` or ``cuda``.
        stability: look again at a re-encoded, half-size copy before raising an alarm.
        own_machine: the user may name folders and use this machine's Hub token; a visitor of a
            Space may not.
    """

    mode: Mode = Mode.QUICK
    detectors: tuple[str, ...] = field(default_factory=names)
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    fake_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    device: str = "auto"
    stability: bool = True
    own_machine: bool = field(default_factory=lambda: who_asks() is OWNER)

    def __post_init__(self) -> None:
        known = names()
        try:
            object.__setattr__(self, "mode", Mode(self.mode))  # a plain word is taken too
        except ValueError as error:
            raise UserError(
                "bad_settings", f"Mode must be one of {', '.join(Mode)}, got “{self.mode}”."
            ) from error
        for name in (*self.detectors, *self.checkpoints):
            if name not in known:
                raise UserError(
                    "bad_settings", f"There is no detector “{name}”; there are {', '.join(known)}."
                )


@dataclass(frozen=True)
class Analysis:
    """All that a report needs.

    Attributes:
        windows: the stretches of time that were examined.
        seconds_by_stage: by the clock. The next window is read ("faces and sound") while the
            networks look at this one, so their sum may be more than the whole took.
        references: recordings that the user gave as real, of the same person or camera.
        turns: who spoke when, where a detector listened to voices.
        analyzed_at: when, in UTC, to the second; ISO 8601.
    """

    name: str
    sha256: str
    bytes: int
    kind: str
    container: str
    duration_s: float
    examined_s: float
    windows: Sequence[Stretch]
    size_wh: tuple[int, int]
    fps: float
    has_audio: bool
    speech_s: tuple[tuple[float, float], ...]
    turns: tuple[Turn, ...]
    provenance: Provenance
    warnings: tuple[str, ...]
    people: tuple[PersonRecord, ...]
    findings: tuple[Finding, ...]
    verdict: Verdict
    explanation: tuple[str, ...]
    keyframes: tuple[Keyframe, ...]
    settings: Settings
    checkpoints: Mapping[str, str]
    versions: Mapping[str, str]
    seconds_by_stage: Mapping[str, float]
    analyzed_at: str
    references: tuple[Reference, ...] = ()


class _Stopwatch:
    """Seconds by stage; no stage begins once the work was asked to stop.

    Attributes:
        stop: asks for the end of the work.
        reading: asks for the end of reading alone.
    """

    def __init__(self, stop: Stop) -> None:
        self.reading = Stop(whole=stop)
        self.seconds: dict[str, float] = defaultdict(float)
        self.stop = stop

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.stop.check()
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start


def analyze(
    path: str | Path,
    settings: Settings | None = None,
    on_progress: Progress = lambda fraction, text: None,
    pool: Pool = POOL,
    on_finding: Listener | None = None,
    stop: Stop | None = None,
    references: Sequence[str | Path] = (),
) -> Analysis:
    """From a file to a verdict.

    Args:
        path: video, image or audio.
        settings: what the user chose.
        on_progress: called with a fraction 0..1 and what is being done.
        pool: where loaded networks are kept.
        on_finding: called with what a detector says so far and the share 0..1 of the windows seen.
        stop: asks it to end, `current_stop` where left out; heard in each frame, layer, loading.
        references: at most five recordings that are known to be real, of the same person or
            camera; they tell the level of the numbers (`verdict.reference`).

    Raises:
        UserError: when the file cannot be read at all, or a checkpoint that the user chose cannot
            be used; ``bad_reference`` for a reference that says nothing; ``stopped`` or
            ``took_too_long`` when ``stop`` says so.
    """
    settings, watch = settings or Settings(), _Stopwatch(stop or current_stop())
    with watch.stage("references"):
        known = _examine_references(references, settings, on_progress, pool, watch.stop)
    on_progress = _one_file(on_progress, len(known), len(known) + 1)
    on_progress(0.0, "Opening the file")
    with watch.stage("open"):
        clip = open_reader(path, watch.reading)
    with clip, watch.stop.obeyed():
        sha256 = _hashed(clip, known)
        with watch.stage("metadata"):
            provenance = clip.provenance()
        on_progress(0.02, "Loading the detectors")
        with watch.stage("load"):
            detectors, failed = left_alone(partial(_load_detectors, settings, pool, clip))
        stretches = plan(clip.duration_s, settings.mode)
        evidence = _Evidence(detectors, on_finding)
        with closing(_read_windows(clip, stretches, detectors, on_progress, watch)) as windows:
            recorder = _examine(windows, len(stretches), evidence, settings, watch)
        on_progress(0.96, "Weighing the evidence")
        facts = _facts(clip, watch.stop.wait_for(sha256), stretches, recorder, detectors)
        findings, verdict = _weigh(evidence, failed, facts["turns"], known, clip.kind, watch)
    sentences = explain(verdict, findings, clip.duration_s, facts["examined_s"])
    return Analysis(
        **facts,
        provenance=provenance,
        warnings=(*clip.warnings, *verdict.warnings),
        findings=findings,
        verdict=verdict,
        explanation=(*provenance.declared(), *sentences),
        settings=settings,
        seconds_by_stage=dict(watch.seconds),
        references=known,
    )


def _examine_references(
    paths: Sequence[str | Path], settings: Settings, on_progress: Progress, pool: Pool, stop: Stop
) -> tuple[Reference, ...]:
    """What the detectors say of recordings that the user gives as real.

    Raises:
        UserError: ``bad_reference`` when there are too many, one cannot be read, or none of the
            detectors whose level it could tell can judge it.
    """
    if len(paths) > MOST_REFERENCES:
        raise UserError("bad_reference", f"Give at most {MOST_REFERENCES} references.")
    spreads = fusion_parameters().level_spreads
    asked = tuple(name for name in settings.detectors if name in spreads)
    if paths and not asked:
        raise UserError("bad_reference", "None of the chosen detectors uses references.")
    alone = replace(settings, mode=Mode.QUICK, detectors=asked, stability=False)
    result = []
    for index, path in enumerate(paths):
        name = Path(path).name
        try:
            progress = _one_file(on_progress, index, len(paths) + 1, f"Reference {index + 1}: ")
            single = analyze(path, alone, progress, pool, stop=stop)
        except UserError as error:
            if error.code in ("stopped", "took_too_long"):
                raise
            sentence = f"The reference {name} cannot be used. {error.sentence}"
            raise UserError("bad_reference", sentence) from error
        llrs = llrs_of(single.findings)
        if not llrs:
            raise UserError(
                "bad_reference",
                f"The reference {name} cannot be used: no detector that counts can judge it.",
            )
        result.append(Reference(single.name, single.sha256, single.verdict.level, llrs))
    return tuple(result)


def _hashed(clip: Reader, known: Sequence[Reference]) -> Future[str]:
    """SHA-256 of the file, taken while another process decodes it.

    Raises:
        UserError: ``bad_reference`` when it is one of the references.
    """
    sha256 = HASHING.submit(sha256_of, clip.path)
    if known and current_stop().wait_for(sha256) in {reference.sha256 for reference in known}:
        raise UserError("bad_reference", "A reference is the examined file itself.")
    return sha256


def _weigh(
    evidence: _Evidence,
    failed: list[Finding],
    turns: Sequence[Turn],
    known: Sequence[Reference],
    kind: MediaKind,
    watch: _Stopwatch,
) -> tuple[tuple[Finding, ...], Verdict]:
    """The findings of all detectors, at the level that the references tell, and the verdict."""
    shifts = level_shifts(known, fusion_parameters().level_spreads)
    findings = leveled(evidence.findings(failed, turns), shifts)
    verdict = fuse(findings, kind == MediaKind.IMAGE, evidence.unstable())
    with watch.stage("heatmap"):
        return evidence.confirmed(findings, verdict.opinion.person), verdict


def _facts(
    clip: Reader,
    sha256: str,
    stretches: Sequence[Stretch],
    recorder: Recorder,
    detectors: Sequence[Detector],
) -> dict[str, Any]:
    """What is told about a file and its examination beside the evidence: fields of `Analysis`."""
    return {
        **{name: getattr(clip, name) for name in CLIP_FACTS},
        "sha256": sha256,
        "fps": float(clip.fps),
        "examined_s": _examined_s(stretches, clip.duration_s),
        "windows": stretches,
        "speech_s": tuple(recorder.speech_s),
        "people": recorder.people(),
        "turns": recorder.turns(),
        "keyframes": tuple(recorder.keyframes),
        "checkpoints": {d.role.name: d.checkpoint.label for d in detectors},
        "versions": _versions(),
        "analyzed_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _examined_s(stretches: Sequence[Stretch], duration_s: float) -> float:
    """Seconds of the clip that lie in the stretches; the last one ends a little after the clip."""
    return max(0.0, math.fsum(min(s.stop_s, duration_s) - s.start_s for s in stretches))


Reading = tuple[Window, Progress]


def _read_windows(
    clip: Reader,
    stretches: Sequence[Stretch],
    detectors: Sequence[Detector],
    on_progress: Progress,
    watch: _Stopwatch,
) -> Generator[Reading]:
    """The windows one after the other, each with the progress of its part of the whole.

    While one is looked at the next one is read, and no more than that one. Close the generator: a
    window that nobody takes any more is not read to its end.
    """
    audio_s = max((d.role.audio_s for d in detectors), default=0.0)

    def read(stretch: Stretch) -> Window:
        with watch.stage("faces and sound"):
            return clip.window(stretch, audio_s)

    with ThreadPoolExecutor(1, thread_name_prefix="reading") as reader:
        ahead = reader.submit(read, stretches[0])
        try:
            for index in range(len(stretches)):
                progress = _part(on_progress, index, len(stretches))
                progress(0.0, "Listening" if clip.kind == MediaKind.AUDIO else "Finding faces")
                window = ahead.result()
                if index + 1 < len(stretches):
                    ahead = reader.submit(read, stretches[index + 1])
                yield window, progress
        except BaseException:
            watch.reading.ask()
            raise


def _examine(
    windows: Iterator[Reading],
    count: int,
    evidence: _Evidence,
    settings: Settings,
    watch: _Stopwatch,
) -> Recorder:
    """Let every detector look at every window; what was seen is kept, the window is let go."""
    detectors = evidence.detectors
    recorder = Recorder(listens=any(d.role.audio_s for d in detectors))
    for index, (window, progress) in enumerate(windows):
        recorder.add(window, _share(KEYFRAMES_IN_REPORT, index, count))
        for step, detector in enumerate(detectors):
            progress(0.4 + 0.6 * step / len(detectors), f"Examining: {detector.role.title}")
            for track in evidence.subjects(detector, window):
                with watch.stage(detector.role.name):
                    evidence.look(detector, window, track)
            if _share(MOST_UPDATES, index, count):
                evidence.tell(detector, (index + 1) / count)
        if settings.stability:
            with watch.stage("stability"):
                evidence.recheck(window)
    return recorder


def _one_file(on_progress: Progress, index: int, count: int, before: str = "") -> Progress:
    """Progress of one of several files as a part of the whole."""
    return lambda part, text: on_progress((index + part) / count, before + text)


def _part(on_progress: Progress, index: int, count: int) -> Progress:
    """Progress of one window as a part of the whole."""

    def report(part: float, text: str) -> None:
        on_progress(0.05 + 0.9 * (index + part) / count, f"{text} (window {index + 1} of {count})")

    return report


def _share(total: int, index: int, count: int) -> int:
    """How many of ``total`` things the window ``index`` of ``count`` gets, spread evenly."""
    return total * (index + 1) // count - total * index // count


def checkpoint_for(name: str, settings: Settings) -> Checkpoint:
    """The checkpoint of one detector that the settings ask for, verified but not loaded.

    Raises:
        UserError: ``weights_missing``, ``weights_refused`` and the other codes of the store.
    """
    try:
        return resolve(
            settings.checkpoints.get(name),
            role_of(name),
            fake_labels=settings.fake_labels.get(name),
            asker=OWNER if settings.own_machine else VISITOR,
        )
    except WrongTask as error:
        others = " or ".join(roles_for(error.task))
        raise UserError(error.code, f"{error.sentence} Choose it for {others}.") from error


def load_detector(name: str, settings: Settings, pool: Pool = POOL) -> Detector:
    """One detector with the checkpoint that the settings ask for.

    Raises:
        UserError: ``weights_missing``, ``weights_refused`` and the other codes of the store.
    """
    checkpoint = checkpoint_for(name, settings)
    return pool.detector(detector_of(name), checkpoint, best_device(settings.device))


def _load_detectors(
    settings: Settings, pool: Pool, clip: Reader
) -> tuple[list[Detector], list[Finding]]:
    """The detectors for a file, and findings of those that are not there or need no loading."""
    loaded, failed = [], []
    for name in (n for n in names() if n in settings.detectors):
        check()
        role, spec = role_of(name), settings.checkpoints.get(name)
        code = obstacle_of_file(role, clip.kind, clip.has_audio)
        if code == "no_pictures" or (code is not None and role.empty and spec is None):
            failed.append(unavailable(role, spec or EMBEDDED, Reason.of(code)))
            continue
        try:
            loaded.append(load_detector(name, settings, pool))
        except UserError as error:
            if spec is not None:  # the user's own choice is not passed over in silence
                raise
            reason = Reason(error.code, error.sentence)
            failed.append(unavailable(role, EMBEDDED, reason))
    return loaded, failed


class _Evidence:
    """Collects what the detectors saw, window by window."""

    def __init__(self, detectors: list[Detector], on_finding: Listener | None) -> None:
        self.detectors = detectors
        self._on_finding = on_finding
        self._measured: dict[tuple[str, str | None], list[WindowMeasurement]] = defaultdict(list)
        self._again: dict[str, list[float]] = defaultdict(list)

    def subjects(self, detector: Detector, window: Window) -> list[FaceTrack] | list[None]:
        """What one detector looks at in a window: each face, or the whole image (None)."""
        whole = detector.checkpoint.card.crop == Crop.FRAME
        return [None] if whole else list(window.tracks) or [None]

    def look(self, detector: Detector, window: Window, track: FaceTrack | None) -> None:
        """Let one detector look at one subject of a window."""
        person = track.person if track is not None else None
        measured = (window.stretch, detector.look(window, track))
        entries = self._measured[detector.role.name, person]
        entries.append(measured)
        _keep_strongest_image(entries)

    def recheck(self, window: Window) -> None:
        """Ask again about degraded copies of suspicious faces, where the role wants that."""
        for detector in self.detectors:
            calibration = detector.checkpoint.card.calibration
            if not detector.role.recheck or calibration is None:
                continue
            for track in window.tracks:
                before = self._measured[detector.role.name, track.person][-1:]
                raw = before[0][1].raw if before else None
                if raw is None or calibration.apply(raw) < SUSPICIOUS:
                    continue
                after = detector.look(window, degrade(track)).raw
                if after is not None:
                    self._again[track.person].append(calibration.apply(after))

    def of(self, detector: Detector) -> list[Finding]:
        """One finding a person; faceless windows matter only if nobody was seen."""
        people = sorted(p for d, p in self._measured if d == detector.role.name and p is not None)
        return [
            collect(detector, person, self._measured[detector.role.name, person])
            for person in people or [None]
        ]

    def tell(self, detector: Detector, share: float) -> None:
        """Report what a detector says so far, if somebody listens."""
        if self._on_finding is None:
            return
        for finding in self.of(detector):
            self._on_finding(finding, share)

    def findings(self, failed: list[Finding], turns: Sequence[Turn]) -> tuple[Finding, ...]:
        """The findings of all detectors, in the order of the registry, then by person."""
        result = [*failed, *(f for detector in self.detectors for f in self.of(detector))]
        result = [by_turn(f, turns) if f.role.audio_s else f for f in result]
        order = names()
        return tuple(sorted(result, key=lambda f: (order.index(f.detector), f.person or "")))

    def confirmed(self, findings: Sequence[Finding], person: str | None) -> tuple[Finding, ...]:
        """The same, where the image that is shown of one person was put to its test."""
        by_name = {detector.role.name: detector for detector in self.detectors}
        return tuple(
            replace(f, image=by_name[f.detector].confirm(f.image))
            if f.image is not None and f.person == person
            else f
            for f in findings
        )

    def unstable(self) -> bool:
        """The faces with suspicious images all look harmless once re-encoded."""
        after = [float(np.mean(values)) for values in self._again.values()]
        return bool(after) and max(after) < 0


def _keep_strongest_image(entries: list[WindowMeasurement]) -> None:
    """Let go of all images but the strongest, so that memory does not grow with the length."""
    best = strongest([measurement.image for _, measurement in entries])
    for place, (stretch, measurement) in enumerate(entries):
        if measurement.image is not None and measurement.image is not best:
            entries[place] = (stretch, replace(measurement, image=None))


def _versions() -> dict[str, str]:
    packages = ("torch", "transformers", "av", "mediapipe", "opencv-contrib-python")
    return {
        "program": __version__,
        "python": platform.python_version(),
        **{p: version(p) for p in packages},
    }
