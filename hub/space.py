"""How does a Space get online?

``Spacefile`` is the one manifest. From it come the front matter of the README, which is all that
the platform reads, and the deploy call; a check proves that README, requirements and catalog
agree with it. Imports errors and hub.

    python -m hub.space front-matter            write it into README.md
    python -m hub.space front-matter --check    only say what disagrees
    python -m hub.space deploy owner/name       create or update the Space and wait until it runs
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import UserError
from hub import catalog
from hub.checks import WEIGHTS
from hub.remote import COMMIT, client, endpoint, hub_errors
from hub.spacefile import ROOT, Space, read_spacefile
from hub.store import EMBEDDED, NONE, parse_spec

COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
PYTHONS = ("3.12",)
"""Of the versions that Spaces offer (3.10 and 3.12), transformers 5 runs on the second only."""
ZERO_GPU_TORCH = ("2.8.0", "2.9.1", "2.10.0", "2.11.0")
MAX_DESCRIPTION = 60
"""Characters of ``short_description`` that the Hub accepts."""
PRELOADED = ("config.json", "preprocessor_config.json", WEIGHTS)
ATTRIBUTES = ".gitattributes"
LARGE_FILES = ("*.safetensors", "*.tflite", "*.mp4", "*.jpg", "*.png")
LARGE = "filter=lfs diff=lfs merge=lfs -text"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CUDA_ONLY = ("nvidia-", "cuda-", "triton==")
"""Packages that torch asks for on Linux in its builds with CUDA."""
WAIT_S = 1200.0
POLL_S = 5.0
_FRONT = re.compile(r"\A---\r?\n.*?\r?\n---\r?\n", re.DOTALL)


@dataclass(frozen=True)
class Deployed:
    """A Space that runs: its page, commit, and the files that were sent."""

    url: str
    commit: str
    files: tuple[str, ...]


def front_matter(space: Space) -> str:
    """Return the README's first block, with its dashes and a final newline."""
    import yaml

    ours = (EMBEDDED, NONE)
    hub_checkpoints = [parse_spec(spec) for spec in space.checkpoints.values() if spec not in ours]
    data: dict[str, Any] = {
        "title": space.title,
        "emoji": space.emoji,
        "colorFrom": space.color_from,
        "colorTo": space.color_to,
        "sdk": space.sdk,
        "sdk_version": space.sdk_version,
        "python_version": space.python_version,
        "app_file": space.app_file,
        "suggested_hardware": space.hardware,
        "short_description": space.short_description,
        "license": space.license,
        "tags": list(space.tags),
    }
    if hub_checkpoints:
        data["models"] = sorted({repo_id for repo_id, _ in hub_checkpoints})
        data["preload_from_hub"] = [
            f"{repo_id} {','.join(PRELOADED)}" + (f" {revision}" if revision else "")
            for repo_id, revision in hub_checkpoints
        ]
    return "---\n" + yaml.safe_dump(data, sort_keys=False, allow_unicode=True) + "---\n"


def write_front_matter(space: Space, readme: Path) -> bool:
    """Put the block at the top of the README; True when that changed something."""
    before = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    body = _FRONT.sub("", before, count=1)
    after = front_matter(space) + ("" if body.startswith("\n") or not body else "\n") + body
    if after == before:
        return False
    readme.write_text(after, encoding="utf-8")
    return True


def disagreements(space: Space, root: Path = ROOT) -> list[str]:
    """Return every point in which Spacefile, README, requirements and catalog differ."""
    return [
        *_look(space),
        *_checkpoint_problems(space),
        *_requirement_problems(space, root / "requirements.txt"),
        *_readme_problems(space, root),
    ]


def deploy(
    space: Space,
    repo_id: str,
    *,
    token: str | None = None,
    root: Path = ROOT,
    private: bool = False,
    wait_s: float = WAIT_S,
    poll_s: float = POLL_S,
    say: Callable[[str], None] = print,
) -> Deployed:
    """Create or update a Space, set its hardware and variables, upload, and wait until it runs.

    Args:
        space: from ``read_spacefile``.
        repo_id: ``owner/name``.
        token: one that may write; None for ``HF_TOKEN``.
        root: a git work tree; its tracked files are sent, and files that are gone are deleted.
        private: for a new Space.
        wait_s: give up after so many seconds.
        poll_s: seconds between two looks.
        say: is told each step.

    Raises:
        UserError: ``space_disagrees``, ``space_failed`` or a ``hub_…`` code.
    """
    problems = disagreements(space, root)
    if problems:
        raise UserError("space_disagrees", " ".join(problems))
    files = {path: (root / path).read_bytes() for path in tracked_files(root, space.leave_out)}
    files |= changed_for(space, files)
    api = client(token)
    with hub_errors(repo_id):
        say(f"Creating or finding the Space {repo_id}")
        api.create_repo(
            repo_id, repo_type="space", space_sdk=space.sdk, private=private, exist_ok=True
        )
        for key, value in space.variables().items():
            api.add_space_variable(repo_id, key, value)
        say(f"Uploading {len(files)} files")
        commit = _upload(api, repo_id, files)
        say(f"Asking for {space.hardware}")
        api.request_space_hardware(repo_id, space.hardware)
        _wait(api, repo_id, commit, wait_s, poll_s, say)
    return Deployed(f"{endpoint()}/spaces/{repo_id}", commit, tuple(files))


def tracked_files(root: Path, leave_out: Sequence[str]) -> list[str]:
    """Return what git tracks below ``root``, without the folders that are left out."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError("space_disagrees", "The folder to deploy is not a git clone.") from error
    left = tuple(folder.rstrip("/") + "/" for folder in leave_out)
    return [path for path in listed.split("\0") if path and not path.startswith(left)]


def _look(space: Space) -> list[str]:
    problems = []
    if space.sdk != "gradio":
        problems.append(f"Spacefile: sdk is {space.sdk!r}, expected 'gradio'.")
    if space.python_version not in PYTHONS:
        problems.append(f"Spacefile: python_version is {space.python_version!r}, expected 3.12.")
    if len(space.short_description) > MAX_DESCRIPTION:
        problems.append(f"Spacefile: short_description is longer than {MAX_DESCRIPTION}.")
    for name in ("color_from", "color_to"):
        if getattr(space, name) not in COLORS:
            problems.append(f"Spacefile: {name} is {getattr(space, name)!r}, which is no color.")
    return problems


def _checkpoint_problems(space: Space) -> list[str]:
    known = {source.detector for source in catalog.sources()}
    problems = [f"Spacefile: unknown role {r!r}." for r in space.checkpoints if r not in known]
    for role, spec in space.checkpoints.items():
        if spec == EMBEDDED:
            if not (catalog.DEFAULTS / role / "card.json").is_file():
                problems.append(f"Spacefile: {role} is embedded, but hub/defaults/{role} is empty.")
            continue
        if spec == NONE:
            if (catalog.DEFAULTS / role).is_dir():
                problems.append(f"Spacefile: {role} is none, but hub/defaults/{role} is there.")
            continue
        try:
            repo_id, revision = parse_spec(spec)
        except UserError as error:
            problems.append(f"Spacefile: {error.sentence}")
            continue
        source = catalog.find(repo_id)
        if source is None:
            problems.append(f"Catalog: {repo_id} is in the Spacefile only.")
        elif source.detector != role or not source.usable:
            problems.append(f"Catalog: {repo_id} is not usable for {role}.")
        if not COMMIT.match(revision or ""):
            problems.append(f"Spacefile: {repo_id} is not pinned to a full commit.")
    return problems


def _requirement_problems(space: Space, path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pins = {}
    for line in lines:
        result = re.match(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^\s;#]+)", line.strip())
        if result:
            pins[result[1].lower()] = result[2]
    problems = []
    if pins.get("gradio") != space.sdk_version:
        problems.append(
            f"requirements.txt has gradio {pins.get('gradio')}, the Spacefile {space.sdk_version}."
        )
    if space.hardware.startswith("zero-") and pins.get("torch") not in ZERO_GPU_TORCH:
        problems.append(f"requirements.txt has torch {pins.get('torch')}, not one of ZeroGPU's.")
    return problems


def _readme_problems(space: Space, root: Path) -> list[str]:
    problems = []
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    if not text.startswith(front_matter(space)):
        problems.append("README.md: its first block is not the one of the Spacefile; `make space`.")
    if not (root / space.app_file).is_file():
        problems.append(f"Spacefile: app_file {space.app_file} does not exist.")
    return problems


def changed_for(space: Space, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files that differ on a Space: what is large, and torch without CUDA on a CPU."""
    changed = {ATTRIBUTES: "".join(f"{p} {LARGE}\n" for p in LARGE_FILES).encode()}
    if space.hardware.startswith("cpu-") and "requirements.txt" in files:
        changed["requirements.txt"] = cpu_requirements(files["requirements.txt"].decode()).encode()
    return changed


def cpu_requirements(text: str) -> str:
    """Return the pinned list with PyTorch's builds without CUDA, about 4 GB less.

    They are on PyTorch's own index only, under a version of their own (``2.11.0+cpu``).
    """
    lines = [line for line in text.splitlines() if not line.startswith(CUDA_ONLY)]
    torch = re.compile(r"^(torch|torchvision|torchaudio)==([0-9.]+)$")
    lines = [torch.sub(r"\1==\2+cpu", line) for line in lines]
    return "\n".join([f"--extra-index-url {CPU_INDEX}", *lines]) + "\n"


def _upload(api: Any, repo_id: str, files: Mapping[str, bytes]) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    there = api.list_repo_files(repo_id, repo_type="space")
    operations: list[Any] = [CommitOperationAdd(path, data) for path, data in files.items()]
    operations += [CommitOperationDelete(path) for path in there if path not in files]
    done = api.create_commit(
        repo_id, operations, repo_type="space", commit_message="Deploy from the Spacefile"
    )
    return done.oid


def _wait(
    api: Any, repo_id: str, commit: str, wait_s: float, poll_s: float, say: Callable[[str], None]
) -> None:
    """Look at the Space until the build of this commit runs, stops or takes too long."""
    from huggingface_hub import SpaceStage
    from huggingface_hub._space_api import INTERMEDIATE_SPACE_STAGES

    deadline, data = time.monotonic() + wait_s, ""
    while time.monotonic() < deadline:
        runtime = api.get_space_runtime(repo_id)
        current = runtime.raw.get("sha", commit) == commit
        if runtime.stage != data:
            data = str(runtime.stage)
            say(f"Stage: {data}")
        if current and runtime.stage == SpaceStage.RUNNING:
            return
        if current and runtime.stage not in INTERMEDIATE_SPACE_STAGES:
            log = f"{endpoint()}/spaces/{repo_id}?logs=build"
            raise UserError("space_failed", f"The Space stopped at {data}; its log is at {log}.")
        time.sleep(poll_s)
    raise UserError("space_failed", f"The Space does not run after {wait_s:.0f} s; see its log.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hub.space")
    commands = parser.add_subparsers(dest="command", required=True)
    front = commands.add_parser("front-matter", help="write the README's first block")
    front.add_argument("--check", action="store_true", help="change nothing, only compare")
    up = commands.add_parser("deploy", help="create or update the Space")
    up.add_argument("repo_id", metavar="owner/name")
    up.add_argument("--private", action="store_true")
    chosen = parser.parse_args(arguments)
    try:
        space = read_spacefile(environ={})
        if chosen.command == "deploy":
            done = deploy(space, chosen.repo_id, private=chosen.private)
            print(f"{done.url} runs commit {done.commit}")
            return 0
        if not chosen.check and write_front_matter(space, ROOT / "README.md"):
            print("README.md: first block written")
        problems = disagreements(space)
    except UserError as error:
        problems = [error.sentence]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
