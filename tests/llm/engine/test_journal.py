from __future__ import annotations

import asyncio
import resource
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro import tables
from omr_kedro.llm.calls import Completion
from omr_kedro.llm.calls.request import CallIdentity
from omr_kedro.llm.engine.journal import JournalWriter, ShardJournal, paid_calls
from omr_kedro.shards import Row, Scratch
from omr_kedro.shards.batches import checked


def scratch(folder: Path, earlier: list[Row] | None = None) -> Scratch:
    return Scratch(folder / "open.jsonl", folder / "retired.jsonl", lambda: iter(earlier or []))


def known(folder: Path, earlier: list[Row] | None = None) -> dict[str, Completion]:
    """What a journal that is opened now finds, as `ShardJournal` and `paid_calls` agree."""
    journal = ShardJournal(scratch(folder, earlier))
    found = {paid.call_key: paid for paid in paid_calls(scratch(folder, earlier))}
    assert found == {key: journal.completion(key) for key in found if key in journal}
    journal.close()
    return found


def completion(key: str, text: str = "fine") -> Completion:
    return Completion(key, "model", text)


def test_what_was_written_is_known_to_the_next_journal(tmp_path: Path) -> None:
    first = ShardJournal(scratch(tmp_path))
    first.write([completion("a"), completion("b")])
    first.close()
    assert known(tmp_path) == {"a": completion("a"), "b": completion("b")}


@settings(max_examples=60)
@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=5), st.data())
def test_a_journal_cut_at_any_byte_is_read_up_to_there_and_can_be_appended_to(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = ShardJournal(scratch(folder))
    journal.write([completion(str(number), text) for number, text in enumerate(texts)])
    journal.close()
    whole = (folder / "open.jsonl").read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    (folder / "open.jsonl").write_bytes(whole[:cut])

    survived = whole[:cut].count(b"\n")
    before = {str(number): completion(str(number), texts[number]) for number in range(survived)}
    assert known(folder) == before
    resumed = ShardJournal(scratch(folder))
    resumed.write([completion("new", "line\nend")])
    assert resumed.completion("new") == completion("new", "line\nend"), "found at once, where it was written"
    resumed.close()
    # A line of which only its end was cut is whole again, since it was ended before the next one.
    assert known(folder).items() >= {**before, "new": completion("new", "line\nend")}.items()


def test_calls_of_the_finished_shard_are_known_and_failures_that_may_pass_are_not(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"call_key": "a", "model": "m", "text": "x", "row_id": "r1", "error_kind": None},
        {"call_key": "b", "model": "m", "text": "", "row_id": "r2", "error_kind": "timeout"},
        {"call_key": "c", "model": "m", "text": "", "row_id": "r3", "error_kind": "bad_request"},
    ]
    assert set(known(tmp_path, rows)) == {"a", "c"}


def test_calls_that_a_new_shard_does_not_hold_are_kept_for_a_later_one(tmp_path: Path) -> None:
    journal = ShardJournal(scratch(tmp_path))
    journal.write([completion("old"), completion("used")])
    journal.retire({"used"})
    journal.discard()
    assert set(known(tmp_path)) == {"old"}


def test_a_retired_call_that_is_used_again_stays_until_its_shard_is_on_disk(tmp_path: Path) -> None:
    first = ShardJournal(scratch(tmp_path))
    first.write([completion("a"), completion("b")])
    first.retire({"b"})
    first.discard()
    second = ShardJournal(scratch(tmp_path, [{"call_key": "b", "model": "model", "text": "fine"}]))
    second.retire({"a"})
    # Killed here, before the shard with `a` is written: nothing may be missing.
    assert set(known(tmp_path)) == {"a", "b"}


async def test_what_cannot_be_written_is_an_error_for_the_call_that_waits_and_for_no_other(tmp_path: Path) -> None:
    writer, journal = JournalWriter(), ShardJournal(scratch(tmp_path))
    running = asyncio.create_task(writer.run())
    with pytest.raises(TypeError, match="surrogates"):
        await asyncio.wait_for(writer.append(journal, completion("a", "\ud800")), timeout=30)
    await asyncio.wait_for(writer.append(journal, completion("b")), timeout=30)
    running.cancel()
    journal.close()
    assert set(known(tmp_path)) == {"b"}


def test_a_line_that_a_full_disk_cut_does_not_swallow_the_next(tmp_path: Path) -> None:
    journal = ShardJournal(scratch(tmp_path))
    journal.write([completion("a")])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            journal.write([completion("b", "long" * 500)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    journal.write([completion("c")])
    journal.close()
    assert set(known(tmp_path)) == {"a", "c"}


def test_a_shard_is_read_back_from_what_was_there_when_it_was_opened_and_leaves_no_copy_behind(tmp_path: Path) -> None:
    first = ShardJournal(scratch(tmp_path))
    first.write([completion("retired")])
    first.retire(set())
    first.discard()
    earlier = [{"call_key": "written", "model": "model", "text": "as it was", "row_id": "r"}]
    journal = ShardJournal(scratch(tmp_path, earlier))
    journal.write([completion("new")])
    (tmp_path / "other").write_text("a later journal has put this file in its place\n")
    (tmp_path / "other").replace(tmp_path / "retired.jsonl")
    assert [journal.completion(key).text for key in ("retired", "written", "new")] == ["fine", "as it was", "fine"]
    journal.discard()
    assert {path.name for path in tmp_path.iterdir()} == {"retired.jsonl"}


def test_numbers_that_no_column_takes_become_unknown_and_lines_that_are_no_calls_are_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line = completion("a", "paid").row()
    odd = [
        {**line, "prompt_tokens": 2**63, "completion_tokens": -5, "latency_s": True, "tries": "two"},
        {**line, "call_key": "b", "text": {"not": "text"}},
        {**line, "call_key": 7},
        {"call_key": "c", "model": "m", "some": "other line"},
    ]
    (tmp_path / "open.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in odd) + b"[1]\nnull\n")
    journal = ShardJournal(scratch(tmp_path))
    found = journal.completion("a")
    assert (found.text, found.prompt_tokens, found.completion_tokens, found.latency_s, found.tries) == (
        "paid",
        0,
        0,
        0,
        0,
    )
    assert "b" not in journal
    journal.discard()
    aside = (tmp_path / "open.unfit.jsonl").read_bytes().splitlines()
    assert [orjson.loads(row)["call_key"] for row in aside] == ["b", 7], "kept where nobody trips over them"
    assert "2 lines of open.jsonl are no calls, or damaged" in caplog.text


@given(
    st.dictionaries(
        st.sampled_from([*Completion.__dataclass_fields__]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2),
    )
)
def test_whatever_a_journal_line_holds_it_fits_the_table_or_is_no_call(fields: dict[str, Any]) -> None:
    row = {**completion("k").row(), **fields}
    try:
        read = Completion.from_row(row)
    except TypeError:
        return
    identity = CallIdentity("r", "", 0, None, "p")
    checked([read.row(identity)], tables.COMPLETIONS, "completions")
