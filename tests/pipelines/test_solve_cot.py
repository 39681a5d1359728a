"""Samples are drawn in rounds, the same whatever ends first and whenever the process is killed; whole ones vote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro.llm.calls import CallPlan
from omr_kedro.pipelines.llm_stage import Failed, Kept
from omr_kedro.pipelines.sampling import SamplingOptions
from omr_kedro.pipelines.solve_cot.nodes import ask_solve_cot, read_samples
from omr_kedro.shards import Row
from omr_kedro.solutions import StopRule
from tests.support.call_plans import said
from tests.support.chat_server import completion
from tests.support.cot import SOLVE, Cot, CotModel, Said, boxed, chat_model, completion_row, problem, read_completions
from tests.support.episodes import MEASURED, under_chance
from tests.support.tables import shards_of

RULE = StopRule(rounds=(2, 4, 6), correct=2, give_up_after=6, confidence=0.8)
PROBLEMS = [problem(f"p{number}", "5" if number % 2 else None) for number in range(10)]


def solving(rule: StopRule = RULE, **options: Any) -> SamplingOptions:
    return SamplingOptions(stop_rule=rule, max_failed_share=1, **options)


def some_answer(statement: str, index: int) -> str:
    """The right answer, one of two others, or none; by chance, but the same to the same question."""
    number = crc32(f"{statement} {index}".encode()) % 10
    return "I do not know." if number == 9 else boxed("5" if number < 6 else "7" if number < 8 else "11")


def some_sample(statement: str, index: int) -> Said:
    """Such an answer, or one that was cut."""
    text = some_answer(statement, index)
    return completion(text, "length") if crc32(f"{index} {statement}".encode()) % 5 == 0 else text


def unmeasured(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in MEASURED} for row in rows]


@pytest.mark.parametrize(
    "kills", [pytest.param(3, id="3"), pytest.param(100, id="100", marks=[pytest.mark.kills, pytest.mark.slow])]
)
def test_killed_at_any_moment_and_whatever_ends_first_the_same_samples_are_drawn_and_none_is_paid_for_twice(
    tmp_path: Path, kills: int
) -> None:
    def plan(base_url: str, folder: Path) -> CallPlan:
        del folder
        return ask_solve_cot(shards_of(PROBLEMS), SOLVE, chat_model(base_url), solving())

    def reply(body: dict[str, Any]) -> str:
        return some_answer(said(body), body["seed"])

    found = under_chance(plan, reply, tmp_path, kills=kills)
    assert 2 * len(PROBLEMS) < found.steps < 6 * len(PROBLEMS), "problems have different numbers of rounds"
    assert found.kills >= kills
    assert found.different == 0
    assert found.again == []


def test_the_samples_of_a_rule_are_the_first_of_those_of_a_full_draw(tmp_path: Path) -> None:
    with CotModel(some_sample) as model:
        by_rule = Cot(tmp_path / "rule", model.base_url, solving()).solve(shards_of(PROBLEMS))
        drawn = len(model.calls)
        full = Cot(tmp_path / "full", model.base_url, solving(StopRule(fixed=6))).solve(shards_of(PROBLEMS))
    counts = Counter(row["row_id"] for row in by_rule.rows("completions"))
    assert set(counts.values()) == {2, 4, 6}, "there are problems of each length"
    assert sum(counts.values()) == drawn < len(full.rows("completions")) == 6 * len(PROBLEMS)
    for table, column in (("completions", "row_id"), ("samples", "problem_id")):
        first = [row for row in full.rows(table) if row["sample_index"] < counts[row[column]]]
        assert unmeasured(by_rule.rows(table)) == unmeasured(first)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (StopRule(fixed=3), StopRule(fixed=5)),
        (RULE, RULE.model_copy(update={"rounds": (2, 4, 6, 9)})),
    ],
)
def test_more_samples_cost_the_further_ones_alone(tmp_path: Path, before: StopRule, after: StopRule) -> None:
    with CotModel(some_sample) as model:
        few = Cot(tmp_path, model.base_url, solving(before)).solve(shards_of(PROBLEMS))
        paid = len(model.calls)
        more = Cot(tmp_path, model.base_url, solving(after)).solve(shards_of(PROBLEMS))
    keys = {row["call_key"] for row in few.rows("completions")}
    all_keys = {row["call_key"] for row in more.rows("completions")}
    assert keys < all_keys
    assert sorted(model.keys[paid:]) == sorted(all_keys - keys)


def test_fewer_samples_cost_nothing(tmp_path: Path) -> None:
    with CotModel(some_sample) as model:
        Cot(tmp_path, model.base_url, solving(StopRule(fixed=6))).solve(shards_of(PROBLEMS))
        paid = len(model.calls)
        few = Cot(tmp_path, model.base_url, solving()).solve(shards_of(PROBLEMS))
        assert len(model.calls) == paid
    assert few.tables["completions"].count < paid


def test_equal_answers_are_one_class_however_they_are_written(tmp_path: Path) -> None:
    answers = ["1/2", "0.5", "\\frac12", "x = 1/2", "2", "\\dfrac{1}{2}"]
    with CotModel(lambda _, index: boxed(answers[index])) as model:
        cot = Cot(tmp_path, model.base_url, solving(StopRule(fixed=6))).solve(shards_of([problem("p")]))
    (votes,) = cot.rows("votes")
    assert votes["classes"] == [
        {"answer": "1/2", "votes": 5, "samples": [0, 1, 2, 3, 5]},
        {"answer": "2", "votes": 1, "samples": [4]},
    ]
    assert (votes["majority_answer"], votes["agreement"], votes["samples_drawn"]) == ("1/2", 5 / 6, 6)


@pytest.mark.parametrize("last", ["50\\%", "50 \\%"])
def test_an_answer_that_equals_two_classes_joins_one_and_does_not_merge_them(last: str) -> None:
    answers = ["0.5", "50", last, last]
    drawn = [completion_row("p", index, boxed(answer)) for index, answer in enumerate(answers)]
    cot = read_completions([problem("p")], drawn, solving(StopRule(fixed=4)))
    (row,) = cot.rows("votes")
    assert [(each["answer"], each["samples"]) for each in row["classes"]] == [("0.5", [0, 2, 3]), ("50", [1])]


def test_a_sample_that_failed_for_a_while_counts_as_a_try_and_is_asked_for_again_by_the_next_run(
    tmp_path: Path,
) -> None:
    away = {1}

    def solve(_: str, index: int) -> Said:
        return web.Response(status=500) if index in away else boxed("5")

    with CotModel(solve) as model:
        options: dict[str, Any] = {"solving": solving(), "limits": {"max_tries": 1}}
        first = Cot(tmp_path, model.base_url, **options).solve(shards_of([problem("p", "5")]))
        away.clear()
        paid = len(model.calls)
        second = Cot(tmp_path, model.base_url, **options).solve(shards_of([problem("p", "5")]))
        assert [call.body["seed"] for call in model.calls[paid:]] == [1]
        again = Cot(tmp_path, model.base_url, **options).solve(shards_of([problem("p", "5")]))
        assert len(model.calls) == paid + 1
    assert [row["no_vote"] for row in first.rows("samples")] == [None, "server_error", None, None]
    # The further round was drawn for the lack of it. Whole, the first round would have been enough, and is.
    assert [row["no_vote"] for row in second.rows("samples")] == [None, None]
    assert second.rows("samples") == again.rows("samples")


def test_a_refused_sample_counts_as_a_try_and_is_not_asked_for_again(tmp_path: Path) -> None:
    def solve(_: str, index: int) -> Said:
        return web.Response(status=400, text="too long") if index == 1 else boxed("5")

    with CotModel(solve) as model:
        for _ in range(2):
            cot = Cot(tmp_path, model.base_url, solving()).solve(shards_of([problem("p", "5")]))
        assert len(model.calls) == 4
    (votes,) = cot.rows("votes")
    assert (votes["samples_drawn"], votes["votes_total"], votes["stop_reason"]) == (4, 3, "correct")
    assert [row["no_vote"] for row in cot.rows("samples")] == [None, "bad_request", None, None]


def test_a_problem_whose_samples_all_failed_is_unsolved_and_has_no_votes(tmp_path: Path) -> None:
    refused = lambda *_: web.Response(status=400)  # noqa: E731
    with CotModel(refused) as model:
        cot = Cot(tmp_path, model.base_url, solving()).solve(shards_of([problem("p", "5"), problem("q")]))
    assert {(row["row_id"], row["outcome"], row["reason"]) for row in cot.rows("unsolved")} == {
        ("p", "failed", "bad_request"),
        ("q", "failed", "bad_request"),
    }
    assert cot.rows("samples") == cot.rows("votes") == []


@pytest.mark.parametrize(
    ("indices", "end", "reason"),
    [
        ([], None, "not_asked"),
        ([], "time_limit", "time_limit"),
        ([0, 1, 2], None, "unfinished"),
        ([0, 1, 3, 4], None, "unfinished"),
        ([0, 1, 2], "time_limit", "time_limit"),
        ([0, 1, 2, 3], "time_limit", "time_limit"),
    ],
)
def test_a_problem_whose_rounds_are_not_drawn_to_their_end_is_unsolved(
    indices: list[int], end: str | None, reason: str
) -> None:
    rows = [completion_row("p", index, boxed(str(index))) for index in indices]
    rows += [completion_row("p", 0, kind="end", error_kind=end)] if end else []
    outcome = read_samples(problem("p"), rows, solving())
    assert isinstance(outcome, Failed)
    assert outcome.reason == reason


def test_a_problem_that_ended_at_the_limit_of_time_with_a_decided_round_is_solved() -> None:
    rows = [completion_row("p", index, boxed("5")) for index in range(2)]
    rows.append(completion_row("p", 0, kind="end", error_kind="time_limit"))
    outcome = read_samples(problem("p", "5"), rows, solving(RULE.model_copy(update={"settle_known": False})))
    assert isinstance(outcome, Kept)
    assert [row["predicted_answer"] for row in outcome.rows] == ["5", "5"]


LOOP = "Let me look at that once more. " * 2000
WAYS: dict[str | None, Callable[[int], Row]] = {
    None: lambda index: completion_row("p", index, boxed("5")),
    "truncated": lambda index: completion_row("p", index, boxed("5"), finish_reason="length"),
    "repetition": lambda index: completion_row("p", index, boxed("5"), finish_reason="repetition"),
    "aborted": lambda index: completion_row("p", index, boxed("5"), finish_reason="abort"),
    "content_filter": lambda index: completion_row("p", index, boxed("5"), finish_reason="content_filter"),
    "unknown_finish_reason": lambda index: completion_row("p", index, boxed("5"), finish_reason="tool_calls"),
    "timeout": lambda index: completion_row("p", index, boxed("5"), error_kind="timeout"),
    "looping": lambda index: completion_row("p", index, boxed("5", LOOP)),
    "no_box": lambda index: completion_row("p", index, "It is 5."),
    "unparsed_reply": lambda index: completion_row("p", index, boxed("5") + "<tool_call>"),
    "empty_reply": lambda index: completion_row("p", index, " "),
}


@pytest.mark.parametrize("why", [why for why in WAYS if why])
def test_a_sample_that_is_not_whole_has_no_vote_whatever_it_boxed(why: str) -> None:
    outcome = read_samples(problem("p"), [WAYS[None](0), WAYS[why](1)], solving(StopRule(fixed=2)))
    assert isinstance(outcome, Kept)
    assert [(row["predicted_answer"], row["no_vote"]) for row in outcome.rows] == [("5", None), (None, why)]


@pytest.mark.parametrize("empty", ["", "?", "-", "\\ ", "\\text{}", "\\boxed{}"])
def test_a_box_that_holds_nothing_to_compare_has_no_vote(empty: str) -> None:
    drawn = [completion_row("p", index, boxed(empty)) for index in range(4)]
    cot = read_completions([problem("p")], drawn, solving(StopRule(fixed=4)))
    assert {row["no_vote"] for row in cot.rows("samples")} == {"no_box"}
    (row,) = cot.rows("votes")
    assert (row["majority_answer"], row["votes_total"], row["samples_drawn"]) == (None, 0, 4)


def test_a_share_of_loops_of_zero_takes_no_sample_for_a_loop() -> None:
    outcome = read_samples(problem("p"), [WAYS["looping"](0)], solving(StopRule(fixed=1), loop_share=0))
    assert isinstance(outcome, Kept)
    assert [row["predicted_answer"] for row in outcome.rows] == ["5"]


@settings(deadline=None, max_examples=50)
@given(ways=st.lists(st.lists(st.sampled_from([*WAYS]), min_size=4, max_size=4), min_size=1, max_size=4))
def test_each_sample_has_an_answer_or_a_reason_and_each_problem_has_samples_or_failed(
    ways: list[list[str | None]],
) -> None:
    problems = [problem(f"p{number}") for number in range(len(ways))]
    drawn = [
        {**WAYS[why](index), "row_id": f"p{number}"}
        for number, whys in enumerate(ways)
        for index, why in enumerate(whys)
    ]
    cot = read_completions(problems, drawn, solving(StopRule(fixed=4)))
    found: dict[str, list[str | None]] = {row["problem_id"]: [] for row in cot.rows("samples")}
    for row in cot.rows("samples"):
        found[row["problem_id"]].append(row["no_vote"])
        assert (row["predicted_answer"] is None) is (row["no_vote"] is not None)
    assert found == {f"p{number}": whys for number, whys in enumerate(ways) if set(whys) != {"timeout"}}
    assert {row["row_id"] for row in cot.rows("unsolved")} == {row["problem_id"] for row in problems} - set(found)
    assert {row["problem_id"]: row["votes_total"] for row in cot.rows("votes")} == {
        name: whys.count(None) for name, whys in found.items()
    }
