from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro.shards import Row, Scratch, Shard, join

ids = st.sampled_from("abcdefgh")


def shard(rows: list[Row]) -> Shard:
    return Shard("s", "d", len(rows), lambda: iter(rows))


def scratch(folder: Path) -> Scratch:
    return Scratch(folder / "s.jsonl", folder / "retired", lambda: iter(()))


def evidence_of(keys: list[str]) -> list[Row]:
    return [{"row_id": key, "text": f"{number} ä"} for number, key in enumerate(keys)]


@settings(max_examples=300)
@given(st.lists(ids, max_size=8), st.lists(ids, max_size=16), st.booleans())
def test_each_row_meets_its_evidence_in_whatever_order_both_stand(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str], about: list[str], in_order: bool
) -> None:
    if in_order:
        about = [key for row in keys for key in about if key == row]
    rows, evidence = [{"id": key} for key in keys], evidence_of(about)
    folder = tmp_path_factory.getbasetemp() / "joins"
    joined = list(join(shard(rows), "id", shard(evidence), "row_id", scratch(folder)))
    assert joined == [(row, [found for found in evidence if found["row_id"] == row["id"]]) for row in rows]
    assert not folder.exists() or not list(folder.iterdir())


def test_evidence_in_the_order_of_its_rows_is_read_once_and_never_laid_aside(tmp_path: Path) -> None:
    read: list[str] = []

    def rows() -> list[Row]:
        read.append("rows")
        return evidence_of([*"aabbd"])

    evidence = Shard("s", "d", 5, lambda: iter(rows()), lambda name: (row[name] for row in evidence_of([*"aabbd"])))
    found = join(shard([{"id": key} for key in "abcd"]), "id", evidence, "row_id", scratch(tmp_path / "none"))
    assert [len(pieces) for _, pieces in found] == [2, 2, 0, 1]
    assert read == ["rows"]
    assert not (tmp_path / "none").exists()
