"""Conversations with the rule, whose code runs in the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.answers import Verdict, grade_cheaply
from omr_kedro.offline_model.replies import Reply
from omr_kedro.offline_model.rules_solve import UNSOLVED, Worked, worked_problems
from omr_kedro.offline_model.rules_solve_tir import ORDER, Sample, solve_tir
from omr_kedro.offline_model.talk import FENCED, TOOL_CALL, Tags, Talk, Turn
from omr_kedro.sandbox import Limits, Plan, Result, Sandbox, Status
from omr_kedro.solutions import is_looping
from omr_kedro.solutions.code_blocks import TAGS, CodeTags
from omr_kedro.text import final_text
from omr_kedro.text.boxes import extract_boxed
from tests.offline_model.texts import POSTS

WAYS = pytest.mark.parametrize("tags", [None, FENCED, TOOL_CALL], ids=["tool", "fenced", "tool_call"])
WORKED = pytest.mark.parametrize("worked", worked_problems(), ids=lambda worked: worked.answer)
NO_ANSWER = {Sample.UNBOXED, Sample.CUT}
NO_ANSWER_BY_TEXT = {*NO_ANSWER, Sample.UNREADABLE, Sample.RESTLESS}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    plan = Plan("none", cores=2, nice=0, modules=("sympy",))
    with Sandbox(plan, Limits(seconds=1)) as sandbox:
        yield sandbox


def run(sandbox: Sandbox, *cells: str) -> list[Result]:
    async def outcomes() -> list[Result]:
        async with sandbox.session("test") as session:
            return [await session.run(cell) for cell in cells]

    return asyncio.run(outcomes())


def printed(results: Sequence[Result]) -> str:
    return results[-1].stdout.strip()


def seed_of(place: int, kind: Sample) -> int:
    return (ORDER.index(kind) - place) % len(ORDER)


def next_turn(kind: Sample, tags: Tags | None, *turns: Turn, place: int = 0, may_run: bool = True) -> Reply:
    talk = Talk(turns, tags, may_run)
    return solve_tir(worked_problems()[place].problem, seed_of(place, kind), talk)


def cells(reply: Reply, tags: Tags | None) -> list[str | None]:
    """The code that a reply wants run; None for such that cannot be read."""
    if tags is None:
        return [None if arguments[0] != "{" else orjson.loads(arguments)["code"] for arguments in reply.arguments]
    if reply.finish_reason != "stop" or code_tags(tags).stop not in reply.content:
        return []
    return [code_tags(tags).code_at_end(reply.content)]


def code_tags(tags: Tags) -> CodeTags:
    return TAGS["fenced" if tags is FENCED else "tool_call"]


def conversation(
    kind: Sample, tags: Tags | None, sandbox: Sandbox, most: int = 4, place: int = 0
) -> tuple[list[Reply], list[Result]]:
    """All replies of a sample, and the results of its code; ended where the server or the limit ends it."""
    replies, talk, results, done = list[Reply](), Talk((), tags), list[Result](), list[str]()
    while True:
        # A later turn has another seed.
        seed = seed_of(place, kind) + 7 * len(replies)
        reply = solve_tir(worked_problems()[place].problem, seed, talk)
        replies.append(reply)
        wanted = cells(reply, tags)
        if not wanted or (tags and (wanted == [None] or len(done) == most)):
            return replies, results
        outputs = []
        for cell in wanted:
            if cell is None or len(done) == most:
                outputs.append("Not run: for a reason.")
                continue
            done.append(cell)
            results = run(sandbox, *done) if kind is not Sample.ENDLESS or len(done) == 1 else run(sandbox, done[-1])
            outputs.append(results[-1].stdout + results[-1].stderr)
        turn = Turn(reply.reasoning + reply.content, outputs)
        talk = replace(talk, turns=(*talk.turns, turn), may_run=len(done) < most)


def answer(reply: Reply) -> str | None:
    return extract_boxed(final_text(reply.content))


@WORKED
def test_code_in_pieces_prints_the_answer_and_its_last_piece_needs_the_others(worked: Worked, sandbox: Sandbox) -> None:
    results = run(sandbox, *worked.cells)
    assert {result.status for result in results} == {Status.COMPLETED}
    assert grade_cheaply(worked.answer, printed(results)) == Verdict.EQUAL
    assert printed(run(sandbox, "\n".join(worked.cells))).endswith(printed(results))
    [alone] = run(sandbox, worked.cells[-1])
    assert alone.status is Status.ERROR
    assert "NameError" in alone.stderr


@WORKED
def test_code_with_a_slip_prints_the_wrong_answer(worked: Worked, sandbox: Sandbox) -> None:
    assert grade_cheaply(worked.wrong_answer, printed(run(sandbox, worked.slip_cell))) == Verdict.EQUAL


def test_each_kind_is_drawn_once_in_twelve_samples() -> None:
    assert sorted(ORDER) == sorted(Sample)


@WAYS
@pytest.mark.parametrize("kind", Sample)
def test_a_conversation_has_the_answer_of_its_kind(kind: Sample, tags: Tags | None, sandbox: Sandbox) -> None:
    for place in (0, 5):
        worked = worked_problems()[place]
        replies, _ = conversation(kind, tags, sandbox, place=place)
        found = answer(replies[-1])
        if kind in (NO_ANSWER if tags is None else NO_ANSWER_BY_TEXT):
            assert found is None
        else:
            wanted = worked.wrong_answer if kind is Sample.WRONG else worked.answer
            assert grade_cheaply(wanted, found or "") == Verdict.EQUAL


@WAYS
@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (Sample.COMPUTED, ["completed"]),
        (Sample.STEPWISE, ["completed", "completed"]),
        (Sample.AT_ONCE, ["completed", "completed"]),
        (Sample.REPAIRED, ["error", "completed"]),
        (Sample.RESTLESS, ["completed"] * 4),
        (Sample.BY_HAND, []),
        (Sample.CUT, []),
    ],
)
def test_code_ends_as_its_kind_has_it(kind: Sample, statuses: list[str], tags: Tags | None, sandbox: Sandbox) -> None:
    replies, results = conversation(kind, tags, sandbox)
    assert [str(result.status) for result in results] == statuses
    told = any("The program prints 351." in reply.content + reply.reasoning for reply in replies)
    assert told is (bool(statuses) and (kind is not Sample.RESTLESS or tags is None)), "the answer is the code's own"


def test_endless_code_is_interrupted_and_other_code_follows(sandbox: Sandbox) -> None:
    first = next_turn(Sample.ENDLESS, FENCED)
    [code] = cells(first, FENCED)
    [result] = run(sandbox, code or "")
    assert result.status in {Status.TIMEOUT, Status.KILLED}
    then = next_turn(Sample.ENDLESS, FENCED, Turn(first.content, [result.stderr]))
    [better] = cells(then, FENCED)
    assert printed(run(sandbox, better or "")).endswith("351")


def test_calls_of_one_turn_come_at_once_by_tool_and_one_after_the_other_by_text() -> None:
    assert len(cells(next_turn(Sample.AT_ONCE, None), None)) == 2
    assert len(cells(next_turn(Sample.AT_ONCE, FENCED), FENCED)) == 1


def test_a_restless_sample_asks_for_code_even_after_the_limit_by_text_and_by_tool_it_cannot() -> None:
    turns = [Turn(next_turn(Sample.RESTLESS, FENCED).content, ["351\n"])]
    assert cells(next_turn(Sample.RESTLESS, FENCED, *turns, may_run=False), FENCED)
    assert not next_turn(Sample.RESTLESS, None, *turns, may_run=False).arguments


def test_a_sample_that_may_run_no_more_takes_no_half_way_result_for_the_answer() -> None:
    place = 1
    first = next_turn(Sample.STEPWISE, FENCED, place=place)
    reply = next_turn(Sample.STEPWISE, FENCED, Turn(first.content, ["128\n"]), place=place, may_run=False)
    assert answer(reply) == "102"


@WAYS
def test_a_looping_sample_is_found_out_and_no_other_one_is(tags: Tags | None) -> None:
    for kind in Sample:
        first = next_turn(kind, tags)
        last = next_turn(kind, tags, *[Turn(first.reasoning + first.content, ["351\n"])] * 3, may_run=False)
        looping = is_looping(last.reasoning + last.content)
        assert looping is (kind is Sample.LOOPING)


def test_servers_of_all_manners_are_played() -> None:
    problem = worked_problems()[0].problem
    by_text = [solve_tir(problem, seed, Talk()).content for seed in range(len(ORDER))]
    by_tool = [solve_tir(problem, seed, Talk(tags=None)) for seed in range(len(ORDER))]
    assert {text.startswith("<think>") for text in by_text} == {True, False}
    assert {bool(reply.reasoning) for reply in by_tool} == {True, False}


def test_a_conversation_that_another_model_began_is_ended_without_code() -> None:
    reply = solve_tir(worked_problems()[0].problem, 0, Talk((Turn("Hello", ["5\n"]),)))
    assert answer(reply) is not None
    assert not cells(reply, FENCED)


def test_a_problem_that_nobody_has_worked_is_not_solved() -> None:
    assert solve_tir("How many sides has a cube?", 3, Talk()) == Reply(UNSOLVED)


@given(POSTS, POSTS, POSTS, st.integers(-5, 2**70), st.sampled_from([None, FENCED, TOOL_CALL]))
def test_any_conversation_goes_on_and_always_in_the_same_way(
    problem: str, said: str, output: str, seed: int, tags: Tags | None
) -> None:
    for text in (problem, worked_problems()[0].problem):
        turn = partial(solve_tir, text, seed, Talk((Turn(said, [output]),), tags))
        assert turn() == turn()
