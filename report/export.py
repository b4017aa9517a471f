"""How is an analysis handed to another program?

As one JSON object whose shape is `report.schema.Report`, published as ``schema.json``. The same
file, checkpoints and settings give the same object, but for ``analyzed_at``, ``seconds_by_stage``
and so for ``report_sha256``, the hash of all the rest (see seal). Imports analysis (types), verdict
and its neighbors schema and seal.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from functools import cache
from typing import Any

from analysis import Analysis, PersonRecord
from detectors.base import Finding
from report.schema import SCHEMA_FILE, Content, Report
from report.seal import sealed
from verdict.fusion import Opinion
from verdict.levels import verbal_step


@cache
def schema() -> dict[str, Any]:
    """The published JSON Schema of `to_json`."""
    return json.loads(SCHEMA_FILE.read_text("utf-8"))


def to_json(analysis: Analysis) -> dict[str, Any]:
    """An analysis as plain JSON values, with the hash of all of them (no images, no NaN)."""
    return sealed(_content(analysis).model_dump(mode="json"))


def to_report(analysis: Analysis) -> Report:
    """An analysis as the typed report."""
    return Report.model_validate(to_json(analysis))


def _content(analysis: Analysis) -> Content:
    return Content.model_validate(
        {
            "analyzed_at": analysis.analyzed_at,
            "file": _file(analysis),
            "verdict": _verdict(analysis),
            "references": [asdict(reference) for reference in analysis.references],
            "people": [_person(analysis, person) for person in analysis.people],
            "findings": [_finding(finding) for finding in analysis.findings],
            "explanation": list(analysis.explanation),
            "settings": _settings(analysis),
            "checkpoints": dict(analysis.checkpoints),
            "versions": dict(analysis.versions),
            "seconds_by_stage": dict(analysis.seconds_by_stage),
        }
    )


def to_text(analysis: Analysis) -> str:
    """The JSON as text for a file: two spaces, one final newline, strict numbers."""
    return json.dumps(to_json(analysis), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _file(analysis: Analysis) -> dict[str, Any]:
    provenance = analysis.provenance
    return {
        "name": analysis.name,
        "sha256": analysis.sha256,
        "bytes": analysis.bytes,
        "kind": analysis.kind,
        "container": analysis.container,
        "duration_s": float(analysis.duration_s),
        "examined_s": float(analysis.examined_s),
        "size_wh": [int(side) for side in analysis.size_wh],
        "fps": float(analysis.fps),
        "has_sound": analysis.has_audio,
        "speech_s": [[float(a), float(b)] for a, b in analysis.speech_s],
        "turns": [asdict(turn) for turn in analysis.turns],
        "warnings": list(analysis.warnings),
        "provenance": {
            "facts": {str(name): str(value) for name, value in provenance.facts.items()},
            "notes": list(provenance.notes),
            "content_credentials": provenance.content_credentials,
            "says_generated": provenance.says_generated,
            "marks": [asdict(mark) for mark in provenance.marks],
        },
    }


def _opinion(opinion: Opinion) -> dict[str, Any]:
    return {
        "person": opinion.person,
        "level": opinion.level,
        "probability": opinion.probability,
        "log_odds": opinion.log_odds,
        "llr": opinion.llr,
        "log10_lr": None if opinion.llr is None else opinion.llr / math.log(10),
        "verbal_scale": None if opinion.llr is None else verbal_step(opinion.llr),
        "contributions": dict(opinion.contributions),
        "weights": dict(opinion.weights),
        "unfamiliar": opinion.unfamiliar,
    }


def _verdict(analysis: Analysis) -> dict[str, Any]:
    fitted, intercept = analysis.verdict.parameters, float(analysis.verdict.intercept)
    return {
        **_opinion(analysis.verdict.opinion),
        "intercept": intercept,
        "prior_log_odds": intercept,
        "thresholds": asdict(analysis.verdict.thresholds),
        "against": list(analysis.verdict.against),
        "warnings": list(analysis.verdict.warnings),
        "calibrated_on": {"data": fitted.fitted_on, "date": fitted.date},
    }


def _person(analysis: Analysis, person: PersonRecord) -> dict[str, Any]:
    opinion = next((o for o in analysis.verdict.people if o.person == person.name), None)
    quality = person.quality
    return {
        "person": person.name,
        "stretches_s": [[float(a), float(b)] for a, b in person.stretches_s],
        "frames": int(person.frames),
        "quality": {
            "face_px": quality.face_px,
            "sharpness": quality.sharpness,
            "brightness": quality.brightness,
            "yaw_deg": quality.yaw_deg,
            "problem": quality.problem,
        },
        "opinion": _opinion(opinion) if opinion is not None else None,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    reason = finding.reason
    return {
        "detector": finding.detector,
        "person": finding.person,
        "score": finding.score,
        "llr": finding.llr,
        "log_odds": finding.value,
        "status": finding.status,
        "reason": {"code": reason.code, "sentence": reason.sentence} if reason else None,
        "measures": dict(finding.measures),
        "windows": [
            {
                "start_s": float(w.start_s),
                "stop_s": float(w.stop_s),
                "score": w.score,
                "llr": w.llr,
                "log_odds": w.value,
            }
            for w in finding.windows
        ],
        "checkpoint": finding.checkpoint,
        "calibrated": finding.calibrated,
        "level_shift": finding.level_shift,
    }


def _settings(analysis: Analysis) -> dict[str, Any]:
    chosen = analysis.settings
    return {
        "mode": chosen.mode,
        "detectors": list(chosen.detectors),
        "checkpoints": dict(chosen.checkpoints),
        "fake_labels": {name: list(labels) for name, labels in chosen.fake_labels.items()},
        "device": chosen.device,
        "stability": chosen.stability,
    }
