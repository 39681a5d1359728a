"""What each stage makes of a row and its replies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from omr_kedro.llm.calls import Completion, Prompt
from omr_kedro.llm.calls.request import CallIdentity
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.pipelines.classify_converted_proofs.nodes import read_converted_invalid_label
from omr_kedro.pipelines.classify_problems.nodes import sort_by_label
from omr_kedro.pipelines.convert_proofs.nodes import (
    ConversionOptions,
    ask_convert_proofs,
    read_conversion,
    read_convert_proofs,
)
from omr_kedro.pipelines.extract_answers.nodes import ask_extract_answers, read_answer
from omr_kedro.pipelines.extract_problems.nodes import read_problems
from omr_kedro.pipelines.llm_stage import CallOptions, Dropped, Failed, Kept, Outcome
from omr_kedro.pipelines.merge_problems.nodes import merge_problems
from omr_kedro.pipelines.prepare_threads import nodes
from omr_kedro.pipelines.prepare_threads.nodes import ThreadFields, ThreadOptions, fitting_shards, prepare_threads
from omr_kedro.pipelines.report.nodes import FunnelError, check_funnel, count_funnel, count_reasons, plot_funnel
from omr_kedro.pipelines.stages import Stage
from omr_kedro.shards import BadInputError, Row, Shards, Source, content_id
from omr_kedro.text.discussions import split_posts
from tests.support.tables import rows_made, shards_of

THREAD = {"thread_id": "t1", "problem_source": "forum", "forum_post": "…", "forum_discussions": ""}
MODEL = ChatModel(ModelEntry("m", base_url="http://127.0.0.1/v1"))


def said(text: str) -> list[Completion]:
    return [Completion("k", "m", text, finish_reason="stop")]


def kept(outcome: Outcome) -> list[Row]:
    assert isinstance(outcome, Kept), outcome
    return list(outcome.rows)


def problem(number: int = 1, **columns: Any) -> Row:
    empty = dict.fromkeys(("expected_answer", "original_problem", "original_problem_id", "problem_source"))
    return {"problem_id": f"p{number}", "thread_id": f"t{number}", "problem": f"Find $x_{number}$.", **empty, **columns}


def test_problems_get_ids_of_their_own_and_a_statement_given_twice_counts_once() -> None:
    rows = kept(read_problems(THREAD, said("Problem 1: Find x.\nProblem 2: Find y.\nProblem 3: Find x.")))
    assert [(row["problem"], row["extracted_problem_idx"]) for row in rows] == [("Find x.", 0), ("Find y.", 1)]
    assert len({row["problem_id"] for row in rows}) == 2
    assert {row["model"] for row in rows} == {"m"}


def test_a_thread_without_a_problem_is_dropped_and_one_that_cannot_be_read_has_failed() -> None:
    assert isinstance(read_problems(THREAD, said("No problems identified.")), Dropped)
    assert read_problems(THREAD, said("Nice weather today, is it not?")) == Failed(
        "unparsed", "Nice weather today, is it not?"
    )
    assert read_problems(THREAD, []) == Failed("not_asked", "the completions table holds no call for this row")


@pytest.mark.parametrize(
    ("reply", "table", "outcome"),
    [
        ("proof", "proofs", Kept([THREAD], to="proofs")),
        ("**Not proof**.", "proofs", Kept([THREAD])),
        ('{"label": "proof"}', None, Dropped("proof")),
    ],
)
def test_a_label_sends_a_problem_on_or_out(reply: str, table: str | None, outcome: Outcome) -> None:
    assert sort_by_label("proof", ("proof", "not proof"), table, THREAD, said(reply)) == outcome


def test_an_unclear_label_is_a_failure_and_never_a_no() -> None:
    assert isinstance(sort_by_label("mcq", ("mcq", "not mcq"), None, THREAD, said("perhaps")), Failed)


def test_an_answer_is_kept_with_the_model_that_read_it() -> None:
    (row,) = kept(read_answer(problem(), said("Post 1 says so.\nAnswer: $\\boxed{12}$")))
    assert (row["expected_answer"], row["answer_model"]) == ("12", "m")
    (row,) = kept(read_answer(problem(), said("Answer not found.")))
    assert row["expected_answer"] is None


def test_where_nobody_replied_nothing_is_asked_and_the_problem_stays() -> None:
    problems = shards_of([problem(1), problem(2)], 1)
    threads = shards_of(
        [
            {**THREAD, "thread_id": "t1", "forum_discussions": "Post 1:\nIt is 5."},
            {**THREAD, "thread_id": "t2", "forum_discussions": "  "},
        ],
        1,
    )
    prompt = Prompt("extract_answers", "{{problem}} {{forum_post}} {{forum_discussions}}")
    plan = ask_extract_answers(problems, threads, prompt, MODEL, CallOptions())
    assert [request.row_id for name in problems for request in plan.asks(name)] == ["p1"]
    assert kept(read_answer(problem(2), []))[0]["expected_answer"] is None


def test_a_converted_proof_is_a_row_of_its_own_that_names_the_proof() -> None:
    (row,) = kept(read_conversion(problem(), said("Problem: Find the least $c$.")))
    assert (row["problem"], row["original_problem"], row["original_problem_id"]) == (
        "Find the least $c$.",
        "Find $x_1$.",
        "p1",
    )
    assert row["problem_id"] != "p1"
    assert read_conversion(problem(), said("Not convertible.")) == Dropped("not_convertible")


def test_with_converted_proofs_switched_off_nothing_is_asked_and_every_proof_is_dropped_for_that() -> None:
    proofs, off = shards_of([problem(1), problem(2)], 1), ConversionOptions(enabled=False)
    plan = ask_convert_proofs(proofs, Prompt("convert_proofs", "{{problem}}"), MODEL, off)
    assert [request for name in proofs for request in plan.asks(name)] == []
    converted, dropped = read_convert_proofs(proofs, shards_of([], 1), off)
    assert rows_made(converted) == []
    assert {(row["row_id"], row["reason"]) for row in rows_made(dropped)} == {
        ("p1", "proofs_switched_off"),
        ("p2", "proofs_switched_off"),
    }
    on = read_convert_proofs(proofs, shards_of([], 1), ConversionOptions())[0]
    assert on.fingerprints != converted.fingerprints


def test_converted_proofs_are_sorted_as_problems_are_under_a_stage_of_their_own() -> None:
    prompt = Prompt("classify_invalid", "{{problem}}", choices=("invalid", "not invalid"))
    replies = {"p1": "invalid", "p2": "not invalid", "p3": "well"}
    completions = [said(text)[0].row(CallIdentity(name, "", 0, None, "h")) for name, text in replies.items()]
    options = CallOptions(max_failed_share=1)
    converted = shards_of([problem(number, original_problem="Prove it.") for number in (1, 2, 3)], 1)
    valid, rest = read_converted_invalid_label(converted, shards_of(completions, 1), prompt, options)
    assert [row["problem_id"] for row in rows_made(valid)] == ["p2"]
    assert {(row["stage"], row["row_id"], row["outcome"]) for row in rows_made(rest)} == {
        ("classify_converted_invalid", "p1", "dropped"),
        ("classify_converted_invalid", "p3", "failed"),
    }


def test_merging_names_each_problems_type_and_keeps_a_statement_once() -> None:
    answered = shards_of([problem(1, expected_answer="5"), problem(2)], 1)
    converted = shards_of([problem(3, original_problem="Prove it."), problem(1)], 1)
    merged, copies = (rows_made(table) for table in merge_problems(answered, converted))
    assert [row["problem_type"] for row in merged] == ["has_answer_extracted", "no_answer_extracted", "converted_proof"]
    assert [(row["row_id"], row["reason"]) for row in copies] == [("p1", "duplicate_problem")]


def raw(folder: Path, *lines: str) -> Source:
    (folder / "threads.jsonl").write_text("\n".join(lines) + "\n")
    return Source(folder / "threads.jsonl")


GOOD = '{"forum_post": "Find x.", "forum_discussions": "Post 1:\\n5", "views": 7}'


def test_too_many_unusable_records_are_listed_with_file_and_line(tmp_path: Path) -> None:
    rejected, _ = prepare_threads(raw(tmp_path, GOOD, "{", '{"forum_post": 1}'), ThreadOptions(shards=1))
    with pytest.raises(BadInputError) as refused:
        list(rejected.tidy(row for _, row in rejected.stream()))
    for word in ("2 of 3 records", "threads.jsonl:2", "threads.jsonl:3", "max_rejected_share"):
        assert word in str(refused.value)


def test_within_the_limit_they_go_to_a_table_and_copies_are_merged(tmp_path: Path) -> None:
    rejected, threads = prepare_threads(
        raw(tmp_path, GOOD, "{", GOOD, GOOD), ThreadOptions(shards=1, max_rejected_share=0.5)
    )
    (thread,) = threads.tidy(row for _, row in threads.stream())
    assert (thread["source"], thread["extra"]) == ("threads.jsonl:1", '{"views":7}')
    reasons = [(row["outcome"], row["reason"]) for row in rejected.tidy(row for _, row in rejected.stream())]
    assert reasons == [("failed", "malformed"), ("dropped", "duplicate_thread"), ("dropped", "duplicate_thread")]


def test_signs_that_a_forum_stored_as_macros_are_signs_in_threads(tmp_path: Path) -> None:
    record = {"forum_post": r"Solve $ x\equal{}\minus{}1$.", "forum_discussions": [r"$ \minus{}1$", r"$ \plus{}2$"]}
    _, threads = prepare_threads(raw(tmp_path, json.dumps(record)), ThreadOptions(shards=1))
    (thread,) = threads.tidy(row for _, row in threads.stream())
    assert thread["forum_post"] == "Solve $ x=-1$."
    assert [post.text for post in split_posts(thread["forum_discussions"])] == ["$ -1$", "$ +2$"]


def test_a_record_that_crashes_its_reader_is_a_failed_row_and_the_others_become_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fragile(*post: str) -> str:
        if "x?" in post:
            raise RecursionError
        return content_id(*post)

    monkeypatch.setattr(nodes, "content_id", fragile)
    rejected, threads = prepare_threads(
        raw(tmp_path, GOOD, '{"forum_post": "x?"}'), ThreadOptions(shards=1, max_rejected_share=0.5)
    )
    assert len(list(threads.stream())) == 1
    (row,) = rejected.tidy(row for _, row in rejected.stream())
    assert (row["outcome"], row["reason"], row["text"]) == ("failed", "reading_crashed", "x?")


def test_the_parts_of_a_thread_may_have_names_of_their_own(tmp_path: Path) -> None:
    record = {"heading": " Primes ", "question": "Find all.", "answers": [" 2 ", "Post 7:\n3"], "site": "s", "votes": 4}
    fields = ThreadFields(title="heading", forum_post="question", forum_discussions="answers", problem_source="site")
    _, threads = prepare_threads(raw(tmp_path, json.dumps(record)), ThreadOptions(shards=1, fields=fields))
    (thread,) = threads.tidy(row for _, row in threads.stream())
    assert thread["forum_post"] == "Primes\n\nFind all."
    assert [post.text for post in split_posts(thread["forum_discussions"])] == ["2", "> Post 7:\n3"]
    assert thread["problem_source"] == "s"
    assert json.loads(thread["extra"]) == {"votes": 4}


@pytest.mark.parametrize(
    ("record", "wrong"),
    [
        ({"question": "x"}, "the field 'forum_post' is missing (there are: question)"),
        ({"forum_post": "x", "forum_discussions": ["a", 1]}, "'forum_discussions' must be text or a list of texts"),
        ({"forum_post": "x", "forum_discussions": ["a\0"]}, "'forum_discussions' holds a NUL character"),
    ],
)
def test_a_field_that_does_not_fit_is_told_with_those_that_there_are(
    tmp_path: Path, record: dict[str, object], wrong: str
) -> None:
    rejected, _ = prepare_threads(raw(tmp_path, json.dumps(record)), ThreadOptions(shards=1))
    with pytest.raises(BadInputError) as refused:
        list(rejected.tidy(row for _, row in rejected.stream()))
    assert wrong in str(refused.value)
    assert "--params=prepare_threads.fields.forum_post=NAME" in str(refused.value)


FUNNEL = pd.DataFrame([{"stage": "s", "unit": "row", "rows_in": 5, "kept": 3, "dropped": 1, "failed": 1, "lost": 0}])


def test_a_funnel_that_lost_a_row_fails_the_run() -> None:
    check_funnel(FUNNEL)
    with pytest.raises(FunnelError, match="do not reconcile"):
        check_funnel(FUNNEL.assign(kept=2, lost=1))


def test_the_plot_has_a_bar_for_each_outcome() -> None:
    assert [bar.name for bar in plot_funnel(FUNNEL).data] == ["kept", "dropped", "failed"]


def test_reasons_are_counted_by_stage() -> None:
    stages = [Stage(name, ("given",), ("kept",), f"{name}_dropped") for name in ("first", "second")]
    not_kept = [{"outcome": "dropped", "reason": "mcq"}] * 3
    tables = {"first_dropped": shards_of([{"outcome": "failed", "reason": "late"}, *not_kept])}
    assert count_reasons(stages, {**tables, "second_dropped": shards_of(not_kept[:1])}).to_dict("records") == [
        {"stage": "first", "outcome": "dropped", "reason": "mcq", "rows": 3},
        {"stage": "first", "outcome": "failed", "reason": "late", "rows": 1},
        {"stage": "second", "outcome": "dropped", "reason": "mcq", "rows": 1},
    ]


@pytest.mark.parametrize(("records", "shards"), [(0, 4), (20, 4), (401, 5), (51_200, 512), (620_000, 512)], ids=str)
def test_few_threads_make_few_shards(records: int, shards: int) -> None:
    assert fitting_shards(records) == shards


def test_the_number_of_shards_is_the_given_one_or_that_of_the_workspace_or_one_that_fits(tmp_path: Path) -> None:
    def shards(options: ThreadOptions, written: int = 0) -> int:
        _, threads = prepare_threads(raw(tmp_path, GOOD), options, written)
        return len(threads.fingerprints)

    assert shards(ThreadOptions()) == 4
    assert shards(ThreadOptions(), written=512) == 512
    assert shards(ThreadOptions(shards=7), written=512) == 7


def test_a_number_that_was_chosen_makes_the_same_tables_as_one_that_was_given(tmp_path: Path) -> None:
    chosen, given = (prepare_threads(raw(tmp_path, GOOD), ThreadOptions(shards=shards)) for shards in (None, 4))
    assert [table.fingerprints for table in chosen] == [table.fingerprints for table in given]


def test_a_stage_whose_rows_give_several_counts_those_that_gave_some(tmp_path: Path) -> None:
    path = tmp_path / "threads.jsonl"
    path.write_text("{}\n" * 4, encoding="utf-8")
    stages = [
        Stage("prepare", ("raw",), ("threads",), "threads_dropped"),
        Stage("extract", ("threads",), ("problems",), "extract_dropped", per="thread"),
    ]
    tables: dict[str, Shards | Source] = {
        "raw": Source(path),
        "threads": shards_of([{"thread_id": str(number)} for number in range(3)]),
        "threads_dropped": shards_of([{"outcome": "failed"}]),
        "problems": shards_of([{"thread_id": "0"}, {"thread_id": "0"}]),
        "extract_dropped": shards_of([{"outcome": "dropped"}]),
    }
    columns = ["unit", "rows_in", "kept", "dropped", "failed", "lost", "rows_out"]
    assert count_funnel(stages, tables)[columns].values.tolist() == [
        ["record", 4, 3, 0, 1, 0, 3],
        ["thread", 3, 1, 1, 0, 1, 2],
    ]
