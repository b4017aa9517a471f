"""Claims about the media room: one clock, upright images, honest errors."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from errors import UserError
from media import align
from media import clip as clip_room
from media import image as image_room
from media import scan as scan_room
from media.clip import Clip
from media.faces import MOST_PROPOSALS, Face, FaceFinder, Region
from media.identity import IdentityLinker
from media.mode import Mode
from media.provenance import read_provenance
from media.speech import speech_stretches
from media.tracks import MOST_FACES, MOST_FOLLOWED, track_faces
from media.windows import plan, read_window
from stop import Stop
from tests.conftest import ROOT, moving_portrait, write_clip
from tests.hostile_files import DAMAGED, UNREADABLE


def gray(count: int, level=lambda i: 40 * (i % 5), size: int = 64) -> list[np.ndarray]:
    return [np.full((size, size, 3), level(i), np.uint8) for i in range(count)]


def click(at_s: float, length_s: float, hz: int = 16_000) -> np.ndarray:
    audio = np.zeros(int(length_s * hz), np.float32)
    audio[int(at_s * hz) : int((at_s + 0.05) * hz)] = 0.8
    return audio


@pytest.mark.parametrize("late_s", [0.0, 0.2])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_audio_and_images_share_one_clock(tmp_path, late_s, suffix):
    """A flash and a click at 1.0 s; the click's stream starts late by 0 or 200 ms."""
    images = gray(75, lambda i: 255 if 25 <= i < 27 else 0)
    path = write_clip(
        tmp_path / f"clock{suffix}", images, audio=click(1.0, 3.0), audio_late_s=late_s
    )
    with Clip(path) as clip:
        flash = next(t for t, p in clip.frames() if p.mean() > 128)
        audio = clip.audio(0.0, clip.duration_s)
    speech = np.argmax(np.abs(audio) > 0.2) / 16_000
    assert speech - flash == pytest.approx(late_s, abs=0.04)


def test_a_window_in_the_middle_keeps_the_clock(tmp_path):
    images = gray(250, lambda i: 255 if i == 200 else 0)
    path = write_clip(tmp_path / "long.mp4", images, audio=click(8.0, 10.0))
    with Clip(path) as clip:
        flash = next(t for t, p in clip.frames(7.0, 9.0) if p.mean() > 128)
        audio = clip.audio(7.0, 9.0)
    speech = 7.0 + np.argmax(np.abs(audio) > 0.2) / 16_000
    assert flash == pytest.approx(8.0, abs=1e-3)
    assert speech == pytest.approx(8.0, abs=0.04)


VORBIS = ROOT / "tests" / "surround.ogg"
"""PyAV has no encoder for it: ffmpeg -f lavfi -i sine=440:r=48000:d=1,volume=4 -af pan=7.1|FC=c0
-c:a libvorbis -q:a 0 surround.ogg"""
LAYOUTS = {"mono": 0.5, "stereo": 0.25, "5.1": 0.5, "7.1": 0.5}  # layout → loudness of a voice
HEAR = """
import sys, numpy as np
from media.clip import Clip
signals = []
for path in sys.argv[2:]:
    with Clip(path) as clip:
        signals.append(clip.audio(0.0, 1.0))
np.save(sys.argv[1], signals)
"""


def test_audio_of_any_number_of_channels_becomes_mono(tmp_path):
    """In a child, because eight planar channels once crashed the process."""
    kinds = [(c, layout) for c in ("aac", "libopus", "pcm_s16le") for layout in LAYOUTS]
    paths = [write_surround(tmp_path / f"{c}-{layout}.mkv", c, layout) for c, layout in kinds]
    paths.append(VORBIS)
    kinds.append(("vorbis", "7.1"))
    out = tmp_path / "heard.npy"
    done = subprocess.run([sys.executable, "-c", HEAR, out, *paths], cwd=ROOT, timeout=120)
    assert done.returncode == 0
    speech = np.load(out)[:, 1600:14_400]
    assert speech.shape == (len(kinds), 12_800)
    loudness = np.sqrt(2 * np.mean(speech**2, axis=1))
    assert loudness == pytest.approx([LAYOUTS[layout] for _, layout in kinds], rel=0.03)


def write_surround(path, codec: str, layout: str):
    """A second of images with a tone of 0.5 in the center channel, or in the first one."""
    channels = [c.name for c in av.AudioLayout(layout).channels]
    audio = np.zeros((48_000, len(channels)), np.float32)
    voice = channels.index("FC") if "FC" in channels else 0
    audio[:, voice] = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        stream = container.add_stream(codec, rate=48_000, layout=layout)
        for image in gray(25):
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode())
        for start in range(0, 48_000, 960):
            piece = audio[start : start + 960].reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(piece, format="flt", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_29_97_stays_exact(tmp_path):
    path = write_clip(tmp_path / "ntsc.mp4", gray(60), fps=Fraction(30000, 1001))
    with Clip(path) as clip:
        assert clip.fps == Fraction(30000, 1001)
        times = [t for t, _ in clip.frames()]
    assert times[30] - times[0] == pytest.approx(30 * 1001 / 30000, abs=1e-4)


def test_variable_frame_rate_keeps_its_time_stamps(tmp_path):
    wanted = [0.0, 0.04, 0.2, 0.24, 0.9, 1.0]
    path = write_clip(tmp_path / "vfr.mkv", gray(6), times_s=wanted)
    with Clip(path) as clip:
        times = [t for t, _ in clip.frames()]
    assert times == pytest.approx(wanted, abs=0.002)


def test_fast_video_is_thinned_not_slowed(tmp_path):
    path = write_clip(tmp_path / "fast.mp4", gray(120), fps=Fraction(60))
    with Clip(path) as clip:
        times = [t for t, _ in clip.frames()]
    assert len(times) == 60
    assert np.diff(times) == pytest.approx(1 / 30, abs=1e-3)


def test_exif_rotation_is_applied(tmp_path):
    image = Image.fromarray(np.zeros((40, 80, 3), np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6  # rotate 90 degrees clockwise to view
    image.save(tmp_path / "turned.jpg", exif=exif)
    with Clip(tmp_path / "turned.jpg") as clip:
        assert clip.size_wh == (40, 80)


def test_sample_aspect_is_applied(tmp_path):
    with av.open(str(tmp_path / "wide.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        for image in gray(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    with Clip(tmp_path / "wide.mp4") as clip:
        assert clip.size_wh == (128, 64)


@pytest.mark.parametrize(("what", "content", "words"), UNREADABLE)
def test_unreadable_files_end_in_one_clear_sentence(tmp_path, what, content, words):
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        Clip(path)
    assert caught.value.code == DAMAGED
    assert words in caught.value.sentence


def test_a_cut_off_file_is_read_as_far_as_it_goes(tmp_path):
    path = write_clip(tmp_path / "whole.mkv", moving_noise(100))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with Clip(cut) as clip:
        assert 10 < len(list(clip.frames())) < 90


def test_damaged_packets_are_left_out_with_a_warning(tmp_path):
    path = write_clip(tmp_path / "whole.mp4", moving_noise(75))
    data = bytearray(path.read_bytes())
    start = data.find(b"mdat") + len(data) // 3
    data[start : start + 2000] = b"\xff" * 2000
    path.write_bytes(data)
    with Clip(path) as clip:
        frames = list(clip.frames())
    assert 30 < len(frames) <= 75


def test_a_wrong_name_is_said_and_forgiven(tmp_path):
    Image.fromarray(np.zeros((40, 80, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    with Clip(tmp_path / "a.mp4") as clip:
        assert clip.kind == "picture"
        assert any("PNG" in w for w in clip.warnings)


def test_animated_images_are_clips(tmp_path):
    pages = [Image.fromarray(p) for p in gray(8)]
    for name in ("a.gif", "a.webp"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:], duration=100)
        with Clip(tmp_path / name) as clip:
            assert clip.kind == "video"
            assert clip.duration_s == pytest.approx(0.8, abs=0.15)
            assert read_provenance(clip).facts["container"] == clip.container


def test_a_decompression_bomb_is_refused(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png", compress_level=1)
    with pytest.raises(UserError, match="100 million"):
        Clip(tmp_path / "bomb.png")


def test_a_far_time_stamp_in_a_tiny_file_is_refused(tmp_path):
    path = write_clip(tmp_path / "far.mkv", gray(4), times_s=[0.0, 0.04, 0.08, 1e6])
    with pytest.raises(UserError, match="278 hours"):
        Clip(path)


def test_stretches_are_made_when_they_are_asked_for():
    year = plan(365 * 86_400.0, Mode.THOROUGH)
    tracemalloc.start()
    assert len(year) == 10_512_000
    assert year[-1].stop_s == pytest.approx(365 * 86_400, abs=0.01)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


@pytest.mark.parametrize("claimed_hz", [7, 2_000_000, 2**31 - 1])
def test_an_absurd_sample_rate_costs_the_audio_only(tmp_path, claimed_hz):
    path = write_clip(
        tmp_path / "rate.avi", gray(25), audio=click(0.2, 1.0), audio_codec="pcm_s16le"
    )
    data = bytearray(path.read_bytes())
    rate_at = data.index(b"strf", data.index(b"auds")) + 12
    data[rate_at : rate_at + 4] = claimed_hz.to_bytes(4, "little")
    path.write_bytes(data)
    with Clip(path) as clip:
        assert not clip.has_audio
        assert clip.audio(0.0, 1.0) is None
        assert any("sound" in warning for warning in clip.warnings)


@pytest.mark.parametrize("name", ["a.webp", "a.png"])
@pytest.mark.parametrize("bound", ["MOST_KEPT_PIXELS", "MOST_DECODED_PIXELS"])
def test_a_large_animation_is_read_up_to_a_bound(tmp_path, monkeypatch, name, bound):
    pages = [Image.fromarray(p) for p in gray(40, lambda i: 6 * i)]
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:], duration=100)
    monkeypatch.setattr(image_room, bound, 10 * 64 * 64)
    with Clip(tmp_path / name) as clip:
        assert 9 <= len(list(clip.frames())) <= 11
        assert any("only its first 1." in warning for warning in clip.warnings)


def test_a_video_of_too_many_pixels_is_read_up_to_a_bound(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "many.mp4", gray(50))
    monkeypatch.setattr(clip_room, "MOST_DECODED_PIXELS", 10 * 64 * 64)
    with Clip(path) as clip:
        assert len(list(clip.frames())) == 10
        assert any("too large" in warning for warning in clip.warnings)


@pytest.mark.parametrize(
    ("suffix", "animated"),
    [(".webp", True), (".png", True), *((s, False) for s in (".webp", ".png", ".jpg", ".tiff"))],
)
def test_an_image_cut_anywhere_is_read_in_part_or_ends_in_a_sentence(tmp_path, suffix, animated):
    pages = [Image.fromarray(p) for p in moving_noise(6)]
    whole = tmp_path / f"whole{suffix}"
    pages[0].save(whole, **{"save_all": True, "append_images": pages[1:]} if animated else {})
    data = whole.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    for share in (0.02, 0.1, 0.3, 0.5, 0.9, 0.99):
        cut.write_bytes(data[: int(share * len(data))])
        try:
            with Clip(cut) as clip:
                assert clip.size_wh == (96, 96)
        except UserError as error:
            assert error.code == "decode_failed"


def test_images_without_a_decoder_end_in_a_sentence(tmp_path):
    path = write_clip(tmp_path / "strange.mkv", gray(25))
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XYZ"))
    with pytest.raises(UserError, match="coding that cannot be decoded"):
        Clip(path)


def test_audio_without_a_decoder_costs_the_audio_only(tmp_path):
    path = write_clip(tmp_path / "strange.mkv", gray(25), audio=click(0.2, 1.0))
    path.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_XYZ"))
    with Clip(path) as clip:
        assert not clip.has_audio
        assert any("coding" in warning for warning in clip.warnings)
        assert read_provenance(clip).facts["video codec"] == "h264"


def test_a_size_that_changes_midway_is_brought_to_the_first_one(tmp_path):
    path = tmp_path / "changes.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        wide = av.CodecContext.create("mpeg2video", "w")
        wide.width, wide.height, wide.pix_fmt, wide.time_base = 128, 48, "yuv420p", Fraction(1, 25)
        for index in range(20):
            shape = (64, 64, 3) if index < 10 else (48, 128, 3)
            frame = av.VideoFrame.from_ndarray(np.full(shape, 200, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            for packet in (stream if index < 10 else wide).encode(frame):
                packet.stream = stream
                container.mux(packet)
    with Clip(path) as clip, FaceFinder() as finder:
        window = read_window(clip, plan(clip.duration_s, Mode.QUICK)[0], finder, IdentityLinker())
        images = [p for _, p in clip.frames()]
        assert any("size of the pictures changes" in warning for warning in clip.warnings)
    assert window.stills.shape[1:] == (64, 64, 3)
    assert {p.shape for p in images} == {(64, 64, 3)}
    assert images[-1][0].mean() < 10 and images[-1][32].mean() > 190, "black above and below"


def test_the_same_face_keeps_its_name_across_windows(portrait):
    images = moving_portrait(portrait, 40)
    frames = [(i / 25, p) for i, p in enumerate(images)]
    people = IdentityLinker()
    with FaceFinder() as finder:
        first = people.name(track_faces(frames[:20], finder))
        second = people.name(track_faces(frames[20:], finder))
    assert [t.person for t in first] == [t.person for t in second] == ["Face A"]
    assert first[0].crops.shape == (20, 320, 320, 3)
    eyes = first[0].crop_landmarks()[:, [33, 263]]
    assert np.abs(eyes[:, 0, 1] - eyes[:, 1, 1]).max() < 2, "eyes are level in the crops"


def test_two_faces_are_two_people(portrait):
    import cv2

    face = cv2.resize(portrait[:300, 60:360], (240, 240))
    image = np.concatenate([face, cv2.convertScaleAbs(face[:, ::-1], alpha=0.6)], 1)
    with FaceFinder() as finder:
        tracks = IdentityLinker().name(track_faces([(i / 25, image) for i in range(6)], finder))
    assert sorted(t.person for t in tracks) == ["Face A", "Face B"]


def test_a_cut_ends_a_track(portrait):
    import cv2

    one = cv2.resize(portrait, (320, 320))
    other = cv2.convertScaleAbs(one[:, ::-1], alpha=0.4)
    with FaceFinder() as finder:
        frames = [(i / 25, one if i < 8 else other) for i in range(16)]
        tracks = track_faces(frames, finder)
    assert [len(t.times_s) for t in tracks] == [8, 8]


def test_noise_holds_no_faces():
    rng = np.random.default_rng(0)
    frames = [(i / 25, rng.integers(0, 255, (240, 320, 3), np.uint8)) for i in range(16)]
    with FaceFinder() as finder:
        assert track_faces(frames, finder) == []


def test_quick_is_bounded_and_thorough_is_whole():
    assert len(plan(7200.0, Mode.QUICK)) == 4
    whole = plan(100.0, Mode.THOROUGH)
    assert whole[0].start_s == 0 and whole[-1].stop_s == pytest.approx(100.0, abs=0.01)
    assert all(a.stop_s == b.start_s for a, b in pairwise(whole))
    assert len(plan(0.0, Mode.QUICK)) == 1


def moving_noise(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    base = rng.integers(0, 255, (96, 96 + count, 3), np.uint8)
    return [np.ascontiguousarray(base[:, i : i + 96]) for i in range(count)]


def test_the_containers_rotation_is_applied(tmp_path):
    """Phones film sideways and say so in the track header's matrix."""
    images = [np.zeros((64, 128, 3), np.uint8) for _ in range(5)]
    for image in images:
        image[:, :32] = 255  # white at the left of the stored image
    path = write_clip(tmp_path / "phone.mp4", images)
    data = path.read_bytes()
    one, minus, w = (b"\x00\x01\x00\x00", b"\xff\xff\x00\x00", b"\x40\x00\x00\x00")
    zero = bytes(4)
    upright = one + zero * 3 + one + zero * 3 + w
    clockwise = zero + one + zero + minus + zero * 4 + w
    track_header = data.index(b"tkhd")
    at = data.index(upright, track_header)
    path.write_bytes(data[:at] + clockwise + data[at + len(clockwise) :])
    with Clip(path) as clip:
        assert clip.size_wh == (64, 128)
        _, image = next(clip.frames())
    assert image[:20].mean() > 200 > image[-20:].mean(), "left became top: a quarter turn clockwise"


class CountingFinder(FaceFinder):
    """Looks at regions for nothing, and counts; every region holds a face of its size."""

    def __init__(self, sides):
        super().__init__()
        self.looks, self._sides = 0, sides

    def _detect(self, image):
        places = np.stack(np.meshgrid(np.arange(20), np.arange(15)), -1).reshape(-1, 2) * 40 + 20
        return [Region(p.astype(float), s, 0.0) for p, s in zip(places, self._sides, strict=False)]

    def _mesh_at(self, image, region):
        self.looks += 1
        around = np.linspace(-0.3, 0.3, 468)[:, None] * region.side_px
        points = (region.center + around * [1.0, 1.0]).astype(np.float32)
        return Face(np.concatenate([points.min(0), points.max(0)]), points, 1.0)


def test_a_crowd_costs_no_more_than_its_largest_faces():
    sides = np.linspace(30, 60, 300)
    image, crowd = np.zeros((640, 840, 3), np.uint8), CountingFinder(sides)
    result = crowd.find(image)
    assert crowd.looks <= 2 * MOST_PROPOSALS
    assert len(result) == MOST_PROPOSALS
    assert result[0].box_xyxy[2] - result[0].box_xyxy[0] == pytest.approx(
        0.54 * sides[-1], rel=0.01
    )
    crowd.looks = 0
    tracks = track_faces([(i / 25, image) for i in range(8)], crowd)
    assert len(tracks) == MOST_FACES
    assert crowd.looks <= 2 * MOST_PROPOSALS + 7 * MOST_FOLLOWED


def test_a_face_that_is_followed_is_not_looked_at_again(portrait, monkeypatch):
    with FaceFinder() as finder:
        (face,) = finder.find(portrait)
        assert finder.find(portrait, [face]) == []
        looked: list[Region] = []
        monkeypatch.setattr(finder, "_mesh_at", lambda image, region: looked.append(region))
        finder.find(portrait, [face])
        assert not looked
        elsewhere = Face(face.box_xyxy + 300, face.landmarks + 300, 1.0)
        finder.find(portrait, [elsewhere])
        assert looked


@pytest.mark.parametrize("centre", [(700, 500), (60, 1050), (1890, 20)])
def test_the_crop_of_a_large_face_is_the_one_of_the_whole_image_shrunk_to_the_last_bit(
    portrait, centre
):
    image = cv2.resize(portrait, (1920, 1080), interpolation=cv2.INTER_CUBIC)
    matrix = align._upright(np.array(centre, float), 0.2, 700.0, align.CROP_PX)
    scale = align.CROP_PX / 700
    whole = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    factors = np.array([whole.shape[1] / image.shape[1], whole.shape[0] / image.shape[0]])
    moved = np.hstack([matrix[:, :2] / factors, matrix[:, 2:]])
    expected = cv2.warpAffine(
        whole, moved, (align.CROP_PX, align.CROP_PX), borderMode=cv2.BORDER_REFLECT_101
    )
    # 0.03 gray levels of difference move what the frozen backbone says by up to 0.35 log-odds
    assert np.array_equal(align.cut(image, matrix, align.CROP_PX), expected)


def test_the_table_of_a_long_file_says_what_its_packets_say(portrait, tmp_path, monkeypatch):
    images = moving_portrait(portrait, 90, 64)
    path = write_clip(tmp_path / "long.mp4", images, audio=np.zeros(60_000, np.float32))
    results = []
    for long_frames in (10**9, 50):
        monkeypatch.setattr(scan_room, "LONG_FRAMES", long_frames)
        with av.open(path.open("rb"), format="mov") as container:
            results.append(
                scan_room.scan(container, container.streams.video[0], path.stat().st_size, Stop())
            )
    by_packets, by_table = results
    assert by_table == by_packets and by_table.packets == 90


def test_a_table_that_promises_more_than_the_file_holds_is_not_believed(
    portrait, tmp_path, monkeypatch
):
    monkeypatch.setattr(scan_room, "LONG_FRAMES", 50)
    path = write_clip(tmp_path / "whole.mp4", moving_portrait(portrait, 90, 64))
    moved = tmp_path / "front.mp4"
    command = ["ffmpeg", "-v", "error", "-i", path, "-c", "copy", "-movflags", "+faststart", moved]
    subprocess.run(command, check=True)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(moved.read_bytes()[: int(0.7 * moved.stat().st_size)])
    with Clip(cut) as clip:
        assert clip.duration_s < 3.4 and clip.warnings


def test_recordings_that_are_heard_at_once_do_not_cross(speech):
    """The network for speech remembers what it heard last; several threads use it."""
    early, silence = speech[: 2 * 16_000], np.zeros(16_000, np.float32)
    recordings = 4 * [early, np.concatenate([silence, early])]
    alone = [speech_stretches(recording, 0.0).tolist() for recording in recordings]
    with ThreadPoolExecutor(4) as threads:
        at_once = list(threads.map(lambda one: speech_stretches(one, 0.0).tolist(), recordings))
    assert alone[0] != alone[1]
    assert at_once == alone
