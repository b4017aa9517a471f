"""Does the code speak the field's words? What was retired stays so, in names and in prose."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TypeGuard

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
    "sees": "coverage",
}
IN_NAMES = {  # parts of names, in Python and in page.js
    "shot": "keyframe, face_clip",
    "shots": "keyframes, face_clips",
    "picture": "image",
    "pictures": "images",
    "sound": "audio",
    "sounds": "recordings",
}
PUBLISHED = {"has_sound", "to_sound"}  # in reports and in tensors
IN_PROSE = {  # in comments, docstrings and docs: what is retired, and what to say instead
    r"\bpictures?\b": "image",
    r"colour": "color",
    r"\bgrey": "gray",
    r"centre|centring": "center",
    r"licence": "license",
    r"neighbour": "neighbor",
    r"catalogue": "catalog",
    r"(normal|initial|optim|recogn|summar|quant|regular|general|penal|standard|synchron)is": "…iz…",
    r"analys(e|ed|ing)\b": "analyze",
    r"emphasis(e|ing)": "emphasize",
    r"(behavi|fav|hon)our": "…or",
    r"labell|modell": "label…, model…",
    r"artefact": "artifact",
}
NOT_PROSE = {"CHANGELOG.md", "LOG.md"}  # history
FILES = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if not {".venv", "artifacts"} & set(path.relative_to(ROOT).parts)
]

DOCS = [
    path
    for path in sorted(ROOT.rglob("*.md"))
    if not {".venv", "artifacts", "node_modules"} & set(path.relative_to(ROOT).parts)
    and path.name not in NOT_PROSE
    and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
]


SCRIPTS = sorted(ROOT.glob("ui/*.js"))
TEMPLATES = sorted(ROOT.glob("report/templates/*.j2"))


def retired(name: str) -> str | None:
    """What to say instead of a name; a class that was retired may be a variable in lower case."""
    plain = name.strip("_")
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", plain)
    whole = RETIRED.get(plain) or RETIRED.get(plain.lower() if plain.isupper() else plain)
    return whole or next((IN_NAMES[p.lower()] for p in parts if p.lower() in IN_NAMES), None)


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
    assert not [
        f"{path.name}:{line}: {name}, say {retired(name)}"
        for name, line in names(tree)
        if retired(name) and name not in PUBLISHED
    ]


@pytest.mark.parametrize("path", SCRIPTS + TEMPLATES, ids=lambda path: path.name)
def test_no_retired_word_is_a_name_on_the_page(path: Path):
    """Names in scripts and in the expressions of templates; texts are for people."""
    text = path.read_text("utf-8")
    if path.suffix == ".j2":
        text = "\n".join(re.findall(r"{[{%].*?[%}]}", text, re.DOTALL))
    code = re.sub(r"""(["'`]).*?\1|^\s*//.*$""", "", text, flags=re.MULTILINE)
    assert not [name for name in set(re.findall(r"\b[A-Za-z_]\w*", code)) if retired(name)]


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of the comments and docstrings of a file of Python."""
    source = path.read_text("utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from enumerate(str(node.value.value).splitlines(), node.lineno)


def retired_in(lines: Iterable[tuple[int, str]], name: str) -> list[str]:
    return [
        f"{name}:{number}: {match[0]}, say {instead}"
        for number, line in lines
        for pattern, instead in IN_PROSE.items()
        if (match := re.search(pattern, re.sub(r"`[^`]*`|“[^”]*”", "", line), re.IGNORECASE))
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_retired_word_is_in_comments_and_docstrings(path: Path):
    assert not retired_in(prose_of(path), path.name)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_retired_word_is_in_the_docs(path: Path):
    assert not retired_in(enumerate(path.read_text("utf-8").splitlines(), 1), path.name)


def test_a_retired_word_would_be_noticed(tmp_path: Path):
    path = tmp_path / "a.py"
    path.write_text(
        '"""One picture.\n\nOf `centre` and “grey”."""\nx = 1  # a colour\ny = "picture"\n'
    )
    assert [line.split(",")[0] for line in retired_in(prose_of(path), "a.py")] == [
        "a.py:4: colour", "a.py:1: picture",
    ]  # fmt: skip


def test_a_retired_name_is_noticed_in_any_case_and_as_a_part():
    assert retired("_KEPT") and retired("shotPx") and retired("MOST_SHOTS") and retired("People")
    assert not retired("people") and not retired("screenshot") and not retired("found_by")


def test_the_log_is_read_without_scrolling_sideways():
    lines = (ROOT / "training" / "LOG.md").read_text("utf-8").splitlines()
    long = [n for n, line in enumerate(lines, 1) if len(line) > 100 and not line.startswith("|")]
    assert not long
    assert len(lines) > 100


def test_a_title_of_the_log_is_one_line_with_its_date_and_outcome():
    """A title that is broken over two lines is cut where it is listed."""
    lines = (ROOT / "training" / "LOG.md").read_text("utf-8").splitlines()
    titles = [(line, after) for line, after in pairwise(lines) if line.startswith("## ")]
    assert len(titles) > 40
    dated = re.compile(r"## \d{4}-\d\d-\d\d [^()]+(\([^()]+\)[^()]*)?")
    assert [line for line, after in titles if after or not dated.fullmatch(line)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_dataclass_has_attributes_and_not_arguments(path: Path):
    classes = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if is_dataclass(n)]
    assert not [n.name for n in classes if "Args:" in (ast.get_docstring(n) or "")]


def is_dataclass(node: ast.AST) -> TypeGuard[ast.ClassDef]:
    return isinstance(node, ast.ClassDef) and any(
        "dataclass" in ast.unparse(decorator) for decorator in node.decorator_list
    )
