"""Files and folders made to harm, and how each of them must end.

Not a test. The tables are run by ``test_media.py``, ``test_isolation.py`` and
``test_hub_hostile.py``; repositories of the Hub are in ``hostile_repos.py``.
"""

from __future__ import annotations

DAMAGED = "decode_failed"
UNREADABLE = (  # what is wrong, content, part of the sentence
    ("nothing at all", b"", "empty"),
    ("zeros alone", b"\0" * 4096, "zeros"),
    ("a playlist that leads elsewhere", b"#EXTM3U\nhttp://example.com/a.ts\n", "text"),
    ("a script that names other files", b"ffconcat version 1.0\nfile other.mp4\n", "text"),
    ("bytes of no kind", b"\x00\x01\x02\x03garbage\xff" * 40, "not a video"),
    ("a tag without sound", b"ID3\x03" + b"\0" * 200, "sound that is not read"),
    ("a JPEG that ends after its first bytes", b"\xff\xd8\xff\xe0" + b"\0" * 50, "damaged"),
    ("an MP4 without an index", b"\x00\x00\x00\x18ftypmp42" + b"\0" * 300, "index"),
)
MISDEEDS = (  # what its reader does, its name in the tests, code, part of the sentence
    ("brings down the process that reads it", "crash", "reader_crashed", "brought down"),
    ("computes forever", "spin", "reader_limit", "took longer"),
    ("takes all memory", "eat", "reader_memory", "memory"),
    ("writes without end", "fill", "internal_error", "OSError"),
)
LINKS = (  # what the links are, name in the folder → where it leads, code, part of the sentence
    ("weights that lead to a file of the system", {"model.safetensors": "/etc/passwd"},
     "weights_refused", "safetensors"),
    ("weights without end", {"model.safetensors": "/dev/zero"}, "weights_missing", "safetensors"),
    ("a config without end", {"config.json": "/dev/zero"}, "weights_refused", "config.json"),
    ("a config that leads to itself", {"config.json": "config.json"}, "weights_refused",
     "config.json"),
    ("a card without end", {"card.json": "/dev/zero"}, None, ""),
    ("a card that is a file of the system", {"card.json": "/etc/passwd"}, "weights_refused",
     "card.json"),
    ("a folder in itself", {"again": "."}, None, ""),
    ("a README without end", {"README.md": "/dev/zero"}, None, ""),
)  # fmt: skip
