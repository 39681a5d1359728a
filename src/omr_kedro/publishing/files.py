"""Configs as folders of Parquet files, as the Hub and its viewer like them.

    <dataset>/data/<config>/train-00000-of-00003.parquet
    <dataset>/.published/<config>.json      manifest: how it was made, its files and their digests
    <dataset>/.making/<config>/             files while they are written
    <dataset>/.lock                         held by the process that writes

A config's files are seen all at once: they are written aside, and their folder takes the place of the former one. The
manifest goes before that and comes after it, so that a kill in between makes the config again.

The viewer of the Hub scans row groups of at most 300 MB (docs of the Hub, 242f4a1e), and asks for a page index beside
larger ones. Groups here are far smaller, so that reader and writer can do with little memory. Chunks are cut by
content, where pyarrow can: a later version that differs in some rows uploads little more than these.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from omr_kedro.publishing.manifest import Manifest, PublishedFile, features_of
from omr_kedro.publishing.publication import TRAIN, Publication, Published
from omr_kedro.shards.errors import RowError
from omr_kedro.shards.files import delete_for_good, make_folder, room_for, sole_writer, sync_folder, whole_file

_MANIFESTS, _MAKING, _DATA = ".published", ".making", "data"


@dataclass(frozen=True)
class Sizes:
    """Limits of files and of their row groups, in bytes."""

    group: int = 48 << 20
    """Of a row group as Arrow holds it: it is in memory while it is written, and once more encoded."""
    file: int = 1 << 30
    """Of a file on disk; a row group more than that at most."""


def read_manifest(folder: Path, config: str) -> Manifest | None:
    """The manifest of a config; None where it was never published to its end."""
    try:
        return Manifest.from_dict(orjson.loads(_manifest(folder, config).read_bytes()))
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return None


def fault_of(folder: Path, manifest: Manifest, *, whole: bool = True) -> str:
    """The first of a config's files that is not as it was written; empty where all are.

    Args:
        folder: of the dataset.
        manifest: of the config.
        whole: whether files are read and compared by their digests, and not by their sizes alone.
    """
    there = {path.name for path in (folder / _DATA / manifest.config).glob("*")}
    if more := there - {Path(file.path).name for file in manifest.files}:
        return sorted(more)[0]
    for file in manifest.files:
        path = folder / file.path
        if not path.is_file() or path.stat().st_size != file.bytes or (whole and _sha256(path) != file.sha256):
            return file.path
    return ""


def publish(folder: Path, config: str, rows: Publication, sizes: Sizes | None = None) -> Published:
    """Write a config, and put it in the place of the one that is there.

    Args:
        folder: of the dataset.
        config: name of the config.
        rows: what it holds.
        sizes: of its files.

    Raises:
        TableBusyError: another process writes to this dataset.
        DiskFullError: what was published before is there still.
        RowError: a batch does not fit the columns.
    """
    making, place = folder / _MAKING / config, folder / _DATA / config
    with room_for(folder), sole_writer(folder):
        shutil.rmtree(making, ignore_errors=True)
        make_folder(making)
        try:
            files, in_memory = _write(making, f"{_DATA}/{config}", rows, sizes or Sizes())
            why_empty = "" if files else rows.why_empty
            features = features_of(rows.schema)
            manifest = Manifest(config, TRAIN, files, features, rows.fingerprint, in_memory, why_empty)
            delete_for_good(_manifest(folder, config))
            _put(making, place, folder / _MAKING / f"{config}.former")
            with whole_file(_manifest(folder, config)) as file:
                file.write(orjson.dumps(manifest.as_dict(), option=orjson.OPT_INDENT_2))
        finally:
            shutil.rmtree(folder / _MAKING, ignore_errors=True)
    return Published(folder, manifest)


def _write(folder: Path, place: str, rows: Publication, sizes: Sizes) -> tuple[tuple[PublishedFile, ...], int]:
    """Write all files, whose names tell their number once it is known."""
    written: list[_File] = []
    in_memory = 0
    for group in _ahead(row_groups(_checked(rows), sizes.group)):
        if not written or written[-1].bytes >= sizes.file:
            _close(written[-1:])
            written.append(_File(folder / f"{len(written)}.parquet", rows.schema))
        written[-1].add(group)
        in_memory += group.nbytes
    _close(written[-1:])
    files = []
    for number, file in enumerate(written):
        name = f"{TRAIN}-{number:05d}-of-{len(written):05d}.parquet"
        file.path.rename(folder / name)
        files.append(PublishedFile(f"{place}/{name}", file.rows, file.bytes, file.digest.hexdigest()))
    sync_folder(folder)
    return tuple(files), in_memory


def _close(files: Iterable[_File]) -> None:
    for file in files:
        file.close()


def _checked(rows: Publication) -> Iterator[pa.RecordBatch]:
    for batch in rows.batches():
        if not batch.schema.equals(rows.schema):
            raise RowError(f"columns {batch.schema.names} are not those that are published: {rows.schema.names}")
        for column, one in zip(batch.columns, rows.schema, strict=True):
            if not one.nullable and column.null_count:
                raise RowError(f"column '{one.name}' must not be empty")
        if len(batch):
            rows.check(batch)
            yield batch


def row_groups(batches: Iterable[pa.RecordBatch], most: int) -> Iterator[pa.Table]:
    """Batches as row groups of at most so many bytes in memory; a batch is never parted."""
    group: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if group and size + batch.nbytes > most:
            yield pa.Table.from_batches(group)
            group, size = [], 0
        group.append(batch)
        size += batch.nbytes
    if group:
        yield pa.Table.from_batches(group)


def _ahead(groups: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The groups, the next of which is made in a thread while one is written: two are in memory."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, groups, None)
        while (group := coming.result()) is not None:
            coming = thread.submit(next, groups, None)
            yield group


# Columns of many rows that have few values, or values that are alike; a dictionary of texts that differ is work for
# nothing.
_REPEATED = {
    "generation_model", "problem_type", "problem_source", "inference_mode", "answer_type", "answer_source", "license",
    "problem", "problem_id", "thread_id", "expected_answer", "tools", "verdict", "decided_by", "judge_model",
    "stop_reason", "pass_rate_model", "finish_reason", "sampling", "prompt_hash", "pipeline_version", "outcome",
    "reason", "votes_for", "votes_total", "samples_drawn",
}  # fmt: skip


CODEC = "zstd"
"""At Arrow's level for it, 1."""
_BUFFER = 4 << 20
"""Bytes that are written to a file at once."""


@dataclass
class _File:
    """A file that is being written, and its digest so far."""

    path: Path
    schema: pa.Schema
    rows: int = 0
    bytes: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        self._file = self.path.open("wb")
        # Arrow writes page by page, and each call of Python waits for the thread that makes rows.
        digesting = pa.PythonFile(_Digesting(self._file, self), mode="w")
        self._sink = pa.BufferedOutputStream(digesting, _BUFFER)
        self._parquet = pq.ParquetWriter(
            self._sink,
            self.schema,
            compression=CODEC,
            use_dictionary=[name for name in self.schema.names if name in _REPEATED],
            write_page_index=True,
            use_content_defined_chunking=True,
        )

    def add(self, group: pa.Table) -> None:
        self._parquet.write_table(group, row_group_size=len(group))
        self._sink.flush()  # Until then the file's size and digest lack its last bytes.
        self.rows += len(group)

    def close(self) -> None:
        self._parquet.close()
        self._sink.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


class _Digesting:
    """A file for Arrow to write to, that digests what comes."""

    closed = False

    def __init__(self, file: IO[bytes], of: _File) -> None:
        self._file, self._of = file, of

    def write(self, content: bytes) -> int:
        self._of.digest.update(content)
        self._of.bytes += len(content)
        return self._file.write(content)

    def tell(self) -> int:
        return self._of.bytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def _put(new: Path, place: Path, former: Path) -> None:
    """Let a folder take the place of another one; one without files takes it away."""
    make_folder(place.parent)
    if place.exists():
        place.rename(former)
    if any(new.iterdir()):
        new.rename(place)
    sync_folder(place.parent)


def _manifest(folder: Path, config: str) -> Path:
    return folder / _MANIFESTS / f"{config}.json"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
