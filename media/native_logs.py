"""How are native libraries kept from writing about their inner life? Imports nothing."""

from __future__ import annotations

import os
import sys


def silence_native_logs() -> None:
    """Let only Python write to stderr; for the start of a program, before it does anything else.

    mediapipe and TensorFlow Lite write lines to file descriptor 2 whenever a network is made, and
    no setting of theirs turns that off.
    """
    own_stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(own_stderr, "w", buffering=1, encoding="utf-8", errors="replace")
