"""Side files of a table: marks, journals, locks.

They lie in its folder, so that a table can be moved and copied, and where libraries that load the folder do not look.
pandas, Arrow and DuckDB pass over names that begin with `_` or `.`, Hugging Face's datasets over those with `.` alone.

Tables that were written before have them under the same names with `_`, and are read like that. Whoever writes such a
table moves them first.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from omr_kedro.shards.files import LOCK, lease, sync_folder

COMPLETE = ".complete.json"
DAMAGED = ".damaged"
MADE = ".made"
OPEN = ".open"
RETIRED = ".retired"

_ALL = (MADE, OPEN, RETIRED, DAMAGED, COMPLETE)


def side(folder: Path, name: str) -> Path:
    """Place of a side file or folder: hidden, or under its former name in a table that was written before."""
    here, former = folder / name, _former(folder, name)
    return here if here.exists() or not former.exists() else former


def move_former(folder: Path) -> None:
    """Give all side files of a table their present names; whoever calls this holds the folder's lock.

    A process of a version that knows the former names is waited for.
    """
    if not any(_former(folder, name).exists() for name in (*_ALL, LOCK)):
        return
    with lease(_former(folder, LOCK)):
        for name in _ALL:
            here, former = folder / name, _former(folder, name)
            if here.is_dir() and former.is_dir():
                # That version was at work again, after its files had been moved.
                _merge(former, here)
            elif former.exists():
                former.replace(here)
        sync_folder(folder)


def _former(folder: Path, name: str) -> Path:
    return folder / f"_{name.removeprefix('.')}"


def _merge(former: Path, here: Path) -> None:
    for path in sorted(former.iterdir()):
        target = here / path.name
        if path.suffix == ".jsonl" and target.exists():
            # Both journals hold calls that were paid for.
            with path.open("rb") as more, target.open("ab") as journal:
                shutil.copyfileobj(more, journal)
                journal.flush()
                os.fsync(journal.fileno())
            path.unlink()
        else:
            path.replace(target)
    sync_folder(here)
    former.rmdir()
