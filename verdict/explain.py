"""How is the verdict said in plain words? Made from the findings alone; no language model.

Imports fusion and the detectors' types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from detectors.base import Finding, Status
from verdict.fusion import NOTABLE, Opinion, Verdict
from verdict.levels import Level

STRENGTH = ((2.5, "strongly"), (1.0, "clearly"), (NOTABLE, "weakly"))
UNTOUCHED = 1.0  # log-likelihood ratio below minus this: no trace of the way that it knows
LIMITS = (
    "A detector sees only what it was trained for: new generators, scenes without faces, "
    "cloned voices and honest footage shown out of context can pass unnoticed.",
)
UNCOUNTED = {Status.UNCALIBRATED: "not calibrated", Status.EXPERIMENTAL: "experimental"}


class Say(Protocol):
    """Says a text of the program with its ``{names}`` filled in, in some language.

    ``{name:+.1f}`` is a number as that language writes it.
    """

    def __call__(self, text: str, **values: object) -> str:
        """The text, filled in."""
        ...


def english(text: str, **values: object) -> str:
    """The text as it is written, with its ``{names}`` filled in."""
    return text.format(**values)


def explain(
    verdict: Verdict,
    findings: Sequence[Finding],
    duration_s: float,
    examined_s: float,
    say: Say = english,
) -> tuple[str, ...]:
    """Sentences for the user: verdict, who and when, evidence, counter-evidence, gaps, limits.

    Args:
        verdict: on the findings.
        findings: of all detectors and people.
        duration_s, examined_s: of the file, and how much of it was examined.
        say: the reader's language.
    """
    chosen = verdict.opinion
    sentences = [_headline(chosen, verdict, say)]
    sentences += _evidence(chosen, findings, say)
    sentences += _other_people(verdict, say)
    sentences += _not_judged(verdict, findings, say)
    if 0 < examined_s < duration_s - 0.5:
        text = say(
            "{a:.0f} of {b:.0f} seconds were examined, spread over the clip; “thorough” examines "
            "all of it.", a=examined_s, b=duration_s,
        )  # fmt: skip
        sentences.append(text)
    return (*sentences, *map(say, LIMITS))


def name_of(person: str, say: Say = english) -> str:
    """ "Face A" in the reader's language."""
    return person.replace("Face", say("Face"))


def _headline(opinion: Opinion, verdict: Verdict, say: Say) -> str:
    who = say("the file") if opinion.person is None else name_of(opinion.person, say)
    if opinion.level == Level.STRONG:
        return say("Strong signs of manipulation were found in {who}.", who=who)
    if opinion.level == Level.SOME:
        return say(
            "Some signs of manipulation were found in {who}; they are not enough to be sure.",
            who=who,
        )
    if opinion.level == Level.NONE:
        return say(
            "No signs of manipulation were found. That is not a proof that the file is genuine."
        )
    if opinion.level == Level.INCONCLUSIVE and opinion.log_odds is None:
        return say(
            "Inconclusive: the numbers that there are come from checkpoints that are not counted."
        )
    if opinion.level == Level.INCONCLUSIVE and verdict.is_held_back(opinion):
        return say(
            "Inconclusive: no signs were found, but the face is unlike those that the detectors "
            "learned from."
        )
    if opinion.level == Level.INCONCLUSIVE:
        return say("Inconclusive: the evidence is too weak or contradicts itself.")
    return say("Not assessed: none of the detectors could judge this file.")


def _evidence(opinion: Opinion, findings: Sequence[Finding], say: Say) -> list[str]:
    """One sentence for each counted detector, the heaviest first."""
    by_name = {
        f.detector: f for f in findings if f.person in (opinion.person, None) and f.llr is not None
    }
    order = sorted(opinion.contributions.items(), key=lambda item: -abs(item[1]))
    return [_one(value, by_name[name], opinion, say) for name, value in order if name in by_name]


def sees_nothing(finding: Finding, opinion: Opinion) -> bool:
    """It finds no trace of the way to fake that it knows, which hardly moves the whole sum."""
    value = opinion.contributions.get(finding.detector)
    llr = finding.llr or 0.0
    return value is not None and abs(value) < NOTABLE and llr <= -UNTOUCHED


def _one(value: float, finding: Finding, opinion: Opinion, say: Say) -> str:
    title = say(finding.role.title)
    if sees_nothing(finding, opinion):
        return say(
            "“{title}” finds no trace of what it looks for ({llr:+.1f}), which says little about "
            "other ways to fake a file ({value:+.1f} in the sum).",
            title=title, llr=finding.llr, value=value,
        )  # fmt: skip
    if abs(value) < NOTABLE:
        return say("“{title}” leans to neither side ({value:+.1f}).", title=title, value=value)
    strength = next(word for least, word in STRENGTH if abs(value) >= least)
    sign = finding.role.phrase_for if value > 0 else finding.role.phrase_against
    side = "for" if value > 0 else "against"
    return say(
        "“{title}” {how} ({value:+.1f}): {sign}.",
        title=title, how=say(f"speaks {strength} {side} manipulation"), value=value,
        sign=say(sign) + _when(finding, value, say) + _measured(finding, say),
    )  # fmt: skip


def _when(finding: Finding, value: float, say: Say) -> str:
    """The strongest moment, where the windows differ."""
    if len(finding.windows) < 2 or value <= 0:
        return ""
    top = max(finding.windows, key=lambda w: w.value)
    return say(
        ", most from {a} to {b}",
        a=say("{time_s:.1f} s", time_s=top.start_s), b=say("{time_s:.1f} s", time_s=top.stop_s),
    )  # fmt: skip


def _measured(finding: Finding, say: Say) -> str:
    """The measures that people understand, as the role words them."""
    try:
        words = say(finding.role.measured, **finding.measures)
    except KeyError:  # not measured this time
        return ""
    return f" ({words})" if words else ""


def _other_people(verdict: Verdict, say: Say) -> list[str]:
    sentences = [
        say(
            "{who}: {level} ({value:+.1f}).",
            who=name_of(o.person or "", say),
            level=say(o.level),
            value=o.log_odds,
        )
        for o in verdict.people[1:]
        if o.log_odds is not None
    ]
    if verdict.judged > 1:
        lower = verdict.parameters.intercept - verdict.intercept
        text = say(
            "{n} people were judged, and each is a chance of a false alarm, so every sum starts "
            "{lower:.1f} lower.", n=verdict.judged, lower=lower,
        )  # fmt: skip
        sentences.append(text)
    return sentences


def by_reason(findings: Sequence[Finding]) -> dict[str, list[str]]:
    """Titles of the detectors that gave no number, by the sentence that says why."""
    result: dict[str, list[str]] = {}
    for finding in findings:
        if finding.reason is not None:
            result.setdefault(finding.reason.sentence, []).append(finding.role.title)
    return result


def _quoted(titles: Sequence[str], say: Say) -> str:
    return ", ".join(say("“{title}”", title=say(title)) for title in titles)


def _not_judged(verdict: Verdict, findings: Sequence[Finding], say: Say) -> list[str]:
    """Which detectors gave no number or did not count, and why."""
    opinion = verdict.opinion
    subset = [f for f in findings if f.person in (opinion.person, None)]
    sentences = [
        say("Not judged by {names}: {why}", names=_quoted(titles, say), why=say(why))
        for why, titles in by_reason(subset).items()
    ]
    sentences += [_uncounted(f, opinion, say) for f in subset if f.reason is None]
    sentences = [sentence for sentence in sentences if sentence]
    sentences += _weights(verdict, findings, say)
    if opinion.level == Level.NOT_ASSESSED and not sentences:
        sentences.append(say("No detector was asked."))
    return sentences


def _uncounted(finding: Finding, opinion: Opinion, say: Say) -> str:
    """Why a number is no part of the sum; empty where it is."""
    title = say(finding.role.title)
    if finding.status != Status.COUNTED:
        return say(
            "The number of “{title}” ({value:+.1f}) is not counted: its checkpoint is {state}.",
            title=title, value=finding.value, state=say(UNCOUNTED[finding.status]),
        )  # fmt: skip
    if finding.detector not in opinion.contributions:
        return say("“{title}” has no vote: its number is shown and not counted.", title=title)
    return ""


def _weights(verdict: Verdict, findings: Sequence[Finding], say: Say) -> list[str]:
    """With which weights the sum was made, and why they are not the fitted ones."""
    used, fitted = verdict.opinion.weights, verdict.parameters.weights
    roles = {f.detector: f.role for f in findings if f.detector in used}
    words = [
        say(
            "{title} {fitted:.2f} → {used:.2f}",
            title=say(role.title),
            fitted=fitted.get(name, 0.0),
            used=used[name],
        )
        for name, role in roles.items()
    ]
    sentences = []
    if words:
        text = say(
            "Weights in this sum: {weights}. An absent detector adds nothing, and the others count "
            "no more for it.", weights=", ".join(words),
        )  # fmt: skip
        sentences.append(text)
    if len({role.way for role in roles.values()}) > 1:
        text = say(
            "A face can be exchanged or drawn, a mouth drawn again, a voice be another's: each way "
            "counts by its share of the evidence, so that a spotless picture does not clear a "
            "foreign voice."
        )
        sentences.append(text)
    return sentences
