"""The attacks of attacks.yml as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

_DATA = yaml.safe_load(Path(__file__).with_name("attacks.yml").read_text(encoding="utf-8"))
_MACHINES = ("x86_64", "aarch64")

NUMBERS: dict[str, dict[str, int]] = {
    machine: {name: row[column] for name, row in _DATA["numbers"].items() if row[column] is not None}
    for column, machine in enumerate(_MACHINES)
}
"""System calls by machine and name."""

PRELUDE = """
import ctypes, os
NUMBERS = {numbers}
_syscall = ctypes.CDLL(None, use_errno=True).syscall
def call(what, *arguments):
    number = NUMBERS.get(what) if isinstance(what, str) else what
    if number is None: return -1
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = _syscall(ctypes.c_long(number), *words)
    return result if result >= 0 else -ctypes.get_errno()
def leaks(act):
    try: got = act()
    except BaseException as error: print("held", type(error).__name__)
    else: print("LEAK", repr(got)[:100])
"""


@dataclass(frozen=True)
class Attack:
    """One attack; its cells run in a session of their own, after `PRELUDE`."""

    name: str
    holds: str
    cells: tuple[str, ...]
    endless: bool = False
    namespaces_only: str = ""

    def filled(self, places: Mapping[str, object]) -> list[str]:
        """The cells with what stands for @NAME@."""
        cells = list(self.cells)
        for name, value in places.items():
            cells = [cell.replace(f"@{name}@", str(value)) for cell in cells]
        return cells


ATTACKS = {
    f"{group}.{name}": Attack(
        f"{group}.{name}",
        entry["holds"],
        tuple(entry["cells"]),
        entry.get("endless", False),
        entry.get("namespaces_only", ""),
    )
    for group, entries in _DATA["attacks"].items()
    for name, entry in entries.items()
}
