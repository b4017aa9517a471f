"""A hand-made Analysis over a drawn face: for tests of what is shown, not of what is found."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from analysis import Analysis, Settings
from detectors.base import Finding, Reason, WindowScore
from detectors.exhibits import Axis, Curve, FaceImage
from detectors.registry import role_of
from media.mode import Mode
from media.provenance import Provenance
from media.record import Keyframe, PersonRecord, TrackRecord
from media.tracks import Quality
from media.windows import plan
from verdict.explain import explain
from verdict.fusion import FusionParameters, fuse
from verdict.levels import Thresholds

SIZE_WH, FPS, DURATION_S = (640, 360), 25, 6.0
NUMBERS = FusionParameters(
    intercept=-0.3,
    weights={"spatial": 0.6, "temporal": 0.3, "frequency": 0.4, "sync": 0.5, "landmarks": 0.1},
    llr_clip=6.0,
    image=Thresholds(3.0, 1.0, -1.0),
    video=Thresholds(3.0, 1.0, -1.0),
    fitted_on="drawn faces",
    date="2026-01-01",
    way_shares={"face": 0.75, "voice": 0.25, "mouth": 0.1},
)
NOTE = "It carries no camera data and no content credentials, as is usual after sharing."
CENTERS = {"Face A": (200.0, 170.0), "Face B": (460.0, 180.0)}
FACE_PX = 110.0


def landmarks_at(center_xy: tuple[float, float]) -> np.ndarray:
    """(468, 2) float32: eyes and mouth where a face has them, the other points on an oval."""
    x, y = center_xy
    turn = np.linspace(0, 2 * np.pi, 468)
    points = np.stack([x + FACE_PX / 2 * np.cos(turn), y + FACE_PX / 1.6 * np.sin(turn)], 1)
    fixed = {33: (-28, -20), 133: (-12, -20), 362: (12, -20), 263: (28, -20), 61: (-16, 28)}
    fixed |= {291: (16, 28), 13: (0, 25), 14: (0, 31)}
    for index, (dx, dy) in fixed.items():
        points[index] = (x + dx, y + dy)
    return points.astype(np.float32)


def box_at(center_xy: tuple[float, float]) -> np.ndarray:
    """(4,) float32 px around a drawn face."""
    x, y = center_xy
    return np.float32([x - FACE_PX / 2, y - FACE_PX * 0.65, x + FACE_PX / 2, y + FACE_PX * 0.65])


def drawn_image(shift_px: float = 0.0) -> np.ndarray:
    """(360, 640, 3) uint8 RGB with two simple faces."""
    width, height = SIZE_WH
    across = np.linspace(90, 170, width, dtype=np.float32)
    image = np.repeat(across[None, :, None], height, 0).repeat(3, 2).astype(np.uint8)
    for x, y in CENTERS.values():
        at = (round(x + shift_px), round(y))
        cv2.ellipse(image, at, (52, 68), 0, 0, 360, (214, 178, 150), -1)
        for dx in (-20, 20):
            cv2.circle(image, (at[0] + dx, at[1] - 20), 7, (40, 40, 60), -1)
        cv2.ellipse(image, (at[0], at[1] + 28), (16, 6), 0, 0, 360, (150, 60, 60), -1)
    return image


def finding(
    detector: str,
    person: str | None,
    values: tuple[float, ...],
    status: str = "counted",
    curves: tuple[Curve, ...] = (),
    image: FaceImage | None = None,
) -> Finding:
    """A finding whose windows have these log-odds."""
    span = DURATION_S / max(1, len(values))
    calibrated = status != "uncalibrated"
    windows = tuple(
        WindowScore(i * span, (i + 1) * span, v, v if calibrated else None)
        for i, v in enumerate(values)
    )
    score = float(np.mean(values))
    measures = {"lag_ms": -80.0} if detector == "sync" else {"pictures": 8.0}
    return Finding(
        role_of(detector), person, score, score if calibrated else None, status, None, windows,
        measures, f"{detector}@0123456789ab", calibrated, curves=curves, image=image,
    )  # fmt: skip


def no_finding(detector: str, person: str | None, code: str) -> Finding:
    """A finding with a reason in place of a number."""
    return Finding(
        role_of(detector), person, None, None, "not_applicable", Reason.of(code), (), {},
        f"{detector}@0123456789ab", False,
    )  # fmt: skip


def face_image(heatmap: np.ndarray | None = None, confirmed: bool | None = True) -> FaceImage:
    """The drawn face as a detector looks at it."""
    x, y = (round(place) for place in CENTERS["Face A"])
    image = cv2.resize(drawn_image()[y - 70 : y + 70, x - 70 : x + 70], (224, 224))
    return FaceImage(1.0, 5.0, image, heatmap=heatmap, confirmed=confirmed)


def lag_curve() -> Curve:
    """Lips and voice that agree best when the voice is moved."""
    lags = np.arange(-600.0, 601.0, 40.0)
    agreement = 0.1 + 0.3 * np.exp(-(((lags - 120) / 90) ** 2))
    return Curve("agreement of lips and voice", Axis.LAG_MS, lags, agreement, zone=(-160.0, 160.0))


def moments() -> tuple[Curve, ...]:
    """Lips and voice from moment to moment in two windows: they part at 4 s."""
    result = []
    for start_s in (0.0, 3.0):
        times = start_s + np.arange(75) / 25
        agreement = 0.5 - 0.4 * np.exp(-(((times - 4) / 0.4) ** 2))
        mark = float(times[agreement.argmin()])
        name = "agreement from moment to moment"
        result.append(Curve(name, Axis.TIME_S, times, agreement, (mark,), "weakest agreement"))
    return tuple(result)


def spectrum() -> Curve:
    """A spectrum that leaves the band of real faces at its fine end."""
    cycles = (np.arange(52) + 0.5) / 104
    middle = 40 - 80 * cycles
    typical = np.stack([middle - 4, middle, middle + 4])
    power = middle + np.where(cycles > 0.4, 9.0, 1.0)
    return Curve("power by fineness of detail", Axis.CYCLES_A_PIXEL, cycles, power, typical=typical)


def openings() -> tuple[Curve, ...]:
    """Mouth and lids in two windows, with one blink."""
    result = []
    for start_s in (0.0, 3.0):
        times = start_s + np.arange(75) / 25
        lids = np.where(np.abs(times - 1.5) < 0.1, 0.2, 1.0)
        mouth = 0.1 + 0.05 * np.sin(12 * times)
        marks = (1.42,) if start_s == 0 else ()
        result += [
            Curve("opening of the mouth", Axis.TIME_S, times, mouth),
            Curve("opening of the eyes", Axis.TIME_S, times, lids, marks, "blinks"),
        ]
    return tuple(result)


def made_analysis(name: str = "clip.mp4") -> Analysis:
    """Two people in a video of six seconds; Face A looks manipulated."""
    values = np.linspace(-2, 3, 36, dtype=np.float32).reshape(6, 6)
    findings = (
        finding("spatial", "Face A", (3.1, 5.0), image=face_image(values)),
        finding("spatial", "Face B", (-2.2, -1.6)),
        finding("temporal", "Face A", (2.0, 2.6)),
        finding("temporal", "Face B", (-0.5, 0.4)),
        finding("frequency", "Face A", (1.2, -0.4), "uncalibrated", (spectrum(),)),
        no_finding("frequency", "Face B", "re_encoded"),
        finding("sync", "Face A", (-1.5, -2.0), curves=(lag_curve(), lag_curve(), *moments())),
        no_finding("sync", "Face B", "off_screen_speech"),
        finding("landmarks", "Face A", (0.4, 0.3), "experimental", openings()),
        no_finding("landmarks", "Face B", "clip_too_short"),
    )
    verdict = fuse(findings, image=False, numbers=NUMBERS)
    times = np.arange(0, DURATION_S, 1 / FPS)
    people = tuple(
        PersonRecord(
            person, ((0.0, DURATION_S),), len(times), Quality(108.0, 55.0, 130.0, 8.0),
            (TrackRecord(times, np.repeat(box_at(center)[None], len(times), 0)),),
        )
        for person, center in CENTERS.items()
    )  # fmt: skip
    faces = {p: (box_at(c), landmarks_at(c)) for p, c in CENTERS.items()}
    keyframes = tuple(Keyframe(t, drawn_image(), faces) for t in (1.0, 2.5, 4.0))
    return Analysis(
        name=name,
        sha256="ab" * 32,
        bytes=1_234_567,
        kind="video",
        container="MP4 / QuickTime",
        duration_s=DURATION_S,
        examined_s=DURATION_S,
        windows=plan(DURATION_S, Mode.QUICK),
        size_wh=SIZE_WH,
        fps=float(FPS),
        has_audio=True,
        turns=(),
        speech_s=((0.4, 2.2), (3.1, 5.5)),
        provenance=Provenance({"video codec": "h264"}, (NOTE,), "none"),
        warnings=("The file is called “.mov” but is MP4 / QuickTime.", *verdict.warnings),
        people=people,
        findings=findings,
        verdict=verdict,
        explanation=explain(verdict, findings, DURATION_S, DURATION_S),
        keyframes=keyframes,
        settings=Settings(),
        checkpoints={"spatial": "spatial@0123456789ab"},
        versions={"program": "0.1.0"},
        seconds_by_stage={"open": 0.1},
        analyzed_at="2026-01-02T03:04:05+00:00",
    )


def made_image() -> Analysis:
    """A still image without any face: nothing can be assessed."""
    findings = tuple(
        no_finding(name, None, code)
        for name, code in (
            ("spatial", "no_face"),
            ("temporal", "single_picture"),
            ("sync", "single_picture"),
        )
    )
    verdict = fuse(findings, image=False, numbers=NUMBERS)
    return replace(
        made_analysis("picture.png"),
        kind="picture", container="PNG", duration_s=0.0, examined_s=0.0, fps=0.0, has_audio=False,
        speech_s=(), people=(), findings=findings, verdict=verdict, warnings=verdict.warnings,
        explanation=explain(verdict, findings, 0.0, 0.0),
        keyframes=(Keyframe(0.0, drawn_image(), {}),),
    )  # fmt: skip
