"""Landlock: files that a session may open, by directory; no TCP, no signals and no abstract sockets beyond itself."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

from . import kernel

# linux/landlock.h. Each version of the interface knows more kinds of access; all that it knows are taken away.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_FILE_ACCESS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}
_FILE_ACCESS_SINCE_5 = 0xFFFF
_NETWORK_SINCE, _TCP = 4, 0b11
_SCOPES_SINCE, _SIGNALS_AND_ABSTRACT_SOCKETS = 6, 0b11


def make_ruleset(readable: Sequence[str], writable: Sequence[str], devices: Sequence[str]) -> int:
    """A descriptor of the rules that every session puts on itself.

    Args:
        readable: directories to read at and below; nothing may be executed.
        writable: directories in which everything else may be done.
        devices: files to read and write.

    Raises:
        OSError: this kernel has no Landlock, or a path is not there.
    """
    abi = kernel.landlock_abi()
    access = _FILE_ACCESS.get(abi, _FILE_ACCESS_SINCE_5)
    words = [access]
    if abi >= _NETWORK_SINCE:
        words.append(_TCP)
    if abi >= _SCOPES_SINCE:
        words.append(_SIGNALS_AND_ABSTRACT_SOCKETS)
    ruleset = kernel.landlock_ruleset(struct.pack(f"{len(words)}Q", *words))
    for path in readable:
        kernel.landlock_allow(ruleset, _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0), path)  # noqa: PTH112
    for path in writable:
        kernel.landlock_allow(ruleset, access & ~_EXECUTE, path)
    for path in devices:
        kernel.landlock_allow(ruleset, _READ_FILE | _WRITE_FILE, path)
    return ruleset
