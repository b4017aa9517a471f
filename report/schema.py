"""What is the shape of the JSON report?

Pydantic models; ``schema.json`` is generated from them (``python -m report.schema``) and a test
compares the two. Imports analysis (its modes) and verdict (its levels).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from detectors.base import Status
from media.mode import Mode
from media.sniff import MediaKind
from verdict.levels import Level

SCHEMA_VERSION = "1.7"
SCHEMA_FILE = Path(__file__).with_name("schema.json")


def finite(value: float | None) -> float | None:
    """A plain float, or None for what JSON cannot say."""
    return None if value is None or not math.isfinite(value) else float(value)


Number = Annotated[float | None, BeforeValidator(finite)]
LogOdds = Annotated[
    float | None, BeforeValidator(finite),
    Field(
        description="calibrated natural log-likelihood ratio, positive speaks for manipulation; "
        "null where nothing is calibrated"
    ),
]  # fmt: skip
Share = Annotated[Annotated[float, Field(ge=0, le=1)] | None, BeforeValidator(finite)]
Stretch = Annotated[
    list[float], Field(min_length=2, max_length=2, description="start and stop in seconds")
]
Person = Annotated[
    str | None, Field(description='"Face A", or null when only the whole file could be judged')
]


class Part(BaseModel):
    """A part of the report: exactly these fields."""

    model_config = ConfigDict(extra="forbid")


class Mark(Part):
    """One statement of the file about how it was made; it is shown and never decides."""

    source: str
    statement: str
    signed_by: str | None
    trust: Literal["trusted", "unknown_signer", "invalid", "unsigned"]
    generated: bool
    forgeable_sentence: str


class Provenance(Part):
    """What the file says about itself; it never decides."""

    facts: dict[str, str]
    notes: list[str]
    content_credentials: Literal[
        "none", "elsewhere", "unreadable", "invalid", "unknown_signer", "trusted"
    ]
    says_generated: bool
    marks: list[Mark] = Field(
        description="what the file declares about how it was made; never in the sum"
    )


class Turn(Part):
    """Speech of one voice without another's between; voices are told apart, not recognized."""

    start_s: float
    stop_s: float
    voice: str = Field(pattern="^[A-Z]+$")


class File(Part):
    """What was analyzed."""

    name: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)
    kind: MediaKind = Field(
        description="what is examined: moving images, one image, or audio alone"
    )
    container: str
    duration_s: float = Field(ge=0)
    examined_s: float = Field(ge=0)
    size_wh: list[int] = Field(min_length=2, max_length=2, description="[0, 0] for audio")
    fps: float = Field(ge=0, description="0 for a picture and for audio")
    has_sound: bool
    speech_s: list[Stretch]
    turns: list[Turn] = Field(
        default=[], description="who spoke when; empty where no detector listened to voices"
    )
    warnings: list[str]
    provenance: Provenance


class Opinion(Part):
    """The sum for one person."""

    person: Person
    level: Level
    probability: Share = Field(
        description="of manipulation, at equal odds beforehand; null where nothing calibrated "
        "could be counted"
    )
    log_odds: Number = Field(description="intercept plus the sum of the contributions")
    llr: Number = Field(
        description="natural log-likelihood ratio: log_odds, no larger than the number of "
        "independent sources behind the thresholds allows"
    )
    log10_lr: Number = Field(description="llr as a decimal logarithm")
    verbal_scale: (
        Literal[
            "weak", "moderate", "moderately strong", "strong", "very strong", "extremely strong"
        ]
        | None
    ) = Field(
        description="ENFSI 2015, for the side that the sign of llr favors; null below a ratio of 2"
    )
    contributions: dict[str, float] = Field(
        description="log-odds by detector: weight times finding"
    )
    weights: dict[str, float] = Field(
        description="fitted weight of each counted detector, times the share of its side where "
        "image and audio were both judged"
    )
    unfamiliar: bool = Field(
        description="the face is unlike those that a counted detector learned from; “No signs "
        "found” is then not said"
    )


class Thresholds(Part):
    """Where the levels begin for a file of this medium, log-odds."""

    strong: float
    some: float
    none: float
    real_sources: int = Field(ge=0, description="independent sources of real files behind them")
    fake_sources: int = Field(ge=0, description="tools and sets of fakes behind them")


class CalibratedOn(Part):
    """What the fused numbers were fitted on."""

    data: str
    date: str


class Verdict(Opinion):
    """The opinion on the most suspicious person."""

    intercept: float = Field(
        description="what every sum starts from, log-odds; less where several people were judged"
    )
    prior_log_odds: float = Field(
        description="alias of intercept, its name before 1.7",
        json_schema_extra={"deprecated": True},
    )
    thresholds: Thresholds
    against: list[str]
    warnings: list[str]
    calibrated_on: CalibratedOn


class Quality(Part):
    """How well the face can be judged."""

    face_px: Number
    sharpness: Number
    brightness: Number
    yaw_deg: Number
    problem: str | None


class PersonSeen(Part):
    """One person who was seen."""

    person: str
    stretches_s: list[Stretch]
    frames: int = Field(ge=0)
    quality: Quality
    opinion: Opinion | None


class Reason(Part):
    """Why there is no number."""

    code: str = Field(pattern="^[a-z_]+$")
    sentence: str


class Window(Part):
    """One stretch of time."""

    start_s: float
    stop_s: float
    score: Number = Field(description="log-odds as the network gives them")
    llr: LogOdds
    log_odds: Number = Field(description="llr, or score where nothing is calibrated")


class Finding(Part):
    """What one detector says about one person: a number or a reason."""

    detector: str
    person: Person
    score: Number = Field(description="mean log-odds of the windows as the network gives them")
    llr: LogOdds
    log_odds: Number = Field(description="llr, or score where nothing is calibrated")
    status: Status
    reason: Reason | None
    measures: dict[str, Number] = Field(
        description="named quantities; the unit is the last part of the name"
    )
    windows: list[Window]
    checkpoint: str = Field(description="name@revision, or name@checksum for a folder")
    calibrated: bool
    level_shift: float = Field(
        description="log-odds that reference recordings took off llr; 0 without them"
    )


class Reference(Part):
    """One recording that the user gave as real, of the same person or camera."""

    name: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    level: Level = Field(description="what the program says of it by itself")
    llrs: dict[str, float] = Field(description="by detector, the mean over the people in it")


class Settings(Part):
    """What the user chose."""

    mode: Mode
    detectors: list[str]
    checkpoints: dict[str, str]
    fake_labels: dict[str, list[str]]
    device: str
    stability: bool


class Content(Part):
    """Everything in a report but its own hash."""

    schema_version: Literal["1.7"] = SCHEMA_VERSION
    analyzed_at: str = Field(description="date and time of the analysis, UTC, ISO 8601")
    file: File
    verdict: Verdict
    references: list[Reference]
    people: list[PersonSeen]
    findings: list[Finding]
    explanation: list[str]
    settings: Settings
    checkpoints: dict[str, str] = Field(description="detector to name@revision of what was loaded")
    versions: dict[str, str]
    seconds_by_stage: dict[str, Number]


class Report(Content):
    """Deepfake analysis of one file.

    Times are seconds on the clip's clock. The same file, checkpoints and settings give the same
    object, but for ``analyzed_at``, ``seconds_by_stage`` and so for ``report_sha256``.
    """

    report_sha256: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="of everything else in this object, keys sorted, no spaces; see report/seal.py",
    )


class Known(BaseModel):
    """What is read of a stored report: a number is finite, and other fields may stand beside."""

    model_config = ConfigDict(allow_inf_nan=False)


class StoredFile(Known):
    """What was analyzed, or a reference."""

    sha256: str


class StoredVerdict(Known):
    """The sum."""

    level: str
    log_odds: float | None


class StoredFinding(Known):
    """What one detector says about one person."""

    detector: str
    person: str | None
    log_odds: float | None


class Stored(Known):
    """What `report.replay` reads of a report that somebody sends; each format 1.x has it."""

    schema_version: str
    file: StoredFile
    verdict: StoredVerdict
    findings: list[StoredFinding]
    references: list[StoredFile] = []
    settings: Settings
    checkpoints: dict[str, str]
    versions: dict[str, str]
    report_sha256: str | None = None


def generated() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a report."""
    made = Report.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


if __name__ == "__main__":
    SCHEMA_FILE.write_text(json.dumps(generated(), indent=2, ensure_ascii=False) + "\n", "utf-8")
