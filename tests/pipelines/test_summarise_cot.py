"""A summary stands for its solution only if its own box holds the solution's answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from aiohttp import web

from omr_kedro.llm.calls import CallPlan, Completion, TooManyFailuresError
from omr_kedro.llm.calls.token_estimate import estimate_reply_tokens
from omr_kedro.pipelines.llm_stage import Dropped, Failed
from omr_kedro.pipelines.summarise_cot.nodes import (
    SummaryOptions,
    ask_summarise_cot,
    choose_summary,
    list_summaries,
    read_summarise_cot,
    summary_of,
)
from omr_kedro.shards import Row, TableStore
from omr_kedro.solutions.summaries import MAX_TOKENS, answer_stated, read_summary
from omr_kedro.tables import DROPPED, SOLUTIONS
from tests.support.chat_server import completion
from tests.support.cot import SUMMARISE, Cot, CotModel, Said, boxed, chat_model
from tests.support.episodes import under_chance
from tests.support.tables import rows_made, shards_of

OPTIONS = SummaryOptions(longer_than=10, max_failed_share=1)
THOUGHTS = "First I tried small cases, then I saw a pattern."
Script = dict[str, list[Said]]


def solution(name: str, answer: str = "5", reasoning: str | None = THOUGHTS) -> Row:
    return dict.fromkeys(SOLUTIONS.names) | {
        "solution_id": name,
        "problem_id": f"problem of {name}",
        "thread_id": f"thread of {name}",
        "problem": "Find x.",
        "predicted_answer": answer,
        "reasoning": reasoning,
        "solution": f"{name} says so: \\boxed{{{answer}}}.",
    }


def summarised(tmp_path: Path, script: Script, **options: Any) -> tuple[Cot, CotModel]:
    """Summaries of a solution for each name of the script, which says what is drawn for it."""

    def summarise(text: str, number: int) -> Said:
        return next(said[number] for name, said in script.items() if f"\n\n{name} says so" in text)

    with CotModel(lambda *_: "", summarise=summarise) as model:
        given = {"solutions": shards_of([solution(name) for name in script])}
        cot = Cot(tmp_path, model.base_url, summarising=OPTIONS.model_copy(update=options), tables=given)
        return cot.summarise(), model


def shown(text: str) -> Completion:
    return Completion("k", "m", text, finish_reason="stop", completion_tokens=len(text) // 3)


def test_a_summary_that_ends_in_another_answer_is_refused_where_the_original_keeps_it() -> None:
    row, reply = solution("s", "5"), shown("By symmetry both are equal, so it is \\boxed{7}.")
    # The original recipe grades the solution's answer once more, in place of the summary's.
    original = read_summary(
        reply, lambda text: answer_stated(text, lambda _: row["predicted_answer"] == row["predicted_answer"])
    )
    ours = summary_of(row, reply)
    assert original.flaw is None
    assert (ours.flaw, ours.result) == ("other_answer", "7")


@pytest.mark.parametrize("answer", ["1/2", "0.5", "\\frac12", "x = 1/2"])
def test_a_summary_may_write_the_answer_otherwise(answer: str) -> None:
    assert summary_of(solution("s", "\\frac{1}{2}"), shown(f"So \\boxed{{{answer}}}.")).flaw is None


@pytest.mark.parametrize(
    ("reply", "flaw"),
    [
        (shown("So \\boxed{5}."), None),
        (Completion("k", "m", "So \\boxed{5}.", finish_reason="length"), "cut"),
        (Completion("k", "m", "<think>So \\boxed{5}.", finish_reason="length"), "cut"),
        (Completion("k", "m", "", error_kind="timeout"), "timeout"),
        (shown("So it is 5."), "no_answer"),
        (shown("So \\boxed{}."), "no_answer"),
        (shown("So \\boxed{5"), "no_answer"),
        (shown("So \\boxed{5} or \\boxed{7}."), "other_answer"),
        (shown("<think>It is \\boxed{5}.</think>So \\boxed{7}."), "other_answer"),
        (shown(""), "empty_reply"),
        (shown("<think>It is \\boxed{5}."), "unparsed_reply"),
    ],
)
def test_the_flaws_of_a_summary(reply: Completion, flaw: str | None) -> None:
    assert summary_of(solution("s"), reply).flaw == flaw


def test_a_summary_is_as_long_as_its_own_text_wherever_the_reasoning_before_it_stands() -> None:
    thoughts, text, many = "Let me see. " * 2000, "So \\boxed{5}.", 9000
    told: dict[str, Any] = {"finish_reason": "stop", "completion_tokens": many}
    assert many > MAX_TOKENS > estimate_reply_tokens(text)
    inside = Completion("k", "m", f"<think>{thoughts}</think>{text}", **told)
    beside = Completion("k", "m", text, reasoning=thoughts, **told)
    assert summary_of(solution("s"), inside).flaw is summary_of(solution("s"), beside).flaw is None
    assert summary_of(solution("s"), Completion("k", "m", text, **told)).flaw == "too_long"
    untold = Completion("k", "m", "so " * 9000 + text, finish_reason="stop")
    assert summary_of(solution("s"), untold).flaw == "too_long"


def test_one_more_is_drawn_than_it_takes_to_the_first_valid_one_and_four_at_most(tmp_path: Path) -> None:
    good, longer, other = "So \\boxed{5}.", "So it must be that \\boxed{5}.", "So \\boxed{7}."
    cot, model = summarised(
        tmp_path,
        {
            "a": [good, longer],
            "b": [longer, good],
            "c": [other, good, other],
            "d": [other, completion(longer, "length"), web.Response(status=400), good],
            "e": [other] * 4,
        },
    )
    assert len(model.calls) == 2 + 2 + 3 + 4 + 4
    assert {row["solution_id"]: (row["sample_index"], row["summary"]) for row in cot.rows("summaries")} == {
        "a": (1, longer),
        "b": (0, longer),
        "c": (1, good),
        "d": (3, good),
    }
    flaws = [(row["sample_index"], row["flaw"]) for row in cot.rows("candidates") if row["solution_id"] == "d"]
    assert flaws == [(0, "other_answer"), (1, "cut"), (2, "bad_request"), (3, None)]
    (left,) = cot.rows("unsummarised")
    assert (left["row_id"], left["outcome"], left["reason"]) == ("e", "failed", "no_valid_summary")
    assert left["detail"] == ", ".join(["other_answer"] * 4)


@pytest.mark.parametrize(
    "kills", [pytest.param(2, id="2"), pytest.param(100, id="100", marks=[pytest.mark.kills, pytest.mark.slow])]
)
def test_killed_at_any_moment_and_whatever_ends_first_the_same_summaries_are_drawn_and_none_is_paid_for_twice(
    tmp_path: Path, kills: int
) -> None:
    solutions = [solution(f"s{number}") for number in range(12)]

    def plan(base_url: str, folder: Path) -> CallPlan:
        del folder
        return ask_summarise_cot(shards_of(solutions), SUMMARISE, chat_model(base_url), OPTIONS)

    def reply(body: dict[str, Any]) -> str:
        number = crc32(f"{body['messages']} {body['seed']}".encode())
        return boxed("5" if number % 3 == 0 else "7")

    found = under_chance(plan, reply, tmp_path, kills=kills)
    assert 2 * len(solutions) < found.steps < 4 * len(solutions), "solutions have different numbers of summaries"
    assert found.kills >= kills
    assert found.different == 0
    assert found.again == []


@pytest.mark.parametrize(
    ("reasoning", "options"),
    [(None, OPTIONS), ("Short.", OPTIONS), (THOUGHTS, OPTIONS.model_copy(update={"enabled": False}))],
)
def test_a_short_solution_is_its_own_summary(reasoning: str | None, options: SummaryOptions) -> None:
    row = solution("s", reasoning=reasoning)
    plan = ask_summarise_cot(shards_of([row], 1), SUMMARISE, chat_model("http://127.0.0.1/v1"), options)
    assert [asked for shard in plan.fingerprints for asked in plan.asks(shard)] == []
    outcome = choose_summary(row, [], options)
    assert isinstance(outcome, Dropped)
    assert outcome.reason == "short_enough"


def test_a_solution_without_a_summary_has_failed_and_few_of_them_stop_nothing(tmp_path: Path) -> None:
    assert isinstance(choose_summary(solution("s"), [], OPTIONS), Failed)
    solutions = shards_of([solution(f"s{number}") for number in range(30)], 1)
    for share, stops in ((0.99, True), (1, False)):
        options = OPTIONS.model_copy(update={"max_failed_share": share})
        candidates = shards_of(rows_made(list_summaries(solutions, shards_of([], 1), options)), 1)
        _, rest = read_summarise_cot(solutions, candidates, options)
        store = TableStore(tmp_path / str(share), "jsonl", DROPPED)
        if stops:
            with pytest.raises(TooManyFailuresError, match="30 no_valid_summary"):
                store.save(rest)
        else:
            store.save(rest)
            assert store.shards().count == 30
