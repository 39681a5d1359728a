"""Rows joined with what is known about them in another table, as two streams."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import groupby
from operator import itemgetter

from omr_kedro.shards.recipes import Row, Scratch, Shard
from omr_kedro.shards.spools import RowIndex


def join(
    rows: Shard, key: str, evidence: Shard, evidence_key: str, scratch: Scratch
) -> Iterator[tuple[Row, list[Row]]]:
    """Each row with its evidence, in the evidence's order; with none where there is none.

    Evidence mostly stands in the order of its rows, so that memory holds that of one row. Its keys are read first,
    which say which rows have any. Where a row's evidence is not the next, or lies in several places, all of it is laid
    aside once, to be found by key.

    Args:
        rows: the rows, which give the order.
        key: column of the rows that evidence refers to.
        evidence: what is known about them.
        evidence_key: column of the evidence that refers to a row.
        scratch: where evidence in another order is laid aside.
    """
    groups = [found for found, _ in groupby(evidence.column(evidence_key))]
    known = set(groups)
    # A row's evidence in several places: the next is never all of it.
    coming = deque(groups if len(known) == len(groups) else ())
    stream = groupby(evidence.rows(), itemgetter(evidence_key))
    with ExitStack() as until_done:
        index: RowIndex | None = None
        for row in rows.rows():
            wanted = row[key]
            if wanted not in known:
                yield row, []
            elif index is None and coming and coming[0] == wanted:
                coming.popleft()
                yield row, list(next(stream)[1])
            else:
                index = index or until_done.enter_context(closing(_index(evidence, evidence_key, scratch)))
                yield row, index[wanted]


def join_all(
    rows: Shard, key: str, evidence: Sequence[tuple[Shard, str]], scratch: Scratch
) -> Iterator[tuple[Row, tuple[list[Row], ...]]]:
    """Each row with its evidence of several tables, each with the column that refers to it; see `join`."""
    joined = [join(rows, key, table, column, scratch) for table, column in evidence]
    for found in zip(*joined, strict=True):
        yield found[0][0], tuple(pieces for _, pieces in found)


def _index(evidence: Shard, evidence_key: str, scratch: Scratch) -> RowIndex:
    return RowIndex(((row[evidence_key], row) for row in evidence.rows()), scratch.open.parent)
