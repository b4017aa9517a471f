"""What does a reader see of an analysis, in which order?

Turns an `Analysis` into a `View`: words, places and images that are ready to be laid out. The
page and the report show the same view by the same templates. Imports analysis (types), verdict and
the other files of this room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis import Analysis
from detectors.base import Finding
from report.evidence import EvidencePanel, evidence_cards
from report.faces import FaceCard, face_cards
from report.language import ENGLISH, Language
from report.roles import phrase, title
from report.timeline import Timeline, timeline
from report.words import (
    STYLES,
    LevelStyle,
    clock,
    percent,
    ratio,
    sentence,
    signed,
    support,
)
from verdict.explain import by_reason, name_of, sees_nothing
from verdict.fusion import NOTABLE, Opinion
from verdict.levels import Level, Thresholds, in_conflict, verbal_step

GAUGE_LEVELS = (Level.NONE, Level.INCONCLUSIVE, Level.SOME, Level.STRONG)
ON_CARDS = "its number is shown but not counted."  # the detector's own card says so already
OUTER_LOG_ODDS = 3.0  # beyond the outer thresholds, where the gauge ends


@dataclass(frozen=True)
class Gauge:
    """One bar of four zones of equal width, so that their names never collide.

    Attributes:
        place: of the needle, 0..100 % of the bar.
        zones: (key, name) from left to right.
        words: the same for those who do not see it.
    """

    place: float
    zones: tuple[tuple[str, str], ...]
    words: str


@dataclass(frozen=True)
class View:
    """A result as it is read, from the top down.

    Attributes:
        level: the level of the file in the reader's language.
        style: how that level looks.
        who: whose face decided, or that it is the file as a whole.
        reason: the one sentence below the level.
        support, probability, ratio: how sure, on the verbal scale of forensic reports, in percent,
            and as a likelihood ratio in a sentence; empty and None where nothing calibrated was
            counted, or where the level does not follow the sum.
        gauge: the sum between the thresholds, or None without a sum.
        sentences: at most three; a fourth where there are references.
        faces, cards: of people and of evidence; the heaviest first.
        silent: detectors that could not judge, by their reason.
        timeline: over time, or None for a still image.
        warnings: what weakens the verdict.
        terms: of the glossary, that this verdict uses and others do not.
    """

    level: str
    style: LevelStyle
    who: str
    reason: str
    support: str
    probability: str | None
    ratio: str
    gauge: Gauge | None
    sentences: tuple[str, ...]
    faces: tuple[FaceCard, ...]
    cards: tuple[EvidencePanel, ...]
    silent: tuple[tuple[str, str], ...]
    timeline: Timeline | None
    warnings: tuple[str, ...]
    terms: tuple[str, ...]


def view(analysis: Analysis, language: Language = ENGLISH) -> View:
    """Everything that a reader sees of an analysis, in the reader's language."""
    verdict, opinion = analysis.verdict, analysis.verdict.opinion
    findings = [f for f in analysis.findings if f.person in (opinion.person, None)]
    follows = opinion.log_odds is not None and _by_sum(opinion, verdict.thresholds)
    return View(
        level=language(opinion.level),
        style=STYLES[opinion.level],
        who=_who(analysis, language),
        reason=_reason(analysis, findings, language),
        support=support(opinion.llr or 0.0, language) if follows else "",
        probability=percent(opinion.probability)
        if follows and opinion.probability is not None
        else None,
        ratio=ratio(opinion.llr or 0.0, language) if follows else "",
        gauge=_gauge(opinion, verdict.thresholds, language) if follows else None,
        sentences=_sentences(analysis, findings, language),
        faces=face_cards(analysis, language),
        cards=evidence_cards(analysis, language),
        silent=tuple(
            (", ".join(language(one) for one in titles), language(why))
            for why, titles in by_reason(findings).items()
        ),
        timeline=timeline(analysis, language),
        warnings=tuple(language(t) for t in analysis.warnings if not t.endswith(ON_CARDS)),
        terms=("reference",) * bool(analysis.references) + ("unfamiliar",) * opinion.unfamiliar,
    )


def _by_sum(opinion: Opinion, limits: Thresholds) -> bool:
    """The level is the one that the sum alone gives: not lowered by conflict or by instability."""
    return opinion.level == limits.level_of(opinion.log_odds or 0.0)


def leaning(opinion: Opinion, limits: Thresholds) -> int:
    """Whom the shown numbers favor: +1 manipulation, -1 a real file, 0 nobody or not shown."""
    shown = opinion.log_odds is not None and _by_sum(opinion, limits)
    llr = opinion.llr or 0.0
    if not shown or verbal_step(llr) is None:
        return 0
    return 1 if llr > 0 else -1


def gauge_place(log_odds: float, limits: Thresholds) -> float:
    """Where the needle stands, in %: linear within each of four equal zones, never on a border."""
    edges = (
        limits.none - OUTER_LOG_ODDS, limits.none, limits.some, limits.strong,
        limits.strong + OUTER_LOG_ODDS,
    )  # fmt: skip
    zone = GAUGE_LEVELS.index(limits.level_of(log_odds))
    share = (log_odds - edges[zone]) / (edges[zone + 1] - edges[zone])
    return 25 * (zone + min(0.94, max(0.06, share)))


def _gauge(opinion: Opinion, limits: Thresholds, language: Language) -> Gauge:
    zones = tuple((STYLES[n].key, language(STYLES[n].short)) for n in GAUGE_LEVELS)
    place = gauge_place(opinion.log_odds or 0.0, limits)
    words = language(
        "From no signs to strong signs, the needle stands at {place} of 100, in “{level}”.",
        place=round(place), level=language(opinion.level),
    )  # fmt: skip
    return Gauge(place, zones, words)


def _who(analysis: Analysis, language: Language) -> str:
    number, person = len(analysis.people), analysis.verdict.opinion.person
    if person is None:
        return language("The file as a whole")
    if number <= 1:
        return language("{person}, the only person seen", person=name_of(person, language))
    return language(
        "{person}, the most suspicious of {n} people", person=name_of(person, language), n=number
    )


def heaviest(opinion: Opinion, findings: Sequence[Finding], side: int) -> Finding | None:
    """The counted finding that moves the sum most to a side, +1 for manipulation and -1 against."""
    counted = {f.detector: f for f in findings if f.llr is not None}
    moved = [
        (side * value, name)
        for name, value in opinion.contributions.items()
        if name in counted and side * value >= NOTABLE
    ]
    return counted[max(moved)[1]] if moved else None


def _reason(analysis: Analysis, findings: Sequence[Finding], language: Language) -> str:
    """Why this level, in one sentence."""
    opinion = analysis.verdict.opinion
    for_it, against = (heaviest(opinion, findings, side) for side in (1, -1))
    if opinion.level == Level.NOT_ASSESSED:
        reasons = [f.reason for f in findings if f.reason is not None]
        reasons.sort(key=lambda reason: reason.code == "no_pictures")  # the nearest miss first
        return language(reasons[0].sentence if reasons else "No detector was asked.")
    if opinion.level in (Level.STRONG, Level.SOME) and for_it is not None:
        return sentence(language(phrase(for_it, True)) + _most(for_it, language))
    if opinion.level == Level.NONE and against is not None:
        return sentence(language(phrase(against, False)))
    if opinion.level == Level.NONE:
        return language("Nothing that these detectors know was seen.")
    if opinion.log_odds is None:
        return language("The numbers that there are come from checkpoints that are not counted.")
    if analysis.verdict.is_held_back(opinion):
        return language(
            "Nothing was found, but the face is unlike those that the detectors learned from."
        )
    if analysis.verdict.unstable:
        return language("The strongest evidence did not survive re-encoding at half size.")
    if in_conflict(opinion.contributions) or (for_it is not None and against is not None):
        return language("The evidence contradicts itself.")
    side = leaning(opinion, analysis.verdict.thresholds)
    if side == 0:
        return language("The evidence is too weak to favor a side.")
    if side > 0:
        return language("The evidence leans to manipulation, too weakly to be called a sign.")
    return language("The evidence leans to a real file, too weakly to say “No signs found”.")


def _most(finding: Finding, language: Language) -> str:
    """The strongest moment, where windows differ."""
    if len(finding.windows) < 2:
        return ""
    top = max(finding.windows, key=lambda w: w.value)
    return language(
        ", most from {a} to {b}", a=clock(top.start_s, language), b=clock(top.stop_s, language)
    )


def _sentences(
    analysis: Analysis, findings: Sequence[Finding], language: Language
) -> tuple[str, ...]:
    """What speaks for the other side, how much could be judged, what the level does not mean."""
    opinion = analysis.verdict.opinion
    says = []
    if opinion.log_odds is not None:
        says.append(_other_side(opinion, findings, analysis.verdict.thresholds, language))
    if analysis.references:
        says.append(_references(analysis, findings, language))
    says.append(_coverage(analysis, findings, language))
    says.append(language(STYLES[opinion.level].meaning))
    return tuple(says)


def _other_side(
    opinion: Opinion, findings: Sequence[Finding], limits: Thresholds, language: Language
) -> str:
    for_it, against = (heaviest(opinion, findings, side) for side in (1, -1))
    if opinion.level == Level.INCONCLUSIVE and for_it is not None and against is not None:
        return language(
            "For manipulation: {a}. Against it: {b}.",
            a=language(phrase(for_it, True)), b=language(phrase(against, False)),
        )  # fmt: skip
    if opinion.level == Level.INCONCLUSIVE:
        one = for_it or against
        if one is None:
            return language("No detector that votes leans clearly to either side.")
        says = language(phrase(one, one is for_it))
        if leaning(opinion, limits) == (1 if one is for_it else -1):
            return language("It leans this way: {a}.", a=says)
        return language("The most that was seen: {a}.", a=says)
    other = against if opinion.level in (Level.STRONG, Level.SOME) else for_it
    if (
        other is None
        and opinion.level in (Level.STRONG, Level.SOME)
        and any(sees_nothing(f, opinion) for f in findings)
    ):
        return language(
            "Other ways to fake a file were looked for and not found; that does not clear this one."
        )
    if other is None:
        return language("Nothing that was counted speaks for the other side.")
    return language("On the other side: {a}.", a=language(phrase(other, other is for_it)))


def _references(analysis: Analysis, findings: Sequence[Finding], language: Language) -> str:
    """What recordings that were given as real changed."""
    names = ", ".join(reference.name for reference in analysis.references)
    changes = ", ".join(
        f"{language(title(f.detector))} {signed(-f.level_shift, language)}"
        for f in findings
        if f.level_shift
    )
    return language(
        "Measured against what was given as real ({names}): {changes} log-odds.",
        names=names, changes=changes or signed(0.0, language),
    )  # fmt: skip


def _coverage(analysis: Analysis, findings: Sequence[Finding], language: Language) -> str:
    """How many of the detectors that vote could judge, and how much of the clip was examined."""
    verdict = analysis.verdict
    voters = {
        f.detector for f in findings
        if verdict.parameters.weights.get(f.detector, 0) > 0
        and not (f.role.empty and f.detector not in analysis.checkpoints)
    }  # fmt: skip
    n, total = len(voters & set(verdict.opinion.contributions)), len(voters)
    text = language("Of {total} detectors that vote, {n} could judge it", n=n, total=total)
    if n == 0:
        text = language("None of the {total} detectors that vote could judge it", total=total)
    if 0 < analysis.examined_s < analysis.duration_s - 0.5:
        return text + language(
            ", on {a} of {b} seconds; “thorough” examines all of it.",
            a=round(analysis.examined_s), b=round(analysis.duration_s),
        )  # fmt: skip
    return text + "."
