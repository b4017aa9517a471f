"""What do we know about a set of weights?

Four frozen types: where weights come from (``Source``), how they must be used (``Card``), how their
raw score becomes log-odds (``Calibration``), and all of it together with the files on this disk
(``Checkpoint``). Reads and writes ``card.json``; downloads nothing, loads nothing. Imports errors
and hub.role.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from errors import UserError, printable
from hub.role import NAME, Crop, Role

CROPS = tuple(crop.value for crop in Crop)
MAX_SIZE_PX = 1024
"""Largest square input we accept: four times the area of the largest detector in the catalog."""
MAX_FRAMES = 512
"""Most frames in one forward pass: twice the longest model in the catalog (256)."""
MAX_RATE_HZ = 1000.0
"""Fastest frame rate of a card: what no camera for faces comes near."""
MAX_AUDIO_HZ = 384_000
"""Most samples a second of a card: what studios use at most."""
MAX_AUDIO_S = 30.0
"""Most seconds of audio in one forward pass: published networks learned from 1 to 10 s."""
MAX_MARGIN = 4.0
"""Largest share of the tight crop's side that may be added around it."""
MAX_NUMBER = 1e12
"""Largest number in a card; also what tells a number from infinity."""
MAX_TEXT = 2000
"""Characters of one text in a card."""
SHOWN_DIGITS = 12
"""Characters of a revision or checksum shown in a label."""


_SHA256 = re.compile(r"[0-9a-f]{64}")
_LISTS = (
    "fake_indices", "real_indices", "mean", "std", "supersedes", "trained_on", "limits",
)  # fmt: skip


@dataclass(frozen=True)
class LabelOverride:
    """What a checkpoint's outputs mean where its own config is silent or wrong.

    Attributes:
        names: the meaning of each output, in index order, in words that the resolver knows.
        evidence: how we know; shown to the user.
        only_if_unnamed: apply it only when the config says ``LABEL_0`` and the like.
    """

    names: tuple[str, ...]
    evidence: str
    only_if_unnamed: bool = False


@dataclass(frozen=True)
class Source:
    """Where a checkpoint comes from and what is known about it before it is loaded.

    Attributes:
        name: short name, unique in the catalog.
        detector: name of the role that it plays.
        title: one line for people.
        repo_id: ``owner/repo`` on the Hub, or None for weights that come with the program.
        revision: full commit (40 hex digits), a branch or pull request together with ``commit``,
            or None, which means unpinned.
        commit: first digits of the commit that was looked at; another one is refused.
        folder: name of the folder under ``hub/defaults`` or ``hub/alternatives``, for weights that
            come with the program.
        architecture: family and size of the network, for people.
        input: what it is given at once, for people: "face, 224 px".
        outputs: what its outputs are called, by index, for people: "0 Real, 1 Fake".
        crop: what the model was trained to see: ``face``, ``frame`` or ``mouth``.
        margin: share of the tight crop's side added around it, or None when nobody knows.
        labels: a correction of the label map, with its evidence.
        notes: facts worth knowing, one sentence each.
        bad: known bad behavior, one sentence each; shown as warnings.
        gated: the owner asks visitors to accept terms first.
        usable: False for entries that are listed to say why they cannot be used.
        license: the license stated by the owner, if known.
    """

    name: str
    detector: str
    title: str
    repo_id: str | None = None
    revision: str | None = None
    commit: str | None = None
    folder: str | None = None
    architecture: str = ""
    input: str = "unknown"
    outputs: str = "unknown"
    crop: str = "face"
    margin: float | None = None
    labels: LabelOverride | None = None
    notes: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    gated: bool = False
    usable: bool = True
    license: str = "unknown"

    def __post_init__(self) -> None:
        if self.crop not in CROPS:
            raise ValueError(f"expected crop in {CROPS}, got {self.crop!r}")
        if (self.repo_id is None) == (self.folder is None):
            raise ValueError(f"{self.name}: expected either repo_id or folder")

    @property
    def pinned(self) -> bool:
        """True when the weights cannot change under us."""
        return self.folder is not None or self.revision is not None

    @property
    def spec(self) -> str:
        """What to type to get this checkpoint."""
        if self.repo_id is None:
            return "embedded" if self.folder == self.detector else self.name
        return f"{self.repo_id}@{self.revision}" if self.revision else self.repo_id


@dataclass(frozen=True)
class Calibration:
    """A fitted line from raw score to log-odds of *fake* (Platt, 1999).

    Attributes:
        scale: slope, unitless, positive when the label map points the right way.
        offset: log-odds at raw score 0, at equal numbers of real and fake.
        fitted_on: the data, in words.
        n_real, n_fake: number of files of each kind.
        date: ISO date of the fit.
    """

    scale: float
    offset: float
    fitted_on: str
    n_real: int
    n_fake: int
    date: str

    def __post_init__(self) -> None:
        if not (_is_number(self.scale) and _is_number(self.offset)):
            raise _bad_card("calibration", "scale and offset as finite numbers", self.scale)
        for name in ("n_real", "n_fake"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 0:
                raise _bad_card(f"calibration.{name}", "a whole number", getattr(self, name))
        for name in ("fitted_on", "date"):
            if not _is_text(getattr(self, name)):
                raise _bad_card(f"calibration.{name}", "a text", getattr(self, name))

    def apply(self, raw: float) -> float:
        """Return log-odds of *fake* for a raw score; arrays work too."""
        return self.scale * raw + self.offset

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """Build from the mapping in ``card.json``; says which key is missing."""
        if not isinstance(data, Mapping):
            raise _bad_card("calibration", "an object or null", data)
        missing = [f.name for f in fields(cls) if f.name not in data]
        if missing:
            raise _bad_card("calibration", f"the key {missing[0]!r}", "nothing")
        return cls(**{f.name: _plain(data[f.name]) for f in fields(cls)})


@dataclass(frozen=True)
class Card:
    """How a checkpoint must be used: the content of ``card.json``.

    Attributes:
        detector: name of the role that it plays.
        crop: ``face``, ``frame`` or ``mouth``.
        margin: share of the tight side added around the face, 0 = tight, 0.43 = wide.
        size_px: side of the square input; 0 for one that listens.
        mean, std: per channel RGB, for images scaled to 0…1.
        audio_s: seconds of audio, mono, in one forward pass; None for one that looks.
        standardize: bring each stretch of audio to mean 0 and deviation 1.
        frames: frames in one forward pass.
        rate_hz: rate at which those frames, or the audio, are sampled, or None for any.
        fake_indices, real_indices: outputs that speak for *fake* and for *real*.
        labels_known_by: how we know that, one sentence.
        calibration: the fitted line to log-odds, or None.
        votes: False for an experimental checkpoint, shown without a vote.
        supersedes: sha256 of earlier weights that give the same raw scores, so that what a user
            fitted for those still holds. Believed of embedded checkpoints only.
        trained_on, limits: one sentence each.
        figures: measured values ``{"name", "value", "low", "high", "n_real", "n_fake",
            "protocol"}``.
    """

    detector: str
    title: str
    size_px: int
    fake_indices: tuple[int, ...]
    real_indices: tuple[int, ...]
    labels_known_by: str
    version: str = "1"
    license: str = "unknown"
    crop: str = "face"
    margin: float = 0.0
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    frames: int = 1
    rate_hz: float | None = None
    audio_s: float | None = None
    standardize: bool = False
    calibration: Calibration | None = None
    votes: bool = True
    supersedes: tuple[str, ...] = ()
    trained_on: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    figures: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)

    def __post_init__(self) -> None:
        _check_words(self)
        _check_numbers(self)
        _check_indices(self.fake_indices, self.real_indices)

    def input_words(self) -> str:
        """What the network is given at once, for people."""
        if self.audio_s is not None:
            scaled = ", brought to mean 0 and deviation 1" if self.standardize else ""
            rate = f"{(self.rate_hz or 0) / 1000:g} kHz"
            return f"{self.audio_s:g} s of sound at a time, {rate} mono{scaled}"
        frames = f"{self.frames} pictures at a time" if self.frames > 1 else "one picture at a time"
        margin = f", {100 * self.margin:.0f} % margin" if self.crop in (Crop.FACE, Crop.BOX) else ""
        return f"{self.crop}{margin}, {self.size_px} px, {frames}"

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read ``card.json``; unknown keys are ignored, wrong ones are refused by name."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError("weights_refused", f"card.json is not valid JSON: {error}.") from error
        if not isinstance(data, dict):
            raise _bad_card("card.json", "an object", data)
        if "licence" in data:  # as cards of version 0.1 spell it
            data.setdefault("license", data["licence"])
        needed = ("detector", "title", "size_px", "fake_indices", "real_indices", "labels_known_by")
        for name in needed:
            if name not in data:
                raise _bad_card(name, "a value", "nothing")
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        if known.get("calibration") is not None:
            known["calibration"] = Calibration.from_json(known["calibration"])
        for name in _LISTS:
            if name in known:
                known[name] = _as_tuple(name, known[name])
        known["figures"] = tuple(map(_figure, _as_tuple("figures", known.get("figures") or ())))
        return cls(**{name: _plain(value) for name, value in known.items()})

    def to_json(self) -> str:
        """The text of ``card.json``: indented, keys in the order of this class, final newline."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def save(self, folder: Path) -> None:
        """Write ``card.json`` into a folder that exists."""
        (folder / "card.json").write_text(self.to_json(), encoding="utf-8")

    @property
    def facts_key(self) -> str:
        """16 hex digits of everything that changes the raw score for given weights."""
        facts: tuple[Any, ...] = (
            self.detector, self.crop, self.margin, self.size_px, self.mean, self.std,
            self.frames, self.rate_hz, self.fake_indices, self.real_indices,
        )  # fmt: skip
        if self.audio_s is not None:  # the keys of all others stay what they were
            facts += (self.audio_s, self.standardize)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Checkpoint:
    """Verified files in one local folder, and how to use them.

    Attributes:
        name: ``owner/repo``, the folder's name, an alternative's, or the detector's for embedded
            weights.
        role: what it is used for.
        folder: has config.json, model.safetensors and perhaps card.json.
        card: how to use them.
        config: the content of config.json.
        revision: full commit of the Hub repo, None for a folder.
        sha256: of model.safetensors, 64 hex digits.
        embedded: came with the program.
        warnings: sentences for the user.
    """

    name: str
    role: Role
    folder: Path
    card: Card
    config: dict[str, Any] = field(hash=False, compare=False)
    revision: str | None
    sha256: str
    embedded: bool
    warnings: tuple[str, ...] = ()

    @property
    def detector(self) -> str:
        """The name of its role."""
        return self.role.name

    @property
    def label(self) -> str:
        """``name@`` and the first digits of the commit, or of the checksum for a folder."""
        return f"{self.name}@{(self.revision or self.sha256)[:SHOWN_DIGITS]}"

    @property
    def key(self) -> str:
        """Tells this checkpoint, with this config and used in this way, from every other one."""
        return self._key(self.sha256)

    @property
    def former_keys(self) -> tuple[str, ...]:
        """Keys of the weights that these stand in for; a stranger's checkpoint has none."""
        return tuple(map(self._key, self.card.supersedes)) if self.embedded else ()

    def _key(self, sha256: str) -> str:
        config = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()
        return f"{sha256}-{config[:16]}-{self.card.facts_key}"

    @property
    def counts(self) -> bool:
        """True when its findings take part in the verdict: calibrated, and not experimental."""
        return self.card.votes and self.card.calibration is not None

    def with_calibration(self, calibration: Calibration | None) -> Checkpoint:
        """Return a copy that carries another calibration."""
        return replace(self, card=replace(self.card, calibration=calibration))


def _bad_card(name: str, expected: str, got: object) -> UserError:
    shown = "a very large number" if isinstance(got, int) and got > MAX_NUMBER else repr(got)[:80]
    return UserError("weights_refused", f"The card says {name}: expected {expected}, got {shown}.")


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= MAX_NUMBER  # false for NaN and infinity; too long for a float is no matter


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _as_tuple(name: str, value: object) -> tuple[Any, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise _bad_card(name, "a list", value)
    return tuple(value)


def _figure(value: object) -> Mapping[str, Any]:
    """One measured value: a flat object of texts and numbers."""
    if not isinstance(value, Mapping) or any(isinstance(v, Mapping | list) for v in value.values()):
        raise _bad_card("figures", "a list of flat objects", value)
    return value


def _plain(value: Any) -> Any:
    """A text of a card as one printable line, at any depth that a card has."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, Mapping):
        return {printable(str(key)): _plain(item) for key, item in value.items()}
    return value


def _check_words(card: Card) -> None:
    if not isinstance(card.crop, str) or card.crop not in CROPS:
        raise _bad_card("crop", "one of " + ", ".join(CROPS), card.crop)
    if not isinstance(card.detector, str) or not NAME.fullmatch(card.detector):
        raise _bad_card("detector", "a name in snake_case", card.detector)
    for name in ("title", "version", "license", "labels_known_by"):
        if not _is_text(getattr(card, name)):
            raise _bad_card(name, "a text", getattr(card, name))
    for name in ("trained_on", "limits"):
        if not all(_is_text(value) for value in getattr(card, name)):
            raise _bad_card(name, "a list of texts", getattr(card, name))
    for name in ("votes", "standardize"):
        if not isinstance(getattr(card, name), bool):
            raise _bad_card(name, "true or false", getattr(card, name))
    if not all(isinstance(one, str) and _SHA256.fullmatch(one) for one in card.supersedes):
        raise _bad_card("supersedes", "a list of sha256 checksums", card.supersedes)


def _check_numbers(card: Card) -> None:
    if card.audio_s is not None:
        if not _is_number(card.audio_s) or not 0.1 <= card.audio_s <= MAX_AUDIO_S:
            raise _bad_card("audio_s", f"0.1 to {MAX_AUDIO_S}, or null", card.audio_s)
        if type(card.size_px) is not int or card.size_px != 0:
            raise _bad_card("size_px", "0 for one that listens", card.size_px)
    elif type(card.size_px) is not int or not 8 <= card.size_px <= MAX_SIZE_PX:
        raise _bad_card("size_px", f"8 to {MAX_SIZE_PX}", card.size_px)
    if type(card.frames) is not int or not 1 <= card.frames <= MAX_FRAMES:
        raise _bad_card("frames", f"1 to {MAX_FRAMES}", card.frames)
    if not _is_number(card.margin) or not 0 <= card.margin <= MAX_MARGIN:
        raise _bad_card("margin", f"0 to {MAX_MARGIN}", card.margin)
    fastest = MAX_RATE_HZ if card.audio_s is None else MAX_AUDIO_HZ
    if card.rate_hz is not None and not (_is_number(card.rate_hz) and 0 < card.rate_hz <= fastest):
        raise _bad_card("rate_hz", f"more than 0 to {fastest}, or null", card.rate_hz)
    for name in ("mean", "std"):
        values = getattr(card, name)
        if len(values) != 3 or not all(_is_number(value) for value in values):
            raise _bad_card(name, "three numbers", values)
    if min(card.std) <= 0:
        raise _bad_card("std", "three positive numbers", card.std)


def _check_indices(fake: tuple[int, ...], real: tuple[int, ...]) -> None:
    for name, values in (("fake_indices", fake), ("real_indices", real)):
        if not all(type(value) is int and 0 <= value < 100 for value in values):
            raise _bad_card(name, "whole numbers", values)
    if not fake and not real:
        raise _bad_card("fake_indices", "at least one index", fake)
    if set(fake) & set(real):
        raise _bad_card("fake_indices", "none of real_indices", fake)
