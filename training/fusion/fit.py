"""How much does each detector's evidence weigh, and where do the levels begin?

``python -m training.fusion.fit RESULTS…`` reads folders that ``cli.py evaluate`` wrote, fits
non-negative weights and the intercept jointly, cross-validated over kinds of fakes, chooses the
thresholds, shows with and without each detector, and writes ``verdict/fusion.json``. The sum that
is fitted is the sum of ``verdict.fusion``: a missing detector adds nothing, and fakes are made in
one of several ways. Only the weights of detectors of faces are fitted:
no other kind of fake could teach what a foreign voice is worth when that kind is left out, so sync
and mouth count as themselves, as they were calibrated. Imports evaluation and verdict.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from detectors.registry import names, roles
from evaluation.bootstrap import interval
from evaluation.metrics import auc, measure, metrics_for
from training.fusion.evidence import Table, folds, read_held_out, read_table, usable
from verdict.fusion import PARAMETERS_FILE, FusionParameters
from verdict.levels import Thresholds

DETECTORS = names()
LLR_CLIP = 4.0  # limit of one finding: with a weight of 1 it says 98 %, no more
RIDGES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)  # pulls towards no weight that are tried
INTERCEPT_LIMIT = 2.0  # log-odds
STRONG_MARGIN = 0.25  # log-odds above the most suspicious real file
STRONG_FLOOR, SOME_FLOOR, NONE_CEILING = 2.95, 0.8, -0.5  # 95 %, 69 % and 38 % fake
LEAST_OF_ORIGIN = 10  # files of one folder and medium, below which they set no share
REAL_WITH_STRONG = 0.002  # share of real files that may get "strong signs": none of a few hundred
REAL_WITH_SOME = 0.065  # share of real files that may be called suspicious: 2 of 31
FAKE_WITH_NONE = 0.10  # share of fakes for which "no signs found" may be said
# Assumptions about the world that no set of ours can tell: most of its faked videos are talking
# heads, its swaps are old, its generators few, and a twentieth of its fakes is dubbed.
# Share of the fakes that a judge of talking heads sees, and one of fine detail, which newer
# generators draw as cameras do: neither may clear the others.
COVERAGE = {"temporal": 0.6, "landmarks": 0.6, "frequency": 0.7}
WAY_SHARES = {"face": 0.55, "mouth": 0.15, "voice": 0.3}  # of the fakes, by how they are made
WAYS = np.array([role.way.value for role in roles()])
# What has no checkpoint of ours cannot be fitted; a user's own calibration of one counts whole.
TAKEN_AT_THEIR_WORD = {role.name: 1.0 for role in roles() if role.empty}
WORTH = 0.001  # mean log loss that a detector must save to keep its vote


# ------------------------------------------------------------------------------- the sum


def sums(values: np.ndarray, file: np.ndarray, weights: np.ndarray, intercept: float) -> np.ndarray:
    """(files,) fused log-odds of whole files, NaN where nothing could be counted.

    The same as `verdict.fusion.fuse`, for all files at once (tests compare the two).
    """
    sides = [_side(values, np.where(way == WAYS, weights, 0.0)) for way in WAY_SHARES]
    observed = np.stack([there for _, there in sides])
    shares = np.where(observed, np.array(list(WAY_SHARES.values()))[:, None], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # people without a number are left out
        terms = np.log(shares / shares.sum(0)) + np.stack([side for side, _ in sides])
    people = np.logaddexp.reduce(np.where(observed, terms, -np.inf))
    starts = np.flatnonzero(np.diff(file, prepend=-1))
    judged = np.add.reduceat(observed.any(0).astype(float), starts)
    with np.errstate(divide="ignore", invalid="ignore"):  # files without a number become NaN
        result = intercept + np.logaddexp.reduceat(people, starts) - np.log(judged)
    return np.where(judged > 0, result, np.nan)


def _side(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(people,) summed evidence of one way to fake, and whether there is any."""
    present = np.isfinite(values) & (weights > 0)
    limited = np.clip(np.nan_to_num(values), -LLR_CLIP, LLR_CLIP)
    return (weights * limited * present).sum(axis=1), present.any(axis=1)


@dataclass(frozen=True)
class Fitted:
    """Weights in the order of `DETECTORS`, and the intercept."""

    weights: np.ndarray
    intercept: float

    def apply(self, table: Table) -> np.ndarray:
        """(files,) fused log-odds."""
        return sums(table.values, table.file, self.weights, self.intercept)


def loss(labels: np.ndarray, log_odds: np.ndarray, weights: np.ndarray) -> float:
    """Weighted mean log loss; files without a number count as knowing nothing."""
    signed = np.nan_to_num(np.where(labels == 1, log_odds, -log_odds))
    return float(np.sum(weights * np.logaddexp(0, -signed)) / weights.sum())


def fit(table: Table, ridge: float) -> Fitted:
    """Weights 0..1 of the image's detectors and intercept of least penalized log loss.

    Detectors without enough files of each class have no weight. Numeric gradients: the sum has
    kinks where a finding reaches its limit.
    """
    able = usable(table)
    judged = able & (WAYS == "face")

    def unpacked(numbers: np.ndarray) -> Fitted:
        weights = (able & (WAYS != "face")).astype(float)
        weights[judged] = numbers[1:]
        return Fitted(weights, float(numbers[0]))

    def cost(numbers: np.ndarray) -> float:
        result = unpacked(numbers)
        penalty = ridge * float(np.sum(numbers[1:] ** 2) + 0.1 * numbers[0] ** 2)
        return loss(table.labels, result.apply(table), table.weights) + penalty

    count = int(judged.sum())
    bounds = [(-INTERCEPT_LIMIT, INTERCEPT_LIMIT)] + [(0.0, 1.0)] * count
    tries = [
        minimize(cost, np.r_[0.0, np.full(count, start)], bounds=bounds, method="L-BFGS-B")
        for start in (0.2, 0.6)
    ]
    result = unpacked(min(tries, key=lambda t: t.fun).x)
    return Fitted(np.where(result.weights < 0.01, 0.0, result.weights), result.intercept)


# ------------------------------------------------------------------------------- cross-validation


def held_out(table: Table, ridge: float, fold: np.ndarray | None = None) -> np.ndarray:
    """(files,) fused log-odds from fits that saw neither this kind of fake nor this source.

    Args:
        table: all files.
        ridge: of the fits.
        fold: (files,) which of them are left out together; by default those of `folds`.
    """
    fold, result = folds(table) if fold is None else fold, np.full(len(table.labels), np.nan)
    for number in np.unique(fold):
        test = fold == number
        result[test] = fit(table.only(~test), ridge).apply(table.only(test))
    return result


@dataclass(frozen=True)
class Outcome:
    """A cross-validated configuration: its ridge, held-out log-odds and their mean log loss."""

    ridge: float
    log_odds: np.ndarray
    loss: float


def outcome_at(table: Table, ridge: float) -> Outcome:
    """Held-out log-odds with one ridge."""
    result = held_out(table, ridge)
    return Outcome(ridge, result, loss(table.labels, result, table.weights))


def best_ridge(table: Table) -> Outcome:
    """The ridge with the least held-out log loss."""
    return min((outcome_at(table, ridge) for ridge in RIDGES), key=lambda outcome: outcome.loss)


def worthwhile(table: Table) -> tuple[list[str], list[str]]:
    """Detectors that keep their vote, and those whose absence costs nothing (dropped in turn)."""
    selected = [name for name, able in zip(DETECTORS, usable(table), strict=True) if able]
    dropped = [name for name in DETECTORS if name not in selected]
    now = best_ridge(table.without(dropped))
    while len(selected) > 1:
        less = {n: outcome_at(table.without([*dropped, n]), now.ridge) for n in selected}
        least = min(selected, key=lambda name: less[name].loss)
        if less[least].loss - now.loss > WORTH:
            break
        selected.remove(least)
        dropped.append(least)
        now = less[least]
    return selected, dropped


# ------------------------------------------------------------------------------- thresholds


def thresholds(table: Table, log_odds: np.ndarray) -> Thresholds:
    """No real file strong, few with some signs, few fakes with no signs; never below the floors.

    "Strong signs" begin where the ratio is as large as the number of real sources can carry.

    Each result folder must keep to the shares by itself, so that a large one cannot hide another.
    """
    strong, some, none = [STRONG_FLOOR], [SOME_FLOOR], [NONE_CEILING]
    for origin in np.unique(table.origins):
        subset = (table.origins == origin) & np.isfinite(log_odds)
        reals = np.sort(log_odds[subset & (table.labels == 0)])
        fakes = log_odds[subset & (table.labels == 1)]
        if len(reals) >= LEAST_OF_ORIGIN:
            some.append(float(reals[-math.floor(REAL_WITH_SOME * len(reals)) - 1]) + 1e-3)
        if len(reals):
            most = float(reals[-math.floor(REAL_WITH_STRONG * len(reals)) - 1])
            strong.append(most + STRONG_MARGIN)
        if len(fakes) >= LEAST_OF_ORIGIN:
            none.append(float(np.quantile(fakes, FAKE_WITH_NONE)))
    lowest = max(some)
    known = np.isfinite(log_odds)
    real_sources = len(np.unique(table.sources[known & (table.labels == 0)]))
    strong.append(math.log(real_sources + 1) - 1e-3)  # all that so many sources can carry
    return Thresholds(
        round(max(*strong, lowest + STRONG_MARGIN), 3),
        round(lowest, 3),
        round(min(none), 3),
        real_sources=real_sources,
        fake_sources=len(np.unique(table.kinds[known & (table.labels == 1)])),
    )


def by_medium(table: Table, log_odds: np.ndarray) -> dict[str, Thresholds]:
    """`thresholds` of single images and of clips."""
    return {
        name: thresholds(table.only(subset), log_odds[subset])
        for name, subset in (("image", table.images), ("video", ~table.images))
    }


def nested_alarms(table: Table, log_odds: np.ndarray) -> dict[str, float]:
    """False alarms and catches where the thresholds, too, were chosen on the other folds."""
    fold = folds(table)
    strong, some, none = (np.zeros(len(fold), dtype=bool) for _ in range(3))
    for number in np.unique(fold):
        test = fold == number
        limits = by_medium(table.only(~test), log_odds[~test])
        for name, medium in (("image", table.images), ("video", ~table.images)):
            subset = test & medium
            strong[subset] = log_odds[subset] >= limits[name].strong
            some[subset] = log_odds[subset] >= limits[name].some
            none[subset] = log_odds[subset] <= limits[name].none
    real, fake = table.labels == 0, table.labels == 1
    return {
        "reals": int(real.sum()),
        "reals_with_strong": int((strong & real).sum()),
        "reals_with_strong_or_some": int((some & real).sum()),
        "fakes": int(fake.sum()),
        "fakes_with_strong": int((strong & fake).sum()),
        "fakes_with_strong_or_some": int((some & fake).sum()),
        "fakes_with_none": int((none & fake).sum()),
        "reals_with_none": int((none & real).sum()),
    }


# ------------------------------------------------------------------------------- the report


def figures(table: Table, outcome: Outcome) -> dict:
    """All held-out metrics and the fitted loss of one configuration, with the AUC's interval."""
    there = np.isfinite(outcome.log_odds)
    labels, log_odds = table.labels[there], outcome.log_odds[there]
    return {
        **measure(metrics_for(calibrated=True), labels, log_odds),
        "auc_interval": interval(lambda r: auc(labels[r], log_odds[r]), table.units[there]),
        "weighted_log_loss": outcome.loss,
        "coverage": float(there.mean()),
        "ridge": outcome.ridge,
    }


def ablation(
    table: Table, selected: Sequence[str], dropped: Sequence[str], chosen: Outcome
) -> list[dict]:
    """Held-out figures with the chosen detectors, and with each one added or taken away."""

    def row(words: str, out: Sequence[str]) -> dict:
        less = table.without(out)
        outcome = outcome_at(less, chosen.ridge)
        answered = table.labels[np.isfinite(outcome.log_odds)]
        if len(np.unique(answered)) < 2:
            return {"detectors": words, "note": "nothing left to rank"}
        return {"detectors": words, **figures(less, outcome)}

    first = {
        "detectors": "chosen: " + ", ".join(selected),
        **figures(table.without(dropped), chosen),
    }
    rows = [first]
    rows += [row(f"without {name}", [*dropped, name]) for name in selected]
    able: dict[str, bool] = dict(zip(DETECTORS, usable(table), strict=True))
    for name in dropped:
        if able[name]:
            rows.append(row(f"with {name}", [other for other in dropped if other != name]))
        else:
            rows.append({"detectors": f"with {name}", "note": "too few files with a number"})
    for name in (n for n in DETECTORS if able[n]):
        rows.append(row(f"{name} alone", [other for other in DETECTORS if other != name]))
    return rows


def as_markdown(rows: Sequence[dict]) -> str:
    """The ablation as a table for a model card or the log."""
    lines = [
        "| detectors | AUC (95 %) | expected calibration error | at equal odds | log loss "
        "| coverage |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if "note" in row:
            lines.append(f"| {row['detectors']} | {row['note']} | | | | |")
            continue
        low, high = row["auc_interval"] or (math.nan, math.nan)
        lines.append(
            f"| {row['detectors']} | {row['auc']:.3f} ({low:.3f} to {high:.3f}) | {row['ece']:.3f} "
            f"| {row['ece_equal_odds']:.3f} | {row['weighted_log_loss']:.3f} "
            f"| {row['coverage']:.2f} |"
        )
    return "\n".join(lines)


def fit_all(table: Table, words: str, keep: Sequence[str] | None) -> tuple[FusionParameters, dict]:
    """The numbers of the fusion, and all that was measured on the way.

    Args:
        table: all files.
        words: the data in words.
        keep: detectors that vote; chosen by what they are worth when None.
    """
    table = table.seeing(COVERAGE, LLR_CLIP)
    if keep is None:
        selected, dropped = worthwhile(table)
    else:
        selected, dropped = list(keep), [name for name in DETECTORS if name not in keep]
    chosen = table.without(dropped)
    outcome = best_ridge(chosen)
    final = fit(chosen, outcome.ridge)
    numbers = FusionParameters(
        intercept=round(final.intercept, 4),
        weights={n: round(float(w), 4) for n, w in zip(DETECTORS, final.weights, strict=True)}
        | TAKEN_AT_THEIR_WORD,
        llr_clip=LLR_CLIP,
        **by_medium(table, outcome.log_odds),
        fitted_on=words,
        date=date.today().isoformat(),
        coverage={name: share for name, share in COVERAGE.items() if name in selected},
        way_shares=WAY_SHARES,
    )
    measured = {
        "held_out": figures(chosen, outcome),
        "kept": selected,
        "dropped": dropped,
        "folds": {k: int((folds(table) == k).sum()) for k in sorted(set(folds(table).tolist()))},
        "levels_with_nested_thresholds": nested_alarms(table, outcome.log_odds),
        "ablation": ablation(table, selected, dropped, outcome),
    }
    return numbers, measured


def describe(table: Table) -> str:
    """The data in words, for ``fitted_on``."""
    n_fake = int(table.labels.sum())
    kinds = sorted(set(table.kinds[table.labels == 1]))
    return (
        f"{len(table.labels) - n_fake} real and {n_fake} fake files ({', '.join(kinds)}), "
        "cross-validated by leaving out one kind of fake"
    )


def main() -> None:
    """Fit, show and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="folders of cli.py evaluate")
    parser.add_argument(
        "--held-out",
        metavar="detector=FILE",
        action="append",
        default=[],
        help="scores of a detector that was fitted on some of these files, made without their kind",
    )
    parser.add_argument("--keep", metavar="name,name", help="vote by these instead of choosing")
    parser.add_argument("--out", type=Path, default=PARAMETERS_FILE, help="the numbers, JSON")
    parser.add_argument("--figures", type=Path, help="all that was measured, JSON")
    chosen = parser.parse_args()
    held_out = {
        name: read_held_out(Path(file))
        for name, file in (words.split("=", 1) for words in chosen.held_out)
    }
    table = read_table(chosen.results, held_out)
    keep = chosen.keep.split(",") if chosen.keep else None
    numbers, measured = fit_all(table, describe(table), keep)
    chosen.out.write_text(json.dumps(asdict(numbers), indent=2) + "\n", "utf-8")
    if chosen.figures:
        chosen.figures.write_text(json.dumps(measured, indent=2) + "\n", "utf-8")
    print(json.dumps(asdict(numbers), indent=2))
    print(as_markdown(measured["ablation"]))
    print(json.dumps(measured["levels_with_nested_thresholds"], indent=2))


if __name__ == "__main__":
    main()
