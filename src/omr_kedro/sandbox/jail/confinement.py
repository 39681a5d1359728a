"""The three walls around a session, and whether this kernel lets an ordinary user build them."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import kernel, landlock, room, seccomp
from .settings import LANDLOCK, MB, NAMESPACES

CPU_SECONDS = 3600
"""Of one session: the last resort, should the driver's clock fail."""
DESCRIPTORS = 64
_STACK = 64 * MB
INBOX, OUTBOX = 3, 4
"""Descriptors of a session's pipes."""
_RULESET = 5
_WORDS_BYTES = 500
_NO_WORDS = b"\0"


@dataclass(frozen=True)
class Walls:
    """Made once, put around every session."""

    level: str
    ruleset: int
    """Of Landlock; below 0 where there is none."""
    program: bytes
    """Of seccomp, for any process."""

    @classmethod
    def make(cls, level: str, readable: list[str]) -> Walls:
        """The walls of a level.

        Args:
            level: of isolation.
            readable: directories that sessions may read.

        Raises:
            OSError: this kernel or machine lacks what the level rests on.
        """
        writable = [room.BOX] if level == NAMESPACES else []
        try:
            ruleset = landlock.make_ruleset(readable, writable, room.DEVICES)
        except OSError:
            if level == LANDLOCK:
                raise
            ruleset = -1
        return cls(level, ruleset, seccomp.filter_program(writable=bool(writable)))


def confine_session(walls: Walls, parent: int, address_space: int, scratch: int) -> None:
    """Put all walls around this process, after `keep_only`; what it runs from now on is a stranger's.

    Args:
        walls: that are to stand.
        parent: process whose end ends this one.
        address_space: limit in bytes.
        scratch: size of its own directory in bytes, where it has one.

    Raises:
        OSError: a wall cannot be built; in the kernel's words.
    """
    kernel.die_with_parent(parent)
    if walls.level == NAMESPACES:
        room.mount_scratch(scratch)
    _set_limits(address_space, scratch)
    kernel.forbid_new_privileges()
    kernel.drop_capabilities()
    if walls.ruleset >= 0:
        kernel.landlock_restrict(_RULESET)
        os.close(_RULESET)
    kernel.forbid_dumps()
    kernel.install_filter(seccomp.for_process(walls.program, os.getpid()))


def limit_session(parent: int, address_space: int) -> None:
    """Put no wall around this process, only limits: what `isolation: none` means."""
    kernel.die_with_parent(parent)
    # Nothing here forbids a fork, but only one of two processes may talk to the driver.
    os.register_at_fork(after_in_child=lambda: os.closerange(INBOX, OUTBOX + 1))
    _set_limits(address_space, None)


def keep_only(inbox: int, outbox: int, ruleset: int) -> None:
    """Close all descriptors but a session's pipes, which become `INBOX` and `OUTBOX`, and the rules, if there are any.

    The standard streams are /dev/null.
    """
    nothing = os.open("/dev/null", os.O_RDWR)
    # First to high numbers, where none stands in another's place.
    kept = (nothing, nothing, nothing, inbox, outbox, max(ruleset, 0))
    held = [os.dup2(descriptor, 200 + index) for index, descriptor in enumerate(kept)]
    for target, source in enumerate(held):
        os.dup2(source, target)
    os.closerange(_RULESET if ruleset < 0 else _RULESET + 1, os.sysconf("SC_OPEN_MAX"))


def _set_limits(address_space: int, file_size: int | None) -> None:
    limits = {
        resource.RLIMIT_AS: address_space,
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_STACK: _STACK,
        resource.RLIMIT_NOFILE: DESCRIPTORS,
    }
    if file_size is not None:
        limits[resource.RLIMIT_FSIZE] = file_size
    for kind, wanted in limits.items():
        _, most = resource.getrlimit(kind)
        value = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(kind, (value, value))


def refusal(level: str) -> str:
    """Why this level cannot be had here, in the kernel's words; empty when it can.

    A child does the whole of it and then tries to break out: settings and version numbers say little, since security
    modules and containers refuse single steps.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, OUTBOX)
        try:
            words = _try_out(level)
        except OSError as error:
            words = str(error.strerror or error)
        os.write(OUTBOX, words.encode("utf-8", "replace")[:_WORDS_BYTES] or _NO_WORDS)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read(_WORDS_BYTES)
    _, status = os.waitpid(child, 0)
    if not said:
        return f"the trial ended with exit status {os.waitstatus_to_exitcode(status)}"
    return "" if said == _NO_WORDS else said.decode("utf-8", "replace")


def _try_out(level: str) -> str:
    readable = room.readable_paths("/")
    if level == NAMESPACES:
        room.enter_namespaces()
        room.enter_own_root(readable)
    walls = Walls.make(level, readable)
    keep_only(OUTBOX, OUTBOX, walls.ruleset)
    confine_session(walls, os.getppid(), address_space=1024 * MB, scratch=MB)
    for deed, attempt in _FORBIDDEN.items():
        try:
            attempt()
        except OSError:
            continue
        return f"a confined process could still {deed}"
    return ""


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


_FORBIDDEN: dict[str, Callable[[], object]] = {
    "read /etc": lambda: list(Path("/etc").iterdir()),
    "start a process": _fork,
    "make a socket": lambda: socket.socket(socket.AF_UNIX),
}
