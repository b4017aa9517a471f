"""What is written about one file? One row of a fixed shape, whatever became of the file.

Imports analysis and all before it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis import Analysis
from detectors.base import Finding
from errors import UserError
from media.clip import sha256_of
from verdict.fusion import Opinion

VERSION = "1"
_TEXT, _NUMBER = pa.string(), pa.float64()
_PEOPLE = pa.struct(
    [("person", _TEXT), ("level", _TEXT), ("probability", _NUMBER), ("log_odds", _NUMBER)]
)
_FINDINGS = pa.struct(
    [
        ("detector", _TEXT), ("person", _TEXT), ("status", _TEXT), ("score", _NUMBER),
        ("llr", _NUMBER), ("reason", _TEXT), ("sentence", _TEXT), ("checkpoint", _TEXT),
    ]
)  # fmt: skip
SCHEMA = pa.schema(
    [
        ("id", _TEXT),  # hash of the URI
        ("uri", _TEXT),
        ("sha256", _TEXT),  # of the file's content
        ("bytes", pa.int64()),
        ("kind", _TEXT),
        ("duration_s", _NUMBER),
        ("examined_s", _NUMBER),
        ("level", _TEXT),
        ("probability", _NUMBER),
        ("log_odds", _NUMBER),
        ("person", _TEXT),
        ("people", pa.list_(_PEOPLE)),
        ("findings", pa.list_(_FINDINGS)),
        ("explanation", pa.list_(_TEXT)),
        ("warnings", pa.list_(_TEXT)),
        ("error", _TEXT),  # code of a file without a verdict
        ("error_sentence", _TEXT),
        ("seconds", _NUMBER),  # wall time on one worker, fetching included
        ("stages", pa.list_(pa.struct([("stage", _TEXT), ("seconds", _NUMBER)]))),
        ("analyzed_at", _TEXT),  # UTC, ISO 8601
    ],
    metadata={"schema_version": VERSION},
)
Row = dict[str, Any]  # a value for each column of `SCHEMA` that is not null


def table(rows: Sequence[Row]) -> pa.Table:
    """Rows as a table of `SCHEMA`."""
    return pa.Table.from_pylist(list(rows), SCHEMA)


def verdict_row(analysis: Analysis) -> Row:
    """What was found out about a file."""
    opinion = analysis.verdict.opinion
    return {
        "sha256": analysis.sha256,
        "bytes": analysis.bytes,
        "kind": str(analysis.kind),
        "duration_s": float(analysis.duration_s),
        "examined_s": float(analysis.examined_s),
        **_opinion(opinion),
        "people": [_opinion(one) for one in analysis.verdict.people],
        "findings": [_finding(one) for one in analysis.findings],
        "explanation": list(analysis.explanation),
        "warnings": list(analysis.warnings),
        "stages": [{"stage": s, "seconds": t} for s, t in analysis.seconds_by_stage.items()],
        "analyzed_at": analysis.analyzed_at,
    }


def error_row(error: UserError, path: Path | None = None) -> Row:
    """Why there is no verdict, and which content that is said of, where it can be read."""
    row: Row = {"error": error.code, "error_sentence": error.sentence}
    if path is not None and os.access(path, os.R_OK) and path.is_file():
        row |= {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    return row


def _opinion(opinion: Opinion) -> Row:
    return {
        "person": opinion.person,
        "level": str(opinion.level),
        "probability": opinion.probability,
        "log_odds": opinion.log_odds,
    }


def _finding(finding: Finding) -> Row:
    reason = finding.reason
    return {
        "detector": finding.detector,
        "person": finding.person,
        "status": str(finding.status),
        "score": finding.score,
        "llr": finding.llr,
        "reason": reason.code if reason else None,
        "sentence": reason.sentence if reason else None,
        "checkpoint": finding.checkpoint,
    }
