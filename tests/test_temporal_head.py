"""Does the refitted last layer of the temporal network say what the linear judge says?"""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from safetensors.torch import load_file

from detectors.landmarks.classifier import LinearClassifier
from tests.conftest import ROOT
from training.temporal.head import _write_classifier

FEATURES = 192


def test_the_last_layer_gives_the_numbers_of_the_judge(tmp_path):
    file = tmp_path / "model.safetensors"
    shutil.copy(ROOT / "hub" / "defaults" / "temporal" / "model.safetensors", file)
    rng = np.random.default_rng(0)
    names = tuple(f"pooled_{n}" for n in range(FEATURES))
    mean, spread = rng.normal(size=FEATURES), rng.uniform(0.5, 2, FEATURES)
    classifier = LinearClassifier(names, mean, spread, rng.normal(0, 0.1, FEATURES), 0.3, np.inf)
    _write_classifier(file, classifier)
    pooled = rng.normal(size=(5, FEATURES))
    tensors = load_file(file)
    weight, bias = (tensors[f"classifier.{n}"].float().numpy() for n in ("weight", "bias"))
    logits = pooled @ weight.T + bias
    assert logits[:, 1] - logits[:, 0] == pytest.approx(classifier.scores(pooled), abs=0.02)
