"""Becomes an ordinary user, as root: `python -m tests.support.ordinary_user COMMAND …`; HOME is this user's.

An ordinary user may have no way to this interpreter, to its libraries or to this project, when they lie below a home
that is root's alone. Then the process first moves into a mount namespace of its own in which just these are to be seen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from omr_kedro.sandbox.jail import kernel

UID = 61_234
"""Nobody's, so that all processes of this user are the test's."""
CANNOT = 77
"""Exit status where root itself may not do this, as in a container."""
PROJECT = Path(__file__).parents[2]
_ALL_MAY_PASS = 0o005


def command(*words: str) -> list[str]:
    """The command line that runs these words as an ordinary user: as they are, unless this is root."""
    return list(words) if os.getuid() else [sys.executable, "-m", "tests.support.ordinary_user", *words]


def shut_ancestor(path: Path) -> Path | None:
    """The highest folder on the way to a path that others may not enter; the path itself may well be the user's own."""
    return next((way for way in reversed(path.parents) if way.stat().st_mode & _ALL_MAY_PASS != _ALL_MAY_PASS), None)


def show(paths: Iterable[Path]) -> None:
    """Let others see these folders, wherever they lie, in a mount namespace of this process."""
    hidden = {path: shut for path in paths if (shut := shut_ancestor(path))}
    if not hidden:
        return
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    places = {path: os.open(path, os.O_PATH) for path in hidden}
    for shut in set(hidden.values()):
        kernel.mount("tmpfs", str(shut), "tmpfs", 0, "mode=755")
    for path, place in places.items():
        path.mkdir(parents=True, exist_ok=True)
        kernel.mount(f"/proc/self/fd/{place}", str(path), "", kernel.MS_BIND | kernel.MS_REC)
        os.close(place)


def main(words: list[str]) -> None:
    try:
        show({Path(os.path.realpath(place)) for place in (sys.base_prefix, sys.prefix, PROJECT, os.environ["HOME"])})
    except OSError as error:
        print(f"no ordinary user can run this Python: {error}", file=sys.stderr)
        sys.exit(CANNOT)
    os.setgroups([])
    os.setgid(UID)
    os.setuid(UID)
    os.execvp(words[0], words)


if __name__ == "__main__":
    main(sys.argv[1:])
