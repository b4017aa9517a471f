"""How does a process that opens a stranger's file give up what it does not need?

Memory, output and open files are bounded (``setrlimit``). A filter of the kernel (seccomp) takes
the network away, and the means to start programs and to look into other processes. Linux only, and
only for processes that do nothing else: nothing of it can be taken back. Imports nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from dataclasses import dataclass

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38  # linux/prctl.h
SECCOMP_MODE_FILTER = 2
LOAD, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
ALLOW, DENY = 0x7FFF_0000, 0x0005_0001  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EPERM
AT_CALL, AT_MACHINE = 0, 4  # offsets in struct seccomp_data
X32_CALLS = 0x4000_0000  # numbers of a second set of calls on x86-64; none on ARM reaches it

# machine → its number (AUDIT_ARCH_…) and its numbers of: socket, io_uring_setup, execve, execveat,
# ptrace, process_vm_readv, process_vm_writev, kill
MACHINES = {
    "x86_64": (0xC000_003E, (41, 425, 59, 322, 101, 310, 311, 62)),
    "aarch64": (0xC000_00B7, (198, 425, 221, 281, 117, 270, 271, 129)),
}


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
        Whether the kernel took the network away, too.
    """
    bound(limits)
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


def _filter_calls() -> bool:
    """No sockets, no programs, no other processes; False where the kernel does not allow it."""
    if (
        sys.platform != "linux"
        or platform.machine() not in MACHINES
        or ctypes.sizeof(ctypes.c_void_p) != 8
    ):
        return False
    code = _bpf(*MACHINES[platform.machine()])
    program = _Program(len(code) // 8, code)
    if _prctl(PR_SET_NO_NEW_PRIVS, 1) != 0:
        return False
    return _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program)) == 0


def _bpf(machine: int, calls: tuple[int, ...]) -> bytes:
    """The filter: calls of another machine's set and those that are listed fail with EPERM."""
    allow = 4 + len(calls)  # index of the instruction that allows; the next one denies

    def to(target: int, at: int) -> int:
        return target - at - 1  # jumps are counted from the next instruction

    steps = [
        (LOAD, 0, 0, AT_MACHINE),
        (IF_EQUAL, 0, to(allow + 1, 1), machine),
        (LOAD, 0, 0, AT_CALL),
        (IF_AT_LEAST, to(allow + 1, 3), 0, X32_CALLS),
        *((IF_EQUAL, to(allow + 1, 4 + i), 0, call) for i, call in enumerate(calls)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, DENY),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _prctl(*arguments: int) -> int:
    values = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:5]]
    return ctypes.CDLL(None).prctl(*values)
