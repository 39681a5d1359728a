"""System calls that a session may make: a list of what is allowed, compiled into a seccomp program.

A call that is not listed answers EPERM. In the list is what numpy, scipy and sympy need for computing in one thread
and for files of their own; not in it, among others: every way to a second thread, process or program, sockets, pipes,
memory behind descriptors, all that changes a file by its name without opening it (Landlock does not hold all of that),
and all that looks at other processes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

ALLOWED = {
    # name: (x86_64, aarch64); None where the machine has no such call. Sources: asm/unistd_64.h, asm-generic/unistd.h.
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "lseek": (8, 62),
    "close": (3, 57),
    "close_range": (436, 436),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "fstat": (5, 80),
    "stat": (4, None),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "chdir": (80, 49),
    "fchdir": (81, 50),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "ftruncate": (77, 46),
    "fallocate": (285, 47),
    "fadvise64": (221, 223),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "umask": (95, 166),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "msync": (26, 227),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137),
    "rt_sigsuspend": (130, 133),
    "sigaltstack": (131, 132),
    "pause": (34, None),
    "alarm": (37, None),
    "getitimer": (36, 102),
    "setitimer": (38, 103),
    "restart_syscall": (219, 128),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "sched_yield": (24, 124),
    "getcpu": (309, 168),
    "futex": (202, 98),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getresuid": (118, 148),
    "getresgid": (120, 150),
    "getgroups": (115, 158),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "getrandom": (318, 278),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_OPEN: dict[str, tuple[int | None, int | None, int]] = {"open": (2, None, 1), "openat": (257, 56, 2)}
"""Numbers, and the place of the flags among the arguments."""
_KILL, _TGKILL, _PRLIMIT, _PRCTL = (62, 129), (234, 131), (302, 261), (157, 167)
_IOCTL, _FCNTL, _AFFINITY, _CLONE3 = (16, 29), (72, 25), (204, 123), (435, 435)

_PRCTL_HARMLESS = (15, 16, 0x53564D41)
"""Name this thread, ask for the name, name a mapping (which malloc does)."""
_IOCTL_HARMLESS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Is it a terminal, how large, bytes to read, non-blocking, close-on-exec off and on."""
_FCNTL_HARMLESS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030)
"""Duplicate, flags, locks. Not F_SETOWN, which aims signals at other processes; no pipe sizes, leases, notices."""
_O_TRUNC = 0o1000

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in `struct seccomp_data`."""
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x50001, 0x50026

Instruction = tuple[int, int, int, int]
"""Code, steps to jump when true, when false, and a value: `struct sock_filter`."""


_ANY_PID = 0x7FFFFFF1
"""Stands for the session's own process, and is nobody's: Linux gives numbers below 2**22."""


def for_process(program: bytes, pid: int) -> bytes:
    """The program for one process, which may send signals to itself: `pid` is its number as it sees itself."""
    return program.replace(struct.pack("I", _ANY_PID), struct.pack("I", pid))


def filter_program(*, writable: bool, machine: str | None = None) -> bytes:
    """The program of all sessions, to be finished by `for_process`.

    Args:
        writable: whether it has files of its own. Landlock before version 3 lets a file be emptied while it is opened
            for reading, so where nothing is to be written, nothing may be emptied.
        machine: as `uname -m` says it; this one when None.

    Raises:
        OSError: for this machine no numbers are known.
    """
    machine = machine or os.uname().machine
    if machine not in _ARCHITECTURES:
        raise OSError(f"seccomp: no system calls are listed for {machine}")
    column = list(_ARCHITECTURES).index(machine)
    ended: Instruction = (_RETURN, 0, 0, _KILL_PROCESS)
    program: list[Instruction] = [
        _load(_ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),  # a call by the 32-bit way has other numbers
        ended,
        _load(_NUMBER),
    ]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32_BIT), ended]
    for numbers in ALLOWED.values():
        if (number := numbers[column]) is not None:
            program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    # The C library starts threads the old way when it hears that there is no new one.
    program += [(_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _ENOSYS)]
    for *numbers_of_open, place in _OPEN.values():
        if (number := numbers_of_open[column]) is not None:
            program += _unless_bits(number, place, 0 if writable else _O_TRUNC)
    for numbers, place, values in (
        (_KILL, 0, (_ANY_PID,)),
        (_TGKILL, 0, (_ANY_PID,)),
        (_PRLIMIT, 0, (0, _ANY_PID)),
        (_AFFINITY, 0, (0, _ANY_PID)),
        (_PRCTL, 0, _PRCTL_HARMLESS),
        (_IOCTL, 1, _IOCTL_HARMLESS),
        (_FCNTL, 1, _FCNTL_HARMLESS),
    ):
        program += _if_one_of(numbers[column], place, values)
    program.append((_RETURN, 0, 0, _EPERM))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def _load(offset: int) -> Instruction:
    return (_LOAD, 0, 0, offset)


def _argument(place: int) -> Instruction:
    """The lower half of an argument; the kernel reads these arguments as 32 bits too."""
    return _load(_ARGUMENTS + 8 * place)


def _if_one_of(number: int, place: int, values: Sequence[int]) -> list[Instruction]:
    """Allow a call when one of its arguments has one of these values, refuse it otherwise."""
    tests: list[Instruction] = [(_EQUAL, len(values) - index, 0, value) for index, value in enumerate(values)]
    verdicts: list[Instruction] = [(_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    return [(_EQUAL, 0, len(tests) + 3, number), _argument(place), *tests, *verdicts]


def _unless_bits(number: int, place: int, bits: int) -> list[Instruction]:
    """Allow a call unless one of its arguments has one of these bits."""
    verdicts: list[Instruction] = [(_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    return [(_EQUAL, 0, 4, number), _argument(place), (_ANY_BIT, 0, 1, bits), *verdicts]
