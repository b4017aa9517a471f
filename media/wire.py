"""How do a process that opens files and the program talk, when the first may be the enemy's?

Messages are JSON, never pickles, so that what arrives can do nothing but be wrong. Arrays travel as
sealed files in memory (memfd): they are not copied through the socket, leave nothing behind when a
process is killed, and cannot change or shrink once they were sent. Linux only. Imports nothing of
the project.
"""

from __future__ import annotations

import fcntl
import json
import math
import mmap
import os
import socket
import struct
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

HEADER = struct.Struct("<II")  # bytes of the JSON, number of arrays
MOST_BYTES = 16_000_000  # of JSON in one message
MOST_ARRAYS = 64  # in one message
COPIED_BELOW = 1_000_000  # bytes; smaller arrays are copied, larger ones stay where they are
DTYPES = ("|u1", "<f4", "<f8", "<i8")
ARRAY = "__array__"
NEW, ENDED = b"N", b"E"  # orders to the nursery: make a cell; how did this one end?
ORDER = struct.Struct("<cq")  # an order, with seconds of computing per answer, or a process
PID, STATUS = struct.Struct("<q"), struct.Struct("<i")  # what the nursery answers
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Garbled(Exception):
    """What arrived is no message."""


class Gone(Exception):
    """The other side has closed the connection."""


def send(connection: socket.socket, message: Mapping[str, Any]) -> None:
    """Send a message.

    Args:
        connection: a stream socket of this machine.
        message: what JSON can hold, and arrays of the types in `DTYPES` anywhere in it.

    Raises:
        Gone: nobody reads any longer.
    """
    files: list[int] = []
    try:
        body = json.dumps(message, default=partial(_pack, files)).encode()
        socket.send_fds(connection, [HEADER.pack(len(body), len(files))], files)
        connection.sendall(body)
    except ConnectionError as error:
        raise Gone from error
    finally:
        for file in files:
            os.close(file)


def receive(connection: socket.socket) -> dict[str, Any]:
    """The next message; arrays are writable, and changes stay on this side.

    Raises:
        Gone: the other side has closed the connection.
        Garbled: it sent something else.
    """
    files: list[int] = []
    try:
        head, files, _, _ = socket.recv_fds(connection, HEADER.size, MOST_ARRAYS)
        if not head:
            raise Gone
        length, count = HEADER.unpack(head + _read(connection, HEADER.size - len(head)))
        if length > MOST_BYTES or count != len(files):
            raise Garbled
        message = json.loads(_read(connection, length), object_hook=partial(_unpack, files))
        if not isinstance(message, dict):
            raise Garbled
        return message
    except ConnectionError as error:
        raise Gone from error
    except (ValueError, TypeError, LookupError, OSError, RecursionError) as error:
        raise Garbled from error
    finally:
        for file in files:
            os.close(file)


def _read(connection: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = connection.recv(min(count, 1 << 20))
        if not part:
            raise Gone
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _pack(files: list[int], value: object) -> dict[str, Any]:
    """An array as a sealed file; what stands for it in the JSON."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"no message holds a {type(value).__name__}")
    array = np.ascontiguousarray(value)
    if array.nbytes:
        file = os.memfd_create("array", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        files.append(file)
        left = memoryview(array.reshape(-1).view("B"))  # pyright: ignore[reportArgumentType]
        while left:
            left = left[os.write(file, left) :]
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, SEALS)
    index = len(files) - 1 if array.nbytes else None
    return {ARRAY: index, "dtype": array.dtype.str, "shape": value.shape}


def _unpack(files: list[int], entry: dict[str, Any]) -> Any:
    """The array that an object of the JSON stands for; any other object as it is."""
    if ARRAY not in entry:
        return entry
    shape = tuple(int(side) for side in entry["shape"])
    if entry["dtype"] not in DTYPES or any(side < 0 for side in shape):
        raise Garbled
    dtype = np.dtype(entry["dtype"])
    size = math.prod(shape) * dtype.itemsize
    if size == 0:
        return np.zeros(shape, dtype)
    file = files[entry[ARRAY]]
    sealed = fcntl.fcntl(file, fcntl.F_GET_SEALS) & SEALS == SEALS
    if not sealed or os.fstat(file).st_size != size:  # else it could shrink under our hands
        raise Garbled
    held = mmap.mmap(file, size, access=mmap.ACCESS_COPY)
    array = np.frombuffer(memoryview(held), dtype).reshape(shape)
    return array.copy() if size < COPIED_BELOW else array
