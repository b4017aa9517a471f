"""How is the finding shown on the moving image?

Writes an MP4 image by image, with boxes between the moments that were examined and the audio as
the analysis heard it, on the same clock. A long clip is cut to the examined
stretches. Memory does not grow with its length. Imports analysis (types), media and report.draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from analysis import Analysis
from errors import UserError
from media.rates import AUDIO_HZ
from media.reader import Reader, open_reader
from media.sniff import MediaKind
from media.windows import Stretch
from media.writer import ClipWriter, Encoding
from report.draw import fit, marked, opinions_by_person
from report.language import ENGLISH, Language
from report.words import clock
from stop import Stop

WHOLE_UP_TO_S = 60.0  # longer clips are shown in their examined stretches only
AUDIO_BLOCK_S = 5.0  # of audio held at a time
OVERLAP_S = 0.1  # read on both sides of a block, so that resampling leaves no seam
LOST_AFTER_S = 0.06  # a box is shown this long before and after the face was followed
ENCODING = Encoding(23, audio_bps=64_000)
Progress = Callable[[float, str], None]


def write_video(
    analysis: Analysis,
    source: str | Path,
    target: str | Path,
    on_progress: Progress = lambda fraction, text: None,
    stop: Stop | None = None,
    language: Language = ENGLISH,
) -> Path:
    """Write the annotated video.

    Args:
        analysis: of ``source``.
        source: the analyzed file.
        target: an ``.mp4`` to write.
        on_progress: called with a fraction 0..1.
        stop: asks the writing to end.
        language: of what is written into it.

    Raises:
        UserError: ``single_picture`` or ``no_pictures`` when there is no video to annotate; what
            ``stop`` says.
    """
    if analysis.kind != MediaKind.VIDEO:
        if analysis.kind == MediaKind.AUDIO:
            raise UserError("no_pictures", "A sound file has no video to annotate.")
        raise UserError("single_picture", "A single picture has no video to annotate.")
    target = Path(target)
    stretches = stretches_shown(analysis)
    size_wh, fps = _even_size(analysis), max(1, round(analysis.fps))
    with (
        open_reader(source, stop) as clip,
        ClipWriter(target, ENCODING, size_wh, fps, analysis.has_audio) as writer,
    ):
        _write(analysis, clip, writer, stretches, on_progress, language)
    return target


def boxes_at(analysis: Analysis, time_s: float) -> dict[str, np.ndarray]:
    """Where each person is at a moment, between the images in which the face was followed.

    Returns:
        person → (4,) float px; without those who were not followed at that time.
    """
    boxes = {}
    for person in analysis.people:
        for track in person.tracks:
            times = track.times_s
            if times[0] - LOST_AFTER_S <= time_s <= times[-1] + LOST_AFTER_S:
                columns = track.boxes_xyxy.T
                boxes[person.name] = np.array([np.interp(time_s, times, c) for c in columns])
    return boxes


def stretches_shown(analysis: Analysis) -> Sequence[Stretch]:
    """What of the clip the annotated video shows, one stretch after the other."""
    if analysis.duration_s <= WHOLE_UP_TO_S:
        return (Stretch(0.0, analysis.duration_s),)
    return analysis.windows


def _write(
    analysis: Analysis,
    clip: Reader,
    writer: ClipWriter,
    stretches: Sequence[Stretch],
    on_progress: Progress,
    language: Language,
) -> None:
    total = sum(s.stop_s - s.start_s for s in stretches)
    shown_s = 0.0
    for stretch in stretches:
        for block in _blocks(stretch):
            for time_s, image in clip.frames(block.start_s, block.stop_s):
                drawn = _drawn(analysis, image, time_s, language)
                writer.add_image(drawn, shown_s + time_s - stretch.start_s)
            if analysis.has_audio:
                _write_audio(clip, writer, block, shown_s + block.start_s - stretch.start_s)
            done = shown_s + block.stop_s - stretch.start_s
            on_progress(done / total, "Drawing the annotated video")
        shown_s += stretch.stop_s - stretch.start_s


def _blocks(stretch: Stretch) -> Iterator[Stretch]:
    """Cut a stretch into pieces whose audio is held in memory one at a time."""
    start = stretch.start_s
    while start < stretch.stop_s - 1e-6:
        stop = min(start + AUDIO_BLOCK_S, stretch.stop_s)
        yield Stretch(start, stop)
        start = stop


def _even_size(analysis: Analysis) -> tuple[int, int]:
    """Size of the drawn images; H.264 wants even sides."""
    blank = np.zeros((analysis.size_wh[1], analysis.size_wh[0], 3), np.uint8)
    height, width = fit(blank)[0].shape[:2]
    return width - width % 2, height - height % 2


def _drawn(analysis: Analysis, image: np.ndarray, time_s: float, language: Language) -> np.ndarray:
    image, factor = fit(image)
    boxes = {name: box * factor for name, box in boxes_at(analysis, time_s).items()}
    examined = any(s.start_s <= time_s < s.stop_s for s in analysis.windows)
    note = clock(time_s, language) + ("" if examined else f", {language('not examined')}")
    drawn = marked(image, boxes, opinions_by_person(analysis), note, language)
    height, width = (side // 2 * 2 for side in drawn.shape[:2])
    return drawn[:height, :width]


def _write_audio(clip: Reader, writer: ClipWriter, block: Stretch, at_s: float) -> None:
    """Encode the audio of one block at its place in the new file."""
    lead = min(OVERLAP_S, block.start_s)
    samples = clip.audio(block.start_s - lead, block.stop_s + OVERLAP_S)
    if samples is None:
        return
    begin = round(at_s * AUDIO_HZ)
    count = round((at_s + block.stop_s - block.start_s) * AUDIO_HZ) - begin
    skip = round(lead * AUDIO_HZ)
    writer.add_audio(samples[skip : skip + count], at_s)
