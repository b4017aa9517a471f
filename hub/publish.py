"""How does a checkpoint get onto the Hub, with everything that is needed to use it rightly?

Uploads weights and config together with ``card.json`` (label map, crop, calibration), the table of
all figures, a README that people can read, and the license: one commit, checked afterwards. Imports
errors and hub.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from errors import UserError
from hub.checkpoint import Card, Checkpoint
from hub.checks import SMALL_FILES, WEIGHTS
from hub.checksums import sha256_of
from hub.remote import client, endpoint, hub_errors
from hub.role import Role, Task
from hub.store import resolve

ROOT = Path(__file__).parent.parent
FIGURES = "figures.csv"  # every measured value; the card holds the headlines


@dataclass(frozen=True)
class Published:
    """Where a checkpoint went: ``owner/repo``, full commit, page."""

    repo_id: str
    commit: str
    url: str


def publish(
    what: Checkpoint | Role,
    to: str,
    *,
    token: str | None = None,
    private: bool = False,
    license: str | None = None,
) -> Published:
    """Upload a checkpoint to the Hub, creating the repo if needed.

    Args:
        what: a resolved checkpoint, or a role for the one that comes with the program.
        to: ``owner/repo``.
        token: one that may write; None for ``HF_TOKEN``.
        private: for a new repo.
        license: needed when the checkpoint states none.

    Raises:
        UserError: ``license_missing``, or a ``hub_…`` code.
    """
    from huggingface_hub import CommitOperationAdd

    checkpoint = resolve(None, what) if isinstance(what, Role) else what
    card = _licensed(checkpoint, license)
    api = client(token)
    weights = checkpoint.folder / WEIGHTS
    with hub_errors(to):
        sha256 = sha256_of(weights)
        files = _files(checkpoint, card) | {WEIGHTS: str(weights.resolve())}
        api.create_repo(to, private=private, exist_ok=True)
        done = api.create_commit(
            to,
            [CommitOperationAdd(path, content) for path, content in files.items()],
            commit_message=f"{card.title}, version {card.version}",
        )
        info = api.model_info(to, revision=done.oid, files_metadata=True)
    _verify(to, info, sha256)
    return Published(to, done.oid, f"{endpoint()}/{to}")


def readme(card: Card, task: Task | None, base_model: str | None = None) -> str:
    """Return the README of a published checkpoint: front matter, use, labels, figures, limits.

    Args:
        card: what is known.
        task: of the Hub, if it is one.
        base_model: the repo that the weights were taken from, if any.
    """
    front: dict[str, Any] = {"license": card.license, "tags": ["deepfake-detection", card.detector]}
    if task is not None:
        front["pipeline_tag"] = task
    if base_model:
        front["base_model"] = base_model
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---", ""]
    lines += [f"# {card.title}", "", f"A checkpoint for the **{card.detector}** detector.", ""]
    lines += ["## Use", "", _use(card), "", f"Labels: {card.labels_known_by}", ""]
    lines += ["## Calibration", "", _calibration(card), ""]
    for title, items in (("Trained on", card.trained_on), ("Limits", card.limits)):
        if items:
            lines += [f"## {title}", "", *(f"- {item}" for item in items), ""]
    if card.figures:
        lines += ["## Figures", "", "| what | value | 95 % | real, fake | protocol |"]
        lines += ["|---|---|---|---|---|", *(_figure(figure) for figure in card.figures), ""]
    return "\n".join(lines)


def _licensed(checkpoint: Checkpoint, license: str | None) -> Card:
    card = checkpoint.card
    if license is not None:
        return replace(card, license=license)
    if card.license == "unknown":
        raise UserError(
            "licence_missing",
            f"{checkpoint.name} states no license. Name the one that its author gave, or do not "
            "publish it.",
        )
    return card


def _files(checkpoint: Checkpoint, card: Card) -> dict[str, bytes | str]:
    """Return path in the repo → bytes of everything but the weights."""
    folder = checkpoint.folder
    files: dict[str, bytes | str] = {}
    for name in (*SMALL_FILES, FIGURES):
        if (folder / name).is_file():
            files[name] = (folder / name).read_bytes()
    if checkpoint.embedded and (ROOT / "LICENSE").is_file():
        files.setdefault("LICENSE", (ROOT / "LICENSE").read_bytes())
    files["card.json"] = card.to_json().encode()
    written = folder / "README.md"
    subset = written.read_text(encoding="utf-8", errors="replace") if written.is_file() else ""
    if not (checkpoint.embedded and subset.startswith("---")):
        base = checkpoint.name if checkpoint.revision else None
        files["README.md"] = readme(card, checkpoint.role.task, base).encode()
    return files


def _verify(to: str, info: Any, sha256: str) -> None:
    stored = {file.rfilename: file.lfs for file in info.siblings or []}
    weights = stored.get(WEIGHTS)
    if weights is None or weights.sha256 != sha256:
        raise UserError(
            "hub_interrupted", f"{to} does not hold the weights that were sent; publish again."
        )


def _use(card: Card) -> str:
    shown = {
        "crop": card.crop,
        "margin": card.margin,
        "size_px": card.size_px,
        "mean": list(card.mean),
        "std": list(card.std),
        "frames": card.frames,
        "fake_indices": list(card.fake_indices),
        "real_indices": list(card.real_indices),
    }
    return f"All of it is in `card.json`: `{json.dumps(shown)}`."


def _calibration(card: Card) -> str:
    line = card.calibration
    if line is None:
        return "None: its score is no probability, and it has no vote until it is calibrated."
    return (
        f"log-odds = {line.scale:.4g} x raw {line.offset:+.4g}, fitted on {line.fitted_on} "
        f"({line.n_real} real, {line.n_fake} fake, {line.date})."
    )


def _figure(figure: Mapping[str, Any]) -> str:
    def shown(key: str) -> str:
        value = figure.get(key, "")
        return f"{value:.3f}" if isinstance(value, float) else str(value).replace("|", "/")

    interval = f"{shown('low')} to {shown('high')}"
    counts = f"{shown('n_real')}, {shown('n_fake')}"
    return f"| {shown('name')} | {shown('value')} | {interval} | {counts} | {shown('protocol')} |"
