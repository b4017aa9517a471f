"""One contract, all detectors: a number or a reason, finite, repeatable, and never a crash."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from detectors.base import REASONS, Detector, collect
from detectors.pool import Pool
from detectors.registry import DETECTORS, detector_of, role_of
from errors import UserError
from hub.catalog import embedded_sources
from hub.store import resolve
from media.clip import Clip
from media.faces import FaceFinder
from media.identity import IdentityLinker
from media.sniff import MediaKind
from media.speech import speech_stretches
from media.tracks import FaceTrack, track_faces
from media.windows import Stretch, Window
from tests.conftest import moving_portrait, write_clip

POOL = Pool()


BUNDLED = [kind for kind in DETECTORS if not kind.role.empty]


@pytest.fixture(scope="module", params=BUNDLED, ids=lambda d: d.role.name)
def detector(request) -> Detector:
    return POOL.detector(request.param, resolve(None, request.param.role), "cpu")


def window_of(images, audio=None, fps=25.0) -> Window:
    times = np.arange(len(images)) / fps
    with FaceFinder() as finder:
        tracks = IdentityLinker().name(
            track_faces(zip(times.tolist(), images, strict=True), finder)
        )
    return Window(
        stretch=Stretch(0.0, len(images) / fps),
        times_s=times,
        stills=np.stack(images[:: max(1, len(images) // 16)]),
        stills_s=times[:: max(1, len(images) // 16)],
        tracks=tracks,
        audio=audio,
        audio_start_s=0.0,
        speech_s=speech_stretches(audio, 0.0),
        kind=MediaKind.IMAGE if len(images) == 1 else MediaKind.VIDEO,
    )


@pytest.fixture(scope="module")
def fine(portrait, speech) -> Window:
    return window_of(moving_portrait(portrait, 75), speech[: 3 * 16_000])


def check(detector: Detector, window: Window) -> None:
    """The contract itself."""
    for track in window.tracks or [None]:
        result = detector.look(window, track)
        assert (result.raw is None) == (result.reason is not None)
        if result.raw is not None:
            assert np.isfinite(result.raw)
        else:
            assert result.reason.code in REASONS and result.reason.sentence.endswith(".")
        assert all(np.isfinite(v) for v in result.measures.values())
        for curve in result.curves:
            assert (np.diff(curve.x) > 0).all() and np.isfinite(curve.y).any()
        if result.image is not None:
            assert result.image.image.dtype == np.uint8 and result.image.image.ndim == 3
            heatmap = result.image.heatmap
            assert heatmap is None or (heatmap.ndim == 2 and np.isfinite(heatmap).all())


def test_every_detector_comes_with_a_checkpoint_and_every_checkpoint_with_a_detector():
    assert {source.detector for source in embedded_sources()} == {d.role.name for d in BUNDLED}


def test_a_fine_clip_gives_a_number_or_a_reason(detector, fine):
    check(detector, fine)


def test_the_same_window_gives_the_same_number(detector, fine):
    once, again = (detector.look(fine, fine.tracks[0]) for _ in range(2))
    assert once.raw == again.raw and once.measures == again.measures


def test_a_silent_clip(detector, fine):
    silent = replace(fine, audio=None, speech_s=np.zeros((0, 2)))
    check(detector, silent)
    if detector.role.needs_audio:
        assert detector.look(silent, silent.tracks[0]).reason.code == "no_audio"


def test_no_face(detector):
    window = window_of([np.full((120, 160, 3), 90, np.uint8)] * 30)
    check(detector, window)
    assert detector.look(window, None).reason.code == "no_face"


def test_one_image(detector, portrait):
    window = window_of([portrait])
    assert window.tracks, "the portrait's face is found"
    check(detector, window)
    if detector.role.needs_time:
        assert detector.look(window, window.tracks[0]).reason.code == "single_picture"


def test_one_frame_of_a_video(detector, portrait):
    check(detector, replace(window_of([portrait]), kind=MediaKind.VIDEO))


def test_an_odd_size(detector, portrait):
    check(detector, window_of([p[:287, :253] for p in moving_portrait(portrait, 30)]))


def test_several_faces(detector, portrait):
    import cv2

    face = cv2.resize(portrait[:300, 60:360], (240, 240))
    window = window_of([np.concatenate([face, face[:, ::-1]], 1)] * 40)
    assert len(window.tracks) == 2
    check(detector, window)


def test_a_small_face_is_not_judged(detector, portrait):

    window = window_of([portrait] * 5)
    track = window.tracks[0]
    tiny = replace(track, quality=replace(track.quality, face_px=20.0))
    assert detector.look(window, tiny).reason.code in ("face_too_small", "single_picture")


def test_weights_that_are_not_numbers_are_refused_or_give_a_reason(detector, fine, tmp_path):
    source = resolve(None, detector.role)
    folder = tmp_path / detector.role.name
    shutil.copytree(source.folder, folder)
    weights = load_file_any(folder / "model.safetensors")
    name = max(weights, key=lambda k: weights[k].size)
    weights[name] = np.full_like(weights[name], np.nan)
    save_file(weights, folder / "model.safetensors")
    try:
        broken = Pool().detector(type(detector), resolve(str(folder), detector.role), "cpu")
    except UserError as error:
        assert error.code == "weights_refused"
        return
    result = broken.look(fine, fine.tracks[0])
    assert result.raw is None


def load_file_any(path) -> dict[str, np.ndarray]:
    """Weights as float32 arrays, also from bfloat16, which numpy does not know."""
    from safetensors.torch import load_file as load_torch

    return {k: v.float().numpy() for k, v in load_torch(path).items()}


def test_a_finding_keeps_windows_apart_and_averages_them(detector, fine):
    assessments = [(fine.stretch, detector.look(fine, fine.tracks[0]))] * 2
    finding = collect(detector, "Face A", assessments)
    if finding.value is not None:
        assert finding.value == pytest.approx(np.mean([w.value for w in finding.windows]))
        assert len(finding.windows) == 2


@pytest.mark.parametrize("late_s", [0.0, 0.2])
def test_audio_delay_reaches_the_sync_detector_within_one_frame(tmp_path, portrait, late_s):
    """Mouth crops and sound at one moment: 200 ms in the file are 200 ms here."""
    still = moving_portrait(portrait, 1)[0]
    with FaceFinder() as finder:
        left, top, right, bottom = finder.find(still)[0].box_xyxy.astype(int)
    lit = still.copy()
    lower = lit[(top + bottom) // 2 : bottom, left:right]
    lower[:] = np.minimum(lower.astype(int) + 50, 255)
    flash = [still] * 50 + [lit] + [still] * 24
    audio = np.zeros(48_000, np.float32)
    audio[32_000:32_400] = 0.9
    path = write_clip(tmp_path / "late.mp4", flash, audio=audio, audio_late_s=late_s)
    from detectors.sync.towers import mouths

    with Clip(path) as clip, FaceFinder() as finder:
        track: FaceTrack = track_faces(clip.frames(0.0, 3.0), finder)[0]
        speech = clip.audio(0.0, 3.0)
    light = mouths(track).mean((1, 2))
    seen_s = track.times_s[int(np.argmax(light - np.median(light)))]
    heard_s = int(np.argmax(np.abs(speech) > 0.3)) / 16_000
    assert heard_s - seen_s == pytest.approx(late_s, abs=0.04)


def test_every_card_is_complete(detector):
    card = detector.checkpoint.card
    assert card.detector == detector.role.name
    assert card.trained_on and card.limits and card.license
    text = (detector.checkpoint.folder / "README.md").read_text("utf-8")
    assert "research" in text.lower()
    assert json.loads((detector.checkpoint.folder / "card.json").read_text("utf-8"))


def test_a_still_image_and_its_mirror_image_get_the_same_spatial_number(portrait):
    spatial = POOL.detector(detector_of("spatial"), resolve(None, role_of("spatial")), "cpu")
    still = window_of([portrait])
    track = still.tracks[0]
    turned = replace(track, crops=np.ascontiguousarray(track.crops[:, :, ::-1]))
    once, mirrored = spatial.look(still, track), spatial.look(still, turned)
    assert once.raw == pytest.approx(mirrored.raw, abs=1e-3)
    assert once.image.heatmap == pytest.approx(mirrored.image.heatmap[:, ::-1], abs=1e-2)
