"""What is on disk, read by code of its own: nothing here trusts what it is to judge."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

_VARIES = ("latency_s", "tries", "checksum")
"""Columns of completions that two undisturbed runs do not agree on."""


def paid_on_disk(folder: Path) -> set[str]:
    """Keys of all replies that can be read, in journals and tables."""
    keys = set()
    for path in (*folder.rglob("*.jsonl"), *folder.rglob("*.parquet")):
        if not path.name.startswith("."):
            rows = _parquet(path) if path.suffix == ".parquet" else _lines(path)
            keys |= {row["call_key"] for row in rows if row.get("call_key") and row.get("error_kind") is None}
    return keys


def _parquet(path: Path) -> list[dict[str, Any]]:
    with pq.ParquetFile(path, pre_buffer=False) as file:  # no threads: this process forks
        rows: list[dict[str, Any]] = file.read(use_threads=False).to_pylist()
    return rows


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            row = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def rows_of(path: Path) -> list[str]:
    """The rows of one shard, comparable; of one that cannot be read, why."""
    try:
        return _rows_of(path)
    except (ValueError, OSError) as error:
        return [f"unreadable: {error}"]


def _rows_of(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        rows = _parquet(path)
    else:
        rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [
        json.dumps({name: value for name, value in row.items() if name not in _VARIES}, default=str) for row in rows
    ]


def finished_tables(folder: Path) -> dict[str, list[str]]:
    """All rows of all shards below the folder, by the shard's path."""
    shards = sorted(path for path in folder.rglob("shard-*") if path.parent.name[0] != "." and path.name[0] != ".")
    return {path.relative_to(folder).as_posix(): rows_of(path) for path in shards}


def faults_of_tables(folder: Path) -> Iterator[str]:
    """What is wrong with finished tables: marks that lie, work that was left behind."""
    found = {path.parent.parent for path in folder.rglob(".made/*.json")}
    for table in sorted(found):
        complete = table / ".complete.json"
        if not complete.exists():
            yield f"{table.name} is not complete"
            continue
        marks = json.loads(complete.read_bytes())
        if set(marks) != {path.stem for path in table.glob("shard-*")}:
            yield f"{table.name} does not name the shards that are there"
        for name, mark in marks.items():
            yield from _faults_of_mark(table, name, mark)
        if left := [path.name for path in table.rglob("*") if path.name.endswith(".tmp")]:
            yield f"{table.name} has leftovers: {left}"
        # A journal may stay: its calls are in the table, or paid for a version that was given up.
        left = [path.name for path in table.glob(".open/*") if path.suffix != ".lock"]
        if left and "completions" not in table.name:
            yield f"{table.name} has open work: {left}"


def _faults_of_mark(table: Path, name: str, mark: dict[str, Any]) -> Iterator[str]:
    path = next(iter(table.glob(f"{name}.*")), None)
    if path is None:
        return
    if json.loads((table / ".made" / f"{name}.json").read_bytes()) != mark:
        yield f"{path}: the mark and the table's own differ"
    if path.stat().st_size != mark["bytes"]:
        yield f"{path}: {path.stat().st_size} bytes, marked {mark['bytes']}"
    if path.suffix == ".jsonl":
        content = path.read_bytes()
        if content.count(b"\n") != mark["rows"]:
            yield f"{path}: {content.count(10)} rows, marked {mark['rows']}"
        if hashlib.sha256(content).hexdigest()[:32] != mark["digest"]:
            yield f"{path}: its digest is not the marked one"


def state(folder: Path) -> str:
    """Digest of names and sizes: what a crash left, as far as two of them can be told apart."""
    files = [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in sorted(folder.rglob("*"))]
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]
