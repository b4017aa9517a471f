"""Where does what a visitor sent lie, and how long?

Uploads, previews and results of one server lie in one folder. It is emptied by the clock, and
deleted when the server ends; what a server left that was killed is deleted by the next one that
starts: whoever lives holds a lock. Imports errors.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from errors import UserError, writing

KEEP_S = 50 * 60  # after the last use; longer than a job may take
SWEEP_EVERY_S = 5 * 60  # with KEEP_S, everything is gone within an hour
ROOT_NAME = "deepfake-detector"
LOCK = ".lock"  # beside each folder, held while its server lives
UPLOADS, RESULTS = "uploads", "results"


def root() -> Path:
    """Where the servers of this user have their folders, ``…/deepfake-detector-USER``.

    Raises:
        UserError: ``cannot_write`` when it cannot be made, somebody else made it, or others may
            look into it.
    """
    user = getattr(os, "getuid", lambda: "")()  # elsewhere each user has a temporary folder
    folder = Path(tempfile.gettempdir()) / f"{ROOT_NAME}-{user}"
    with writing(f"The folder {folder}"), suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    about = folder.lstat()
    private = stat.S_ISDIR(about.st_mode) and about.st_uid == user and not about.st_mode & 0o077
    if user != "" and not private:
        raise UserError(
            "cannot_write",
            f"{folder} is not a folder that only you can open: delete it, or name another place "
            "for temporary files (TMPDIR).",
        )
    return folder


@cache
def _claimed(parent: Path) -> tuple[Path, FileLock]:
    """A name that no server has, and its lock, which the system frees however this one ends."""
    folder = parent / f"{os.getpid()}-{secrets.token_hex(8)}"
    lock = FileLock(folder.with_suffix(LOCK), mode=0o600, thread_local=False)
    lock.acquire()
    return folder, lock


def own_folder() -> Path:
    """The folder of this process, for this user's eyes only.

    Raises:
        UserError: as `root`.
    """
    folder, _ = _claimed(root())
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def fresh_folder() -> Path:
    """A new folder for results."""
    results = own_folder() / RESULTS
    results.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(dir=results))


def touch(path: str | Path) -> None:
    """A file is used now: it is kept that much longer."""
    os.utime(path)


def begin() -> None:
    """Delete what dead servers left, and let Gradio keep its files in this server's folder.

    Call it before the page is built: components ask for their folder when they are made.

    Raises:
        UserError: as `root`.
    """
    itself = own_folder()
    shutil.rmtree(itself, ignore_errors=True)
    for folder in {path.with_suffix("") for path in itself.parent.iterdir()} - {itself}:
        _delete_if_left(folder)
    os.environ["GRADIO_TEMP_DIR"] = str(own_folder() / UPLOADS)


def _delete_if_left(folder: Path) -> None:
    """Delete the folder of a server whose lock nobody holds."""
    lock = folder.with_suffix(LOCK)
    try:
        with FileLock(lock, timeout=0, mode=0o600):
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)
    except Timeout:  # it lives
        return


def held() -> frozenset[Path]:
    """All files that lie there now."""
    return frozenset(path for path in own_folder().rglob("*") if path.is_file())


def sweep(always: frozenset[Path] = frozenset(), now_s: float | None = None) -> None:
    """Delete everything that was last changed more than `KEEP_S` ago, and folders left empty.

    Args:
        always: files of the page itself, which stay: its examples.
        now_s: the time, as ``time.time`` says it.
    """
    oldest_s = (time.time() if now_s is None else now_s) - KEEP_S
    for folder, _, names in os.walk(own_folder(), topdown=False):
        for path in (Path(folder, name) for name in names):
            if path not in always:
                _delete_if_older(path, oldest_s)
        _delete_if_older(Path(folder), oldest_s)


def _delete_if_older(path: Path, oldest_s: float) -> None:
    """Delete a file or an empty folder by its time of change, which nobody can set back."""
    try:
        if path.lstat().st_ctime > oldest_s:
            return
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    except OSError:  # not empty, or somebody was faster
        return


class Sweeper:
    """Sweeps by the clock from a thread of its own until it is closed; then deletes everything.

    Make it when the page is built and nobody has visited it: what lies there then is the page's.
    """

    def __init__(self, every_s: float = SWEEP_EVERY_S) -> None:
        self._every_s, self._always = every_s, held()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(self._every_s):
            sweep(self._always)

    def close(self) -> None:
        """End, and delete the whole folder of this server."""
        self._closed.set()
        self._thread.join()
        shutil.rmtree(own_folder(), ignore_errors=True)
