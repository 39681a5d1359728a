"""The config `cot` beside a bare copy with pyarrow, and its memory against the number of rows.

    python -m benchmarks.publishing [--rows 50000 100000] [--chars 10000] [--shards 16] [--repeat 3]

Solutions are random words of mathematics, in row groups as `TableStore` writes them; half of them have a summary. The
copy reads each file of the solutions and writes it again: what published rows cost at least. Codec, its level, the page
index and the size of row groups are those of published files, so that the ratio tells the cost of the rest: published
rows hold every text twice, as a string and as messages, and are joined, checked, digested, and cut into chunks by
content. Both are a process each, in turn; memory is the peak RSS of the process.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import ROOT
from benchmarks.results import emit, figure, spread
from omr_kedro import tables
from omr_kedro.publishing.files import CODEC, Sizes, publish, row_groups
from omr_kedro.publishing.licences import Licences
from omr_kedro.publishing.publication import publication
from omr_kedro.publishing.rows import cot_rows
from omr_kedro.shards import Shard, Shards, content_id, shard_names
from omr_kedro.shards.formats import read_batches, read_rows

LEAST_RATIO, MOST_MB, MOST_GROWTH = 0.5, 700, 1.10
_GROUP = 200
"""Rows of a row group: two megabytes, as tables have it."""
_SUMMARY_SHARE = 5
_SENTENCE = (
    "let the number be prime so that n divides 2^n + 1 hence $x^2 + y^2 = {}$ and therefore \\frac{{{}}}{{7}} of all "
    "cases remain wait check whether {} mod 9 works then we get by symmetry again thus sum product triangle angle"
)


def words(chance: random.Random, chars: int) -> str:
    """Text that compresses as reasoning does, about three to one."""
    text: list[str] = []
    all_words = _SENTENCE.split()
    size = 0
    while size < chars:
        word = chance.choice(all_words).format(chance.randrange(10_000), chance.randrange(10_000))
        text.append(word)
        size += len(word) + 1
    return " ".join(text)


def make_tables(folder: Path, rows: int, chars: int, shards: int) -> None:
    """Solutions and summaries; texts come from a pool, turned, so that making them takes less than publishing them."""
    chance = random.Random(rows)
    pool = [words(chance, chars) for _ in range(1000)]
    for number, name in enumerate(shard_names(shards)):
        count = rows * (number + 1) // shards - rows * number // shards
        _write(folder / "solutions" / f"{name}.parquet", tables.SOLUTIONS, _solutions(pool, number, count))
        _write(folder / "summaries" / f"{name}.parquet", tables.SUMMARIES, _summaries(pool, number, count))


def _write(path: Path, schema: pa.Schema, rows: Iterator[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema, compression="zstd", write_batch_size=64) as file:
        group: list[dict[str, object]] = []
        for row in rows:
            group.append(row)
            if len(group) == _GROUP:
                file.write_table(pa.Table.from_pylist(group, schema))
                group = []
        if group:
            file.write_table(pa.Table.from_pylist(group, schema))


def _solutions(pool: list[str], shard: int, count: int) -> Iterator[dict[str, object]]:
    for number in range(count):
        text = pool[(number * 7 + shard) % len(pool)]
        turn = (number * 7919) % len(text)
        problem = content_id(str(shard), str(number // 10))
        yield {
            "solution_id": content_id(problem, str(number)),
            "problem_id": problem,
            "thread_id": problem,
            "problem": text[:300],
            "expected_answer": str(number // 10),
            "answer_source": "extracted",
            "suspect": False,
            "problem_type": "has_answer_extracted",
            "problem_source": "forum",
            "mode": "cot",
            "generation_model": "model",
            "sampling": "{}",
            "sample_index": number % 10,
            "seed": number,
            "reasoning": text[turn : turn + len(text) * 8 // 10] + text[: max(0, turn - len(text) * 2 // 10)],
            "solution": text[: len(text) * 2 // 10],
            "predicted_answer": str(number // 10),
            "verdict": "correct",
            "stop_reason": "correct",
            "pass_rate": 0.5,
            "completion_tokens": len(text) // 3,
            "finish_reason": "stop",
            "call_key": content_id(problem, str(number), "call"),
        }


def _summaries(pool: list[str], shard: int, count: int) -> Iterator[dict[str, object]]:
    for number, row in enumerate(_solutions(pool, shard, count)):
        if number % 2:
            ids = {name: row[name] for name in ("solution_id", "problem_id", "thread_id", "call_key")}
            text = pool[number % len(pool)]
            yield {**ids, "sample_index": 0, "summary": text[: len(text) // _SUMMARY_SHARE], "summary_model": "model"}


def table(folder: Path) -> Shards:
    """A table of whole files, read as `TableStore` does."""

    def shard(path: Path) -> Shard:
        read = partial(read_batches, path)
        count = pq.ParquetFile(path).metadata.num_rows
        return Shard(path.stem, path.stem, count, partial(read_rows, path), None, read)

    return Shards(map(shard, sorted(folder.glob("*.parquet"))))


def copy(folder: Path, out: Path) -> None:
    """Each file of the solutions, read and written."""
    out.mkdir()
    for path in sorted((folder / "solutions").glob("*.parquet")):
        with pq.ParquetFile(path) as file, _writer(out / path.name, file.schema_arrow) as copied:
            for group in row_groups(file.iter_batches(_GROUP), Sizes().group):
                copied.write_table(group, row_group_size=len(group))


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, schema, compression=CODEC, write_page_index=True)


def published(folder: Path, out: Path) -> None:
    """The config `cot`."""
    solutions, summaries = table(folder / "solutions"), table(folder / "summaries")
    rows = partial(cot_rows, solutions, summaries, Licences())
    publish(out, "cot", publication(tables.PUBLISHED_SOLUTIONS, rows, [solutions, summaries]))


_WAYS = {"copy": copy, "publish": published}


class Cost(NamedTuple):
    """A process, its imports not counted."""

    seconds: float
    cpu_seconds: float
    """Of all its threads: the same on a busy machine."""
    peak_mb: float
    """Resident memory."""


def measured(way: str, folder: Path, out: Path) -> Cost:
    """Cost of one way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.publishing", "--one", way, str(folder), str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    subprocess.run(["rm", "-rf", str(out)], check=True)
    if status:
        raise SystemExit(f"{command} failed")
    seconds, cpu_seconds = map(float, said.split())
    return Cost(seconds, cpu_seconds, usage.ru_maxrss / 1024)


def main() -> None:
    """Measure, print, and fail when it is too slow or memory grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs=2, default=[50_000, 100_000], help="few, and many")
    parser.add_argument("--chars", type=int, default=10_000)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        way, folder, out = args.one
        began, began_cpu = time.perf_counter(), time.process_time()
        _WAYS[way](Path(folder), Path(out))
        print(time.perf_counter() - began, time.process_time() - began_cpu)
        return
    few, many = args.rows
    peaks: dict[int, float] = {}
    ratios: list[float] = []
    cpu_ratios: list[float] = []
    rates: list[float] = []
    for rows in (few, many):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_tables(folder, rows, args.chars, args.shards)
            for _ in range(args.repeat if rows == many else 1):
                bare, ours = (measured(way, folder, folder / "out") for way in ("copy", "publish"))
                peaks[rows] = max(ours.peak_mb, peaks.get(rows, 0))
                if rows == many:
                    ratios.append(bare.seconds / ours.seconds)
                    cpu_ratios.append(bare.cpu_seconds / ours.cpu_seconds)
                    rates.append(rows / ours.seconds)
                print(
                    f"{rows:>9,} rows: copy {rows / bare.seconds:8,.0f} rows/s, {bare.peak_mb:5.0f} MB; "
                    f"publish {rows / ours.seconds:8,.0f} rows/s, {ours.peak_mb:5.0f} MB; "
                    f"ratio {bare.seconds / ours.seconds:.2f}, of CPU time {bare.cpu_seconds / ours.cpu_seconds:.2f}",
                    flush=True,
                )
    ratio, growth = spread(ratios), peaks[many] / peaks[few]
    figures = [
        figure(
            f"published rows of {args.chars:,} characters a second, by a bare copy's",
            ratio,
            "x",
            f">= {LEAST_RATIO:g}",
            met=ratio["median"] >= LEAST_RATIO,
        ),
        figure("the same by seconds of CPU", spread(cpu_ratios), "x"),
        figure("published rows a second", spread(rates)),
        figure(f"peak memory, {many:,} rows", peaks[many], "MB", f"<= {MOST_MB}", met=peaks[many] <= MOST_MB),
        figure(f"peak memory, {many:,} rows by {few:,}", growth, "", f"<= {MOST_GROWTH:g}", met=growth <= MOST_GROWTH),
    ]
    emit(figures)
    sys.exit(any(each["met"] is False for each in figures))


if __name__ == "__main__":
    main()
