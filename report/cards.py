"""How does each part of an analysis read as HTML?

Fragments without scripts, used by the report page and by the app alike, so that both say the same.
Every text from outside (file names, metadata, checkpoint names) is escaped here. Imports analysis
(types), verdict and report.words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from analysis import Analysis
from detectors.base import Finding
from media.provenance.credentials import TRUST_LIST_DATE
from report.export import to_json
from report.seal import FIELD
from report.words import (
    LOOKS,
    MOST_SHOWN,
    STATUS,
    clock,
    in_words,
    measure,
    percent,
    signed,
    size,
    title,
)
from verdict.fusion import Opinion, Verdict, fusion_parameters

CSS = Path(__file__).with_name("report.css")
CREDENTIALS = {
    "none": "none in the file",
    "elsewhere": "kept elsewhere, not fetched",
    "trusted": f"present, they hold, and the signer is on the C2PA trust list of {TRUST_LIST_DATE}",
    "unknown_signer": "present, and they hold, but the signer is unknown",
    "invalid": "present, but they do not hold",
    "unreadable": "could not be read",
}


def declared(analysis: Analysis) -> str:
    """What the file says about itself, above the verdict; empty when it says nothing."""
    said = analysis.provenance.declared()
    if not said:
        return ""
    return (
        "<section class='declared' aria-label='What the file says about itself'>"
        f"<p class='eyebrow'>Declared, not judged</p>{sentences(said)}</section>"
    )


def verdict_card(analysis: Analysis) -> str:
    """Level, probability, the scale, and what the level does not mean."""
    opinion = analysis.verdict.opinion
    look = LOOKS[opinion.level]
    who = f"<p class='who'>{escape(_who(analysis, opinion))}</p>"
    return (
        f"<section class='verdict' style='--level:{look.colour}' aria-label='Verdict'>"
        f"<p class='eyebrow'>Verdict</p>"
        f"<h2><span class='sign' aria-hidden='true'>{look.sign}</span> "
        f"{escape(opinion.level)}</h2>{who}<p class='meaning'>{escape(look.meaning)}</p>"
        f"{_scale(analysis.verdict)}{_probability(opinion)}"
        "</section>"
    )


def for_and_against(analysis: Analysis) -> str:
    """The sum of the evidence, line by line, with what speaks for the other side and warnings."""
    parts = [_sum_table(analysis)]
    against = analysis.verdict.against
    if analysis.verdict.opinion.log_odds is not None:
        none = "<p class='quiet'>Nothing that was counted speaks for the other side.</p>"
        parts += [
            "<h3>What speaks for the other side</h3>",
            sentences(against) if against else none,
        ]
    if analysis.warnings:
        parts.append(
            f"<div class='warn' role='note'><h3>Warnings</h3>{sentences(analysis.warnings)}</div>"
        )
    return "".join(parts)


def explanation(analysis: Analysis) -> str:
    """The plain sentences, made from the findings alone."""
    return sentences(analysis.explanation)


def sentences(texts: Iterable[str]) -> str:
    """A list of escaped sentences."""
    return "<ul class='says'>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def people_table(analysis: Analysis) -> str:
    """Who was seen, when, how well, and the opinion on each."""
    if not analysis.people:
        return "<p class='quiet'>No face was followed in this file.</p>"
    opinions = {o.person: o for o in analysis.verdict.people}
    rows = []
    for person in analysis.people:
        opinion, quality = opinions.get(person.name), person.quality
        problem = f", {quality.problem.replace('_', ' ')}" if quality.problem else ""
        rows.append(
            (
                escape(person.name),
                _level_badge(opinion.level) if opinion else "–",
                escape(_figure(opinion)),
                escape(_when(analysis, person.stretches_s)),
                escape(f"{quality.face_px:.0f} px wide, turned {quality.yaw_deg:.0f}°{problem}"),
            )
        )
    return table(("Person", "Level", "Evidence", "Seen", "Quality"), rows, "People in the file")


def evidence_table(analysis: Analysis) -> str:
    """Every finding: the number or the reason, whether it counted, and the checkpoint."""
    rows = [_evidence_row(finding) for finding in analysis.findings]
    heads = ("Detector and checkpoint", "Person", "Says", "Vote", "Measured")
    return table(heads, rows, "What each detector says")


def file_facts(analysis: Analysis) -> str:
    """What is known of the file, its checksum first."""
    width, height = analysis.size_wh
    facts = [
        ("Name", analysis.name),
        ("SHA-256", analysis.sha256),
        ("Kind", f"{analysis.kind}, {analysis.container}"),
        ("Size", f"{size(analysis.bytes)}, {width} × {height} px"),
    ]
    if analysis.kind == "video":
        examined = f"{clock(analysis.examined_s)} of {clock(analysis.duration_s)} examined"
        facts += [
            ("Length", f"{examined}, {analysis.fps:.2f} pictures a second"),
            ("Sound", _sound(analysis)),
        ]
    provenance = analysis.provenance
    state = provenance.content_credentials
    facts.append(("Content credentials (C2PA)", CREDENTIALS.get(state, state)))
    known = {"container", "size on disk"}
    facts += [(k.capitalize(), v) for k, v in provenance.facts.items() if k not in known]
    notes = sentences(provenance.notes) if provenance.notes else ""
    hint = "<p class='quiet'>Such data is easily removed or forged; it never decides a verdict.</p>"
    return pairs(facts) + notes + hint


def made_with(analysis: Analysis) -> str:
    """Settings, checkpoints and versions: what is needed to get the same result again."""
    chosen = analysis.settings
    facts = [("Mode", chosen.mode), ("Detectors", ", ".join(chosen.detectors))]
    facts += [(f"{title(n)}: checkpoint", label) for n, label in analysis.checkpoints.items()]
    facts += [(name, value) for name, value in analysis.versions.items()]
    fitted = fusion_parameters()
    facts.append(("Fusion weights fitted on", f"{fitted.fitted_on} ({fitted.date})"))
    facts.append(("SHA-256 of the JSON report", to_json(analysis)[FIELD]))
    return pairs(facts)


def pairs(facts: Sequence[tuple[str, str]]) -> str:
    """A list of names and values, all escaped."""
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in facts)
    return f"<dl class='facts'>{rows}</dl>"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    """A table whose rows become cards on narrow screens; the cells are HTML already."""
    head = "".join(f"<th scope='col'>{escape(h)}</th>" for h in heads)
    labels = [escape(h, quote=True) for h in heads]
    body = "".join(
        "<tr>"
        + "".join(
            f"<td data-label='{label}'>{cell}</td>" for label, cell in zip(labels, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f"<div class='scroll' tabindex='0' role='region' aria-label='{escape(caption)}'><table>"
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def badge(text: str, kind: str = "") -> str:
    """A small mark beside a word."""
    return f"<span class='badge {escape(kind)}'>{escape(text)}</span>"


def _who(analysis: Analysis, opinion: Opinion) -> str:
    number = len(analysis.people)
    if opinion.person is None:
        return "For the file as a whole."
    if number <= 1:
        return f"For {opinion.person}, the only person followed."
    return f"For {opinion.person}, the most suspicious of {number} people."


def _probability(opinion: Opinion) -> str:
    if opinion.probability is None:
        text = "No probability is given, because nothing that is calibrated could be counted."
        return f"<p class='probability quiet'>{text}</p>"
    fitted = fusion_parameters()
    return (
        f"<p class='probability'>Calibrated probability of manipulation: "
        f"<strong>{percent(opinion.probability)}</strong>, if both were equally likely beforehand."
        f"<br><small>Calibrated on: {escape(fitted.fitted_on)} ({escape(fitted.date)}). On other "
        "kinds of files it may be off.</small></p>"
    )


def _share(log_odds: float) -> float:
    """Where a value lies on the scale, 0..100 %."""
    limited = max(-MOST_SHOWN, min(MOST_SHOWN, log_odds))
    return 50 + 50 * limited / MOST_SHOWN


def _scale(verdict: Verdict) -> str:
    """The strength bar: where the sum lies between the thresholds."""
    opinion, limits = verdict.opinion, verdict.thresholds
    cuts = [_share(v) for v in (limits.none, limits.some, limits.strong)]
    edges = [0.0, *cuts, 100.0]
    names = ("no signs", "inconclusive", "some", "strong")
    zones = "".join(
        f"<span class='zone z{i}' style='left:{a:.2f}%;width:{b - a:.2f}%'><i>{name}</i></span>"
        for i, (name, a, b) in enumerate(zip(names, edges[:-1], edges[1:], strict=True))
    )
    if opinion.log_odds is None:
        return ""
    label = f"Sum of the evidence: {signed(opinion.log_odds)} log-odds"
    place = min(98.5, max(1.5, _share(opinion.log_odds)))
    return (
        f"<div class='scale' role='img' aria-label='{escape(label)}, {escape(opinion.level)}'>"
        f"{zones}"
        f"<b class='here' style='left:{place:.2f}%'></b></div>"
        f"<p class='scale-label'>{escape(label)}</p>"
    )


def _sum_table(analysis: Analysis) -> str:
    """Prior plus contributions: the explanation is the sum itself."""
    opinion = analysis.verdict.opinion
    if opinion.log_odds is None:
        return "<p class='quiet'>No detector could be counted, so there is no sum.</p>"
    judged = analysis.verdict.judged
    prior = "prior" if judged < 2 else f"prior, one of {judged} people"
    rows = [(f"Before looking ({prior})", "", _bar(analysis.verdict.intercept))]
    for name, value in sorted(opinion.contributions.items(), key=lambda item: -abs(item[1])):
        rows.append((escape(title(name)), f"× {opinion.weights[name]:.2f}", _bar(value)))
    rows.append(("<strong>Sum</strong>", "", _bar(opinion.log_odds)))
    return table(("Evidence", "Weight", "Adds (log-odds)"), rows, "How the verdict adds up")


def _bar(value: float) -> str:
    width = abs(_share(value) - 50)
    side = "for" if value >= 0 else "against"
    left = 50 if value >= 0 else 50 - width
    return (
        f"<span class='bar' aria-hidden='true'><i class='{side}' "
        f"style='left:{left:.1f}%;width:{width:.1f}%'></i></span> {signed(value)}"
    )


def _level_badge(level: str) -> str:
    look = LOOKS[level]
    return (
        f"<span class='level' style='background:{look.colour};color:{look.ink}'>"
        f"{look.sign} {escape(level)}</span>"
    )


def _figure(opinion: Opinion | None) -> str:
    if opinion is None or opinion.log_odds is None:
        return "nothing counted"
    words = f"{signed(opinion.log_odds)} log-odds"
    return words if opinion.probability is None else f"{words}, {percent(opinion.probability)}"


def _when(analysis: Analysis, stretches: Sequence[tuple[float, float]]) -> str:
    if analysis.kind != "video":
        return "in the picture"
    shown = ", ".join(f"{clock(a)} to {clock(b)}" for a, b in stretches[:3])
    return shown + (f" and {len(stretches) - 3} more" if len(stretches) > 3 else "")


def _sound(analysis: Analysis) -> str:
    if not analysis.has_audio:
        return "none"
    spoken = sum(stop - start for start, stop in analysis.speech_s)
    return f"yes, speech for {clock(spoken)} of what was examined"


def _evidence_row(finding: Finding) -> tuple[str, ...]:
    said = escape(in_words(finding))
    if finding.log_odds is not None:
        said = f"<strong>{signed(finding.log_odds)}</strong><br>{said}"
    vote = escape(STATUS[finding.status])
    if finding.status in ("uncalibrated", "experimental"):
        vote = badge(finding.status, "caution") + "<br>shown, not counted"
    if finding.reason is not None:
        vote += f"<br><code class='whole'>{escape(finding.reason.code)}</code>"
    measured = "<br>".join(escape(measure(n, v)) for n, v in finding.measures.items()) or "–"
    return (
        f"{escape(title(finding.detector))}<br><code>{escape(finding.checkpoint)}</code>",
        escape(finding.person or "whole file"),
        said,
        vote,
        measured,
    )
