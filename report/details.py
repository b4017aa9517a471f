"""What is folded away: sums and weights, raw measures, facts of the file, what it was made with.

Rows of texts for the templates. Imports analysis (types), verdict and the other files of this room.
"""

from __future__ import annotations

from dataclasses import dataclass

from analysis import Analysis
from detectors.base import Finding
from media.provenance.credentials import TRUST_LIST_DATE
from media.sniff import MediaKind
from report.export import to_json
from report.language import ENGLISH, Language
from report.roles import title
from report.seal import FIELD
from report.words import (
    MOST_SHOWN,
    clock,
    measure,
    percent,
    ratio,
    signed,
    size,
    status,
    support,
)
from verdict.explain import explain, name_of
from verdict.fusion import Opinion, Verdict

CREDENTIALS = {
    "none": "none in the file",
    "elsewhere": "kept elsewhere, not fetched",
    "trusted": f"present, they hold, and the signer is on the C2PA trust list of {TRUST_LIST_DATE}",
    "unknown_signer": "present, and they hold, but the signer is unknown",
    "invalid": "present, but they do not hold",
    "unreadable": "could not be read",
}
OUR_WORDS = ("JPEG quality", "content credentials")  # facts in our words; all others are the file's
Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Term:
    """One line of the sum.

    Attributes:
        name: of the detector, or of the start or the end of the sum.
        weight: "× 0.90" or empty.
        value: signed log-odds.
        left, width: of the bar, 0..100 %; the middle is nothing.
        side: ``for``, ``against``.
    """

    name: str
    weight: str
    value: str
    left: float
    width: float
    side: str


@dataclass(frozen=True)
class Details:
    """Everything behind the answer.

    Attributes:
        terms: intercept, contributions, sum; empty without a sum.
        people: (name, level, sum) of everybody where there are several.
        findings: (detector, person, log-odds, status, measures, checkpoint).
        sentences: the whole explanation.
        file, made_with: names and values.
        notes: oddities of the file's own data.
        calibration: on what the probability was calibrated, a sentence; empty without one.
    """

    terms: tuple[Term, ...]
    people: tuple[tuple[str, str, str], ...]
    findings: tuple[tuple[str, str, str, str, str, str], ...]
    sentences: tuple[str, ...]
    file: Facts
    made_with: Facts
    notes: tuple[str, ...]
    calibration: str


def details(analysis: Analysis, language: Language = ENGLISH) -> Details:
    """Everything that is folded away, in the reader's language."""
    people = analysis.verdict.people
    return Details(
        terms=_terms(analysis, language),
        people=tuple(_person(o, language) for o in people) if len(people) > 1 else (),
        findings=tuple(_finding(f, analysis.verdict, language) for f in analysis.findings),
        sentences=explain(
            analysis.verdict, analysis.findings, analysis.duration_s, analysis.examined_s, language
        ),
        file=_file(analysis, language),
        made_with=_made_with(analysis, language),
        notes=tuple(language(note) for note in analysis.provenance.notes),
        calibration=_calibration(analysis, language),
    )


def _terms(analysis: Analysis, language: Language) -> tuple[Term, ...]:
    opinion = analysis.verdict.opinion
    if opinion.log_odds is None:
        return ()
    order = sorted(opinion.contributions.items(), key=lambda item: -abs(item[1]))
    return (
        _term(language("Start of every sum"), "", analysis.verdict.intercept, language),
        *(
            _term(
                language(title(n)), f"× {language.number(opinion.weights[n], '.2f')}", v, language
            )
            for n, v in order
        ),
        _term(language("Sum"), "", opinion.log_odds, language),
    )


def _sum(log_odds: float | None, language: Language) -> str:
    return "–" if log_odds is None else signed(log_odds, language)


def _term(name: str, weight: str, value: float, language: Language) -> Term:
    width = 50 * min(1.0, abs(value) / MOST_SHOWN)
    left = 50.0 if value >= 0 else 50.0 - width
    side = "for" if value >= 0 else "against"
    return Term(name, weight, signed(value, language), round(left, 2), round(width, 2), side)


def _person(opinion: Opinion, language: Language) -> tuple[str, str, str]:
    value = _sum(opinion.log_odds, language)
    return name_of(opinion.person or "", language), language(opinion.level), value


def _finding(
    finding: Finding, verdict: Verdict, language: Language
) -> tuple[str, str, str, str, str, str]:
    value = signed(finding.value, language) if finding.value is not None else "–"
    counts = language(status(finding, verdict))
    if finding.reason is not None:
        counts = f"{language(finding.reason.sentence)} [{finding.reason.code}]"
    measures = "; ".join(measure(n, v, language) for n, v in finding.measures.items()) or "–"
    person = name_of(finding.person, language) if finding.person else language("whole file")
    return language(title(finding.detector)), person, value, counts, measures, finding.checkpoint


def _calibration(analysis: Analysis, language: Language) -> str:
    if analysis.verdict.opinion.probability is None:
        return ""
    fitted = analysis.verdict.parameters
    return language(
        "Calibrated on {data} ({date}), for equal odds beforehand. On other kinds of files it may "
        "be off.", data=language(fitted.fitted_on), date=fitted.date,
    )  # fmt: skip


def _file(analysis: Analysis, language: Language) -> Facts:
    width, height = analysis.size_wh
    pixels = f", {width} × {height} px" if width else ""
    facts = [
        ("Name", analysis.name),
        ("SHA-256", analysis.sha256),
        ("Kind", f"{language(analysis.kind)}, {analysis.container}"),
        ("Size", size(analysis.bytes, language) + pixels),
    ]
    if analysis.kind != MediaKind.IMAGE:
        examined = language(
            "{a} of {b} examined",
            a=clock(analysis.examined_s, language), b=clock(analysis.duration_s, language),
        )  # fmt: skip
        rate = f", {language.number(analysis.fps, '.2f')} fps" if analysis.fps else ""
        facts += [("Length", examined + rate), ("Audio", _audio(analysis, language))]
    state = analysis.provenance.content_credentials
    facts.append(("Content credentials", language(CREDENTIALS.get(state, state))))
    known = {"container", "size on disk"}
    facts += [
        (k.capitalize(), language(v) if k in OUR_WORDS else str(v))
        for k, v in analysis.provenance.facts.items()
        if k not in known
    ]
    return tuple((language(name), value) for name, value in facts)


def _audio(analysis: Analysis, language: Language) -> str:
    if not analysis.has_audio:
        return language("none")
    spoken = sum(stop - start for start, stop in analysis.speech_s)
    return language("yes, speech for {time} of what was examined", time=clock(spoken, language))


def _made_with(analysis: Analysis, language: Language) -> Facts:
    chosen, fitted = analysis.settings, analysis.verdict.parameters
    facts: list[tuple[str, str]] = [
        ("Analyzed", when(analysis)), ("Mode", language(chosen.mode)),
    ]  # fmt: skip
    facts += [(language(title(n)), label) for n, label in analysis.checkpoints.items()]
    facts += list(analysis.versions.items())
    facts.append(("SHA-256 of the JSON report", to_json(analysis)[FIELD]))
    facts.append(("Fusion fitted on", f"{language(fitted.fitted_on)} ({fitted.date})"))
    opinion = analysis.verdict.opinion
    if opinion.probability is not None:
        facts.append(("Probability at equal odds", percent(opinion.probability)))
    if opinion.llr is not None:
        facts.append(("Likelihood ratio", ratio(opinion.llr, language)))
        facts.append(("Verbal scale (ENFSI 2015)", support(opinion.llr, language)))
    return tuple((language(name), value) for name, value in facts)


def when(analysis: Analysis) -> str:
    """The date and time of the analysis for people: "2026-01-02 03:04 UTC"."""
    return analysis.analyzed_at[:16].replace("T", " ") + " UTC"
