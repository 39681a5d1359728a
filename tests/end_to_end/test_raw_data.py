"""A forum's dump becomes threads that the problem pipeline starts from."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError

from tests.support.dumps import thread, write_dump
from tests.support.project import Project

FAST = {"shards": 4, "processes": 1}


def _prepare(project: Project, dump: Path, **options: Any) -> list[dict[str, Any]]:
    project.run(pipelines=["raw_data"], forum_dump=str(dump), raw_data={**FAST, **options})
    return project.table("forum_threads")


def _write(path: Path, rows: list[Any]) -> Path:
    path.write_bytes(b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows) + b"\n")
    return path


def _summary(project: Project) -> dict[tuple[str, str], int]:
    with (project.path / "data/08_reporting/offline/raw_data_summary.csv").open() as file:
        return {(row["what"], row["of_which"]): int(row["rows"]) for row in csv.DictReader(file)}


def _row(
    question: Any = "Find all primes p such that p + 2 is prime as well, and p < 10.", *answers: Any
) -> dict[str, Any]:
    return {"original_question": question, "original_answers": list(answers)}


def test_parquet_and_json_lines_give_the_same_threads(project: Project, tmp_path: Path) -> None:
    parquet = _prepare(project, write_dump(tmp_path / "dump.parquet", 120, row_group=50))
    lines = _prepare(project, write_dump(tmp_path / "dump.jsonl", 120))
    unlike = {"dump": None, "source": None, "reposts": None}
    strip = [{**row, **unlike} for row in parquet]
    assert strip == [{**row, **unlike} for row in lines]
    assert len(parquet) == 120
    assert parquet[0]["dump"].startswith("dump.parquet@")
    assert parquet[0]["source"] == "dump.parquet:row 1"
    assert parquet[0]["post_dates"][0] == "2020-01-01"
    assert parquet[7]["forum_post"] == thread(7)["original_question"].strip()


def test_records_that_cannot_be_used_are_listed_and_the_run_goes_on(project: Project, tmp_path: Path) -> None:
    good = [_row(f"How many divisors has the number {n} factorial? Prove your claim, please.") for n in range(91)]
    bad = [
        {"title": "none"}, _row(None), _row(7), _row("x" * 20_000_000), _row("Find x.", None),
        b'{"original_question": "\xff"}', b"{", _row(" "), _row("Find x.", 3),
    ]  # fmt: skip
    dump = _write(tmp_path / "dump.jsonl", [*good[:50], *bad, *good[50:]])
    threads = _prepare(project, dump, max_rejected_share=0.1)
    assert len(threads) == 91
    rejected = project.table("raw_data_rejected")
    assert [row["source"] for row in rejected] == [f"dump.jsonl:{line}" for line in range(51, 60)]
    assert Counter(row["reason"] for row in rejected) == {
        "missing_column": 1, "null_post": 2, "post_is_no_text": 2, "post_too_long": 1, "malformed": 2, "empty_post": 1,
    }  # fmt: skip
    summary = _summary(project)
    assert summary["records", ""] == 100
    assert summary["records", "rejected"] == 9


def test_too_many_of_them_stop_the_run_with_a_list(project: Project, tmp_path: Path) -> None:
    dump = _write(tmp_path / "dump.jsonl", [_row(), _row(None), _row("Find x.", 3)])
    with pytest.raises(DatasetError, match="2 of 3 records") as stopped:
        _prepare(project, dump)
    assert "dump.jsonl:2: the first post is null" in str(stopped.value)
    assert "raw_data.max_rejected_share" in str(stopped.value)


def test_a_parquet_file_of_other_columns_stops_the_run(project: Project, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "dump.parquet")
    with pytest.raises(DatasetError, match="2 of 2 records"):
        _prepare(project, tmp_path / "dump.parquet")


def test_a_thread_that_was_posted_again_gives_its_replies_to_the_first(project: Project, tmp_path: Path) -> None:
    again = "**Find all primes** p such that $p + 2$ is prime as well, and p < 10"
    other = "Find all primes p such that p + 2 is prime as well, and p < 20."
    rows = [
        _row(),
        _row(other, "3, 5, 11, 17"),
        _row(again, "It is 3 and 5.", "See above."),
        _row("Short one?", "See above."),
    ]
    rows[0]["original_answers"] = ["See above."]
    threads = _prepare(project, _write(tmp_path / "dump.jsonl", rows))
    assert [row["source"] for row in threads] == ["dump.jsonl:1", "dump.jsonl:2", "dump.jsonl:4"]
    assert threads[0]["forum_discussions"] == "Post 1:\nSee above.\n\nPost 2:\nIt is 3 and 5."
    assert threads[0]["reposts"] == ["dump.jsonl:3"]
    (repost,) = project.table("reposts")
    assert (repost["source"], repost["original"], repost["kind"]) == ("dump.jsonl:3", "dump.jsonl:1", "exact")
    assert _summary(project)["records", "reposts merged"] == 1

    kept = _prepare(project, tmp_path / "dump.jsonl", reposts={"merge": False})
    assert len(kept) == 4
    assert len(project.table("reposts")) == 1


def test_a_larger_sample_contains_the_smaller(project: Project, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "dump.jsonl", 150)
    everything = {row["thread_id"] for row in _prepare(project, dump)}
    samples = [{row["thread_id"] for row in _prepare(project, dump, sample=size)} for size in (10, 40, 400)]
    assert [len(sample) for sample in samples] == [10, 40, len(everything)]
    assert samples[0] < samples[1] < samples[2] == everything


def test_the_original_rule_leaves_first_posts_and_unclosed_quotes_alone(project: Project, tmp_path: Path) -> None:
    rows = [_row("[quote]Find x.[/quote]", "[quote]a[/quote]b [quote]c", "[quote]d[/quote]e")]
    (row,) = _prepare(project, _write(tmp_path / "dump.jsonl", rows), preparation={"rule": "original"})
    assert row["forum_post"] == "[quote]Find x.[/quote]"
    assert row["forum_discussions"] == "Post 1:\n[quote]a[/quote]b [quote]c\n\nPost 2:\ne"


def test_the_problem_pipeline_takes_the_threads_with_their_ids(project: Project, tmp_path: Path) -> None:
    threads = _prepare(project, write_dump(tmp_path / "dump.jsonl", 20))
    made = project.path / "data/03_primary/offline/forum_threads"
    project.run(pipelines=["prepare_threads"], raw_threads=str(made))
    prepared = project.table("threads")
    assert {row["thread_id"] for row in prepared} == {row["thread_id"] for row in threads}
    extra = json.loads(prepared[0]["extra"])
    assert extra["source"].startswith("dump.jsonl:")
    assert extra["post_dates"][0] == "2020-01-01"


@pytest.mark.kills
def test_killed_at_random_moments_it_goes_on_at_the_shard_and_gives_the_same_bytes(tmp_path: Path) -> None:
    chance = random.Random(4)
    dump = write_dump(tmp_path / "dump.parquet", 400, row_group=50)
    options: dict[str, Any] = {"forum_dump": str(dump), "raw_data": {"shards": 16, "processes": 2}}
    calm, killed = (Project.create(tmp_path / name) for name in ("calm", "killed"))
    calm.run(pipelines=["raw_data"], **options)
    kills = 0
    while True:
        run = killed.start(pipelines=["raw_data"], **options)
        run.join(chance.uniform(0, 3) if kills < 8 else None)
        if run.is_alive():
            run.kill()
            run.join()
            kills += 1
            continue
        assert run.exitcode == 0, (killed.path / "run.log").read_text()[-3000:]
        if kills >= 8:
            break
        killed.forget_everything()
    assert _bytes(killed) == _bytes(calm)


def _bytes(project: Project) -> dict[str, bytes]:
    root = project.path / "data"
    tables = ("forum_threads", "prepared_threads", "reposts", "raw_data_rejected", "repost_replies")
    files = {str(path.relative_to(root)): path for table in tables for path in root.glob(f"*/offline/{table}/*.jsonl")}
    return {name: path.read_bytes() for name, path in files.items()}
