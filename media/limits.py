"""How much of a file is decoded at most?

Headers cost nothing and promise anything: a few kilobytes can claim a year of video or gigabytes of
images. These bounds lie far above what people send. Imports nothing of the project.
"""

from __future__ import annotations

import av.error

MOST_HZ = 32.0  # images a second that are handed out; of faster video every second one and so on
LONGEST_SIDE_PX = 1920  # larger frames are scaled down: faces stay larger than any detector's input
MOST_PIXELS = 100_000_000  # of a still image: more is a decompression bomb, or no photo
MOST_FRAME_PIXELS = 8192 * 4320  # of a frame of video: the largest cinema format, 8K
MOST_KEPT_PIXELS = 100_000_000  # of all pages of an animation together: 300 MB of memory
MOST_DECODED_PIXELS = 40_000_000_000  # in one go: 20,000 frames of full HD, some minutes of work
LONGEST_S = 24 * 3600.0  # between the first and the last image
MOST_PACKETS = 10_000_000  # of video: a day at 115 frames a second
AUDIO_RATES_HZ = (4_000, 384_000)  # samples a second: from telephones to studios

# whatever a decoder may raise about bytes that it does not like
DAMAGE = (av.error.FFmpegError, OSError, EOFError, ValueError, ArithmeticError, LookupError)
