"""Do the model cards hold the figures that ``evaluate`` wrote, and keep a recipe's own?"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from detectors.registry import names
from hub import catalog
from hub.checkpoint import Card
from tests.test_fit_fusion import write_results
from training.cards import figures as cards
from training.cards import page
from training.cards.calibrate import calibrate_card
from verdict.fusion import fusion_parameters

DEFAULTS = Path(cards.DEFAULTS)
SHIPPED = {
    **{name: (DEFAULTS / name, texts) for name, texts in page.PAGES.items()},
    **{name: (catalog.ALTERNATIVES / name, texts) for name, texts in page.ALTERNATIVES.items()},
}


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Results on 40 faces: spatial ranks swaps without a mistake, frequency judges every second."""
    folder = tmp_path / "faces"
    folder.mkdir()
    rows = pd.DataFrame({"label": [n % 2 for n in range(40)], "number": range(40)})
    rows["path"] = [f"{n}.jpg" for n in rows.number]
    rows["group"] = [f"dfdc-{n // 2}" for n in rows.number]
    rows["kind"] = ["face-swap" if label else "real" for label in rows.label]
    rows["spatial_log_odds"] = 2.0 * rows.label - 1.0
    rows["frequency_log_odds"] = [0.5 if n % 4 < 2 else None for n in rows.number]
    for name in set(names()) - {"spatial", "frequency"}:
        rows[f"{name}_log_odds"] = None
    rows.drop(columns="number").to_csv(folder / "scores.csv", index=False)
    rows.assign(source="dfdc").to_csv(folder / "items.csv", index=False)
    baselines = {
        "metadata": {"auc": None},
        "file_size": {"auc": {"value": 0.52, "low": 0.4, "high": 0.6}},
    }
    (folder / "metrics.json").write_text(json.dumps({"baselines": baselines}))
    return folder


def named(figures: list[dict]) -> dict[str, float]:
    return {figure["name"]: figure["value"] for figure in figures}


def test_figures_are_those_of_the_scores(faces):
    results = cards.read_results(faces)
    spatial = named(list(cards.figures("spatial", results)))
    assert spatial["AUC, DFDC face swaps, as published"] == 1.0
    assert spatial["False alarms, real dfdc, as published"] == 0.0
    frequency = named(list(cards.figures("frequency", results)))
    assert frequency["AUC, DFDC face swaps, as published"] == 0.5
    assert frequency["Judged, real dfdc, as published"] == 0.5
    assert frequency["False alarms, real dfdc, as published"] == 0.5
    assert not list(cards.figures("sync", results))
    assert named(list(cards.baseline_figures(results))) == {"AUC of file size alone, faces": 0.52}


def test_a_card_keeps_the_figures_of_its_recipe_and_loses_the_old_ones(faces, tmp_path):
    folder = tmp_path / "temporal"
    shutil.copytree(DEFAULTS / "temporal", folder)
    rows = page.read_figures(folder)
    recipe = [row for row in rows if not row["protocol"].startswith(cards.PROTOCOL)]
    assert 0 < len(recipe) < len(rows)
    result = list(cards.figures("spatial", cards.read_results(faces)))
    for _ in range(2):  # the second time the first time's figures are the old ones
        cards.rewrite(folder, result)
    assert page.read_figures(folder) == [*recipe, *result]
    readme = (folder / "README.md").read_text("utf-8")
    assert f"All {len(recipe) + len(result)} rows" in readme


def test_a_new_line_stands_in_the_card_and_on_its_page(tmp_path):
    results, folder = write_results(tmp_path / "clips"), tmp_path / "spatial"
    shutil.copytree(DEFAULTS / "spatial", folder, ignore=shutil.ignore_patterns("*.safetensors"))
    rows = page.read_figures(folder)
    line = calibrate_card([results], "spatial", folder)
    card = Card.from_json((folder / "card.json").read_text("utf-8"))
    assert card.calibration == line
    assert (folder / "README.md").read_text("utf-8") == page.page(
        page.PAGES["spatial"], card, len(rows)
    )
    assert page.read_figures(folder) == rows


@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_card_is_one_page_that_says_what_card_and_table_say(name):
    folder, texts = SHIPPED[name]
    card = Card.from_json((folder / "card.json").read_text("utf-8"))
    readme, rows = (folder / "README.md").read_text("utf-8"), page.read_figures(folder)
    assert readme == page.page(texts, card, len(rows))  # made by `python -m training.cards`
    for title in ("Intended use", "Data and terms", "Figures", "What it cannot see, and what"):
        assert f"\n## {title}" in readme
    assert len(card.figures) == len(texts.headlines) <= page.HEADLINES
    for figure in card.figures:
        assert figure in rows
    assert all(limit in readme for limit in card.limits)
    assert len(readme.split()) < 700 and sum(
        x.startswith("|") for x in readme.splitlines()
    ) == 2 + len(texts.headlines)


SETS = ("devset", "outside", "faces-val", "faces-train", "talking-ar", "talking-en", "wild")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_is_read_without_knowing_our_names_of_sets(name):
    folder = SHIPPED[name][0]
    readme = (folder / "README.md").read_text("utf-8")
    card = Card.from_json((folder / "card.json").read_text("utf-8"))
    named = " ".join(figure["name"] for figure in card.figures)
    for word in SETS:
        assert not re.search(rf"\b{word}\b", f"{readme} {named}"), word


def test_the_sum_says_on_how_many_sources_it_was_fitted():
    numbers = fusion_parameters()
    for limits in (numbers.image, numbers.video):
        assert f"from {limits.real_sources} and {limits.fake_sources} sources" in numbers.fitted_on
    assert not any(word in numbers.fitted_on for word in (*SETS, "studio"))


def test_figures_survive_the_way_through_their_table(tmp_path):
    folder = DEFAULTS / "sync"
    card = Card.from_json((folder / "card.json").read_text("utf-8"))
    rows = page.read_figures(folder)
    page.write(tmp_path, card, rows)
    for name in ("card.json", page.FIGURES, "README.md"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
