"""Do published checkpoints stay readable? Names that cannot change without breaking them.

A calibration that a user fitted is stored under `Checkpoint.key`; tensors and config keys of what
was published, on the Hub too, are read by their names. published_names.json holds those of the
folders that come with the program, a number in a name as ``#``, with how many tensors there are.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from detectors.registry import role_of
from hub import catalog
from hub.checkpoint import Card, Checkpoint
from hub.checks import WEIGHTS, read_header

PUBLISHED = json.loads(Path(__file__).with_name("published_names.json").read_text("utf-8"))
CARD = Card(
    detector="spatial", title="", size_px=224, fake_indices=(1,), real_indices=(0,),
    labels_known_by="", margin=0.3, rate_hz=25.0,
)  # fmt: skip
CONFIG = {"model_type": "vit", "id2label": {"0": "real", "1": "fake"}}


VOICE = Card(
    detector="voice", title="", size_px=0, fake_indices=(1,), real_indices=(0,),
    labels_known_by="", crop="frame", rate_hz=16_000.0, audio_s=4.0,
)  # fmt: skip
KEYS = ((CARD, "0eb893f359d5efcf"), (VOICE, "922c212a8871723e"))


@pytest.mark.parametrize(("card", "facts"), KEYS, ids=["spatial", "voice"])
def test_a_stored_calibration_is_found_again(card, facts):
    role = role_of(card.detector)
    checkpoint = Checkpoint("a name", role, Path(), card, CONFIG, None, "0" * 64, False)
    assert checkpoint.key == f"{'0' * 64}-774163b867daa3e9-{facts}"


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_embedded_folder_has_the_names_it_was_published_with(name):
    folder = catalog.alternative(name) or catalog.DEFAULTS / name
    tensors = list(read_header(folder / WEIGHTS))
    assert {
        "config": sorted(json.loads((folder / "config.json").read_text("utf-8"))),
        "tensors": sorted({re.sub(r"\b\d+\b", "#", tensor) for tensor in tensors}),
        "count": len(tensors),
    } == PUBLISHED[name]


def test_every_embedded_folder_is_held_to_its_names():
    folders = (catalog.DEFAULTS, catalog.ALTERNATIVES)
    assert set(PUBLISHED) == {p.parent.name for f in folders for p in f.glob("*/card.json")}
