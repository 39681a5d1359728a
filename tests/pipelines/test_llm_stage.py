from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omr_kedro.llm.calls import Completion, TooManyFailuresError
from omr_kedro.pipelines.llm_stage import CallOptions, Dropped, Failed, Kept, Outcome, not_kept_row, settle, sole_reply
from omr_kedro.shards import Row, Shards, SiblingShards, TableStore, accept
from omr_kedro.tables import COMPLETIONS, DROPPED, PROBLEMS
from tests.support import tables
from tests.support.tables import rows_made, shards_of

replies = st.builds(
    Completion,
    call_key=st.just("k"),
    model=st.just("m"),
    text=st.sampled_from(["keep", "drop", "fail", "other"]),
    finish_reason=st.sampled_from(["stop", "length", None]),
    error_kind=st.sampled_from([None, None, "timeout"]),
)


def read(row: Row, completions: list[Completion]) -> Outcome:
    reply = sole_reply(completions)
    if isinstance(reply, Failed):
        return reply
    outcomes: dict[str, Outcome] = {"keep": Kept([row]), "drop": Dropped("no"), "other": Kept([row], to="other")}
    return outcomes.get(reply, Failed("why"))


def test_a_field_of_requests_that_an_environment_sets_to_null_is_not_sent() -> None:
    options = CallOptions(extra_body={"repetition_detection": None, "top_k": 20})
    assert options.extra_body == {"top_k": 20}


def problems(count: int) -> list[Row]:
    return [{"problem_id": f"p{n}", "thread_id": f"t{n}", "problem": f"statement {n}"} for n in range(count)]


@given(st.lists(st.none() | replies, max_size=12))
def test_each_row_has_exactly_one_outcome(answers: list[Completion | None]) -> None:
    rows = problems(len(answers))
    completions = [
        {"row_id": row["problem_id"], "thread_id": row["thread_id"], **vars(answer)}
        for row, answer in zip(rows, answers, strict=True)
        if answer
    ]
    tables = settle(
        "stage", read, shards_of(rows, 1), shards_of(completions, 1), tables=("kept", "other"), max_failed_share=1
    )
    kept, other, rest = (rows_made(table) for table in tables)
    ids = Counter([*(row["problem_id"] for row in kept + other), *(row["row_id"] for row in rest)])
    assert ids == Counter(row["problem_id"] for row in rows)
    assert all(row["outcome"] in ("dropped", "failed") and row["reason"] for row in rest)


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (Completion("k", "m", "Problem 1: half of a", finish_reason="length"), "truncated"),
        (Completion("k", "m", error_kind="timeout", error="no answer"), "timeout"),
    ],
)
def test_a_cut_reply_or_an_error_is_never_read(completion: Completion, reason: str) -> None:
    reply = sole_reply([completion])
    assert isinstance(reply, Failed)
    assert reply.reason == reason


@pytest.mark.parametrize("error", [TypeError, RecursionError, UnicodeError, OverflowError])
def test_a_row_whose_reading_crashes_has_failed_with_that_and_the_others_have_their_outcomes(
    error: type[Exception],
) -> None:
    def fragile(row: Row, completions: list[Completion]) -> Outcome:
        if row["problem_id"] == "p3":
            raise error("\x1b[2Jdeep")
        return Kept([row])

    kept, rest = map(rows_made, settle("stage", fragile, shards_of(problems(6)), shards_of([])))
    assert sorted(row["problem_id"] for row in kept) == ["p0", "p1", "p2", "p4", "p5"]
    (row,) = rest
    assert (row["stage"], row["row_id"], row["outcome"], row["reason"]) == ("stage", "p3", "failed", "reading_crashed")
    assert row["detail"].startswith(f"{error.__name__} (")
    assert row["detail"].endswith(r"): \x1b[2Jdeep")


def test_a_reader_that_crashes_on_everything_stops_the_stage(tmp_path: Path) -> None:
    def broken(row: Row, completions: list[Completion]) -> Outcome:
        raise TypeError

    rows = problems(20)
    *_, rest = settle("stage", broken, shards_of(rows, 1), shards_of([], 1), max_failed_share=0.5)
    with pytest.raises(TooManyFailuresError, match=r"20 of 20 rows failed \(20 reading_crashed\)"):
        TableStore(tmp_path, "jsonl", DROPPED).save(rest)


def half_failing(rows: list[Row], failing: int) -> list[Row]:
    return [
        {"row_id": row["problem_id"], "call_key": "k", "model": "m", "text": "fail" if n < failing else "keep"}
        for n, row in enumerate(rows)
    ]


def test_too_many_failed_rows_stop_the_stage_with_their_reasons(tmp_path: Path) -> None:
    rows = problems(20)
    *_, rest = settle("stage", read, shards_of(rows, 1), shards_of(half_failing(rows, 5), 1), max_failed_share=0.2)
    table = TableStore(tmp_path, "jsonl", DROPPED)
    for _ in range(2):
        with pytest.raises(TooManyFailuresError, match=r"5 of 20 rows failed \(5 why\)"):
            table.save(rest)
        assert not table.complete
    table.save(replace(rest, check=accept))
    assert table.shards().count == 5


def test_a_part_of_a_table_may_hold_more_failures_than_its_share_of_them(tmp_path: Path) -> None:
    rows = problems(40)
    some = shards_of(rows, 1)
    for failing, refused in ((20, False), (21, True)):
        part = Shards(some.values(), whole=False)
        *_, rest = settle("stage", read, part, shards_of(half_failing(rows, failing), 1), max_failed_share=0.2)
        table = TableStore(tmp_path / str(failing), "jsonl", DROPPED)
        with pytest.raises(TooManyFailuresError) if refused else nullcontext():
            table.save_part(rest)


def test_a_table_that_a_stage_does_not_have_is_named() -> None:
    rows = problems(1)
    kept, _ = settle("stage", lambda row, found: Kept([row], to="proof"), shards_of(rows, 1), shards_of([], 1))
    with pytest.raises(ValueError, match=r"stage: a row is kept in 'proof', which is none of \['kept'\]"):
        rows_made(kept)


def test_of_many_long_replies_a_row_that_is_not_kept_shows_the_beginning() -> None:
    samples = [Completion("k", "m", f"{number}" * 15_000) for number in range(4)]
    reply = not_kept_row("stage", "p", {}, Dropped("no"), samples)["reply"]
    assert reply == "0" * 15_000 + "\n" + "1" * 4_999


def vote(row: Row, completions: list[Completion]) -> Outcome:
    """An outcome that depends on every sample and their order."""
    said = "".join(completion.text[0] for completion in completions)
    problem = {**row, "expected_answer": said, "model": "m"}
    outcomes: list[Outcome]
    outcomes = [Kept([problem]), Kept([problem, problem], to="other"), Dropped("no", said), Failed("why", said)]
    return outcomes[sum(map(ord, said)) % 4]


def settled_in_memory(rows: Sequence[Row], completions: Sequence[Row]) -> dict[str, list[Row]]:
    """All tables, made by a loop over lists."""
    made: dict[str, list[Row]] = {"kept": [], "other": [], "dropped": []}
    for row in rows:
        found = [Completion.from_row(each) for each in completions if each["row_id"] == row["problem_id"]]
        outcome = vote(row, found)
        if isinstance(outcome, Kept):
            made[outcome.to] += outcome.rows
        else:
            made["dropped"].append(not_kept_row("stage", row["problem_id"], row, outcome, found))
    return made


def samples_of(rows: Sequence[Row], order: Sequence[int]) -> list[Row]:
    """Samples of the rows with these numbers, in this order."""
    request = {"part": "", "seed": None, "prompt_hash": "h"}
    return [
        {
            "row_id": rows[n]["problem_id"],
            **request,
            "sample_index": place,
            **vars(Completion(f"k{place}", "m", f"{place}")),
        }
        for place, n in enumerate(order)
    ]


class Outputs:
    """The tables of a stage on disk, settled from tables on disk."""

    def __init__(self, folder: Path, rows: Sequence[Row], completions: Sequence[Row]) -> None:
        self.folder = folder
        # Both dealt alike, by row.
        shards = {row["problem_id"]: n % 2 for n, row in enumerate(rows)}
        for name, schema, given_rows, key in (
            ("rows", PROBLEMS, [{**row, "model": "m"} for row in rows], "problem_id"),
            ("completions", COMPLETIONS, completions, "row_id"),
        ):
            dealt = {f"shard-0000{n}-of-00002": [row for row in given_rows if shards[row[key]] == n] for n in (0, 1)}
            TableStore(folder / name, "parquet", schema, durable=False).save(tables.Given(dealt))

    def recipes(self) -> tuple[SiblingShards, ...]:
        rows = TableStore(self.folder / "rows", "parquet", PROBLEMS).shards()
        completions = TableStore(self.folder / "completions", "parquet", COMPLETIONS).shards()
        return settle("stage", vote, rows, completions, tables=("kept", "other"), max_failed_share=1)

    def stores(self) -> list[TableStore]:
        schemas = {"kept": PROBLEMS, "other": PROBLEMS, "dropped": DROPPED}
        return [TableStore(self.folder / name, "jsonl", schema, durable=False) for name, schema in schemas.items()]

    def save(self) -> None:
        for store, recipe in zip(self.stores(), self.recipes(), strict=True):
            store.save(recipe)

    def read(self) -> dict[str, list[Row]]:
        return {store.folder.name: list(store.shards().rows()) for store in self.stores()}


def save_and_die(outputs: Outputs, steps: int) -> None:
    """Die before the n-th change of a name: files that get theirs, and that lose it."""
    left = iter(range(steps))

    def or_die(change: Callable[..., None]) -> Callable[..., None]:
        def step(*args: object, **options: object) -> None:
            if next(left, None) is None:
                os._exit(9)
            change(*args, **options)

        return step

    os.replace, os.unlink = or_die(os.replace), or_die(os.unlink)
    outputs.save()
    os._exit(0)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_one_pass_gives_what_a_loop_over_lists_gives_however_often_it_is_killed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    rows = problems(data.draw(st.integers(1, 8)))
    order = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=16))
    completions = samples_of(rows, sorted(order) if data.draw(st.booleans()) else order)
    outputs = Outputs(tmp_path_factory.mktemp("settled"), rows, completions)
    for steps in data.draw(st.lists(st.integers(0, 24), max_size=5)):
        process = multiprocessing.get_context("fork").Process(target=save_and_die, args=(outputs, steps))
        process.start()
        process.join()
        assert process.exitcode in (0, 9)
    outputs.save()
    expected = settled_in_memory(rows, completions)
    for name, found in outputs.read().items():
        schema = DROPPED if name == "dropped" else PROBLEMS
        whole = [{column: row.get(column) for column in schema.names} for row in expected[name]]
        assert sorted(found, key=str) == sorted(whole, key=str)
    assert not list(outputs.folder.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [
        ("length", "truncated"), ("max_tokens", "truncated"), ("content_filter", "content_filter"),
        ("abort", "aborted"), ("repetition", "repetition"), ("\x1b[2Jtired", "unknown_finish_reason"),
    ],
)  # fmt: skip
def test_a_reply_that_is_not_known_to_be_whole_is_never_read(finish_reason: str, reason: str) -> None:
    outcome = sole_reply([Completion("k", "m", "half a", finish_reason=finish_reason)])
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.detail.isprintable()) == (reason, True)


@pytest.mark.parametrize("finish_reason", ["stop", None, "eos", "STOP"])
def test_a_reply_that_the_model_ended_is_whole(finish_reason: str | None) -> None:
    assert sole_reply([Completion("k", "m", "whole", finish_reason=finish_reason)]) == "whole"
