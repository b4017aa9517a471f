"""How much do the frozen features of an image checkpoint know, if only its last layer is ours?

Fits a linear head on the features of any spatial checkpoint and saves it as a new folder in Hub
layout. Features are caught inside the network while ``analysis.analyze`` runs, so crops and
preprocessing are those of every verdict. Imports evaluation.run, detectors, hub, torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from analysis import Settings, analyze
from detectors.pool import Pool, best_device
from detectors.registry import detector_of
from errors import UserError
from evaluation.baselines import folds_over_groups
from evaluation.calibrate import MIN_OF_EACH, fit_calibration
from evaluation.manifest import Item, read_manifest
from evaluation.metrics import AUC, auc, measure_with_intervals
from evaluation.run import Progress
from hub.calibrations import save_calibration
from hub.checkpoint import Card, Checkpoint
from hub.store import resolve

DETECTOR = "spatial"
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse ridge strengths that are tried
SAME = 1e-4  # largest difference between a layer's output and the logits, relative to their size


@dataclass(frozen=True)
class Probe:
    """A fitted linear head.

    Attributes:
        weight: (d,) of the log-odds of fake on raw features.
        offset: log-odds.
        inverse_ridge: chosen by cross-validation over groups.
        held_out: (n,) log-odds of each file from folds that did not see its group.
    """

    weight: np.ndarray
    offset: float
    inverse_ridge: float
    held_out: np.ndarray


def probe(
    manifest: str | Path,
    spec: str | None,
    folder: Path,
    on_progress: Progress = lambda done, total, text: None,
    fake_labels: tuple[str, ...] | None = None,
    device: str = "auto",
) -> Card:
    """Fit a linear probe on the files of a manifest and save it as a checkpoint folder.

    Args:
        manifest: CSV, or folder with ``real/`` and ``fake/``.
        spec: checkpoint as in `hub.store.resolve`.
        folder: must not exist yet, or be empty.
        on_progress: called before each file.
        fake_labels: which outputs of the old head mean fake, where it does not say.
        device: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        The card of the new checkpoint: calibrated, with its cross-validated AUC.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError("bad_settings", f"The folder “{folder.name}” is not empty.")
    items = read_manifest(manifest)
    kind, pool = detector_of(DETECTOR), Pool()
    checkpoint = resolve(spec, kind.role, fake_labels=fake_labels)
    network = pool.detector(kind, checkpoint, best_device(device)).network
    chosen = {DETECTOR: str(spec)} if spec else {}
    labels_said = {DETECTOR: fake_labels} if fake_labels is not None else {}
    settings = Settings(
        detectors=(DETECTOR,),
        checkpoints=chosen,
        fake_labels=labels_said,
        device=device,
        stability=False,
    )
    head = head_name(network, checkpoint.card)
    used, features = file_features(items, network, head, settings, pool, on_progress)
    labels = np.array([item.label for item in used])
    groups = np.array([item.unit for item in used])
    fitted = fit_probe(features, labels, groups)
    card = _card(checkpoint, fitted, labels, groups, Path(manifest).name)
    save_probe(network, head, fitted, card, folder, checkpoint)
    if card.calibration is not None:  # fitted by this user, so that it counts on this machine
        save_calibration(resolve(str(folder.absolute()), kind.role), card.calibration)
    return card


def head_name(network: nn.Module, card: Card) -> str:
    """Name of the linear layer whose output is the logits, whatever the architecture calls it.

    Raises:
        UserError: when no single linear layer ends the network (several heads, say).
    """
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str):
        return lambda module, inputs, output: outputs.__setitem__(name, output.detach())

    layers = [(name, m) for name, m in network.named_modules() if isinstance(m, nn.Linear)]
    hooks = [module.register_forward_hook(keep(name)) for name, module in layers]
    blank = torch.zeros(1, 3, card.size_px, card.size_px)
    try:
        with torch.inference_mode():
            logits = network(pixel_values=blank.to(next(network.parameters()).device)).logits
    finally:
        for hook in hooks:
            hook.remove()
    near = SAME * (1 + float(logits.abs().max()))
    for name in reversed(outputs):
        out = outputs[name]
        if out.shape == logits.shape and float((out - logits).abs().max()) <= near:
            return name
    raise UserError("probe_failed", "This network does not end in one linear layer.")


@contextmanager
def caught_inputs(network: nn.Module, head: str) -> Iterator[list[np.ndarray]]:
    """Collect what enters the head, (images, d) float32 for each forward pass."""
    caught: list[np.ndarray] = []

    def keep(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        caught.append(inputs[0].detach().float().cpu().numpy())

    hook = network.get_submodule(head).register_forward_pre_hook(keep)
    try:
        yield caught
    finally:
        hook.remove()


def file_features(
    items: Sequence[Item],
    network: nn.Module,
    head: str,
    settings: Settings,
    pool: Pool,
    on_progress: Progress,
) -> tuple[list[Item], np.ndarray]:
    """Mean features (n, d) of the files in which a face could be looked at, and those files."""
    used, rows = [], []
    for done, item in enumerate(items):
        on_progress(done, len(items), item.name)
        try:
            with caught_inputs(network, head) as caught:
                analyze(item.path, settings, pool=pool)
        except UserError:
            continue
        if caught:
            used.append(item)
            rows.append(np.concatenate(caught).mean(axis=0))
    labels = [item.label for item in used]
    if min(labels.count(0), labels.count(1)) < MIN_OF_EACH:
        raise UserError(
            "probe_failed",
            f"A face was seen in {labels.count(0)} real and {labels.count(1)} fake files; at least "
            f"{MIN_OF_EACH} of each are needed.",
        )
    return used, np.stack(rows)


def fit_probe(features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Probe:
    """Logistic regression on standardized features; ridge by AUC on folds that keep groups whole.

    Args:
        features: (n, d) float.
        labels: (n,) 0 or 1.
        groups: (n,) names.

    Raises:
        UserError: with fewer than two groups of each class.
    """
    folds = folds_over_groups(labels, groups)
    if not folds:
        raise UserError("probe_failed", "At least two groups of real and of fake files are needed.")
    held_out = {penalty: _held_out(features, labels, folds, penalty) for penalty in PENALTIES}
    penalty = max(PENALTIES, key=lambda p: auc(labels, held_out[p]))
    weight, offset = _logistic(features, labels, penalty)
    return Probe(weight, offset, penalty, held_out[penalty])


def _held_out(
    features: np.ndarray,
    labels: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    penalty: float,
) -> np.ndarray:
    """(n,) log-odds of each file by the fit that did not see it."""
    result = np.zeros(len(labels))
    for train, test in folds:
        weight, offset = _logistic(features[train], labels[train], penalty)
        result[test] = features[test] @ weight + offset
    return result


def _logistic(features: np.ndarray, labels: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    center, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=2000)
    model.fit((features - center) / spread, labels)
    weight = np.ravel(model.coef_) / spread
    return weight, float(np.ravel(model.intercept_)[0] - weight @ center)


def save_probe(
    network: Any, head: str, fitted: Probe, card: Card, folder: Path, base: Checkpoint
) -> None:
    """Put the head into the network and write config.json, model.safetensors, card and README."""
    old = network.get_submodule(head)
    half = torch.tensor(fitted.weight, dtype=torch.float32) / 2
    new = nn.Linear(old.in_features, 2)
    with torch.no_grad():
        new.weight.copy_(torch.stack([-half, half]))
        new.bias.copy_(torch.tensor([-fitted.offset / 2, fitted.offset / 2]))
    network.set_submodule(head, new)
    network.config.num_labels = 2
    network.config.id2label = {0: "real", 1: "fake"}
    network.config.label2id = {"real": 0, "fake": 1}
    folder.mkdir(parents=True, exist_ok=True)
    network.save_pretrained(str(folder))
    card.save(folder)
    (folder / "README.md").write_text(_readme(card, base), "utf-8")


def _card(
    base: Checkpoint, fitted: Probe, labels: np.ndarray, groups: np.ndarray, data: str
) -> Card:
    result = measure_with_intervals([AUC], labels, fitted.held_out, groups)["auc"]
    n_fake = int(labels.sum())
    protocol = (
        f"files of {data}, mean of the images of a file, 5 folds that keep groups whole; the "
        f"ridge (C = {fitted.inverse_ridge:g}) was chosen on the same folds"
    )
    counts = {"n_real": len(labels) - n_fake, "n_fake": n_fake}
    return replace(
        base.card,
        title=f"Linear probe on {base.label}",
        version=date.today().isoformat(),
        fake_indices=(1,),
        real_indices=(0,),
        labels_known_by="Fitted here: output 1 is fake.",
        calibration=fit_calibration(labels, fitted.held_out, f"{data}, held-out folds"),
        votes=True,
        trained_on=(*base.card.trained_on, f"Head: {data}, {len(labels)} files."),
        figures=({"name": "AUC, cross-validated", **result, **counts, "protocol": protocol},),
    )


def _readme(card: Card, base: Checkpoint) -> str:
    figure = card.figures[0]
    return (
        f"# {card.title}\n\n"
        f"A linear head on the frozen features of {base.label} (weights {base.sha256}).\n\n"
        f"- AUC {figure['value']:.3f}; {figure['protocol']}.\n"
        f"- Fitted on {figure['n_real']} real and {figure['n_fake']} fake files.\n"
        f"- License of the base: {card.license}.\n"
        "- It knows the kinds of files it was fitted on; measure it on yours before you rely on "
        "it.\n"
    )
