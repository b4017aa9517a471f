"""Does anything outside its mask give a self-made fake away?

If it did, a detector would learn the tool that pastes and not what was pasted. For every family of
`training.augment.pseudo_fakes`: logistic regression on measures of the pixels that no mask touches,
trained on some pairs and judged on others. Made of synthetic images, no face is needed.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from evaluation.metrics import auc
from training.augment import pseudo_fakes
from training.augment.pseudo_fakes import FAMILIES, Donors, Face
from training.spatial.data import degraded_pair

MOST = 0.55  # AUC
PAIRS = 120
SIDE = 128
FACES = 40
LEAST_OUTSIDE = 0.05  # share of the crop; below, the pair is drawn anew
REACH = 1  # patches around a mask that are left out: blur and codecs carry over
AUDITED = [n for n, family in enumerate(FAMILIES) if set(family.regions) != {"all"}]


def synthetic_face(rng: np.random.Generator) -> Face:
    """A colored texture with as much detail at every scale as photographs have, and landmarks."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij"))
    spectrum = rng.normal(size=(3, *frequency.shape)) + 1j * rng.normal(size=(3, *frequency.shape))
    texture = np.fft.irfft2(spectrum / np.maximum(frequency, 1 / SIDE) ** 1.2, (SIDE, SIDE))
    texture = texture / texture.std() * rng.uniform(25, 45) + rng.uniform(90, 160)
    image = np.ascontiguousarray(texture.transpose(1, 2, 0).clip(0, 255).astype(np.uint8))
    angle = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    ring = np.sqrt(rng.uniform(0.02, 1, 468))[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    marks = SIDE / 2 + rng.normal(0, 2, 2) + 0.13 * SIDE * ring
    marks[[33, 133, 362, 263], 1] = SIDE * 0.42
    marks[[61, 291, 13, 14], 1] = SIDE * 0.6
    return Face(image, marks.astype(np.float32))


def measures(image: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Colors, spread, detail at three scales and block edges of the pixels outside, (k,)."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    result = [image[outside].mean(0), image[outside].std(0)]
    smooth = gray
    for sigma in (0.7, 1.5, 3.0):
        softer = cv2.GaussianBlur(gray, (0, 0), sigma)
        result.append([np.log((smooth - softer)[outside].std() + 0.1)])
        smooth = softer
    for axis in (0, 1):
        step = np.abs(np.diff(gray, axis=axis, append=0))[outside]
        result.append([np.log(step.mean() + 0.1), np.log(np.median(step) + 0.1)])
    return np.concatenate(result)


Maker = Callable[[Face, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def leak(make: Maker, seed: int = 0) -> float:
    """AUC of the regression over pairs that it did not see."""
    rng, rows, labels, pairs = np.random.default_rng(seed), [], [], []
    faces = [synthetic_face(rng) for _ in range(FACES)]
    while len(labels) < 2 * PAIRS:
        face = faces[len(labels) // 2 % len(faces)]
        frame, mask = make(face, rng)
        real, fake, patch = degraded_pair(face, Face(frame, face.landmarks), mask, rng)
        touched = cv2.dilate(patch.astype(np.float32), np.ones((2 * REACH + 1,) * 2)) > 0.004
        outside = cv2.resize((~touched).astype(np.uint8), real.shape[1::-1], None, 0, 0, 0) > 0
        if outside.mean() < LEAST_OUTSIDE:
            continue
        rows += [measures(np.ascontiguousarray(image), outside) for image in (real, fake)]
        labels += [0, 1]
        pairs += [len(labels) // 2] * 2
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    guessed = cross_val_predict(
        model, np.array(rows), labels, groups=pairs, cv=GroupKFold(5), method="decision_function"
    )
    return auc(np.array(labels), guessed)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


@pytest.mark.parametrize("number", AUDITED, ids=lambda n: f"{FAMILIES[n].content}-{n}")
def test_nothing_outside_its_mask_gives_a_self_made_fake_away(number, monkeypatch):
    monkeypatch.setattr(pseudo_fakes, "FAMILIES", (FAMILIES[number],))
    monkeypatch.setattr(pseudo_fakes, "WEIGHTS", np.ones(1))
    donors = Donors(lambda rng, marks: synthetic_face(rng))
    assert leak(lambda face, rng: pseudo_fakes.make(face, donors, rng)) <= MOST


def test_the_audit_finds_a_tool_that_touches_everything():
    """Saved once more as a whole before it is pasted: the oldest leak of all."""

    def careless(face: Face, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        mask = pseudo_fakes.region_mask("mouth", face, rng)
        options = [cv2.IMWRITE_JPEG_QUALITY, 30]
        return cv2.imdecode(cv2.imencode(".jpg", face.image, options)[1], 1), mask

    assert leak(careless) > MOST + 0.1
