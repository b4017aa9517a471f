"""In which language is a result read?

Every text of the page and of the report is written in English and looked up here; what a table
lacks stays English. A language is one file, ``languages/CODE.toml``: English text = translation,
and `SAMPLE` = how that language writes this number.
Imports nothing of the program.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("languages")
SAMPLE = "-1,234.5"  # how numbers are written: minus, between groups of digits, decimals
ENGLISH_SAMPLE = "\N{MINUS SIGN}1,234.5"
NUMERAL = re.compile(r"[-+\u2212]?\d[\d,]*(\.\d+)?( (s|ms|MB|GB|kHz|fps|%))?")
PLACE = re.compile(r"{(\w+)(?::[^}]*)?}")  # {name} or {name:+.1f}
LEAST_WORDS = 1  # of three letters or more that make a pattern; fewer would fit anything


@dataclass(frozen=True)
class Language:
    """One table of texts.

    Attributes:
        code: ISO 639-1, e.g. ``de``.
        table: English text → translation; with the same ``{names}`` in braces, where
            ``{name:+.1f}`` is a number in this language.
    """

    code: str = "en"
    table: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, text: str, **values: object) -> str:
        """The text in this language, with its ``{names}`` filled in.

        A text that comes filled in, as the sentence of an error, is recognized by its pattern.
        """
        if values:
            return _Filler(self).vformat(self.table.get(text, text), (), values)
        if text in self.table or not self.table:
            return self.table.get(text, text)
        return self._numerals(text) if NUMERAL.fullmatch(text) else self._by_pattern(text)

    def number(self, value: float, how: str = ".1f") -> str:
        """A number as this language writes it.

        Args:
            value: any number.
            how: Python's format specification, e.g. ``+.2f`` or ``,``.
        """
        return self._numerals(format(value, how))

    def _numerals(self, text: str) -> str:
        written = self.table.get(SAMPLE, ENGLISH_SAMPLE)
        return text.translate(str.maketrans("-,.", written[0] + written[2] + written[-2]))

    def _by_pattern(self, text: str) -> str:
        for pattern, translated in _patterns(self.code):
            if match := pattern.fullmatch(text):
                parts = {name: self(part) for name, part in match.groupdict().items()}
                return translated.format(**parts)
        return text


class _Filler(string.Formatter):
    """Fills in ``{names}``; those with a format are numbers of a language."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def format_field(self, value: object, format_spec: str) -> str:
        if format_spec and isinstance(value, int | float):
            return self._language.number(value, format_spec)
        return str(value)


ENGLISH = Language()


@cache
def _patterns(code: str) -> Sequence[tuple[re.Pattern[str], str]]:
    """What sentences with ``{names}`` look like when they are filled in, and their translation.

    Those with more words of their own come first: "{n} images" would fit much else.
    """
    made, table = [], languages()[code].table
    for text in sorted(table, key=lambda text: -len(PLACE.sub("", text))):
        parts = PLACE.split(text)  # texts and names by turns
        if len(parts) > 1 and len(re.findall(r"\w{3,}", "".join(parts[::2]))) >= LEAST_WORDS:
            fixed, named = map(re.escape, parts[::2]), parts[1::2]
            pattern = next(fixed) + "".join(
                f"(?P<{name}>.+?){rest}" for name, rest in zip(named, fixed, strict=True)
            )
            made.append((re.compile(pattern), PLACE.sub(r"{\1}", table[text])))
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
