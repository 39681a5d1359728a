"""The process that listens on a port, as the kernel tells: an answer alone does not say who gave it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"  # TCP_LISTEN, include/net/tcp_states.h


def listens_below(ancestor: int, port: int) -> bool | None:
    """Whether a process that listens on this TCP port descends from `ancestor`; None where the kernel does not tell."""
    try:
        sockets = set(_sockets(port))
    except OSError:
        return None
    return any(_holds(process, sockets) for process in _descendants(ancestor))


def _sockets(port: int) -> Iterator[str]:
    """Names of the sockets that listen on a port, as links of open files give them."""
    for table in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):  # a kernel without IPv6
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{fields[9]}]"


def _descendants(ancestor: int) -> Iterator[int]:
    parents = {}
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            # The name of a program may hold blanks and brackets; the fields behind it do not.
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    for process in parents:
        line = process
        while line in parents and line != ancestor:
            line = parents[line]
        if line == ancestor:
            yield process


def _holds(process: int, sockets: set[str]) -> bool:
    with suppress(OSError):
        for link in (_PROC / str(process) / "fd").iterdir():
            with suppress(OSError):
                if str(link.readlink()) in sockets:
                    return True
    return False
