"""Does the report say what the analysis holds, in words and pictures that can be checked?"""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import av
import jsonschema
import numpy as np
import pytest

from detectors.base import Heatmap
from errors import UserError
from media import align
from media.clip import Clip
from report import cards, draw, export, feedback, models, page, replay, timeline, video, words
from tests.made_analysis import DURATION_S, SIZE_WH, drawn_picture, made_analysis, made_picture
from verdict.fusion import LEVELS

CASES = {"two people": made_analysis, "nothing assessable": made_picture}


@pytest.fixture(params=CASES, ids=list(CASES))
def analysis(request):
    return CASES[request.param]()


# ------------------------------------------------------------------ JSON


def test_the_schema_is_itself_valid():
    jsonschema.Draft202012Validator.check_schema(export.schema())


def test_json_keeps_to_its_published_schema(analysis):
    jsonschema.Draft202012Validator(export.schema()).validate(json.loads(export.to_text(analysis)))


def test_prior_and_contributions_add_up_to_the_verdict():
    verdict = export.to_json(made_analysis())["verdict"]
    total = verdict["prior_log_odds"] + math.fsum(verdict["contributions"].values())
    assert total == pytest.approx(verdict["log_odds"], abs=1e-6)


def test_levels_in_the_schema_are_the_levels_of_the_verdict():
    assert tuple(export.schema()["properties"]["verdict"]["properties"]["level"]["enum"]) == LEVELS


def test_a_measure_that_is_not_a_number_becomes_null():
    found = made_analysis()
    strange = replace(found.findings[0], measures={"lag_ms": float("nan")})
    found = replace(found, findings=(strange, *found.findings[1:]))
    assert json.loads(export.to_text(found))["findings"][0]["measures"] == {"lag_ms": None}


# ------------------------------------------------------------------ words


def test_no_word_calls_a_file_fake_or_authentic():
    said = " ".join(look.meaning for look in words.LOOKS.values()).lower()
    assert not re.search(r"\b(is fake|authentic)\b", said)
    assert set(words.LOOKS) == set(LEVELS)


def test_levels_differ_in_line_or_sign_not_only_in_colour():
    shapes = [(look.dash, look.sign) for look in words.LOOKS.values()]
    assert len(set(shapes)) == len(shapes)


def test_writing_on_a_level_has_enough_contrast():
    def light(colour):
        parts = [c / 255 for c in draw.rgb(colour)]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))

    for look in words.LOOKS.values():
        pale, dark = sorted((light(look.colour), light(look.ink)), reverse=True)
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
    assert words.measure("pictures", 8.0) == "pictures: 8"


# ------------------------------------------------------------------ pictures


def test_marking_leaves_the_picture_as_it_was():
    found = made_analysis()
    before = found.keyframes[0].image.copy()
    drawn = draw.annotated(found, found.keyframes[0])
    assert np.array_equal(found.keyframes[0].image, before)
    assert drawn.shape == before.shape
    assert not np.array_equal(drawn, before)


def test_name_plates_do_not_cover_each_other():
    boxes = {"Face A": np.float32([100, 100, 160, 200]), "Face B": np.float32([150, 105, 210, 205])}
    taken = []
    for box in boxes.values():
        taken.append(draw._free_place(box, (120, 30), (640, 360), taken))
    assert not draw._overlap(*taken)


def test_a_heatmap_lands_on_the_part_of_the_face_it_belongs_to():
    found = made_analysis()
    landmarks = found.keyframes[0].faces["Face A"][1]
    values = np.zeros((6, 6), np.float32)
    values[2, 1] = 5.0
    grey = np.full((*SIZE_WH[::-1], 3), 128, np.uint8)
    changed = draw.heat_on_picture(grey, landmarks, Heatmap("Face A", 1.0, values)) != grey
    rows, columns = np.nonzero(changed.any(-1))
    part = np.array([[1.5 / 6 * align.TIGHT_PX, 2.5 / 6 * align.TIGHT_PX]])
    inverse = np.linalg.inv(np.vstack([draw.tight_matrix(landmarks), [0, 0, 1]]))[:2]
    (expected,) = align.move(part, inverse)
    assert abs(np.array([columns.mean(), rows.mean()]) - expected).max() < 2


def test_the_heatmap_scale_is_symmetric_and_white_at_nothing():
    low, middle, high = draw.heat_colours(np.array([-2.0, 0.0, 2.0]), 2.0)
    assert tuple(middle) == (255, 255, 255)
    assert tuple(low) == draw.rgb(words.AGAINST)
    assert tuple(high) == draw.rgb(words.FOR)


def test_a_strip_has_one_height():
    pictures = [drawn_picture(), drawn_picture()[:100]]
    assert draw.strip(pictures, 120).shape[0] == 120


# ------------------------------------------------------------------ timeline


def test_a_click_on_the_time_axis_is_the_moment_under_it():
    found = made_analysis()
    width = timeline.timeline(found).shape[1]
    begin, end = timeline.LEFT * width, timeline.RIGHT * width
    assert timeline.time_at(found, begin, width) == pytest.approx(0.0)
    assert timeline.time_at(found, (begin + end) / 2, width) == pytest.approx(DURATION_S / 2)
    assert timeline.time_at(found, end, width) == pytest.approx(DURATION_S)
    assert timeline.time_at(found, 10, width) is None


def test_a_picture_has_no_timeline():
    assert timeline.timeline(made_picture()) is None


def test_the_timeline_is_said_in_words_too():
    said = timeline.alt_text(made_analysis())
    for name in words.TITLES.values():
        assert name in said
    assert [m.time_s for m in timeline.moments(made_analysis())] == pytest.approx(
        [0.0, 3.0], abs=0.01
    )


# ------------------------------------------------------------------ page


class _Seen(HTMLParser):
    """Collects tags and addresses."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href") and v]


def test_the_page_stands_alone(analysis):
    seen = _Seen()
    seen.feed(page.to_html(analysis))
    assert "script" not in seen.tags
    assert all(address.startswith("data:image/") for address in seen.addresses)


def test_text_from_outside_is_escaped_everywhere():
    nasty = "<script>alert(1)</script>\"'>"
    found = made_analysis(nasty)
    found = replace(
        found,
        provenance=replace(found.provenance, facts={nasty: nasty}, notes=(nasty,)),
        findings=tuple(replace(f, checkpoint=nasty) for f in found.findings),
        checkpoints={"spatial": nasty},
        warnings=(nasty,),
    )
    assert "<script" not in page.to_html(found)


def test_the_page_says_what_was_calibrated_on_and_what_speaks_against():
    text = page.to_html(made_analysis())
    assert "Calibrated on" in text
    assert "What speaks for the other side" in text
    assert "shown, not counted" in text


def test_nothing_calibrated_means_no_probability():
    assert "Calibrated probability" not in cards.verdict_card(made_picture())


def test_both_checkpoints_stand_side_by_side():
    first, second = made_analysis(), made_analysis()
    second = replace(second, checkpoints={"spatial": "owner/other@ffff"})
    text = models.side_by_side("spatial", (first, second))
    assert "spatial@0123456789ab" in text
    assert "owner/other@ffff" in text


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
    changed = replace(fresh.findings[0], log_odds=1.0)
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
    with pytest.raises(UserError) as told:
        replay.read_report(path)
    assert told.value.code == "bad_report"


# ------------------------------------------------------------------ video


@pytest.fixture(scope="module")
def drawn_clip(tmp_path_factory):
    from tests.conftest import write_clip

    moment = np.arange(0, DURATION_S, 1 / 16_000)
    sound = (0.3 * np.sin(2 * np.pi * 300 * moment) * (moment > 3)).astype(np.float32)
    pictures = [drawn_picture(5 * math.sin(i / 10)) for i in range(150)]
    return write_clip(tmp_path_factory.mktemp("drawn") / "clip.mp4", pictures, sound=sound)


def test_the_annotated_video_keeps_length_pictures_and_sound(drawn_clip, tmp_path):
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
    found = made_analysis()
    assert set(video.boxes_at(found, 2.013)) == {"Face A", "Face B"}
    assert video.boxes_at(found, DURATION_S + 1) == {}


def test_a_picture_has_no_annotated_video(tmp_path):
    with pytest.raises(UserError):
        video.write_video(made_picture(), "x.png", tmp_path / "out.mp4")
