"""A disk that is really full: the kernel refuses, not this code.

As root, a small file system of the trial's own that is cut down to what is used and a little more; else, and now and
then, a limit on the size of a file.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
from pathlib import Path

_PAGE = 4096


def can_mount() -> bool:
    """Whether file systems can be mounted here."""
    return os.geteuid() == 0 and subprocess.run(["mount", "--help"], capture_output=True, check=False).returncode == 0


class Room:
    """A file system for one folder; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Room:
        self._folder.mkdir(parents=True)
        _mount("-t", "tmpfs", "-o", "size=256m", "trial", str(self._folder))
        return self

    def __exit__(self, *error: object) -> None:
        subprocess.run(["umount", "--lazy", str(self._folder)], check=True)

    def shrink(self, pages: int) -> None:
        """Leave room for so many pages of 4 kB."""
        found = os.statvfs(self._folder)
        self._resize(max(1, (found.f_blocks - found.f_bfree) * found.f_frsize // _PAGE + pages))

    def widen(self) -> None:
        """Make room again."""
        self._resize(2**16)

    def _resize(self, pages: int) -> None:
        _mount("-o", f"remount,size={pages * _PAGE}", str(self._folder))


def limit_files(rng: random.Random, tell: object) -> None:
    """In this process no file may grow beyond a size."""
    del tell
    resource.setrlimit(resource.RLIMIT_FSIZE, (rng.randint(1, 9000),) * 2)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)
