"""The Spacefile is the one manifest: everything that the platform sees comes from it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from errors import UserError
from hub import catalog, space
from tests.hub_server import GOOD_TOKEN, HubServer, serving

ROOT = Path(__file__).resolve().parent.parent
COMMIT = "0123456789" * 4


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serving(tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def manifest() -> space.Space:
    return space.read_spacefile(ROOT / "Spacefile", environ={})


@pytest.fixture
def clone(tmp_path: Path, manifest: space.Space, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small git clone that looks like this repository, with empty embedded weights."""
    root = tmp_path / "clone"
    files = {
        "app.py": "print('app')\n",
        "requirements.txt": (ROOT / "requirements.txt").read_text(),
        "README.md": "# Title\n",
        "tests/test_x.py": "",
        "hub/defaults/spatial/model.safetensors": "weights",
        "untracked.txt": "secret",
    }
    for role in (role for role, spec in manifest.checkpoints.items() if spec != "none"):
        card = catalog.DEFAULTS / role / "card.json"
        files[f"hub/defaults/{role}/card.json"] = card.read_text("utf-8")
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    space.write_front_matter(manifest, root / "README.md")
    monkeypatch.setattr(catalog, "DEFAULTS", root / "hub" / "defaults")
    tracked = [path for path in files if path != "untracked.txt"]
    for command in (["init", "-q"], ["add", *tracked]):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


def test_spacefile_readme_requirements_and_catalog_agree(manifest: space.Space):
    missing = [
        role
        for role, spec in manifest.checkpoints.items()
        if spec == "embedded" and not (catalog.DEFAULTS / role / "card.json").is_file()
    ]
    result = space.disagreements(manifest, ROOT)
    assert [
        line for line in result if not any(f"defaults/{role} " in line for role in missing)
    ] == []
    if missing:
        pytest.skip(f"no embedded weights yet for {', '.join(missing)}")


def test_the_front_matter_is_what_the_platform_reads(manifest: space.Space):
    data = yaml.safe_load(space.front_matter(manifest).strip("-\n"))
    assert data["sdk"] == "gradio" and data["app_file"] == "app.py"
    assert data["python_version"] == "3.12" and isinstance(data["python_version"], str)
    assert data["sdk_version"] == manifest.sdk_version
    assert len(data["short_description"]) <= 60
    assert "preload_from_hub" not in data


def test_a_pinned_hub_checkpoint_is_preloaded_and_listed(manifest: space.Space):
    spec = f"prithivMLmods/deepfake-detector-model-v1@{COMMIT}"
    swapped = replace(manifest, checkpoints={**manifest.checkpoints, "spatial": spec})
    data = yaml.safe_load(space.front_matter(swapped).strip("-\n"))
    files = "config.json,preprocessor_config.json,model.safetensors"
    repo = "prithivMLmods/deepfake-detector-model-v1"
    assert data["preload_from_hub"] == [f"{repo} {files} {COMMIT}"]
    assert data["models"] == [repo]


def test_writing_the_front_matter_keeps_the_text_and_settles(manifest: space.Space, tmp_path: Path):
    readme = tmp_path / "README.md"
    readme.write_text("---\ntitle: old\n---\n\n# Title\n\n---\n\ntext\n")
    assert space.write_front_matter(manifest, readme)
    assert readme.read_text() == space.front_matter(manifest) + "\n# Title\n\n---\n\ntext\n"
    assert not space.write_front_matter(manifest, readme)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sdk_version": "6.30.0"}, "requirements.txt has gradio"),
        ({"python_version": "3.10"}, "python_version"),
        ({"color_to": "mauve"}, "no color"),
        ({"short_description": "x" * 61}, "short_description"),
        ({"app_file": "main.py"}, "main.py does not exist"),
        ({"title": "Other"}, "README.md"),
    ],
)
def test_each_disagreement_is_named(manifest: space.Space, clone: Path, change: dict, words: str):
    assert space.disagreements(manifest, clone) == []
    result = space.disagreements(replace(manifest, **change), clone)
    assert any(words in line for line in result)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("someone/unknown@" + COMMIT, "in the Spacefile only"),
        ("dima806/deepfake_vs_real_image_detection", "not pinned"),
        ("Wvolf/ViT_Deepfake_Detection@" + COMMIT, "not usable"),
        ("Vansh180/VideoMae-ffc23-deepfake-detector@" + COMMIT, "not usable for spatial"),
        ("nonsense", "neither a name"),
    ],
)
def test_a_checkpoint_of_the_space_is_cataloged_pinned_and_fits(manifest, spec, words):
    swapped = replace(manifest, checkpoints={**manifest.checkpoints, "spatial": spec})
    assert any(words in line for line in space._checkpoint_problems(swapped))


def test_what_a_container_does_without_a_space_does_without_too(manifest):
    ignored = set((ROOT / ".dockerignore").read_text("utf-8").split())
    sent = {Path(path).parts[0] for path in space.tracked_files(ROOT, manifest.leave_out)}
    assert "hub" in sent and not ignored & sent


def test_variables_of_the_space_win_over_the_file():
    environ = {"SPACE_MAX_MINUTES": "3", "SPACE_CHECKPOINT_SPATIAL": f"a/b@{COMMIT}"}
    chosen = space.read_spacefile(ROOT / "Spacefile", environ)
    assert (chosen.max_minutes, chosen.checkpoints["spatial"]) == (3, f"a/b@{COMMIT}")
    with pytest.raises(UserError, match="max_upload_mb"):
        space.read_spacefile(ROOT / "Spacefile", {"SPACE_MAX_UPLOAD_MB": "many"})


@pytest.mark.parametrize("text", ["", "[space]\nnonsense = 1\n", "not toml"])
def test_a_broken_spacefile_is_said_to_be_so(tmp_path: Path, text: str):
    path = tmp_path / "Spacefile"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        space.read_spacefile(path, {})
    assert caught.value.code == "space_disagrees"


def test_a_space_is_created_configured_uploaded_and_waited_for(
    hub: HubServer, manifest: space.Space, clone: Path
):
    words: list[str] = []
    done = space.deploy(
        manifest, "me/demo", token=GOOD_TOKEN, root=clone, poll_s=0.01, say=words.append
    )
    repo = hub.repos[("space", "me/demo")]
    tree = repo.commits[done.commit]
    assert sorted(tree) == sorted(done.files)
    assert b"*.safetensors filter=lfs" in tree[".gitattributes"]
    assert b"torch==2.11.0+cpu" in tree["requirements.txt"]
    assert "untracked.txt" not in tree and "tests/test_x.py" not in tree
    assert tree["hub/defaults/spatial/model.safetensors"] == b"weights"
    assert tree["README.md"].decode().startswith(space.front_matter(manifest))
    assert repo.sdk == "gradio" and repo.hardware == manifest.hardware
    assert repo.variables["SPACE_MAX_UPLOAD_MB"] == str(manifest.max_upload_mb)
    assert words[-3:] == ["Stage: BUILDING", "Stage: APP_STARTING", "Stage: RUNNING"]


def test_a_space_without_gpu_gets_torch_without_cuda():
    pins = (ROOT / "requirements.txt").read_text("utf-8")
    changed = space.cpu_requirements(pins).splitlines()
    assert changed[0].startswith("--extra-index-url ")
    names = {line.split("==")[0] for line in changed}
    assert not any(name.startswith(("nvidia-", "cuda-", "triton")) for name in names)
    selected = [line for line in pins.splitlines() if line in changed]
    assert {"torch==2.11.0+cpu", "torchvision==0.26.0+cpu", "torchaudio==2.11.0+cpu"} <= set(
        changed
    )
    assert "gradio==6.31.0" in selected


def test_a_space_with_a_gpu_gets_the_list_as_it_is(manifest: space.Space):
    files = {"requirements.txt": b"torch==2.11.0\n"}
    assert "requirements.txt" in space.changed_for(manifest, files)
    assert "requirements.txt" not in space.changed_for(
        replace(manifest, hardware="zero-a10g"), files
    )


def test_a_second_deployment_updates_and_deletes_what_is_gone(
    hub: HubServer, manifest: space.Space, clone: Path
):
    settings = {"token": GOOD_TOKEN, "root": clone, "poll_s": 0.01, "say": lambda _: None}
    first = space.deploy(manifest, "me/demo", **settings)
    (clone / "app.py").write_text("print('newer')\n")
    subprocess.run(["git", "rm", "-q", "-f", "hub/defaults/spatial/model.safetensors"], cwd=clone)
    second = space.deploy(manifest, "me/demo", **settings)
    tree = hub.repos[("space", "me/demo")].commits[second.commit]
    assert first.commit != second.commit
    assert tree["app.py"] == b"print('newer')\n"
    assert "hub/defaults/spatial/model.safetensors" not in tree


def test_a_build_that_fails_and_one_that_never_ends_are_said_to_be_so(
    hub: HubServer, manifest: space.Space, clone: Path
):
    settings = {"token": GOOD_TOKEN, "root": clone, "poll_s": 0.01, "say": lambda _: None}
    repo = hub.add("me/demo", {".gitattributes": b""}, "space")
    repo.stages = ["BUILDING", "BUILD_ERROR"]
    with pytest.raises(UserError, match="stopped at BUILD_ERROR"):
        space.deploy(manifest, "me/demo", **settings)
    repo.stages = ["BUILDING"]
    with pytest.raises(UserError, match="does not run after"):
        space.deploy(manifest, "me/demo", **settings, wait_s=0.1)


def test_nothing_is_sent_when_something_disagrees(
    hub: HubServer, manifest: space.Space, clone: Path
):
    with pytest.raises(UserError) as caught:
        space.deploy(replace(manifest, title="Other"), "me/demo", token=GOOD_TOKEN, root=clone)
    assert caught.value.code == "space_disagrees" and hub.seen == []


def test_without_the_right_nothing_is_created_and_the_sentence_names_the_token(
    hub: HubServer, manifest: space.Space, clone: Path
):
    with pytest.raises(UserError) as caught:
        space.deploy(manifest, "me/demo", token="hf_wrong", root=clone, say=lambda _: None)
    assert caught.value.code == "hub_gated" and "HF_TOKEN" in caught.value.sentence
    assert ("space", "me/demo") not in hub.repos
