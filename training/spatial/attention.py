"""Is it better to look at places of a face than at the mean of all?

    python -m training.spatial.attention tokens CROPS TOKENS   patch tokens of a sample of wild
    python -m training.spatial.attention compare TOKENS        against a linear head
    python -m training.spatial.attention fit TOKENS FOLDER     trains, measures, writes a checkpoint

`detectors.frozen.attention` on tokens that are read once. The linear head is the same one with a
single query that never learns where to look; both see the same batches and stop early on sources
that they did not learn from. Figures are of heads that saw nothing of a face's source. The
checkpoint is a second one for `spatial`: hub/alternatives/clip-attention.
Imports `detectors`, `evaluation`, `hub` and `training`.
"""

from __future__ import annotations

import argparse
import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from detectors.frozen.attention import GRID, SCALE, AttentionHead
from detectors.frozen.backbone import load_backbone
from detectors.frozen.layout import ATTENTION, MEAN, SIZE_PX, STD, WIDTH
from detectors.preprocess import crop_side_px, to_input
from evaluation.calibrate import fit_calibration
from evaluation.metrics import auc
from hub.catalog import BACKBONES
from hub.checkpoint import Card
from media import align
from training.cards.writer import auc_figure, share_figure, with_figures, write_folder
from training.data.face_crops import load_part
from training.probes.heads import balanced_weights, source_folds
from training.probes.tables import Table

log = logging.getLogger(__name__)

BACKBONE, LAYER = "clip-vit-b16", 8  # of 4, 8 and 11 the best for a linear head, see LOG.md
MOST_OF_SOURCE = 55
FOLDS = 6
BATCH = 64
MEASURED = 128  # faces that mean and spread of the tokens are taken of
PATIENCE = 3  # epochs without a better one on the watched sources
PROTOCOL = (
    "faces that tools and data sets publish, at most 55 of a source, image by image, heads that "
    f"saw nothing of the face's source ({FOLDS} folds)"
)
CARD = Card(
    detector="spatial",
    title="Four attention queries on frozen CLIP patch tokens",
    votes=False,
    license="research use (numbers learned from research-only data)",
    margin=0.3,
    size_px=SIZE_PX,
    mean=MEAN,
    std=STD,
    fake_indices=(0,),
    real_indices=(),
    labels_known_by="One number, high for manipulated, by the recipe that trained it.",
    trained_on=(
        "1,903 faces that tools and data sets publish: swaps, lip-sync, talking heads, diffusion "
        "and GANs of 37 tools against real faces of 21 sources, research use",
        "CLIP's image tower, frozen (OpenAI, MIT; hub/backbones/clip-vit-b16)",
    ),
    limits=(
        "It has no vote: on unseen sources a line on the mean of the same tokens was as good, and "
        "*generation* was better.",
        "It learned from 1,903 faces; what other tools leave, it may not see.",
        "Not evidence about a person: it must not be the only ground for an accusation, a "
        "dismissal, a block or a publication.",
    ),
)


@dataclass(frozen=True)
class Recipe:
    """Numbers of one training run.

    Attributes:
        queries: how many look.
        looks: whether they learn where; False with one query is a linear head.
        rate, decay: of AdamW.
        diversity: weight of the loss that keeps queries from looking at the same places.
        patches: share of the patches that a face shows in one step.
        epochs: at most.
        seed: of weights and batches.
    """

    queries: int = 4
    looks: bool = True
    rate: float = 1e-3
    decay: float = 0.1
    diversity: float = 0.1
    patches: float = 0.25
    epochs: int = 10
    seed: int = 0


LINEAR = Recipe(queries=1, looks=False)
COMPARED = {"linear": LINEAR, "4 queries": Recipe(), "8 queries": Recipe(queries=8)}


def read(file: Path) -> Table:
    """TOKENS.npy, (n, patches, WIDTH) float16, which stays on the disk, and TOKENS.parquet."""
    tokens = np.load(file.with_suffix(".npy"), mmap_mode="r")
    return Table(tokens, pd.read_parquet(file.with_suffix(".parquet")))


def tokens_of(faces: Table, index: np.ndarray) -> torch.Tensor:
    """The tokens of some faces as float32."""
    return torch.from_numpy(np.asarray(faces.features[index], np.float32))


@torch.inference_mode()
def collect(crops: Path, file: Path) -> None:
    """Write the patch tokens of a sample of wild."""
    images, _, rows = load_part(crops, "wild")
    chosen = rows.sample(frac=1, random_state=0).groupby("source").head(MOST_OF_SOURCE).index
    index = np.sort(chosen.to_numpy())
    backbone, side = load_backbone(BACKBONES / BACKBONE, "cpu"), crop_side_px(CARD)
    shape = (len(index), GRID**2, WIDTH)
    tokens = np.lib.format.open_memmap(file.with_suffix(".npy"), "w+", np.float16, shape)
    for place, row in enumerate(index):
        face = align.center(np.asarray(images[row])[None], side)
        tokens[place] = backbone(to_input(face, CARD), LAYER)[-1][0, 1:].numpy()
    tokens.flush()
    rows.loc[index].reset_index(drop=True).to_parquet(file.with_suffix(".parquet"))


def started(faces: Table, learned: np.ndarray, recipe: Recipe) -> AttentionHead:
    """A head before its first step, with mean and spread of what it will learn from."""
    torch.manual_seed(recipe.seed)
    head = AttentionHead(LAYER, recipe.queries)
    some = np.sort(np.random.default_rng(0).permutation(learned)[:MEASURED])
    unit = SCALE * nn.functional.normalize(tokens_of(faces, some), dim=-1).flatten(0, 1)
    head.mean, head.spread = unit.mean(0), unit.std(0) + 1e-3
    if recipe.looks:
        nn.init.normal_(head.query)
    head.query.requires_grad_(recipe.looks)
    return head


def overlap(attention: torch.Tensor) -> torch.Tensor:
    """Mean squared cosine between the weights of every two queries, 0 where there is one.

    Args:
        attention: (n, queries, patches).
    """
    count = attention.shape[1]
    if count < 2:
        return attention.new_zeros(())
    unit = nn.functional.normalize(attention, dim=-1)
    alike = (unit @ unit.transpose(1, 2)).square()
    return (alike.sum() / len(attention) - count) / (count * (count - 1))


def loss_of(
    head: AttentionHead, standard: torch.Tensor, target: torch.Tensor, weight: torch.Tensor,
    recipe: Recipe,
) -> torch.Tensor:  # fmt: skip
    """Weighted log loss of a batch, and how far its queries look at the same places."""
    attention = head.attention(standard)
    scores = head.total(head.added(standard, attention))
    loss = nn.functional.binary_cross_entropy_with_logits(scores, target, weight)
    return loss + recipe.diversity * overlap(attention)


@torch.inference_mode()
def scores(heads: Sequence[AttentionHead], faces: Table, index: np.ndarray) -> np.ndarray:
    """(heads, n) raw log-odds of some faces, by heads with the same mean and spread."""
    result = []
    for part in np.array_split(index, -(-len(index) // BATCH)):
        standard = heads[0].standard(tokens_of(faces, part))
        raw = [head.total(head.added(standard, head.attention(standard))) for head in heads]
        result.append(torch.stack(raw))
    return torch.cat(result, 1).numpy()


def train(
    faces: Table, learned: np.ndarray, watched: np.ndarray, recipes: Sequence[Recipe]
) -> list[AttentionHead]:
    """Heads that learn side by side from the same batches.

    Args:
        faces: all of them.
        learned: rows to learn from.
        watched: rows of other sources; of each head the epoch with the best AUC on them is kept.
        recipes: how; number of epochs, share of patches and seed are those of the first.
    """
    first = recipes[0]
    heads = [started(faces, learned, recipe) for recipe in recipes]
    optimizers = [
        torch.optim.AdamW(
            [p for p in head.parameters() if p.requires_grad], recipe.rate,
            weight_decay=recipe.decay,
        )
        for head, recipe in zip(heads, recipes, strict=True)
    ]  # fmt: skip
    weights = balanced_weights(faces.labels[learned], faces.sources[learned])
    rng = np.random.default_rng(first.seed)
    best = [(0.0, 0, copy.deepcopy(head)) for head in heads]
    for epoch in range(first.epochs):
        order = rng.permutation(len(learned))
        for batch in np.array_split(order, -(-len(order) // BATCH)):
            count = faces.features.shape[1]
            shown = np.sort(rng.permutation(count)[: round(first.patches * count)])
            rows = learned[batch]
            tokens = torch.from_numpy(np.asarray(faces.features[rows], np.float16)[:, shown])
            standard = heads[0].standard(tokens)
            target = torch.from_numpy(faces.labels[rows].astype(np.float32))
            weight = torch.from_numpy(weights[batch].astype(np.float32))
            for head, recipe, optimizer in zip(heads, recipes, optimizers, strict=True):
                optimizer.zero_grad()
                loss_of(head, standard, target, weight, recipe).backward()
                optimizer.step()
        for place, raw in enumerate(scores(heads, faces, watched)):
            value = auc(faces.labels[watched], raw)
            if value > best[place][0]:
                best[place] = (value, epoch, copy.deepcopy(heads[place]))
        if epoch - max(at for _, at, _ in best) >= PATIENCE:
            break
    return [head.eval() for _, _, head in best]


def held_out(faces: Table, recipes: Sequence[Recipe]) -> np.ndarray:
    """(recipes, n) raw scores of heads that saw nothing of a face's source.

    The next fold is watched, the others are learned from.
    """
    folds = source_folds(faces.labels, faces.sources, FOLDS)
    result = np.full((len(recipes), len(folds)), np.nan)
    for fold in range(FOLDS):
        learned = np.flatnonzero((folds != fold) & (folds != (fold + 1) % FOLDS))
        watched = np.flatnonzero(folds == (fold + 1) % FOLDS)
        unseen = np.flatnonzero(folds == fold)
        result[:, unseen] = scores(train(faces, learned, watched, recipes), faces, unseen)
        log.info("fold %d of %d", fold + 1, FOLDS)
    return result


def by_kind(faces: Table, raw: np.ndarray) -> dict[str, float]:
    """AUC over all, and of each kind of fake against all reals."""
    labels, kinds = faces.labels, faces.rows["kind"].to_numpy()
    result = {"all": auc(labels, raw)}
    for kind in sorted(set(kinds[labels == 1])):
        subset = (labels == 0) | (kinds == kind)
        result[kind] = auc(labels[subset], raw[subset])
    return result


def compare(faces: Table) -> pd.DataFrame:
    """AUC of each head of `COMPARED` by kind of fake."""
    raw = held_out(faces, list(COMPARED.values()))
    rows = {name: by_kind(faces, scores) for name, scores in zip(COMPARED, raw, strict=True)}
    return pd.DataFrame(rows).T.round(3)


def fit(faces: Table, folder: Path, recipe: Recipe) -> None:
    """Train, calibrate and measure on sources that were left out, write the checkpoint."""
    raw, labels = held_out(faces, [recipe])[0], faces.labels
    line = fit_calibration(labels, raw, PROTOCOL)
    groups, real = faces.rows["group"].to_numpy(), labels == 0
    kinds = faces.rows["kind"].to_numpy()
    measured = [auc_figure("AUC, all", labels, raw, groups, PROTOCOL)]
    for kind in sorted(set(kinds[~real])):
        subset = real | (kinds == kind)
        columns = labels[subset], raw[subset], groups[subset]
        measured.append(auc_figure(f"AUC, {kind}", *columns, PROTOCOL))
    alarms = line.apply(raw[real]) > 0
    protocol = f"{PROTOCOL}; alarm: log-odds above 0"
    measured.append(share_figure("false alarms", alarms, groups[real], 0, protocol))
    folds = source_folds(labels, faces.sources, FOLDS)
    head = train(faces, np.flatnonzero(folds != 0), np.flatnonzero(folds == 0), [recipe])[0]
    write(head, folder, with_figures(CARD, measured, line))


def write(head: AttentionHead, folder: Path, card: Card) -> None:
    """The folder of a checkpoint, in half precision."""
    tensors = {name: value.half().numpy() for name, value in head.state_dict().items()}
    config = {
        "model_type": ATTENTION, "frozen_backbone": BACKBONE, "layer": head.layer,
        "queries": len(head.query),
    }  # fmt: skip
    write_folder(folder, tensors, config, card, "clip-attention")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Attention queries on frozen patch tokens.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("tokens", help="patch tokens of a sample of wild")
    command.add_argument("crops", type=Path)
    command.add_argument("tokens", type=Path)
    command = commands.add_parser("compare", help="against a linear head")
    command.add_argument("tokens", type=Path)
    command = commands.add_parser("fit", help="train, measure and write a checkpoint")
    command.add_argument("tokens", type=Path)
    command.add_argument("folder", type=Path)
    command.add_argument("--queries", type=int, default=Recipe().queries)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    if chosen.command == "tokens":
        collect(chosen.crops, chosen.tokens)
    elif chosen.command == "compare":
        print(compare(read(chosen.tokens)).to_string())
    else:
        fit(read(chosen.tokens), chosen.folder, replace(Recipe(), queries=chosen.queries))


if __name__ == "__main__":
    main()
