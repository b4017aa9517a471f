"""Files of sound alone are read like videos, in windows by time, by the same door."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import cli
from analysis import Analysis, Settings, analyze
from detectors.pool import Pool
from detectors.registry import names
from errors import UserError
from media.clip import Clip
from media.mode import Mode
from media.reader import coding_of, open_reader
from media.sniff import MediaKind, sniff
from media.windows import plan
from report import export
from report.language import languages
from report.render import answer, over_time, to_html
from report.timeline import timeline
from report.video import write_video
from report.view import view
from tests.conftest import moving_portrait, write_audio, write_clip
from ui import source

HZ = 48_000
FORMATS = (
    ("a.wav", "pcm_s16le"), ("b.mp3", "libmp3lame"), ("c.m4a", "aac"), ("d.ogg", "libopus"),
    ("e.opus", "libopus"), ("f.flac", "flac"), ("g.aac", "aac"), ("h.webm", "libopus"),
)  # fmt: skip
CODECS = ("pcm_s16le", "mp3", "aac", "opus", "opus", "flac", "aac", "opus")


def tone(seconds: float) -> np.ndarray:
    """(n,) float32: a beep at 440 Hz that begins after half a second."""
    times_s = np.arange(round(seconds * HZ)) / HZ
    return (0.4 * np.sin(2 * np.pi * 440 * times_s) * (times_s > 0.5)).astype(np.float32)


@pytest.fixture(scope="module")
def recording(tmp_path_factory, speech: np.ndarray) -> Path:
    return write_audio(tmp_path_factory.mktemp("voice") / "voice.mp3", speech, "libmp3lame")


@pytest.fixture(scope="module")
def result(recording: Path) -> Analysis:
    return analyze(recording, pool=Pool())


@pytest.mark.parametrize(
    ("name", "codec", "decoder"), [(*f, c) for f, c in zip(FORMATS, CODECS, strict=True)]
)
def test_each_format_is_read_on_one_clock(name, codec, decoder, tmp_path):
    path = write_audio(tmp_path / name, tone(5.0), codec, HZ)
    kind, used = coding_of(path)
    assert (kind, used.removesuffix("float").removeprefix("lib")) == (MediaKind.AUDIO, decoder)
    with open_reader(path) as reader:
        assert reader.kind == MediaKind.AUDIO and reader.has_audio and not reader.warnings
        assert (reader.size_wh, reader.fps) == ((0, 0), 0)
        assert reader.duration_s == pytest.approx(5.0, abs=0.1)
        assert list(reader.frames()) == []
        audio = reader.audio(0.0, 5.0)
        window = reader.window(plan(reader.duration_s, Mode.QUICK)[0])
        assert reader.provenance().facts["audio codec"] == used
    assert audio is not None and audio.shape == (80_000,)
    begin_s = np.flatnonzero(np.abs(audio) > 0.1)[0] / 16_000
    assert begin_s == pytest.approx(0.5, abs=0.06)
    assert 0.2 < np.abs(audio[16_000:64_000]).max() < 0.6
    assert window.tracks == () and len(window.stills) == 0 and window.kind == MediaKind.AUDIO


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp3", "libmp3lame"), ("b.mp4", "aac"), ("c.flac", "flac")]
)
def test_the_image_of_a_cover_makes_no_video(name, codec, tmp_path):
    path = write_audio(tmp_path / name, tone(2.0), codec, HZ, cover=True)
    with Clip(path) as clip:
        assert clip.kind == MediaKind.AUDIO and clip.duration_s == pytest.approx(2.0, abs=0.07)


def test_a_tag_before_the_audio_is_skipped(tmp_path):
    path = write_audio(tmp_path / "a.flac", tone(1.0), "flac", HZ)
    tagged = tmp_path / "tagged.flac"
    tagged.write_bytes(b"ID3\x04\0\0\0\0\x0b\x50" + b"\0" * (11 * 128 + 80) + path.read_bytes())
    assert sniff(tagged).name == "FLAC"


def test_a_video_stays_a_video_and_its_audio_alone_is_audio(tmp_path, portrait):
    frames = moving_portrait(portrait, 25, 64)
    video = write_clip(tmp_path / "a.mp4", frames, audio=tone(1.0), audio_hz=HZ)
    assert coding_of(video)[0] == MediaKind.VIDEO
    alone = write_audio(tmp_path / "b.mp4", tone(1.0), "aac", HZ)
    assert coding_of(alone)[0] == MediaKind.AUDIO


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0", "damaged or cut off"),
        (b"fLaC" + b"\0" * 300, "damaged|no sound|cut off"),
        (b"\xff\xfb\x90\x00" + b"\0" * 50, "damaged|no sound|cut off"),
        (b"caff\0\1\0\0" + b"\0" * 50, "is not read here"),
        (b"#!AMR\n" + b"\0" * 50, "is not read here"),
    ],
)
def test_damaged_and_foreign_audio_ends_in_one_sentence(content, words, tmp_path):
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words) as caught, open_reader(path):
        pass
    assert caught.value.code == "decode_failed"


def test_half_a_recording_is_read_as_far_as_it_goes(tmp_path):
    path = write_audio(tmp_path / "a.flac", tone(6.0), "flac", HZ)
    cut = tmp_path / "cut.flac"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_reader(cut) as reader:
        assert 1 < reader.duration_s < 5
        assert any("promises 6.0 s" in words for words in reader.warnings)


# ------------------------------------------------------------------ what is said


def test_nothing_that_needs_images_judges_and_the_reason_is_said_once(result: Analysis):
    assert result.kind == MediaKind.AUDIO and result.speech_s and result.people == ()
    assert {f.detector for f in result.findings} == set(names())
    assert all(f.value is None for f in result.findings)
    assert result.verdict.level == "Not assessed"
    assert sum("The file holds sound only" in line for line in result.explanation) == 1
    assert sum("The file holds sound only" in why for _, why in view(result).silent) == 1


def test_its_report_is_valid_and_says_nothing_of_pixels(result: Analysis, tmp_path, recording):
    report = json.loads(export.to_text(result))
    jsonschema.Draft202012Validator(export.schema()).validate(report)
    assert report["file"]["kind"] == "audio" and report["file"]["size_wh"] == [0, 0]
    html = to_html(result)
    assert "× 0 px" not in html and "0.00 fps" not in html and "audio, MP3" in html
    assert "Tonaufnahme" not in html and "Ton, MP3" in to_html(result, languages()["de"])
    with pytest.raises(UserError, match="A sound file has no video"):
        write_video(result, recording, tmp_path / "a.mp4")


def test_its_timeline_shows_who_speaks_when_and_no_row_that_needs_images(result: Analysis):
    line = timeline(result)
    assert line is not None and line.rows[-1].cells
    assert not any("sound only" in row.note for row in line.rows)
    assert "Not assessed" in answer(result) and "seek" in over_time(result)


def test_the_command_writes_its_reports(recording: Path, tmp_path, capsys):
    out = tmp_path / "out"
    assert (
        cli.main(["analyze", str(recording), "--out", str(out), "--csv", str(tmp_path / "t.csv")])
        == 2
    )
    assert sorted(p.suffix for p in out.glob("[!.]*")) == [".html", ".json", ".log"]
    assert "Not assessed" in capsys.readouterr().out
    assert ",audio,Not assessed," in (tmp_path / "t.csv").read_text("utf-8")


def test_the_page_plays_it_or_a_copy_of_it(recording: Path, tmp_path):
    assert "<audio" in source.preview(str(recording)) and source.is_shown(str(recording))
    odd = write_audio(tmp_path / "a.m4a", tone(2.0), "alac", HZ)
    assert not source.is_shown(str(odd))
    assert "<audio" not in source.preview(str(odd)) and "kind of sound" in source.preview(str(odd))
    copy = source.proxy(str(odd), tmp_path)
    assert coding_of(copy) == (MediaKind.AUDIO, "aac") and "<audio" in source.player(copy)
    with Clip(copy) as clip:
        assert clip.duration_s == pytest.approx(2.0, abs=0.07)


def test_settings_do_not_matter_to_audio(recording: Path):
    thorough = analyze(recording, Settings(mode=Mode.THOROUGH, detectors=("spatial",)), pool=Pool())
    assert thorough.examined_s == pytest.approx(thorough.duration_s, abs=0.01)
