"""Does the report say what the analysis holds, in words and images that can be checked?"""

from __future__ import annotations

import ast
import json
import math
import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import av
import jsonschema
import numpy as np
import pytest

from detectors.base import WindowScore
from detectors.exhibits import Axis, Curve
from detectors.registry import role_of
from errors import UserError
from hub.store import resolve
from media.clip import Clip
from media.nursery import _limit
from media.windows import Stretch
from report import (
    captions,
    checkpoints,
    draw,
    export,
    feedback,
    language,
    plots,
    quality,
    render,
    replay,
    schema,
    video,
    view,
    words,
)
from report import timeline as timelines
from report.details import details
from report.faces import overlay
from report.render import glossary
from report.roles import title
from report.words import support
from tests.conftest import ROOT
from tests.made_analysis import (
    DURATION_S,
    NUMBERS,
    SIZE_WH,
    drawn_image,
    face_image,
    finding,
    made_analysis,
    made_image,
    no_finding,
)
from verdict.fusion import fuse
from verdict.levels import ENFSI, Level
from verdict.reference import Reference

CASES = {"two people": made_analysis, "nothing assessable": made_image}


@pytest.fixture(params=CASES, ids=list(CASES))
def analysis(request):
    return CASES[request.param]()


# ------------------------------------------------------------------ JSON


def test_the_schema_is_itself_valid():
    jsonschema.Draft202012Validator.check_schema(export.schema())


def test_json_keeps_to_its_published_schema(analysis):
    jsonschema.Draft202012Validator(export.schema()).validate(json.loads(export.to_text(analysis)))


def test_intercept_and_contributions_add_up_to_the_verdict():
    verdict = export.to_json(made_analysis())["verdict"]
    total = verdict["intercept"] + math.fsum(verdict["contributions"].values())
    assert total == pytest.approx(verdict["log_odds"], abs=1e-6)
    assert verdict["prior_log_odds"] == verdict["intercept"]  # its name before 1.7


def test_the_published_schema_is_the_one_that_the_models_generate():
    assert export.schema() == schema.generated()


def test_a_report_is_dated():
    assert export.to_json(made_analysis())["analyzed_at"] == "2026-01-02T03:04:05+00:00"


def test_a_measure_that_is_not_a_number_becomes_null():
    result = made_analysis()
    strange = replace(result.findings[0], measures={"lag_ms": float("nan")})
    result = replace(result, findings=(strange, *result.findings[1:]))
    assert json.loads(export.to_text(result))["findings"][0]["measures"] == {"lag_ms": None}


# ------------------------------------------------------------------ words


def test_no_word_calls_a_file_fake_or_authentic():
    sentences = " ".join(assessment.meaning for assessment in words.STYLES.values()).lower()
    assert not re.search(r"\b(is fake|authentic)\b", sentences)
    assert set(words.STYLES) == set(tuple(Level))


def test_levels_differ_in_line_or_sign_not_only_in_color():
    shapes = [(assessment.dash, assessment.sign) for assessment in words.STYLES.values()]
    assert len(set(shapes)) == len(shapes)


def test_writing_on_a_level_has_enough_contrast():
    def light(color):
        parts = [c / 255 for c in draw.rgb(color)]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))

    for assessment in words.STYLES.values():
        pale, dark = sorted((light(assessment.color), light(assessment.ink)), reverse=True)
        assert (pale + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("value", "text"), [(0.2, "0.2 s"), (59.97, "59.9 s"), (60.0, "1:00.0"), (125.25, "2:05.2")]
)
def test_moments_read_as_a_clock(value, text):
    assert words.clock(value) == text


def test_no_probability_is_ever_certain():
    assert words.percent(1.0) == "99 %"
    assert words.percent(0.0) == "1 %"


def test_the_unit_of_a_measure_comes_from_its_name():
    assert words.measure("lag_ms", -80.0) == "lag: −80 ms"
    assert words.measure("cosine_at_-40_ms", 0.25) == "cosine at −40 ms: 0.25"
    german = language.languages()["de"]
    assert words.measure("cosine_at_-40_ms", 0.25, german) == "Kosinus bei −40 ms: 0,25"
    assert words.measure("pictures", 8.0) == "pictures: 8"


# ------------------------------------------------------------------ images


def test_marking_leaves_the_image_as_it_was():
    result = made_analysis()
    before = result.keyframes[0].image.copy()
    drawn = draw.annotated(result, result.keyframes[0])
    assert np.array_equal(result.keyframes[0].image, before)
    assert drawn.shape == before.shape
    assert not np.array_equal(drawn, before)


def test_name_plates_do_not_cover_each_other():
    boxes = {"Face A": np.float32([100, 100, 160, 200]), "Face B": np.float32([150, 105, 210, 205])}
    taken = []
    for box in boxes.values():
        taken.append(draw._free_place(box, (120, 30), (640, 360), taken))
    assert not draw._overlap(*taken)


def test_a_heatmap_lands_on_the_part_of_the_face_it_belongs_to():
    values = np.zeros((6, 6), np.float32)
    values[2, 1] = 5.0
    gray = np.full((224, 224, 3), 128, np.uint8)
    changed = draw.heat_on_image(gray, values) != gray
    rows, columns = np.nonzero(changed.any(-1))
    expected = (1.5 / 6 * 224, 2.5 / 6 * 224)
    assert np.abs(np.array([columns.mean(), rows.mean()]) - expected).max() < 2


def test_the_heatmap_scale_is_symmetric_and_white_at_nothing():
    low, middle, high = draw.heat_colors(np.array([-2.0, 0.0, 2.0]), 2.0)
    assert tuple(middle) == (255, 255, 255)
    assert tuple(low) == draw.rgb(words.AGAINST)
    assert tuple(high) == draw.rgb(words.FOR)


# ------------------------------------------------------------------ timeline


def test_a_row_lies_where_its_windows_are():
    line = timelines.timeline(made_analysis())
    assert line is not None
    first = line.rows[0]
    assert [(cell.left, cell.width) for cell in first.cells] == [(0.0, 50.0), (50.0, 50.0)]
    assert [cell.side for cell in first.cells] == ["for", "for"]
    assert line.stops == pytest.approx((0.0, 3.0), abs=0.01)


def test_a_row_without_a_number_says_why():
    line = timelines.timeline(made_analysis())
    assert line is not None
    silent = [row for row in line.rows if row.note]
    assert any("off screen" in row.note for row in silent)


def test_a_number_that_is_not_counted_is_drawn_differently():
    line = timelines.timeline(made_analysis())
    assert line is not None
    assert {row.counted for row in line.rows if row.cells} == {True, False}


def test_a_number_is_written_only_where_its_bar_is_wide_enough():
    result = made_analysis()
    for duration_s, kind in ((6.0, ""), (30.0, " slim"), (60.0, " narrow")):
        text = render.over_time(replace(result, duration_s=duration_s))
        assert set(re.findall(r'class="cell (?:for|against)([^"]*)"', text)) == {kind}


def test_a_clip_without_a_face_says_so_once_and_not_in_every_row():
    findings = tuple(no_finding(name, None, "no_face") for name in ("spatial", "temporal", "sync"))
    result = replace(made_analysis(), findings=findings, people=())
    line = timelines.timeline(replace(result, verdict=fuse(findings, image=False, numbers=NUMBERS)))
    assert line is not None and [row.title for row in line.rows] == ["Speech"]


def test_an_image_has_no_timeline():
    assert timelines.timeline(made_image()) is None


def test_ticks_are_few_and_round():
    for duration_s in (0.4, 3, 12, 95, 3600, 9000):
        ticks = timelines._ticks(duration_s, language.ENGLISH)
        assert 1 <= len(ticks) <= timelines.MOST_TICKS + 1


# ------------------------------------------------------------------ view


def test_a_number_without_a_vote_is_nowhere_called_counted():
    result = made_analysis()
    silent = next(f for f in result.findings if f.status == "counted" and f.value is not None)
    opinion = result.verdict.opinion
    left = {n: v for n, v in opinion.contributions.items() if n != silent.detector}
    opinion = replace(opinion, contributions=left)
    result = replace(result, verdict=replace(result.verdict, opinion=opinion, people=(opinion,)))
    observed = view.view(result)
    card = next(c for c in observed.cards if c.title == title(silent.detector))
    assert not card.counted and card.weight == "no vote"
    rows = [row for row in timelines.timeline(result).rows if row.title == title(silent.detector)]
    assert rows and not any(row.counted for row in rows)


def test_a_sum_of_exactly_nothing_is_a_number_and_not_a_dash():
    result = made_analysis()
    first, second = result.verdict.people
    people = (replace(first, log_odds=0.0), replace(second, log_odds=None))
    folded = details(replace(result, verdict=replace(result.verdict, people=people)))
    assert [total for _, _, total in folded.people] == [words.signed(0.0), "–"]


def test_level_sentence_and_probability_say_the_same():
    observed = view.view(made_analysis())
    assert observed.level == "Some signs"
    assert observed.reason.startswith("Single pictures of the face look manipulated")
    assert observed.support.endswith("support for manipulation")
    assert "in manipulated files" in observed.ratio
    assert observed.probability is not None and int(observed.probability.split()[0]) > 50


@pytest.mark.parametrize("value", [-8.0, -1.9, -1.4, -0.4, 0.0, 0.4, 1.2, 1.9, 3.0, 8.0])
def test_level_reason_scale_probability_and_sentences_lean_to_one_side(value):
    result = made_analysis()
    one = finding("spatial", "Face A", (value, value))
    verdict = fuse([one], image=False, numbers=NUMBERS)
    result = replace(result, findings=(one,), verdict=verdict)
    observed = view.view(result)
    text = " ".join((observed.reason, *observed.sentences))
    assert observed.probability is not None
    percent = int(observed.probability.split()[0])
    if "no support" in observed.support:
        assert 34 <= percent <= 66
        assert "too weak to favor a side" in text and "leans this way" not in text
        assert "about equally often" in observed.ratio
        return
    assert (percent > 50) == ("for manipulation" in observed.support)
    assert "too weak to favor" not in text and "Neither side" not in text
    if observed.level == "Inconclusive":
        side = "to manipulation" if percent > 50 else "to a real file"
        assert f"The evidence leans {side}" in observed.reason


def test_one_number_stands_in_the_open_and_the_ratio_in_its_tooltip_and_in_details():
    text = render.answer(made_analysis())
    verdict, folded = text.split("</section>")[0], text.split('class="folded"')[1]
    assert "log₁₀ LR" in folded
    tips = re.compile(r'<span class="tip".*?</span>', re.S)
    assert "log₁₀ LR" in verdict and "log₁₀ LR" not in tips.sub("", verdict)
    assert len(re.findall(r"\d+ %", tips.sub("", re.sub(r"<[^>]*style=[^>]*>", "", verdict)))) == 1


def test_every_term_of_the_glossary_is_explained_where_it_is_read():
    result = made_analysis()
    opinion = replace(result.verdict.opinion, unfamiliar=True)
    verdict = replace(result.verdict, opinion=opinion)
    result = replace(
        result, verdict=verdict, references=(Reference("a.mp4", "cd" * 32, "Inconclusive", {}),)
    )
    text = render.answer(result) + render.over_time(result)
    tips = " ".join(re.findall(r'role="tooltip">(.*?)</span>', text, re.S))
    assert [name for name, words in glossary().items() if escape(words) not in tips] == []


def test_detectors_without_a_vote_or_a_checkpoint_are_not_among_those_that_could_judge():
    result = made_analysis()
    empty = no_finding("voice", None, "no_audio")  # of which none comes with the program
    result = replace(result, findings=(*result.findings, finding("mouth", "Face A", (1.0,)), empty))
    numbers = replace(result.verdict.parameters, weights={"spatial": 0.6, "sync": 0.5, "voice": 1})
    result = replace(result, verdict=fuse(result.findings, image=False, numbers=numbers))
    assert "Of 2 detectors that vote, 2 could judge it." in view.view(result).sentences


def test_a_detector_goes_by_one_name_wherever_people_read():
    result = made_analysis()
    text = re.sub(r"<style>.*?</style>|data:image[^\"]+", "", render.to_html(result), flags=re.S)
    text = re.sub(r"[\w/]+@[0-9a-f]{12}", "", text)  # names of checkpoints
    text += " ".join((*result.explanation, *result.warnings, *result.verdict.against))
    for name in ("spatial", "temporal", "frequency", "landmarks", "sync"):
        assert not re.search(rf"\b{name}\b", text), name
        assert escape(f"“{title(name)}”") in text


def test_a_level_that_does_not_follow_the_sum_comes_without_a_number():
    result = made_analysis()
    opinion = replace(result.verdict.opinion, level="Inconclusive")
    result = replace(result, verdict=replace(result.verdict, opinion=opinion, unstable=True))
    observed = view.view(result)
    assert observed.gauge is None and observed.probability is None and observed.ratio == ""
    assert "re-encoding" in observed.reason


def test_what_is_counted_against_is_said_once_and_in_both_places():
    observed = view.view(made_analysis())
    against = [card for card in observed.cards if card.counted and card.side == "against"]
    quiet = "Nothing that was counted speaks for the other side."
    elsewhere = (
        "Other ways to fake a file were looked for and not found; that does not clear this one."
    )
    untouched = [card for card in observed.cards if "says little about other ways" in card.says]
    assert (quiet in observed.sentences) == (not against and not untouched)
    assert (elsewhere in observed.sentences) == (not against and bool(untouched))


def test_how_the_evidence_adds_up_is_a_card_and_its_weights_are_folded():
    text = render.answer(made_analysis())
    shown, folded = text.split('class="folded"')
    assert "How the evidence adds up" in shown and "Start of every sum" in shown
    assert not re.search(r"× \d", shown) and re.search(r"× \d", folded)


def test_what_counts_what_does_not_and_who_could_not_judge_stand_apart():
    text = render.answer(made_analysis())
    result = made_image()
    assert text.index(">Evidence<") < text.index("Motion of the face") < text.index("Shown, not")
    assert text.index("Shown, not") < text.index("Fine detail and spectrum")
    assert ">Evidence<" not in (silent := render.answer(result)) and "Could not judge" in silent
    assert view.view(result).reason == "No face was found."


def test_at_most_three_sentences_and_no_code_word_are_read_first(analysis):
    observed = view.view(analysis)
    assert len(observed.sentences) <= 3
    first = " ".join((observed.reason, observed.support, *observed.sentences)).lower()
    for word in ("devset", "spatial", "log-odds", "prior", "landmarks"):
        assert word not in first


@pytest.mark.parametrize("value", [-9.0, -1.0, 0.0, 1.0, 2.0, 9.0])
def test_the_needle_stands_in_the_zone_of_its_level(value):
    limits = made_analysis().verdict.thresholds
    place = view.gauge_place(value, limits)
    zone = min(3, int(place // 25))
    assert view.GAUGE_LEVELS[zone] == limits.level_of(value)


@pytest.mark.parametrize(
    ("heatmap", "confirmed", "note"),
    [
        (np.full((6, 6), 0.4, np.float32), True, "no part of the face stands out"),
        (np.eye(6, dtype=np.float32), False, "blurring the part it points at"),
    ],
)
def test_a_heatmap_that_would_mislead_is_not_shown_and_a_sentence_says_why(
    heatmap, confirmed, note
):
    result = made_analysis()
    first = replace(result.findings[0], image=face_image(heatmap, confirmed))
    result = replace(result, findings=(first, *result.findings[1:]))
    card = view.view(result).cards[0]
    assert card.figure is not None and len(card.figure.images) == 1
    assert note in card.note


def test_a_heatmap_that_holds_stands_beside_its_image():
    card = view.view(made_analysis()).cards[0]
    assert card.figure is not None and len(card.figure.images) == 2
    assert card.note == ""


# ------------------------------------------------------------------ drawings


def drawn(name: str, number: int = 0) -> plots.Plot:
    result = made_analysis()
    card = next(c for c in view.view(result).cards if c.title == title(name))
    assert card.figure is not None
    return card.figure.plots[number]


def test_the_lag_curve_says_by_how_much_lips_and_voice_are_apart():
    plot = drawn("sync")
    assert plot.best is not None and plot.zone is not None
    middle = plot.zone[0] + plot.zone[1] / 2
    assert middle == pytest.approx(plots.WIDTH / 2, abs=0.2)  # lag 0
    assert plot.best[1] == "+120 ms"
    assert middle < plot.best[0] < plot.zone[0] + plot.zone[1]  # late, but as recordings are
    assert "best at +120 ms, with 0.40; 0.15 unmoved" in plot.words


def test_lips_and_voice_are_drawn_from_moment_to_moment_where_they_part():
    plot = drawn("sync", 1)
    (lane,) = plot.lanes
    assert len(lane.lines) == len(lane.marks) == 2
    assert "Weakest agreement: 2.9 s, 4.0 s." in plot.words
    assert plot.caption.endswith("marks: weakest agreement.")


def test_the_spectrum_is_held_against_those_of_real_faces():
    plot = drawn("frequency")
    assert plot.lanes[0].band and plot.lanes[0].middle
    assert "81 % of it lies where real faces lie" in plot.words  # 42 of 52 radii


def test_mouth_and_lids_are_drawn_window_by_window_with_the_blink():
    plot = drawn("landmarks")
    mouth, lids = plot.lanes
    assert len(mouth.lines) == len(lids.lines) == 2
    assert len(lids.marks) == 1 and mouth.marks == ()
    assert plot.seams == pytest.approx([plots.WIDTH / 2])
    assert [words for _, words in plot.ticks] == ["0.0 s", "3.0 s"]
    assert "Blinks: 1.4 s." in plot.words


def test_a_long_clip_shows_its_strongest_windows_in_their_order():
    result = made_analysis()
    windows = tuple(WindowScore(s, s + 3, s % 5, None) for s in range(0, 60, 3))
    times = [np.arange(75) / 25 + w.start_s for w in windows]
    curves = tuple(Curve("opening of the mouth", Axis.TIME_S, t, t % 1) for t in times)
    long = next(f for f in result.findings if f.detector == "landmarks")
    (plot,) = plots.plots(replace(long, windows=windows, curves=curves))
    assert len(plot.lanes[0].lines) == plots.MOST_WINDOWS
    assert [words for _, words in plot.ticks] == ["9.0 s", "24.0 s", "39.0 s", "54.0 s"]


def test_every_drawing_keeps_inside_of_itself_and_has_words():
    for name, number in (("sync", 0), ("sync", 1), ("frequency", 0), ("landmarks", 0)):
        plot = drawn(name, number)
        for lane in plot.lanes:
            for pair in (p for line in lane.lines for p in line.split()):
                x, y = map(float, pair.split(","))
                assert 0 <= x <= plots.WIDTH and lane.top <= y <= plot.height
        assert plot.words and plot.caption


def test_the_names_of_all_curves_are_said_in_german():
    german = language.languages()["de"].table
    assert {c.name for f in made_analysis().findings for c in f.curves} <= set(german)


def test_a_lag_that_could_not_be_compared_breaks_the_line():
    sync = next(f for f in made_analysis().findings if f.curves)
    curve = sync.curves[0]
    holes = curve.y.copy()
    holes[[0, 10]] = np.nan
    (plot,) = plots.plots(replace(sync, curves=(replace(curve, y=holes),)))
    assert len(plot.lanes[0].lines) == 2


def test_boxes_for_the_player_lie_inside_the_image():
    sent = overlay(made_analysis())
    assert [face["key"] for face in sent["faces"]] == ["some", "none"]
    for face in sent["faces"]:
        for time_s, *box in face["tracks"][0]:
            assert 0 <= time_s <= DURATION_S
            assert all(0 <= side <= 1 for side in box)
    assert len(sent["faces"][0]["tracks"][0]) <= DURATION_S * 10 + 2


# ------------------------------------------------------------------ captions


def test_each_examined_window_has_a_caption_with_its_strongest_numbers():
    result = captions.cues(made_analysis())
    assert [cue.start_s for cue in result] == pytest.approx([0.0, 3.0], abs=0.01)
    assert result[0].text.splitlines()[0].startswith("Face A: Picture of the face +3.1 · ")
    assert len(result[0].text.splitlines()) == 2  # Face B


def test_captions_are_webvtt_and_escaped():
    cue = captions.Cue(75.25, 3600.0, "a < b & c --> d")
    text = captions.to_vtt([cue])
    assert text.startswith("WEBVTT\n\n00:01:15.250 --> 01:00:00.000\n")
    assert text.endswith("a &lt; b &amp; c --&gt; d\n")


def test_captions_follow_a_video_that_shows_the_examined_stretches_only():
    all_cues = [captions.Cue(0.0, 3.0, "first"), captions.Cue(60.0, 63.0, "second")]
    cut = captions.cut_to(all_cues, (Stretch(0.0, 3.0), Stretch(60.0, 63.0)))
    assert [(c.start_s, c.stop_s, c.text) for c in cut] == [(0, 3, "first"), (3, 6, "second")]


def test_the_re_encoded_copy_differs_and_has_the_same_size():
    pair = draw.re_encoded_pair(made_analysis())
    assert pair is not None and pair[0].shape == pair[1].shape == (640, 640, 3)
    assert not np.array_equal(*pair)
    assert draw.re_encoded_pair(made_image()) is None


# ------------------------------------------------------------------ languages


def test_every_language_fills_in_the_same_names():
    for one in language.languages().values():
        for text, translated in one.table.items():
            names = re.findall(r"{(\w+)}", text)
            assert sorted(names) == sorted(re.findall(r"{(\w+)}", translated)), text


@pytest.mark.parametrize(
    ("ratio", "verbal"),
    [
        (1.9, "no support for either side"),
        (5.0, "weak support for manipulation"),
        (0.05, "moderate support for a real file"),
        (300.0, "moderately strong support for manipulation"),
        (5e3, "strong support for manipulation"),
        (1 / 5e4, "very strong support for a real file"),
        (2e6, "extremely strong support for manipulation"),
    ],
)
def test_the_verbal_scale_is_that_of_the_guideline_and_says_for_which_side(ratio, verbal):
    assert support(math.log(ratio)) == verbal
    assert f"log₁₀ LR {words.signed(math.log10(ratio))}" in words.ratio(math.log(ratio))


def test_the_sign_of_a_measure_is_a_minus_and_its_name_keeps_its_hyphen():
    german = language.languages()["de"]
    words_of = words.measure("strongest_image_log_odds", -1.5, german)
    assert words_of == "Log-Odds des stärksten Bilds: −1,5"


def test_every_step_of_the_verbal_scale_is_said_in_german():
    german = language.languages()["de"]
    words_of_steps = [
        support(sign * math.log(least * 1.1), german) for least, _ in ENFSI for sign in (1, -1)
    ]
    assert len(set(words_of_steps)) == 2 * len(ENFSI)
    assert not any("support" in words for words in words_of_steps)
    assert {step for _, step in ENFSI} <= set(german.table)


def texts_of_the_program() -> set[str]:
    """Every text that templates and code look up in a table."""
    looked_up = set()
    for path in (ROOT / "report" / "templates").glob("*.j2"):
        looked_up |= set(re.findall(r'\bt\("([^"]+)"', path.read_text("utf-8")))
        looked_up |= set(re.findall(r"\bt\('([^']+)'", path.read_text("utf-8")))
    rooms = (*(ROOT / "report").glob("*.py"), *(ROOT / "ui").glob("*.py"))
    for path in (ROOT / "verdict" / "explain.py", *rooms):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if called and node.func.id in ("language", "say", "label") and node.args:
                value = getattr(node.args[0], "value", None)
                looked_up |= {value} if isinstance(value, str) else set()
    return looked_up


def test_every_text_of_the_page_and_the_report_has_a_translation():
    lacking = texts_of_the_program() - set(language.languages()["de"].table)
    assert lacking == set()


def test_a_sentence_is_recognized_with_its_gaps_filled_in():
    german = language.languages()["de"]
    sentence = str(_limit(900).sentence)
    assert sentence.startswith("A part of the file took longer than the 15 minutes")
    assert german(sentence) == (
        "Ein Teil der Datei brauchte zum Lesen länger als die erlaubten 15 Minuten; sie ist "
        "beschädigt oder riesig."
    )
    assert german("There is no file called “a {b}.mp4”.") == "Es gibt keine Datei „a {b}.mp4“."
    assert german("Something that no table holds.") == "Something that no table holds."
    assert language.ENGLISH(sentence) == sentence


def test_a_browser_gets_the_first_language_that_there_is():
    assert language.preferred("fr-FR,de;q=0.8,en;q=0.5").code == "de"
    assert language.preferred("fr").code == "en"
    assert language.preferred(None).code == "en"


def test_a_german_result_has_no_english_level():
    german = language.languages()["de"]
    text = render.answer(made_analysis(), german)
    assert "Some signs" not in text
    assert german("Some signs") in text


# ------------------------------------------------------------------ how good it is


def test_every_figure_that_is_shown_is_a_row_of_its_card_and_said_in_german():
    german = language.languages()["de"].table
    for part, entries in quality.shown().items():
        assert entries, part
        for entry in entries:
            assert entry["figure"] in quality.measured(entry["detector"]), entry
            assert entry["what"] in german


def test_a_figure_reads_as_its_card_says():
    row = quality.measured("generation")["AUC, all"]
    text = quality.quality()
    assert f"{float(row['value']):.2f}" in text
    assert f"{float(row['low']):.2f} to {float(row['high']):.2f}" in text
    assert f"{int(row['n_fake']):,} fake against {int(row['n_real']):,} real" in text


# ------------------------------------------------------------------ page


class _Elements(HTMLParser):
    """Collects tags and addresses."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href") and v]


def test_the_page_stands_alone(analysis):
    observed = _Elements()
    observed.feed(render.to_html(analysis))
    assert "script" not in observed.tags
    assert all(address.startswith("data:image/") for address in observed.addresses)


def test_text_from_outside_is_escaped_everywhere():
    nasty = "<script>alert(1)</script>\"'>"
    result = made_analysis(nasty)
    result = replace(
        result,
        provenance=replace(result.provenance, facts={nasty: nasty}, notes=(nasty,)),
        findings=tuple(replace(f, checkpoint=nasty) for f in result.findings),
        checkpoints={"spatial": nasty},
        warnings=(nasty,),
    )
    assert "<script" not in render.to_html(result)


def test_the_page_says_when_with_what_and_for_which_case():
    text = render.to_html(made_analysis(), case="2026-117 <x>")
    for words_in_it in ("2026-01-02 03:04 UTC", "ab" * 32, "2026-117 &lt;x&gt;", "Calibrated on"):
        assert words_in_it in text


def test_nothing_identifies_anybody_without_a_case_number():
    assert "<dt>Case</dt>" not in render.to_html(made_analysis())


def test_nothing_calibrated_means_no_probability():
    observed = view.view(made_image())
    assert observed.probability is None
    assert observed.gauge is None


def test_both_checkpoints_stand_side_by_side():
    first, second = made_analysis(), made_analysis()
    second = replace(second, checkpoints={"spatial": "owner/other@ffff"})
    text = checkpoints.side_by_side("spatial", (first, second))
    assert "spatial@0123456789ab" in text
    assert "owner/other@ffff" in text


@pytest.mark.parametrize(
    ("detector", "words_of_vote"),
    [("generation", "counted in the verdict"), ("frequency", "no vote in the sum")],
)
def test_a_checkpoint_of_a_role_without_a_vote_is_not_said_to_be_counted(detector, words_of_vote):
    checkpoint = resolve("embedded", role_of(detector))
    assert words_of_vote in checkpoints.checkpoint_facts(checkpoint)


def test_a_wrong_answer_carries_no_name_and_no_metadata():
    text = feedback.wrong_answer(
        made_analysis("secret-name.mp4"), feedback.TRUTHS[0], "I filmed it"
    )
    assert "secret-name" not in text
    assert "h264" not in text
    assert "I filmed it" in text


# ------------------------------------------------------------------ replay


def test_a_report_holds_against_itself(tmp_path):
    stored = tmp_path / "report.json"
    stored.write_text(export.to_text(made_analysis()), "utf-8")
    report = replay.read_report(stored)
    assert replay.compare(report, made_analysis()) == ()
    assert replay.settings_of(report) == made_analysis().settings


def test_every_change_is_named():
    stored = export.to_json(made_analysis())
    fresh = made_analysis()
    changed = replace(fresh.findings[0], score=1.0, llr=1.0)
    fresh = replace(
        fresh,
        sha256="cd" * 32,
        checkpoints={"spatial": "spatial@ffffffffffff"},
        findings=(changed, *fresh.findings[1:]),
        settings=replace(fresh.settings, mode="thorough"),
    )
    kinds = {difference.what for difference in replay.compare(stored, fresh)}
    assert kinds == {"file", "checkpoint", "settings", "finding"}


def test_a_hub_checkpoint_is_replayed_at_its_revision():
    stored = export.to_json(made_analysis())
    stored["settings"]["checkpoints"] = {"spatial": "owner/repo"}
    stored["checkpoints"] = {"spatial": "owner/repo@0123456789ab"}
    assert replay.settings_of(stored).checkpoints == {"spatial": "owner/repo@0123456789ab"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": "1.0"}', "\x00"])
def test_a_file_that_is_no_report_is_refused_with_a_sentence(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError) as data:
        replay.read_report(path)
    assert data.value.code == "bad_report"


NO_NUMBERS = ("NaN", "-Infinity", "1e999", "9" * 5000)


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("verdict", "[]"), ("file", '"x"'), ("findings", "null"), ("findings", "[1]"),
        ("versions", "[]"), ("checkpoints", "null"), ("settings", "{}"), ("schema_version", "1"),
        ("references", "[1]"), ("report_sha256", "[]"), ("verdict.log_odds", "1" + "0" * 400),
        ("verdict.log_odds", "true"), ("settings.stability", '"yes"'),
        ("settings.mode", '"slow"'), ("rest", "[" * 900 + "]" * 900),
        ("rest", "[" * 100_000 + "]" * 100_000), ("rest", " " * replay.MOST_BYTES + "1"),
        *(("rest", number) for number in NO_NUMBERS),
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_what_somebody_sends_as_a_report_is_checked_before_the_analysis(tmp_path, where, what):
    report = export.to_json(made_analysis())
    part, *name = where.split(".")
    target = report[part] if name else report
    target[name[0] if name else part] = "HERE"
    path = tmp_path / "x.json"
    path.write_text(json.dumps(report).replace('"HERE"', what), "utf-8")
    with pytest.raises(UserError) as data:
        replay.read_report(path)
    assert data.value.code == "bad_report"


def test_a_report_of_an_earlier_format_with_other_fields_is_still_read(tmp_path):
    report = export.to_json(made_analysis()) | {"schema_version": "1.2", "rest": [[10**400]]}
    del report["references"], report["people"]
    path = tmp_path / "x.json"
    path.write_text(json.dumps(report), "utf-8")
    assert replay.settings_of(replay.read_report(path)) == made_analysis().settings
    assert replay.compare(replay.read_report(path), made_analysis())


# ------------------------------------------------------------------ video


@pytest.fixture(scope="module")
def drawn_clip(tmp_path_factory):
    from tests.conftest import write_clip

    moment = np.arange(0, DURATION_S, 1 / 16_000)
    audio = (0.3 * np.sin(2 * np.pi * 300 * moment) * (moment > 3)).astype(np.float32)
    images = [drawn_image(5 * math.sin(i / 10)) for i in range(150)]
    return write_clip(tmp_path_factory.mktemp("drawn") / "clip.mp4", images, audio=audio)


def test_the_annotated_video_keeps_length_images_and_audio(drawn_clip, tmp_path):
    target = video.write_video(made_analysis(), drawn_clip, tmp_path / "out.mp4")
    with Clip(target) as clip, Clip(drawn_clip) as before:
        assert clip.duration_s == pytest.approx(before.duration_s, abs=0.05)
        assert clip.size_wh == SIZE_WH
        assert clip.has_audio
        onset = np.argmax(np.abs(clip.audio(0, DURATION_S)) > 0.1) / 16_000
        assert onset == pytest.approx(3.0, abs=0.05)
        first = next(clip.frames(1.0))[1]
        plain = next(before.frames(1.0))[1]
    assert np.abs(first.astype(int) - plain).max() > 60
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_boxes_are_shown_only_while_a_face_was_followed():
    result = made_analysis()
    assert set(video.boxes_at(result, 2.013)) == {"Face A", "Face B"}
    assert video.boxes_at(result, DURATION_S + 1) == {}


def test_an_image_has_no_annotated_video(tmp_path):
    with pytest.raises(UserError):
        video.write_video(made_image(), "x.png", tmp_path / "out.mp4")


def test_every_term_of_the_glossary_is_explained_in_german():
    german = language.languages()["de"].table
    assert not [text for text in glossary().values() if text not in german]
