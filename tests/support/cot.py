"""Chain-of-thought solutions from problems to summaries, node by node, with a model that does as a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from aiohttp import web

from omr_kedro import tables
from omr_kedro.answers import Workers
from omr_kedro.llm.calls import CallPlan, Completion, Prompt
from omr_kedro.llm.calls.request import CallIdentity
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.pipelines.controls import JudgeOptions
from omr_kedro.pipelines.judge_answers.nodes import grade_answers, judge_answers, read_judge_answers
from omr_kedro.pipelines.sampling import SamplingOptions
from omr_kedro.pipelines.settle_solutions.nodes import SettlingOptions, decide_reference_answers, settle_cot
from omr_kedro.pipelines.solve_cot.nodes import ask_solve_cot, count_cot_votes, read_solve_cot
from omr_kedro.pipelines.summarise_cot.nodes import (
    SummaryOptions,
    ask_summarise_cot,
    list_summaries,
    read_summarise_cot,
)
from omr_kedro.shards import Row, Shards, TableStore
from tests.support.call_plans import said
from tests.support.chat_server import ChatServer
from tests.support.tables import as_shards, made, shards_of

SOLVE = Prompt("solve_cot", "Solve: {{problem}}")
JUDGE = Prompt(
    "judge_answer",
    "<problem>{{problem}}</problem><answer_a>{{answer_a}}</answer_a><answer_b>{{answer_b}}</answer_b>",
    choices=("same", "different"),
)
SUMMARISE = Prompt("summarise_solution", "<problem>{{problem}}</problem><solution>{{solution}}</solution>")
_PROMPTS = {prompt.name: prompt for prompt in (SOLVE, JUDGE, SUMMARISE)}

Said = str | web.Response


def problem(name: str, answer: str | None = None, statement: str = "") -> Row:
    """A clean problem; its statement is its name where none is given."""
    return {
        "problem_id": name,
        "thread_id": f"thread of {name}",
        "problem": statement or name,
        "expected_answer": answer,
        "problem_type": "has_answer_extracted" if answer else "no_answer_extracted",
        "problem_source": "forum",
    }


def boxed(answer: str, reasoning: str = "Let me see.") -> str:
    r"""A whole reply with this answer in its box."""
    return f"<think>{reasoning}</think>So it is $\\boxed{{{answer}}}$."


class CotModel(ChatServer):
    """Solves, judges and sums up.

    Args:
        solve: takes the statement and the number of the sample.
        judge: takes the problem and two answers; gives a label.
        summarise: takes the solution and the number of the summary.
    """

    def __init__(
        self,
        solve: Callable[[str, int], Said],
        judge: Callable[[dict[str, str]], Said] = lambda values: "different",
        summarise: Callable[[str, int], Said] = lambda solution, number: boxed("none"),
    ) -> None:
        super().__init__(self._says)
        self.solve, self.judge, self.summarise = solve, judge, summarise
        self._stages: list[tuple[str, dict[str, str]]] = []

    def asked(self, stage: str = "") -> list[dict[str, str]]:
        """The fields of each call that arrived, of one stage or of all."""
        return [values for name, values in self._stages if stage in ("", name)]

    def _says(self, body: dict[str, Any]) -> Said:
        stage, values = next(
            (name, found)
            for name, prompt in _PROMPTS.items()
            if (found := prompt.match([{"role": "user", "content": said(body)}])) is not None
        )
        self._stages.append((stage, values))
        number = body.get("seed") or 0
        if stage == SOLVE.name:
            return self.solve(values["problem"], number)
        return self.judge(values) if stage == JUDGE.name else self.summarise(values["solution"], number)


@dataclass
class Cot:
    """The nodes of the stages, and the tables that they have made; calls lie in a folder, the others in memory."""

    folder: Path
    base_url: str
    solving: SamplingOptions = field(default_factory=lambda: SamplingOptions(max_failed_share=1))
    judging: JudgeOptions = field(default_factory=lambda: JudgeOptions(max_failed_share=1))
    settling: SettlingOptions = field(default_factory=SettlingOptions)
    summarising: SummaryOptions = field(default_factory=lambda: SummaryOptions(longer_than=0, max_failed_share=1))
    judge_prompt: Prompt = JUDGE
    limits: Mapping[str, Any] = field(default_factory=dict)
    tables: dict[str, Shards] = field(default_factory=dict)

    @property
    def model(self) -> ChatModel:
        """The model of all stages."""
        return chat_model(self.base_url, **self.limits)

    def rows(self, table: str) -> list[Row]:
        """All rows of a table that was made."""
        return list(self.tables[table].rows())

    def solve(self, problems: Shards) -> Cot:
        """From problems to votes."""
        calls = self.call(ask_solve_cot(problems, SOLVE, self.model, self.solving))
        self.tables |= {"problems": problems, "completions": calls}
        return self.read_samples()

    def read_samples(self) -> Cot:
        """From problems and completions to votes."""
        given = self.tables
        self.put(tables.SAMPLES, samples=read_solve_cot(given["problems"], given["completions"], self.solving)[0])
        self.put(tables.DROPPED, unsolved=read_solve_cot(given["problems"], given["completions"], self.solving)[1])
        self.put(tables.VOTES, votes=count_cot_votes(given["problems"], given["samples"], self.solving))
        return self

    def judge(self, workers: Workers) -> Cot:
        """From votes to solutions."""
        given = self.tables
        self.put(tables.ANSWERS, graded=grade_answers(given["votes"], workers))
        given["judgements"] = self.call(
            judge_answers(given["graded"], self.judge_prompt, self.model, self.judging, "judge_cot")
        )
        answers, unjudged = read_judge_answers(
            given["graded"], given["judgements"], Shards([]), self.judging, stage="judge_cot"
        )
        self.put(tables.ANSWERS, answers=answers)
        self.put(tables.DROPPED, unjudged=unjudged)
        return self.settle()

    def settle(self) -> Cot:
        """From votes and judged answers to solutions."""
        given = self.tables
        references = decide_reference_answers(given["votes"], given["answers"], self.settling, self.solving)
        self.put(tables.REFERENCE_ANSWERS, references=references)
        solutions, rejected = settle_cot(
            given["samples"],
            given["votes"],
            given["answers"],
            given["references"],
            given["problems"],
            given["completions"],
            self.settling,
            self.solving,
        )
        self.put(tables.SOLUTIONS, solutions=solutions)
        self.put(tables.REJECTED_SOLUTIONS, rejected=rejected)
        return self

    def summarise(self) -> Cot:
        """From solutions to summaries."""
        given, options = self.tables, self.summarising
        calls = self.call(ask_summarise_cot(given["solutions"], SUMMARISE, self.model, options))
        self.put(tables.SUMMARIES, candidates=list_summaries(given["solutions"], calls, options))
        summaries, unsummarised = read_summarise_cot(given["solutions"], given["candidates"], options)
        self.put(tables.SUMMARIES, summaries=summaries)
        self.put(tables.DROPPED, unsummarised=unsummarised)
        return self

    def put(self, schema: pa.Schema, **recipe: Any) -> None:
        """Make a table of this name; its rows have the columns of the schema, and no other."""
        ((name, one),) = recipe.items()
        empty = dict.fromkeys(schema.names)
        rows = {shard.id: [empty | row for row in shard.rows()] for shard in made(one).values()}
        for row in (row for shard in rows.values() for row in shard):
            assert list(row) == schema.names
            assert [field.name for field in schema if not field.nullable and row[field.name] is None] == []
        self.tables[name] = as_shards(rows)

    def call(self, plan: CallPlan) -> Shards:
        """The table of a plan's calls, made as a run makes it."""
        store = TableStore(self.folder / plan.name, "jsonl", tables.COMPLETIONS)
        store.save(plan)
        # Read at once: the next plan of this name writes the table anew.
        return as_shards({shard.id: list(shard.rows()) for shard in store.shards().values()})


def chat_model(base_url: str, **limits: Any) -> ChatModel:
    """A model at an address."""
    return ChatModel(ModelEntry("m", base_url, limits=Limits(**{"max_in_flight": 16, **limits})))


def completion_row(problem_id: str, index: int, text: str = "", **fields: Any) -> Row:
    """A row of the completions of `solve_cot`; a whole reply if nothing else is said."""
    identity = CallIdentity(problem_id, "", index, index, SOLVE.hash, kind=fields.pop("kind", "model"))
    given = {"finish_reason": "stop", **fields}
    return Completion(f"{problem_id}-{index}", "m", text, **given).row(identity)


def read_completions(problems: Sequence[Row], completions: Sequence[Row], solving: SamplingOptions) -> Cot:
    """Samples and votes of given completions, which nobody was asked for."""
    given = {"problems": shards_of(problems, 1), "completions": shards_of(completions, 1)}
    return Cot(Path(), "http://127.0.0.1/v1", solving, tables=given).read_samples()
