from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from omr_kedro.shards import OmrError, TableStore, map_parts
from omr_kedro.shards.processes import spread
from omr_kedro.shards.recipes import MappedShards, Row
from tests.support.waiting import alive, wait_until

SCHEMA = pa.schema([("n", pa.int64()), ("pid", pa.int64())])


def _double(name: str) -> str:
    return name * 2


def _rows(numbers: range, log: Path) -> list[Row]:
    with log.open("a") as file:
        file.write(f"{os.getpid()} {numbers.start}\n")
    time.sleep(0.2)  # long enough for both workers to get some
    return [{"n": n, "pid": 0} for n in numbers]


def _die(name: str) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return name


def _fail(numbers: range) -> list[Row]:
    if numbers.start >= 20:
        raise OmrError("this part is bad")
    return [{"n": n, "pid": 0} for n in numbers]


def _table(log: Path, processes: int) -> MappedShards:
    parts = [range(start, start + 10) for start in range(0, 80, 10)]
    return map_parts(partial(_rows, log=log), parts, by="test", processes=processes)


def test_every_name_has_its_result() -> None:
    assert dict(spread(_double, ["a", "b", "c"], 2)) == {"a": "aa", "b": "bb", "c": "cc"}


def test_a_killed_worker_ends_the_work_with_an_error_that_says_what_to_do() -> None:
    with pytest.raises(OmrError, match="A worker process was killed"):
        list(spread(_die, ["a"], 2))


def test_several_processes_make_the_bytes_that_one_makes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for processes in (1, 2):
        assert TableStore(tmp_path / f"by{processes}", "jsonl", SCHEMA).save(_table(log, processes)) == 8
    assert len({line.split()[0] for line in log.read_text().splitlines()}) == 3, "this process and two workers"
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / f"by{n}").glob("*.jsonl")} for n in (1, 2))
    assert one == two
    assert [row["n"] for row in TableStore(tmp_path / "by2", "jsonl", SCHEMA).shards().rows()] == list(range(80))


def test_an_error_in_a_worker_reaches_the_parent_and_finished_shards_stay(tmp_path: Path) -> None:
    store = TableStore(tmp_path / "table", "jsonl", SCHEMA)
    with pytest.raises(OmrError, match="this part is bad"):
        store.save(map_parts(_fail, [range(start, start + 10) for start in (0, 10, 20)], by="x", processes=2))
    assert not store.complete
    assert list((tmp_path / "table").glob("shard-*.jsonl"))


@pytest.mark.kills
def test_workers_end_with_a_parent_that_was_killed_and_the_next_run_goes_on(tmp_path: Path) -> None:
    script = f"""
if __name__ == "__main__":
    from pathlib import Path
    from omr_kedro.shards import TableStore
    from tests.shards.test_processes import SCHEMA, _table
    TableStore(Path({str(tmp_path / "table")!r}), "jsonl", SCHEMA).save(_table(Path({str(tmp_path / "log")!r}), 2))
"""
    (tmp_path / "run.py").write_text(script)
    root = Path(__file__).parents[2]
    paths = os.pathsep.join((str(root), str(root / "src")))
    parent = subprocess.Popen([sys.executable, tmp_path / "run.py"], env={**os.environ, "PYTHONPATH": paths}, cwd=root)
    made = tmp_path / "table/.made"
    wait_until(lambda: list(made.glob("*.json")))
    assert parent.poll() is None
    parent.kill()
    parent.wait()
    workers = {int(line.split()[0]) for line in (tmp_path / "log").read_text().splitlines()}
    wait_until(lambda: not any(alive(worker) for worker in workers))
    finished = len(list(made.glob("*.json")))
    store = TableStore(tmp_path / "table", "jsonl", SCHEMA)
    assert store.save(_table(tmp_path / "log", 1)) == 8 - finished < 8
    TableStore(tmp_path / "undisturbed", "jsonl", SCHEMA).save(_table(tmp_path / "log", 1))
    for path in (tmp_path / "undisturbed").glob("*.jsonl"):
        assert path.read_bytes() == (tmp_path / "table" / path.name).read_bytes()
