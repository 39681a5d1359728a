"""Files from outside as one stream of records, or as parts for several processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omr_kedro.shards.errors import BadInputError
from omr_kedro.shards.other_kinds import remedy
from omr_kedro.shards.printable import printable_name, those_found
from omr_kedro.shards.recipes import Row
from omr_kedro.shards.records import KINDS, Record, Span, opened, unreadable


@dataclass(frozen=True, slots=True)
class Part:
    """A share of a source; picklable, so that another process can read it."""

    spans: tuple[Span, ...]

    def records(self, columns: Sequence[str] | None = None) -> Iterator[Record]:
        """Stream the records; `columns` (dotted paths) spare Parquet the others. See `Span.records`: unchecked."""
        for span in self.spans:
            yield from span.records(columns, checked=False)


class Source:
    """A file, or all files of a folder in the order of their names; read anew at each pass."""

    def __init__(self, path: Path, origin: str = "") -> None:
        self.path = path
        self._origin = origin

    @cached_property
    def origin(self) -> str:
        """Where the files come from, for the rows made of them: what was given, or name and digest of the files."""
        return self._origin or f"{self.path.name}@{self.digest()[:12]}"

    def records(self, columns: Sequence[str] | None = None) -> Iterator[Record]:
        """Stream the records; blank lines are none. `columns` (dotted paths) spare Parquet the others.

        Raises:
            BadInputError: there is no such file, no record in it, or one that cannot be read to its end.
        """
        found = False
        for file in self.files():
            for record in KINDS[file.suffix].whole(file).records(columns):
                found = True
                yield record
        if not found:
            raise BadInputError(
                f"{printable_name(self.path)} is empty: expected one JSON object a line, or Parquet rows."
            )

    def parts(self, count: int) -> list[Part]:
        """All records in `count` parts of about equal size, in order; some are empty where there are few records.

        Raises:
            BadInputError: there is no such file.
        """
        files = self.files()
        sizes = [file.stat().st_size for file in files]
        shares: list[list[Span]] = [[] for _ in range(count)]
        before, total = 0, max(1, sum(sizes))
        for file, size in zip(files, sizes, strict=True):
            first, last = before * count // total, (before + size) * count // total
            inner = range(first + 1, last + 1)
            cuts = [min(1.0, (number * total / count - before) / max(1, size)) for number in inner]
            kind = KINDS[file.suffix]
            for number, span in enumerate(kind.split(kind.whole(file), cuts), start=first):
                if span.start < span.stop:
                    shares[min(number, count - 1)].append(span)
            before += size
        return [Part(tuple(spans)) for spans in shares]

    def count(self) -> int:
        """How many records there are, without parsing them.

        Raises:
            BadInputError: there is no such file.
        """
        return sum(KINDS[file.suffix].count(file) for file in self.files())

    def digest(self) -> str:
        """Digest of the files' names and bytes, read once in the life of this object."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for file in self.files():
            digest.update(file.name.encode())
            with opened(file) as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
        return digest.hexdigest()[:32]

    def files(self) -> list[Path]:
        """The files, in order.

        Raises:
            BadInputError: there are none, or one that cannot be read or whose kind is unknown.
        """
        try:
            if self.path.is_dir():
                files = sorted(file for file in self.path.iterdir() if file.suffix in KINDS)
            else:
                files = [self.path] if self.path.exists() or self.path.is_symlink() else []
        except OSError as error:
            raise unreadable(self.path, error) from error
        if not files:
            raise BadInputError(
                f"There is no file {printable_name(self.path)} (nor a folder with {' or '.join(KINDS)} files in it)."
                f"{_remedy_for_files_in(self.path)}"
            )
        for file in files:
            _check_file(file)
        return files


def _remedy_for_files_in(folder: Path) -> str:
    suffixes = {file.suffix for file in folder.iterdir()} if folder.is_dir() else set()
    return next(filter(None, map(remedy, sorted(suffixes))), "")


def _check_file(file: Path) -> None:
    name = printable_name(file)
    if not file.exists():
        raise BadInputError(f"{name} is a link to a file that is not there. Delete it, or bring the file.")
    if not file.is_file():
        raise BadInputError(f"{name} is no regular file (but a folder, a pipe or a device). Move it elsewhere.")
    if file.suffix not in KINDS:
        raise BadInputError(f"{name}: expected a file that ends in {' or '.join(KINDS)}.{remedy(file.suffix)}")
    try:
        file.name.encode()
    except UnicodeEncodeError:
        # Rows say where they come from, and tables hold UTF-8.
        raise BadInputError(f"{name}: the name of the file is not UTF-8. Rename it.") from None
    with opened(file):
        pass


def is_whole(text: str) -> bool:
    """Whether files can hold a text: half of a surrogate pair has no form in UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_text(fields: Row, name: str, *, required: bool, max_chars: int) -> tuple[Any, str]:
    """A text field of a record, and what is wrong with it (nothing: an empty string)."""
    value = fields.get(name)
    if value is None:
        return "", f"the field '{name}' is missing{those_found(fields)}" if required else ""
    if not isinstance(value, str):
        return "", f"the field '{name}' must be text, this is a {type(value).__name__}"
    if required and not value.strip():
        return "", f"the field '{name}' is empty"
    if "\x00" in value or not is_whole(value):
        return "", f"the field '{name}' holds a NUL character or half of a surrogate pair; remove it"
    if len(value) > max_chars:
        return "", f"the field '{name}' has {len(value):,} characters, more than the {max_chars:,} allowed"
    return value, ""
