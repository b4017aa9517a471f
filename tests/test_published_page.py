"""Checkpoints in the layouts that people publish, typed by id on the page, at the endpoint and at
the command line.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from gradio_client.exceptions import AppError

import app
from detectors.frozen.attention import AttentionHead
from detectors.frozen.recurrent import RecurrentHead
from detectors.registry import role_of
from media.faces import FaceFinder
from tests.conftest import ROOT, moving_portrait, write_clip
from tests.hub_server import HubServer, serving
from tests.published_layouts import gend, muavic, syncnet
from tests.test_app import PATIENCE_MS, SIZES, UNCOUNTED, Watched
from tests.tiny_models import write_model
from training.spatial import attention
from training.temporal import recurrent

MOUTH_LEFT, MOUTH_RIGHT, CHIN = 78, 308, 152  # points of the mesh
SECONDS, OPEN_PX, SYLLABLES_HZ = 4, 9, 3
AVHUBERT, SYNCNET = "nguyenvulebinh/AV-HuBERT-MuAViC-en", "someone/syncnet"
GEND, ORGANIKA = "yermandy/GenD_CLIP_L_14", "Organika/sdxl-detector"
ATTENTION, LSTM = "someone/clip-multi-attention", "someone/clip-lstm"
PICKLED, FACES = "someone/pickled", "someone/faces"


@dataclass(frozen=True)
class Case:
    """What is typed and how many roles must answer to it with a number."""

    name: str
    checkpoints: Mapping[str, str]


CASES = (
    Case("avhubert", {"sync": AVHUBERT, "spatial": ATTENTION, "temporal": LSTM}),
    Case("syncnet", {"sync": SYNCNET, "spatial": GEND}),
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[HubServer]:
    folder = tmp_path_factory.mktemp("hub")
    torch.manual_seed(0)
    queries = AttentionHead(2, 4)
    for values in (queries.query, queries.value):
        torch.nn.init.normal_(values, std=0.05)
    attention.write(queries, folder / "attention", attention.CARD)
    recurrent.write(RecurrentHead(2, 8), folder / "lstm", recurrent.CARD)
    with pytest.MonkeyPatch.context() as patch, serving(folder / "home", patch) as server:
        server.add(AVHUBERT, muavic(folder / "avhubert"))
        server.add(SYNCNET, syncnet(folder / "syncnet"))
        server.add(GEND, gend(folder / "gend", "openai/clip-vit-large-patch14"))
        server.add(ORGANIKA, write_model(folder / "swin", "swin", ("artificial", "human")))
        server.add(FACES, write_model(folder / "vit", "vit", ("real", "fake")))
        server.add(ATTENTION, folder / "attention")
        server.add(LSTM, folder / "lstm")
        pickled = folder / "pickled"
        pickled.mkdir()
        (pickled / "config.json").write_text('{"model_type": "vit"}')
        (pickled / "pytorch_model.bin").write_bytes(b"never opened")
        server.add(PICKLED, pickled)
        yield server


def opened(image: np.ndarray, landmarks: np.ndarray, px: float) -> np.ndarray:
    """The face with its jaw lowered and a dark mouth."""
    left, right, chin = (landmarks[point] for point in (MOUTH_LEFT, MOUTH_RIGHT, CHIN))
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    line, width, aside = (left[1] + right[1]) / 2, right[0] - left[0], x - (left[0] + right[0]) / 2
    depth = np.maximum((y - line) / (chin[1] - line), 1)
    shift = px * np.clip(1.6 - np.abs(aside) / width, 0, 1) * np.clip(2.5 - 1.5 * depth, 0, 1)
    rows = np.where(y > line, np.maximum(line, y - shift), y).astype(np.float32)
    result = cv2.remap(image, x, rows, cv2.INTER_LINEAR)
    gap = px * np.clip(1 - (2 * aside / width) ** 2, 0, 1)
    result[(y > line) & (y < line + gap)] = (45, 15, 20)
    return result


@pytest.fixture(scope="module")
def speaking(tmp_path_factory, portrait, speech) -> Path:
    """A portrait whose mouth opens and closes while a voice speaks."""
    frames = moving_portrait(portrait, SECONDS * 25)
    openings = OPEN_PX * (1 + np.sin(2 * np.pi * SYLLABLES_HZ * np.arange(len(frames)) / 25)) / 2
    with FaceFinder() as finder:
        talking = [
            opened(frame, finder.find(frame)[0].landmarks, px)
            for frame, px in zip(frames, openings, strict=True)
        ]
    path = tmp_path_factory.mktemp("clips") / "speaking.mp4"
    return write_clip(path, talking, audio=speech[: SECONDS * 16_000])


@pytest.fixture(scope="module")
def address(hub: HubServer):
    blocks = app.build()
    yield app.serve(blocks, wait=False)
    blocks.close()


def typed(watched: Watched, checkpoints: Mapping[str, str]) -> None:
    """Type an id into the row of each role."""
    watched.page.click("#checkpoints > button")
    for role, name in checkpoints.items():
        box = watched.page.get_by_label(f"Checkpoint: {role_of(role).title}")
        box.fill(name)
        box.press("Enter")


def asked(address: str, path: Path, checkpoints: Mapping[str, str]) -> dict:
    """The report of ``/analyze``."""
    from gradio_client import Client, handle_file

    job = Client(address, verbose=False).submit(
        file=handle_file(str(path)), checkpoints=dict(checkpoints), api_name="/analyze"
    )
    return job.result(timeout=PATIENCE_MS / 1000)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_published_layouts_are_typed_by_id_on_the_page(case, browser, address, speaking):
    watched = Watched(browser, address, SIZES["wide"])
    typed(watched, case.checkpoints)
    watched.analyze(speaking)
    cards = watched.page.locator(UNCOUNTED)
    for role in case.checkpoints:
        assert cards.filter(has_text=role_of(role).title).count()
    lips = cards.filter(has_text=role_of("sync").title).first
    assert lips.locator("svg").count() == 2 and "ms" in lips.inner_text()
    watched.keep(f"app-published-{case.name}")
    assert watched.errors == [] and watched.strangers == []
    watched.page.close()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_published_layouts_are_named_by_id_at_the_endpoint(case, address, speaking):
    report = asked(address, speaking, case.checkpoints)
    for role, name in case.checkpoints.items():
        finding = next(f for f in report["findings"] if f["detector"] == role)
        assert finding["score"] is not None and finding["checkpoint"].startswith(f"{name}@")
        assert role not in report["verdict"]["contributions"]


def test_an_image_without_a_face_is_assessed_by_a_checkpoint_of_whole_images(
    browser, address, landscape, tmp_path
):
    watched = Watched(browser, address, SIZES["narrow"])
    typed(watched, {"spatial": ORGANIKA})
    assert "Not assessed" not in watched.analyze(landscape)
    assert watched.page.locator(UNCOUNTED).count() == 1
    watched.keep("app-published-hills")
    watched.page.close()
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "cli.py", "analyze", str(landscape), "--checkpoint", f"spatial={ORGANIKA}",
         "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    commanded = json.loads((out / "hills.json").read_text("utf-8"))
    for report in (asked(address, landscape, {"spatial": ORGANIKA}), commanded):
        finding = next(f for f in report["findings"] if f["detector"] == "spatial")
        assert finding["score"] is not None and finding["person"] is None
    faces = asked(address, landscape, {"spatial": FACES})
    finding = next(f for f in faces["findings"] if f["detector"] == "spatial")
    assert finding["reason"]["code"] == "no_face"


@pytest.mark.parametrize(
    ("role", "name", "words"),
    [
        ("spatial", PICKLED, "can run code when it is opened"),
        ("spatial", AVHUBERT, "is for sync"),
        ("temporal", ATTENTION, "was made for spatial"),
        ("sync", ORGANIKA, "has no card.json and none of the layouts"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(role, name, words, address, speaking):
    with pytest.raises(AppError, match=re.escape(words)) as caught:
        asked(address, speaking, {role: name})
    assert str(caught.value).startswith("weights_refused: ") and "\n" not in str(caught.value)
