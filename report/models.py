"""How are checkpoints shown: the catalogue, one checkpoint, the cache, two side by side?

HTML without scripts, like the cards; names and texts from outside are escaped. Imports hub (types),
analysis (types), detectors.registry and the other files of this room.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from analysis import Analysis
from detectors.base import Finding
from detectors.registry import DETECTORS
from hub.checkpoint import Checkpoint, Source
from hub.remote import Cached
from hub.selfcheck import SignCheck
from report.cards import badge, pairs, sentences, table
from report.words import STATUS, clock, in_words, signed, size, title

DIRECTIONS = {"right": "good", "inverted": "caution", "blind": "caution", "too_few": ""}


def catalogue_table(sources: Sequence[Source]) -> str:
    """The entries of the catalogue with what is known for and against each."""
    if not sources:
        return "<p class='quiet'>Nothing in the catalogue has all of these words.</p>"
    rows = []
    for source in sources:
        marks = badge("usable", "good") if source.usable else badge("refused", "caution")
        marks += " " + badge("pinned" if source.pinned else "not pinned")
        marks += " " + badge("terms to accept", "caution") if source.gated else ""
        spec = source.repo_id or "embedded"
        rows.append(
            (
                f"{escape(source.title)}<br><code>{escape(spec)}</code>",
                escape(title(source.detector)),
                escape(source.architecture),
                marks,
                sentences((*source.bad, *source.notes)),
            )
        )
    return table(("Checkpoint", "Role", "Architecture", "State", "Known"), rows, "Catalogue")


def checkpoint_facts(checkpoint: Checkpoint) -> str:
    """What was resolved: where from, what its outputs mean, whether it may vote."""
    card = checkpoint.card
    vote = badge("counted in the verdict", "good")
    if card.calibration is None:
        vote = badge("uncalibrated: shown, not counted", "caution")
    elif not card.votes:
        vote = badge("experimental: shown, not counted", "caution")
    facts = [
        ("Checkpoint", checkpoint.label),
        ("Full revision", checkpoint.revision or "a folder or embedded, see the checksum"),
        ("SHA-256 of the weights", checkpoint.sha256),
        ("Title", card.title),
        ("Licence", card.licence),
        ("Input", _input_words(checkpoint)),
        ("Which output means fake", card.labels_known_by),
        ("Calibration", _calibration_words(checkpoint)),
        ("Trained on", "; ".join(card.trained_on) or "not stated"),
    ]
    warned = ""
    if checkpoint.warnings:
        warned = f"<div class='warn' role='note'>{sentences(checkpoint.warnings)}</div>"
    limits = f"<h3>Limits</h3>{sentences(card.limits)}" if card.limits else ""
    return f"<p>{vote}</p>{pairs(facts)}{_figures(checkpoint)}{limits}{warned}"


def cache_table(cached: Sequence[Cached]) -> str:
    """What was downloaded and lies on this disk."""
    if not cached:
        return "<p class='quiet'>Nothing was downloaded yet.</p>"
    rows = [
        (
            f"<code>{escape(c.repo_id)}</code>",
            f"<code>{escape(c.commit)}</code>",
            size(c.size_bytes),
        )
        for c in cached
    ]
    return table(("Repository", "Commit", "Size"), rows, "Downloaded checkpoints")


def direction_words(check: SignCheck) -> str:
    """The result of the sign self-check."""
    mark = badge(check.verdict.replace("_", " "), DIRECTIONS[check.verdict])
    return f"<p>{mark} {escape(check.sentence)}</p>"


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
    return f"<p>{escape(text)}</p>"


def side_by_side(role: str, results: Sequence[Analysis]) -> str:
    """The findings of one role by two checkpoints on one file."""
    people = dict.fromkeys(f.person for a in results for f in a.findings if f.detector == role)
    heads = ("Person", *(_name(a, role) for a in results))
    rows = []
    for person in people:
        cells = [
            _cell(next((f for f in _own(a, role) if f.person == person), None)) for a in results
        ]
        rows.append((escape(person or "whole file"), *cells))
    note = "<p class='quiet'>Numbers that are not calibrated are on a scale of their own.</p>"
    return table(heads, rows, f"{title(role)}: two checkpoints on one file") + note


def what_it_sees() -> str:
    """What each detector asks, and what it is blind to."""
    rows = [(escape(d.title), escape(d.question), escape(_sentence(d.blind_to))) for d in DETECTORS]
    return table(("Detector", "Asks", "Is blind to"), rows, "What the detectors look at")


def _own(analysis: Analysis, role: str) -> list[Finding]:
    return [f for f in analysis.findings if f.detector == role]


def _name(analysis: Analysis, role: str) -> str:
    return analysis.checkpoints.get(role, "not loaded")


def _cell(finding: Finding | None) -> str:
    if finding is None:
        return "–"
    if finding.log_odds is None:
        return escape(in_words(finding))
    lines = [
        f"<strong>{signed(finding.log_odds)}</strong>, {escape(in_words(finding))}",
        escape(STATUS[finding.status]),
    ]
    lines += [
        escape(f"{clock(w.start_s)} to {clock(w.stop_s)}: {signed(w.log_odds)}")
        for w in finding.windows
    ]
    return "<br>".join(lines)


def _input_words(checkpoint: Checkpoint) -> str:
    card = checkpoint.card
    frames = f"{card.frames} pictures at a time" if card.frames > 1 else "one picture at a time"
    margin = f", {card.margin:.0%} margin" if card.crop == "face" else ""
    return f"{card.crop}{margin}, {card.size_px} px, {frames}"


def _calibration_words(checkpoint: Checkpoint) -> str:
    fitted = checkpoint.card.calibration
    if fitted is None:
        return "none"
    return f"{fitted.fitted_on}: {fitted.n_real} real, {fitted.n_fake} fake ({fitted.date})"


def _figures(checkpoint: Checkpoint) -> str:
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
        rows.append((escape(name), f"{value:.3f}", interval, escape(count), escape(protocol)))
    if not rows:
        return ""
    return table(("Figure", "Value", "95 % interval", "Files", "How"), rows, "Measured")


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
