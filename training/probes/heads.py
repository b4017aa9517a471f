"""How is a linear head fitted so that it carries over to sources that it never saw?

Ridge logistic regression on standardized features. Three things make it less a detector of cameras:
every source of each class weighs by the root of its size, directions in which *real* sources differ
from each other are projected out, and it is judged only on whole sources that it did not see.
Imports evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

LEAST_OF_SOURCE = 5  # real faces of a source, below which its mean says nothing
STEPS = 400  # of the solver, at most


@dataclass(frozen=True)
class Recipe:
    """What is chosen by cross-validation.

    Attributes:
        strength: inverse of the ridge, scikit-learn's C.
        nuisances: directions between real sources that are projected out.
        shares: one for each view of a face; each has a head of its own, and their log-odds are
            added up with these shares.
    """

    strength: float
    nuisances: int
    shares: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Head:
    """Log-odds of fake are ``features @ weight + bias``; weight (features,) float64."""

    weight: np.ndarray
    bias: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(n, features) to (n,) log-odds."""
        return features @ self.weight + self.bias


def balanced_weights(labels: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """(n,) weights: sources of a class by the root of their size, both classes half of the sum."""
    names = pd.Series([f"{source}|{label}" for source, label in zip(sources, labels, strict=True)])
    weights = names.map(names.value_counts()).to_numpy(float) ** -0.5
    for label in (0, 1):
        subset = labels == label
        weights[subset] *= 0.5 * len(labels) / weights[subset].sum()
    return weights


def nuisance_directions(
    features: np.ndarray, labels: np.ndarray, sources: np.ndarray, count: int
) -> np.ndarray:
    """(k, features) orthonormal: the main directions between the means of real sources.

    Nuisance attribute projection (Solomonoff et al. 2005, channel compensation in speaker
    recognition): how one camera or set differs from another says nothing about a fake.
    """
    real = labels == 0
    names, sizes = np.unique(sources[real], return_counts=True)
    means = [
        features[real & (sources == name)].mean(0)
        for name, size in zip(names, sizes, strict=True)
        if size >= LEAST_OF_SOURCE
    ]
    spread = np.stack(means) - np.mean(means, axis=0)
    return np.linalg.svd(spread, full_matrices=False)[2][: min(count, len(means) - 1)]


def fit(features: np.ndarray, labels: np.ndarray, sources: np.ndarray, recipe: Recipe) -> Head:
    """The head of some faces: the sum of one head a view.

    Args:
        features: (n, f) float32, the views side by side, as many columns of each.
        labels: (n,) 0 real, 1 fake.
        sources: (n,) where each comes from.
        recipe: ridge, projection and shares.
    """
    views = np.split(features, len(recipe.shares), axis=1)
    heads = [_of_view(view, labels, sources, recipe) for view in views]
    weights = [share * head.weight for share, head in zip(recipe.shares, heads, strict=True)]
    bias = sum(share * head.bias for share, head in zip(recipe.shares, heads, strict=True))
    return Head(np.concatenate(weights), float(bias))


def _of_view(features: np.ndarray, labels: np.ndarray, sources: np.ndarray, recipe: Recipe) -> Head:
    mean, spread = features.mean(0), features.std(0) + 1e-6
    scaled = (features - mean) / spread
    away = np.zeros((0, features.shape[1]))
    if recipe.nuisances:
        away = nuisance_directions(scaled, labels, sources, recipe.nuisances)
        scaled = scaled - (scaled @ away.T) @ away
    model = LogisticRegression(C=recipe.strength, max_iter=STEPS)
    model.fit(scaled, labels, sample_weight=balanced_weights(labels, sources))
    direction = model.coef_[0] - (away @ model.coef_[0]) @ away
    weight = direction / spread
    return Head(weight, float(model.intercept_[0] - weight @ mean))


def source_folds(labels: np.ndarray, sources: np.ndarray, count: int) -> np.ndarray:
    """(n,) fold of each face: whole sources, dealt out so that both classes are spread."""
    table = pd.DataFrame({"label": labels, "source": sources})
    sizes = table.groupby("source")["label"].agg(["size", "sum"])
    load, fold = np.zeros((count, 2)), {}
    for name, (size, fakes) in sizes.sort_values("size", ascending=False).iterrows():
        cost = load[:, 1] * fakes + load[:, 0] * (size - fakes)
        place = int(np.argmin(cost + 1e-3 * load.sum(1)))
        fold[name] = place
        load[place] += (size - fakes, fakes)
    return np.array([fold[source] for source in sources])


def held_out_scores(
    features: np.ndarray, labels: np.ndarray, sources: np.ndarray, recipe: Recipe, folds: np.ndarray
) -> np.ndarray:
    """(n,) log-odds of each face by a head that saw no face of its source.

    Faces of fold -1 are learned from by every head and get no score.
    """
    scores = np.full(len(labels), np.nan)
    for fold in np.unique(folds[folds >= 0]):
        rest = folds != fold
        head = fit(features[rest], labels[rest], sources[rest], recipe)
        scores[~rest] = head(features[~rest])
    return scores
