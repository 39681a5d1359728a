"""Files damaged as disks and people do."""

from __future__ import annotations

from pathlib import Path


def flip(path: Path, place: int, mask: int = 1) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= mask
    path.write_bytes(content)


def files_below(folder: Path) -> list[Path]:
    """All files that a process has left in a folder and below it."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
