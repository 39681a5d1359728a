from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from omr_kedro.llm.calls import Ask, CallPlan, Episode, EpisodeOptions, Prompt
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.pipelines.solve_tir.conversation import Conversation
from omr_kedro.pipelines.solve_tir.nodes import (
    ExecutionOptions,
    ToolOptions,
    draw,
    executions_of,
    list_tir_turns,
    read_solve_tir,
    sample_of,
    samples_of,
)
from omr_kedro.shards import Row
from omr_kedro.solutions import StopRule
from tests.support.call_plans import table
from tests.support.chat_server import ChatServer, completion
from tests.support.episodes import CountedSandbox, under_chance
from tests.support.tables import as_shards, made

PROMPT = Prompt("solve_tir", user="Solve {{problem}} with at most {{executions}} runs.")
TURNS = pytest.mark.parametrize("conversation", ["token_exact", "chat_tools"])


def options(conversation: str, **given: Any) -> ToolOptions:
    rule = StopRule(rounds=(2, 4), correct=2, confidence=0.6)
    return ToolOptions(**{"conversation": conversation, "stop_rule": rule, "max_tokens": 1000, **given})


def plan(base_url: str, folder: Path, given: ToolOptions, problems: int = 3) -> CallPlan:
    def asks(shard: str) -> Iterator[Ask]:
        for row in rows_of(shard, problems):
            yield Episode(row["problem_id"], partial(draw, row=row, prompt=PROMPT, options=given), PROMPT.hash)

    return CallPlan(
        name="solve_tir",
        model=ChatModel(ModelEntry("m", base_url, limits=Limits(max_in_flight=8))),
        asks=asks,
        expected={"a": 10, "b": 10},
        fingerprints={"a": "as it is", "b": "as it is"},
        episodes=EpisodeOptions(CountedSandbox(folder, answer=lambda pieces: f"{len(pieces)}\n")),
        max_failed_share=1.0,
    )


def rows_of(shard: str, count: int = 3) -> list[Row]:
    return [
        {"problem_id": f"{shard}{number}", "problem": f"problem {shard}{number}", "expected_answer": None}
        for number in range(count)
    ]


def by_chance(body: dict[str, Any]) -> int:
    return blake2b(orjson.dumps(body, option=orjson.OPT_SORT_KEYS), digest_size=4).digest()[0]


def solver(body: dict[str, Any]) -> web.Response:
    """A model that writes code two times in three, in the way that it is asked in."""
    if "add_special_tokens" in body:
        return web.json_response({"tokens": list(body["prompt"].encode())})
    number = by_chance(body)
    if "tools" in body:
        return tool_caller(body, number)
    text = (
        f"The answer is \\boxed{{{number % 2}}}." if number % 3 == 0 else f"I compute.\n```python\nx = {number}\n```\n"
    )
    code = text.endswith("```\n")
    reply = {"finish_reason": "stop", "stop_reason": "```\n" if code else None, "token_ids": list(text.encode())}
    usage = {"prompt_tokens": 10, "completion_tokens": len(text)}
    if "prompt" in body:
        return web.json_response({"choices": [{"text": text, **reply}], "usage": usage})
    choice = {"message": {"role": "assistant", "content": text}, **reply}
    return web.json_response({"choices": [choice], "usage": usage, "prompt_token_ids": [1, 2, 3]})


def tool_caller(body: dict[str, Any], number: int) -> web.Response:
    if number % 3 == 0 or body["tool_choice"] == "none":
        return completion(f"The answer is \\boxed{{{number % 2}}}.")
    arguments = ['{"code": "x = 1"}', '{"code": "y = 2"}', "no JSON"][: 1 + number % 3]
    calls = [
        {"id": f"server-{n}", "type": "function", "function": {"name": "python", "arguments": text}}
        for n, text in enumerate(arguments)
    ]
    return completion(None, "tool_calls", tool_calls=calls, reasoning="I compute.")


def played(folder: Path, given: ToolOptions, problem: Row) -> dict[int, Conversation]:
    found = [row for row in table(folder).shards().rows() if row["row_id"] == problem["problem_id"]]
    return {sample.index: talk for sample, talk in samples_of(problem, found, PROMPT, given) if talk}


@TURNS
@pytest.mark.parametrize(
    "kills", [pytest.param(6, id="6"), pytest.param(200, id="200", marks=[pytest.mark.kills, pytest.mark.slow])]
)
def test_killed_at_any_step_no_call_and_no_code_that_was_journalled_is_made_again(
    tmp_path: Path, conversation: str, kills: int
) -> None:
    given = options(conversation)
    found = under_chance(lambda url, folder: plan(url, folder, given), solver, tmp_path, kills=kills)
    assert found.steps > 30
    assert found.different == 0
    assert found.again == []


def test_the_ids_that_are_sent_are_those_that_were_received(tmp_path: Path) -> None:
    given = options("token_exact", stop_rule=StopRule(fixed=4))
    with ChatServer(solver) as server:
        table(tmp_path).save(plan(server.base_url, tmp_path, given))
    prompts = [call.body["prompt"] for call in server.calls if isinstance(call.body.get("prompt"), list)]
    assert prompts
    for prompt in prompts:
        assert prompt[:3] == [1, 2, 3], "what the server made of the messages"
        said = bytes(prompt[3:]).decode()
        assert said.startswith("I compute.\n```python\nx = ")
        assert said.endswith("\n```\n")
        assert said.count("```output\n") == said.count("```python\n")


@TURNS
def test_the_conversation_of_each_sample_is_read_from_its_rows(tmp_path: Path, conversation: str) -> None:
    given = options(conversation, stop_rule=StopRule(fixed=4))
    with ChatServer(solver) as server:
        table(tmp_path).save(plan(server.base_url, tmp_path, given))
    for problem in rows_of("a"):
        talks = played(tmp_path, given, problem)
        assert list(talks) == [0, 1, 2, 3]
        for index, talk in talks.items():
            assert all(run.status for run in talk.runs)
            assert (sample_of(index, talk, 0.02).answer is None) == (talk.ended != "stop")


@TURNS
def test_no_more_code_is_run_than_a_sample_may(tmp_path: Path, conversation: str) -> None:
    given = options(conversation, executions=ExecutionOptions(most=2), stop_rule=StopRule(fixed=4))

    def always(body: dict[str, Any]) -> web.Response:
        if "tools" in body:
            return tool_caller(body, 1)
        code = "go on\n```python\nx = 1\n```\n"
        if "add_special_tokens" in body:
            return solver(body)
        reply = {"finish_reason": "stop", "stop_reason": "```\n", "token_ids": list(code.encode())}
        if "prompt" in body:
            return web.json_response({"choices": [{"text": code, **reply}]})
        return web.json_response({"choices": [{"message": {"content": code}, **reply}], "prompt_token_ids": [1]})

    with ChatServer(always) as server:
        table(tmp_path).save(plan(server.base_url, tmp_path, given, problems=1))
    (problem,) = rows_of("a", 1)
    for index, talk in played(tmp_path, given, problem).items():
        assert talk.executions == 2
        sample = sample_of(index, talk, 0.02)
        if conversation == "token_exact":
            assert sample.no_vote == "execution_limit"
        else:
            assert sample.answer is not None, "asked once more without tools, it answers"


def test_every_call_of_a_turn_has_an_answer_in_its_order(tmp_path: Path) -> None:
    given = options("chat_tools", executions=ExecutionOptions(most=2), stop_rule=StopRule(fixed=1))
    with ChatServer(lambda body: tool_caller(body, 2)) as server:
        table(tmp_path).save(plan(server.base_url, tmp_path, given, problems=1))
    last = next(call.body for call in server.calls if len(call.body["messages"]) > 1)
    assistant, *tools = last["messages"][1:]
    assert assistant["reasoning_content"] == "I compute."
    assert [call["id"] for call in assistant["tool_calls"]] == ["call_0", "call_1", "call_2"]
    assert [(message["role"], message["tool_call_id"]) for message in tools] == [
        ("tool", f"call_{n}") for n in range(3)
    ]
    assert [message["content"] for message in tools][:2] == ["1\n", "2\n"]
    assert tools[2]["content"].startswith("Not run")
    assert last["tool_choice"] == "none", "both executions are used up"


def test_output_counts_against_the_budget_of_tokens(tmp_path: Path) -> None:
    given = options("token_exact", max_tokens=60, stop_rule=StopRule(fixed=2))
    with ChatServer(solver) as server:
        table(tmp_path).save(plan(server.base_url, tmp_path, given))
    asked = [call.body["max_tokens"] for call in server.calls if "max_tokens" in call.body]
    assert max(asked) == 60
    assert min(asked) < 20
    talks = [talk for problem in rows_of("a") for talk in played(tmp_path, given, problem).values()]
    assert any(talk.ended == "truncated" for talk in talks)
    assert all(talk.output_tokens for talk in talks if talk.runs)


def test_a_number_of_executions_is_drawn_for_each_sample_and_always_the_same() -> None:
    given = ExecutionOptions(most=8, drawn=True)
    drawn = [executions_of(f"p{problem}", sample, given) for problem in range(50) for sample in range(4)]
    assert set(drawn) == set(range(1, 9))
    assert drawn == [executions_of(f"p{problem}", sample, given) for problem in range(50) for sample in range(4)]
    assert executions_of("p", 0, ExecutionOptions(most=5)) == 5


@TURNS
def test_a_sample_and_its_turns_have_one_solution_id(tmp_path: Path, conversation: str) -> None:
    given = options(conversation, stop_rule=StopRule(fixed=4))
    with ChatServer(solver) as server:
        table(tmp_path).save(plan(server.base_url, tmp_path, given))
    calls = table(tmp_path).shards()
    problems = as_shards({shard: [{"thread_id": "t", **row} for row in rows_of(shard)] for shard in calls})
    samples, _ = read_solve_tir(problems, calls, PROMPT, given)
    turns = made(list_tir_turns(problems, calls, PROMPT, given))
    assert any(row["kind"] == "code" for row in turns.rows())
    assert {row["solution_id"] for row in turns.rows()} == {row["solution_id"] for row in made(samples).rows()}
