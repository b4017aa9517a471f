"""Voices are judged by checkpoints of the Hub, in recordings and in videos; the role is empty."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import cli
from analysis import Analysis, Settings, analyze, load_detector
from detectors.base import Status
from detectors.pool import Pool
from detectors.registry import role_of
from errors import UserError
from hub import catalog, store
from hub.calibrations import forget_calibration, save_calibration
from hub.checkpoint import Calibration, Checkpoint
from hub.configs import AUDIO_TYPES
from hub.spacefile import read_spacefile
from media.mode import Mode
from media.reader import open_reader
from media.windows import Stretch, around, plan
from report.checkpoints import catalog_table, checkpoint_facts
from report.language import languages
from report.timeline import timeline
from report.view import view
from tests.conftest import moving_portrait, write_audio, write_clip
from tests.hub_server import serving
from tests.published_layouts import save, wav2vec2
from tests.tiny_models import edit_config, write_model
from ui.agents import card
from ui.api import asked_settings, list_models
from ui.session import specs_of

ROLE = role_of("voice")
BASE = "abhishtagatya/wav2vec2-base-960h-asv19-deepfake"
LARGE = "Gustking/wav2vec2-large-xlsr-deepfake-audio-classification"
HZ = 16_000
POOL = Pool(trial=lambda kind, checkpoint: None)  # what a trial does has tests of its own
EMPTY = (
    "No checkpoint that judges voices comes with this program; choose one on the tab "
    "Models or by its Hub id."
)


@pytest.fixture(scope="module")
def talk(speech: np.ndarray) -> np.ndarray:
    """(n,) float32 at 16 kHz: nine seconds of speech, then three of silence."""
    words = np.concatenate([speech, speech, speech])[: 9 * HZ]
    return np.concatenate([words, np.zeros(3 * HZ, np.float32)])


@pytest.fixture(scope="module")
def recording(tmp_path_factory, talk) -> Path:
    folder = tmp_path_factory.mktemp("voices")
    return write_audio(folder / "talk.mp3", talk, "libmp3lame")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return wav2vec2(tmp_path_factory.mktemp("models") / "base")


def judged(path: Path, spec: Path | str, mode: Mode = Mode.THOROUGH, **more: Any) -> Analysis:
    settings = Settings(mode, ("voice",), {"voice": str(spec)}, stability=False, **more)
    return analyze(path, settings, pool=POOL)


def resolved(spec: Path | str, **more: Any) -> Checkpoint:
    return store.resolve(str(spec), ROLE, **more)


# ------------------------------------------------------------------ checkpoints of the Hub


@pytest.mark.parametrize(
    ("name", "large", "legacy"), [(BASE, False, False), (BASE, False, True), (LARGE, True, True)]
)
def test_a_published_layout_is_typed_by_id_and_answers_as_transformers_does(
    name, large, legacy, tmp_path, monkeypatch, recording
):
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    layout = wav2vec2(tmp_path / "m", large=large, legacy=legacy)
    (layout / "modeling.py").write_text("raise SystemExit('its code ran')")
    with serving(tmp_path / "home", monkeypatch) as hub:
        hub.add(name, layout)
        result = judged(recording, name, Mode.QUICK)
        assert not any(path.endswith(".py") for _, path, _ in hub.seen)
    (finding,) = result.findings
    assert finding.checkpoint.startswith(f"{name}@") and finding.person is None
    first = finding.windows[0]
    with open_reader(recording) as reader:
        wide = around(Stretch(first.start_s, first.stop_s), 4.0, reader.duration_s)
        samples = reader.audio(wide.start_s, wide.stop_s)
    model = AutoModelForAudioClassification.from_pretrained(layout).eval()
    extract = AutoFeatureExtractor.from_pretrained(layout)
    inputs = extract(samples, sampling_rate=HZ, return_tensors="pt")
    with torch.inference_mode():
        logits = model(input_values=inputs.input_values).logits[0]
    assert first.score == pytest.approx(float(logits[1] - logits[0]), abs=1e-4)


@pytest.mark.parametrize("kind", sorted(AUDIO_TYPES))
def test_every_network_of_waveforms_that_transformers_knows_is_read(kind, tmp_path):
    from transformers import CONFIG_MAPPING, AutoModelForAudioClassification

    sizes = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 48, "conv_dim": [16] * 7, "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "num_feat_extract_layers": 7,
        "classifier_proj_size": 16, "id2label": {0: "real", 1: "fake"},
    }  # fmt: skip
    torch.manual_seed(0)
    config = CONFIG_MAPPING[kind](**sizes)
    AutoModelForAudioClassification.from_config(config).save_pretrained(tmp_path)
    checkpoint = resolved(tmp_path)
    detector = POOL.detector(load_kind(), checkpoint, "cpu")
    with torch.inference_mode():
        assert torch.isfinite(detector.network(input_values=torch.randn(1, 64_000)).logits).all()


def load_kind():
    from detectors.voice import Voice

    return Voice


def test_its_card_says_what_it_hears_and_which_output_means_fake(folder):
    checkpoint = resolved(folder)
    assert (checkpoint.card.fake_indices, checkpoint.card.real_indices) == ((1,), (0,))
    assert "bonafide" in checkpoint.card.labels_known_by
    assert checkpoint.card.audio_s == 4.0 and checkpoint.card.standardize
    assert not checkpoint.counts
    words = checkpoint_facts(checkpoint)
    assert "4 s of sound at a time, 16 kHz mono" in words and " px" not in words
    assert resolved(folder, fake_labels=("bonafide",)).card.fake_indices == (0,)


def test_unnamed_labels_are_asked_for(tmp_path):
    layout = wav2vec2(tmp_path / "m", labels=("LABEL_0", "LABEL_1"))
    with pytest.raises(UserError, match="Which of them mean fake") as caught:
        resolved(layout)
    assert caught.value.code == "labels_ambiguous"
    assert resolved(layout, fake_labels=("1",)).card.fake_indices == (1,)


def test_a_stranger_is_tried_in_a_process_of_its_own(folder):
    tried: list[str] = []
    pool = Pool(trial=lambda kind, checkpoint: tried.append(checkpoint.name))
    load_detector("voice", Settings(checkpoints={"voice": str(folder)}), pool)
    assert tried == ["base"]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conv_stride": [1, 1, 1, 1, 1, 1, 1]}, "steps of time"),
        ({"conv_stride": "x"}, "conv_stride"),
        ({"conv_dim": [16_000] * 7}, "million weights"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers"),
        ({"auto_map": {"AutoModel": "modeling.X"}}, "run code"),
        ({"model_type": "audio-spectrogram-transformer"}, "not a classifier of sound"),
        ({"model_type": "whisper"}, "not a classifier of sound"),
        ({"architectures": ["Wav2Vec2ForCTC"]}, "not a classifier of sound"),
        ({"hidden_size": 36, "output_hidden_size": 36}, "do not fit|does not load|weights, and"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_in_one_sentence(change, words, tmp_path):
    layout = wav2vec2(tmp_path / "m")
    edit_config(layout, **change)
    with pytest.raises(UserError, match=words) as caught:
        load_detector("voice", Settings(checkpoints={"voice": str(layout)}), POOL)
    assert caught.value.code == "weights_refused" and caught.value.sentence.count("\n") == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [({"sampling_rate": 8000}, "8000 samples a second"), ({"feature_size": 80}, "80 features")],
)
def test_a_processor_of_other_input_is_refused(change, words, tmp_path):
    layout = wav2vec2(tmp_path / "m")
    path = layout / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=words):
        resolved(layout)


def test_a_checkpoint_without_its_processor_says_what_is_assumed(tmp_path):
    layout = wav2vec2(tmp_path / "m")
    (layout / "preprocessor_config.json").unlink()
    assert any("16 kHz, mean 0 and deviation 1" in words for words in resolved(layout).warnings)


def test_a_head_that_is_missing_and_weights_that_are_not_numbers_are_refused(tmp_path):
    layout = wav2vec2(tmp_path / "m")
    config = json.loads((layout / "config.json").read_text())
    tensors = load_file(layout / "model.safetensors")
    bare = {k: v for k, v in tensors.items() if not k.startswith("classifier")}
    save(layout, config, bare)
    with pytest.raises(UserError, match="no classification head"):
        resolved(layout)
    tensors["projector.weight"][:] = float("nan")
    save_file(tensors, layout / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="not numbers"):
        load_detector("voice", Settings(checkpoints={"voice": str(layout)}), POOL)


def test_the_wrong_role_is_named_with_the_right_one(tmp_path, folder):
    image = write_model(tmp_path / "vit", "vit")
    for role, spec, right in (("voice", image, "spatial"), ("spatial", folder, "voice")):
        with pytest.raises(UserError, match=f"Choose it for {right}"):
            load_detector(role, Settings(checkpoints={role: str(spec)}), POOL)


def test_a_card_of_another_sense_is_refused(tmp_path, folder):
    layout = wav2vec2(tmp_path / "m")
    described = resolved(folder).card
    (layout / "card.json").write_text(described.to_json())
    assert resolved(layout).card.audio_s == 4.0
    looks = {**json.loads(described.to_json()), "audio_s": None, "size_px": 224, "rate_hz": 25}
    (layout / "card.json").write_text(json.dumps(looks))
    with pytest.raises(UserError, match="expects seconds"):
        resolved(layout)
    changes = ({"audio_s": 900}, {"size_px": 224}, {"rate_hz": 8000}, {"rate_hz": 10**9})
    for change, words in zip(changes, ("audio_s", "size_px", "rate_hz", "rate_hz"), strict=True):
        (layout / "card.json").write_text(json.dumps(json.loads(described.to_json()) | change))
        with pytest.raises(UserError, match=words):
            resolved(layout)


def test_an_answer_that_is_no_number_gets_no_vote(folder, recording):
    class Broken(torch.nn.Module):
        def forward(self, input_values):
            return type("Output", (), {"logits": torch.full((1, 2), float("nan"))})

    detector = load_detector("voice", Settings(checkpoints={"voice": str(folder)}), POOL)
    with open_reader(recording) as reader:
        window = reader.window(plan(reader.duration_s, Mode.QUICK)[0], 4.0)
    broken = type(detector)(detector.checkpoint, Broken())
    result = broken.look(window, None)
    assert result.raw is None and result.reason is not None
    assert result.reason.code == "broken_output"


# ------------------------------------------------------------------ what is judged


def test_each_window_with_speech_has_a_number_and_the_file_their_mean(folder, recording):
    result = judged(recording, folder)
    (finding,) = result.findings
    assert len(result.windows) == 4 and len(finding.windows) == 3  # the last one is silent
    assert finding.score == pytest.approx(np.mean([w.score for w in finding.windows]))
    assert len({round(w.score, 4) for w in finding.windows}) == 3
    assert finding.status == Status.UNCALIBRATED and not finding.calibrated
    assert result.verdict.opinion.log_odds is None and result.verdict.level == "Inconclusive"
    line = timeline(result)
    assert line is not None and [len(row.cells) for row in line.rows[:-1]] == [3]
    assert judged(recording, folder).findings[0].score == finding.score


def test_the_audio_of_a_video_is_judged_beside_its_faces(folder, tmp_path, portrait, talk):
    frames = moving_portrait(portrait, 125, 160)
    path = write_clip(tmp_path / "a.mp4", frames, audio=talk[: 5 * HZ])
    settings = Settings(Mode.QUICK, ("spatial", "voice"), {"voice": str(folder)}, stability=False)
    result = analyze(path, settings, pool=POOL)
    by_name = {finding.detector: finding for finding in result.findings}
    assert by_name["spatial"].person == "Face A" and by_name["voice"].person is None
    assert by_name["voice"].score is not None and len(by_name["voice"].windows) == 2
    assert "voice" not in result.verdict.opinion.contributions
    assert any(row.title == "Voice" for row in timeline(result).rows)


def test_a_calibration_of_ones_own_gives_it_its_vote(folder, recording):
    checkpoint = resolved(folder)
    save_calibration(checkpoint, Calibration(0.1, 3.0, "my recordings", 10, 10, "2026-11-27"))
    try:
        result = judged(recording, folder)
        (finding,) = result.findings
        assert finding.status == Status.COUNTED and finding.llr is not None
        expected = min(4.0, finding.llr)
        assert result.verdict.opinion.contributions["voice"] == pytest.approx(expected)
        assert result.verdict.level in ("Some signs", "Strong signs of manipulation")
        assert "voice sounds synthetic" in view(result).reason
    finally:
        forget_calibration(checkpoint)


def test_what_cannot_be_judged_has_a_reason(folder, tmp_path, portrait):
    silence = write_audio(tmp_path / "a.wav", np.zeros(5 * HZ, np.float32), "pcm_s16le")
    short = write_audio(tmp_path / "b.wav", np.ones(HZ // 2, np.float32) / 9, "pcm_s16le")
    mute = write_clip(tmp_path / "c.mp4", moving_portrait(portrait, 25, 160))
    image = Path(__file__).parent.parent / "examples" / "portrait.jpg"
    codes = [judged(path, folder).findings[0].reason.code for path in (silence, short, mute, image)]
    assert codes == ["no_speech", "audio_too_short", "no_audio", "single_picture"]


def test_four_seconds_around_a_window_stay_inside_the_file():
    assert around(Stretch(3.0, 6.0), 4.0, 11.0) == Stretch(2.5, 6.5)
    assert around(Stretch(0.0, 3.0), 4.0, 11.0) == Stretch(0.0, 4.0)
    assert around(Stretch(8.0, 11.0), 4.0, 11.0) == Stretch(7.0, 11.0)
    assert around(Stretch(0.0, 2.0), 4.0, 2.0) == Stretch(0.0, 2.0)


def test_nobody_else_hears_more_than_before(recording):
    with open_reader(recording) as reader:
        stretch = plan(reader.duration_s, Mode.QUICK)[1]
        plain, wide = reader.window(stretch), reader.window(stretch, 4.0)
    assert plain.wide_audio is None and len(wide.wide_audio) == 4 * HZ
    np.testing.assert_array_equal(plain.audio, wide.audio)
    np.testing.assert_array_equal(plain.speech_s, wide.speech_s)


# ------------------------------------------------------------------ the empty role


def test_without_a_checkpoint_the_role_says_so_in_one_sentence(recording):
    result = analyze(recording, Settings(detectors=("spatial", "voice")), pool=POOL)
    finding = next(f for f in result.findings if f.detector == "voice")
    assert finding.reason is not None
    assert (finding.reason.code, finding.reason.sentence) == ("no_checkpoint", EMPTY)
    assert result.verdict.level == "Not assessed" and view(result).reason == EMPTY
    german = languages()["de"]
    assert german(EMPTY) != EMPTY and view(result, german).reason == german(EMPTY)


def test_an_image_has_no_voice_whatever_checkpoint_is_missing():
    image = Path(__file__).parent.parent / "examples" / "portrait.jpg"
    (finding,) = analyze(image, Settings(detectors=("voice",)), pool=POOL).findings
    assert finding.reason is not None and finding.reason.code == "single_picture"


@pytest.mark.parametrize("spec", ["embedded", "none"])
def test_asking_for_what_does_not_come_with_the_program_is_refused(spec, recording, capsys):
    assert cli.main(["analyze", str(recording), "--checkpoint", f"voice={spec}"]) == 1
    assert f"{EMPTY} [no_checkpoint]" in capsys.readouterr().err


def test_spacefile_page_and_endpoint_know_that_there_is_none():
    space = read_spacefile(environ={})
    assert space.checkpoints["voice"] == "none"
    shown, value = specs_of("voice")[0]
    assert "None comes with the program" in shown and value == "none"
    assert {BASE, LARGE} <= {spec for _, spec in specs_of("voice")}
    assert asked_settings("quick", {}, {}, space).checkpoints == {}
    with pytest.raises(ValueError, match="no_checkpoint"):
        card("voice")


def test_the_catalogue_lists_them_with_what_is_known():
    voices = catalog.search("", "voice")
    assert {BASE, LARGE} <= {source.repo_id for source in voices}
    for source in voices:
        assert source.architecture and (source.notes or source.bad)
    for name in (BASE, LARGE):
        assert catalog.find(name).license == "apache-2.0"
    assert any("F1 0.95" in " ".join(entry["known"]) for entry in list_models("gustking", "voice"))
    assert all(row[2] == "Voice" for row in catalog_table(voices)["data"])
    refused = [source for source in voices if not source.usable]
    assert refused and all("spectrogram" in " ".join(source.bad) for source in refused)


def test_a_finished_measurement_is_not_begun_anew_for_an_empty_role():
    from evaluation.run import ScoreRecord, set_up

    setup = set_up(Settings(detectors=("frequency", "voice")), POOL)
    assert setup.changed(None) == ("frequency", "voice")
    keys = {"frequency": setup.key("frequency")}
    record = ScoreRecord("a", "1", {}, (), False, {}, None, keys)
    assert setup.changed(record) == ()
    assert setup.changed(replace(record, keys={})) == ("frequency",)
