"""In which language is a result read?

Every text of the page and of the report is written in English and looked up here; what a table
lacks stays English. A language is one file, ``languages/CODE.toml``: English text = translation.
Imports nothing of the program.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("languages")


@dataclass(frozen=True)
class Language:
    """One table of texts.

    Attributes:
        code: ISO 639-1, e.g. ``de``.
        table: English text → translation; with the same ``{names}`` in braces.
    """

    code: str = "en"
    table: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, text: str, **values: object) -> str:
        """The text in this language, with its ``{names}`` filled in."""
        result = self.table.get(text, text)
        return result.format(**values) if values else result


ENGLISH = Language()


@cache
def languages() -> dict[str, Language]:
    """All languages by their code, English first."""
    files = sorted(FOLDER.glob("*.toml"))
    tables = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in files}
    return {"en": ENGLISH, **{code: Language(code, table) for code, table in tables.items()}}


def preferred(accept_language: str | None) -> Language:
    """The first language of a browser's ``Accept-Language`` that there is; English otherwise."""
    for entry in (accept_language or "").split(","):
        code = entry.split(";")[0].strip().split("-")[0].lower()
        if code in languages():
            return languages()[code]
    return ENGLISH
