"""How does a process that opens a stranger's file give up what it does not need?

Memory, output and open files are bounded (``setrlimit``). Filters of the kernel (seccomp) take away
the network, other processes, and the means to start any; Landlock takes all files but those that
are needed, where the kernel has it (Linux 5.13). Linux only, and only for processes that do nothing
else: nothing of it can be taken back. Imports nothing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38  # prctl.h
SECCOMP_MODE_FILTER = 2
LOAD, IF_EQUAL, IF_AT_LEAST, IF_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h
ALLOW, DENY = 0x7FFF_0000, 0x0005_0000 | errno.EPERM  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO
UNKNOWN = 0x0005_0000 | errno.ENOSYS  # the C library then asks by an older call
AT_CALL, AT_MACHINE, AT_FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian
X32_CALLS = 0x4000_0000  # numbers of a second set of calls on x86-64; none on ARM reaches it
CLONE_THREAD = 0x0001_0000  # a thread of this process, not a process of its own
MACHINES = {"x86_64": (0xC000_003E, 0), "aarch64": (0xC000_00B7, 1)}  # AUDIT_ARCH_…, column below

# Calls by their numbers on x86-64 and on ARM64; ARM lacks what newer calls do as well.
OUTSIDE = {  # network, programs, other processes, and parts of the kernel that no decoder needs
    "socket": (41, 198), "io_uring_setup": (425, 425), "execve": (59, 221), "execveat": (322, 281),
    "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "kcmp": (312, 272), "perf_event_open": (298, 241), "bpf": (321, 280),
    "userfaultfd": (323, 282), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40),
}  # fmt: skip
COPIES = {"fork": (57, None), "vfork": (58, None)}
PROPERTIES = {  # of files: Landlock knows no right for them
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16),
}  # fmt: skip
CLONE, CLONE3, TGKILL, PRLIMIT = (56, 220), (435, 435), (234, 131), (302, 261)

# Landlock, linux/landlock.h: calls, then rights to files by the version that brought them
CREATE_RULESET, ADD_RULE, RESTRICT_SELF, PATH_BENEATH = 444, 445, 446, 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # all; across folders; cut; devices
SCOPED_SINCE, SCOPED = 6, 0b11  # neither signals nor abstract sockets reach other processes
SURROUNDINGS = (
    "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/proc/self", "/proc/cpuinfo",
    "/proc/meminfo", "/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu", "/dev/null",
    "/dev/zero", "/dev/urandom",
)  # fmt: skip
"""What libraries read that are loaded late, or that ask for the number of cores."""
Steps = list[tuple[int, int, int, int]]  # operation, jump if true, jump if false, value


@dataclass(frozen=True)
class Limits:
    """What a process may use.

    Attributes:
        memory_bytes: of address space.
        output_bytes: of any one file, those in memory included.
        open_files: at the same time.
    """

    memory_bytes: int
    output_bytes: int
    open_files: int = 256


class _Program(ctypes.Structure):
    """``struct sock_fprog``: a filter for the kernel."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def confine(limits: Limits) -> bool:
    """Bound this process and its children for good.

    Returns:
        Whether the kernel took the network and other processes away, too.
    """
    bound(limits)
    keep_to_itself()
    return _filter_calls()


def bound(limits: Limits) -> None:
    """Set the limits alone; no core dump is ever written."""
    for what, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.output_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def allow_cpu(seconds: int) -> None:
    """This process is ended (SIGXCPU) once it has computed that much longer, on all cores."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def die_with_parent() -> None:
    """The kernel kills this process when the thread that made it ends; Linux only."""
    parent = os.getppid()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent == 1 or os.getppid() != parent:  # it had ended before
        os._exit(1)


def stand_alone() -> None:
    """From now on this process starts no other, and signals and bounds none but itself.

    For a copy that serves one file, after `confine`; threads may still be started. It cannot
    change the properties of files either.
    """
    itself, at_once = os.getpid(), (*COPIES.values(), *PROPERTIES.values())
    _filter(
        lambda column: [
            *_refused(call[column] for call in at_once),
            *_refused((CLONE3[column],), UNKNOWN),
            *_only(CLONE[column], IF_BITS, CLONE_THREAD),
            *_only(TGKILL[column], IF_EQUAL, itself),
            *_only(PRLIMIT[column], IF_EQUAL, 0),
        ]
    )


def keep_to_itself() -> None:
    """Other processes of this user cannot read this one's memory and environment."""
    _prctl(PR_SET_DUMPABLE, 0)


def _filter_calls() -> bool:
    """No sockets, no programs, no other processes; False where the kernel does not allow it."""
    return _filter(lambda column: _refused(call[column] for call in OUTSIDE.values()))


def _filter(steps: Callable[[int], Steps]) -> bool:
    """Put a filter before the calls of this process, over those that are there.

    Args:
        steps: for the column of this machine in the tables of calls.
    """
    if (
        sys.platform != "linux"
        or platform.machine() not in MACHINES
        or ctypes.sizeof(ctypes.c_void_p) != 8
    ):
        return False
    machine, column = MACHINES[platform.machine()]
    code = b"".join(struct.pack("=HBBI", *step) for step in _bpf(machine, steps(column)))
    program = _Program(len(code) // 8, code)
    if _prctl(PR_SET_NO_NEW_PRIVS, 1) != 0:
        return False
    return _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program)) == 0


def _bpf(machine: int, steps: Steps) -> Steps:
    """The filter: calls of another machine's set fail, then come the steps, the rest is allowed."""
    return [
        (LOAD, 0, 0, AT_MACHINE), (IF_EQUAL, 1, 0, machine), (RETURN, 0, 0, DENY),
        (LOAD, 0, 0, AT_CALL), (IF_AT_LEAST, 0, 1, X32_CALLS), (RETURN, 0, 0, DENY),
        *steps, (RETURN, 0, 0, ALLOW),
    ]  # fmt: skip


def _refused(calls: Iterable[int | None], answer: int = DENY) -> Steps:
    """These calls fail."""
    known = [call for call in calls if call is not None]
    return [step for c in known for step in ((IF_EQUAL, 0, 1, c), (RETURN, 0, 0, answer))]


def _only(call: int, test: int, value: int) -> Steps:
    """This call fails but where its first argument passes the test."""
    return [
        (IF_EQUAL, 0, 4, call), (LOAD, 0, 0, AT_FIRST_ARGUMENT), (test, 0, 1, value),
        (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, DENY),
    ]  # fmt: skip


# ---------------------------------------------------------------- files


def landlock_version() -> int:
    """Which Landlock this kernel has; 0 for none."""
    return max(0, _call(CREATE_RULESET, None, 0, 1)) if sys.platform == "linux" else 0


def read_only(*paths: Path) -> bool:
    """From now on this process reads these files and folders, Python and the program; no other.

    It writes nowhere: not into files, and no file is made, moved or deleted.

    Args:
        paths: with all that lies in them; those that are not there are left out.

    Returns:
        False where the kernel has no Landlock: then nothing has changed.

    Raises:
        OSError: the kernel has it and refuses it.
    """
    version = landlock_version()
    if version == 0:
        return False
    handled = sum(right for since, right in RIGHTS.items() if since <= version)
    scoped = SCOPED if version >= SCOPED_SINCE else 0
    rules = _must(_call(CREATE_RULESET, struct.pack("=QQQ", handled, 0, scoped), 24, 0))
    try:
        for path in (*surroundings(), *paths):
            _allow_reading(rules, path)
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
        _must(_call(RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)
    return True


def surroundings() -> set[Path]:
    """What a process of the program needs beside its file: libraries, Python, the program."""
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    texts = {*SURROUNDINGS, *libraries, *sys.path, sys.prefix, sys.base_prefix}
    return {Path(text) for text in texts if text} | {Path(__file__).parent}


def _allow_reading(rules: int, path: Path) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not on this machine
        return
    try:
        rights = READ_FILE | READ_DIR if path.is_dir() else READ_FILE
        _must(_call(ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", rights, place), 0))
    finally:
        os.close(place)


def _must(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "Landlock was refused")
    return result


def _call(number: int, *arguments: int | bytes | None) -> int:
    """A call that the C library has no name for."""
    values = [a if isinstance(a, bytes) or a is None else ctypes.c_long(a) for a in arguments]
    return ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *values)


def _prctl(*arguments: int) -> int:
    values = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:5]]
    return ctypes.CDLL(None).prctl(*values)
