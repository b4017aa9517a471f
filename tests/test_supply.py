"""Claims about what is shipped: pins, licenses, headers, and a SECURITY.md that keeps its word."""

from __future__ import annotations

import asyncio
import importlib.util
import re

import pytest

from tests.conftest import ROOT
from ui.headers import HEADERS, SecurityHeaders


@pytest.fixture(scope="module")
def sbom():
    """packaging/sbom.py; it is a script, and the folder's name is that of a library."""
    spec = importlib.util.spec_from_file_location("sbom", ROOT / "packaging" / "sbom.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_exactly(name):
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text("utf-8").splitlines()]
    lines = [line for line in lines if line]
    assert len(lines) > 50
    assert [
        line for line in lines if not re.match(r"^[\w.-]+(\[[\w,-]+\])?==[\w.+!]+( ;|$)", line)
    ] == []


def test_every_pin_is_listed_with_its_hashes():
    pins = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    hashed = (ROOT / "packaging" / "requirements-hashed.txt").read_text("utf-8")
    entries = hashed.replace(" \\\n    --hash=", " --hash=").splitlines()
    known = {entry.partition(" --hash=")[0]: entry.count("--hash=sha256:") for entry in entries}
    assert [pin for pin in pins if not pin.startswith("#") and not known.get(pin)] == []
    assert len(known) - 2 == len([pin for pin in pins if not pin.startswith("#")])


def test_the_bill_of_materials_names_every_pin_and_every_file_of_weights(sbom):
    bom = sbom.bill_of_materials()
    parts = {(part["name"], part.get("version")): part for part in bom["components"]}
    assert len(parts) == len(bom["components"]), "each part once"
    for name, version in sbom.PIN.findall((ROOT / "requirements.txt").read_text("utf-8")):
        assert parts[name, version]["purl"].startswith("pkg:pypi/")
    weights = [p for e in ("safetensors", "tflite", "pem") for p in ROOT.glob(f"[hm]*/**/*.{e}")]
    assert len(weights) >= 9
    for path in weights:
        part = parts[path.relative_to(ROOT).as_posix(), None]
        assert re.fullmatch("[0-9a-f]{64}", part["hashes"][0]["content"])
    assert all(part["licenses"][0]["license"]["name"] != sbom.UNKNOWN for part in parts.values())
    assert sbom.bill_of_materials() == bom


def test_each_answer_of_the_page_carries_the_headers():
    async def page(scope, receive, send):
        subset = [(b"content-type", b"text/html"), (b"referrer-policy", b"origin")]
        await send({"type": "http.response.start", "status": 200, "headers": subset})
        await send({"type": "http.response.body", "body": b"x"})

    sent = []

    async def keep(message):
        sent.append(message)

    asyncio.run(SecurityHeaders(page)({"type": "http"}, None, keep))  # type: ignore[arg-type]
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    for name, value in HEADERS.items():
        expected = "origin" if name == "Referrer-Policy" else value
        assert headers[name.lower()] == expected
    assert sent[1]["body"] == b"x"


def test_the_policy_lets_nothing_be_loaded_or_sent_elsewhere():
    policy = HEADERS["Content-Security-Policy"]
    for what in ("default-src", "script-src", "connect-src", "img-src", "form-action"):
        (words,) = re.findall(rf"(?:^|; ){what} ([^;]*)", policy)
        assert "'self'" in words and "http" not in words and "*" not in words


def test_every_test_that_security_md_names_exists():
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    promises = text.partition("## What is promised")[2].partition("\n## ")[0]
    rows = re.findall(r"^\|[^|]+\|([^|]+)\|$", promises, re.MULTILINE)[2:]
    assert len(rows) >= 12 and "<<<<" not in text
    for row in rows:
        file = ""
        for named in re.findall(r"`([^`]+)`", row):
            path, _, test = named.partition("::")
            file = path or file
            content = (ROOT / file).read_text("utf-8")
            assert f"def {test or 'test_'}" in content, named
