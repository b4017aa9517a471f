"""Does the house still stand as it was drawn? The import rule, and the tree in the README."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    "errors", "stop", "version", "threads", "confine", "hub", "media", "detectors", "verdict",
    "analysis", "report", "evaluation", "batch", "ui",
)  # fmt: skip
ENDS = ("app", "cli", "commands", "training", "examples", "benchmarks")
USES = {"cli": {"commands"}}  # the one end that is another's wiring
FILES = [
    path
    for path in ROOT.rglob("*.py")
    if not {".venv", "tests", "artifacts"} & set(path.relative_to(ROOT).parts)
]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def room(path: Path) -> str:
    """The room that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Full names of all modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_part_imports_only_parts_to_its_left(path):
    here = room(path)
    for name in imports(path):
        there = name.split(".")[0]
        if there not in ROOMS + ENDS or there == here:
            continue
        if there in USES.get(here, ()):
            continue
        assert there not in ENDS, f"{path.name} imports the end {there}"
        allowed = ROOMS if here in ENDS else ROOMS[: ROOMS.index(here)]
        assert there in allowed, f"{here} must not import {there}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_page_imports_gradio(path):
    if room(path) not in ("app", "ui"):
        assert not any(name.split(".")[0] == "gradio" for name in imports(path))


def test_the_verdict_never_imports_torch():
    for path in (ROOT / "verdict").glob("*.py"):
        assert not any(name.split(".")[0] == "torch" for name in imports(path))


def test_detectors_never_import_each_other():
    shared = {
        "__init__",
        "base",
        "deletion",
        "exhibits",
        "frozen",
        "gend",
        "inference",
        "loading",
        "pool",
        "preprocess",
        "registry",
        "simlbr",
        "trial",
    }
    kinds = {p.stem for p in (ROOT / "detectors").iterdir() if p.suffix == ".py" or p.is_dir()}
    kinds -= {*shared, "__pycache__"}
    assert len(kinds) >= 5
    for path in (ROOT / "detectors").rglob("*.py"):
        subset = path.relative_to(ROOT / "detectors").parts[0].removesuffix(".py")
        used = {n.split(".")[1] for n in imports(path) if n.startswith("detectors.")}
        if subset != "registry":
            assert not used - shared - {subset}, f"{path.name} imports {used - shared - {subset}}"


def test_every_room_and_file_of_the_readme_tree_exists():
    text = (ROOT / "README.md").read_text("utf-8")
    tree = re.search(r"```text\n(.*?)```", text, re.S)
    assert tree, "the README has no tree"
    listed = [line.split()[0] for line in tree[1].splitlines() if line.strip()]
    assert len(listed) > 15
    missing = [name for name in listed if not (ROOT / name).exists()]
    assert not missing


def test_every_room_is_in_the_readme_tree():
    text = (ROOT / "README.md").read_text("utf-8")
    for name in (*ROOMS, *ENDS):
        assert re.search(rf"^{name}(/|\.py)", text, re.M), f"{name} is not in the README's tree"


def defined(path: Path) -> set[str]:
    """Names that a module has at its top level, whatever branch they stand in."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_is_imported_from_another_file_is_there(path):
    """Recipes are not run by tests one and all; a name that moved must not wait for its reader."""
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        place = ROOT.joinpath(*node.module.split("."))
        source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if not source.exists():
            continue
        modules = {p.stem for p in place.iterdir()} if place.is_dir() else set()
        missing = {alias.name for alias in node.names} - defined(source) - modules
        assert not missing, f"{node.module} has no {missing}"


def calls(path: Path, keyword: str | None = None) -> set[str]:
    """Names of the methods and functions that a file calls; only with a keyword if one is given."""
    nodes = [n for n in ast.walk(parsed(path)) if isinstance(n, ast.Call)]
    return {
        n.func.attr if isinstance(n.func, ast.Attribute) else getattr(n.func, "id", "")
        for n in nodes
        if keyword is None or keyword in [k.arg for k in n.keywords]
    }


@pytest.mark.parametrize(
    ("call", "place"), [("add_stream", "media/writer.py"), ("imencode", "media/degrade.py")]
)
def test_one_file_encodes(call, place):
    """One writer of clips, one place that re-encodes."""
    assert [str(p.relative_to(ROOT)) for p in FILES if call in calls(p)] == [place]


def test_images_are_scaled_by_a_factor_in_one_place():
    """`degrade.rescale`; what cuts faces lies below it and cannot ask it."""
    users = [str(p.relative_to(ROOT)) for p in FILES if "resize" in calls(p, "fx")]
    assert users == ["media/align.py", "media/degrade.py"]


@pytest.mark.parametrize("path", ["evaluation", "report/preview.py", "report/video.py"])
def test_copies_are_scaled_by_the_one_place(path):
    files = [p for p in FILES if str(p.relative_to(ROOT)).startswith(path)]
    assert files and not [p for p in files if "resize" in calls(p)]


@pytest.mark.parametrize(
    ("code", "place"),
    [
        (r"card\.json\W+(write|open\(.w)", "hub/checkpoint.py"),
        (r"\bstack\(\s*\[\s*cv2\.resize", "detectors/preprocess.py"),
    ],
)
def test_one_place_writes_cards_and_one_makes_the_squares_of_networks(code, place):
    users = [str(p.relative_to(ROOT)) for p in FILES if re.search(code, p.read_text("utf-8"))]
    assert users == [place]


def test_one_file_ranks_by_pairs():
    """`evaluation.metrics.auc`; hub may not import it and shares the pairs that it shuffles."""
    places = [str(p.relative_to(ROOT)) for p in FILES if "auc" in functions(p)]
    assert places == ["evaluation/metrics.py"]


def functions(path: Path) -> set[str]:
    """Names of the functions of a file."""
    return {n.name for n in ast.walk(parsed(path)) if isinstance(n, ast.FunctionDef)}


def test_rates_are_defined_once():
    """16 kHz and 25 Hz come from media.rates; a card or a layout states those of its checkpoint."""
    for path in FILES:
        for node in parsed(path).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                known = node.value.value in (16_000, 25)
                named = any("HZ" in t.id for t in node.targets if isinstance(t, ast.Name))
                assert not (known and named) or path.name == "rates.py", path


RATES = (16_000, 25)  # samples and images a second


def stray_rates(path: Path) -> list[int]:
    """Lines that divide by or of one of `RATES`, fall back on it, or take it when not told."""
    lines = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            parts = [node.left, node.right]
        elif isinstance(node, ast.BoolOp):
            parts = node.values
        elif isinstance(node, ast.arguments):
            parts = defaults_of_rates(node)
        else:
            continue
        lines += [p.lineno for p in parts if isinstance(p, ast.Constant) and p.value in RATES]
    return lines


def defaults_of_rates(node: ast.arguments) -> list[ast.expr]:
    """The defaults of parameters that are named as rates are."""
    positional = [*node.posonlyargs, *node.args]
    pairs = [
        *zip(positional[len(positional) - len(node.defaults) :], node.defaults, strict=True),
        *zip(node.kwonlyargs, node.kw_defaults, strict=True),
    ]
    return [value for arg, value in pairs if value and re.search("fps|hz|rate", arg.arg)]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_rate_is_written_as_a_number(path):
    assert not stray_rates(path)


def test_a_rate_written_as_a_number_would_be_noticed(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("def f(n, fps=25):\n    a = n / 25.0\n    return n or 16_000\n")
    assert sorted(stray_rates(path)) == [1, 2, 3]


def test_one_place_opens_strangers_images():
    """`open_image` asks one decoder; Pillow left alone would try every one it has."""
    users = [p for p in FILES if "Image.open(" in p.read_text("utf-8") and room(p) == "media"]
    assert [str(p.relative_to(ROOT)) for p in users] == ["media/image.py"]
    others = {"report", "ui", "analysis", "detectors", "evaluation", "commands", "app", "cli"}
    assert not [p for p in FILES if "Image.open(" in p.read_text("utf-8") and room(p) in others]
