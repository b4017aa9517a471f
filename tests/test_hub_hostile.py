"""Repositories made to harm, by Hub id: nothing of theirs runs, hangs or ends in a traceback."""

from __future__ import annotations

import signal
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analysis import Settings, load_detector
from detectors.pool import Pool
from errors import UserError
from tests.hostile_files import LINKS
from tests.hostile_repos import CASES, MARKER_VARIABLE, Case, honest_files
from tests.hostile_table import PAGE, page
from tests.hub_server import GOOD_TOKEN, HubServer, serving
from tests.tiny_models import write_model

LIMIT_S = 90
REPO = "stranger/detector"


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return honest_files(write_model(tmp_path_factory.mktemp("honest") / "vit"))


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Exists as soon as anything of a repository was run."""
    monkeypatch.setenv(MARKER_VARIABLE, str(tmp_path / "executed"))
    return tmp_path / "executed"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with serving(tmp_path / "home", monkeypatch) as server:
        monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
        yield server


@contextmanager
def limited() -> Iterator[None]:
    """End what hangs."""

    def hung(*_: object) -> None:
        raise AssertionError(f"not done within {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def is_one_plain_line(text: str) -> bool:
    return all(unicodedata.category(c) not in ("Cc", "Cf", "Cs") for c in text)


def test_the_table_holds_77_repositories_and_more_each_with_a_name_of_its_own():
    assert len({case.name for case in CASES}) == len(CASES) >= 77


def test_the_page_of_hostile_inputs_is_that_of_these_tables():
    assert PAGE.read_text("utf-8") == page(), "python -m tests.hostile_table"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_repository_ends_in_a_sentence(
    case: Case, hub: HubServer, honest: dict[str, bytes], marker: Path, tmp_path: Path
):
    repo = hub.add(REPO, case.make(dict(honest)))
    repo.false_sizes.update(case.sizes)
    settings = Settings(detectors=("spatial",), checkpoints={"spatial": REPO})
    with limited():
        if case.code is None:
            checkpoint = load_detector("spatial", settings, Pool()).checkpoint
            words = (checkpoint.label, checkpoint.card.title, *checkpoint.warnings)
            assert not checkpoint.counts
        else:
            with pytest.raises(UserError) as caught:
                load_detector("spatial", settings, Pool())
            assert caught.value.code == case.code, caught.value.sentence
            words = (caught.value.sentence,)
    assert case.words in " ".join(words)
    for sentence in words:
        assert is_one_plain_line(sentence) and len(sentence) < 600
        assert str(tmp_path) not in sentence and "Traceback" not in sentence
    assert not marker.exists()
    assert not (tmp_path / "outside.json").exists()
    assert hub.posted() == []
    assert {token for _, path, token in hub.seen if path.startswith("/stored/")} <= {""}
    assert not any("evil" in path for _, path, _ in hub.seen)


@pytest.mark.parametrize(("what", "links", "code", "words"), LINKS)
def test_a_folder_of_links_is_read_as_files_or_refused(what, links, code, words, tmp_path):
    folder = write_model(tmp_path / "vit")
    for name, target in links.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)
    settings = Settings(detectors=("spatial",), checkpoints={"spatial": str(folder)})
    pool = Pool(trial=lambda kind, checkpoint: None)
    with limited():
        if code is None:
            assert load_detector("spatial", settings, pool).checkpoint.card.size_px
            return
        with pytest.raises(UserError) as caught:
            load_detector("spatial", settings, pool)
    assert caught.value.code == code, caught.value.sentence
    assert words in caught.value.sentence and "root:" not in caught.value.sentence
