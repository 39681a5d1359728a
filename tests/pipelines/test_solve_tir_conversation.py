"""Conversations by token ids: replies that come in parts, blocks that are no code, and sandboxes that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from omr_kedro.llm.calls import (
    Ask,
    CallPlan,
    CodeRunner,
    Completion,
    Episode,
    EpisodeOptions,
    Prompt,
    Request,
    Sampling,
)
from omr_kedro.llm.calls.episode import CodeSession
from omr_kedro.llm.endpoint import Limits as EndpointLimits
from omr_kedro.llm.endpoint.replies import read_reply, read_token_ids
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.pipelines.settle_solutions.nodes import ConversationOptions
from omr_kedro.pipelines.solve_tir.conversation import Conversation, Limits, token_exact
from omr_kedro.pipelines.solve_tir.nodes import ToolOptions, draw, read_solve_tir, sample_of, samples_of
from omr_kedro.sandbox import SandboxRefusedError
from omr_kedro.shards import Row
from omr_kedro.solutions import StopRule
from omr_kedro.solutions.code_blocks import FENCED, TAGS, CodeTags
from tests.support.call_plans import table
from tests.support.chat_server import ChatServer
from tests.support.episodes import CountedSandbox, CountedSession, Outcome, under_chance
from tests.support.tables import as_shards, rows_made
from tests.support.typist import Typist

PROMPT = Prompt("solve_tir", user="Solve {{problem}} with at most {{executions}} runs.")
SCRIPT = [
    "Let me count.\n```python\nx = 1\nprint(x)\n```\n",
    "One. And twice that?\n```python\nprint(2 * x)\n```\n",
    "So the answer is \\boxed{2}.",
]
FIRST = Request("p", [{"role": "user", "content": "Count."}], Sampling(max_tokens=1000, seed=0), "prompt")


class Alone:
    """Steps that are answered at once, without an engine: those of one conversation."""

    def __init__(self, typist: Typist) -> None:
        self._typist = typist
        self.asked: list[Request] = []
        self.ran: list[str] = []

    async def ask(self, request: Request) -> Completion:
        self.asked.append(request)
        if request.tokenize is not None:
            answer = self._typist({"prompt": request.tokenize, "add_special_tokens": False})
            return read_token_ids(_body(answer), "key", "model", 0.0)
        prompt = {} if request.prompt_ids is None else {"prompt": list(request.prompt_ids)}
        body = {**prompt, "max_tokens": request.sampling.max_tokens, "stop": request.stop}
        return read_reply(_body(self._typist(body)), "key", "model", 0.0)

    def session(self, request: Request) -> CodeSession:
        return CodeSession(request, None)

    async def run(self, session: CodeSession, code: str) -> Completion:
        del session
        self.ran.append(code)
        return Completion("key", "python", text=f"{len(self.ran)}\n", finish_reason="completed")

    async def together(self, branches: Iterable[Any]) -> list[Any]:
        return [await branch for branch in branches]


def _body(response: Any) -> bytes:
    return bytes(response.body)


def alone(
    script: Sequence[str], context: int = 1_000_000, tags: CodeTags = FENCED, **limits: Any
) -> tuple[Conversation, Alone]:
    """The conversation with a model that types this script."""
    steps = Alone(Typist(script, context))
    budget = Limits(**{"tokens": 1000, "executions": 8, **limits})
    return asyncio.run(token_exact(steps, FIRST, tags, budget)), steps


def said(talk: Conversation) -> list[tuple[str, list[tuple[str, str]]]]:
    """What was said and run."""
    return [(turn.completion.text, [(run.code, run.output) for run in turn.runs]) for turn in talk.turns]


WHOLE, _ = alone(SCRIPT)


@given(st.integers(1, 60))
def test_a_conversation_is_the_same_however_many_tokens_a_call_may_have(tokens_per_call: int) -> None:
    talk, steps = alone(SCRIPT, tokens_per_call=tokens_per_call)
    assert said(talk) == said(WHOLE)
    assert (talk.ended, talk.executions) == (WHOLE.ended, WHOLE.executions)
    calls = [request for request in steps.asked if request.tokenize is None]
    assert talk.continued == len(calls) - len(SCRIPT)
    assert [request.turn for request in calls] == list(range(len(calls))), "each part has a seed of its own"
    assert max(request.sampling.max_tokens or 0 for request in calls) == tokens_per_call
    assert all(turn.completion.token_ids is None for turn in talk.turns), "nobody needs them, and they are large"


@pytest.mark.parametrize("tags", TAGS)
def test_code_is_found_between_whatever_tags_are_set(tags: str) -> None:
    chosen = TAGS[options(tags=tags).tags]
    # The server stops at the last character of the tag, and not at the end of its line.
    tail = "\n" if chosen.stop.endswith("\n") else ""
    script = [f"I compute.\n{chosen.begin}\nprint(1)\n{chosen.end}{tail}", "It is \\boxed{1}."]
    talk, steps = alone(script, tags=chosen)
    assert steps.ran == ["print(1)"]
    assert talk.ended == "stop"
    assert sample_of(0, talk, 0.02).answer == "1"


@pytest.mark.parametrize("setting", [ToolOptions, ConversationOptions])
def test_tags_that_are_not_set_are_those_of_the_default_and_never_none(
    setting: type[ToolOptions | ConversationOptions],
) -> None:
    assert TAGS[setting().tags].begin
    with pytest.raises(ValidationError):
        setting.model_validate({"tags": None})


@pytest.mark.parametrize("place", range(1, len(FENCED.stop)))
def test_an_end_of_code_that_stands_in_two_parts_is_found_and_what_is_behind_it_is_left_out(place: int) -> None:
    first = len(SCRIPT[0]) - len(FENCED.stop) + place
    talk, steps = alone(SCRIPT, tokens_per_call=first)
    assert said(talk) == said(WHOLE)
    assert talk.turns[0].parts == 2
    (shown, *_) = [request.tokenize for request in steps.asked if request.tokenize]
    assert shown == FENCED.stop[place:] + "\n```output\n1\n```\n", "with the end of the tag that the ids lack"
    assert talk.generated_tokens > len("".join(SCRIPT)), "what was generated behind it is paid for"


def test_a_reply_that_fills_the_context_is_truncated_and_not_asked_on() -> None:
    talk, steps = alone(SCRIPT, context=30, tokens_per_call=20)
    assert talk.ended == "truncated"
    assert [request.sampling.max_tokens for request in steps.asked] == [20, 20]
    assert talk.turns[0].completion.text == SCRIPT[0][:29]
    assert sample_of(0, talk, 0.02).no_vote == "truncated"


@given(st.integers(1, 200), st.integers(1, 40))
def test_parts_and_outputs_together_stay_within_the_budget(tokens: int, tokens_per_call: int) -> None:
    talk, steps = alone(SCRIPT, tokens=tokens, tokens_per_call=tokens_per_call)
    assert talk.generated_tokens <= tokens
    left = tokens
    for request in (request for request in steps.asked if request.tokenize is None):
        assert 1 <= (request.sampling.max_tokens or 0) <= min(tokens_per_call, left)
        left = tokens - (len(request.prompt_ids or "?") - 1)
    if talk.ended == "stop":
        assert said(talk) == said(WHOLE)
    else:
        assert talk.ended == "truncated"
        assert "".join(text for text, _ in said(WHOLE)).startswith("".join(text for text, _ in said(talk)))


NO_CODE = "In words:\n```\nn = 1\n```\nor as a table\n```text\n1 | 2\n```\nso I compute.\n"


@given(st.integers(1, 90))
def test_blocks_that_are_no_code_end_no_reply(tokens_per_call: int) -> None:
    script = [NO_CODE + SCRIPT[0], *SCRIPT[1:]]
    talk, _ = alone(script, tokens_per_call=tokens_per_call)
    assert said(talk) == [(NO_CODE + SCRIPT[0], said(WHOLE)[0][1]), *said(WHOLE)[1:]]
    assert talk.ended == "stop"


def test_a_model_that_writes_such_blocks_for_ever_is_not_asked_for_ever() -> None:
    talk, steps = alone(["```\n" * 2000], tokens=10_000)
    assert len(steps.asked) < 100
    assert sample_of(0, talk, 0.02).answer is None


@pytest.mark.parametrize("token", ["<|im_end|>", "</s>", "<|eot_id|>", "<\uff5cend of sentence\uff5c>"])
def test_the_token_that_ends_a_reply_is_no_text_of_it(token: str) -> None:
    talk, _ = alone([*SCRIPT[:-1], SCRIPT[-1] + token])
    assert said(talk) == said(WHOLE)


def options(**given: Any) -> ToolOptions:
    return ToolOptions(**{"stop_rule": StopRule(fixed=2), "max_tokens": 1000, "max_failed_share": 1.0, **given})


def problem_rows(count: int) -> list[Row]:
    return [
        {"problem_id": f"p{number}", "thread_id": "t", "problem": f"problem {number}", "expected_answer": None}
        for number in range(count)
    ]


def plan(base_url: str, sandbox: CodeRunner, given: ToolOptions, count: int = 2) -> CallPlan:
    def asks(shard: str) -> Iterator[Ask]:
        del shard
        for row in problem_rows(count):
            yield Episode(row["problem_id"], partial(draw, row=row, prompt=PROMPT, options=given), PROMPT.hash)

    return CallPlan(
        name="solve_tir",
        model=ChatModel(ModelEntry("m", base_url, limits=EndpointLimits(max_in_flight=4))),
        asks=asks,
        expected={"a": 10},
        fingerprints={"a": "as it is"},
        episodes=EpisodeOptions(sandbox),
        max_failed_share=1.0,
    )


def test_killed_in_the_middle_of_a_long_reply_it_goes_on_from_the_last_part(tmp_path: Path) -> None:
    wanted = options(tokens_per_call=8)
    numbered = partial(CountedSandbox, answer=lambda pieces: f"{len(pieces)}\n")
    found = under_chance(lambda url, folder: plan(url, numbered(folder), wanted), Typist(SCRIPT), tmp_path, kills=6)
    parts = -(-len("".join(SCRIPT)) // 8)
    assert found.steps >= 4 * parts, "each sample of each problem, in so many parts"
    assert found.different == 0
    assert found.again == [], "no part that was journalled is generated again, and no code run again"


class FailingSandbox(CountedSandbox):
    """Sessions that die before their second piece of code has an outcome, as often as it is told."""

    def __init__(self, folder: Path, deaths: int) -> None:
        super().__init__(folder, answer=lambda pieces: f"{len(pieces)}\n")
        self.deaths = deaths

    def session(self, key: str, earlier: Sequence[tuple[str, Any]] = ()) -> Any:
        return Mortal(self, key, [code for code, _ in earlier])


class Mortal(CountedSession):
    """A session of it."""

    def __init__(self, sandbox: FailingSandbox, key: str, pieces: list[str]) -> None:
        super().__init__(sandbox, key, pieces)
        sandbox.open += 1
        self._mortal, self._past = sandbox, pieces

    async def run(self, code: str) -> Outcome:
        if not self._past or self._mortal.deaths <= 0:
            return await super().run(code)
        self._mortal.deaths -= 1
        return Outcome("unavailable", "", "The session was not there after 60 seconds.\n", settled=False)


def drawn(folder: Path, sandbox: CodeRunner, given: ToolOptions) -> list[list[tuple[str | None, Conversation | None]]]:
    """Answer, or why there is none, and conversation of each sample of each problem."""
    with ChatServer(Typist(SCRIPT)) as server:
        table(folder).save(plan(server.base_url, sandbox, given))
    rows = list(table(folder).shards().rows())
    found = [
        samples_of(problem, [row for row in rows if row["row_id"] == problem["problem_id"]], PROMPT, given)
        for problem in problem_rows(2)
    ]
    return [[(sample.answer or sample.no_vote, talk) for sample, talk in samples] for samples in found]


def test_a_sample_whose_session_dies_goes_on_in_another_one_with_the_same_past(tmp_path: Path) -> None:
    sandbox = FailingSandbox(tmp_path, deaths=2)
    first, *others = drawn(tmp_path, sandbox, options(stop_rule=StopRule(fixed=1)))
    assert [answer for answer, _ in (*first, *others[0])] == ["2", "2"]
    assert said(first[0][1] or Conversation()) == said(WHOLE), "its outputs are those of one session"
    assert sandbox.deaths == 0
    assert sandbox.open == 0


def test_samples_that_no_sandbox_runs_end_with_the_reason_and_are_tried_again_by_the_next_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    wanted, problems = options(), as_shards({"a": problem_rows(2)})
    assert drawn(tmp_path, FailingSandbox(tmp_path, deaths=99), wanted) == 2 * [2 * [("sandbox_unavailable", None)]]
    assert "sandbox_unavailable" in caplog.text, "the run's end tells of it"
    samples, left = read_solve_tir(problems, table(tmp_path).shards(), PROMPT, wanted)
    assert rows_made(samples) == []
    assert [(row["outcome"], row["reason"]) for row in rows_made(left)] == 2 * [("failed", "sandbox_unavailable")]

    first, second = drawn(tmp_path, FailingSandbox(tmp_path, deaths=0), wanted)
    assert [answer for answer, _ in first + second] == ["2"] * 4


class Refused:
    """A sandbox that does not start on this machine."""

    identity = "refused"

    def session(self, key: str, earlier: Sequence[tuple[str, Any]] = ()) -> Refused:
        del key, earlier
        return self

    async def run(self, code: str) -> Outcome:
        raise SandboxRefusedError(f"no isolation for {len(code)} characters")

    async def close(self) -> None:
        pass


def test_a_sandbox_that_is_refused_ends_the_run_and_costs_no_reply(tmp_path: Path) -> None:
    wanted = options(stop_rule=StopRule(fixed=1))
    with ChatServer(Typist(SCRIPT)) as server:
        with pytest.raises(SandboxRefusedError, match="no isolation"):
            table(tmp_path).save(plan(server.base_url, Refused(), wanted))
        paid = set(server.keys)
        table(tmp_path).save(plan(server.base_url, CountedSandbox(tmp_path), wanted))
    assert paid
    assert not paid & set(server.keys[len(paid) :]), "what was journalled is not asked again"
