"""Samples of gold rows have every outcome, and grow without losing a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest

from omr_kedro.exam.gold import GOLD
from omr_kedro.exam.reading import gold_rows, sampled
from omr_kedro.exam.views import gold_of
from omr_kedro.shards import Row, Source
from tests.support.project import ROOT


@pytest.mark.parametrize("file", GOLD)
def test_a_sample_has_rows_of_every_outcome_and_is_part_of_every_larger_one(file: str) -> None:
    rows = list(gold_rows(Source(ROOT / f"data/01_raw/exam/{file}.jsonl")))
    outcomes = {row["row_id"]: gold_of(row, GOLD[file]).outcome for row in rows}
    kinds = set(outcomes.values())
    samples = [ids(rows, size) for size in range(len(rows) + 2)]
    assert [len(sample) for sample in samples] == [*range(len(rows) + 1), len(rows)]
    assert all(set(smaller) < set(larger) for smaller, larger in pairwise(samples[:-1]))
    assert set(Counter(outcomes[row_id] for row_id in samples[len(kinds)]).values()) == {1}
    assert all(sample == sorted(sample, key=list(outcomes).index) for sample in samples)


def test_the_order_of_the_file_chooses_no_row() -> None:
    rows = list(gold_rows(Source(ROOT / "data/01_raw/exam/decontaminate.jsonl")))
    assert set(ids(rows[::-1], 20)) == set(ids(rows, 20))


def ids(rows: Sequence[Row], size: int) -> list[str]:
    return [row["row_id"] for row in sampled(rows, size)]
