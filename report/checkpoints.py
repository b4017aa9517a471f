"""How are checkpoints shown: the catalog, one checkpoint, the cache, two side by side?

Rows and facts for the templates. Imports hub (types), analysis (types), detectors.registry and the
other files of this room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis import Analysis
from detectors.base import Finding
from detectors.registry import roles
from hub.checkpoint import Checkpoint, Source
from hub.remote import Cached
from hub.selfcheck import SignCheck
from report.language import ENGLISH, Language
from report.render import render
from report.roles import title
from report.words import STATUS, clock, sentence, signed, size, strength
from verdict.explain import name_of
from verdict.fusion import fusion_parameters

DIRECTIONS = {"right": "good", "inverted": "caution", "blind": "caution", "too_few": ""}
DIRECTION_WORDS = {
    "right": "the right way", "inverted": "inverted", "blind": "no direction", "too_few": "too few",
}  # fmt: skip
CATALOG_HEADS = (
    "Checkpoint", "Name to type", "Role", "Input", "Outputs", "License", "State", "Known",
)  # fmt: skip


def panel(language: Language = ENGLISH, **parts: Any) -> str:
    """Badges, facts, a table, sentences and a note, as far as they are given."""
    empty: dict[str, Any] = {
        "badges": (), "text": "", "facts": (), "heads": (), "rows": (), "caption": "",
        "sentences": (), "claims": (), "note": "",
    }  # fmt: skip
    return render("panel", language, **{**empty, **parts})


def catalog_table(sources: Sequence[Source], language: Language = ENGLISH) -> dict[str, Any]:
    """The entries of the catalog with what is known for and against each, with their heads.

    What is longer stands in `source_facts` of the row that was clicked.
    """
    return {
        "headers": [language(head) for head in CATALOG_HEADS],
        "data": [_catalog_row(source, language) for source in sources],
    }


def _catalog_row(source: Source, language: Language) -> list[str]:
    state = ["usable" if source.usable else "refused"]
    state += [] if source.pinned else ["not pinned"]
    state += ["terms to accept"] if source.gated else []
    return [
        language(source.title),
        source.spec,
        language(title(source.detector)),
        language(source.input),
        language(source.outputs),
        language(source.license),
        ", ".join(map(language, state)),
        " ".join(map(language, (*source.bad, *source.notes))),
    ]


def source_facts(source: Source, language: Language = ENGLISH) -> str:
    """What the catalog knows of one entry before anything is loaded."""
    badges = [("can be used", "good") if source.usable else ("cannot be used", "caution")]
    badges += [] if source.pinned else [("not pinned to a commit", "caution")]
    badges += [("its owner asks to accept terms", "caution")] if source.gated else []
    looks_at = language(source.crop)
    if source.margin is not None:
        looks_at = language("{crop}, {n:.0f} % margin", crop=looks_at, n=100 * source.margin)
    facts = [
        ("Name to type", source.spec),
        ("Role", language(title(source.detector))),
        ("Architecture", language(source.architecture) or "–"),
        ("Looks at", looks_at),
        ("Input", language(source.input)),
        ("Outputs", language(source.outputs)),
        ("License", language(source.license)),
    ]
    if source.labels is not None:
        facts.append(("Which output means fake", language(source.labels.evidence)))
    return panel(
        language,
        badges=tuple((language(words), kind) for words, kind in badges),
        text=language(source.title),
        facts=tuple((language(name), value) for name, value in facts),
        sentences=tuple(map(language, source.notes)),
        note=" ".join(map(language, source.bad)),
    )


def checkpoint_facts(checkpoint: Checkpoint, language: Language = ENGLISH) -> str:
    """What was resolved: where from, what its outputs mean, whether it may vote.

    What a card says of itself stays in the card's words.
    """
    card = checkpoint.card
    vote = ("counted in the verdict", "good")
    if card.calibration is None:
        vote = ("uncalibrated: shown, not counted", "caution")
    elif not card.votes:
        vote = ("experimental: shown, not counted", "caution")
    elif fusion_parameters().weights.get(card.detector, 0) <= 0:
        vote = ("no vote in the sum: shown, not counted", "caution")
    facts = (
        ("Checkpoint", checkpoint.label),
        (
            "Full revision",
            checkpoint.revision or language("a folder or embedded, see the checksum"),
        ),
        ("SHA-256 of the weights", checkpoint.sha256),
        ("Title", card.title),
        ("License", language(card.license)),
        ("Input", language(card.input_words())),
        ("Which output means fake", language(card.labels_known_by)),
        ("Calibration", _calibration_words(checkpoint, language)),
        ("Trained on", "; ".join(card.trained_on) or language("not stated")),
    )
    figures = _figures(checkpoint, language)
    heads = ("Figure", "Value", "Interval (95 %)", "Files", "How") if figures else ()
    return panel(
        language, badges=((language(vote[0]), vote[1]),), rows=figures,
        facts=tuple((language(name), value) for name, value in facts),
        caption=language("Measured"), heads=tuple(map(language, heads)),
        claims=tuple(card.limits), note=" ".join(map(language, checkpoint.warnings)),
    )  # fmt: skip


def cache_table(
    cached: Sequence[Cached], language: Language = ENGLISH, freed_mb: float | None = None
) -> str:
    """What was downloaded and lies on this disk, and how much was deleted just now."""
    text = "" if freed_mb is None else language("{n:.1f} MB were freed.", n=freed_mb)
    if not cached:
        return panel(language, text=f"{text} {language('Nothing was downloaded yet.')}".strip())
    rows = [(c.repo_id, c.commit, size(c.size_bytes, language)) for c in cached]
    heads = tuple(map(language, ("Repository", "Commit", "Size")))
    caption = language("Downloaded checkpoints")
    return panel(language, text=text, heads=heads, rows=rows, caption=caption)


def direction_words(check: SignCheck, language: Language = ENGLISH) -> str:
    """The result of the sign self-check."""
    badge = (language(DIRECTION_WORDS[check.verdict]), DIRECTIONS[check.verdict])
    return panel(language, badges=(badge,), text=language(check.sentence))


def not_calibrated(
    check: SignCheck, needed: int, shared: bool, language: Language = ENGLISH
) -> str:
    """Why no calibration was kept, and what to do next."""
    if check.verdict != "right":
        text = language("Not calibrated, because the direction is not clear.")
    elif min(check.n_real, check.n_fake) < needed:
        text = language(
            "Not calibrated: that takes at least {n} real and as many manipulated files.", n=needed
        )
    elif shared:
        text = language(
            "Not kept: it would change the verdicts of other visitors. Run the program on your own "
            "machine and calibrate there."
        )
    else:
        text = language("Not calibrated.")
    return panel(language, text=text)


def side_by_side(role: str, results: Sequence[Analysis], language: Language = ENGLISH) -> str:
    """The findings of one role by two checkpoints on one file."""
    people = dict.fromkeys(f.person for a in results for f in a.findings if f.detector == role)
    labels = (a.checkpoints.get(role, language("not loaded")) for a in results)
    rows = []
    for person in people:
        subset = [[f for f in a.findings if f.detector == role] for a in results]
        cells = [
            _cell(next((f for f in fs if f.person == person), None), language) for fs in subset
        ]
        who = name_of(person, language) if person else language("whole file")
        rows.append((who, *cells))
    return panel(
        language, heads=(language("Person"), *labels), rows=rows,
        caption=language(
            "{detector}: two checkpoints on one file", detector=language(title(role))
        ),
        text=language("Numbers that are not calibrated are on a scale of their own."),
    )  # fmt: skip


def what_it_sees(language: Language = ENGLISH) -> str:
    """What each detector asks, and what it is blind to."""
    rows = [
        (language(d.title), language(d.question), language(sentence(d.blind_to))) for d in roles()
    ]
    heads = tuple(language(head) for head in ("Detector", "Asks", "Is blind to"))
    return panel(language, heads=heads, rows=rows, caption=language("What the detectors look at"))


def _cell(finding: Finding | None, language: Language) -> str:
    if finding is None:
        return "–"
    if finding.value is None:
        return language(finding.reason.sentence if finding.reason else "no number")
    windows = ", ".join(
        f"{clock(w.start_s, language)}: {signed(w.value, language)}" for w in finding.windows
    )
    status = language(STATUS[finding.status])
    words = f"{signed(finding.value, language)}, {strength(finding.value, language)}; {status}."
    return f"{words} {windows}" if windows else words


def _calibration_words(checkpoint: Checkpoint, language: Language) -> str:
    fitted = checkpoint.card.calibration
    if fitted is None:
        return language("no calibration")
    counts = language("{n} real, {m} fake", n=fitted.n_real, m=fitted.n_fake)
    return f"{language(fitted.fitted_on)}: {counts} ({fitted.date})"


def _figures(checkpoint: Checkpoint, language: Language) -> list[tuple[str, ...]]:
    """The measured values of the card, as far as they are complete."""
    rows = []
    for figure in checkpoint.card.figures:
        value, low, high = (figure.get(k) for k in ("value", "low", "high"))
        if not isinstance(value, int | float):
            continue
        interval = language("not given")
        if isinstance(low, int | float) and isinstance(high, int | float):
            a, b = language.number(low, ".3f"), language.number(high, ".3f")
            interval = language("{a} to {b}", a=a, b=b)
        count = language(
            "{n} real, {m} fake", n=figure.get("n_real", "?"), m=figure.get("n_fake", "?")
        )
        name, protocol = str(figure.get("name", "")), str(figure.get("protocol", ""))
        rows.append((name, language.number(value, ".3f"), interval, count, protocol))
    return rows
