"""How is a measurement shown to people?

Writes ``report.html``: one file without scripts, that opens anywhere. Says what ``metrics.json``
says, no more. Imports report (templates and style sheet), evaluation.metrics, evaluation.plots and
evaluation.summary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evaluation.benchmark import TITLES
from evaluation.metrics import metrics_for
from evaluation.plots import plots
from evaluation.scores import Score
from evaluation.summary import columns
from report.render import css, render

MOST_FILES = 2000  # rows of the table of files; scores.csv has them all
ABSTENTION_TITLES = {
    "coverage": "Coverage: files with a number",
    "coverage_real": "Coverage of real files",
    "coverage_fake": "Coverage of fake files",
    "auc_of_applicability": "AUC of having a number (0.5 = gives nothing away)",
    "answered_share": "Files answered (Strong, Some or No signs)",
    "answered_accuracy": "Right among the answered",
    "area_under_risk_coverage": "Area under the risk-coverage curve",
    "n_applicable": "Files with a number",
}


@dataclass(frozen=True)
class Section:
    """One part of the page, as its template lays it out.

    Attributes:
        title: heading.
        head, rows: of a table; none where ``head`` is empty.
        note: a sentence above it.
        plots: title → data URI of an image.
    """

    title: str
    head: tuple[str, ...] = ()
    rows: Sequence[Sequence[object]] = ()
    note: str = ""
    plots: Mapping[str, str] = field(default_factory=dict)


def write_report(path: Path, metrics: Mapping, scores: Sequence[Score]) -> None:
    """Write the page for the content of ``metrics.json``."""
    page = render(
        "measurement", protocol=metrics["protocol"], warnings=_warnings(metrics),
        sections=_sections(metrics, scores), css=css(),
    )  # fmt: skip
    path.write_text(page, "utf-8")


def _sections(metrics: Mapping, scores: Sequence[Score]) -> list[Section]:
    levels = [(level, n["real"], n["fake"]) for level, n in metrics["levels"].items()]
    abstention = [(ABSTENTION_TITLES[k], _show(v)) for k, v in metrics["abstention"].items()]
    return [
        _fused(metrics["fused"], scores),
        *_benchmark(metrics.get("benchmark")),
        Section("Abstention", ("", "value"), abstention),
        Section("Levels", ("level", "real", "fake"), levels),
        _alarms(
            "False alarms by source of real files", "source", metrics["false_alarms_by_source"]
        ),
        _alarms("By kind of fake", "kind", metrics["by_kind_of_fake"]),
        _detectors(metrics["detectors"]),
        _baselines(metrics["baselines"]),
        *_tiers(metrics.get("tiers")),
        *_unreadable(metrics["unreadable"]),
        _files(scores),
    ]


def _warnings(metrics: Mapping) -> list[str]:
    data, words = metrics["data"], []
    if data["indicative"]:
        words.append(f"Only {data['n']} files: all figures are indicative.")
    guess = (metrics["baselines"]["metadata"].get("auc") or {}).get("value")
    if guess is not None and guess > metrics["baselines"]["unsafe_above"]:
        words.append(
            f"Metadata alone reaches AUC {guess:.2f}: real and fake files differ in size, rate or "
            "codec, so the figures above may owe something to that."
        )
    return words + [f"{name}: {why}" for name, why in metrics["missing_checkpoints"].items()]


def _fused(figures: Mapping[str, Mapping], scores: Sequence[Score]) -> Section:
    title = "Fused score of a file"
    if not figures:
        nothing = "Without numbers for both real and fake files there is nothing to rank."
        return Section(title, note=nothing)
    labels, values, _ = columns(scores)
    there = np.isfinite(values)
    titles = {metric.name: metric.title for metric in metrics_for(calibrated=True)}
    rows = [(titles[name], _interval(figure)) for name, figure in figures.items()]
    head = ("figure", "value (95 % interval over groups)")
    return Section(title, head, rows, plots=plots(labels[there], values[there]))


def _benchmark(figures: Mapping[str, float] | None) -> list[Section]:
    """What other benchmarks print for the same scores."""
    if not figures:
        return []
    rows = [(TITLES[name], _show(value)) for name, value in figures.items()]
    return [Section("As other benchmarks print it", ("figure", "value"), rows)]


def _alarms(title: str, name: str, rows: Sequence[Mapping]) -> Section:
    head = (name, "files", "Strong", "Some", "share", "not assessed", "median log-odds")
    ranked = any("auc" in row for row in rows)
    cells = [
        (
            *(row[name], row["n"], row["strong"], row["some"], _show(row["alarm_share"])),
            *(row["not_assessed"], _show(row["median_log_odds"])),
            *((_interval(row.get("auc")),) if ranked else ()),
        )
        for row in rows
    ]
    return Section(title, (*head, "AUC against all reals") if ranked else head, cells)


def _detectors(detectors: Mapping[str, Mapping]) -> Section:
    head = (
        *("detector", "files", "coverage", "AUC where applicable", "AUC of applicability"),
        "expected calibration error",
    )
    rows = []
    for name, result in detectors.items():
        where = result["where_applicable"]
        why = ", ".join(f"{reason} {n}" for reason, n in result["reasons"].items())
        rows.append(
            (
                *(name, result["n_applicable"], f"{_show(result['coverage'])} ({why or 'all'})"),
                *(_interval(where.get("auc")), _show(result["auc_of_applicability"])),
                _interval(where.get("ece")),
            )
        )
    return Section("Each detector alone, where it is applicable", head, rows)


def _baselines(baselines: Mapping) -> Section:
    names = {"metadata": "size, rate, bit rate, length, file size", "file_size": "file size alone"}
    rows = [
        (words, _interval(baselines[name].get("auc")), baselines[name].get("note", ""))
        for name, words in names.items()
    ]
    title = "What can be guessed without looking at a face"
    return Section(title, ("from", "AUC", "note"), rows)


def _tiers(tiers: Mapping[str, Mapping] | None) -> list[Section]:
    if not tiers:
        return []
    head = ("tier", "AUC", "coverage", "false alarms", "caught", "flipped", "level changed")
    keys = ("fpr_at_unchanged_threshold", "tpr_at_unchanged_threshold")
    rows = [
        (
            *(name, _interval(result["auc"]), _show(result["coverage"])),
            *(_show(result[key]) for key in keys),
            *(_show(result["flipped_verdicts"]), _show(result["changed_levels"])),
        )
        for name, result in tiers.items()
    ]
    note = "The same thresholds everywhere; real and fake re-encoded alike."
    return [Section("After re-encoding", head, rows, note)]


def _unreadable(rows: Sequence[Mapping[str, str]]) -> list[Section]:
    if not rows:
        return []
    shown = [(row["path"], row["code"], row["sentence"]) for row in rows]
    return [Section("Files that could not be read", ("file", "code", "reason"), shown)]


def _files(scores: Sequence[Score]) -> Section:
    rows = [
        (
            *(s.item.name, "fake" if s.item.label else "real", s.item.kind, s.level),
            *(_show(s.log_odds), *(_show(n.log_odds) or n.reason for n in s.detectors.values())),
        )
        for s in scores[:MOST_FILES]
    ]
    names = list(scores[0].detectors) if scores else []
    return Section("Files", ("file", "truth", "kind", "level", "log-odds", *names), rows)


def _interval(figure: Mapping | None) -> str:
    if not figure or figure.get("value") is None:
        return ""
    if figure.get("low") is None:
        return f"{figure['value']:.3f} (too few groups for an interval)"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def _show(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
