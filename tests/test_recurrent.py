"""A recurrent network on frozen class tokens: its format, its choice for temporal, its recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from analysis import Settings, analyze, load_detector
from detectors.frozen.layout import WIDTH
from detectors.frozen.recurrent import SCALE, RecurrentHead
from detectors.pool import Pool
from detectors.registry import role_of
from errors import UserError
from evaluation.metrics import auc
from hub import store
from tests.conftest import moving_portrait, write_clip
from tests.hub_server import serving
from tests.tiny_models import edit_config
from training.temporal.recurrent import (
    CARD,
    COLLECTED,
    FRAMES,
    Recipe,
    families,
    held_out,
    tokens_of,
    train,
    write,
)

POOL = Pool(trial=lambda kind, checkpoint: None)
NAME = "someone/clip-lstm"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint with random weights, as the recipe writes it."""
    torch.manual_seed(0)
    write(RecurrentHead(2, 8), tmp_path / "lstm", CARD)
    return tmp_path / "lstm"


def test_the_head_is_two_lstms_written_out():
    torch.manual_seed(1)
    head = RecurrentHead(1, 4).eval()
    tokens = torch.randn(2, 5, WIDTH)
    t = head.state_dict()
    unit = tokens / tokens.norm(dim=-1, keepdim=True)
    change = SCALE * (unit - unit.mean(1, keepdim=True))

    def one_way(x, end):
        hidden, cell, states = torch.zeros(2, 4), torch.zeros(2, 4), []
        for frame in range(x.shape[1]):
            gates = x[:, frame] @ t[f"lstm.weight_ih_l0{end}"].T + t[f"lstm.bias_ih_l0{end}"]
            gates = gates + hidden @ t[f"lstm.weight_hh_l0{end}"].T + t[f"lstm.bias_hh_l0{end}"]
            enter, forget, new, leave = gates.chunk(4, 1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
            hidden = torch.sigmoid(leave) * torch.tanh(cell)
            states.append(hidden)
        return torch.stack(states, 1)

    forward = one_way(change, "")
    backward = one_way(change.flip(1), "_reverse").flip(1)
    mean = torch.cat([forward, backward], -1).mean(1)
    expected = (mean @ t["out.weight"].T + t["out.bias"])[:, 0]
    with torch.inference_mode():
        torch.testing.assert_close(head(tokens), expected, atol=1e-5, rtol=1e-4)


def test_a_face_that_does_not_change_is_nobody_in_particular():
    """Whose face it is, the network cannot know: a still run gives one number for everybody."""
    head = RecurrentHead(1, 4).eval()
    with torch.inference_mode():
        still = head(torch.randn(3, 1, WIDTH).expand(3, FRAMES, WIDTH))
    assert float(still.std()) < 1e-5


def test_it_is_chosen_by_its_hub_id_and_gives_a_number_without_a_vote(
    folder, tmp_path, monkeypatch, portrait
):
    clip = write_clip(tmp_path / "a.mp4", moving_portrait(portrait, 75, 240))
    with serving(tmp_path / "home", monkeypatch) as hub:
        hub.add(NAME, folder)
        settings = Settings(
            detectors=("temporal",), checkpoints={"temporal": NAME}, stability=False
        )
        result = analyze(clip, settings, pool=POOL)
    (finding,) = result.findings
    assert finding.checkpoint.startswith(f"{NAME}@") and finding.score is not None
    assert finding.status == "uncalibrated" and finding.measures["runs"] >= 1
    assert analyze(clip, replace(settings, checkpoints={"temporal": str(folder)}), pool=POOL
                   ).findings[0].score == finding.score  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hidden": 10**6}, "hidden from 1 to 512"),
        ({"layer": 13}, "layer from 1 to 12"),
        ({"hidden": 16}, "does not fit its config"),
        ({"frozen_backbone": "../x"}, "needs the backbone"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(change, words, folder):
    edit_config(folder, **change)
    with pytest.raises(UserError, match=words) as caught:
        load_detector("temporal", Settings(checkpoints={"temporal": str(folder)}), POOL)
    assert "\n" not in caught.value.sentence


def test_too_few_frames_and_broken_weights_are_refused(folder):
    (folder / "card.json").write_text(replace(CARD, frames=4).to_json())
    with pytest.raises(UserError, match="reads 16 to 32"):
        load_detector("temporal", Settings(checkpoints={"temporal": str(folder)}), POOL)
    (folder / "card.json").write_text(CARD.to_json())
    tensors = load_file(folder / "model.safetensors")
    tensors["out.weight"][:] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match="not numbers"):
        load_detector("temporal", Settings(checkpoints={"temporal": str(folder)}), POOL)


def test_it_is_for_no_other_role(folder):
    with pytest.raises(UserError, match="made for temporal"):
        store.resolve(str(folder), role_of("spatial"))


def made_rows(kinds: int, each: int) -> pd.DataFrame:
    """Windows whose fakes flicker: every second token is moved along one direction."""
    rng = np.random.default_rng(0)
    direction = rng.normal(size=WIDTH)
    rows = []
    for label in (0, 1):
        for number in range(kinds * each):
            kind = f"{'tool' if label else 'source'}-{number % kinds}"
            run = rng.normal(size=WIDTH) + 0.3 * rng.normal(size=(len(COLLECTED), FRAMES, WIDTH))
            run[:, ::2] += label * direction
            rows.append({
                "name": f"{label}-{number}", "tier": "clean", "window": 0, "label": label,
                "kind": kind, "source": f"{kind}-page", "group": str(number),
                "tokens": run.astype(np.float16).tobytes(),
            })  # fmt: skip
    return pd.DataFrame(rows)


def test_the_recipe_finds_a_flicker_in_tools_and_sources_that_it_never_saw():
    rows, recipe = made_rows(kinds=6, each=4), Recipe(hidden=8, epochs=15)
    labels = rows["label"].to_numpy()
    assert auc(labels, held_out(rows, recipe)) > 0.95
    tokens = tokens_of(rows, recipe.layer)
    once, again = (train(tokens, labels, replace(recipe, epochs=1)) for _ in range(2))
    assert torch.equal(once.out.weight, again.out.weight)


def test_files_that_share_a_page_or_a_tool_are_left_out_together():
    table = pd.DataFrame(
        [(1, "a", "page 1"), (0, "real", "page 1"), (1, "a", "page 2"), (1, "b", "page 2"),
         (0, "real", "page 3"), (1, "c", "page 4")],
        columns=["label", "kind", "source"],
    )  # fmt: skip
    assert families(table).tolist() == [0, 0, 0, 0, 4, 5]
