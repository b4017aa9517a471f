"""How do the figures of a measurement look?

Five plots as data URLs that need no other file. Uses matplotlib's objects, never its global state.
Imports evaluation.curves.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.figure import Figure

from evaluation.curves import (
    both_classes,
    probabilities,
    reliability,
    risk_coverage,
    roc,
    tippett,
)

SIZE_IN = (4.6, 3.8)
REAL, FAKE, GRAY = "#0072B2", "#D55E00", "#777777"  # Okabe and Ito: safe for color-blind eyes
HISTOGRAM_BINS = 30


def plots(labels: np.ndarray, log_odds: np.ndarray) -> dict[str, str]:
    """Title → data URL of an SVG; only those that the data allow.

    Args:
        labels: (n,) 0 or 1.
        log_odds: (n,) finite.
    """
    if not len(labels):
        return {}
    result = {"Scores": score_plot(labels, log_odds)}
    if both_classes(labels):
        result["ROC"] = roc_plot(labels, log_odds)
        result["Tippett"] = tippett_plot(labels, log_odds)
        result["Reliability"] = reliability_plot(labels, log_odds)
        result["Risk and coverage"] = risk_plot(labels, log_odds)
    return {title: _data_url(figure) for title, figure in result.items()}


def score_plot(labels: np.ndarray, log_odds: np.ndarray) -> Figure:
    """Histogram of the fused log-odds of real and fake files."""
    figure, axes = _axes("fused log-odds", "files")
    edges = np.linspace(log_odds.min() - 0.5, log_odds.max() + 0.5, HISTOGRAM_BINS + 1)
    for label, name, color, hatch in ((0, "real", REAL, ""), (1, "fake", FAKE, "//")):
        subset = log_odds[labels == label]
        axes.hist(
            subset, edges, alpha=0.6, color=color, hatch=hatch, label=f"{name} ({len(subset)})"
        )
    axes.legend()
    return figure


def roc_plot(labels: np.ndarray, log_odds: np.ndarray) -> Figure:
    """Share of fakes caught against share of real files called fake."""
    figure, axes = _axes("false alarms (share of real files)", "caught (share of fakes)")
    fpr, tpr = roc(labels, log_odds)
    axes.plot([0, 1], [0, 1], color=GRAY, linestyle=":", label="chance")
    axes.step(fpr, tpr, where="post", color=FAKE, label=f"AUC {np.trapezoid(tpr, fpr):.3f}")
    axes.legend(loc="lower right")
    return figure


def tippett_plot(labels: np.ndarray, log_odds: np.ndarray) -> Figure:
    """Share of fakes and of real files with at least a given likelihood ratio."""
    figure, axes = _axes("log10 of the likelihood ratio", "share of files at or above it")
    at, fakes, reals = tippett(labels, log_odds)
    axes.axvline(0, color=GRAY, linestyle=":")
    axes.step(at, fakes, where="pre", color=FAKE, label="fake")
    axes.step(at, reals, where="pre", color=REAL, linestyle="--", label="real")
    axes.legend(loc="lower left")
    return figure


def reliability_plot(labels: np.ndarray, log_odds: np.ndarray) -> Figure:
    """Stated probability against share of fakes, equal-mass bins."""
    figure, axes = _axes("stated probability", "share of fakes")
    words, true, count = reliability(labels, probabilities(log_odds))
    axes.plot([0, 1], [0, 1], color=GRAY, linestyle=":", label="honest")
    axes.plot(words, true, color=REAL, marker="o", label=f"bins of about {count.mean():.0f} files")
    axes.legend(loc="upper left")
    return figure


def risk_plot(labels: np.ndarray, log_odds: np.ndarray) -> Figure:
    """Share of wrong answers when only the surest files are answered."""
    figure, axes = _axes("coverage (share of files answered)", "risk (share answered wrongly)")
    coverage, risk = risk_coverage(labels, log_odds)
    axes.plot(coverage, risk, color=FAKE)
    axes.set_ylim(-0.02, max(0.3, float(risk.max()) + 0.05))
    return figure


def _axes(x: str, y: str):
    figure = Figure(figsize=SIZE_IN, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    return figure, axes


def _data_url(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
