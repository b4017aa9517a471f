"""How is the verdict said in plain words? Made from the findings alone; no language model.

Imports fusion and the detectors' types.
"""

from __future__ import annotations

from collections.abc import Sequence

from detectors.base import Finding, Status
from verdict.fusion import NOTABLE, Opinion, Verdict
from verdict.levels import Level

STRENGTH = ((2.5, "strongly"), (1.0, "clearly"), (NOTABLE, "weakly"))
UNTOUCHED = 1.0  # log-likelihood ratio below minus this: no trace of the way that it knows
LIMITS = (
    "A detector sees only what it was trained for: new generators, scenes without faces, "
    "cloned voices and honest footage shown out of context can pass unnoticed.",
)


def explain(
    verdict: Verdict, findings: Sequence[Finding], duration_s: float, examined_s: float
) -> tuple[str, ...]:
    """Sentences for the user: verdict, who and when, evidence, counter-evidence, gaps, limits."""
    chosen = verdict.opinion
    sentences = [_headline(chosen, verdict)]
    sentences += _evidence(chosen, findings)
    sentences += _other_people(verdict)
    sentences += _not_judged(verdict, findings)
    if 0 < examined_s < duration_s - 0.5:
        sentences.append(
            f"{examined_s:.0f} of {duration_s:.0f} seconds were examined, spread over the clip; "
            "“thorough” examines all of it."
        )
    return (*sentences, *LIMITS)


def _headline(opinion: Opinion, verdict: Verdict) -> str:
    who = opinion.person or "the file"
    if opinion.level == Level.STRONG:
        return f"Strong signs of manipulation were found in {who}."
    if opinion.level == Level.SOME:
        return f"Some signs of manipulation were found in {who}; they are not enough to be sure."
    if opinion.level == Level.NONE:
        return "No signs of manipulation were found. That is not a proof that the file is genuine."
    if opinion.level == Level.INCONCLUSIVE and opinion.log_odds is None:
        return (
            "Inconclusive: the numbers that there are come from checkpoints that are not counted."
        )
    if opinion.level == Level.INCONCLUSIVE and verdict.is_held_back(opinion):
        return (
            "Inconclusive: no signs were found, but the face is unlike those that the detectors "
            "learned from."
        )
    if opinion.level == Level.INCONCLUSIVE:
        return "Inconclusive: the evidence is too weak or contradicts itself."
    return "Not assessed: none of the detectors could judge this file."


def _evidence(opinion: Opinion, findings: Sequence[Finding]) -> list[str]:
    """One sentence for each counted detector, the heaviest first."""
    by_name = {
        f.detector: f for f in findings if f.person in (opinion.person, None) and f.llr is not None
    }
    order = sorted(opinion.contributions.items(), key=lambda item: -abs(item[1]))
    return [_one(name, value, by_name[name], opinion) for name, value in order if name in by_name]


def sees_nothing(finding: Finding, opinion: Opinion) -> bool:
    """It finds no trace of the way to fake that it knows, which hardly moves the whole sum."""
    value = opinion.contributions.get(finding.detector)
    llr = finding.llr or 0.0
    return value is not None and abs(value) < NOTABLE and llr <= -UNTOUCHED


def _one(name: str, value: float, finding: Finding, opinion: Opinion) -> str:
    if sees_nothing(finding, opinion):
        return (
            f"The {name} evidence finds no trace of what it looks for ({finding.llr:+.1f}), "
            f"which says little about other ways to fake a file ({value:+.1f} in the sum)."
        )
    if abs(value) < NOTABLE:
        return f"The {name} evidence does not lean to either side ({value:+.1f})."
    strength = next(word for least, word in STRENGTH if abs(value) >= least)
    sign = finding.role.phrase_for if value > 0 else finding.role.phrase_against
    side = "for" if value > 0 else "against"
    text = f"The {name} evidence speaks {strength} {side} manipulation ({value:+.1f}): {sign}"
    return f"{text}{_when(finding, value)}{_measured(finding)}."


def _when(finding: Finding, value: float) -> str:
    """The strongest moment, where the windows differ."""
    if len(finding.windows) < 2 or value <= 0:
        return ""
    top = max(finding.windows, key=lambda w: w.value)
    return f", most at {top.start_s:.1f}–{top.stop_s:.1f} s"


def _measured(finding: Finding) -> str:
    """The measures that people understand, as the role words them."""
    try:
        words = finding.role.measured.format(**finding.measures)
    except KeyError:  # not measured this time
        return ""
    return f" ({words})" if words else ""


def _other_people(verdict: Verdict) -> list[str]:
    sentences = [
        f"{o.person}: {o.level.lower()} ({o.log_odds:+.1f})."
        for o in verdict.people[1:]
        if o.log_odds is not None
    ]
    if verdict.judged > 1:
        lower = verdict.parameters.intercept - verdict.intercept
        sentences.append(
            f"{verdict.judged} people were judged, and each is a chance of a false alarm, so every "
            f"sum starts {lower:.1f} lower."
        )
    return sentences


def by_reason(findings: Sequence[Finding]) -> dict[str, list[str]]:
    """The detectors that gave no number, by the sentence that says why."""
    result: dict[str, list[str]] = {}
    for finding in findings:
        if finding.reason is not None:
            result.setdefault(finding.reason.sentence, []).append(finding.detector)
    return result


def _not_judged(verdict: Verdict, findings: Sequence[Finding]) -> list[str]:
    """Which detectors gave no number or did not count, and why."""
    opinion = verdict.opinion
    subset = [f for f in findings if f.person in (opinion.person, None)]
    sentences = [
        f"Not judged by the {names[0]} detector: {why}"
        if len(names) == 1
        else f"Not judged by the detectors {', '.join(names[:-1])} and {names[-1]}: {why}"
        for why, names in by_reason(subset).items()
    ]
    for finding in subset:
        if finding.reason is not None:
            continue
        if finding.status != Status.COUNTED:
            sentences.append(
                f"The {finding.detector} detector's number ({finding.value:+.1f}) is not "
                f"counted: its checkpoint is {finding.status}."
            )
        elif finding.detector not in opinion.contributions:
            sentences.append(f"The {finding.detector} detector has no vote in the fusion.")
    weights = verdict.parameters.weights
    used = [f"{n} {weights.get(n, 0):.2f} → {w:.2f}" for n, w in opinion.weights.items()]
    if used:
        sentences.append(
            f"Weights in this sum: {', '.join(used)}. An absent detector adds nothing, and the "
            "others count no more for it."
        )
    if len({f.role.way for f in findings if f.detector in opinion.weights}) > 1:
        sentences.append(
            "A face can be exchanged or drawn, a mouth drawn again, a voice be another's: each way "
            "counts by its share of the evidence, so that a spotless picture does not clear a "
            "foreign voice."
        )
    if opinion.level == Level.NOT_ASSESSED and not sentences:
        sentences.append("No detector was asked.")
    return sentences
