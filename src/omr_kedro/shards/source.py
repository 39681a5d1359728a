"""Records from outside: JSON Lines or Parquet files that somebody else wrote, streamed and distrusted.

A record that cannot be used is not an exception but a `Record` that says why, so that a reader can report all of them
with file and line, and decide whether the rest is worth having.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from omr_kedro.shards.errors import BadInputError
from omr_kedro.shards.table import Row

_READERS: dict[str, Callable[[Path], Iterator[Record]]] = {}


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a file: its fields, or what is wrong with it."""

    where: str
    """File and line (or row), as `threads.jsonl:12`."""
    fields: Row | None
    problem: str = ""


class Source:
    """A file, or all files of a folder in the order of their names; read anew at each pass."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def records(self) -> Iterator[Record]:
        """Stream the records; blank lines are none.

        Raises:
            BadInputError: there is no such file, or no record in it.
        """
        found = False
        for file in self.files():
            for record in _READERS[file.suffix](file):
                found = True
                yield record
        if not found:
            raise BadInputError(f"{self.path} is empty: expected one JSON object a line, or Parquet rows.")

    def digest(self) -> str:
        """Digest of the files' names and bytes."""
        digest = hashlib.sha256()
        for file in self.files():
            digest.update(file.name.encode())
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
        return digest.hexdigest()[:32]

    def files(self) -> list[Path]:
        """The files, in order.

        Raises:
            BadInputError: there are none, or one whose kind is unknown.
        """
        if self.path.is_dir():
            files = sorted(file for file in self.path.iterdir() if file.suffix in _READERS)
        else:
            files = [self.path]
        if not files or not all(file.is_file() for file in files):
            raise BadInputError(
                f"There is no file {self.path} (nor a folder with {' or '.join(_READERS)} files in it)."
            )
        if unknown := [file for file in files if file.suffix not in _READERS]:
            raise BadInputError(f"{unknown[0]}: expected a file that ends in {' or '.join(_READERS)}.")
        return files


def _read_jsonl(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _parse(f"{path.name}:{number}", line)


def _parse(where: str, line: bytes) -> Record:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Record(where, None, _explain(line, error))
    if not isinstance(fields, dict):
        return Record(where, None, f"a JSON object is expected, this is a {type(fields).__name__}")
    return Record(where, fields)


def _explain(line: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return f"not UTF-8 (byte {wrong.start}); convert the file, for example with iconv"
    if _holds_surrogate(line):
        return "holds half of a surrogate pair, which is no character; replace it where the file was written"
    return f"malformed JSON ({error.msg}, column {error.colno}); one whole object must stand on a line"


def _holds_surrogate(line: bytes) -> bool:
    try:
        json.dumps(json.loads(line), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except ValueError:
        return False
    return False


def _read_parquet(path: Path) -> Iterator[Record]:
    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=256):
                for fields in batch.to_pylist():
                    number += 1
                    yield Record(f"{path.name}:row {number}", fields)
    except pa.ArrowException as error:
        raise BadInputError(f"{path} cannot be read as Parquet: {error}") from error


_READERS.update({".jsonl": _read_jsonl, ".parquet": _read_parquet})


def checked_text(fields: Row, name: str, *, required: bool, max_chars: int) -> tuple[Any, str]:
    """A text field of a record, and what is wrong with it (nothing: an empty string)."""
    value = fields.get(name)
    if value is None:
        return "", f"the field '{name}' is missing" if required else ""
    if not isinstance(value, str):
        return "", f"the field '{name}' must be text, this is a {type(value).__name__}"
    if required and not value.strip():
        return "", f"the field '{name}' is empty"
    if "\x00" in value:
        return "", f"the field '{name}' holds a NUL character; remove it"
    if len(value) > max_chars:
        return "", f"the field '{name}' has {len(value):,} characters, more than the {max_chars:,} allowed"
    return value, ""
