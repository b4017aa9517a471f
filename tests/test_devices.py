"""Every embedded detector runs on each device that is there, and with products in bfloat16."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis import Settings, load_detector
from detectors import inference
from detectors.base import Detector
from detectors.frequency.detector import Domain
from detectors.pool import Pool
from detectors.registry import roles
from tests.test_sync_towers import speaking  # noqa: F401 (a fixture)

EMBEDDED = [role.name for role in roles() if not role.empty]
CLOSE = 0.05  # log-odds; the largest difference that we saw was 0.01


def devices() -> list[str]:
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool()


def loaded(name: str, device: str, pool: Pool) -> Detector:
    """An embedded detector that is asked whatever the detail of the face."""
    detector = load_detector(name, Settings(detectors=(name,), device=device), pool)
    if name == "frequency":
        gate = Domain(-math.inf, math.inf, 0.0)
        detector.network = replace(detector.network, gate=gate)
    return detector


@pytest.fixture(scope="module")
def on_processor(pool, speaking) -> dict[str, float]:  # noqa: F811
    """Log-odds of every embedded detector in float32, as it was trained."""
    results = {name: loaded(name, "cpu", pool).measure(*speaking).raw for name in EMBEDDED}
    return {name: math.nan if raw is None else raw for name, raw in results.items()}


@pytest.mark.parametrize("device", devices())
@pytest.mark.parametrize("name", EMBEDDED)
def test_every_embedded_detector_says_on_a_graphics_card_what_it_says_on_a_processor(
    name, device, pool, on_processor, speaking, fresh_probes, monkeypatch  # noqa: F811
):  # fmt: skip
    """Where there is no card, the processor multiplies in bfloat16 as one would."""
    monkeypatch.setattr(inference, "HALF_ON", (device,))
    result = loaded(name, device, pool).measure(*speaking)
    assert result.raw == pytest.approx(on_processor[name], abs=CLOSE)


@pytest.mark.parametrize("device", devices())
def test_what_is_moved_is_the_same_there_and_needs_no_gradient(device: str):
    numbers = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    with inference.inference(device):
        there = inference.moved(numbers, device)
        product = there @ torch.ones(3, 2, device=device)
    assert there.device.type == device and product.is_inference()
    assert product.dtype == (torch.bfloat16 if device == "cuda" else torch.float32)
    np.testing.assert_array_equal(there.cpu().numpy(), numbers.numpy())


def test_to_a_graphics_card_a_copy_is_page_locked_and_not_waited_for(monkeypatch):
    calls = []

    class Fake:
        def pin_memory(self):
            calls.append("pinned")
            return self

        def to(self, device, non_blocking=False):
            calls.append((device, non_blocking))
            return self

    inference.moved(Fake(), "cuda")  # type: ignore[arg-type]
    inference.moved(Fake(), "cpu")  # type: ignore[arg-type]
    assert calls == ["pinned", ("cuda", True), ("cpu", False)]
