"""Are pins checked against published advisories, and is it said when they could not be?"""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest

from tests.conftest import ROOT

SPEC = importlib.util.spec_from_file_location("audit", ROOT / "packaging" / "audit.py")
assert SPEC and SPEC.loader
audit = importlib.util.module_from_spec(SPEC)
sys.modules["audit"] = audit  # dataclasses look their module up
SPEC.loader.exec_module(audit)

PINS = "# list\ngood==1.0\nbad[extra]==2.0 ; python_version < '4'\nelsewhere==3.0\n"
BAD = {"id": "GHSA-1", "aliases": ["CVE-1"], "summary": "Reads too far", "fixed_in": ["2.1"]}


def index(address: str) -> bytes:
    if "elsewhere" in address:
        raise OSError("no route")
    gone = {"id": "GHSA-2", "withdrawn": "2026-01-01"}
    return json.dumps({"vulnerabilities": [BAD, gone] if "/bad/2.0/" in address else []}).encode()


def test_a_pin_with_an_advisory_is_open_until_it_is_answered():
    lines = list(audit.report(PINS, {}, index))
    assert lines[0] == "OPEN: bad 2.0, GHSA-1, CVE-1: Reads too far; fixed in 2.1"
    answered = list(audit.report(PINS, {"CVE-1": "Not reachable."}, index))
    assert answered[0].startswith("answered: bad 2.0") and "Not reachable." in answered[0]
    assert not any("GHSA-2" in line for line in lines)


def test_what_could_not_be_checked_is_said():
    lines = list(audit.report(PINS, {}, index))
    assert "2 of 3 pins were checked against the index." in lines
    assert lines[-1].endswith("could not be asked: elsewhere.")


def test_an_answer_to_nothing_is_open():
    lines = list(audit.report("good==1.0\n", {"CVE-9": "Once."}, index))
    assert lines[-1] == "OPEN: answers that nothing asks for any more: CVE-9"


@pytest.mark.parametrize("name", ["pillow", "torch", "mediapipe"])
def test_every_pin_of_the_list_is_asked_for(name):
    assert name in dict(audit.pins((ROOT / "requirements.txt").read_text("utf-8")))
