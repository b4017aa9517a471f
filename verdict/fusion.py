"""What does all the evidence mean together?

Late fusion of calibrated log-likelihood ratios (LLR, natural), each limited to ±``llr_clip``:

1. A detector that sees the share s of all fakes says ``L = log(s r + 1 - s)``, where r is its
   likelihood ratio (`FusionParameters.evidence`).
2. The L of one way to fake are summed with their weights, ``P = Σ w L``. A fake is made in one of
   several ways, each with its share q: ``log Σ q exp(P)``. So a spotless image does not clear a
   foreign voice, nor a voice in step a swapped face (`ways`).
3. Of k people any one may be the altered one: ``log(Σ exp(S) / k)`` of their sums S
   (`one_of_many`).

The intercept of the logistic fit is added. What each detector adds to the sum is the explanation
(``log_odds = intercept + Σ contributions``), so that no second story can drift from it. Weights and
thresholds are in ``fusion.json``. Imports detectors.base (its types) only, never torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from detectors.base import UNFAMILIARITY, Finding, Status
from hub.role import Role
from verdict.levels import Level, Thresholds, in_conflict, level
from verdict.reference import LevelSpread
from verdict.ways import attribution

UNFAMILIAR = 0.8  # share of real files that are more like what was learned than this one
NOTABLE = 0.2  # log-odds; a smaller contribution is not worth a sentence
PARAMETERS_FILE = Path(__file__).with_name("fusion.json")


@dataclass(frozen=True)
class FusionParameters:
    """The fitted numbers of the fusion.

    Attributes:
        intercept: what the sum starts from.
        weights: of each detector's calibrated log-odds, 0..1.
        llr_clip: a finding is limited to plus or minus this, so that none decides alone.
        image, video: where the levels begin for one image and for a clip. Real images of
            unknown origin reach higher sums than real clips, which more detectors judge.
        fitted_on, date: which data, when.
        way_shares: share of each way to fake among all fakes, 0..1 (see `verdict.ways`).
        coverage: share of all fakes that a detector can see at all; 1 where absent. One that knows
            talking heads only must not clear a face swap (see `evidence`).
        level_spreads: of each detector whose level reference recordings can tell.
    """

    intercept: float
    weights: Mapping[str, float]
    llr_clip: float
    image: Thresholds
    video: Thresholds
    fitted_on: str
    date: str
    way_shares: Mapping[str, float]
    coverage: Mapping[str, float] = field(default_factory=dict)
    level_spreads: Mapping[str, LevelSpread] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping) -> FusionParameters:
        """The numbers of ``fusion.json``, as ``dataclasses.asdict`` wrote them."""
        limits = {medium: Thresholds(**data[medium]) for medium in ("image", "video")}
        spreads = {n: LevelSpread(**s) for n, s in data.get("level_spreads", {}).items()}
        return cls(**{**data, **limits, "level_spreads": spreads})

    def evidence(self, detector: str, llr: float) -> float:
        """What a finding says about all fakes, limited to plus or minus ``llr_clip``.

        Where a detector sees a share s of them, the others look real to it, and a likelihood ratio
        r becomes s r + 1 - s: what speaks for a fake is hardly less, what speaks against one never
        goes below log(1 - s).
        """
        value = max(-self.llr_clip, min(self.llr_clip, llr))
        share = self.coverage.get(detector, 1.0)
        return value if share >= 1 else math.log(share * math.exp(value) + 1 - share)


@cache
def fusion_parameters() -> FusionParameters:
    """The numbers of ``fusion.json``."""
    return FusionParameters.from_json(json.loads(PARAMETERS_FILE.read_text("utf-8")))


@dataclass(frozen=True)
class Opinion:
    """The sum for one person.

    Attributes:
        person: "Face A", or None when only the whole image could be judged.
        level: the word for it.
        log_odds: intercept plus contributions, or None when nothing could be counted.
        llr: the same, no larger than the data behind it can carry (see `Thresholds.bounded`).
        probability: ``llr`` as 0..1, at equal odds beforehand; None where nothing was calibrated.
        contributions: log-odds by detector; with the intercept they add up to ``log_odds`` exactly.
        weights: the weight that each counted detector had in the end (see `used_weights`).
        unfamiliar: a counted detector says that the face is unlike those it learned from.
    """

    person: str | None
    level: Level
    log_odds: float | None
    llr: float | None
    probability: float | None
    contributions: Mapping[str, float]
    weights: Mapping[str, float]
    unfamiliar: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the whole file gets: the opinion on its most suspicious person.

    Attributes:
        opinion: that person's sum.
        people: the opinions on all people, most suspicious first.
        intercept: what every sum starts from; less where several people were judged
            (see `one_of_many`).
        thresholds: where the levels begin for a file of this medium.
        unstable: the strongest evidence vanished when the file was re-encoded and rescaled.
        against: sentences with the evidence for the other side.
        warnings: sentences on what weakens the verdict.
        parameters: the fitted numbers that it was made with.
    """

    opinion: Opinion
    people: tuple[Opinion, ...]
    intercept: float
    thresholds: Thresholds
    unstable: bool
    against: tuple[str, ...]
    warnings: tuple[str, ...]
    parameters: FusionParameters

    def is_held_back(self, opinion: Opinion) -> bool:
        """ "No signs" is not said of this person, because the face is unlike what was learned."""
        return (
            opinion.unfamiliar
            and opinion.log_odds is not None
            and self.thresholds.level_of(opinion.log_odds) == Level.NONE
        )

    @property
    def judged(self) -> int:
        """On how many people there is a sum."""
        return sum(opinion.log_odds is not None for opinion in self.people)

    @property
    def level(self) -> Level:
        """The level shown for the file."""
        return self.opinion.level


def fuse(
    findings: Sequence[Finding],
    image: bool,
    unstable: bool = False,
    numbers: FusionParameters | None = None,
) -> Verdict:
    """Add the evidence up, person by person, and say what it means.

    Args:
        findings: of all detectors and people.
        image: of one image, not of a clip.
        unstable: the strongest evidence vanished when the clip was re-encoded and rescaled.
        numbers: fitted numbers; those of ``fusion.json`` by default.
    """
    numbers = numbers or fusion_parameters()
    thresholds = numbers.image if image else numbers.video
    whole = [f for f in findings if f.person is None]
    names = list(dict.fromkeys(f.person for f in findings if f.person is not None)) or [None]
    shown = [[f for f in findings if f.person == n and n is not None] + whole for n in names]
    votes = [_votes(of_person, numbers, unstable) for of_person in shown]
    sums = [math.fsum(vote.contributions.values()) for vote in votes if vote.contributions]
    start = numbers.intercept + one_of_many(sums)
    opinions = [
        _opinion(name, of_person, vote, start, thresholds)
        for name, of_person, vote in zip(names, shown, votes, strict=True)
    ]
    opinions.sort(key=lambda o: -math.inf if o.log_odds is None else o.log_odds, reverse=True)
    chosen = opinions[0]
    return Verdict(
        opinion=chosen,
        people=tuple(opinions),
        intercept=start,
        thresholds=thresholds,
        unstable=unstable,
        against=_against(chosen, findings),
        warnings=_warnings(chosen, findings, unstable),
        parameters=numbers,
    )


@dataclass(frozen=True)
class _Votes:
    """What is added up for one person, log-odds by detector, and with which weights."""

    contributions: Mapping[str, float]
    weights: Mapping[str, float]


def _votes(findings: Sequence[Finding], numbers: FusionParameters, unstable: bool) -> _Votes:
    """Evidence that did not survive a degraded copy speaks for nothing; all other stays."""
    voters = {
        f.role: numbers.evidence(
            f.detector, min(f.llr, 0.0) if unstable and f.role.recheck else f.llr
        )
        for f in findings
        if f.status == Status.COUNTED
        and f.llr is not None
        and numbers.weights.get(f.detector, 0) > 0
    }
    if not voters:
        return _Votes({}, {})
    weights = used_weights(voters, numbers)
    counted = {role.name: value for role, value in voters.items()}
    return _Votes({name: weights[name] * value for name, value in counted.items()}, weights)


def one_of_many(sums: Sequence[float]) -> float:
    """By how much each sum starts lower because several people were judged, log-odds, 0 or less.

    In a fake with k people any one may be the altered one, so its likelihood ratio is the mean of
    theirs, not the largest: many real faces are many chances for a false alarm. What lies between
    the two is taken from every person's start, so that the most suspicious one's sum is the file's.
    """
    if len(sums) < 2:
        return 0.0
    most = max(sums)
    return math.log(math.fsum(math.exp(value - most) for value in sums) / len(sums))


def _opinion(
    person: str | None,
    findings: Sequence[Finding],
    votes: _Votes,
    start: float,
    thresholds: Thresholds,
) -> Opinion:
    if not votes.contributions:
        shown = any(f.score is not None for f in findings)
        return Opinion(
            person, Level.INCONCLUSIVE if shown else Level.NOT_ASSESSED, None, None, None, {}, {}
        )
    log_odds = start + math.fsum(votes.contributions.values())
    unfamiliar = any(
        f.measures.get(UNFAMILIARITY, 0.0) >= UNFAMILIAR
        for f in findings
        if f.detector in votes.contributions
    )
    llr = thresholds.bounded(log_odds)
    return Opinion(
        person=person,
        level=level(log_odds, votes.contributions, thresholds, unfamiliar),
        log_odds=log_odds,
        llr=llr,
        probability=_probability(llr),
        contributions=votes.contributions,
        weights=votes.weights,
        unfamiliar=unfamiliar,
    )


def used_weights(counted: Mapping[Role, float], numbers: FusionParameters) -> dict[str, float]:
    """How much each finding counts in this sum.

    Each by its fitted weight: an absent detector adds nothing, and the others say no more for it.
    Where several ways to fake were judged, each counts by its share of the evidence.
    """
    weights = {role.name: numbers.weights[role.name] for role in counted}
    of_way: dict[str, list[float]] = {}
    for role, value in counted.items():
        of_way.setdefault(role.way.value, []).append(weights[role.name] * value)
    sums = {way: math.fsum(values) for way, values in of_way.items()}
    part = attribution(sums, numbers.way_shares)
    return {role.name: weights[role.name] * part[role.way.value] for role in counted}


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, log_odds))))


def _against(opinion: Opinion, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Sentences for each notable contribution that speaks against the sum."""
    if opinion.log_odds is None:
        return ()
    side = 1 if opinion.log_odds >= 0 else -1
    titles = {f.detector: f.role.title for f in findings}
    other = {n: c for n, c in opinion.contributions.items() if c * side < -NOTABLE}
    toward = "no manipulation" if side > 0 else "manipulation"
    return tuple(
        f"“{titles[name]}” speaks for {toward} ({value:+.1f} log-odds)."
        for name, value in sorted(other.items(), key=lambda item: -abs(item[1]))
    )


def _warnings(opinion: Opinion, findings: Sequence[Finding], unstable: bool) -> tuple[str, ...]:
    warnings = []
    if unstable:
        warnings.append("The strongest evidence did not survive re-encoding at half size.")
    if opinion.unfamiliar:
        warnings.append("This face is unlike those that the detectors learned from.")
    if in_conflict(opinion.contributions):
        warnings.append("The detectors disagree clearly with each other.")
    for status, words in (
        (Status.UNCALIBRATED, "is not calibrated yet: its number is shown but not counted"),
        (Status.EXPERIMENTAL, "is experimental: its number is shown but not counted"),
    ):
        titles = dict.fromkeys(f.role.title for f in findings if f.status == status)
        warnings += [f"The checkpoint of “{title}” {words}." for title in titles]
    return tuple(warnings)
