"""AV-HuBERT and SyncNet by Hub id: each block equals a slow and plain one, and they run."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import cli
from analysis import Settings, analyze, load_detector
from detectors.loading import load_layout
from detectors.pool import Pool
from detectors.registry import role_of
from detectors.sync import crops
from detectors.sync.avhubert import build_avhubert, canonical
from detectors.sync.syncnet import build_syncnet
from detectors.sync.towers import load_towers
from errors import UserError
from hub import store
from media import align
from media.cepstra import cepstra, log_filterbank, stacked
from media.clip import Clip
from media.faces import FaceFinder
from media.identity import IdentityLinker
from media.mode import Mode
from media.tracks import FaceTrack
from media.windows import Window, plan, read_window
from tests.conftest import moving_portrait, write_clip
from tests.hub_server import serving
from tests.published_layouts import (
    avhubert_tensors,
    enactic,
    fairseq,
    gend,
    muavic,
    save,
    stable_syncnet,
    syncnet,
    syncnet_tensors,
)

CLOSE = {"atol": 1e-4, "rtol": 1e-4}


# --- slow and plain


def slow_windows(samples: np.ndarray) -> list[np.ndarray]:
    """Windows of 400 samples every 160, of the emphasized 16-bit signal."""
    x = [float(value) * 32768 for value in samples]
    y = [x[0]] + [x[i] - 0.97 * x[i - 1] for i in range(1, len(x))]
    count = 1 + math.ceil((len(y) - 400) / 160)
    y += [0.0] * ((count - 1) * 160 + 400 - len(y))
    return [np.array(y[160 * i : 160 * i + 400]) for i in range(count)]


def slow_bank(power: np.ndarray) -> list[float]:
    """26 triangles, equally spaced in mel, whose corners are whole bins."""
    mel = [2595 * math.log10(1 + 8000 / 700) * i / 27 for i in range(28)]
    bins = [math.floor(513 * 700 * (10 ** (m / 2595) - 1) / 16000) for m in mel]
    result = []
    for j in range(26):
        total = 0.0
        for i in range(bins[j], bins[j + 1]):
            total += power[i] * (i - bins[j]) / (bins[j + 1] - bins[j])
        for i in range(bins[j + 1], bins[j + 2]):
            total += power[i] * (bins[j + 2] - i) / (bins[j + 2] - bins[j + 1])
        result.append(total)
    return result


class Plain:
    """AV-HuBERT's blocks by their published names, with nothing but arithmetic and convolutions."""

    def __init__(self, tensors: dict[str, torch.Tensor], heads: int) -> None:
        self.t, self.heads = tensors, heads

    def linear(self, x, name):
        return x @ self.t[f"{name}.weight"].T + self.t[f"{name}.bias"]

    def norm(self, x, name):
        centered = x - x.mean(-1, keepdim=True)
        unit = centered / (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return unit * self.t[f"{name}.weight"] + self.t[f"{name}.bias"]

    def batch_norm(self, x, name):
        shape = (1, -1) + (1,) * (x.ndim - 2)
        mean, var, w, b = (
            self.t[f"{name}.{part}"].view(shape)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * w + b

    def slope(self, x, name):
        if f"{name}.weight" not in self.t:
            return torch.where(x > 0, x, 0.0)
        w = self.t[f"{name}.weight"].view((1, -1) + (1,) * (x.ndim - 2))
        return torch.where(x > 0, x, w * x)

    def block(self, x, name, stride):
        conv1, conv2 = self.t[f"{name}.conv1.weight"], self.t[f"{name}.conv2.weight"]
        y = self.batch_norm(F.conv2d(x, conv1, None, stride, 1), f"{name}.bn1")
        y = F.conv2d(self.slope(y, f"{name}.relu1"), conv2, None, 1, 1)
        y = self.batch_norm(y, f"{name}.bn2")
        if f"{name}.downsample.0.weight" in self.t:
            short = F.conv2d(x, self.t[f"{name}.downsample.0.weight"], None, stride)
            x = self.batch_norm(short, f"{name}.downsample.1")
        return self.slope(y + x, f"{name}.relu2")

    def look(self, lips):
        at = "feature_extractor_video.resnet."
        kernel = self.t[at + "frontend3D.0.weight"]
        x = F.conv3d(lips[None, None], kernel, None, (1, 2, 2), (2, 3, 3))
        x = self.slope(self.batch_norm(x, at + "frontend3D.1"), at + "frontend3D.2")
        x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        rows = []
        for frame in range(x.shape[2]):
            y = x[:, :, frame]
            for stage in range(1, 5):
                y = self.block(y, f"{at}trunk.layer{stage}.0", 1 if stage == 1 else 2)
                y = self.block(y, f"{at}trunk.layer{stage}.1", 1)
            rows.append(y.mean((2, 3))[0])
        return self.linear(torch.stack(rows), "feature_extractor_video.proj")

    def placed(self, x):
        at = "encoder.pos_conv_embed.conv."
        size, v = (self.t[f"{at}parametrizations.weight.original{i}"] for i in (0, 1))
        kernel = torch.stack([v[..., k] / v[..., k].square().sum().sqrt() for k in range(128)], -1)
        groups = x.shape[1] // v.shape[1]
        places = F.conv1d(x.T[None], kernel * size, self.t[at + "bias"], 1, 64, 1, groups)
        return x + F.gelu(places[0, :, : len(x)].T)

    def attend(self, x, here):
        q, k, v = (self.linear(x, f"{here}attention.{n}_proj") for n in "qkv")
        parts, part = [], x.shape[1] // self.heads
        for h in range(self.heads):
            one = slice(h * part, (h + 1) * part)
            parts.append(torch.softmax(q[:, one] @ k[:, one].T / part**0.5, -1) @ v[:, one])
        return self.linear(torch.cat(parts, -1), f"{here}attention.out_proj")

    def feed(self, x, here):
        inner = F.gelu(self.linear(x, f"{here}feed_forward.intermediate_dense"))
        return self.linear(inner, f"{here}feed_forward.output_dense")

    def layer(self, x, here, norm_first):
        first, second = here + "layer_norm", here + "final_layer_norm"
        if norm_first:
            x = x + self.attend(self.norm(x, first), here)
            return x + self.feed(self.norm(x, second), here)
        x = self.norm(x + self.attend(x, here), first)
        return self.norm(x + self.feed(x, here), second)


def slow_avhubert(t, heads, audio=None, lips=None, norm_first=True) -> torch.Tensor:
    """The encoder written out, one head and one frame after the other."""
    plain = Plain(t, heads)
    speech = None if audio is None else plain.linear(audio, "feature_extractor_audio.proj")
    observed = None if lips is None else plain.look(lips)
    speech = torch.zeros_like(observed) if speech is None else speech
    observed = torch.zeros_like(speech) if observed is None else observed
    if "post_extract_proj.weight" in t:
        both = plain.norm(torch.cat([speech, observed], -1), "layer_norm")
        x = plain.placed(plain.linear(both, "post_extract_proj"))
    else:
        x = plain.placed(plain.norm(speech + observed, "layer_norm"))
    x = x if norm_first else plain.norm(x, "encoder.layer_norm")
    layers = {name.split(".")[2] for name in t if name.startswith("encoder.layers.")}
    for index in range(len(layers)):
        x = plain.layer(x, f"encoder.layers.{index}.", norm_first)
    return plain.norm(x, "encoder.layer_norm") if norm_first else x


# --- equivalence


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """Half a second of a buzz whose pitch falls, and 0.1 s of silence."""
    time = np.arange(8000) / 16000
    buzz = 0.3 * np.sin(2 * np.pi * (220 - 80 * time) * time) + 0.1 * np.sin(2500 * time)
    return np.append(buzz, np.zeros(1600)).astype(np.float32)


def test_filterbanks_equal_the_definition_written_out(voice):
    result = log_filterbank(voice)
    powers = [np.abs(np.fft.fft(w, 512)[:257]) ** 2 / 512 for w in slow_windows(voice)]
    slow = [[math.log(v if v > 0 else 2.220446049250313e-16) for v in slow_bank(p)] for p in powers]
    np.testing.assert_allclose(result, np.array(slow), atol=1e-4, rtol=1e-4)
    assert result.shape == (1 + math.ceil((9600 - 400) / 160), 26)
    assert stacked(result).shape == (math.ceil(len(result) / 4), 104)
    np.testing.assert_array_equal(stacked(result)[1, 26:52], result[5])


def test_cepstra_equal_the_definition_written_out(voice):
    result = cepstra(voice)
    for row, window in zip(result, slow_windows(voice), strict=True):
        power = np.abs(np.fft.fft(window, 512)[:257]) ** 2 / 512
        if power.sum() == 0:
            continue
        logs = [math.log(v) for v in slow_bank(power)]
        for k in range(1, 13):
            total = sum(v * math.cos(math.pi * k * (2 * i + 1) / 52) for i, v in enumerate(logs))
            lift = 1 + 11 * math.sin(math.pi * k / 22)
            assert row[k] == pytest.approx(lift * total * (2 / 26) ** 0.5, abs=1e-3)
        assert row[0] == pytest.approx(math.log(power.sum()), abs=1e-4)


@pytest.mark.parametrize("norm_first", [True, False])
def test_avhubert_equals_the_encoder_written_out(norm_first: bool, tmp_path: Path):
    folder = enactic(tmp_path / "m", norm_first)
    network = load_layout(store.resolve(str(folder), role_of("sync")), build_avhubert)
    tensors = load_file(folder / "model.safetensors")
    audio, lips = torch.randn(9, 104), torch.randn(9, 88, 88)
    with torch.inference_mode():
        for given in ({"audio": audio}, {"lips": lips}, {"audio": audio, "lips": lips}):
            slow = slow_avhubert(tensors, 2, norm_first=norm_first, **given)
            fast = network(**{name: value[None] for name, value in given.items()})[0]
            torch.testing.assert_close(fast, slow, **CLOSE)


@pytest.mark.parametrize("variant", ["add", "relu"])
def test_the_variants_of_avhubert_equal_the_encoder_written_out(variant: str):
    """`modality_fuse: add` has no projection, `resnet_relu_type: relu` no slopes."""
    tensors = avhubert_tensors()
    if variant == "add":
        tensors |= {f"layer_norm.{part}": torch.randn(32) for part in ("weight", "bias")}
        left_out = ("post_extract_proj.",)
    else:
        left_out = (".relu1.", ".relu2.", "frontend3D.2.")
    tensors = {k: v for k, v in tensors.items() if not any(part in k for part in left_out)}
    network = build_avhubert({"encoder_attention_heads": 2}, tensors).eval()
    assert network.shape.concatenates == (variant != "add")
    assert network.shape.prelu == (variant != "relu")
    audio, lips = torch.randn(5, 104), torch.randn(5, 88, 88)
    with torch.inference_mode():
        for given in ({"audio": audio}, {"lips": lips}, {"audio": audio, "lips": lips}):
            fast = network(**{name: value[None] for name, value in given.items()})[0]
            torch.testing.assert_close(fast, slow_avhubert(tensors, 2, **given), **CLOSE)


def test_every_published_layout_of_avhubert_holds_the_same_encoder(tmp_path: Path):
    plain = canonical(avhubert_tensors())
    with_decoder = canonical(load_file(muavic(tmp_path / "m") / "model.safetensors"))
    theirs = {f"encoder.w2v_model.{k}": v for k, v in fairseq(avhubert_tensors()).items()}
    assert any(".self_attn_layer_norm." in name for name in theirs)
    assert any(name.endswith("pos_conv.0.weight_g") for name in theirs)
    for named in (with_decoder, canonical(theirs)):
        assert set(named) == set(plain)
        for name, value in named.items():
            torch.testing.assert_close(value, plain[name])


def test_syncnet_equals_its_towers_asked_one_window_after_the_other(tmp_path: Path):
    folder = syncnet(tmp_path / "m")
    network = load_layout(store.resolve(str(folder), role_of("sync")), build_syncnet)
    t = load_file(folder / "model.safetensors")
    faces = torch.randint(0, 256, (7, 224, 224, 3)).float()
    rows = torch.randn(32, 13)

    def unit(x, place, conv, **steps):
        x = conv(x, t[f"{place}.weight"], t[f"{place}.bias"], **steps)
        after = f"{place.rsplit('.', 1)[0]}.{int(place.rsplit('.', 1)[1]) + 1}"
        norms = (t[f"{after}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return F.relu(F.batch_norm(x, *norms))

    def outlet(x, name):
        x = unit(x, f"{name}.0", F.linear)
        return F.linear(x, t[f"{name}.3.weight"], t[f"{name}.3.bias"])

    def assessment(x):
        x = unit(x, "netcnnlip.0", F.conv3d, stride=(1, 2, 2))
        x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2))
        x = unit(x, "netcnnlip.4", F.conv3d, stride=(1, 2, 2), padding=(0, 1, 1))
        x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        for place in (8, 11, 14):
            x = unit(x, f"netcnnlip.{place}", F.conv3d, padding=(0, 1, 1))
        x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2))
        return outlet(unit(x, "netcnnlip.18", F.conv3d).flatten(1), "netfclip")

    def hear(x):
        x = unit(x, "netcnnaud.0", F.conv2d, padding=1)
        x = F.max_pool2d(unit(x, "netcnnaud.4", F.conv2d, padding=1), 3, (1, 2))
        for place in (8, 11, 14):
            x = unit(x, f"netcnnaud.{place}", F.conv2d, padding=1)
        x = unit(F.max_pool2d(x, 3, 2), "netcnnaud.18", F.conv2d)
        return outlet(x.flatten(1), "netfcaud")

    with torch.inference_mode():
        observed = [assessment(faces[i : i + 5].permute(3, 0, 1, 2)[None])[0] for i in range(3)]
        speech = [hear(rows[4 * i : 4 * i + 20].T[None, None])[0] for i in range(4)]
        torch.testing.assert_close(network.look(faces), torch.stack(observed), **CLOSE)
        torch.testing.assert_close(network.hear(rows), torch.stack(speech), **CLOSE)


@pytest.mark.parametrize("count", [5, 30])
def test_mouths_are_cut_as_the_published_preprocessing_cuts_them(count: int):
    """crop_patch of avhubert/preparation/align_mouth.py: a queue of frames, written out."""
    rng = np.random.default_rng(count)
    face = rng.uniform(100, 300, (468, 2))
    turns = np.linspace(0, 0.4, count)
    landmarks = np.stack([
        face @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) + rng.normal(0, 2, 2)
        for a in turns
    ])  # fmt: skip
    matrices, queue, plain = crops.mouth_matrices(landmarks), [], []

    def fitted(points):  # u = a x - b y + c and v = b x + a y + d, by least squares
        rows = [r for x, y in points for r in ((x, -y, 1, 0), (y, x, 0, 1))]
        a, b, c, d = np.linalg.lstsq(np.array(rows), crops.TEMPLATE.ravel(), rcond=None)[0]
        return np.array([[a, -b, c], [b, a, d]])

    def patch(points, matrix):
        center = np.mean([matrix @ (*points[i], 1) for i in crops.MOUTH], axis=0)
        column, row = (round(min(max(value, 48), 256 - 48)) for value in center)
        plain.append(matrix - [[0, 0, column - 48], [0, 0, row - 48]])

    matrix = np.zeros((2, 3))
    for points in landmarks:
        queue.append(points)
        if len(queue) == min(count, 12):
            matrix = fitted(np.mean(queue, axis=0)[list(crops.STABLE)])
            patch(queue.pop(0), matrix)
    for points in queue:
        patch(points, matrix)
    np.testing.assert_allclose(matrices, np.array(plain), atol=1e-4)


def test_a_mouth_out_of_a_crop_is_the_mouth_out_of_the_image(speaking):
    _, track = speaking
    center = align.move(track.crop_landmarks()[3][list(crops.MOUTH)], np.eye(2, 3)).mean(0)
    (mouth,) = crops.avhubert_mouths(track, np.array([3]))
    scale = np.linalg.norm(crops.mouth_matrices(track.landmarks[[3]])[0][:, 0])
    side = 96 / scale * np.linalg.norm(align.face_matrix(track.landmarks[3])[:, 0])
    left, top = (center - side / 2).round().astype(int)
    square = track.crops[3][top : top + round(side), left : left + round(side)]
    plain = cv2.cvtColor(cv2.resize(square, (96, 96)), cv2.COLOR_RGB2GRAY)
    assert np.corrcoef(mouth.ravel(), plain.ravel())[0, 1] > 0.95
    assert mouth.shape == (96, 96) and mouth.dtype == np.uint8


def test_syncnet_looks_lower_than_the_face_lies():
    """crop_video of run_pipeline.py: from s above the center to 1.8 s below, 1.4 s each side."""
    s, center = 112, 160  # half of the face's side, and its center in a crop of 320
    rows = np.arange(320)[:, None, None] * np.ones((1, 320, 3))
    columns = np.arange(320)[None, :, None] * np.ones((320, 1, 3))
    down, across = (crops.syncnet_faces((x / 2)[None].astype(np.uint8))[0] for x in (rows, columns))
    for place in (0.0, 0.25, 0.5):  # further down it is mirrored
        wanted = center - s + place * 2.8 * s
        assert 2 * down[round(224 * place), 100, 0] == pytest.approx(wanted, abs=3)
        wanted = center - 1.4 * s + place * 2.8 * s
        assert 2 * across[100, round(224 * place), 0] == pytest.approx(wanted, abs=3)
    assert down[-1].mean() < down[-40].mean() < 160


# --- by Hub id


@pytest.fixture(scope="session")
def speaking(tmp_path_factory, portrait) -> tuple[Window, FaceTrack]:
    """Two and a half seconds of a portrait whose lips open and close, with a buzz."""
    time = np.arange(40_000) / 16_000
    buzz = 0.3 * np.sin(2 * np.pi * 140 * time) * (1 + np.sin(2 * np.pi * 4 * time)) / 2
    path = tmp_path_factory.mktemp("clips") / "buzz.mp4"
    write_clip(path, moving_portrait(portrait, 63), audio=buzz.astype(np.float32))
    with Clip(path) as clip, FaceFinder() as finder:
        window = read_window(clip, plan(clip.duration_s, Mode.QUICK)[0], finder, IdentityLinker())
    (track,) = window.tracks
    landmarks = track.landmarks.copy()
    opening = 8 * (1 + np.sin(2 * np.pi * 4 * track.times_s))
    landmarks[:, 14, 1] += opening  # the lower inner lip
    spoken = np.array([[0.0, clip.duration_s]])
    talking = replace(track, landmarks=landmarks)
    return replace(window, speech_s=spoken, tracks=(talking,)), talking


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("nguyenvulebinh/AV-HuBERT-MuAViC-en", muavic),
        ("enactic/japanese-avhubert-base", enactic),
        ("someone/syncnet", syncnet),
        ("someone/stable-syncnet", stable_syncnet),
        ("embedded", None),
    ],
)
def test_a_sync_checkpoint_typed_by_id_runs_and_shows_its_lag_curve(
    name, write, speaking, tmp_path: Path, monkeypatch
):
    with serving(tmp_path / "home", monkeypatch) as hub:
        if write is not None:
            folder = write(tmp_path / "m")
            (folder / "modeling_avhubert.py").write_text("raise SystemExit('its code ran')")
            hub.add(name, folder)
        settings = Settings(detectors=("sync",), checkpoints={"sync": name})
        detector = load_detector("sync", settings, Pool())
        assert not any(path.endswith(".py") for _, path, _ in hub.seen)
    result = detector.look(*speaking)
    assert result.raw is not None and math.isfinite(result.raw)
    curve = {k: v for k, v in result.measures.items() if k.startswith("cosine_at_")}
    assert {"cosine_at_-600_ms", "cosine_at_+0_ms", "cosine_at_+600_ms"} <= set(curve)
    assert all(-1.001 <= value <= 1.001 for value in curve.values())
    assert max(curve.values()) == pytest.approx(result.measures["best_cosine"], abs=1e-6)
    assert detector.checkpoint.counts == (name == "embedded")


def test_a_clip_of_speech_is_examined_with_avhubert_from_the_hub(
    tmp_path: Path, monkeypatch, devset
):
    name = "nguyenvulebinh/AV-HuBERT-MuAViC-en"
    clip = sorted((devset / "real").glob("*.mp4"))[0]
    with serving(tmp_path / "home", monkeypatch) as hub:
        hub.add(name, muavic(tmp_path / "m"))
        settings = Settings(detectors=("sync",), checkpoints={"sync": name})
        result = analyze(clip, settings, pool=Pool()).findings
    for finding in result:
        assert finding.checkpoint.startswith(f"{name}@")
        assert finding.status in ("uncalibrated", "not_applicable")


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("feature_extractor_video", "no tower for the lips"),
        ("feature_extractor_audio", "no tower for the voice"),
        ("encoder.layers", "no transformer"),
        ("post_extract_proj", "does not fit its layout"),
        ("frontend3D.1", "does not fit its layout"),
    ],
)
def test_an_avhubert_without_a_part_is_refused_by_its_name(part, words, tmp_path: Path):
    folder = enactic(tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    save(folder, config, {k: v for k, v in tensors.items() if part not in k})
    with pytest.raises(UserError, match=words) as caught:
        load_layout(store.resolve(str(folder), role_of("sync")), build_avhubert)
    assert caught.value.code == "weights_refused"


Edit = Callable[[dict[str, Any], dict[str, torch.Tensor]], Any]
HEARS = "feature_extractor_audio.proj.weight"
BIAS = "encoder.layers.{}.layer_norm.bias"


def edited(folder: Path, source: Path, edit: Edit) -> Path:
    """A copy of a checkpoint whose config and tensors were changed."""
    tensors = load_file(source / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    edit(config, tensors)
    save(folder, config, tensors)
    if (source / "card.json").exists():
        shutil.copy(source / "card.json", folder / "card.json")
    return folder


def seven_heads(config, tensors):
    config["encoder_attention_heads"] = 7


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda _, t: t.update({HEARS: t[HEARS][:, :80]}), "80 numbers every 40 ms; 104 are given"),
        (seven_heads, "7 attention heads do not divide a width of 32"),
        (lambda _, t: t.update({BIAS.format(20_000): torch.zeros(32)}), "layer 2 of its"),
        (
            lambda _, t: t.update({BIAS.format(i): torch.zeros(32) for i in range(2, 201)}),
            "201 layers; the limit is 200",
        ),
        (lambda _, t: t["layer_norm.weight"].fill_(3e38), "finite numbers"),
    ],
)
def test_an_avhubert_that_cannot_run_is_refused_when_it_is_loaded(edit, words, tmp_path: Path):
    folder = edited(tmp_path / "m", enactic(tmp_path / "whole"), edit)
    with pytest.raises(UserError, match=words) as caught:
        load_towers(store.resolve(str(folder), role_of("sync")), "cpu")
    assert caught.value.code == "weights_refused"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda _, t: t["sound.out.1.weight"].fill_(torch.nan), "finite numbers"),
        (lambda c, _: c["judge"].pop("weights"), "cannot compare a second of lips and voice"),
        (lambda c, _: c.update(ear_width="wide"), "do not fit its config.json"),
    ],
)
def test_a_network_of_ours_that_cannot_run_is_refused_when_it_is_loaded(
    edit, words, tmp_path: Path
):
    embedded = store.resolve("embedded", role_of("sync")).folder
    folder = edited(tmp_path / "m", embedded, edit)
    with pytest.raises(UserError, match=words) as caught:
        load_towers(store.resolve(str(folder), role_of("sync")), "cpu")
    assert caught.value.code == "weights_refused"


def test_models_check_refuses_a_sync_checkpoint_that_cannot_run(tmp_path: Path, capsys):
    folder = edited(tmp_path / "m", enactic(tmp_path / "whole"), seven_heads)
    assert cli.main(["models", "check", f"sync={folder}"]) == 1
    assert "7 attention heads" in capsys.readouterr().err


def test_embeddings_that_are_not_numbers_are_a_broken_output(speaking, monkeypatch):
    detector = load_detector("sync", Settings(detectors=("sync",)), Pool())
    monkeypatch.setattr(
        detector.network, "embed_audio", lambda samples: np.full((63, 128), np.nan, np.float32)
    )
    result = detector.look(*speaking)
    assert result.raw is None and result.reason is not None
    assert result.reason.code == "broken_output"


def test_a_sync_checkpoint_in_another_role_and_a_stranger_in_sync_are_refused(tmp_path: Path):
    folder = muavic(tmp_path / "m")
    with pytest.raises(UserError, match="is for sync"):
        store.resolve(str(folder), role_of("spatial"))
    with pytest.raises(UserError, match="is for spatial"):
        store.resolve(str(gend(tmp_path / "g", "openai/clip-vit-large-patch14")), role_of("sync"))
    save(tmp_path / "x", {"model_type": "speech_to_text"}, syncnet_tensors())
    with pytest.raises(UserError, match="speech_to_text"):
        store.resolve(str(tmp_path / "x"), role_of("sync"))
