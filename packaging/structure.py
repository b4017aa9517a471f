"""How is the house built? `python packaging/structure.py` prints its numbers.

Files and lines a room, median and longest function, import cycles between modules, and pairs of
functions of the same shape (equal syntax trees once names and constants are taken out). Uses the
standard library only.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEAST_STATEMENTS = 6  # of functions that are compared by shape


def sources() -> list[Path]:
    """The Python files that are under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [Path(line) for line in listed.stdout.splitlines()]


def room(path: Path) -> str:
    """The top folder of a file, or "top" for a file beside the README."""
    return path.parts[0] if len(path.parts) > 1 else "top"


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods."""
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the last one."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def shape(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The kinds of all nodes in their order; names, numbers and texts do not matter."""
    return " ".join(type(node).__name__ for node in ast.walk(function))


def cycles(trees: dict[Path, ast.AST]) -> list[list[str]]:
    """The first import cycle at module level, or nothing."""
    names = {".".join(path.with_suffix("").parts): path for path in trees}
    graph = {name: _imported(trees[path], set(names)) - {name} for name, path in names.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [error.args[1]]
    return []


def _imported(tree: ast.AST, known: set[str]) -> set[str]:
    """Modules of the project that are imported when this one is; not those for types only."""
    modules: set[str] = set()
    for node in getattr(tree, "body", []):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules & known


def twins(trees: dict[Path, ast.AST]) -> list[list[str]]:
    """Groups of functions of the same shape, ``path:name``; short ones are alike by chance."""
    shapes: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees.items():
        for function in functions(tree):
            if sum(isinstance(node, ast.stmt) for node in ast.walk(function)) >= LEAST_STATEMENTS:
                shapes[shape(function)].append(f"{path}:{function.name}")
    return [places for places in shapes.values() if len(places) > 1]


def parsed() -> dict[Path, ast.AST]:
    """The syntax trees of `sources`, by path below the root."""
    return {path: ast.parse((ROOT / path).read_text("utf-8")) for path in sources()}


def product(trees: dict[Path, ast.AST]) -> dict[Path, ast.AST]:
    """All but the tests."""
    return {path: tree for path, tree in trees.items() if room(path) != "tests"}


def main() -> None:
    """Print the numbers."""
    trees = parsed()
    rooms: dict[str, list[Path]] = defaultdict(list)
    for path in trees:
        rooms[room(path)].append(path)
    print(f"{'room':<12}{'files':>7}{'lines':>8}{'functions':>11}{'median':>8}{'longest':>9}")
    for name, paths in sorted(rooms.items()):
        lengths = [length(f) for path in paths for f in functions(trees[path])]
        lines = sum(len((ROOT / path).read_text("utf-8").splitlines()) for path in paths)
        middle, most = (statistics.median(lengths), max(lengths)) if lengths else (0, 0)
        print(f"{name:<12}{len(paths):>7}{lines:>8}{len(lengths):>11}{middle:>8.0f}{most:>9}")
    ours = product(trees)
    print(f"import cycles: {len(cycles(ours))}", *cycles(ours))
    print(f"functions of the same shape: {len(twins(ours))}", *twins(ours), sep="\n  ")


if __name__ == "__main__":
    main()
