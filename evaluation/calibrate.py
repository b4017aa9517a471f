"""Which line turns the raw scores of one checkpoint into log-odds, on the user's own files?

Platt's method on file-level scores of one detector, measured by the same way as any verdict. The
line belongs to exactly that checkpoint and preprocessing. Imports evaluation.run, hub.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from analysis import POOL, Settings
from detectors.pool import Pool
from errors import UserError
from evaluation.manifest import Item, read_manifest
from evaluation.run import Progress, ScoreRecord, raw_of, score_files, set_up
from hub.calibrations import save_calibration
from hub.checkpoint import Calibration, Checkpoint
from hub.selfcheck import SignCheck, check_sign

MIN_OF_EACH = 8  # fewer real or fake files cannot fix two numbers
WEAK_PENALTY = 1e6  # inverse strength of the ridge: Platt's smoothed targets keep the line finite


@dataclass(frozen=True)
class Fit:
    """A fitted line with what it was fitted on.

    Attributes:
        checkpoint: with the new calibration.
        line: that calibration.
        saved: the file in the user's folder.
        check: direction and AUC of the raw scores.
        skipped: files without a number.
    """

    checkpoint: Checkpoint
    line: Calibration
    saved: Path
    check: SignCheck
    skipped: int


def calibrate(
    manifest: str | Path,
    settings: Settings,
    lines: Path,
    on_progress: Progress = lambda done, total, text: None,
    pool: Pool = POOL,
) -> Fit:
    """Measure a manifest with one detector, fit its calibration and keep it for this user.

    Args:
        manifest: CSV, or folder with ``real/`` and ``fake/``.
        settings: with exactly one detector.
        lines: file of kept measurements, so that a stopped run goes on.
        on_progress: called before each file.
        pool: where loaded networks are kept.

    Raises:
        UserError: ``calibration_failed`` when there are too few files or the direction is wrong.
    """
    (detector,) = settings.detectors
    items = read_manifest(manifest)
    setup = set_up(settings, pool)
    if detector in setup.failed:
        raise UserError(setup.failed[detector].code, setup.failed[detector].sentence)
    records = score_files(items, setup, lines, on_progress, pool=pool)
    labels, raws = labeled_raws(items, records, detector)
    check = check_sign(labels.tolist(), raws.tolist())
    _refuse_bad(check)
    calibration = fit_calibration(labels, raws, Path(manifest).name)
    checkpoint = setup.checkpoints[detector].with_calibration(calibration)
    saved = save_calibration(checkpoint, calibration)
    return Fit(checkpoint, calibration, saved, check, len(items) - len(labels))


def labeled_raws(
    items: Sequence[Item], records: Sequence[ScoreRecord], detector: str
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and raw scores (n,) of the files for which a detector has a number."""
    pairs = [
        (item.label, raw)
        for item, record in zip(items, records, strict=True)
        if (raw := raw_of(record, detector)) is not None
    ]
    return np.array([p[0] for p in pairs], dtype=int), np.array([p[1] for p in pairs], dtype=float)


def fit_calibration(labels: np.ndarray, raws: np.ndarray, fitted_on: str) -> Calibration:
    """Fit ``log_odds = scale * raw + offset`` at equal weight of real and fake.

    Args:
        labels: (n,) 0 or 1, both present.
        raws: (n,) finite.
        fitted_on: the data, in words.
    """
    scale, offset = platt(labels, raws)
    n_fake = int(labels.sum())
    today = date.today().isoformat()
    return Calibration(scale, offset, fitted_on, len(labels) - n_fake, n_fake, today)


def platt(
    labels: np.ndarray, raws: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, float]:
    """Slope and offset by Platt's smoothed targets (Platt, 1999), each class with equal weight.

    Each file enters twice, as fake with weight t and as real with weight 1 - t, where t is
    (n_fake + 1) / (n_fake + 2) for fakes and 1 / (n_real + 2) for reals; so scores that separate
    the classes perfectly still give a finite slope. ``weights`` (n,) are those of the files within
    their class; equal by default.
    """
    n_fake = int(labels.sum())
    n_real = len(labels) - n_fake
    target = np.where(labels == 1, (n_fake + 1) / (n_fake + 2), 1 / (n_real + 2))
    share = np.ones(len(labels)) if weights is None else weights.astype(float)
    for label in (0, 1):
        share = np.where(labels == label, share / share[labels == label].sum(), share)
    share *= len(labels) / 2
    center, spread = float(raws.mean()), float(raws.std()) or 1.0
    scaled = (raws - center) / spread
    model = LogisticRegression(C=WEAK_PENALTY)
    model.fit(
        np.concatenate([scaled, scaled])[:, None],
        np.repeat([1, 0], len(raws)),
        np.concatenate([share * target, share * (1 - target)]),
    )
    slope = float(np.ravel(model.coef_)[0]) / spread
    return slope, float(np.ravel(model.intercept_)[0]) - slope * center


def _refuse_bad(check: SignCheck) -> None:
    if min(check.n_real, check.n_fake) < MIN_OF_EACH:
        raise UserError(
            "calibration_failed",
            f"{check.n_real} real and {check.n_fake} fake files have a number; at least "
            f"{MIN_OF_EACH} of each are needed to calibrate.",
        )
    if check.verdict in ("inverted", "blind"):
        raise UserError("calibration_failed", f"Not calibrated: {check.sentence}")
