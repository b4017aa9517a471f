"""LatentSync's sync network: each part equals a slow and plain one; what cannot run is refused."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from detectors.loading import load_layout
from detectors.registry import role_of
from detectors.sync import crops
from detectors.sync.detector import Sync
from detectors.sync.stable_syncnet import build_stable_syncnet
from detectors.sync.towers import load_towers
from errors import UserError
from hub import catalog, store
from media import align
from media.faces import FaceFinder
from tests.published_layouts import save, stable_syncnet, stable_syncnet_tensors

CLOSE = {"atol": 1e-4, "rtol": 1e-4}


# --- slow and plain


class Plain:
    """The published blocks by their names, with nothing but arithmetic and convolutions."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self.t = tensors

    def conv(self, x, name, **steps):
        return F.conv2d(x, self.t[f"{name}.weight"], self.t[f"{name}.bias"], **steps)

    def linear(self, x, name):
        return x @ self.t[f"{name}.weight"].T + self.t[f"{name}.bias"]

    def group_norm(self, x, name):
        grouped = x.reshape(len(x), 32, -1)
        centered = grouped - grouped.mean(-1, keepdim=True)
        unit = centered / (centered.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        w, b = (self.t[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("weight", "bias"))
        return unit.reshape(x.shape) * w + b

    def layer_norm(self, x, name):
        centered = x - x.mean(-1, keepdim=True)
        unit = centered / (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return unit * self.t[f"{name}.weight"] + self.t[f"{name}.bias"]

    def residual(self, x, here, step):
        y = self.group_norm(x, f"{here}.norm1")
        y = self.conv(y * torch.sigmoid(y), f"{here}.conv1", padding=1)
        y = self.group_norm(y, f"{here}.norm2")
        y = self.conv(y * torch.sigmoid(y), f"{here}.conv2", padding=1)
        if f"{here}.conv_shortcut.weight" in self.t:
            x = self.conv(x, f"{here}.conv_shortcut")
        if step == 1:
            return x + y
        zeros = {(1, 2): (0, 1, 1, 1), (2, 1): (1, 1, 0, 1)}.get(step, (0, 1, 0, 1))
        return self.conv(F.pad(x + y, zeros), f"{here}.downsample_conv", stride=step)

    def attention(self, x, here):
        n, c, height, width = x.shape
        rows = self.conv(self.group_norm(x, f"{here}.norm1"), f"{here}.conv_in")
        rows = rows.reshape(n, c, height * width).transpose(1, 2)
        given, part, heads = self.layer_norm(rows, f"{here}.norm2"), c // 8, []
        q, k, v = (self.linear(given, f"{here}.attn.to_{n}") for n in "qkv")
        for head in range(8):
            one = slice(head * part, (head + 1) * part)
            weights = torch.softmax(q[..., one] @ k[..., one].transpose(1, 2) / part**0.5, -1)
            heads.append(weights @ v[..., one])
        rows = rows + self.linear(torch.cat(heads, -1), f"{here}.attn.to_out.0")
        inner = self.linear(self.layer_norm(rows, f"{here}.norm3"), f"{here}.ff.net.0.proj")
        gate = inner[..., 4 * c :]
        gate = gate * (1 + torch.erf(gate / 2**0.5)) / 2
        rows = rows + self.linear(inner[..., : 4 * c] * gate, f"{here}.ff.net.2")
        image = rows.transpose(1, 2).reshape(n, c, height, width)
        return self.conv(image, f"{here}.conv_out") + x

    def tower(self, x, name, steps):
        x, rest = self.conv(x, f"{name}.conv_in", padding=1), list(steps)
        for place in range(20):
            here = f"{name}.down_blocks.{place}"
            if f"{here}.attn.to_q.weight" in self.t:
                x = self.attention(x, here)
            elif f"{here}.conv1.weight" in self.t:
                x = self.residual(x, here, rest.pop(0))
        assert x.shape[2:] == (1, 1) and not rest
        return self.group_norm(x, f"{name}.norm_out").clamp(min=0)[:, :, 0, 0]


def slow_mel(samples: np.ndarray) -> np.ndarray:
    """librosa's Slaney filters and Wav2Lip's decibels, written out."""
    x = np.pad(np.append(samples[:1], samples[1:] - 0.97 * samples[:-1]), 400).astype(float)
    taper = np.array([0.5 - 0.5 * math.cos(2 * math.pi * i / 800) for i in range(800)])

    def mel(hertz):
        return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)

    def hertz(value):
        return value * 200 / 3 if value < 15 else 1000 * math.exp((value - 15) * math.log(6.4) / 27)

    low, high = mel(55), mel(7600)
    corners = [hertz(low + (high - low) * i / 81) for i in range(82)]
    result = np.zeros((80, 1 + len(samples) // 200))
    for column in range(result.shape[1]):
        spectrum = np.abs(np.fft.fft(x[200 * column : 200 * column + 800] * taper))
        for band in range(80):
            left, middle, right = corners[band : band + 3]
            total = 0.0
            for k in range(401):
                rise = (20 * k - left) / (middle - left)
                fall = (right - 20 * k) / (right - middle)
                total += max(0.0, min(rise, fall)) * 2 / (right - left) * spectrum[k]
            level = 20 * math.log10(max(1e-5, total)) - 20
            result[band, column] = min(4.0, max(-4.0, 8 * (level + 100) / 100 - 4))
    return result


# --- equivalence

AUDIO_STEPS = ((2, 1), 2, 2, 1, 2, 2, (2, 3))
FACE_STEPS = ((1, 2), 2, 2, 2, 2, 2, 2, 2)


def test_both_towers_equal_the_published_ones_written_out(tmp_path: Path):
    folder = stable_syncnet(
        tmp_path / "m",
        voice=(32, 32, 64, 64, 64, 64, 64), face=(32, 32, 32, 32, 64, 64, 64, 64),
    )  # fmt: skip
    network = load_layout(store.resolve(str(folder), role_of("sync")), build_stable_syncnet)
    plain = Plain(load_file(folder / "model.safetensors"))
    faces = torch.randint(0, 256, (17, 256, 256, 3), dtype=torch.uint8)
    samples = 0.1 * torch.randn(640 * 18)
    with torch.inference_mode():
        mel = network.mel(samples)
        observed, speech = [], []
        for start in range(2):
            lower = faces[start : start + 16, 128:].float() / 127.5 - 1
            channels = [lower[f, :, :, c] for f in range(16) for c in range(3)]
            observed.append(
                plain.tower(torch.stack(channels)[None], "visual_encoder", FACE_STEPS)[0]
            )
        for start in (0, 3, 6):  # 3.2 columns a frame of video
            some = mel[None, None, :, start : start + 52]
            speech.append(plain.tower(some, "audio_encoder", AUDIO_STEPS)[0])
        torch.testing.assert_close(network.look(faces), torch.stack(observed), **CLOSE)
        torch.testing.assert_close(network.hear(samples), torch.stack(speech), **CLOSE)


def test_the_mel_spectrogram_equals_the_definition_written_out():
    network = build_stable_syncnet({}, stable_syncnet_tensors())
    time = np.arange(3000) / 16000
    buzz = 0.3 * np.sin(2 * np.pi * 220 * time) + 0.1 * np.sin(2 * np.pi * 3100 * time)
    samples = np.append(buzz, np.zeros(1600)).astype(np.float32)
    result = network.mel(torch.from_numpy(samples)).numpy()
    assert result.shape == (80, 24) and result.min() == -4.0
    np.testing.assert_allclose(result, slow_mel(samples), atol=1e-3)


def test_faces_are_laid_on_latentsyncs_template_as_its_preprocessing_does(portrait):
    """transformation_from_points of latentsync/utils/affine_transform.py, without its smoothing."""
    with FaceFinder() as finder:
        (face,) = finder.find(portrait)
    parts = (*crops.BROWS, crops.NOSE)
    given = np.stack([face.landmarks[list(part)].mean(0) for part in parts]).astype(float)
    wanted = crops.LATENTSYNC * 2.8
    c1, c2 = given.mean(0), wanted.mean(0)
    s1, s2 = (given - c1).std(), (wanted - c2).std()
    u, _, vt = np.linalg.svd(((given - c1) / s1).T @ ((wanted - c2) / s2))
    rotation = (u @ vt).T * s2 / s1
    plain = np.hstack([rotation, (c2 - rotation @ c1)[:, None]])  # to 210 x 280
    plain *= [[256 / 210], [256 / 280]]
    np.testing.assert_allclose(crops.latentsync_matrix(face.landmarks, 256), plain, atol=1e-6)
    (mouth,) = align.move(face.landmarks[[13]], plain)
    assert 128 < mouth[1] < 192 and mouth[0] == pytest.approx(128, abs=12)


def test_a_face_out_of_a_crop_is_the_face_out_of_the_image(portrait):
    with FaceFinder() as finder:
        (face,) = finder.find(portrait)
    points = face.landmarks

    class Track:
        landmarks = points[None]
        crops = align.cut(portrait, align.face_matrix(points), align.CROP_PX)[None]

    (again,) = crops.latentsync_faces(Track, np.array([0]))  # pyright: ignore[reportArgumentType]
    direct = align.cut(portrait, crops.latentsync_matrix(points, 256), 256)
    assert np.abs(again.astype(int) - direct).mean() < 3


# --- sizes


def test_the_layout_with_25_frames_runs_and_a_config_may_say_other_steps(tmp_path: Path):
    six = {"voice": (*(32,) * 5, 64), "face": (*(32,) * 7, 64), "attention": (), "frames": 25}
    towers = load_towers(
        store.resolve(str(stable_syncnet(tmp_path / "m", **six)), role_of("sync")), "cpu"
    )
    assert towers.context == 25
    assert towers.embed_audio(np.zeros(640 * 26, np.float32)).shape == (2, 64)
    assert towers.embed_audio(np.zeros(99, np.float32)).shape == (1, 64)
    tensors = stable_syncnet_tensors(face=(32,) * 7, attention=(), voice=(32,) * 7)
    with pytest.raises(ValueError, match=r"7 blocks; config\.json says no steps"):
        build_stable_syncnet({}, tensors)
    stated = {"visual_encoder": {"downsample_factors": [[2, 4], 2, 2, 2, 2, 2, 2]}}
    assert build_stable_syncnet(stated, tensors).frames == 16


def steps(*factors):
    return {"visual_encoder": {"downsample_factors": list(factors)}}


@pytest.mark.parametrize(
    ("sizes", "config", "words"),
    [
        ({"frames": 64}, {}, "takes 192 channels; three of each of up to 25"),
        ({"voice": (32,) * 7}, {}, "give 32 and 64 numbers"),
        ({"face": (32,) * 20}, {}, "has 21 blocks, not 1 to 16"),
        ({"face": (352, *(32,) * 6, 64)}, {}, "billion multiplications"),
        ({"face": (48, *(32,) * 6, 64)}, {}, "divisible by"),
        ({}, steps([1, 2], 2, 2, 2, 2, 2, 2, [1, 2]), "leaves 2 x 1 places of 128 x 256"),
        ({}, steps([1, 2], 2, 2, 1, 2, 2, 2, 2), "does not shrink by 1 after down_blocks.3"),
        ({}, steps([1, 2], 2, 2, 2, 2, 2, 2), "7 steps for the 8 blocks"),
        ({}, steps([1, 2], 2, 2, 2, 2, 2, 2, 9), "says steps of 9"),
        ({}, steps([1, 2, 3], 2, 2, 2, 2, 2, 2, 2), "says steps of"),
        ({}, {"audio_encoder": {"downsample_factors": 3}}, "1 steps for the 7 blocks"),
    ],
)
def test_sizes_that_cannot_run_are_refused_in_a_sentence(sizes, config, words, tmp_path: Path):
    save(
        tmp_path / "m", {"model_type": "stable_syncnet", **config}, stable_syncnet_tensors(**sizes)
    )
    with pytest.raises(UserError, match=words) as caught:
        load_towers(store.resolve(str(tmp_path / "m"), role_of("sync")), "cpu")
    assert caught.value.code == "weights_refused"


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        ("visual_encoder.", "no tower for the face"),
        ("audio_encoder.", "no tower for the voice"),
        ("visual_encoder.down_blocks.3.", "8 blocks, not 1 to 16 in a row"),
        ("audio_encoder.norm_out", "does not fit its layout"),
    ],
)
def test_towers_without_a_part_are_refused_by_its_name(left_out, words, tmp_path: Path):
    tensors = {k: v for k, v in stable_syncnet_tensors().items() if not k.startswith(left_out)}
    save(tmp_path / "m", {"model_type": "stable_syncnet"}, tensors)
    with pytest.raises(UserError, match=words):
        load_towers(store.resolve(str(tmp_path / "m"), role_of("sync")), "cpu")


def test_a_network_for_latents_or_with_numbers_that_are_none_is_refused(tmp_path: Path):
    tensors = stable_syncnet_tensors()
    first = "visual_encoder.conv_in.weight"
    latents = {**tensors, first: torch.zeros(32, 64, 3, 3)}  # 16 frames of four channels
    with pytest.raises(ValueError, match="takes 64 channels"):
        build_stable_syncnet({}, latents)
    save(tmp_path / "m", {"model_type": "stable_syncnet"}, tensors | {first: tensors[first] * 3e38})
    with pytest.raises(UserError, match=r"are not numbers|finite numbers"):
        load_towers(store.resolve(str(tmp_path / "m"), role_of("sync")), "cpu")


def test_a_moment_is_shown_where_the_middle_of_its_frames_is():
    """Rows of 25 frames that agree but for those around the 50th frame of 100."""
    rows = np.linalg.qr(np.random.default_rng(0).normal(size=(76, 76)))[0].astype(np.float32)
    other = np.arange(76)[:, None]
    face = np.where(abs(other + 12 - 50) < 8, np.roll(rows, 30, axis=0), rows)
    network = SimpleNamespace(
        context=25,
        embed_face=lambda *_: face,
        embed_audio=lambda _: rows,
        judge=lambda m: (0.0, {}),
    )
    times_s = np.arange(100) / 25
    points = np.random.default_rng(1).normal(100, 30, (100, 468, 2))
    track = SimpleNamespace(times_s=times_s, landmarks=points, crops=None)
    window = SimpleNamespace(
        speech_s=np.array([[0.0, 4.0]]), audio=np.zeros(64_000, np.float32), audio_start_s=0.0,
        tracks=(track,),
    )  # fmt: skip
    detector = Sync(SimpleNamespace(), network)  # pyright: ignore[reportArgumentType]
    result = detector.measure(window, track)  # pyright: ignore[reportArgumentType]
    (weakest_s,) = result.curves[1].marks
    assert weakest_s == pytest.approx(50 / 25, abs=0.3)


def test_the_catalog_says_how_a_pickle_becomes_a_folder():
    source = catalog.find("latentsync-syncnet")
    assert source is not None and not source.usable
    assert any("cli.py convert" in sentence for sentence in source.bad)
