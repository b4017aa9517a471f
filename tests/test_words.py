"""Does the code speak the field's words? Names that were retired stay retired."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

RETIRED = {  # and what to say instead
    "shaken": "degraded",
    "wear": "degradations",
    "UNHARMED": "P_CLEAN",
    "textures": "artifacts",
    "Seen": "Recorder",
    "Shot": "Keyframe, FaceClip",
    "shot": "keyframe, face_clip",
    "People": "IdentityLinker",
    "Look": "measurement",
    "look_again": "recheck",
    "WhisperEar": "WhisperEncoder",
    "Over": "TemporalConvBlock",
    "Judge": "LinearClassifier",
    "Gate": "Domain",
    "open_for": "in_domain",
    "Numbers": "FusionParameters",
    "most_log_odds": "llr_clip",
    "sound_share": "p_audio_fake",
    "Kept": "ScoreRecord",
    "kept": "stored, record",
    "found": "result, matches",
    "said": "words, sentences",
    "told": "data, given",
    "seen": "observed, known",
    "heard": "speech, audio",
    "own": "subset",
    "picture": "image",
    "pictures": "images",
}
FILES = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if not {".venv", "tests", "artifacts"} & set(path.relative_to(ROOT).parts)
]


def names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(name, line) of everything that is defined: variables, parameters, functions, classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_retired_word_is_a_name(path: Path):
    tree = ast.parse(path.read_text("utf-8"))
    retired = [
        f"{path.name}:{line}: {name}, say {RETIRED[name.strip('_')]}"
        for name, line in names(tree)
        if name.strip("_") in RETIRED
    ]
    assert not retired


def test_the_log_is_read_without_scrolling_sideways():
    lines = (ROOT / "training" / "LOG.md").read_text("utf-8").splitlines()
    long = [n for n, line in enumerate(lines, 1) if len(line) > 100 and not line.startswith("|")]
    assert not long
    assert len(lines) > 100
