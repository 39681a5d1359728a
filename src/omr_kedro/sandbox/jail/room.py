"""A room of the zygote's own: namespaces, and a root that holds Python and its libraries alone."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from . import kernel

DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
BOX = "/box"
"""One Landlock rule for it serves the scratch spaces of all sessions, which are mounted below it."""
SCRATCH = f"{BOX}/tmp"  # noqa: S108
"""Each session mounts its own scratch space here."""
_LINKS = ("lib", "lib64")
"""Directories that are links into /usr on most systems; the loader knows libraries by them."""
_ROOM = "/tmp"  # noqa: S108 (any directory that is there will do; it is hidden, and for this process alone)
_ALL_NAMESPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)


def readable_paths(home: str) -> list[str]:
    """Directories from which modules and shared libraries are loaded, as `sys.path` and the loader name them.

    Only what lies below the prefixes of this Python: what else is on `sys.path` is somebody's project.

    Args:
        home: of the user, without links; nothing in which it lies is among them.
    """
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    libraries = {str(Path(line.split(maxsplit=5)[-1]).parent) for line in maps.splitlines() if ".so" in line}
    prefixes = {os.path.realpath(prefix) for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    modules = set()
    for entry in sys.path:
        real = Path(os.path.realpath(entry))
        if real.is_dir() and any(real.is_relative_to(prefix) for prefix in prefixes):
            modules |= {str(real), os.path.normpath(entry)}
    # A library that was loaded from right within a home opens no door to the rest of it.
    found = sorted(path for path in libraries | modules if not Path(home).is_relative_to(path))
    return [path for path in found if not any(Path(path).is_relative_to(other) for other in found if other != path)]


def enter_namespaces() -> None:
    """Go on as process 1 of new namespaces, whose end is the end of every process in them.

    The process that called waits and ends with the same status.

    Raises:
        OSError: this kernel, container or security module gives no user namespace to an ordinary user.
    """
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(_ALL_NAMESPACES)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        try:
            Path("/proc/self", name).write_text(text)
        except OSError as error:
            raise OSError(error.errno, f"{name}: {error.strerror}") from None
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    kernel.die_with_parent(0)


def enter_own_root(readable: list[str]) -> None:
    """Make a root of these directories and three devices, all of them read-only; the former root is gone.

    Raises:
        OSError: a mount is refused; Ubuntu's AppArmor lets a user have the namespace and refuses this.
    """
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    sources = {path: os.path.realpath(path) for path in (*readable, *DEVICES)}
    links = {name: Path("/", name).readlink() for name in _LINKS if Path("/", name).is_symlink()}
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    # Two steps, since what is to be shown may itself lie below the place that is hidden first.
    kernel.mount("tmpfs", _ROOM, "tmpfs", flags, "size=1m,mode=755")
    Path(_ROOM, "old").mkdir()
    Path(_ROOM, "new").mkdir()
    kernel.pivot_root(_ROOM, f"{_ROOM}/old")
    os.chdir("/")
    kernel.mount("tmpfs", "/new", "tmpfs", flags, "size=1m,mode=755")
    _furnish(sources, links)
    os.chdir("/new")
    kernel.pivot_root(".", ".")
    kernel.unmount(".")
    os.chdir("/")
    socket.sethostname("sandbox")
    kernel.mount("none", "/", "", kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY | flags)


def _furnish(sources: dict[str, str], links: dict[str, Path]) -> None:
    for path, source in sources.items():
        target = Path("/new" + path)
        if path in DEVICES:
            target.parent.mkdir(exist_ok=True)
            target.touch()
            kernel.mount("/old" + source, str(target), "", kernel.MS_BIND)
        else:
            target.mkdir(parents=True, exist_ok=True)
            kernel.bind_read_only("/old" + source, str(target))
    for name, destination in links.items():
        Path("/new", name).symlink_to(destination)
    Path("/new" + SCRATCH).mkdir(parents=True)
    if not Path("/new/tmp").exists():
        Path("/new/tmp").symlink_to(SCRATCH)


def mount_scratch(size: int) -> None:
    """Give this process, and no other, a scratch directory of so many bytes; it vanishes with the process."""
    kernel.unshare(kernel.CLONE_NEWNS)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("tmpfs", SCRATCH, "tmpfs", flags, f"size={size},nr_inodes=1000,mode=700")
    os.chdir(SCRATCH)
