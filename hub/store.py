"""Which verified local files stand behind a name?

``resolve`` is the one door: nothing, ``owner/repo@revision``, a name of the catalog or a folder
goes in; a Checkpoint whose files were listed, judged and checked comes out, or a sentence that says
why not. Builds no network (that is ``detectors.loading``). Imports errors and hub.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from errors import UserError
from hub import catalog, checks, configs, layouts, remote
from hub.calibrations import load_answer, load_calibration
from hub.checkpoint import Card, Checkpoint, Source
from hub.checksums import sha256_of
from hub.facts import audio_card_from_config, card_from_config, stated_license
from hub.labels import label_names, resolve_labels
from hub.role import Role, Task

EMBEDDED = "embedded"
NONE = "none"
"""What stands for the checkpoint of a role of which none comes with the program."""
PROCESSORS = ("image_processor", "video_processor", "feature_extractor")
"""Parts of a processor_config.json that hold the settings of one kind of input."""
MAX_CLAIM = 120
"""Characters of an author's words in a warning."""
_SPEC = re.compile(
    r"^(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(@(?P<revision>[\w./-]{1,200}))?$"
)

list_cache = remote.list_cache
empty_cache = remote.empty_cache


@dataclass(frozen=True)
class Asker:
    """Who wants a checkpoint, and what that person may reach through this program.

    Attributes:
        token: a Hub token, None for this machine's own (``HF_TOKEN``), False for none at all.
        folders: may name folders of this machine.
    """

    token: str | bool | None
    folders: bool


OWNER = Asker(token=None, folders=True)
VISITOR = Asker(token=False, folders=False)
"""Of a Space: sees what everybody sees on the Hub, whatever the Space's own token may read."""


def who_asks() -> Asker:
    """Return a visitor on a Space, where strangers share one machine, else its owner."""
    return VISITOR if "SPACE_ID" in os.environ else OWNER


def resolve(
    spec: str | None,
    role: Role,
    *,
    fake_labels: tuple[str, ...] | None = None,
    asker: Asker | None = None,
) -> Checkpoint:
    """Find, fetch, judge and describe a checkpoint.

    Args:
        spec: None or ``embedded``; a name of the catalog; ``owner/repo`` or
            ``owner/repo@revision``; or a folder, written as a path that starts with ``/``, ``.``,
            ``~`` or a drive letter.
        role: what it will be used for.
        fake_labels: the user's answer to "which label means fake?".
        asker: in whose name; None means whoever sits before this program (`who_asks`).

    Raises:
        UserError: codes ``no_checkpoint`` (an empty role, for which none was chosen),
            ``weights_missing``, ``weights_refused``, ``labels_ambiguous``, ``hub_offline``,
            ``hub_gated``, ``hub_missing``, ``hub_rate_limited``,
            ``hub_interrupted``.
    """
    spec, asker = (spec or EMBEDDED).strip(), asker or who_asks()
    if spec in (EMBEDDED, NONE) and role.empty:
        raise UserError("no_checkpoint", role.empty)
    if spec == EMBEDDED:
        return _described(role.name, role, catalog.DEFAULTS / role.name, embedded=True)
    alternative = catalog.alternative(spec)
    if alternative is not None:
        return _described(alternative.name, role, alternative, embedded=True)
    if looks_like_folder(spec):
        if not asker.folders:
            raise UserError("weights_refused", "Folders of this machine cannot be chosen here.")
        folder = Path(spec).expanduser().resolve()
        return _described(folder.name, role, folder, fake_labels=fake_labels)
    repo_id, revision = parse_spec(spec)
    source = catalog.find(repo_id)
    wanted = revision or (source.revision if source else None)
    fetched = remote.fetch(repo_id, wanted, asker.token)
    _check_commit(repo_id, source, wanted, fetched.commit)
    checkpoint = _described(
        repo_id, role, fetched.folder, commit=fetched.commit, fake_labels=fake_labels
    )
    return _with_hub_warnings(checkpoint, source, revision, fetched.warning)


def _check_commit(repo_id: str, source: Source | None, wanted: str | None, commit: str) -> None:
    """Refuse a branch of the catalog that has moved since it was looked at."""
    looked_at = source.commit if source is not None and source.revision == wanted else None
    if looked_at is not None and not commit.startswith(looked_at):
        raise checks.refuse(
            f"{repo_id} has changed: {wanted} is now {commit[:12]}, and {looked_at} was looked at. "
            f"Write {repo_id}@{commit} to take it all the same."
        )


def looks_like_folder(spec: str) -> bool:
    """True when a spec is written as a path; ``owner/repo`` always means the Hub."""
    return spec.startswith(("/", ".", "~", "\\")) or bool(re.match(r"^[A-Za-z]:[/\\]", spec))


def parse_spec(spec: str) -> tuple[str, str | None]:
    """Split ``owner/repo@revision``, or look a short name up in the catalog.

    Raises:
        UserError: ``hub_missing`` when it is neither.
    """
    spec = re.sub(r"^https://(huggingface\.co|hf\.co)/", "", spec.strip()).rstrip("/")
    result = _SPEC.match(spec)
    if result and ".." not in spec and "--" not in result["repo"]:
        return result["repo"], result["revision"]
    source = catalog.find(spec)
    if source is not None and source.repo_id is not None:
        return source.repo_id, source.revision
    raise UserError(
        "hub_missing",
        f"{spec[:80]!r} is neither a name like owner/repo or owner/repo@revision, nor one of the "
        "catalog, nor a path that starts with / or ./",
    )


def _described(
    name: str,
    role: Role,
    folder: Path,
    *,
    commit: str | None = None,
    fake_labels: tuple[str, ...] | None = None,
    embedded: bool = False,
) -> Checkpoint:
    """Judge the files of one folder and describe how they are used."""
    if commit is None:
        _check_folder(name, folder, embedded)
    config = read_json(folder / "config.json", name)
    has_card = (folder / "card.json").is_file()
    layout = layouts.find(config)
    configs.check_config(name, config, role, has_card, layout)
    header = checks.read_header(folder / checks.WEIGHTS)
    if layout is not None:
        layouts.check_towers(name, layout, header)
    sha256 = sha256_of(folder / checks.WEIGHTS)
    if has_card:
        card, warnings = _own_card(name, folder, role), []
        if fake_labels is not None:
            card = _answered(card, config, fake_labels)
    elif layout is not None:
        card, warnings = layouts.card_for(layout, name, config, catalog.find(name)), []
        answer = fake_labels if fake_labels is not None else load_answer(sha256)
        card = _licensed(_turned(card, answer), folder)
    else:
        names = label_names(config)
        checks.check_head(name, header, len(names))
        answer = fake_labels if fake_labels is not None else load_answer(sha256)
        card, warnings = _derived_card(name, folder, role, config, names, answer)
    configs.check_cost(name, config, card.size_px, card.frames)
    if card.audio_s is not None:
        configs.check_audio_cost(name, config, round(card.audio_s * role.audio_hz))
    checkpoint = Checkpoint(
        name, role, folder, card, config, commit, sha256, embedded, tuple(warnings)
    )
    return _with_own_calibration(checkpoint)


def _with_own_calibration(checkpoint: Checkpoint) -> Checkpoint:
    """Replace the line of a stranger's card by this user's, or by none.

    Whoever writes a card could write a line that turns every score into certainty, so that only
    lines count which came with the program or which this user fitted on own files.
    """
    claimed, subset = checkpoint.card.calibration, load_calibration(checkpoint)
    if claimed is None or checkpoint.embedded:
        return checkpoint.with_calibration(subset or claimed)
    words = (
        f"Its card claims a calibration on {claimed.fitted_on[:MAX_CLAIM]!r} ({claimed.n_real} "
        f"real, {claimed.n_fake} fake files). That is its author's claim and does not count here; "
        "a calibration on your own files does."
    )
    return replace(checkpoint.with_calibration(subset), warnings=(*checkpoint.warnings, words))


def read_json(path: Path, name: str) -> dict[str, Any]:
    """Return a JSON object of at most ``MAX_SMALL_BYTES``, or refuse."""
    if path.stat().st_size > checks.MAX_SMALL_BYTES:
        raise checks.refuse(f"{path.name} of {name} is far too large.")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise checks.refuse(f"{path.name} of {name} is not text in UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise checks.refuse(f"{path.name} of {name} is not valid JSON.") from error
    if not isinstance(data, dict):
        raise checks.refuse(f"{path.name} of {name} is not a JSON object.")
    return data


def _check_folder(name: str, folder: Path, embedded: bool) -> None:
    if not folder.is_dir():
        what = "weights that come with the program" if embedded else "files of the folder"
        raise UserError("weights_missing", f"The {what} for {name} were not found.")
    files = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    checks.check_listing(name, files)


def _own_card(name: str, folder: Path, role: Role) -> Card:
    path = folder / "card.json"
    if path.stat().st_size > checks.MAX_SMALL_BYTES:
        raise checks.refuse(f"card.json of {name} is far too large.")
    try:
        card = Card.from_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise checks.refuse(f"card.json of {name} is not text in UTF-8.") from error
    if card.detector != role.name:
        raise checks.refuse(f"{name} was made for {card.detector}, not for {role.name}.")
    if (card.audio_s is None) == (role.task is Task.AUDIO):
        wanted = "seconds" if role.task is Task.AUDIO else "null"
        raise checks.refuse(f"The card of {name} says audio_s: {role.name} expects {wanted}.")
    if card.audio_s is not None and card.rate_hz != role.audio_hz:
        raise checks.refuse(f"The card of {name} says rate_hz: {role.name} hears {role.audio_hz}.")
    return card


def _answered(card: Card, config: Mapping[str, Any], answer: Sequence[str]) -> Card:
    """Let the user's answer replace the card's label map; the calibration belonged to the old."""
    labels = resolve_labels(label_names(config), fake_labels=answer)
    if labels.fake_indices == card.fake_indices and labels.real_indices == card.real_indices:
        return card
    return replace(
        card,
        fake_indices=labels.fake_indices,
        real_indices=labels.real_indices,
        labels_known_by=labels.known_by,
        calibration=None,
    )


def _derived_card(
    name: str,
    folder: Path,
    role: Role,
    config: Mapping[str, Any],
    names: tuple[str, ...],
    answer: Sequence[str] | None,
) -> tuple[Card, list[str]]:
    source = catalog.find(name)
    labels = resolve_labels(names, override=source.labels if source else None, fake_labels=answer)
    processor = _processor(folder, name, role)
    if role.task is Task.AUDIO:
        card, warnings = audio_card_from_config(role, name, processor, labels, source)
    else:
        card, warnings = card_from_config(role, name, config, processor, labels, source)
    return _licensed(card, folder), warnings


def _licensed(card: Card, folder: Path) -> Card:
    """Take the license from the README's front matter where nothing else states one."""
    readme = folder / "README.md"
    if card.license != "unknown" or not readme.is_file():
        return card
    text = readme.read_text(encoding="utf-8", errors="replace")
    return replace(card, license=stated_license(text))


def _turned(card: Card, answer: Sequence[str] | None) -> Card:
    """Let the user's answer decide which output of a layout means fake."""
    if answer is None:
        return card
    count = len(card.fake_indices) + len(card.real_indices)
    labels = resolve_labels([f"LABEL_{index}" for index in range(count)], fake_labels=answer)
    return replace(
        card,
        fake_indices=labels.fake_indices,
        real_indices=labels.real_indices,
        labels_known_by=labels.known_by,
    )


def _processor(folder: Path, name: str, role: Role) -> dict[str, Any] | None:
    """Return the settings of images, or of audio, from whichever of the three files has them."""
    keys = ("sampling_rate",) if role.task is Task.AUDIO else ("size", "image_mean")
    for filename in (
        "preprocessor_config.json",
        "video_preprocessor_config.json",
        "processor_config.json",
    ):
        if not (folder / filename).is_file():
            continue
        data = read_json(folder / filename, name)
        configs.check_no_code(name, data, filename)
        parts = (data.get(part) for part in PROCESSORS)
        inner = next((part for part in parts if part is not None), data)
        if isinstance(inner, dict) and any(key in inner for key in keys):
            return inner
    return None


def _with_hub_warnings(
    checkpoint: Checkpoint, source: Source | None, revision: str | None, words: str | None
) -> Checkpoint:
    warnings = list(source.bad) if source else []
    if words:
        warnings.append(words)
    if revision is not None and revision.startswith("refs/pr/"):
        warnings.append(
            f"{revision} is a pull request: anybody may have written it, not only the owner of "
            f"{checkpoint.name}."
        )
    if not (revision and remote.COMMIT.match(revision)) and not (source and source.revision):
        warnings.append(
            f"Not pinned: its owner may change it. Write {checkpoint.name}@{checkpoint.revision} "
            "to keep this one."
        )
    return replace(checkpoint, warnings=(*warnings, *checkpoint.warnings))
