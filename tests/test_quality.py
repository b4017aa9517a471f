"""The tab About shows the cards' own numbers, those by skin tone, age and sex too."""

import csv

from hub import catalog
from report import quality


def test_false_alarms_are_shown_by_skin_tone_age_and_sex_as_the_card_has_them():
    path = catalog.DEFAULTS / "generation" / "figures.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    groups = {
        name: row for name, row in rows.items()
        if name.startswith(("false alarms, skin tone", "false alarms, age", "false alarms, sex"))
    }  # fmt: skip
    shown = quality.figures("people")
    assert len(shown) == len(groups) >= 12
    page = quality.quality()
    for entry, figure in zip(quality.shown()["people"], shown, strict=True):
        row = groups.pop(entry["figure"])
        assert figure.count == f"{int(row['n_real']):,} real"
        assert abs(float(figure.value.removesuffix(" %")) - 100 * float(row["value"])) <= 0.5
        assert figure.what in page
    assert not groups
