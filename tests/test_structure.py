"""Does the house stay simple? No import cycle, no function written twice, none that is long."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

from tests.conftest import ROOT

MOST_LINES = 60


@pytest.fixture(scope="module")
def structure():
    """packaging/structure.py; it is a script, and the folder's name is that of a library."""
    place = ROOT / "packaging" / "structure.py"
    spec = importlib.util.spec_from_file_location("structure", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trees(structure):
    return structure.parsed()


def test_no_file_imports_one_that_imports_it(structure, trees):
    assert structure.cycles(structure.product(trees)) == []


def test_no_function_is_written_twice(structure, trees):
    assert structure.twins(structure.product(trees)) == []


def test_no_function_is_long(structure, trees):
    functions = [(path, f) for path, tree in trees.items() for f in structure.functions(tree)]
    assert len(functions) > 1000
    long = [(str(path), f.name) for path, f in functions if structure.length(f) > MOST_LINES]
    assert long == []


def test_a_cycle_and_a_twin_would_be_noticed(structure):
    body = "\n    x = {0}\n    y = x + 1\n    z = y * 2\n    print(z)\n    return z\n"
    one = ast.parse("from b import g\ndef f():" + body.format(1))
    two = ast.parse("import a\ndef g():" + body.format(2))
    trees = {Path("a.py"): one, Path("b.py"): two}
    assert [set(names) for names in structure.cycles(trees)] == [{"a", "b"}]
    assert structure.twins(trees) == [["a.py:f", "b.py:g"]]
