"""Samples with code, from replies to solutions and rejected samples, and the answer that they are held to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from omr_kedro import tables
from omr_kedro.llm.calls import Prompt
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.pipelines.settle_solutions.nodes import (
    ConversationOptions,
    decide_tir_reference_answers,
    settle_tir,
)
from omr_kedro.pipelines.solve_tir.nodes import (
    ToolOptions,
    ask_solve_tir,
    count_tir_votes,
    list_tir_turns,
    read_solve_tir,
    take_reference_answers,
)
from omr_kedro.shards import Row, Shards
from omr_kedro.solutions import StopRule
from tests.support.call_plans import table
from tests.support.chat_server import ChatServer
from tests.support.episodes import CountedSandbox, CountedSession, Outcome
from tests.support.tables import as_shards, made
from tests.support.typist import PROMPT, Typist

CODE = "```python\nprint(1 + 1)\n```\n"
SCRIPTS = [
    [f"0 I compute.\n{CODE}", "So it is \\boxed{2}."],
    [f"1 I compute.\n{CODE}", f"Once more.\n{CODE}", "So it is \\boxed{3}."],
    [f"2 I compute.\n{CODE}", "So it is \\boxed{2}."],
    [f"3 I compute.\n{CODE}", "So it is two."],
    [f"4 I compute.\n{CODE}"] + 3 * [f"Once more.\n{CODE}"],
    [f"5 I compute.\n{CODE}", "So it is \\boxed{2}."],
]
"""The replies of each sample, which begin with its number; for sample 2 there is no sandbox."""
WITHOUT_SANDBOX = 2
OPTIONS = ToolOptions.model_validate(
    {"stop_rule": StopRule(fixed=len(SCRIPTS)), "executions": {"most": 2}, "max_tokens": 1000, "max_failed_share": 1.0}
)
ASKED = Prompt("solve_tir", user="Solve {{problem}} with at most {{executions}} runs.")


def model(body: dict[str, Any]) -> web.Response:
    """Types the script of the sample that asks."""
    number = 0
    if "messages" in body:
        number = body["seed"]
    elif "add_special_tokens" not in body:
        number = int(chr(body["prompt"][len(PROMPT)]))
    return Typist(SCRIPTS[number])(body)


class PartlyThere(CountedSandbox):
    """A sandbox that one sample finds dead."""

    def session(self, key: str, earlier: Sequence[tuple[str, Any]] = ()) -> CountedSession:
        session = super().session(key, earlier)
        if key.endswith(f"/{WITHOUT_SANDBOX}"):
            session.run = _unavailable  # type: ignore[method-assign]
        return session


async def _unavailable(code: str) -> Outcome:
    return Outcome("unavailable", "", f"no sandbox for {len(code)} characters", settled=False)


def problem(answer: str | None) -> Row:
    empty = dict.fromkeys(tables.PROBLEMS.names)
    return {**empty, "problem_id": "p", "thread_id": "t", "problem": "What is 1 + 1?", "expected_answer": answer}


def reference(answer: str | None, source: str = "majority") -> Row:
    """What chains of thought have decided."""
    empty = dict.fromkeys(tables.REFERENCE_ANSWERS.names)
    return {**empty, "problem_id": "p", "thread_id": "t", "expected_answer": answer, "answer_source": source}


def one(*rows: Row) -> Shards:
    return as_shards({"a": rows})


class Way:
    """All tables on the way of one problem."""

    def __init__(self, folder: Path, answer: str | None, decided: Row) -> None:
        self.references = one(decided)
        self.problems = made(take_reference_answers(one(problem(answer)), self.references))
        sandbox = PartlyThere(folder, answer=lambda pieces: f"{len(pieces)}\n```\n")
        with ChatServer(model) as server:
            entry = ModelEntry("m", server.base_url, limits=Limits(max_in_flight=8))
            table(folder).save(ask_solve_tir(self.problems, ASKED, ChatModel(entry), sandbox, OPTIONS))
        calls = table(folder).shards()
        samples, self.left = map(made, read_solve_tir(self.problems, calls, ASKED, OPTIONS))
        self.turns = made(list_tir_turns(self.problems, calls, ASKED, OPTIONS))
        self.votes = made(count_tir_votes(self.problems, samples, OPTIONS))
        self.answers = one(*self.judged("2"))
        self.decided = made(decide_tir_reference_answers(self.votes, self.answers, self.references, OPTIONS))
        given = (samples, self.votes, self.answers, self.decided, self.problems, self.turns)
        solutions, rejected = settle_tir(*given, ConversationOptions(), OPTIONS)
        self.solutions = {row["sample_index"]: row for row in made(solutions).rows()}
        self.rejected = {row["sample_index"]: row for row in made(rejected).rows()}

    def judged(self, right: str) -> list[Row]:
        """The verdict on each class of answers."""
        (votes,) = self.votes.rows()
        return [
            {
                "problem_id": "p",
                "answer_class": number,
                "reference_answer": votes["extracted_answer"],
                "votes": each["votes"],
                "verdict": "correct" if each["answer"] == right else "incorrect",
                "decided_by": "equal_text",
                "judge_model": None,
            }
            for number, each in enumerate(votes["classes"])
        ]


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Way:
    return Way(tmp_path_factory.mktemp("way"), "5", reference("2", "replaced_by_majority"))


def test_samples_are_held_to_the_answer_that_chains_of_thought_have_decided(way: Way) -> None:
    assert [row["expected_answer"] for row in way.problems.rows()] == ["2"]
    (decided,) = way.decided.rows()
    assert (decided["expected_answer"], decided["answer_source"]) == ("2", "replaced_by_majority")
    assert (decided["votes_for"], decided["votes_total"], decided["samples_drawn"]) == (2, 3, 6)
    assert decided["pass_rate"] == pytest.approx(2 / 6)
    assert set(decided) == set(tables.REFERENCE_ANSWERS.names)


def test_each_sample_is_a_solution_or_rejected_with_its_reason(way: Way) -> None:
    assert set(way.solutions) == {0, 5}
    assert {index: (row["outcome"], row["reason"]) for index, row in way.rejected.items()} == {
        1: ("dropped", "incorrect"),
        2: ("failed", "sandbox_unavailable"),
        3: ("dropped", "no_box"),
        4: ("dropped", "execution_limit"),
    }
    assert not way.left.count
    assert set(way.solutions[0]) == set(tables.TIR_SOLUTIONS.names)
    assert set(way.rejected[1]) == set(tables.TIR_REJECTED_SOLUTIONS.names)


def test_a_conversation_is_published_as_a_string_and_as_messages_that_can_be_masked(way: Way) -> None:
    row = way.solutions[0]
    assert row["solution"] == (
        "0 I compute.\n<tool_call>\nprint(1 + 1)\n</tool_call>\n```output\n1\n ```\n```\nSo it is \\boxed{2}."
    )
    user, first, output, last = json.loads(row["messages"])
    assert user == {"role": "user", "content": "What is 1 + 1?"}
    assert json.loads(first["tool_calls"][0]["function"]["arguments"]) == {"code": "print(1 + 1)"}
    assert output == {"role": "tool", "tool_call_id": "call_0", "name": "python", "content": "1\n```\n"}
    assert last == {"role": "assistant", "content": "So it is \\boxed{2}."}


def test_what_a_sample_computed_is_counted_beside_it(way: Way) -> None:
    counts = {**way.solutions, **way.rejected}
    assert {index: row["executions"] for index, row in counts.items()} == {0: 1, 1: 2, 2: 0, 3: 1, 4: 2, 5: 1}
    assert counts[0]["completion_tokens"] == len("".join(SCRIPTS[0]))
    assert counts[0]["output_tokens"] == len("\n```output\n1\n ```\n```\n")
    assert (counts[0]["void_turns"], counts[3]["void_turns"], counts[0]["continued"]) == (0, 1, 0)


def test_where_chains_of_thought_have_decided_nothing_the_samples_with_code_do(tmp_path: Path) -> None:
    own = Way(tmp_path, None, reference(None, "none"))
    assert [row["expected_answer"] for row in own.problems.rows()] == [None]
    (decided,) = own.decided.rows()
    assert (decided["expected_answer"], decided["answer_source"]) == ("2", "majority")
    assert set(own.solutions) == {0, 5}


def test_an_answer_that_nobody_has_decided_leaves_the_problem_as_it_was() -> None:
    problems = [problem(answer) | {"problem_id": name} for name, answer in (("p", "5"), ("q", "7"), ("r", "9"))]
    taken = made(take_reference_answers(one(*problems), one(reference(None), reference("8") | {"problem_id": "r"})))
    assert [row["expected_answer"] for row in taken.rows()] == ["5", "7", "8"]
    assert all(set(row) == set(tables.PROBLEMS.names) for row in taken.rows())
