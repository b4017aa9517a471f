"""In which language is a result read?

Every text of the page and of the report is written in English and looked up here; what a table
lacks stays English. A language is one file, ``languages/CODE.toml``: English text = translation.
Imports nothing of the program.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("languages")
LEAST_WORDS = 1  # of three letters or more that make a pattern; fewer would fit anything


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
        """The text in this language, with its ``{names}`` filled in.

        A text that comes filled in, as the sentence of an error, is recognized by its pattern.
        """
        if values:
            return self.table.get(text, text).format(**values)
        if text in self.table or not self.table:
            return self.table.get(text, text)
        return self._by_pattern(text)

    def _by_pattern(self, text: str) -> str:
        for pattern, translated in _patterns(self.code):
            if match := pattern.fullmatch(text):
                parts = {name: self(part) for name, part in match.groupdict().items()}
                return translated.format(**parts)
        return text


ENGLISH = Language()


@cache
def _patterns(code: str) -> Sequence[tuple[re.Pattern[str], str]]:
    """What sentences with ``{names}`` look like when they are filled in, and their translation."""
    made = []
    for text, translated in languages()[code].table.items():
        parts = re.split(r"{(\w+)}", text)  # texts and names by turns
        if len(parts) > 1 and len(re.findall(r"\w{3,}", "".join(parts[::2]))) >= LEAST_WORDS:
            fixed, named = map(re.escape, parts[::2]), parts[1::2]
            pattern = next(fixed) + "".join(
                f"(?P<{name}>.+?){rest}" for name, rest in zip(named, fixed, strict=True)
            )
            made.append((re.compile(pattern), translated))
    return made


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
