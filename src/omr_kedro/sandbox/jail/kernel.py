"""System calls that Python has no function for, through the C library."""

from __future__ import annotations

import ctypes
import os
import signal
import struct

libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
_LOCKED_FLAGS = MS_NOEXEC | 1024 | 2048
"""Flags of the source that a remount must repeat (noexec, noatime, nodiratime): a user namespace may not undo them."""
_UMOUNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2

_ARM = os.uname().machine == "aarch64"
_PIVOT_ROOT = 41 if _ARM else 155
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_PERSONALITY_NO_RANDOM = 0x40000
_PERSONALITY_ASK = 0xFFFFFFFF
_CAPABILITY_VERSION_3 = 0x20080522


def check(result: int, doing: str) -> int:
    """Pass a result on.

    Raises:
        OSError: the call failed; says what was done, in the kernel's words.
    """
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{doing}: {os.strerror(error)}")
    return result


def syscall(number: int, *arguments: object, doing: str) -> int:
    """Make a call by its number; integers go as words of 64 bits."""
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return check(libc.syscall(ctypes.c_long(number), *words), doing)


def prctl(option: int, value: object, rest: object = 0) -> None:
    """Set a property of this process."""
    words = [ctypes.c_ulong(word) if isinstance(word, int) else word for word in (value, rest, 0, 0)]
    check(libc.prctl(option, *words), f"prctl {option}")


def unshare(flags: int) -> None:
    """Leave namespaces."""
    check(libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount."""
    words = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    check(libc.mount(*words), f"mount {kind or 'bind'} on {target}")


def bind_read_only(source: str, target: str) -> None:
    """Show a file or directory at another place, where it cannot be written to."""
    mount(source, target, "", MS_BIND | MS_REC)
    kept = os.statvfs(target).f_flag & _LOCKED_FLAGS
    mount("none", target, "", MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | kept)


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root of this mount namespace; the former root is then at `old`."""
    syscall(_PIVOT_ROOT, new.encode(), old.encode(), doing="pivot_root")


def unmount(path: str) -> None:
    """Detach a mount, busy or not."""
    check(libc.umount2(path.encode(), _UMOUNT_DETACH), f"unmount {path}")


def drop_capabilities() -> None:
    """Give up every capability; a job may run as root in its container."""
    check(libc.capset(struct.pack("Ii", _CAPABILITY_VERSION_3, 0), bytes(24)), "capset")


def forbid_new_privileges() -> None:
    """No setuid program gives this process anything; also what an unprivileged filter needs."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent(parent: int) -> None:
    """Be killed when the thread ends that forked this process, or now where it has ended already.

    Args:
        parent: the process of that thread, as it is numbered here; 0 for one outside of this pid namespace.
    """
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def forbid_dumps() -> None:
    """No core dump, not even into a pipe, which RLIMIT_CORE does not hold; and no other process may trace this one."""
    prctl(PR_SET_DUMPABLE, 0)


def install_filter(program: bytes) -> None:
    """Put a seccomp program (`sock_filter` after `sock_filter`) in front of every further call, for good."""
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    prctl(PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, head)


def landlock_abi() -> int:
    """Version of Landlock that this kernel has.

    Raises:
        OSError: none: not built in (ENOSYS), or built in and switched off (EOPNOTSUPP).
    """
    return syscall(_LANDLOCK_CREATE, None, 0, 1, doing="landlock")


def landlock_ruleset(attributes: bytes) -> int:
    """A descriptor of a new ruleset."""
    return syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0, doing="landlock_create_ruleset")


def landlock_allow(ruleset: int, access: int, path: str) -> None:
    """Allow these kinds of access at and below a path."""
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        syscall(_LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", access, place), 0, doing=f"landlock_add_rule {path}")
    finally:
        os.close(place)


def landlock_restrict(ruleset: int) -> None:
    """Keep this process to a ruleset, for good."""
    syscall(_LANDLOCK_RESTRICT, ruleset, 0, doing="landlock_restrict_self")


def fix_addresses() -> bool:
    """Ask that the next program of this process is loaded at the same addresses as ever; whether that is new.

    A container may refuse it; then addresses in output, and the order of sets of functions, differ between zygotes.
    """
    before = libc.personality(ctypes.c_ulong(_PERSONALITY_ASK))
    if before < 0 or before & _PERSONALITY_NO_RANDOM:
        return False
    return int(libc.personality(ctypes.c_ulong(before | _PERSONALITY_NO_RANDOM))) >= 0
