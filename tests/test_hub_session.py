"""One researcher's session: five checkpoints by Hub id, one after the other, in one process.

Run with ``-s`` to read it. Each is fetched from the Hub on loopback through the real client, built
by transformers, and asked for the same bright and dark images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.loading import load_image_classifier
from detectors.registry import role_of
from errors import UserError
from hub import store
from hub.labels import log_odds_from_logits
from hub.selfcheck import check_sign
from tests.hub_server import HubServer, serving
from tests.tiny_models import SIZE_PX, bright_is_fake, write_model

TRUTH = [1] * 6 + [0] * 6


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serving(tmp_path, monkeypatch) as server:
        yield server


def scores(spec: str, **answer: tuple[str, ...]) -> tuple[str, np.ndarray]:
    """Return the checkpoint's label and its raw log-odds of twelve images, six of them bright."""
    checkpoint = store.resolve(spec, role_of("spatial"), **answer)
    model, facts = load_image_classifier(checkpoint)
    level = torch.cat([torch.linspace(0.8, 1.0, 6), torch.linspace(0.0, 0.2, 6)])
    pixels = level.view(12, 1, 1, 1).expand(12, 3, SIZE_PX, SIZE_PX)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (facts.mean, facts.std))
    with torch.inference_mode():
        logits = model(pixel_values=(pixels - mean) / std).logits.numpy()
    card = checkpoint.card
    raw = log_odds_from_logits(logits, card.fake_indices, card.real_indices)
    print(f"{checkpoint.label}: {card.labels_known_by}")
    for warning in checkpoint.warnings:
        print(f"    warns: {warning}")
    return checkpoint.label, raw


def test_a_session_swaps_siglip_one_logit_cnn_refused_and_inverted(hub: HubServer, tmp_path: Path):
    hub.add("lab/siglip", write_model(tmp_path / "a", "siglip", ("fake", "real")))
    hub.add("lab/one-logit", write_model(tmp_path / "b", "vit", ("fake",)))
    hub.add("lab/cnn", bright_is_fake(tmp_path / "c"))
    hub.add("lab/unnamed", write_model(tmp_path / "d", "vit", ("LABEL_0", "LABEL_1")))
    hub.add("lab/inverted", bright_is_fake(tmp_path / "e", inverted=True))
    print()
    observed = {}
    for spec in ("lab/siglip", "lab/one-logit", "lab/cnn", "lab/inverted"):
        label, observed[spec] = scores(spec)
        assert label.startswith(spec + "@") and np.isfinite(observed[spec]).all()
        print(f"    self-check: {check_sign(TRUTH, observed[spec].tolist()).sentence}")
    with pytest.raises(UserError) as caught:
        scores("lab/unnamed")
    print(f"lab/unnamed: refused ({caught.value.code}): {caught.value.sentence}")
    scores("lab/unnamed", fake_labels=("LABEL_0",))
    assert check_sign(TRUTH, observed["lab/cnn"].tolist()).verdict == "right"
    assert check_sign(TRUTH, observed["lab/inverted"].tolist()).verdict == "inverted"
    _, turned = scores("lab/inverted", fake_labels=("Real",))
    assert check_sign(TRUTH, turned.tolist()).verdict == "right"
    np.testing.assert_allclose(turned, -observed["lab/inverted"], atol=1e-6)
    assert hub.posted() == []
