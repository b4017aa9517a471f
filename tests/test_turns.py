"""Who speaks when: voices are told apart by how they sound, and each turn has its number."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detectors.base import Finding, Status, WindowScore, by_turn
from detectors.registry import role_of
from media.cepstra import cepstra
from media.clip import Clip
from media.sniff import MediaKind
from media.turns import Turn, TurnFinder, _letter, _Sums, difference
from media.windows import Stretch, Window
from report.timeline import timeline
from tests.made_analysis import made_analysis

HZ = 16_000
TEXT = "We will meet you at the station tomorrow morning, and then we walk along the river to town."


@pytest.fixture(scope="module")
def voices(tmp_path_factory) -> dict[str, np.ndarray]:
    """Two voices of espeak-ng, six seconds each, (n,) float32 at 16 kHz."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed, so there is no voice to test with")
    folder, recordings = tmp_path_factory.mktemp("voices"), {}
    for name, voice in (("low", "en+m3"), ("high", "en+f4")):
        path = folder / f"{name}.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-w", str(path), TEXT], check=True)
        with Clip(path) as clip:
            audio = clip.audio(0.0, clip.duration_s)
        recordings[name] = np.tile(audio, 2)[: 6 * HZ]
    return recordings


def window_of(start_s: float, audio: np.ndarray) -> Window:
    """A window that is speech from end to end."""
    stop_s = start_s + len(audio) / HZ
    return Window(
        stretch=Stretch(start_s, stop_s), times_s=np.zeros(0),
        stills=np.zeros((0, 8, 8, 3), np.uint8), stills_s=np.zeros(0), tracks=(), audio=audio,
        audio_start_s=start_s, speech_s=np.array([[start_s, stop_s]]), kind=MediaKind.AUDIO,
    )  # fmt: skip


def turns_of(*pieces: np.ndarray) -> tuple[Turn, ...]:
    finder, start_s = TurnFinder(), 0.0
    for piece in pieces:
        finder.add(window_of(start_s, piece))
        start_s += len(piece) / HZ
    return finder.turns()


def test_one_voice_is_one_turn(voices):
    low = voices["low"]
    assert turns_of(low[: 3 * HZ], low[3 * HZ :]) == (Turn(0.0, 6.0, "A"),)


def test_two_voices_take_turns_and_each_is_known_again(voices):
    low, high = voices["low"], voices["high"]
    turns = turns_of(low[: 3 * HZ], high[: 3 * HZ], low[3 * HZ :], high[3 * HZ :])
    assert [(t.start_s, t.stop_s, t.voice) for t in turns] == [
        (0.0, 3.0, "A"), (3.0, 6.0, "B"), (6.0, 9.0, "A"), (9.0, 12.0, "B"),
    ]  # fmt: skip


def test_a_louder_voice_is_no_other_voice(voices):
    low = voices["low"]
    assert {turn.voice for turn in turns_of(low[: 3 * HZ], 0.2 * low[3 * HZ :])} == {"A"}


def test_short_words_and_silence_are_no_turns(voices):
    finder = TurnFinder()
    finder.add(window_of(0.0, voices["low"][: HZ // 2]))
    finder.add(replace(window_of(3.0, voices["low"]), audio=None))
    assert finder.turns() == ()


def test_the_difference_of_two_stretches_is_the_criterion_written_out(voices):
    one, other = (cepstra(voices[name])[:, 1:13].astype(float) for name in ("low", "high"))

    def half_log_det(rows: np.ndarray) -> float:
        centred = rows - rows.mean(0)
        covariance = centred.T @ centred / len(rows) + 1e-6 * np.eye(12)
        return 0.5 * len(rows) * float(np.log(np.linalg.det(covariance)))

    gain = half_log_det(np.vstack([one, other])) - half_log_det(one) - half_log_det(other)
    parameters = 12 + 12 * 13 / 2
    expected = gain - 1.5 * 0.5 * parameters * np.log(len(one) + len(other))
    assert difference(_Sums.of(one), _Sums.of(other)) == pytest.approx(expected, rel=1e-4)
    assert expected > 0


def test_letters_go_on_after_z():
    assert [_letter(n) for n in (0, 25, 26, 27, 701, 702)] == ["A", "Z", "AA", "AB", "ZZ", "AAA"]


# ------------------------------------------------------------------ numbers by turn


def finding_of(*scores: float) -> Finding:
    windows = tuple(WindowScore(3.0 * i, 3.0 * i + 3, s, None) for i, s in enumerate(scores))
    return Finding(
        role_of("voice"), None, float(np.mean(scores)), None, Status.UNCALIBRATED, None, windows,
        {"speech_s": 3.5}, "x@1", False,
    )  # fmt: skip


def test_each_voice_and_the_strongest_turn_have_their_number():
    turns = (Turn(0.0, 3.0, "A"), Turn(3.0, 7.5, "B"), Turn(7.5, 9.0, "A"))
    measures = by_turn(finding_of(-2.0, 4.0, 1.0), turns).measures
    assert measures["voices"] == 2 and measures["speech_s"] == 3.5
    assert measures["voice_a_log_odds"] == pytest.approx((3 * -2.0 + 1.5 * 1.0) / 4.5)
    assert measures["voice_b_log_odds"] == pytest.approx((3 * 4.0 + 1.5 * 1.0) / 4.5)
    assert measures["strongest_turn_log_odds"] == measures["voice_b_log_odds"]
    assert measures["strongest_turn_from_s"] == 3.0


def test_a_single_voice_adds_nothing():
    one = finding_of(-2.0, 4.0)
    assert by_turn(one, (Turn(0.0, 6.0, "A"),)) is one
    assert by_turn(one, ()) is one


def test_the_row_of_speech_names_the_voices():
    made = made_analysis()
    spoken = timeline(replace(made, turns=(Turn(0.4, 2.2, "A"), Turn(3.1, 5.5, "B")))).rows[-1]
    assert [cell.value for cell in spoken.cells] == ["A", "B"]
    assert "voice B" in spoken.cells[1].words
    assert [cell.value for cell in timeline(made).rows[-1].cells] == ["", ""]


def test_a_conversation_is_judged_by_turn(voices, tmp_path: Path):
    from analysis import Settings, analyze
    from detectors.pool import Pool
    from media.mode import Mode
    from report import export
    from tests.conftest import write_audio
    from tests.published_layouts import wav2vec2

    low, high = voices["low"], voices["high"]
    talk = np.concatenate([low[: 3 * HZ], high[: 3 * HZ], low[3 * HZ :], high[3 * HZ :]])
    path = write_audio(tmp_path / "talk.wav", talk, "pcm_s16le")
    spec = str(wav2vec2(tmp_path / "m"))
    settings = Settings(Mode.THOROUGH, ("voice",), {"voice": spec}, stability=False)
    result = analyze(path, settings, pool=Pool(trial=lambda kind, checkpoint: None))
    assert {turn.voice for turn in result.turns} == {"A", "B"}
    measures = result.findings[0].measures
    assert measures["voices"] == 2 and {"voice_a_log_odds", "voice_b_log_odds"} <= set(measures)
    assert export.to_json(result)["file"]["turns"][0]["voice"] == "A"
