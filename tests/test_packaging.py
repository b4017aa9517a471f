"""Is what is installed what was declared? Lists of requirements, the wheel, the command."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT
from version import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NAME = PROJECT["project"]["name"]
DECLARED = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
EXTRAS = {
    extra: [Requirement(line) for line in lines]
    for extra, lines in PROJECT["project"]["optional-dependencies"].items()
}
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
PRODUCT = [source for source in WHEEL if not source.startswith("packaging/")]
LISTS = {
    "requirements.txt": DECLARED,
    "requirements-dev.txt": DECLARED + EXTRAS["dev"] + EXTRAS["train"] + EXTRAS["batch"],
}
OWN_TOPS = {path.stem for path in ROOT.glob("*.py")} | {
    p.name for p in ROOT.iterdir() if p.is_dir()
}


def pins(name: str) -> list[Requirement]:
    """The lines of an exported list."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


def pinned_here(name: str) -> dict[str, str]:
    """Package → version of an exported list, for this Python on this system."""
    here = [pin for pin in pins(name) if pin.marker is None or pin.marker.evaluate()]
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in here}


def needed(roots: Iterable[Requirement]) -> set[str]:
    """Every package that is needed here, by what the installed packages say of themselves."""
    waiting = [(root.name, frozenset(root.extras)) for root in roots if root.name != NAME]
    result: set[str] = set()
    done = set()
    while waiting:
        name, extras = item = waiting.pop()
        if item in done:
            continue
        done.add(item)
        result.add(canonicalize_name(name))
        for line in metadata.requires(name) or ():
            below = Requirement(line)
            environments = [{"extra": extra} for extra in ("", *extras)]
            if below.marker is None or any(below.marker.evaluate(env) for env in environments):
                waiting.append((below.name, frozenset(below.extras)))
    return result


# ------------------------------------------------------------------ requirements


@pytest.mark.parametrize("name", LISTS)
def test_an_exported_list_pins_every_package_to_one_version(name):
    for pin in pins(name):
        assert re.fullmatch(r"==[^*]+", str(pin.specifier)), f"{pin} is not pinned"


@pytest.mark.parametrize("name", LISTS)
def test_every_declared_requirement_is_met_by_the_exported_list(name):
    pinned = pinned_here(name)
    for requirement in LISTS[name]:
        if requirement.name == NAME:
            continue
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {name}: run `make lock`"
        assert version in requirement.specifier, f"{name} has {version}: run `make lock`"


@pytest.mark.parametrize("name", LISTS)
def test_the_exported_list_holds_what_the_declared_packages_need_and_nothing_else(name):
    try:
        expected = needed(LISTS[name])
    except metadata.PackageNotFoundError as missing:
        pytest.skip(f"{missing.name} is not installed here, so what it needs is not known")
    pinned = set(pinned_here(name))
    assert pinned - expected == set(), "nobody needs these: run `make lock`"
    assert expected - pinned == set(), "these are not pinned: run `make lock`"


def test_what_is_installed_is_what_is_pinned():
    differing = {
        name: (version, metadata.version(name))
        for name, version in pinned_here("requirements.txt").items()
        if metadata.version(name) != version
    }
    assert differing == {}, "run `make test` again after a change of requirements"


def imported(paths: Iterable[Path]) -> dict[str, Path]:
    """Top-level modules of other people's packages, with one file that imports each."""
    result: dict[str, Path] = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                result[name.split(".")[0]] = path
    return {
        n: p for n, p in result.items() if n not in OWN_TOPS and n not in sys.stdlib_module_names
    }


OPTIONAL = {"spaces", "ncnn"}  # there on ZeroGPU Spaces; installed by hand for one recipe
COMES_WITH = {
    **{name: "gradio" for name in ("gradio_client", "packaging", "httpx", "starlette")},
    "markupsafe": "jinja2",
    "fsspec": "huggingface_hub",
}


@pytest.mark.parametrize(
    ("names", "declared"),
    [
        (PRODUCT, DECLARED + EXTRAS["batch"]),
        (["tests", "training", "benchmarks"], LISTS["requirements-dev.txt"]),
    ],
    ids=["product", "tests and recipes"],
)
def test_every_package_that_is_imported_is_declared(names, declared):
    paths = [p for name in names for p in ((ROOT / name).rglob("*.py"), [ROOT / name])]
    files = [p for group in paths for p in group if p.suffix == ".py" and p.name != "make.py"]
    providers = metadata.packages_distributions()
    known = {canonicalize_name(requirement.name) for requirement in declared}
    for module, path in imported(files).items():
        source = COMES_WITH.get(module, module)
        packages = {canonicalize_name(name) for name in providers.get(source, [source])}
        assert module in OPTIONAL or packages & known, f"{path.name} imports {module}: declare it"


# ------------------------------------------------------------------ the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this tree, built without network."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", ".", *options], cwd=ROOT, check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory) -> Path:
    """``bin`` of a fresh environment with the wheel; other packages come from this one."""
    folder = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(folder, symlinks=True)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", scripts / "python", "install"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--quiet", wheel], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return scripts


def run(command: list, folder: Path) -> subprocess.CompletedProcess:
    """Run a command somewhere else than in the clone."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_wheel_holds_every_file_of_the_program(wheel):
    listed = subprocess.run(
        ["git", "ls-files", "-z", *PRODUCT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this folder is no git clone, so nobody knows which files belong to it")
    tracked = {path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()}
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {p for p in tracked if f"deepfake_detector/{p}" not in held} == set()


def test_every_room_of_the_program_is_in_the_wheel():
    from tests.test_architecture import ENDS, ROOMS

    rooms = {path.removesuffix(".py") for path in PRODUCT}
    assert set(ROOMS + ENDS) - {"training", "benchmarks"} - rooms == set()


def test_the_wheel_holds_one_folder_and_one_line_beside_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {
        "deepfake_detector",
        "deepfake_detector.pth",
        f"deepfake_detector-{__version__}.dist-info",
    }


def test_the_installed_command_says_its_version(installed, tmp_path):
    done = run([installed / "deepfake-detector", "--version"], tmp_path)
    assert done.stdout == f"deepfake-detector {__version__}\n", done.stderr


def test_the_installed_command_assesses_a_portrait_with_its_own_weights(installed, tmp_path):
    image = ROOT / "examples" / "portrait.jpg"
    options = ["--out", "report", "--detector", "spatial"]
    done = run([installed / "deepfake-detector", "analyze", image, *options], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("portrait.jpg: ")
    assert (tmp_path / "report" / "portrait.html").stat().st_size > 1000


def test_the_door_for_python_is_found_where_it_is_installed(installed, tmp_path):
    code = "from importlib.util import find_spec; print(find_spec('analysis').origin)"
    result = Path(run([installed / "python", "-c", code], tmp_path).stdout.strip())
    assert result.parent.name == "deepfake_detector"
    assert not result.is_relative_to(ROOT)
