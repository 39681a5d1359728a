from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from omr_kedro.publishing.columns import UnmatchedRowsError, alongside, by_value, chats, interleaved, think

TEXTS = st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=20), max_size=8)


def texts(values: Sequence[str | None]) -> pa.Array:
    return pa.array(values, pa.string())


def test_reasoning_stands_between_its_tags_and_a_text_without_it_alone() -> None:
    joined = think(texts(["a\n", None, ""]), texts(["x", "y", "z"]))
    assert joined.to_pylist() == ["<think>\na\n\n</think>\nx", "y", "<think>\n\n</think>\nz"]


@for_all(TEXTS)
def test_columns_in_turn_are_their_values_in_turn(values: list[str | None]) -> None:
    other = [None if value is None else value + "!" for value in reversed(values)]
    found = interleaved(texts(values), texts(other)).to_pylist()
    assert found == [value for pair in zip(values, other, strict=True) for value in pair]


def test_chats_hold_their_messages_in_order() -> None:
    problems, answers = texts(["p", "q"]), texts(["a", "b"])
    found = chats(["user", "assistant"], [{"content": problems}, {"content": answers, "reasoning": texts([None, "r"])}])
    assert [
        [(m["role"], m["content"], m["reasoning"], m["tool_calls"]) for m in chat] for chat in found.to_pylist()
    ] == [
        [("user", "p", None, None), ("assistant", "a", None, None)],
        [("user", "q", None, None), ("assistant", "b", "r", None)],
    ]


def test_a_function_of_texts_is_called_once_for_each() -> None:
    asked: list[str] = []
    found = by_value(texts(["a", None, "a", "b"]), lambda text: asked.append(text) or f"{text}!")  # type: ignore[func-returns-value]
    assert found.to_pylist() == ["a!", None, "a!", "b!"]
    assert asked == ["a", "b"]


def batches(keys: Sequence[int], sizes: Sequence[int], value: str = "") -> Iterator[pa.RecordBatch]:
    rows = [{"id": f"{key}", "text": f"{value}{key}"} for key in keys]
    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    begin = 0
    for size in [*sizes, len(rows)]:
        if rows[begin : begin + size]:
            yield pa.RecordBatch.from_pylist(rows[begin : begin + size], schema=schema)
        begin += size


@for_all(
    st.sets(st.integers(0, 40)),
    st.integers(0, 40),
    st.lists(st.integers(1, 9), max_size=8),
    st.lists(st.integers(1, 9), max_size=8),
)
def test_each_row_finds_its_value_however_both_tables_are_cut(
    some: set[int], count: int, sizes: list[int], others: list[int]
) -> None:
    some = {key for key in some if key < count}
    found = alongside(batches(range(count), sizes), batches(sorted(some), others, "v"), "id", "text")
    values = [value for _, column in found for value in column.to_pylist()]
    assert values == [f"v{key}" if key in some else None for key in range(count)]


@pytest.mark.parametrize("keys", [[3, 1], [1, 9], [9]])
def test_values_in_another_order_or_of_no_row_are_told(keys: list[int]) -> None:
    with pytest.raises(UnmatchedRowsError):
        list(alongside(batches(range(5), [2, 2]), batches(keys, []), "id", "text"))
