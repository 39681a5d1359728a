"""A real model computes: the same easy problems in both formats of conversations, through a real sandbox.

A relay between the pipeline and vLLM sees each call as it is sent. It tells that a later turn sends exactly the token
ids that were received, and that the server finds them in its cache. Printed is what came of the samples, beside those
of chains of thought of the same model; the model is small, so figures of another one differ.
"""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from tokenizers import Tokenizer

from omr_kedro import tables
from omr_kedro.llm.calls import Completion, Request
from omr_kedro.llm.calls.recorded import RecordedSteps, played
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.llm.serving import ServerSpec
from omr_kedro.llm.serving.server import LocalServer
from omr_kedro.pipelines.sampling import SamplingOptions
from omr_kedro.pipelines.solve_cot.nodes import ask_solve_cot, read_solve_cot
from omr_kedro.pipelines.solve_tir.conversation import Conversation
from omr_kedro.pipelines.solve_tir.nodes import (
    ToolOptions,
    ask_solve_tir,
    converse,
    list_tir_turns,
    read_solve_tir,
    samples_of,
)
from omr_kedro.sandbox import Sandbox
from omr_kedro.shards import Row, Shards
from omr_kedro.shards.printable import printable_line
from omr_kedro.solutions import Sample
from omr_kedro.solutions.conversations import as_messages
from omr_kedro.solutions.fragments import Piece
from tests.sandbox.support import skip_without_isolation
from tests.support.tables import shards_of
from tests.vllm.easy_problems import CONF, counted, is_right, problem_rows, prompt, saved, show
from tests.vllm.real_server import REAL, installed, server
from tests.vllm.relay import Passed, Relay

pytestmark = pytest.mark.skipif(
    not installed(REAL), reason="needs a vLLM and a real model: make test-real-model installs them (6 GB)"
)

MAX_TOKENS = 768
"""Of a sample."""
A_PART = 256
"""Tokens of a call at most: longer replies come in parts."""
BLOCK = 128
"""Tokens of a block of vLLM's cache on a CPU."""
PARSER = Path(__file__).with_name("tool_parser.py")
PROMPTS = {"token_exact": "solve_tir", "chat_tools": "solve_tir_tools"}


@dataclass(frozen=True)
class Served:
    """The running server."""

    url: str
    key: str

    def cache(self) -> dict[str, float]:
        """Prompt tokens that its cache was asked for, and those that it had (`queries`, `hits`)."""
        metrics = urllib.request.urlopen(self.url.removesuffix("/v1") + "/metrics").read().decode()
        found = re.findall(r"^vllm:prefix_cache_(queries|hits)_total\{.*\} (\S+)$", metrics, re.M)
        return {name: float(number) for name, number in found}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    tools = {"enable-auto-tool-choice": True, "tool-parser-plugin": str(PARSER), "tool-call-parser": "fenced_json"}
    small = {
        "enable-prompt-tokens-details": True,
        "max-model-len": 4096,
        "max-num-batched-tokens": 4096,
        "block-size": BLOCK,
    }
    spec = server(tmp_path_factory.mktemp("server"), **small, **tools)
    spec["command"] = tuple(spec["command"])
    running = LocalServer(ServerSpec(**spec), str(REAL))
    try:
        asyncio.run(running.start())
        yield Served(running.base_url, running.api_key)
    finally:
        running.stop()


def options(name: str, **more: Any) -> dict[str, Any]:
    """The settings of the base environment, smaller: one sample of each problem."""
    settings = yaml.safe_load((CONF / "parameters.yml").read_text("utf-8"))[name]
    return {**settings, "max_tokens": MAX_TOKENS, "stop_rule": {"fixed": 1}, "max_failed_share": 1.0, **more}


def model_at(relay: Relay) -> ChatModel:
    return ChatModel(ModelEntry(str(REAL), relay.base_url, limits=Limits(max_in_flight=24, timeout_s=3600)))


@dataclass(frozen=True)
class Drawn:
    """Samples with code of all problems."""

    options: ToolOptions
    problems: Shards
    completions: Shards
    samples: Shards
    unsolved: Shards
    turns: Shards
    passed: dict[str, Passed]
    """Calls by their keys."""

    @property
    def rows(self) -> dict[str, list[Row]]:
        """Rows of the completions table, by problem."""
        found: dict[str, list[Row]] = {}
        for row in self.completions.rows():
            found.setdefault(row["row_id"], []).append(row)
        return found

    def talks(self) -> Iterator[tuple[Row, Sample, Conversation | None]]:
        """Each problem with its sample and conversation."""
        asked = prompt(PROMPTS[self.options.conversation])
        for problem in self.problems.rows():
            for sample, talk in samples_of(problem, self.rows[problem["problem_id"]], asked, self.options):
                yield problem, sample, talk


def draw(folder: Path, at: Served, conversation: str) -> Drawn:
    """Draw a sample of each problem."""
    problems, asked = shards_of(problem_rows(), 1), prompt(PROMPTS[conversation])
    given = ToolOptions.model_validate(options("solve_tir", conversation=conversation, tokens_per_call=A_PART))
    with Relay(at.url, at.key) as relay, Sandbox() as sandbox:
        plan = ask_solve_tir(problems, asked, model_at(relay), sandbox, given)
        completions = saved(folder / "completions", tables.COMPLETIONS, plan)
        print(f"\n{sandbox.metrics.usage}")
    read, left = read_solve_tir(problems, completions, asked, given)
    turns = list_tir_turns(problems, completions, asked, given)
    return Drawn(
        given,
        problems,
        completions,
        saved(folder / "samples", tables.TIR_SAMPLES, read),
        saved(folder / "unsolved", tables.DROPPED, left),
        saved(folder / "turns", tables.TIR_TURNS, turns),
        {call.key: call for call in relay.passed},
    )


class _Noted(RecordedSteps):
    """Notes what an episode asks, while it is played on its rows."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__(rows)
        self.asked: list[tuple[Request, Completion]] = []

    async def ask(self, request: Request) -> Completion:
        completion = await super().ask(request)
        self.asked.append((request, completion))
        return completion


def calls_of(drawn: Drawn, problem: Row) -> list[Passed]:
    """The calls of one sample in their order, as they were passed on; those for token ids of outputs are left out."""
    steps = _Noted(drawn.rows[problem["problem_id"]])
    played(converse(steps, problem, prompt(PROMPTS[drawn.options.conversation]), drawn.options, 0))
    return [drawn.passed[reply.call_key] for request, reply in steps.asked if request.tokenize is None]


def test_token_ids_are_sent_as_they_were_received_and_are_found_in_the_cache(tmp_path: Path, served: Served) -> None:
    skip_without_isolation()
    before = served.cache()
    drawn = draw(tmp_path, served, "token_exact")
    after = served.cache()
    words = Tokenizer.from_file(str(REAL / "tokenizer.json"))

    follow_ups, missed, late = 0, 0, 0
    for problem in drawn.problems.rows():
        for earlier, later in pairwise(calls_of(drawn, problem)):
            prompt_ids = earlier.body.get("prompt") or earlier.reply["prompt_token_ids"]
            known = [*prompt_ids, *earlier.reply["choices"][0]["token_ids"]]
            sent = later.body["prompt"]
            assert sent[: len(known)] == known, "the prefix is never made anew"
            assert later.prompt_tokens == len(sent), "the server takes the ids as they are"
            told = words.decode(sent[len(known) :], skip_special_tokens=False)
            assert not told or "```output\n" in told, printable_line(told, 100)
            # The last token of a reply is not computed when the reply ends, and only whole blocks are kept.
            kept = (len(known) - 1) // BLOCK * BLOCK
            follow_ups += 1
            late += later.cached_tokens < kept
            missed += max(0, kept - later.cached_tokens)
    asked = sum(call.prompt_tokens for call in drawn.passed.values())
    found = sum(call.cached_tokens for call in drawn.passed.values())
    show("token_exact", figures(drawn).items())
    show(
        "cache",
        {
            "follow-up calls": f"{follow_ups}, {late} of them with less than all whole blocks ({missed} tokens)",
            "told with replies": f"{found:,} of {asked:,} prompt tokens ({found / asked:.1%})",
            "server's metrics": f"{after['hits'] - before['hits']:,.0f} of {after['queries'] - before['queries']:,.0f}",
        }.items(),
    )
    show("odd", oddities(drawn))
    assert follow_ups >= 20
    assert late == 0
    assert after["hits"] - before["hits"] == found
    assert_all_accounted_for(drawn)


def test_a_conversation_by_tools_sends_back_what_was_said_and_every_call_has_its_output(
    tmp_path: Path, served: Served
) -> None:
    skip_without_isolation()
    before = served.cache()
    drawn = draw(tmp_path, served, "chat_tools")
    after = served.cache()

    follow_ups, kept, cached = 0, 0, 0
    for problem in drawn.problems.rows():
        for earlier, later in pairwise(calls_of(drawn, problem)):
            before_it, *said = later.body["messages"][len(earlier.body["messages"]) - 1 :]
            assert before_it == earlier.body["messages"][-1], "nothing that was said is changed"
            assistant, *outputs = said
            reply = earlier.reply["choices"][0]["message"]
            assert functions(assistant) == functions(reply)
            assert [call["id"] for call in assistant["tool_calls"]] == [each["tool_call_id"] for each in outputs]
            assert (assistant["content"] or "") == (reply["content"] or "")
            follow_ups += 1
            kept += earlier.prompt_tokens // BLOCK * BLOCK
            cached += later.cached_tokens
    show("chat_tools", figures(drawn).items())
    show(
        "cache",
        {
            "follow-up calls": str(follow_ups),
            "of earlier prompts": f"{cached:,} of {kept:,} tokens in whole blocks",
            "server's metrics": f"{after['hits'] - before['hits']:,.0f} of {after['queries'] - before['queries']:,.0f}",
        }.items(),
    )
    show("odd", oddities(drawn))
    assert follow_ups >= 5
    assert cached >= kept
    assert_all_accounted_for(drawn)


def functions(message: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and arguments of each call in a message."""
    return [(call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]]


def test_the_same_problems_without_code(tmp_path: Path, served: Served) -> None:
    problems, asked = shards_of(problem_rows(), 1), prompt("solve_cot")
    given = SamplingOptions.model_validate(options("solve_cot"))
    with Relay(served.url, served.key) as relay:
        calls = ask_solve_cot(problems, asked, model_at(relay), given)
        completions = saved(tmp_path / "completions", tables.COMPLETIONS, calls)
    read, _ = read_solve_cot(problems, completions, given)
    samples = [*saved(tmp_path / "samples", tables.SAMPLES, read).rows()]
    named = {row["problem_id"]: row["problem"] for row in problems.rows()}
    right = sum(is_right(named[row["problem_id"]], row["predicted_answer"]) for row in samples)
    show(
        "without code",
        {
            "samples": str(len(samples)),
            "right samples": f"{right} ({right / len(samples):.0%})",
            "tokens": f"{sum(row['completion_tokens'] for row in samples):,}",
            "without a vote": counted(row["no_vote"] for row in samples if row["no_vote"]),
        }.items(),
    )
    assert len(samples) == problems.count


def assert_all_accounted_for(drawn: Drawn) -> None:
    """Each problem has its sample, whose conversation is valid as messages and holds all of its turns."""
    assert not drawn.unsolved.count
    assert drawn.samples.count == drawn.problems.count >= 20
    turns: dict[str, list[Row]] = {}
    for row in drawn.turns.rows():
        turns.setdefault(row["solution_id"], []).append(row)
    for sample in drawn.samples.rows():
        pieces = [Piece(row["turn"], row["kind"], row["text"], row["status"]) for row in turns[sample["solution_id"]]]
        messages = as_messages("problem", pieces)
        calls = [call["id"] for message in messages for call in message.get("tool_calls", [])]
        assert [message["tool_call_id"] for message in messages if message["role"] == "tool"] == calls
        assert sample["executions"] == sum(piece.kind == "output" and piece.status != "not_run" for piece in pieces)


def figures(drawn: Drawn) -> dict[str, str]:
    """The figures of a draw, by their names."""
    samples, talks = [*drawn.samples.rows()], [*drawn.talks()]
    named = {row["problem_id"]: row["problem"] for row in drawn.problems.rows()}
    right = sum(is_right(named[row["problem_id"]], row["predicted_answer"]) for row in samples)
    with_code = [sample for sample in samples if sample["executions"]]
    right_with = sum(is_right(named[row["problem_id"]], row["predicted_answer"]) for row in with_code)
    return {
        "samples": str(len(samples)),
        "right samples": f"{right} ({right / len(samples):.0%})",
        "with code": f"{len(with_code)}, {right_with} of them right",
        "tokens": f"{sum(row['completion_tokens'] for row in samples):,}",
        "of output": f"{sum(row['output_tokens'] for row in samples):,}",
        "pieces of code": counted(run.status for _, _, talk in talks if talk for run in talk.runs),
        "of each sample": counted(str(row["executions"]) for row in samples),
        "void turns": str(sum(row["void_turns"] for row in samples)),
        "continued": str(sum(row["continued"] for row in samples)),
        "ended": counted(talk.ended for _, _, talk in talks if talk),
        "without a vote": counted(row["no_vote"] for row in samples if row["no_vote"]),
    }


def oddities(drawn: Drawn) -> Iterator[tuple[str, str]]:
    """Ends of the conversations that have no vote, and of those with code that ends in an error."""
    for problem, sample, talk in drawn.talks():
        if talk and sample.no_vote:
            yield sample.no_vote, printable_line(f"…{talk.turns[-1].completion.text[-300:]}", 320)
        elif not is_right(problem["problem"], sample.answer):
            yield "wrong", printable_line(f"{sample.answer} for {problem['problem']}", 150)
        for run in talk.runs if talk else ():
            if run.status == "error":
                yield run.status, printable_line(run.output[-150:], 170)
