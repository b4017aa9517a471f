"""Are clips written, re-encoded and rescaled in one place, and rightly?"""

from __future__ import annotations

import io

import av
import cv2
import numpy as np
import pytest

from errors import UserError
from media import align, mesh
from media.clip import Clip
from media.degrade import (
    JPEG,
    WEBP,
    encode,
    fit,
    recompress,
    rescale,
    through_aac,
    through_h264,
)
from media.faces import FaceFinder
from media.rates import AUDIO_HZ, MOTION_HZ
from media.writer import ClipWriter, Encoding

WIDTH, HEIGHT = 96, 64


def flat(level: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


def tone(seconds: float, from_s: float) -> np.ndarray:
    time_s = np.arange(round(seconds * AUDIO_HZ)) / AUDIO_HZ
    return (0.5 * np.sin(2 * np.pi * 440 * time_s) * (time_s >= from_s)).astype(np.float32)


def write(path, images, audio, pieces=1):
    with ClipWriter(path, Encoding(20), (WIDTH, HEIGHT), MOTION_HZ, has_audio=True) as writer:
        for index, image in enumerate(images):
            writer.add_image(image, index / MOTION_HZ)
        start = 0
        for piece in np.array_split(audio, pieces):
            writer.add_audio(piece, start / AUDIO_HZ)
            start += len(piece)
    return path


def test_images_and_audio_keep_their_distance_in_time(tmp_path):
    """The image turns bright at 0.4 s and the tone sets in 0.32 s later."""
    images = [flat(20)] * 10 + [flat(230)] * 40
    path = write(tmp_path / "clip.mp4", images, tone(2.0, 0.72))
    with Clip(path) as clip:
        bright_s = next(t for t, image in clip.frames() if image.mean() > 128)
        loud_s = np.argmax(np.abs(clip.audio(0.0, 2.0)) > 0.1) / AUDIO_HZ
        assert (clip.size_wh, clip.fps) == ((WIDTH, HEIGHT), MOTION_HZ)
    assert loud_s - bright_s == pytest.approx(0.32, abs=0.02)


def test_audio_in_pieces_is_the_audio_at_once(tmp_path):
    images, audio = [flat(90)] * 50, tone(2.0, 0.3)
    decoded = []
    for pieces in (1, 7):
        with Clip(write(tmp_path / f"{pieces}.mp4", images, audio, pieces)) as clip:
            decoded.append(clip.audio(0.0, 2.0))
    assert np.array_equal(decoded[0], decoded[1])


def test_images_of_any_rate_keep_their_times(tmp_path):
    times_s = [index * 1001 / 30_000 for index in range(30)]
    with ClipWriter(tmp_path / "ntsc.mp4", Encoding(20), (WIDTH, HEIGHT), 30) as writer:
        for time_s in times_s:
            writer.add_image(flat(100), time_s)
    with Clip(tmp_path / "ntsc.mp4") as clip:
        assert [t for t, _ in clip.frames()] == pytest.approx(times_s, abs=1e-4)
        assert not clip.has_audio


def test_a_file_that_failed_midway_can_be_written_again(tmp_path):
    def broken():
        yield flat(100)
        raise ZeroDivisionError

    path = tmp_path / "clip.mp4"
    with pytest.raises(ZeroDivisionError):
        write(path, broken(), tone(0.2, 0.0))
    with Clip(write(path, [flat(90)] * 5, tone(0.2, 0.0))) as clip:
        assert sum(1 for _ in clip.frames()) == 5


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises((OSError, av.error.FFmpegError)):
        write(tmp_path / "no folder" / "clip.mp4", [flat(90)] * 5, tone(0.2, 0.0))


def test_a_codec_returns_shape_and_step(portrait):
    frames = np.stack([np.roll(portrait[::4, ::4], shift, 1) for shift in range(6)])
    decoded = through_h264(frames, 20)
    assert decoded.shape == frames.shape
    for frame, image in zip(frames, decoded, strict=True):
        assert np.abs(image.astype(int) - frame).mean() < 6
    audio = tone(1.0, 0.25)
    decoded = through_aac(audio, 48_000)
    assert decoded.shape == audio.shape
    lags = [np.dot(np.roll(decoded, lag), audio) for lag in range(-40, 41)]
    assert np.argmax(lags) == 40, "in step"


@pytest.mark.parametrize("codec", [JPEG, WEBP])
def test_lower_quality_is_farther_from_the_image(portrait, codec):
    losses = []
    for quality in (20, 60, 95):
        image = recompress(portrait, quality, codec)
        assert image.shape == portrait.shape
        losses.append(np.abs(image.astype(int) - portrait).mean())
    assert losses == sorted(losses, reverse=True)
    assert len(encode(portrait, 20, codec)) < len(encode(portrait, 95, codec))


def test_gray_images_stay_gray(portrait):
    gray = cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)
    assert recompress(gray, 70).shape == gray.shape


def test_an_image_that_no_codec_takes_is_refused_with_a_sentence():
    with pytest.raises(UserError) as refused:
        encode(np.zeros((2, 70_000, 3), np.uint8), 90)
    assert refused.value.code == "decode_failed"


def test_images_are_made_smaller_and_never_larger(portrait):
    assert rescale(portrait, 0.5).shape == (256, 256, 3)
    assert fit(portrait[:256], 128).shape == (64, 128, 3)
    assert fit(portrait, 4_000).shape == portrait.shape
    assert fit(np.zeros((1, 4_000, 3), np.uint8), 100).shape == (2, 100, 3)


def test_the_points_of_the_mesh_lie_where_their_names_say(portrait):
    with FaceFinder() as finder:
        (face, *_) = finder.find(portrait)
    points = face.landmarks
    right, left, mouth = align.eye_line_and_mouth(points)
    assert right[0] < left[0], "the person's right eye is on the left of the image"
    assert points[mesh.RIGHT_EAR, 0] < right[0] < left[0] < points[mesh.LEFT_EAR, 0]
    assert points[mesh.FOREHEAD, 1] < right[1] < points[mesh.NOSE_TIP, 1] < mouth[1]
    assert mouth[1] < points[mesh.CHIN, 1]
    assert points[mesh.UPPER_LIP_INSIDE, 1] <= points[mesh.LOWER_LIP_INSIDE, 1]
    for upper, lower in (*mesh.RIGHT_LIDS, *mesh.LEFT_LIDS):
        assert points[upper, 1] < points[lower, 1]
    middle = points[mesh.NOSE_TIP, 0]
    for a, b in zip(mesh.RIGHT_LIP_LINES, mesh.LEFT_LIP_LINES, strict=True):
        assert points[a, 0] <= points[b, 0]
    assert points[list(mesh.RIGHT_EYE_AND_BROW), 0].max() < middle
    assert points[list(mesh.LEFT_EYE_AND_BROW), 0].min() > middle


def test_every_index_is_a_point_of_the_mesh():
    groups = {name: value for name, value in vars(mesh).items() if isinstance(value, tuple)}
    assert len(groups) > 20
    for name, group in groups.items():
        flat_group = np.ravel(group).tolist() if name != "REGIONS" else group
        assert all(0 <= index < mesh.POINTS for index in flat_group), name
    for name in ("RIGID", "SPARSE", "LIPS", "OVAL", "INNER_FACE"):
        assert len(set(groups[name])) == len(groups[name]), name


def test_a_clip_can_be_written_to_memory():
    file = io.BytesIO()
    with ClipWriter(file, Encoding(30), (WIDTH, HEIGHT)) as writer:
        writer.add_image(flat(100), 0.0)
    file.seek(0)
    with av.open(file, "r") as container:
        assert sum(1 for _ in container.decode(video=0)) == 1
