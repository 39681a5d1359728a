"""Whole samples with code: the offline server, the sandbox and the episodes of the stage, in both formats."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from omr_kedro.answers import Verdict, grade_cheaply
from omr_kedro.llm.calls import Ask, CallPlan, Episode, EpisodeOptions, Prompt
from omr_kedro.llm.endpoint import Limits as EndpointLimits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.offline_model import MODEL_NAME
from omr_kedro.offline_model.rules_solve import Worked, worked_problems
from omr_kedro.offline_model.rules_solve_tir import ORDER
from omr_kedro.offline_model.rules_solve_tir import Sample as Kind
from omr_kedro.pipelines.solve_tir.conversation import Conversation
from omr_kedro.pipelines.solve_tir.nodes import ToolOptions, draw, samples_of
from omr_kedro.sandbox import Limits, Plan, Sandbox
from omr_kedro.shards import Row
from omr_kedro.solutions import Sample
from tests.offline_model.examples import PROMPTS
from tests.offline_model.server import serving
from tests.support.call_plans import table

SOLVED: list[Worked] = [worked_problems()[0], worked_problems()[5]]
PROBLEMS: list[Row] = [
    {"problem_id": str(number), "problem": worked.problem, "expected_answer": None}
    for number, worked in enumerate(SOLVED)
]
PLACES = [0, 5]
NO_VOTES = {
    "token_exact": {
        Kind.RESTLESS: "execution_limit",
        Kind.UNBOXED: "no_box",
        Kind.CUT: "truncated",
        Kind.LOOPING: "looping",
    },
    "chat_tools": {Kind.UNBOXED: "no_box", Kind.CUT: "truncated", Kind.LOOPING: "looping"},
}
Drawn = list[tuple[Sample, Conversation | None]]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Plan("none", cores=2, nice=0, modules=()), Limits(seconds=1)) as sandbox:
        yield sandbox


def options(conversation: str, most: int = 3) -> ToolOptions:
    return ToolOptions.model_validate(
        {
            "conversation": conversation,
            "stop_rule": {"fixed": len(ORDER)},
            "max_tokens": 8000,
            "executions": {"most": most},
        }
    )


def prompt_of(given: ToolOptions) -> Prompt:
    name = "solve_tir" if given.conversation == "token_exact" else "solve_tir_tools"
    return Prompt.from_mapping(name, yaml.safe_load((PROMPTS / f"{name}.yml").read_text("utf-8")))


def drawn(url: str, sandbox: Sandbox, folder: Path, given: ToolOptions) -> list[Drawn]:
    """The samples of each problem, drawn by the stage's own episodes and read back from the table."""
    prompt = prompt_of(given)

    def asks(shard: str) -> Iterator[Ask]:
        del shard
        for row in PROBLEMS:
            yield Episode(row["problem_id"], partial(draw, row=row, prompt=prompt, options=given), prompt.hash)

    plan = CallPlan(
        name="solve_tir",
        model=ChatModel(ModelEntry(MODEL_NAME, url, limits=EndpointLimits(max_in_flight=8))),
        asks=asks,
        expected={"a": 100},
        fingerprints={"a": "as it is"},
        episodes=EpisodeOptions(sandbox),
    )
    table(folder).save(plan)
    rows = list(table(folder).shards().rows())
    return [
        samples_of(row, [found for found in rows if found["row_id"] == row["problem_id"]], prompt, given)
        for row in PROBLEMS
    ]


@pytest.mark.parametrize("conversation", NO_VOTES)
def test_each_kind_of_sample_ends_as_it_should(
    base_url: str, sandbox: Sandbox, tmp_path: Path, conversation: str
) -> None:
    statuses = set()
    for place, worked, samples in zip(
        PLACES, SOLVED, drawn(base_url, sandbox, tmp_path, options(conversation)), strict=True
    ):
        assert len(samples) == len(ORDER)
        for sample, talk in samples:
            kind = ORDER[(place + sample.index) % len(ORDER)]
            assert sample.no_vote == NO_VOTES[conversation].get(kind), kind
            if sample.answer:
                wanted = worked.wrong_answer if kind is Kind.WRONG else worked.answer
                assert grade_cheaply(wanted, sample.answer) == Verdict.EQUAL, kind
            assert talk is not None
            assert talk.executions <= 3
            statuses |= {run.status for run in talk.runs}
    assert {"completed", "error", "timeout"} <= statuses
    assert ("not_run" in statuses) is (conversation == "chat_tools")


def test_a_sample_that_may_run_one_piece_only_ends_in_an_answer_all_the_same(
    base_url: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    for conversation in NO_VOTES:
        given = options(conversation, most=1)
        for place, samples in zip(PLACES, drawn(base_url, sandbox, tmp_path / conversation, given), strict=True):
            kinds = {ORDER[(place + sample.index) % len(ORDER)]: (sample, talk) for sample, talk in samples}
            for kind in (Kind.STEPWISE, Kind.AT_ONCE, Kind.REPAIRED, Kind.ENDLESS):
                sample, talk = kinds[kind]
                assert talk is not None
                assert talk.executions == 1
                assert sample.answer == SOLVED[PLACES.index(place)].answer
