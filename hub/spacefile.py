"""What does the Space consist of? ``Spacefile``, the one manifest, read.

The page reads its limits and checkpoints here; `hub.space` makes a Space of it. Imports errors.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from errors import UserError

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Space:
    """The content of ``Spacefile``.

    Attributes:
        checkpoints: role → ``embedded``, ``owner/repo@commit``, or ``none`` for an empty role.
        max_upload_mb: largest file a visitor may send, in MB.
        max_minutes: longest clip that is examined whole, in minutes.
        urls: visitors may name a file by its address; one's own machine always allows it.
        leave_out: folders of the repository that the Space does not need.
    """

    title: str
    emoji: str
    color_from: str
    color_to: str
    sdk: str
    sdk_version: str
    python_version: str
    app_file: str
    hardware: str
    short_description: str
    license: str
    tags: tuple[str, ...]
    checkpoints: Mapping[str, str]
    max_upload_mb: int
    max_minutes: int
    urls: bool = False
    leave_out: tuple[str, ...] = ()

    def variables(self) -> dict[str, str]:
        """Return the Space's variables, by which its owner can change limits without a commit."""
        values = {
            "SPACE_MAX_UPLOAD_MB": str(self.max_upload_mb),
            "SPACE_MAX_MINUTES": str(self.max_minutes),
        }
        for role, spec in self.checkpoints.items():
            values[f"SPACE_CHECKPOINT_{role.upper()}"] = spec
        return values


def read_spacefile(
    path: Path = ROOT / "Spacefile", environ: Mapping[str, str] | None = None
) -> Space:
    """Read the manifest; variables of the Space win over it.

    Args:
        path: TOML with the tables ``space``, ``checkpoints`` and ``limits``.
        environ: None for the process's own; ``{}`` for the file alone.

    Raises:
        UserError: ``space_disagrees`` with the key that is missing or wrong.
    """
    environ = os.environ if environ is None else environ
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError("space_disagrees", f"The Spacefile cannot be read: {error}.") from error
    flat: dict[str, Any] = {**data.get("space", {}), **data.get("limits", {})}
    flat["checkpoints"] = dict(data.get("checkpoints", {}))
    known = {field.name for field in fields(Space)}
    for name in flat.keys() - known:
        raise UserError("space_disagrees", f"The Spacefile has an unknown key {name!r}.")
    for name in sorted(known - flat.keys() - {"leave_out", "urls"}):
        raise UserError("space_disagrees", f"The Spacefile lacks the key {name!r}.")
    for name in ("tags", "leave_out"):
        flat[name] = tuple(flat.get(name, ()))
    for name in ("max_upload_mb", "max_minutes"):
        value: Any = environ.get(f"SPACE_{name.upper()}") or flat[name]
        if not str(value).isdigit() or int(value) < 1:
            raise UserError("space_disagrees", f"{name} is {value!r}, expected a whole number.")
        flat[name] = int(value)
    if not isinstance(flat.get("urls", False), bool):
        raise UserError("space_disagrees", f"urls is {flat['urls']!r}, expected true or false.")
    for role in flat["checkpoints"]:
        chosen = environ.get(f"SPACE_CHECKPOINT_{role.upper()}")
        flat["checkpoints"][role] = chosen or flat["checkpoints"][role]
    return Space(**flat)
