"""Which checkpoints do we know, and what is known against them?

The one place where a checkpoint is named, a file a role. Facts come from cards, configs, issues and
independent tests of the Hub's checkpoints; their figures are small samples and say so. Where no
commit is known to us the entry is unpinned: type ``owner/repo@commit`` to pin one. Imports
hub.checkpoint.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hub.catalog.images import IMAGES
from hub.catalog.sync import SYNC
from hub.catalog.videos import VIDEOS
from hub.catalog.voices import VOICES
from hub.checkpoint import Card, Source

DEFAULTS = Path(__file__).parent.parent / "defaults"
ALTERNATIVES = Path(__file__).parent.parent / "alternatives"  # second ones, chosen by name
BACKBONES = Path(__file__).parent.parent / "backbones"  # frozen networks that several heads share
HUB_SOURCES = IMAGES + VIDEOS + SYNC + VOICES


def embedded_sources() -> tuple[Source, ...]:
    """The checkpoints that are used where none is chosen: one a folder with a card."""
    return tuple(
        replace(_shipped(file), title="The checkpoint that comes with the program")
        for file in sorted(DEFAULTS.glob("*/card.json"))
    )


def alternative_sources() -> tuple[Source, ...]:
    """Second ones that come with the program and are chosen by name; why they do not vote is the
    first limit of their cards.
    """
    return tuple(_shipped(file, limits=1) for file in sorted(ALTERNATIVES.glob("*/card.json")))


def alternative(name: str) -> Path | None:
    """The folder of the alternative of that name (any case), or None."""
    wanted = name.strip().lower()
    return next((ALTERNATIVES / s.name for s in alternative_sources() if s.name == wanted), None)


def _shipped(file: Path, limits: int = 0) -> Source:
    """The entry of a folder, by its card, of whose limits the first are named."""
    card, name = Card.from_json(file.read_text("utf-8")), file.parent.name
    return Source(
        name=name,
        detector=card.detector,
        title=card.title,
        folder=name,
        architecture="see its model card",
        input=card.input_words(),
        outputs="see its model card",
        crop=card.crop,
        margin=card.margin,
        license=card.license,
        notes=("Works without a network.", *card.limits[:limits]),
    )


def sources() -> tuple[Source, ...]:
    """All entries: those that come with the program, then those of the Hub."""
    return embedded_sources() + alternative_sources() + HUB_SOURCES


def find(name_or_repo: str) -> Source | None:
    """Return the entry of that short name or repo id (any case), or None."""
    wanted = name_or_repo.strip().lower()
    for source in sources():
        if wanted in (source.name.lower(), (source.repo_id or "").lower()):
            return source
    return None


def search(text: str, detector: str | None = None) -> tuple[Source, ...]:
    """Return the entries in which every word of ``text`` occurs, in catalog order.

    Args:
        text: words in any case; empty finds everything.
        detector: only entries for this role.
    """
    words = text.lower().split()
    return tuple(
        source
        for source in sources()
        if (detector is None or source.detector == detector)
        and all(word in _searchable(source) for word in words)
    )


def _searchable(source: Source) -> str:
    parts = (source.name, source.detector, source.title, source.repo_id or "embedded")
    facts = (source.architecture, source.input, source.outputs, source.license)
    return " ".join((*parts, *facts, *source.notes, *source.bad)).lower()
