from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from omr_kedro import tables
from omr_kedro.publishing.columns import UnmatchedRowsError
from omr_kedro.publishing.licences import Licences
from omr_kedro.publishing.rows import (
    OF_PROBLEMS,
    PROBLEMS,
    SELECTION_PROMPT,
    Usefulness,
    additional_rows,
    cot_rows,
    problem_rows,
    rejected_rows,
    selection_prompt,
    selection_rows,
    tir_rows,
)
from omr_kedro.shards import Row, Shards
from tests.publishing.support import CHAT, rejected, rows_of, solution, table, with_code
from tests.support.tables import shards_of

NONE = Shards([])
UNJUDGED = Usefulness(NONE, ())


def summary(number: int, text: str) -> Row:
    ids = {"solution_id": f"p-{number}", "problem_id": "p", "thread_id": "t"}
    return {**ids, "sample_index": 0, "summary": text, "summary_model": "model", "call_key": "k"}


def test_a_summary_takes_the_place_of_the_final_text(tmp_path: Path) -> None:
    solutions = table(tmp_path / "s", [solution(0), solution(1)], shards=1)
    summaries = table(tmp_path / "m", [summary(1, "In short: $\\boxed{7}$.")], tables.SUMMARIES, shards=1)
    first, second = rows_of(cot_rows(solutions, summaries, Licences()))
    assert first["generated_solution"] == "<think>\nThink 0.\n</think>\nSo it is $\\boxed{7}$."
    assert second["generated_solution"] == "<think>\nThink 1.\n</think>\nIn short: $\\boxed{7}$."
    assert [(m["role"], m["content"], m["reasoning"]) for m in second["messages"]] == [
        ("user", "How many, p?", None),
        ("assistant", "In short: $\\boxed{7}$.", "Think 1."),
    ]


def test_columns_of_the_original_are_as_it_has_them_and_ours_tell_the_rest(tmp_path: Path) -> None:
    solutions = table(tmp_path / "s", [solution(0, judge_model="judge", votes_for=3)], shards=1)
    (row,) = rows_of(cot_rows(solutions, NONE, Licences("mit", {"forum": "cc-by-sa-4.0"})))
    assert {name: row[name] for name in tables.PUBLISHED_SOLUTIONS.names[2:9]} == {
        "generation_model": "model",
        "problem_type": "has_answer_extracted",
        "expected_answer": "7",
        "problem_source": "forum",
        "inference_mode": "cot",
        "pass_rate_72b_tir": None,
        "used_in_kaggle": None,
    }
    told = ("solution_id", "answer_type", "license", "judge_model", "votes_for", "pass_rate", "pass_rate_model")
    assert [row[name] for name in told] == ["p-0", "number", "cc-by-sa-4.0", "judge", 3, 0.5, "model"]
    assert row["tool_calls"] is None


def test_without_a_pass_rate_no_model_is_named_for_it(tmp_path: Path) -> None:
    (row,) = rows_of(cot_rows(table(tmp_path, [solution(0, pass_rate=None)]), NONE, Licences("mit")))
    assert row["pass_rate_model"] is None
    assert row["license"] == "mit"


def test_a_summary_of_no_solution_stops_the_publishing(tmp_path: Path) -> None:
    solutions = table(tmp_path / "s", [solution(0)], shards=1)
    summaries = table(tmp_path / "m", [summary(5, "x")], tables.SUMMARIES, shards=1)
    with pytest.raises(UnmatchedRowsError, match="p-5"):
        rows_of(cot_rows(solutions, summaries, Licences()))


def test_lines_and_files_of_parquet_are_published_alike(tmp_path: Path) -> None:
    rows = [solution(n, reasoning=None if n % 3 else f"R {n}") for n in range(10)]
    stored = table(tmp_path, rows, shards=1)
    assert rows_of(cot_rows(stored, NONE, Licences())) == rows_of(cot_rows(shards_of(rows, 1), NONE, Licences()))


def test_a_solution_with_code_keeps_its_string_and_its_output_in_messages_of_its_own(tmp_path: Path) -> None:
    (row,) = rows_of(
        tir_rows(table(tmp_path, [with_code(0)], tables.TIR_SOLUTIONS), UNJUDGED, Licences(), '[{"type": "function"}]')
    )
    assert row["generated_solution"].startswith("<think>\nCount 0.\n<tool_call>")
    assert [m["role"] for m in row["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert orjson.loads(row["messages"][1]["tool_calls"]) == CHAT[1]["tool_calls"]
    assert (row["messages"][2]["tool_call_id"], row["messages"][1]["content"]) == ("call_0", None)
    assert [row[n] for n in ("tool_calls", "tool_errors", "tool_timeouts", "output_tokens", "void_turns")] == [
        2,
        1,
        0,
        3,
        1,
    ]
    assert row["tools"] == '[{"type": "function"}]'


def useful(number: int) -> Row:
    return {"solution_id": f"p-code-{number}", "problem_id": "p", "thread_id": "t"}


def not_useful(number: int, outcome: str) -> Row:
    return {"row_id": f"p-code-{number}", "outcome": outcome}


def test_a_solution_with_code_says_whether_its_code_was_of_use(tmp_path: Path) -> None:
    solutions = shards_of([with_code(n) for n in range(5)], 1)
    others = [not_useful(1, "dropped")], [not_useful(2, "dropped"), not_useful(3, "failed")]
    known = Usefulness(shards_of([useful(0)], 1), tuple(shards_of(rows, 1) for rows in others))
    rows = rows_of(tir_rows(solutions, known, Licences(), "[]"))
    assert [row["useful"] for row in rows] == [True, False, False, None, None]
    assert [row["useful"] for row in rows_of(tir_rows(solutions, UNJUDGED, Licences(), "[]"))] == [None] * 5
    assert rows_of(cot_rows(shards_of([solution(0)], 1), NONE, Licences()))[0]["useful"] is None


def test_usefulness_of_solutions_that_are_no_more_stops_the_publishing() -> None:
    known = Usefulness(shards_of([useful(0), useful(7)], 1), ())
    with pytest.raises(UnmatchedRowsError, match="p-code-7"):
        rows_of(tir_rows(shards_of([with_code(0)], 1), known, Licences(), "[]"))


def test_rejected_samples_of_all_modes_are_published_with_their_reasons(tmp_path: Path) -> None:
    cot = table(tmp_path / "c", [rejected(0), rejected(1, "truncated", solution=None)], tables.REJECTED_SOLUTIONS)
    tir = table(
        tmp_path / "t", [{**with_code(2), "outcome": "failed", "reason": "undecided"}], tables.TIR_REJECTED_SOLUTIONS
    )
    rows = rows_of(rejected_rows([(cot, None), (tir, "[]")], Licences()))
    assert [(row["reason"], row["outcome"], row["inference_mode"], len(row["messages"])) for row in rows] == [
        ("incorrect", "dropped", "cot", 2),
        ("truncated", "dropped", "cot", 2),
        ("undecided", "failed", "tir", 4),
    ]


def problem(name: str, answer: str | None) -> Row:
    ids = {"problem_id": name, "thread_id": f"thread of {name}", "problem": f"{name}?", "expected_answer": answer}
    return {**ids, "problem_type": "has_answer_extracted", "problem_source": "forum", "model": "model"}


def reference(name: str, answer: str | None, source: str) -> Row:
    ids = {"problem_id": name, "thread_id": f"thread of {name}", "expected_answer": answer, "answer_source": source}
    return {**ids, "suspect": source == "none", "stop_reason": "settled", "pass_rate": 0.25}


def test_a_problem_has_the_answer_that_was_decided_or_that_of_its_discussion(tmp_path: Path) -> None:
    problems = table(
        tmp_path / "p", [problem("a", "1"), problem("b", None), problem("c", "3"), problem("d", None)], tables.PROBLEMS
    )
    decided = [reference("b", "2", "majority"), reference("a", "5", "replaced_by_majority")]
    references = table(tmp_path / "r", decided, tables.REFERENCE_ANSWERS)
    solved = [
        pa.RecordBatch.from_pylist([{"problem_id": name, "generation_model": model} for name, model in some])
        for some in ([("a", "one"), ("a", "two")], [("b", "two")])
    ]
    make = partial(problem_rows, problems, references, solved, Licences())
    told = (
        "expected_answer",
        "answer_source",
        "extracted_answer",
        "suspect",
        "pass_rate",
        "solutions",
        "pass_rate_model",
    )
    assert {row["problem_id"]: tuple(row[name] for name in told) for row in rows_of(make())} == {
        "a": ("5", "replaced_by_majority", "1", False, 0.25, 2, "one"),
        "b": ("2", "majority", None, False, 0.25, 1, "two"),
        "c": ("3", "extracted", "3", None, None, 0, None),
        "d": (None, "none", None, None, None, 0, None),
    }
    assert {row["problem_id"] for row in rows_of(additional_rows(make()))} == {"c", "d"}


def test_problems_without_any_solved_are_published_as_they_are(tmp_path: Path) -> None:
    problems = table(tmp_path / "p", [problem("a", "1")], tables.PROBLEMS)
    assert rows_of(problem_rows(problems, NONE, [], Licences()))[0]["expected_answer"] == "1"


def selection(number: int, outcome: str, **more: Any) -> Row:
    texts = [
        {"solution_id": f"p-{n}", "text": f"Text {n} {{problem}}", "answer": str(n), "correct": n == 1}
        for n in range(3)
    ]
    return {
        "group_id": f"g{number}",
        "set_id": f"s{number}",
        "problem_id": "p",
        "thread_id": "t",
        "problem": "How many?",
        "expected_answer": "1",
        "candidates": texts,
        "order": 0,
        "chosen": 1,
        "chosen_solution_id": "p-1",
        "outcome": outcome,
        "comparison": "Judgment: 2",
        "reasoning": "Compare.",
        "selection_model": "model",
        **more,
    }


def comparisons(rows: list[Row], summaries: list[Row], problems: list[Row] | None = None) -> Iterator[pa.RecordBatch]:
    known = [{"problem_id": "p", "problem_type": "converted_proof", "problem_source": "forum", "answer_source": "none"}]
    schema = pa.schema([PROBLEMS.field(name) for name in OF_PROBLEMS])
    batches = [pa.RecordBatch.from_pylist(known if problems is None else problems, schema)]
    licences = Licences("mit", {"forum": "cc-by-sa-4.0"})
    return selection_rows(shards_of(rows, 1), shards_of(summaries, 1), batches, licences, SELECTION_PROMPT)


def test_a_comparison_has_the_type_the_source_and_so_the_licence_of_its_problem() -> None:
    (row,) = rows_of(comparisons([selection(0, "right")], []))
    told = ("problem_type", "problem_source", "answer_source", "license")
    assert [row[name] for name in told] == ["converted_proof", "forum", "none", "cc-by-sa-4.0"]


@pytest.mark.parametrize("problems", [[], [{"problem_id": "q"}]])
def test_a_comparison_of_a_problem_that_is_not_published_stops_the_publishing(problems: list[Row]) -> None:
    with pytest.raises(UnmatchedRowsError, match="problem p has rows"):
        rows_of(comparisons([selection(0, "right")], [], problems))


def test_comparisons_whose_choice_is_right_are_published_with_their_candidates() -> None:
    rows = [
        selection(0, "right"),
        selection(1, "wrong"),
        selection(2, "right", reasoning=None),
        selection(3, "unclear"),
    ]
    summaries = [{"group_id": "g2", "summary": "Short. Judgment: 2"}]
    first, second = rows_of(comparisons(rows, summaries))
    assert first["generated_solution"] == "<think>\nCompare.\n</think>\nJudgment: 2"
    assert second["generated_solution"] == "Short. Judgment: 2"
    assert first["problem"] == first["messages"][0]["content"]
    assert "Candidate 2:\nText 1 {problem}" in first["problem"]
    assert [(each["solution_id"], each["correct"]) for each in first["candidates"]][first["chosen"]] == ("p-1", True)
    assert (first["solution_id"], first["inference_mode"], first["statement"]) == ("p-1", "genselect", "How many?")


def test_braces_in_a_problem_are_text() -> None:
    asked = selection_prompt("{problem}|{candidates}", "{candidates} {x}", ["{problem}"])
    assert asked == "{candidates} {x}|Candidate 1:\n{problem}"
