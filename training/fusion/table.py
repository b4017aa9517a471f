"""Does the program hold on tools and cameras that it was not fitted on? One table.

``python -m training.fusion.table RESULTS… --out DIR`` reads folders that ``cli.py evaluate`` wrote
and leaves out one tool family and one real source at once (`evaluation.leave_out`): every detector,
the fusion as it ships and fitted anew each time, and what can be had without looking at a face:
metadata, the size of the file, sharpness, smoothness of the skin. Writes ``table.md`` and
``table.csv``. Imports evaluation and training.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from errors import UserError
from evaluation.baselines import FEATURES, TREES, metadata_table
from evaluation.curves import both_classes
from evaluation.evaluate import LINES
from evaluation.leave_out import (
    LEAST,
    Judged,
    Row,
    Truth,
    across,
    flagged_by,
    folds,
    judge,
    row,
)
from evaluation.manifest import read_manifest
from evaluation.run import read_lines
from report.cells import plain_text
from training.data.appearance import age_band, skin_tone
from training.fusion.evidence import read_table
from training.fusion.fit import COVERAGE, LLR_CLIP, held_out
from verdict.levels import Level

RIDGE = 0.01  # of the fusion that is fitted anew
HOMES = {"stylegan": "ffhq"}  # source of fakes → the source of reals that belongs to it
TECHNIQUES = {"devset": "talking-head", "dubbed": "foreign voice"}  # of whole result folders
APPEARANCE = ("sharpness", "smoothness")
GROUPS = ("skin tone", "age", "sex", "ancestry")
SHIPPED, REFITTED, SIGNS = "fused, as it ships", "fused, fitted anew", "levels: some signs or more"


def read_files(folders: Sequence[Path], facts: Sequence[Path], tier: str = "") -> pd.DataFrame:
    """One row a file: truth, scores of every detector, and what is known beside them.

    Args:
        folders: of ``cli.py evaluate``.
        facts: CSVs with ``path`` and any of technique, age, sex, ancestry, sharpness, smoothness,
            ita_deg (`training.data.wild`, `training.data.appearance`).
        tier: name of a re-encoding, empty for the files as they are.
    """
    suffix = f"-{tier}" if tier else ""
    parts = []
    for folder in folders:
        scores = pd.read_csv(folder / f"scores{suffix}.csv", keep_default_na=True)
        items = {item.name: item for item in read_manifest(folder / "items.csv")}
        lines = folder / Path(LINES).with_stem(f"{Path(LINES).stem}{suffix}")
        records = {name: record for (name, _), record in read_lines(lines).items()}
        subset = [items[plain_text(str(name))] for name in scores["path"]]
        metadata = metadata_table([records[item.name] for item in subset])
        source = [HOMES.get(item.source, item.source) for item in subset]
        fake = scores["label"] == 1
        technique = TECHNIQUES.get(folder.name)
        parts.append(
            scores.assign(
                folder=folder.name,
                family=np.where(fake, scores["kind"].str.split("+").str[0], ""),
                source=[name and f"{name}" for name in source],
                technique=np.where(fake, technique or scores["kind"], ""),
                **{f"meta_{name}": metadata[:, k] for k, name in enumerate(FEATURES)},
            )
        )
    table = pd.concat(parts, ignore_index=True)
    for path in facts:
        known = pd.read_csv(path).drop_duplicates("path").set_index("path")
        for column in known:
            data = table["path"].map(known[column])
            table[column] = data.where(data.notna(), table.get(column))
    return _grouped(table)


def _grouped(table: pd.DataFrame) -> pd.DataFrame:
    """The same with a column of names for each of `GROUPS`, empty where nothing is known."""
    nothing = pd.Series(np.nan, table.index)
    return table.assign(
        **{
            "skin tone": table.get("ita_deg", nothing).map(skin_tone),
            "age": table.get("age", nothing).map(age_band),
            **{name: table.get(name, nothing).astype(object).fillna("") for name in GROUPS[2:]},
        }
    )


def truth_of(table: pd.DataFrame) -> Truth:
    """Labels, families and sources of `read_files`."""
    columns = (table[name].fillna("").to_numpy(str) for name in ("family", "source"))
    return Truth(table["label"].to_numpy(int), *columns)


@dataclass(frozen=True)
class Outcome:
    """One line of the table with what it is made of."""

    figures: Row
    judged: Judged


def outcomes(
    table: pd.DataFrame, folders: Sequence[Path], extra: Mapping[str, np.ndarray]
) -> Iterator[Outcome]:
    """Detectors, further scores, fusions, and what needs no face.

    Args:
        table: of `read_files`.
        folders: the same, to fit the fusion anew; empty to leave that out.
        extra: name → (n,) scores of detectors that the program does not have (yet).
    """
    truth = truth_of(table)
    fold = folds(truth)

    def line(name: str, scores: np.ndarray, **how: bool) -> Outcome:
        judged = judge(scores, truth, fold, **how)
        return Outcome(row(name, judged, truth), judged)

    names = [c.removesuffix("_log_odds") for c in table if c.endswith("_log_odds")]
    for name in (n for n in names if table[f"{n}_log_odds"].notna().any()):
        if _enough(scores := table[f"{name}_log_odds"].to_numpy(float), truth):
            yield line(name, scores)
    for name, scores in extra.items():
        yield line(name, scores)
    yield line(SHIPPED, table["log_odds"].to_numpy(float), calibrated=True)
    if folders:
        yield line(REFITTED, refitted(folders, fold), calibrated=True)
    yield line("metadata alone", metadata_guess(table, truth, fold))
    yield line("file size alone", table["meta_bytes"].to_numpy(float), free_direction=True)
    for name in (n for n in APPEARANCE if n in table):
        yield line(f"{name} alone", table[name].to_numpy(float), free_direction=True)


def _enough(scores: np.ndarray, truth: Truth) -> bool:
    known = truth.labels[np.isfinite(scores)]
    return bool(len(known)) and min(np.bincount(known, minlength=2)) >= LEAST


def refitted(folders: Sequence[Path], fold: np.ndarray) -> np.ndarray:
    """(n,) fused log-likelihood ratios by weights that saw neither the family nor the source."""
    evidence = read_table(folders).seeing(COVERAGE, LLR_CLIP)
    return held_out(evidence, RIDGE, fold)


def metadata_guess(table: pd.DataFrame, truth: Truth, fold: np.ndarray) -> np.ndarray:
    """(n,) share of trees that say fake, from size, rate, bit rate, length and bytes alone."""
    numbers = table[[f"meta_{name}" for name in FEATURES]].to_numpy(float)
    readable = np.isfinite(numbers).all(axis=1)
    result = np.full(len(table), np.nan)
    for number in np.unique(fold):
        train, test = readable & (fold != number), readable & (fold == number)
        if test.any() and both_classes(truth.labels[train]):
            forest = RandomForestClassifier(TREES, min_samples_leaf=2, random_state=0, n_jobs=1)
            forest.fit(numbers[train], truth.labels[train], truth.only(train).weights())
            result[test] = forest.predict_proba(numbers[test])[:, 1]
    return result


# --- slices --------------------------------------------------------------------------------------


def slices(table: pd.DataFrame, lines: Sequence[Outcome]) -> dict[str, dict[str, dict[str, float]]]:
    """What of the table is → part → line → share or AUC.

    Fakes by technique (AUC across sources), fakes flagged by family, reals flagged by source and
    by group of people.
    """
    truth = truth_of(table)
    technique = table["technique"].fillna("").to_numpy(str)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for line in lines:
        parts = {"AUC across sources by technique": _by_technique(line.judged, truth, technique)}
        parts["fakes flagged by tool family"] = flagged_by(line.judged, truth, truth.families, 1)
        parts["reals flagged by source"] = flagged_by(line.judged, truth, truth.sources, 0)
        for name in GROUPS:
            by = table[name].to_numpy(str)
            parts[f"reals flagged by {name}"] = flagged_by(line.judged, truth, by, 0)
        for what, values in parts.items():
            for part, value in values.items():
                result.setdefault(what, {}).setdefault(part, {})[line.figures.name] = value
    return result


def signs(table: pd.DataFrame) -> Outcome:
    """The program's own levels as a line: flagged means some signs or more."""
    truth, values = truth_of(table), table["log_odds"].to_numpy(float)
    judged = Judged(
        values, np.zeros(len(table)), table["level"].isin((Level.SOME, Level.STRONG)).to_numpy()
    )
    return Outcome(row(SIGNS, judged, truth), judged)


def _by_technique(judged: Judged, truth: Truth, technique: np.ndarray) -> dict[str, float]:
    known = np.isfinite(judged.scores)
    result = {}
    for name in sorted(set(technique[known]) - {""}):
        chosen = known & ((truth.labels == 0) | (technique == name))
        pairs = across(judged.scores[chosen], truth.only(chosen))
        if np.isfinite(pairs).any():
            result[name] = float(np.nanmean(pairs))
    return result


# --- the report ----------------------------------------------------------------------------------

HEAD = (
    *("", "coverage", "AUC within a source", "AUC across sources (95 %)"),
    *("fakes at 5 % false alarms", "reals flagged", "worst source", "Cllr", "Cllr_min"),
)


def as_markdown(
    table: pd.DataFrame,
    lines: Sequence[Outcome],
    parts: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> str:
    """The table and its slices."""
    truth = truth_of(table)
    n_fake = int(truth.labels.sum())
    sources, families = set(truth.sources[truth.labels == 0]), set(truth.families) - {""}
    text = [
        "# One table: a tool family and a real source left out at once",
        "",
        f"{len(table) - n_fake} real files of {len(sources)} sources, "
        f"{n_fake} fakes of {len(families)} tool families. Every "
        "family and every source weighs the same. Calibration and threshold come from the other "
        "files; the threshold lets 5 % of their reals through, the mean over sources.",
        "",
        *_rows(HEAD, [_cells(line.figures) for line in lines]),
    ]
    names = [line.figures.name for line in lines]
    for what, values in parts.items():
        shown = [n for n in names if any(n in value for value in values.values())]
        cells = [
            (part, *(_number(value.get(name)) for name in shown)) for part, value in values.items()
        ]
        text += ["", f"## {what[0].upper()}{what[1:]}", "", *_rows(("", *shown), cells)]
    return "\n".join(text) + "\n"


def _cells(figures: Row) -> tuple[str, ...]:
    low, high = figures.auc_across_interval or (None, None)
    limits = "" if low is None else f" ({_number(low)} to {_number(high)})"
    return (
        figures.name,
        _number(figures.coverage),
        _number(figures.auc_within),
        _number(figures.auc_across) + limits,
        _number(figures.tpr),
        _number(figures.fpr),
        f"{figures.worst_source} {_number(figures.worst_fpr)}",
        _number(figures.cllr),
        _number(figures.cllr_min),
    )


def _rows(head: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells)]


def _number(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.3f}"


def as_csv(
    lines: Sequence[Outcome], parts: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> pd.DataFrame:
    """Long form: line, measure, part, value."""
    result = []
    for line in lines:
        figures = asdict(line.figures)
        low, high = figures.pop("auc_across_interval") or (None, None)
        figures |= {"auc_across_low": low, "auc_across_high": high}
        name, worst = figures.pop("name"), figures.pop("worst_source")
        result += [
            (name, measure, worst if measure == "worst_fpr" else "", value)
            for measure, value in figures.items()
        ]
    for what, values in parts.items():
        for part, by_line in values.items():
            result += [(name, what, part, value) for name, value in by_line.items()]
    return pd.DataFrame(result, columns=["line", "measure", "part", "value"])


def read_extra(table: pd.DataFrame, given: Sequence[str]) -> dict[str, np.ndarray]:
    """``NAME=FILE.csv`` with ``path,score`` → (n,) scores in the order of the table."""
    result = {}
    for text in given:
        name, _, file = text.partition("=")
        scores = pd.read_csv(file)
        if not {"path", "score"} <= set(scores):
            raise UserError("bad_results", f"{file} needs the columns path and score.")
        by_path = scores.drop_duplicates("path").set_index("path")["score"]
        result[name] = table["path"].map(by_path).to_numpy(float)
    return result


def main() -> None:
    """Read, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="folders of cli.py evaluate")
    parser.add_argument("--facts", nargs="*", type=Path, default=[], help="CSVs with path,…")
    parser.add_argument("--scores", nargs="*", default=[], metavar="NAME=FILE.csv")
    parser.add_argument("--tier", default="", help="a re-encoding of cli.py evaluate --tiers")
    parser.add_argument("--no-refit", action="store_true", help="leave the fusion as it ships")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    table = read_files(chosen.results, chosen.facts, chosen.tier)
    folders = [] if chosen.no_refit or chosen.tier else chosen.results
    lines = list(outcomes(table, folders, read_extra(table, chosen.scores)))
    parts = slices(table, [*lines, signs(table)])
    chosen.out.mkdir(parents=True, exist_ok=True)
    text = as_markdown(table, lines, parts)
    (chosen.out / "table.md").write_text(text, "utf-8")
    as_csv(lines, parts).to_csv(chosen.out / "table.csv", index=False)
    print(text)


if __name__ == "__main__":
    main()
