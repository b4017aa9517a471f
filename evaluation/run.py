"""What does the program say about each file of a manifest?

Sends every file through ``analysis.analyze`` and keeps what was measured, line by line, so that a
stopped run goes on where it stopped. What is kept are raw scores: calibration and fusion are
applied when the lines are read, so that both can be fitted on them. Imports evaluation.workers,
analysis and all before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from analysis import POOL, Analysis, Settings, analyze, load_detector
from detectors.base import Finding, Reason, Status
from detectors.pool import Pool
from detectors.registry import names, role_of, roles
from errors import UserError, from_bug
from evaluation.manifest import Item
from evaluation.scores import Number, Score
from evaluation.workers import KILLED, share
from hub.checkpoint import Checkpoint
from media.sniff import MediaKind
from verdict.fusion import FusionParameters, fuse
from verdict.levels import Level

VERSION = 3  # of the lines that are kept
Progress = Callable[[int, int, str], None]  # files done, files in all, what is being done


@dataclass(frozen=True)
class Setup:
    """What files are measured with.

    Attributes:
        settings: of the analysis.
        checkpoints: detector → its checkpoint, for those that could be loaded.
        failed: detector → why not.
    """

    settings: Settings
    checkpoints: Mapping[str, Checkpoint]
    failed: Mapping[str, Reason]

    @property
    def fingerprint(self) -> str:
        """16 hex digits of what changes every raw score, whatever the checkpoint."""
        facts = [VERSION, self.settings.mode, self.settings.stability]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def key(self, detector: str) -> str:
        """Tells the checkpoint of a detector, as it is used, from every other one."""
        checkpoint = self.checkpoints.get(detector)
        return checkpoint.key if checkpoint else f"missing: {self.failed[detector].code}"

    def changed(self, record: ScoreRecord | None) -> tuple[str, ...]:
        """Detectors that must measure a file: new ones, and those with another checkpoint.

        One without any checkpoint is no reason to read a file again.
        """
        if record is None:
            return self.settings.detectors
        able = [
            d for d in self.settings.detectors
            if d not in self.failed or self.failed[d].code != "no_checkpoint"
        ]  # fmt: skip
        return tuple(d for d in able if record.keys.get(d) != self.key(d))


def set_up(settings: Settings, pool: Pool = POOL) -> Setup:
    """Load what the settings ask for, before the first file.

    Raises:
        UserError: when a checkpoint that the user chose cannot be used.
    """
    loaded, failed = {}, {}
    for name in settings.detectors:
        try:
            loaded[name] = load_detector(name, settings, pool).checkpoint
        except UserError as error:
            if name in settings.checkpoints:
                raise
            failed[name] = Reason(error.code, error.sentence)
    return Setup(settings, loaded, failed)


@dataclass(frozen=True)
class ScoreRecord:
    """What was measured of one file.

    Attributes:
        name: the path as the manifest writes it.
        stamp: size and time of the file, so that a changed file is measured again.
        facts: ``kind, width_px, height_px, fps, duration_s, bytes, sound``; empty if unreadable.
        findings: ``detector, person, raw, reason, sentence, measures``, one for each person.
        unstable: the strongest evidence did not survive re-encoding.
        seconds: by stage.
        error: ``code`` and ``sentence`` of a file that could not be read, else None.
        keys: detector → which checkpoint measured.
    """

    name: str
    stamp: str
    facts: Mapping[str, float | str]
    findings: tuple[Mapping[str, Any], ...]
    unstable: bool
    seconds: Mapping[str, float]
    error: Mapping[str, str] | None
    keys: Mapping[str, str]


def score_files(
    items: Sequence[Item],
    setup: Setup,
    lines: Path,
    on_progress: Progress = lambda done, total, text: None,
    as_seen: Callable | None = None,
    pool: Pool = POOL,
    workers: int = 1,
) -> list[ScoreRecord]:
    """Measure all files; go on where a former run stopped.

    Where one checkpoint has changed since, only its detector measures again.

    Args:
        items: the files.
        setup: from `set_up`.
        lines: the file of kept lines; one of another mode is begun anew.
        on_progress: called before each file.
        as_seen: context manager from an item's path to the path that is analyzed (re-encoding).
        pool: where loaded networks are kept (by one worker; several have their own).
        workers: processes that measure at the same time, each with one thread.

    Returns:
        One record an item, in their order.
    """
    stored = read_lines(lines, setup.fingerprint)
    _begin(lines, setup, stored)
    tasks = [(item, stored.get((item.name, _stamp(item.path)))) for item in items]
    tasks = [task for task in tasks if setup.changed(task[1])]
    done = len(items) - len(tasks)
    measured = _measured(tasks, setup, as_seen or _as_it_is, pool, workers)
    with lines.open("a", encoding="utf-8") as file:
        for number, (item, _) in enumerate(tasks):
            on_progress(done + number, len(items), item.name)
            record = next(measured)
            stored[record.name, record.stamp] = record
            file.write(json.dumps(asdict(record)) + "\n")
            file.flush()
    on_progress(len(items), len(items), "done")
    by_name = {record.name: record for record in stored.values()}
    return [by_name[item.name] for item in items]


Task = tuple[Item, ScoreRecord | None]  # a file, and what a former run measured of it


def _measured(
    tasks: Sequence[Task], setup: Setup, as_seen: Callable, pool: Pool, workers: int
) -> Iterator[ScoreRecord]:
    """Records as they are done, by this process or by several."""
    if workers <= 1 or len(tasks) < 2:
        yield from (_measure(task, setup, as_seen, pool) for task in tasks)
        return
    for answer in share(partial(_measure, setup=setup, as_seen=as_seen), tasks, workers):
        yield answer.result or _unread(answer.task[0], setup, KILLED)


def read_lines(lines: Path, fingerprint: str | None = None) -> dict[tuple[str, str], ScoreRecord]:
    """Records of a former run by name and stamp; none if it measured with something else."""
    if not lines.is_file():
        return {}
    head, *rest = lines.read_text("utf-8").splitlines() or [""]
    try:
        if fingerprint is not None and json.loads(head)["fingerprint"] != fingerprint:
            return {}
    except (ValueError, KeyError):
        return {}
    records = {}
    for line in rest:
        try:
            data = json.loads(line)
        except ValueError:  # the run was stopped while it wrote this line
            continue
        records[data["name"], data["stamp"]] = ScoreRecord(
            **{**data, "findings": tuple(data["findings"])}
        )
    return records


def score_of(
    item: Item, record: ScoreRecord, setup: Setup, numbers: FusionParameters | None = None
) -> Score:
    """Calibrate and fuse what was measured: what the program says about the file today.

    Args:
        item: the file.
        record: its measurements.
        setup: its checkpoints carry the calibrations.
        numbers: of the fusion; those of ``fusion.json`` by default.
    """
    if record.error is not None:
        unread = Number(None, Status.NOT_APPLICABLE, record.error["code"])
        return Score(item, Level.NOT_ASSESSED, None, None, None, dict.fromkeys(names(), unread))
    asked = setup.settings.detectors
    findings = [_finding(entry, setup) for entry in record.findings if entry["detector"] in asked]
    image = record.facts.get("kind") == MediaKind.IMAGE
    opinion = fuse(findings, image, record.unstable, numbers).opinion
    person = opinion.person if opinion.log_odds is not None else _most_suspicious(findings)
    detectors = {name: _number(name, person, findings) for name in names()}
    return Score(item, opinion.level, opinion.probability, opinion.log_odds, person, detectors)


def raw_of(record: ScoreRecord, detector: str) -> float | None:
    """Raw score of a file for one detector: that of its most suspicious person."""
    raws = [f["raw"] for f in record.findings if f["detector"] == detector and f["raw"] is not None]
    return max(raws, default=None)


def _begin(lines: Path, setup: Setup, stored: Mapping[tuple[str, str], ScoreRecord]) -> None:
    """Write the head and what is kept of a former run, without a line that it left unfinished."""
    labels = {name: checkpoint.label for name, checkpoint in setup.checkpoints.items()}
    head = json.dumps({"fingerprint": setup.fingerprint, "checkpoints": labels})
    lines.parent.mkdir(parents=True, exist_ok=True)
    whole = [head, *(json.dumps(asdict(record)) for record in stored.values())]
    lines.write_text("\n".join(whole) + "\n", "utf-8")


@contextmanager
def _as_it_is(path: Path) -> Iterator[Path]:
    yield path


def _measure(task: Task, setup: Setup, as_seen: Callable, pool: Pool = POOL) -> ScoreRecord:
    """Let those detectors look at a file that have not, and join what a former run measured."""
    item, former = task
    fresh, stamp = setup.changed(former), _stamp(item.path)
    try:
        with as_seen(item.path) as path:
            result = analyze(path, replace(setup.settings, detectors=fresh), pool=pool)
    except Exception as caught:  # one file must not end the measurement of all the others
        return _unread(item, setup, caught if isinstance(caught, UserError) else from_bug(caught))
    new = ScoreRecord(
        name=item.name,
        stamp=stamp,
        facts=_facts(result),
        findings=tuple(_entry(f) for f in result.findings),
        unstable=result.verdict.unstable,
        seconds={stage: round(s, 3) for stage, s in result.seconds_by_stage.items()},
        error=None,
        keys={name: setup.key(name) for name in fresh},
    )
    return new if former is None or former.error is not None else _joined(former, new)


def _joined(former: ScoreRecord, new: ScoreRecord) -> ScoreRecord:
    """Findings of both; a detector that measured again replaces what it said before."""
    rechecked = {role.name for role in roles() if role.recheck}
    before = tuple(f for f in former.findings if f["detector"] not in new.keys)
    return replace(
        new,
        findings=before + new.findings,
        unstable=new.unstable if rechecked & new.keys.keys() else former.unstable,
        seconds={**former.seconds, **new.seconds},
        keys={**former.keys, **new.keys},
    )


def _unread(item: Item, setup: Setup, error: UserError) -> ScoreRecord:
    keys = {detector: setup.key(detector) for detector in setup.settings.detectors}
    reason = {"code": error.code, "sentence": error.sentence[:500]}
    return ScoreRecord(item.name, _stamp(item.path), {}, (), False, {}, reason, keys)


def _stamp(path: Path) -> str:
    try:
        result = path.stat()
    except OSError:
        return "absent"
    return f"{result.st_size}-{result.st_mtime_ns}"


def _facts(result: Analysis) -> dict[str, float | str]:
    return {
        "kind": result.kind,
        "width_px": result.size_wh[0],
        "height_px": result.size_wh[1],
        "fps": result.fps,
        "duration_s": result.duration_s,
        "bytes": result.bytes,
        "sound": float(result.has_audio),
    }


def _entry(finding: Finding) -> dict[str, object]:
    """A finding as it is kept: its raw score, because another calibration may come."""
    return {
        "detector": finding.detector,
        "person": finding.person,
        "raw": finding.score,
        "reason": finding.reason.code if finding.reason else None,
        "sentence": finding.reason.sentence if finding.reason else None,
        "measures": dict(finding.measures),
    }


def _finding(entry: Mapping, setup: Setup) -> Finding:
    """A kept entry as a finding, calibrated as its checkpoint is calibrated now."""
    name, raw = entry["detector"], entry["raw"]
    checkpoint = setup.checkpoints.get(name)
    calibration = checkpoint.card.calibration if checkpoint else None
    votes = checkpoint is not None and checkpoint.card.votes
    vote = Status.COUNTED if votes else Status.EXPERIMENTAL
    status = Status.UNCALIBRATED if calibration is None else vote
    reason = None
    if raw is None:
        code = entry["reason"] or "broken_output"
        reason = Reason(code, entry["sentence"] or "")
    return Finding(
        role=role_of(name),
        person=entry["person"],
        score=raw,
        llr=None if raw is None or calibration is None else calibration.apply(raw),
        status=Status.NOT_APPLICABLE if raw is None else status,
        reason=reason,
        windows=(),
        measures=entry["measures"],
        checkpoint=checkpoint.label if checkpoint else "embedded",
        calibrated=calibration is not None,
    )


def _most_suspicious(findings: Sequence[Finding]) -> str | None:
    """Whom the file's numbers are about when nothing could be counted."""
    scored = [(f.value, f.person) for f in findings if f.value is not None and f.person]
    if scored:
        return max(scored)[1]
    return next((f.person for f in findings if f.person is not None), None)


def _number(name: str, person: str | None, findings: Sequence[Finding]) -> Number:
    """One detector's number for the person whom the verdict is about, or for the whole image."""
    subset = [f for f in findings if f.detector == name and f.person in (person, None)]
    if not subset:
        return Number(None, Status.NOT_APPLICABLE, "not_run")
    chosen = next((f for f in subset if f.score is not None), subset[0])
    return Number(chosen.value, chosen.status, chosen.reason.code if chosen.reason else "")
