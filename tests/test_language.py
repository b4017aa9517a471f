"""Claims about the tables of languages: what every visitor reads is in each of them."""

from __future__ import annotations

import re

import pytest

from detectors.registry import roles
from report.checkpoints import what_it_sees
from report.language import ENGLISH, languages
from report.render import ROOM, environment, glossary
from report.words import sentence
from training.cards.page import PAGES

TEXT = re.compile(r"""\bt\((["'])((?:(?!\1).)+)\1""")  # t("…") in a template
READ = {*PAGES, "voice"}  # roles that this program wrote
FOREIGN = [language for language in languages().values() if language is not ENGLISH]


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
@pytest.mark.parametrize("role", roles(), ids=lambda role: role.name)
def test_what_a_detector_says_of_itself_is_translated_as_a_whole(language, role):
    texts = {role.title, role.question, role.phrase_for, role.phrase_against}
    texts.add(sentence(role.blind_to))
    missing = texts - set(language.table)
    assert missing in (set(), texts)  # a detector of a user's is not half translated
    assert not (missing and role.name in READ)
    assert missing or not [text for text in texts if text in what_it_sees(language)]


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
def test_the_glossary_is_translated(language):
    for text in glossary().values():
        assert text in language.table, text


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
@pytest.mark.parametrize("name", environment().list_templates())
def test_every_text_of_a_template_is_translated(language, name):
    source = (ROOM / "templates" / name).read_text("utf-8")
    for _, text in TEXT.findall(source):
        assert text in language.table, text
