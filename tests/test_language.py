"""Claims about the tables of languages: what every visitor reads is in each of them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest
from gradio.i18n import I18nData

import analysis
import app
from detectors.base import REASONS
from detectors.registry import roles
from detectors.trial import SENTENCES
from errors import UserError
from hub import catalog
from hub.checkpoint import Card
from hub.configs import WrongTask
from hub.remote import Cached
from hub.role import Role, Task
from hub.store import resolve
from media.provenance.mark import unsigned
from report.checkpoints import (
    cache_table,
    catalog_table,
    checkpoint_facts,
    side_by_side,
    source_facts,
    what_it_sees,
)
from report.language import ENGLISH, SAMPLE, Language, languages
from report.quality import quality
from report.render import ROOM, answer, environment, glossary, over_time, to_html
from report.words import sentence
from tests.conftest import ROOT
from tests.made_analysis import made_analysis, made_image
from tests.test_refusals import CARD
from training.cards.page import PAGES
from ui import texts
from verdict.fusion import fusion_parameters

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


# ------------------------------------------------------------------ why something is refused

ROOMS = ("detectors", "hub", "media", "report", "ui")  # of what a visitor's click may run
FILES = ("analysis.py", "errors.py", "stop.py", "evaluation/calibrate.py")
FOR_OPERATORS = {  # those who call, deploy and publish read English
    "ui/api.py", "ui/agents.py", "hub/publish.py", "hub/space.py", "hub/spacefile.py",
    "hub/convert.py",
}  # fmt: skip
REFUSING = {"UserError": 1, "Reason": 1, "WrongTask": 1, "refuse": 0}  # which argument is said
UNSAID = {"7", "7 7"}  # sentences that were made elsewhere


def refusals() -> dict[str, str]:
    """Every sentence with which a visitor is refused, a 7 in each gap, and its file."""
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    paths += [ROOT / name for name in FILES]
    names = [str(path.relative_to(ROOT)) for path in paths]
    return {
        text: name
        for name in names
        if name not in FOR_OPERATORS
        for node in ast.walk(ast.parse((ROOT / name).read_text("utf-8")))
        for text in _refusal(node, name)
    }


def _refusal(node: ast.AST, name: str) -> Iterator[str]:
    """The sentence of a call that refuses, or of the variable that holds it."""
    if isinstance(node, ast.Call):
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        place = REFUSING.get(called, len(node.args))
        if place < len(node.args):
            yield from _filled(node.args[place], name)
    elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "sentence":
        yield from _filled(node.value, name)


def _filled(node: ast.AST, name: str) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(map(partial(_part, name=name), node.values))
    elif isinstance(node, ast.IfExp):
        yield from (*_filled(node.body, name), *_filled(node.orelse, name))


def _part(node: ast.AST, name: str) -> str:
    """A piece of a text: what it is, if it is the same each time."""
    if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name):
        value = getattr(import_module(name[:-3].replace("/", ".")), node.value.id, None)
        return value if isinstance(value, str) else "7"
    return str(node.value) if isinstance(node, ast.Constant) else "7"


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
def test_every_refusal_is_said_in_the_language(language):
    sentences = refusals()
    assert len(sentences) > 120
    sentences |= dict.fromkeys((*REASONS.values(), *SENTENCES.values()), "a table")
    lacking = {
        text: sentences[text] for text in sentences if text not in UNSAID and language(text) == text
    }
    assert lacking == {}


FILLED = (  # sentences with words in their gaps, as they come
    "a/b is not in the cache, and the Hub could not be reached. Go online once, or download the "
    "repository elsewhere and give its folder.",
    "a/b is not in the cache, and HF_HUB_OFFLINE forbids any download. Go online once, or download "
    "the repository elsewhere and give its folder.",
    "The log-odds of “Picture of the face” (Face A) differ. Before: +1.2. Now: no number.",
    "face, 30 % margin, 224 px, one picture at a time",
    "mouth, 96 px, 75 pictures at a time",
)


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
@pytest.mark.parametrize("text", FILLED)
def test_what_fills_a_gap_is_translated_too(language, text):
    english = set(re.findall(r"[a-zA-Z]{4,}", text)) - {"HF_HUB_OFFLINE", "odds"}
    left = english & set(re.findall(r"[a-zA-Z]{4,}", language(text)))
    assert left - {"OFFLINE", "repository"} == set()


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
def test_a_checkpoint_for_another_detector_is_refused_in_one_language(language, monkeypatch):
    def wrong(*_: object, **__: object) -> None:
        raise WrongTask(
            Task.VIDEO, "a/b is a video classifier (x), and spatial takes a picture classifier."
        )

    monkeypatch.setattr(analysis, "resolve", wrong)
    with pytest.raises(UserError) as why:
        analysis.checkpoint_for("spatial", analysis.Settings())
    assert not re.search("picture|Choose", language(why.value.sentence))


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
@pytest.mark.parametrize(
    "change", [{"size_px": 4}, {"margin": "x"}, {"votes": 3}, {"mean": [1]}, {"frames": 0}]
)
def test_what_a_card_should_have_said_is_no_half_translated_sentence(language, change):
    with pytest.raises(UserError) as why:
        Card.from_json(json.dumps(CARD | change))
    assert not is_english(language(why.value.sentence).replace("got", "the"))


# ------------------------------------------------------------------ how numbers are written

DECIMALS = re.compile(r"\d\.\d|[^\w-]-\d")  # an English decimal, or a hyphen for a minus
NO_NUMBERS = (  # names, versions and numbers of papers that have a point or a hyphen
    r"arXiv:[\d.]+|wav2vec 2\.0|Apache-2\.0|CC[- ]BY[-\w ]*[\d.]+|[\w./-]+@[\w.-]+|[\w-]+/[\w.-]+"
)


def english_numbers(*pages: str, names: Iterable[str] = ()) -> list[str]:
    """Texts of pages with a number as English writes it, outside of names."""
    left = "|".join((NO_NUMBERS, *map(re.escape, names)))
    texts = [
        re.sub(left, "", text, flags=re.IGNORECASE) for page in pages for text in texts_of(page)
    ]
    return [text for text in texts if DECIMALS.search(text)]


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
@pytest.mark.parametrize("made", [made_analysis, made_image])
def test_no_english_number_is_on_the_page_of_a_result_or_in_its_report(made, language):
    result = made()
    measured = [replace(f, measures={"lag_ms": -40.5, "mouth": 0.25}) for f in result.findings]
    result = replace(result, findings=tuple(measured))
    names = {result.name, *result.versions.values()}
    pages = [make(result, language) for make in (answer, over_time, to_html)]
    assert english_numbers(*pages, names=names) == []
    assert len(english_numbers(answer(result), names=names)) > 3  # English ones are noticed


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
def test_no_english_number_is_in_what_is_said_of_checkpoints_and_of_quality(language):
    both = replace(made_analysis(), checkpoints={"spatial": "owner/one"})
    cached = cache_table([Cached("a/b", "0" * 40, 1_400_000, Path())], language, 12.5)
    facts = [source_facts(source, language) for source in catalog.search("")]
    cards = [embedded_facts(role, language) for role in roles() if not role.empty]
    compared = side_by_side("spatial", (both, both), language)
    pages = (quality(language), cached, compared, *facts, *cards)
    assert english_numbers(*pages) == []
    assert english_numbers(quality(), cache_table([], freed_mb=12.5))


def embedded_facts(role: Role, language: Language) -> str:
    """What is said of the checkpoint that comes with the program, but for its author's words."""
    checkpoint = resolve(None, role)
    card = checkpoint.card
    claims = {"title": "", "limits": (), "trained_on": (), "labels_known_by": ""}
    figures = tuple({**figure, "name": "", "protocol": ""} for figure in card.figures)
    fitted = replace(card.calibration, fitted_on="") if card.calibration else None
    card = replace(card, **claims, figures=figures, calibration=fitted)
    return checkpoint_facts(replace(checkpoint, card=card), language)


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
def test_a_sentence_that_comes_filled_in_gets_its_numbers_in_the_language_too(language):
    filled = "The file promises 12.5 s but ends after 3.0 s: it may be cut off."
    assert language.number(12.5) in language(filled)
    assert language("-1,234.5") == language.number(-1234.5, ",.1f") == language.table[SAMPLE]


# ------------------------------------------------------------------ nothing English is left

WORDS = re.compile(r"\b(the|and|with|that|which|from|this|its|is|are|of|not)\b", re.IGNORECASE)
NAMES = r"Deepfake Detection that Generalizes Across Benchmarks|In-the-Wild"  # of a paper, of a set
SPOKEN = ("aria-label", "alt", "title", "data-large", "data-kind")  # attributes with words
PROPS = ("label", "info", "placeholder", "value", "choices", "headers")  # of components


class _Texts(HTMLParser):
    """Collects what a person reads or hears."""

    def __init__(self):
        super().__init__()
        self.texts, self._silent = [], 0

    def handle_starttag(self, tag, attrs):
        self._silent += tag in ("style", "code")
        self.texts += [value for name, value in attrs if name in SPOKEN and value]

    def handle_endtag(self, tag):
        self._silent -= tag in ("style", "code")

    def handle_data(self, data):
        if not self._silent:
            self.texts.append(data)


def texts_of(page: str) -> list[str]:
    """What a person reads or hears of a page."""
    reader = _Texts()
    reader.feed(page)
    return reader.texts


def english_in(*pages: str) -> list[str]:
    texts = dict.fromkeys(text for page in pages for text in texts_of(page))
    return [text for text in texts if is_english(text)]


def is_english(text: str) -> bool:
    return bool(WORDS.search(re.sub(NAMES, "", text)))


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
@pytest.mark.parametrize("made", [made_analysis, made_image])
def test_no_english_sentence_is_on_the_page_of_a_result_or_in_its_report(made, language):
    result = made()
    mark = unsigned("XMP: credit", "it was made with Google's AI", True)
    result = replace(result, provenance=replace(result.provenance, marks=(mark,)))
    parameters = replace(result.verdict.parameters, fitted_on=fusion_parameters().fitted_on)
    result = replace(result, verdict=replace(result.verdict, parameters=parameters))
    pages = [make(result, language) for make in (answer, over_time, to_html)]
    assert english_in(*pages) == []
    assert english_in(answer(result))  # English ones would be noticed


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
def test_no_english_sentence_is_in_what_checkpoints_and_comparisons_say(language):
    both = replace(made_analysis(), checkpoints={"spatial": "owner/one"})
    table = catalog_table(catalog.search(""), language)
    names = [(source.title, source.architecture) for source in catalog.search("")]
    cells = [cell for row in table["data"] for cell in row if cell not in sum(names, ())]
    facts = [source_facts(source, language) for source in catalog.search("")]
    facts += [embedded_facts(role, language) for role in roles() if not role.empty]
    assert english_in(side_by_side("spatial", (both, both), language)) == []
    assert [cell for cell in (*table["headers"], *cells) if is_english(cell)] == []
    left = {text for pair in names for text in pair}
    assert [text for text in english_in(*facts) if text not in left] == []


def shown_by(block: dict, language) -> Iterator[str]:
    """Texts of a component as a browser shows them in a language."""

    def words(value) -> Iterator[str]:
        if isinstance(value, str | I18nData):
            text = str(value)
            match = re.search(r"__i18n__(\{.*?\})", text)
            if match:
                translated = language(json.loads(match[1])["key"])
                text = text[: match.start()] + translated + text[match.end() :]
            yield text
        elif isinstance(value, list | tuple):
            for one in value:
                yield from words(one)

    for name in PROPS:
        value = block["props"].get(name)
        if name == "choices":
            value = [choice[0] for choice in value or ()]
        if not (name == "value" and block["type"] in ("radio", "dataframe")):
            yield from words(value)


@pytest.mark.parametrize("language", FOREIGN, ids=lambda language: language.code)
def test_no_english_sentence_is_on_any_tab(language, monkeypatch):
    monkeypatch.setattr(texts, "ENGLISH", language)  # what `written` fills in at first
    blocks = app.build().get_config_file()["components"]
    cards = [path.read_text("utf-8") for path in catalog.DEFAULTS.glob("*/README.md")]
    read = [text for block in blocks for text in shown_by(block, language)]
    assert len(read) > 100
    left = [text for text in english_in(*read) if not any(text in card for card in cards)]
    assert left == []
