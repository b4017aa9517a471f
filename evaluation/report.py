"""How is a measurement shown to people?

Writes ``report.html``: one file without scripts, that opens anywhere. Says what ``metrics.json``
says, no more. Imports evaluation.metrics, evaluation.plots
and evaluation.summary.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from evaluation.benchmark import TITLES
from evaluation.metrics import metrics_for
from evaluation.plots import plots
from evaluation.scores import Score
from evaluation.summary import columns

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
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
body{color:#1b1b1b;background:#fff}
table{border-collapse:collapse;margin:.5rem 0 1.5rem;font-variant-numeric:tabular-nums}
td,th{border-bottom:1px solid #ddd;padding:.25rem .7rem;text-align:left;vertical-align:top}
.protocol{background:#f3f3f3;padding:.7rem 1rem;border-left:4px solid #777}
.plots{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}img{max-width:100%}
.warn{border-left:4px solid #D55E00;padding:.3rem 1rem;background:#fff4ec}
"""


def write_report(path: Path, metrics: Mapping, scores: Sequence[Score]) -> None:
    """Write the page for the content of ``metrics.json``."""
    labels, values, _ = columns(scores)
    there = np.isfinite(values)
    figures = plots(labels[there], values[there])
    parts = [
        "<h1>Measurement of the deepfake detector</h1>",
        f'<p class="protocol"><b>Protocol.</b> {_text(metrics["protocol"])}.</p>',
        *_warnings(metrics),
        "<h2>Fused score of a file</h2>",
        _figure_table(metrics["fused"]),
        _images(figures),
        *_benchmark(metrics.get("benchmark")),
        "<h2>Abstention</h2>",
        _table(
            ("", "value"),
            [(ABSTENTION_TITLES[k], _show(v)) for k, v in metrics["abstention"].items()],
        ),
        "<h2>Levels</h2>",
        _table(
            ("level", "real", "fake"),
            [(level, n["real"], n["fake"]) for level, n in metrics["levels"].items()],
        ),
        "<h2>False alarms by source of real files</h2>",
        _alarm_table("source", metrics["false_alarms_by_source"]),
        "<h2>By kind of fake</h2>",
        _alarm_table("kind", metrics["by_kind_of_fake"]),
        "<h2>Each detector alone, where it is applicable</h2>",
        _detector_table(metrics["detectors"]),
        "<h2>What can be guessed without looking at a face</h2>",
        _baseline_table(metrics["baselines"]),
        *_tiers(metrics.get("tiers")),
        *_unreadable(metrics["unreadable"]),
        "<h2>Files</h2>",
        _file_table(scores),
    ]
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Measurement</title>'
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )
    path.write_text(page, "utf-8")


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
    words += [f"{name}: {why}" for name, why in metrics["missing_checkpoints"].items()]
    return [f'<p class="warn">{_text(sentence)}</p>' for sentence in words]


def _figure_table(figures: Mapping[str, Mapping]) -> str:
    if not figures:
        return "<p>Without numbers for both real and fake files there is nothing to rank.</p>"
    titles = {metric.name: metric.title for metric in metrics_for(calibrated=True)}
    rows = [(titles[name], _interval(figure)) for name, figure in figures.items()]
    return _table(("figure", "value (95 % interval over groups)"), rows)


def _benchmark(figures: Mapping[str, float] | None) -> list[str]:
    """What benchmarks of stored frames print for the same scores."""
    if not figures:
        return []
    rows = [(TITLES[name], _show(value)) for name, value in figures.items()]
    return ["<h2>As benchmarks of stored frames print it</h2>", _table(("figure", "value"), rows)]


def _images(figures: Mapping[str, str]) -> str:
    shown = [
        f'<figure><img src="{url}" alt="{title}"><figcaption>{title}</figcaption></figure>'
        for title, url in figures.items()
    ]
    return f'<div class="plots">{"".join(shown)}</div>'


def _alarm_table(name: str, rows: Sequence[Mapping]) -> str:
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
    return _table((*head, "AUC against all reals") if ranked else head, cells)


def _detector_table(detectors: Mapping[str, Mapping]) -> str:
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
    return _table(head, rows)


def _baseline_table(baselines: Mapping) -> str:
    names = {"metadata": "size, rate, bit rate, length, file size", "file_size": "file size alone"}
    rows = [
        (words, _interval(baselines[name].get("auc")), baselines[name].get("note", ""))
        for name, words in names.items()
    ]
    return _table(("from", "AUC", "note"), rows)


def _tiers(tiers: Mapping[str, Mapping] | None) -> list[str]:
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
    note = "<p>The same thresholds everywhere; real and fake re-encoded alike.</p>"
    return ["<h2>After re-encoding</h2>", note, _table(head, rows)]


def _unreadable(rows: Sequence[Mapping[str, str]]) -> list[str]:
    if not rows:
        return []
    shown = [(row["path"], row["code"], row["sentence"]) for row in rows]
    return ["<h2>Files that could not be read</h2>", _table(("file", "code", "reason"), shown)]


def _file_table(scores: Sequence[Score]) -> str:
    rows = [
        (
            *(s.item.name, "fake" if s.item.label else "real", s.item.kind, s.level),
            *(_show(s.log_odds), *(_show(n.log_odds) or n.reason for n in s.detectors.values())),
        )
        for s in scores[:MOST_FILES]
    ]
    names = list(scores[0].detectors) if scores else []
    return _table(("file", "truth", "kind", "level", "log-odds", *names), rows)


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


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


def _text(value: object) -> str:
    return html.escape(str(value))
