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

DIRECTIONS = {"right": "good", "inverted": "caution", "blind": "caution", "too_few": ""}
CATALOG_HEADS = (
    "Checkpoint", "Name to type", "Role", "Architecture", "Input", "Outputs", "License", "State",
    "Known",
)  # fmt: skip


def panel(language: Language = ENGLISH, **parts: Any) -> str:
    """Badges, facts, a table, sentences and a note, as far as they are given."""
    empty: dict[str, Any] = {
        "badges": (), "text": "", "facts": (), "heads": (), "rows": (), "caption": "",
        "sentences": (), "note": "",
    }  # fmt: skip
    return render("panel", language, **{**empty, **parts})


def catalog_rows(sources: Sequence[Source]) -> list[list[str]]:
    """The entries of the catalog with what is known for and against each."""
    return [
        [
            source.title,
            source.spec,
            title(source.detector),
            source.architecture,
            source.input,
            source.outputs,
            source.license,
            ", ".join(
                ["usable" if source.usable else "refused"]
                + ([] if source.pinned else ["not pinned"])
                + (["terms to accept"] if source.gated else [])
            ),
            " ".join((*source.bad, *source.notes)),
        ]
        for source in sources
    ]


def source_facts(source: Source, language: Language = ENGLISH) -> str:
    """What the catalog knows of one entry before anything is loaded."""
    badges = [("can be used", "good") if source.usable else ("cannot be used", "caution")]
    badges += [] if source.pinned else [("not pinned to a commit", "caution")]
    badges += [("its owner asks to accept terms", "caution")] if source.gated else []
    margin = "" if source.margin is None else f", {source.margin:.0%}"
    facts = [
        ("Name to type", source.spec),
        ("Role", language(title(source.detector))),
        ("Architecture", source.architecture or "–"),
        ("Looks at", f"{language(source.crop)}{margin}"),
        ("Input", source.input),
        ("Outputs", source.outputs),
        ("License", source.license),
    ]
    if source.labels is not None:
        facts.append(("Which output means fake", source.labels.evidence))
    return panel(
        language,
        badges=tuple((language(words), kind) for words, kind in badges),
        text=source.title,
        facts=tuple((language(name), value) for name, value in facts),
        sentences=source.notes,
        note=" ".join(source.bad),
    )


def checkpoint_facts(checkpoint: Checkpoint) -> str:
    """What was resolved: where from, what its outputs mean, whether it may vote."""
    card = checkpoint.card
    vote = ("counted in the verdict", "good")
    if card.calibration is None:
        vote = ("uncalibrated: shown, not counted", "caution")
    elif not card.votes:
        vote = ("experimental: shown, not counted", "caution")
    facts = (
        ("Checkpoint", checkpoint.label),
        ("Full revision", checkpoint.revision or "a folder or embedded, see the checksum"),
        ("SHA-256 of the weights", checkpoint.sha256),
        ("Title", card.title),
        ("License", card.license),
        ("Input", card.input_words()),
        ("Which output means fake", card.labels_known_by),
        ("Calibration", _calibration_words(checkpoint)),
        ("Trained on", "; ".join(card.trained_on) or "not stated"),
    )
    figures = _figures(checkpoint)
    return panel(
        badges=(vote,), facts=facts, rows=figures, caption="Measured",
        heads=("Figure", "Value", "95 % interval", "Files", "How") if figures else (),
        sentences=tuple(card.limits), note=" ".join(checkpoint.warnings),
    )  # fmt: skip


def cache_table(cached: Sequence[Cached], text: str = "") -> str:
    """What was downloaded and lies on this disk."""
    if not cached:
        return panel(text=f"{text} Nothing was downloaded yet.".strip())
    rows = [(c.repo_id, c.commit, size(c.size_bytes)) for c in cached]
    heads = ("Repository", "Commit", "Size")
    return panel(text=text, heads=heads, rows=rows, caption="Downloaded checkpoints")


def direction_words(check: SignCheck) -> str:
    """The result of the sign self-check."""
    badge = (check.verdict.replace("_", " "), DIRECTIONS[check.verdict])
    return panel(badges=(badge,), text=check.sentence)


def not_calibrated(check: SignCheck, needed: int, shared: bool) -> str:
    """Why no calibration was kept, and what to do next."""
    if check.verdict != "right":
        text = "Not calibrated, because the direction is not clear."
    elif min(check.n_real, check.n_fake) < needed:
        text = f"Not calibrated: that takes at least {needed} real and {needed} manipulated files."
    elif shared:
        text = (
            "Not kept: it would change the verdicts of other visitors. Run the program on your own "
            "machine and calibrate there."
        )
    else:
        text = "Not calibrated."
    return panel(text=text)


def side_by_side(role: str, results: Sequence[Analysis]) -> str:
    """The findings of one role by two checkpoints on one file."""
    people = dict.fromkeys(f.person for a in results for f in a.findings if f.detector == role)
    heads = ("Person", *(a.checkpoints.get(role, "not loaded") for a in results))
    rows = []
    for person in people:
        subset = [[f for f in a.findings if f.detector == role] for a in results]
        cells = [_cell(next((f for f in fs if f.person == person), None)) for fs in subset]
        rows.append((person or "whole file", *cells))
    note = "Numbers that are not calibrated are on a scale of their own."
    return panel(
        heads=heads, rows=rows, caption=f"{title(role)}: two checkpoints on one file", text=note
    )


def what_it_sees(language: Language = ENGLISH) -> str:
    """What each detector asks, and what it is blind to."""
    rows = [
        (language(d.title), language(d.question), language(sentence(d.blind_to))) for d in roles()
    ]
    heads = tuple(language(head) for head in ("Detector", "Asks", "Is blind to"))
    return panel(language, heads=heads, rows=rows, caption=language("What the detectors look at"))


def _cell(finding: Finding | None) -> str:
    if finding is None:
        return "–"
    if finding.value is None:
        return finding.reason.sentence if finding.reason else "no number"
    windows = ", ".join(f"{clock(w.start_s)}: {signed(w.value)}" for w in finding.windows)
    status = STATUS[finding.status]
    words = f"{signed(finding.value)}, {strength(finding.value)}; {status}."
    return f"{words} {windows}" if windows else words


def _calibration_words(checkpoint: Checkpoint) -> str:
    fitted = checkpoint.card.calibration
    if fitted is None:
        return "none"
    return f"{fitted.fitted_on}: {fitted.n_real} real, {fitted.n_fake} fake ({fitted.date})"


def _figures(checkpoint: Checkpoint) -> list[tuple[str, ...]]:
    """The measured values of the card, as far as they are complete."""
    rows = []
    for figure in checkpoint.card.figures:
        value, low, high = (figure.get(k) for k in ("value", "low", "high"))
        if not isinstance(value, int | float):
            continue
        both = isinstance(low, int | float) and isinstance(high, int | float)
        interval = f"{low:.3f} to {high:.3f}" if both else "not given"
        count = f"{figure.get('n_real', '?')} real, {figure.get('n_fake', '?')} fake"
        name, protocol = str(figure.get("name", "")), str(figure.get("protocol", ""))
        rows.append((name, f"{value:.3f}", interval, count, protocol))
    return rows
