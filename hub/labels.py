"""Which output of a classifier means *fake*, and how do we know?

Reads the words of a label map, never the card text. Whatever the words do not settle is asked, not
guessed: an inverted detector is worse than none. Also turns logits into log-odds of *fake* with
numpy alone, so that every detector uses the same sum. Imports errors and hub.checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from errors import UserError
from hub.checkpoint import LabelOverride


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAX_LABELS = 64
"""More outputs than any detector has: ImageNet's 1000 classes are not a detector."""

FAKE_WORDS = _words("""
    fake faked deepfake deepfaked ai artificial synthetic synthesized synthesised synthesis
    generated spoof spoofed manipulated manipulation swapped swap faceswap tampered forged
    forgery altered edited unreal inauthentic gan diffusion sdxl stylegan midjourney dalle
    deepfakes face2face neuraltextures faceshifter morphed reenacted cgi computer
    unnatural
""")
REAL_WORDS = _words("""
    real realism original pristine genuine bonafide bona authentic legit legitimate live
    untouched unaltered unmanipulated untampered unedited
""")
WEAK_REAL_WORDS = frozenset(["human", "natural", "photo", "photograph", "camera"])
"""Mean *real* only where no word for fake stands beside them ("artificial human")."""
NEGATIONS = frozenset(["not", "non", "no", "un"])
NEUTRAL_WORDS = _words("""
    unknown uncertain unsure other background ignore noface
""")
_UNNAMED = re.compile(r"(?i)^(label|class|output)?[\s_-]*\d+$")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*[a-z]*|\d+")


@dataclass(frozen=True)
class LabelMap:
    """Which outputs speak for *fake* and for *real*; others are left out of the sum.

    With a single logit one of the two is empty: index 0 then means fake (or real) when it is high.
    """

    fake_indices: tuple[int, ...]
    real_indices: tuple[int, ...]
    known_by: str


def label_names(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a config's outputs in index order.

    transformers writes ``id2label``, timm's wrapper ``label_names`` or only ``num_classes``; a
    config without either has two outputs by transformers' convention.
    """
    names = config.get("label_names")
    if isinstance(names, list) and names and not config.get("id2label"):
        return tuple(str(name) for name in names)
    mapping = config.get("id2label")
    if isinstance(mapping, Mapping) and mapping:
        try:
            by_index = {int(key): str(value) for key, value in mapping.items()}
        except ValueError as error:
            raise UserError("weights_refused", "id2label in config.json has no indices.") from error
        if sorted(by_index) != list(range(len(by_index))):
            raise UserError("weights_refused", "id2label in config.json skips an index.")
        return tuple(by_index[index] for index in range(len(by_index)))
    count = config.get("num_labels", config.get("num_classes", 2))
    if type(count) is not int or not 1 <= count <= MAX_LABELS:
        raise UserError("weights_refused", f"config.json says {count!r} labels, expected 1 to 64.")
    return tuple(f"LABEL_{index}" for index in range(count))


def meaning(name: str) -> str | None:
    """Return ``"fake"``, ``"real"``, ``"neutral"`` or None for one label's words.

    Whole words only: "unreal" is not "real". A negation turns the next word round ("not fake").
    """
    squeezed = re.sub(r"[\W_]", "", name).lower()
    whole = squeezed if squeezed in FAKE_WORDS | REAL_WORDS else None  # "NeuralTextures"
    words = [whole] if whole else [word.lower() for word in _WORD.findall(name)]
    votes: set[str] = set()
    weak = neutral = negated = False
    for word in words:
        if word in NEGATIONS:
            negated = True
            continue
        singular = word if word in FAKE_WORDS or word in REAL_WORDS else word.rstrip("s")
        if singular in FAKE_WORDS:
            votes.add("real" if negated else "fake")
        elif singular in REAL_WORDS:
            votes.add("fake" if negated else "real")
        elif singular in WEAK_REAL_WORDS:
            weak = True
            votes |= {"fake"} if negated else set()
        neutral = neutral or word in NEUTRAL_WORDS
        negated = False
    if len(votes) == 1:
        return votes.pop()
    if votes:
        return None
    return "real" if weak else "neutral" if neutral else None


def resolve_labels(
    names: Sequence[str],
    *,
    override: LabelOverride | None = None,
    fake_labels: Sequence[str] | None = None,
) -> LabelMap:
    """Decide which outputs mean *fake*.

    The user's answer wins, then the catalog's correction, then the words.

    Args:
        names: label of each output, in index order; one name means one logit.
        override: a correction with its evidence.
        fake_labels: the user's answer: labels (or indices) that mean fake. For a single logit an
            empty answer says that a high value means real.

    Raises:
        UserError: ``labels_ambiguous`` with the question to the user, ``weights_refused`` for a
            classifier that cannot be a detector.
    """
    names = tuple(names)
    if not 1 <= len(names) <= MAX_LABELS:
        raise UserError(
            "weights_refused",
            f"This classifier has {len(names)} labels: that is no real-or-fake detector.",
        )
    if fake_labels is not None:
        return _from_answer(names, tuple(fake_labels))
    unnamed = all(_UNNAMED.match(name.strip()) for name in names)
    if override is not None and (unnamed or not override.only_if_unnamed):
        if len(override.names) != len(names):
            raise _ambiguous(names, "the catalog knows another number of labels")
        return _from_words(override.names, f"Catalog: {override.evidence}")
    return _from_words(names, f"The label words in config.json: {_listed(names)}.")


def log_odds_from_logits(
    logits: np.ndarray, fake_indices: Sequence[int], real_indices: Sequence[int]
) -> np.ndarray:
    """Return the log-odds of *fake*: logsumexp(fake logits) - logsumexp(real logits).

    That is ``log p(fake) - log p(real)`` under the softmax. A single logit is taken as it is, with
    its sign turned when high means real (a softmax over one logit would always be 1).

    Args:
        logits: (..., n) float.
        fake_indices, real_indices: outputs of each kind; one of them may be empty.

    Returns:
        (...) float64 array.
    """
    logits = np.asarray(logits, dtype=np.float64)
    fake = _logsumexp(logits, fake_indices)
    real = _logsumexp(logits, real_indices)
    return fake - real


def _logsumexp(logits: np.ndarray, indices: Sequence[int]) -> np.ndarray:
    if not indices:
        return np.zeros(logits.shape[:-1])
    chosen = logits[..., list(indices)]
    top = chosen.max(axis=-1)
    return top + np.log(np.exp(chosen - top[..., None]).sum(axis=-1))


def _from_answer(names: tuple[str, ...], answer: tuple[str, ...]) -> LabelMap:
    index_of = {name.strip().lower(): index for index, name in enumerate(names)}
    index_of |= {str(index): index for index in range(len(names))}
    fake = set()
    for label in answer:
        if str(label).strip().lower() not in index_of:
            raise UserError(
                "labels_ambiguous",
                f"This checkpoint has no label {str(label)[:40]!r}; its labels are "
                f"{_listed(names)}. Which of them mean fake?",
            )
        fake.add(index_of[str(label).strip().lower()])
    real = tuple(index for index in range(len(names)) if index not in fake)
    if len(names) > 1 and (not fake or not real):
        raise _ambiguous(names, "your answer leaves nothing for real or nothing for fake")
    words = ", ".join(repr(names[index][:40]) for index in sorted(fake)) or "no label"
    return LabelMap(tuple(sorted(fake)), real, f"Your answer: {words} means fake.")


def _from_words(names: Sequence[str], known_by: str) -> LabelMap:
    meanings = [meaning(name) for name in names]
    if None in meanings:
        unclear = names[meanings.index(None)]
        raise _ambiguous(names, f"the label {unclear[:40]!r} does not say real or fake")
    fake = tuple(index for index, words in enumerate(meanings) if words == "fake")
    real = tuple(index for index, words in enumerate(meanings) if words == "real")
    if len(names) > 1 and (not fake or not real):
        raise _ambiguous(names, "all labels point the same way")
    if not fake and not real:
        raise _ambiguous(names, "no label says real or fake")
    if len(names) == 1:
        known_by += f" One logit: a high value means {'fake' if fake else 'real'}."
    return LabelMap(fake, real, known_by)


def _ambiguous(names: Sequence[str], why: str) -> UserError:
    if len(names) == 1:
        question = "Does a high value mean fake? Name the label if so, or answer with none if not."
    else:
        question = "Which of them mean fake?"
    return UserError(
        "labels_ambiguous",
        f"The labels of this checkpoint are {_listed(names)}, and {why}. {question}",
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"{index} = {name[:40]!r}" for index, name in enumerate(names[:8]))
    return shown + (", …" if len(names) > 8 else "")
