"""Writing and reading sharded tables, beside the least that puts the same rows on disk and back.

    python -m benchmarks.shards [--rows 100000] [--shards 100] [--repeat 5]

Rows hold an id, a number and 2,000 characters. Ours checks each row against the schema, writes aside, syncs, renames,
notes a fingerprint and skips what is up to date; the floor is orjson or pyarrow in a loop over files, each synced.
Turns are taken in one process; CPU seconds of it. The second save finds everything made. Before files are read they are
compared with their checksums (`integrity: once`), which may cost a tenth of reading them.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.results import emit, figure, spread
from omr_kedro.shards import Recipe, Row, TableStore, map_parts
from omr_kedro.shards.formats import Format
from omr_kedro.shards.integrity import Integrity

AGAIN = "save what is up to date"
COMPARE = "compare"
MOST_OF_READING = 0.1
SCHEMA = pa.schema([("row_id", pa.string()), ("number", pa.int64()), ("text", pa.string())])
TEXT = r"let find the number of all positive integers real triangle circle such that $x^2$ \frac{1}{2} é 中"


def make_rows(numbers: range) -> list[Row]:
    rng, words = random.Random(numbers.start), [*TEXT.split(), "\n"]
    return [{"row_id": f"{n:08d}", "number": n, "text": " ".join(rng.choices(words, k=400))[:2000]} for n in numbers]


def write_plainly(folder: Path, form: Format, parts: dict[range, list[Row]]) -> None:
    folder.mkdir()
    for numbers, rows in parts.items():
        path = folder / f"{numbers.start}.{form}"
        with path.open("wb") as file:
            if form == "jsonl":
                file.writelines(orjson.dumps(row) + b"\n" for row in rows)
            else:
                pq.write_table(pa.Table.from_pylist(rows, SCHEMA), file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())


def read_plainly(folder: Path) -> Iterator[Row]:
    for path in sorted(folder.iterdir()):
        if path.suffix == ".jsonl":
            with path.open("rb") as file:
                yield from map(orjson.loads, file)
        else:
            yield from pq.read_table(path).to_pylist()


def cpu_seconds(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def count(rows: Iterator[Row]) -> int:
    return sum(1 for _ in rows)


def look(folder: Path, form: Format, recipe: Recipe, integrity: Integrity) -> float:
    """CPU seconds of finding that a table is up to date, as a new process does."""
    return cpu_seconds(partial(TableStore(folder, form, SCHEMA, integrity=integrity).pending, recipe))


def measure(folder: Path, form: Format, parts: dict[range, list[Row]]) -> dict[str, float]:
    """CPU seconds of each kind of work, once."""
    store = TableStore(folder / "ours", form, SCHEMA)
    recipe = map_parts(parts.__getitem__, list(parts), by="benchmark", processes=1)
    took = {
        "write": cpu_seconds(partial(store.save, recipe)),
        "write, floor": cpu_seconds(partial(write_plainly, folder / "floor", form, parts)),
        AGAIN: cpu_seconds(partial(store.save, recipe)),
        "read": cpu_seconds(lambda: count(store.shards().rows())),
        COMPARE: look(folder / "ours", form, recipe, "once") - look(folder / "ours", form, recipe, "never"),
        "read, floor": cpu_seconds(lambda: count(read_plainly(folder / "floor"))),
    }
    rows = sum(map(len, parts.values()))
    assert count(store.shards().rows()) == count(read_plainly(folder / "floor")) == rows
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    each = options.rows // options.shards
    parts = {
        numbers: make_rows(numbers) for numbers in (range(n * each, (n + 1) * each) for n in range(options.shards))
    }
    rows = each * options.shards
    figures, too_slow = [], False
    for form in ("jsonl", "parquet"):
        rounds = []
        for _ in range(options.repeat + 1):
            with tempfile.TemporaryDirectory() as folder:
                rounds.append(measure(Path(folder), form, parts))
        del rounds[0]  # first calls allocate
        for work in ("write", "read"):
            ratio = spread([took[work] / took[f"{work}, floor"] for took in rounds])
            figures.append(figure(f"{form}: {work}, CPU by the least that does it", ratio, "x"))
        compared = [took[COMPARE] / took["read"] for took in rounds]
        figures.append(
            figure(f"{form}: compare with checksums, by reading", spread([100 * share for share in compared]), "%")
        )
        too_slow |= median(compared) > MOST_OF_READING
        for work in (work for work in rounds[0] if work not in {AGAIN, COMPARE}):
            rate = spread([rows / took[work] for took in rounds])
            figures.append(figure(f"{form}: {work}", rate, "rows a CPU-second"))
        again = spread([1000 * took[AGAIN] for took in rounds])
        figures.append(figure(f"{form}: {AGAIN}", again, "ms"))
    for line in figures:
        print(f"  {line['what']:<48} {line['value']:>44}")
    emit(figures)
    if too_slow:
        sys.exit("Comparing costs more than a tenth of reading.")


if __name__ == "__main__":
    main()
