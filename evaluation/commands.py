"""What does the command line print about a measurement?

Runs one measurement each and puts its outcome into a few lines of text. Imports the rest of
evaluation.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from analysis import Settings
from evaluation.benchmark import TITLES
from evaluation.calibrate import calibrate, labeled_raws
from evaluation.evaluate import evaluate
from evaluation.manifest import read_manifest
from evaluation.probe import probe
from evaluation.run import Progress, score_files, set_up
from hub.selfcheck import SignCheck, check_sign


def evaluated(
    manifest: str, out: Path, settings: Settings, tiers: bool, workers: int, on_progress: Progress
) -> str:
    """Measure a manifest; the main figures as text."""
    result = evaluate(manifest, out, settings, tiers, on_progress, workers=workers)
    data, metadata = result["data"], result["baselines"]["metadata"].get("auc")
    indicative = ", indicative" if data["indicative"] else ""
    lines = [
        f"{data['n_real']} real and {data['n_fake']} fake files, "
        f"{data['n_unreadable']} unreadable{indicative}",
        *(f"{name:16s} {figure(value)}" for name, value in result["fused"].items()),
        *(f"{TITLES[name]:52s} {value:.3f}" for name, value in result["benchmark"].items()),
        f"{'coverage':16s} {result['abstention']['coverage']:.3f}",
        f"{'metadata alone':16s} {figure(metadata) if metadata else 'too few groups'}",
    ]
    for name, subset in result["detectors"].items():
        value = subset["where_applicable"].get("auc")
        if value:
            lines.append(f"{name:16s} {figure(value)} AUC on {subset['n_applicable']} files")
    for name, tier in result.get("tiers", {}).items():
        value = figure(tier["auc"]) if tier["auc"] else "no AUC"
        lines.append(f"tier {name:11s} {value}, {tier['flipped_verdicts']:.1%} of verdicts flipped")
    return "\n".join([*lines, f"Written: scores.csv, metrics.json, report.html in {out}"])


def calibrated(manifest: str, settings: Settings, out: Path | None, on_progress: Progress) -> str:
    """Fit and keep a calibration; what it is, as text."""
    (detector,) = settings.detectors
    with tempfile.TemporaryDirectory() as scratch:
        lines = (out or Path(scratch)) / f"measured-{detector}.jsonl"
        fit = calibrate(manifest, settings, lines, on_progress)
    line, card = fit.line, fit.checkpoint.card
    state = "Its findings count from now on." if card.votes else "It stays experimental: no vote."
    return "\n".join(
        (
            fit.check.sentence,
            f"{fit.checkpoint.label}: log-odds = {line.scale:.4g} x raw {line.offset:+.4g}, fitted "
            f"on {line.n_real} real and {line.n_fake} fake files ({fit.skipped} had no number).",
            f"Kept in {fit.saved}. {state}",
        )
    )


def probed(
    manifest: str,
    spec: str | None,
    out: Path,
    fake_labels: tuple[str, ...] | None,
    device: str,
    on_progress: Progress,
) -> str:
    """Fit a linear probe and save it; its figure as text."""
    card = probe(manifest, spec, out, on_progress, fake_labels, device)
    (result,) = card.figures
    return (
        f"{card.title}: AUC {figure(result)}; {result['protocol']}\n"
        f"Use it: --checkpoint spatial={out.resolve()}"
    )


def direction(manifest: str, settings: Settings, on_progress: Progress) -> SignCheck:
    """Whether a checkpoint's raw scores point the right way on labeled files."""
    (detector,) = settings.detectors
    items, setup = read_manifest(manifest), set_up(settings)
    with tempfile.TemporaryDirectory() as scratch:
        lines = Path(scratch) / "measured.jsonl"
        records = score_files(items, setup, lines, on_progress)
    labels, raws = labeled_raws(items, records, detector)
    return check_sign(labels.tolist(), raws.tolist())


def figure(result: Mapping) -> str:
    """A figure with its interval."""
    if result["low"] is None:
        return f"{result['value']:.3f}"
    return f"{result['value']:.3f} ({result['low']:.3f} to {result['high']:.3f})"
