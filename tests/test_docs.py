"""Does every block of code in README and docs do what it says? Each is run as a reader would.

In a folder that looks like a clone, with files of one's own and a small checkpoint beside them, and
with the app running. What installs or starts things (make, pip) is asked for its plan only.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import pytest

import cli
from analysis import Settings, analyze
from hub.checkpoint import Card
from hub.spacefile import read_spacefile
from report import quality
from report.export import to_json
from tests.conftest import ROOT, needed
from tests.test_evaluation_run import write_checkpoint

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
COMMAND = ".venv/bin/python cli.py "
JS_CLIENT = ROOT / "artifacts" / "js"  # npm install --prefix artifacts/js @gradio/client
ADDRESS = "http://127.0.0.1:7860"
PLAN_ONLY = {  # commands that install or start something: only what they would do is checked
    "make": f'exec {shutil.which("make")} --dry-run "$@" > /dev/null',
    "deepfake-detector": f'exec {sys.executable} {ROOT / "cli.py"} "$@"',
    "pip": 'test "$1" = install',
    "docker": "true",
    "pre-commit": "true",
}


@dataclass(frozen=True)
class Block:
    """One block of code and where it stands."""

    page: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks() -> list[Block]:
    """All blocks of all pages."""
    result = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            result.append(Block(page, line, match[1], match[2]))
    return result


def of(*languages: str) -> pytest.MarkDecorator:
    """Parametrize over the blocks in these languages."""
    chosen = [block for block in blocks() if block.language in languages]
    return pytest.mark.parametrize("block", chosen, ids=str)


@pytest.fixture(scope="module")
def clone(tmp_path_factory, portrait) -> Path:
    """A folder that looks like this one, with ``my_files`` and ``my_checkpoint`` beside it."""
    folder = tmp_path_factory.mktemp("clone")
    for path in ROOT.iterdir():
        if path.name not in {".venv", ".git", "artifacts", "figures", "my_files"}:
            (folder / path.name).symlink_to(path)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    checkpoint = write_checkpoint(folder / "my_checkpoint", calibrated=False)
    write_images(folder / "my_files", portrait, checkpoint)
    return folder


def write_images(folder: Path, portrait: np.ndarray, checkpoint: Path) -> None:
    """Nine "fake" images of a face that a checkpoint finds worse than nine "real" ones."""
    rng = np.random.default_rng(0)
    settings = Settings(
        detectors=("spatial",), checkpoints={"spatial": str(checkpoint)}, stability=False
    )
    scored = []
    for number in range(18):
        change = rng.normal(0, 3, portrait.shape) + 5 * number
        image = np.clip(portrait * 0.7 + change, 0, 255).astype(np.uint8)[:320, 80:400]
        path = folder / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        scored.append((to_json(analyze(path, settings))["findings"][0]["log_odds"], path))
    for rank, (_, path) in enumerate(sorted(scored)):
        target = folder / ("fake" if rank >= len(scored) // 2 else "real") / path.name
        target.parent.mkdir(exist_ok=True)
        path.rename(target)


@pytest.fixture(scope="module")
def address() -> str:
    """The address of the running app, without a slash at the end."""
    import app

    blocks = app.build()
    yield app.serve(blocks, wait=False).rstrip("/")
    blocks.close()


@pytest.fixture
def shell(clone: Path, tmp_path: Path, monkeypatch) -> dict[str, str]:
    """Environment of a reader: stand-ins for what installs, and a user folder of its own."""
    for name, script in PLAN_ONLY.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "DEEPFAKE_DETECTOR_HOME": str(tmp_path / "home"),
    }


@of("sh", "bash")
def test_a_block_for_the_shell_runs(block, clone, shell, request, monkeypatch, capsys):
    code = block.code
    if ADDRESS in code and "curl" in code:
        code = code.replace(ADDRESS, request.getfixturevalue("address"))
    monkeypatch.chdir(clone)
    monkeypatch.setenv("DEEPFAKE_DETECTOR_HOME", shell["DEEPFAKE_DETECTOR_HOME"])
    for is_command, lines in groupby(code.splitlines(), lambda line: line.startswith(COMMAND)):
        for line in lines if is_command else ():  # here, where torch is loaded already
            arguments = shlex.split(line.removeprefix(COMMAND), comments=True)
            assert cli.main(arguments) == 0, capsys.readouterr().err
        if not is_command:
            bash("\n".join(lines), clone, shell)


def bash(code: str, folder: Path, environment: dict[str, str]) -> None:
    """Run lines as a reader's shell would; an answer of the app holds a level."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    if "curl" in code:
        data = done.stdout.split("event: complete\ndata: ")[1]
        assert json.loads(data.splitlines()[0])[0]["verdict"]["level"]


@of("python")
def test_a_block_of_python_runs(block, clone, monkeypatch, request, tmp_path):
    monkeypatch.chdir(clone)
    monkeypatch.setenv("DEEPFAKE_DETECTOR_HOME", str(tmp_path / "home"))
    code = block.code
    if ADDRESS in code:
        code = code.replace(ADDRESS, request.getfixturevalue("address"))
    exec(compile(code, str(block), "exec"), {"__name__": "a reader's script"})


@of("js", "javascript")
def test_a_block_of_javascript_runs(block, clone, address, tmp_path):
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed, so JavaScript cannot be run")
    if "@gradio/client" in block.code:
        client = JS_CLIENT / "node_modules" / "@gradio" / "client"
        needed(client.is_dir(), "npm install --prefix artifacts/js @gradio/client, to run this")
        (tmp_path / "node_modules").symlink_to(JS_CLIENT / "node_modules")
    script = tmp_path / "block.mjs"
    script.write_text(block.code.replace(ADDRESS, address), "utf-8")
    done = subprocess.run(
        [node, str(script)], cwd=clone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@of("json")
def test_a_block_of_json_is_what_its_page_says(block):
    data = json.loads(block.code)
    if "size_px" in data:
        Card.from_json(block.code)


def test_every_block_says_what_it_is():
    run = {"sh", "bash", "python", "js", "javascript", "json"}
    drawn = {"text", "csv", ""}  # trees, tables, the arrow
    strange = [str(block) for block in blocks() if block.language not in run | drawn]
    assert strange == []


# ------------------------------------------------------------------ links

FILE = re.compile(
    r"(?<![\w/.<])((?:hub|media|detectors|verdict|report|evaluation|ui|training)/[\w./]*\w)"
)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "Spacefile"], ids=lambda page: page.name)
def test_every_file_that_is_named_is_there(page):
    named = {name for name in FILE.findall(page.read_text("utf-8")) if "NAME" not in name}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_readme_shows_the_two_figures_of_the_page_about():
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    for figure in quality.figures("headline"):
        assert f"**AUC {figure.value}** ({figure.interval})" in text
    assert text.count("**AUC") == len(quality.figures("headline"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_that_a_space_has_too(page):
    left_out = read_spacefile(ROOT / "Spacefile", {}).leave_out
    for link in LINK.findall(page.read_text("utf-8")):
        if "://" in link:
            continue
        target = (page.parent / link).resolve()
        assert target.exists(), f"{page.name} links to {link}, which is not there"
        top = target.relative_to(ROOT).parts[0]
        assert top not in left_out, f"{page.name} links to {link}, which a Space does not have"
