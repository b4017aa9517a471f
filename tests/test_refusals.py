"""Is each refusal still the same? Programs read its code, people its sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis import Settings
from errors import UserError
from evaluation.manifest import read_manifest
from hub.checkpoint import Card
from hub.spacefile import read_spacefile
from hub.store import parse_spec
from media.sniff import sniff
from report.replay import read_report
from ui.web import fetch, resolved

CARD = {
    "detector": "spatial", "title": "", "size_px": 224, "fake_indices": [1], "real_indices": [0],
    "labels_known_by": "",
}  # fmt: skip


def of(read: Callable[[Path], Any], name: str, content: bytes | str | None) -> Callable[..., Any]:
    """Write a file (None: do not) and read it."""

    def call(folder: Path) -> Any:
        if content is not None:
            data = content.encode() if isinstance(content, str) else content
            (folder / name).write_bytes(data)
        return read(folder / name)

    return call


def card(**change: Any) -> Callable[..., Any]:
    """Read a card that differs from a good one."""
    return lambda folder: Card.from_json(json.dumps(CARD | change))


REFUSALS = [
    (of(sniff, "a.mp4", None), "decode_failed", "There is no file called “a.mp4”."),
    (
        of(sniff, "a.mp4", b""),
        "decode_failed",
        "The file is empty (0 bytes). Try to copy it again.",
    ),
    (
        of(sniff, "a.mp4", bytes(64)),
        "decode_failed",
        "The file starts with nothing but zeros: a download that broke off?",
    ),
    (
        lambda folder: Settings(mode="fast"),
        "bad_settings",
        "Mode must be one of quick, thorough, got “fast”.",
    ),
    (
        of(read_manifest, "m.csv", "path,label\n"),
        "bad_manifest",
        "“m.csv” lists no files.",
    ),
    (
        of(read_manifest, "m.csv", "path,kind\na.png,x\n"),
        "bad_manifest",
        "“m.csv” has no column “label”.",
    ),
    (
        of(read_manifest, "m.csv", "path,label\na.png,2\n"),
        "bad_manifest",
        "Line 2 of “m.csv”: label must be 0 (real) or 1 (fake), got “2”.",
    ),
    (
        lambda folder: parse_spec("nonsense"),
        "hub_missing",
        "'nonsense' is neither a name like owner/repo or owner/repo@revision, nor one of the "
        "catalog, nor a path that starts with / or ./",
    ),
    (
        lambda folder: Card.from_json("[]"),
        "weights_refused",
        "The card says card.json: expected an object, got [].",
    ),
    (
        card(size_px=4),
        "weights_refused",
        "The card says size_px: expected 8 to 1024, got 4.",
    ),
    (
        card(real_indices=[1]),
        "weights_refused",
        "The card says fake_indices: expected none of real_indices, got (1,).",
    ),
    (of(read_report, "r.json", "{"), "bad_report", "r.json is not a readable JSON report."),
    (
        of(read_report, "r.json", "{}"),
        "bad_report",
        "r.json is no report of this program: schema_version is missing or wrong.",
    ),
    (
        lambda folder: fetch("ftp://example.org/a.mp4", read_spacefile(environ={}), folder),
        "bad_url",
        "This is no address of a file: it begins with https:// or http://.",
    ),
    (
        lambda folder: resolved("127.0.0.1", 443),
        "url_refused",
        "This address leads to a machine that is not on the public internet.",
    ),
]


@pytest.mark.parametrize(
    ("call", "code", "sentence"), REFUSALS, ids=[f"{n}-{row[1]}" for n, row in enumerate(REFUSALS)]
)
def test_what_is_refused_is_refused_with_its_code_and_sentence(call, code, sentence, tmp_path):
    with pytest.raises(UserError) as refusal:
        call(tmp_path)
    assert (refusal.value.code, refusal.value.sentence) == (code, sentence)
