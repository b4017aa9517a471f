"""What do the content credentials (C2PA) of a file say, and who stands behind them?

Nothing is fetched: neither a manifest that is kept elsewhere nor a certificate's state, because
the address stands in the file and asking there would tell its author that it is examined. A signer
is trusted only if its certificate leads to the C2PA trust list in ``trust/``; a name on a
certificate proves nothing.

Specification: C2PA 2.2, https://spec.c2pa.org. Imports mark and source_types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from media.provenance import source_types
from media.provenance.mark import FORGEABLE, DeclaredMark, plain

STATES = ("none", "elsewhere", "unreadable", "invalid", "unknown_signer", "trusted")
TRUST_LIST_DATE = "2026-09-24"  # state of the lists in trust/, see trust/NOTICE
TRUST_FOLDER = Path(__file__).with_name("trust")
LIST_URI = "https://github.com/c2pa-org/conformance-public"
OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    "core": {"allowed_network_hosts": [], "allow_redirects": False},
}
MOST_MANIFESTS = 64  # that are walked from the active one
MOST_JSON = 8_000_000  # characters of the manifest store that are parsed
DEEPEST = 12  # levels of an assertion that are searched for a source type
SOURCE_TYPE_KEYS = ("digitalSourceType", "Iptc4xmpExt:DigitalSourceType")
SOURCE = "content credentials (C2PA)"
ABSENT = ("ManifestNotFound", "NotSupported", "no JUMBF", "UnsupportedType")


@dataclass(frozen=True)
class Credentials:
    """What was read.

    Attributes:
        state: one of `STATES`.
        facts: name → value, as text.
        note: a sentence on what stands out, or an empty text.
        marks: what they declare.
    """

    state: str
    facts: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    marks: tuple[DeclaredMark, ...] = ()


@cache
def reader_settings(extra_anchors: str = "") -> dict[str, Any]:
    """Settings of the reader: no network, and the shipped trust lists.

    Args:
        extra_anchors: certificates (PEM) that count as trusted too.
    """
    lists = [("manifest", "C2PA-TRUST-LIST.pem"), ("tsa", "C2PA-TSA-TRUST-LIST.pem")]
    anchors = [
        {
            "trust_kind": kind,
            "trust_uri": LIST_URI,
            "trust_anchors": (TRUST_FOLDER / name).read_text("utf-8"),
        }
        for kind, name in lists
    ]
    if extra_anchors:
        subset = {"trust_kind": "manifest", "trust_uri": "local", "trust_anchors": extra_anchors}
        anchors.append(subset)
    return OFFLINE | {"trust": {"anchors": anchors}}


def read_credentials(path: Path, extra_anchors: str = "") -> Credentials:
    """The content credentials of a file, without any connection.

    Args:
        path: the file.
        extra_anchors: certificates (PEM) that count as trusted too.
    """
    import c2pa  # loads a native library: only when a file is read

    try:
        with (
            c2pa.Context.from_dict(reader_settings(extra_anchors)) as context,
            c2pa.Reader(str(path), context=context) as reader,
        ):
            text, state = reader.json(), str(reader.get_validation_state() or "Invalid")
            kept_at = None if reader.is_embedded() else reader.get_remote_url()
        store = json.loads(text) if len(text) <= MOST_JSON else None
    except c2pa.C2paError as error:
        return _without_manifest(str(error))
    except (OSError, ValueError, RuntimeError, RecursionError):
        return Credentials("unreadable")
    if kept_at:
        return _elsewhere(kept_at)
    return _judged(store, state) if isinstance(store, dict) else Credentials("unreadable")


def _without_manifest(message: str) -> Credentials:
    if message.startswith("Remote"):
        address = re.search(r"https?://[^\s)]+", message)
        return _elsewhere(address.group() if address else "")
    return Credentials("none" if any(word in message for word in ABSENT) else "unreadable")


def _elsewhere(address: str) -> Credentials:
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        host = ""
    host = plain(host, 100) or "an unreadable address"
    return Credentials(
        "elsewhere",
        {"content credentials": f"kept at {host}; not fetched"},
        f"Its content credentials are kept at {host}; not fetched, so that nobody learns that "
        "this file is examined.",
    )


def _judged(store: dict[str, Any], validation: str) -> Credentials:
    """Credentials of a parsed manifest store; ``validation`` is Invalid, Valid or Trusted."""
    state = {"Trusted": "trusted", "Valid": "unknown_signer"}.get(validation, "invalid")
    manifests = _object(store.get("manifests"))
    manifest = _object(manifests.get(str(store.get("active_manifest"))))
    signature = _object(manifest.get("signature_info"))
    signer = plain(signature.get("issuer") or signature.get("common_name") or "no name")
    facts = {"content credentials by": program(manifest), "content credentials signed by": signer}
    note = {
        "trusted": "",
        "unknown_signer": (
            f"Its content credentials are signed by “{signer}”, who is not on the C2PA trust list "
            f"of {TRUST_LIST_DATE}: an unknown signer, whatever the name says."
        ),
        "invalid": "It carries content credentials (C2PA) that do not hold: the file or they were "
        "changed.",
    }[state]
    marks = tuple(
        DeclaredMark(SOURCE, words, signer, state, generated, FORGEABLE[state])
        for words, generated in _declared(manifests, manifest)
    )
    return Credentials(state, facts, note, marks)


def program(manifest: Mapping[str, Any]) -> str:
    """Name and version of the program that wrote a manifest."""
    infos = manifest.get("claim_generator_info")
    info = _object(infos[0] if isinstance(infos, list) and infos else infos)
    if info.get("name"):
        return plain(f"{info['name']} {info.get('version') or ''}")
    return plain(manifest.get("claim_generator") or "unknown")


def _declared(
    manifests: Mapping[str, Any], active: Mapping[str, Any]
) -> Iterator[tuple[str, bool]]:
    """Each source type once, first those of the file itself, then of what it was made from."""
    observed: set[tuple[str, bool]] = set()
    for manifest, subset in _walk(manifests, active):
        for name in _source_types(manifest.get("assertions")):
            if (name, subset) in observed or (name, True) in observed:
                continue
            observed.add((name, subset))
            words = source_types.meaning(name)
            if subset:
                yield words, name in source_types.GENERATED
            elif name in source_types.GENERATED:
                yield f"of something that it was made from, {words}", True


def _walk(
    manifests: Mapping[str, Any], active: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """The active manifest, then its ingredients' manifests, each once; whether it is the first.

    What was only given to a generator (``inputTo``) is no part of the file and is passed over.
    """
    waiting, done = [active], {str(active.get("label"))}
    while waiting and len(done) <= MOST_MANIFESTS:
        manifest = waiting.pop(0)
        yield manifest, manifest is active
        ingredients = manifest.get("ingredients")
        for ingredient in ingredients if isinstance(ingredients, list) else ():
            part = _object(ingredient)
            label = str(part.get("active_manifest"))
            if part.get("relationship") != "inputTo" and label in manifests and label not in done:
                done.add(label)
                waiting.append(_object(manifests[label]))


def _source_types(value: object, depth: int = 0) -> Iterator[str]:
    """Terms at the fields of this meaning, wherever in the assertions they stand."""
    if depth > DEEPEST:
        return
    if isinstance(value, list):
        for item in value:
            yield from _source_types(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            name = source_types.term(item) if key in SOURCE_TYPE_KEYS else None
            if name is not None:
                yield name
            yield from _source_types(item, depth + 1)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
