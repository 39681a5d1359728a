"""Files of other kinds are refused with a command that makes the right kind of them; each command is run."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from omr_kedro.shards import BadInputError, Source
from omr_kedro.shards.other_kinds import _COMMANDS

THREADS = [
    {"id": "007", "forum_post": 'Find "x",\nif $x^2 = 2$.', "forum_discussions": "1990-01-01"},
    {"id": "1e5", "forum_post": "é\t∑", "forum_discussions": "NA"},
]
LINES = "".join(f"{json.dumps(thread)}\n" for thread in THREADS)


def table(separator: str) -> bytes:
    cells = [list(THREADS[0]), *(list(thread.values()) for thread in THREADS)]
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in cells]
    return "\n".join(separator.join(row) for row in quoted).encode()


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder / "threads.zip", "w") as file:
        file.writestr("threads.jsonl", LINES)


WRITTEN: dict[str, Callable[[Path], object]] = {
    ".json": lambda folder: (folder / "threads.json").write_text(json.dumps(THREADS, indent=1)),
    ".csv": lambda folder: (folder / "threads.csv").write_bytes(table(",")),
    ".tsv": lambda folder: (folder / "threads.tsv").write_bytes(table("\t")),
    ".gz": lambda folder: (folder / "threads.jsonl.gz").write_bytes(gzip.compress(LINES.encode())),
    ".bz2": lambda folder: (folder / "threads.jsonl.bz2").write_bytes(bz2.compress(LINES.encode())),
    ".xz": lambda folder: (folder / "threads.jsonl.xz").write_bytes(lzma.compress(LINES.encode())),
    ".zip": zipped,
}


def advice(source: Source) -> str:
    with pytest.raises(BadInputError) as refused:
        list(source.records())
    return str(refused.value)


@pytest.mark.parametrize("suffix", WRITTEN)
def test_the_command_that_is_advised_makes_the_records_that_were_meant(suffix: str, tmp_path: Path) -> None:
    WRITTEN[suffix](tmp_path)
    file = next(tmp_path.iterdir())
    said = advice(Source(file))
    assert f"{file.name}: expected a file that ends in .jsonl" in said
    command = said.partition("in this command: ")[2]
    assert command == _COMMANDS[suffix]
    if not command.startswith("python") and shutil.which(command.split()[0]) is None:
        pytest.skip(f"needs {command.split()[0]}")
    script = command.replace("python", sys.executable, 1) if command.startswith("python") else command
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True)
    assert [record.fields for record in Source(tmp_path / "threads.jsonl").records()] == THREADS


def test_a_folder_of_other_files_is_refused_with_the_command_for_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(table(","))
    assert "read_csv('threads.csv'" in advice(Source(tmp_path))
    (tmp_path / "a.csv").rename(tmp_path / "a.docx")
    assert "Convert" not in advice(Source(tmp_path))


@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_under_the_name_of_lines_is_told_with_the_command(indent: int | None, tmp_path: Path) -> None:
    (tmp_path / "threads.jsonl").write_text(json.dumps(THREADS, indent=indent))
    first = next(iter(Source(tmp_path / "threads.jsonl").records()))
    assert "read_json('threads.json'" in first.problem
