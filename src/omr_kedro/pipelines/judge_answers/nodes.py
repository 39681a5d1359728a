"""Judgements on answers: each class of samples beside the reference answer, once, by the cheapest way."""

from __future__ import annotations

from collections.abc import Iterator

from omr_kedro.answers import Workers
from omr_kedro.exam import Marked
from omr_kedro.exam.gold import JudgedGold
from omr_kedro.exam.marks import mark_label, unparsed
from omr_kedro.exam.views import as_answer, gold_of, shown
from omr_kedro.llm.calls import CallPlan, Completion, Model, Prompt, Request
from omr_kedro.pipelines.controls import JudgeOptions, with_controls
from omr_kedro.pipelines.llm_stage import Kept, Outcome, ask, request, settle
from omr_kedro.shards import MappedShards, Row, Shard, Shards, SiblingShards, content_id, map_shards
from omr_kedro.solutions import StopReason
from omr_kedro.solutions.judging import (
    DIFFERENT,
    ORDERS,
    SAME,
    Correctness,
    Judgement,
    judge_by_opinions,
    judge_without_model,
    opinion,
    questions,
)


def grade_answers(votes: Shards, workers: Workers) -> MappedShards:
    """Each class of answers beside its problem's reference, with the verdict if no judge is needed (`tables.ANSWERS`).

    The reference is the answer from the discussion; where there is none, the majority's, if it was settled. Problems
    without a reference have no rows.
    """

    def graded(votes: Shard) -> Iterator[Row]:
        for row in votes.rows():
            reference = reference_of(row)
            if reference is None:
                continue
            pairs = [(reference, each["answer"]) for each in row["classes"]]
            judged = judge_without_model(pairs, workers)
            for number, (each, judgement) in enumerate(zip(row["classes"], judged, strict=True)):
                yield _answer_row(row, number, reference, each, judgement)

    return map_shards(graded, votes, by=workers.identity)


def reference_of(votes: Row) -> str | None:
    """The answer that the samples of a problem are compared with; None where nobody knows one."""
    if votes["extracted_answer"] is not None:
        return str(votes["extracted_answer"])
    return None if votes["stop_reason"] == StopReason.NO_MAJORITY else votes["majority_answer"]


def ask_judge_answers(
    answers: Shards, control_rows: Shards, prompt: Prompt, model: Model, options: JudgeOptions, *, stage: str
) -> CallPlan:
    """Ask about each answer that could not be told without a judge; and about controls likewise."""
    controls = judge_answers(shown(control_rows, as_answer), prompt, model, options, stage)
    return with_controls(judge_answers(answers, prompt, model, options, stage), controls)


def needs_judge(answer: Row) -> bool:
    """Whether the judge is asked about an answer: no cheaper way could tell."""
    return answer["verdict"] is None


def judge_answers(answers: Shards, prompt: Prompt, model: Model, options: JudgeOptions, stage: str) -> CallPlan:
    """The calls about answers, with the reference first and with it last."""

    def requests(answers: Shard) -> Iterator[Request]:
        for row in answers.rows():
            if needs_judge(row):
                asked = questions(row["problem"], row["reference_answer"], row["answer"])
                for order, values in asked.items():
                    yield request(row["answer_id"], prompt, options, values, part=order)

    return ask(stage, requests, [answers], prompt, model, options, calls_per_row=len(ORDERS) / 2)


def read_judge_answers(
    answers: Shards, completions: Shards, controls: Shards, options: JudgeOptions, *, stage: str
) -> tuple[SiblingShards, ...]:
    """Each answer with its verdict (`tables.ANSWERS`), once the controls tell that the judge is fit.

    One that nobody could tell is undecided. None is left out.
    """
    del controls  # Their table is there only if the judge has passed.
    return settle(
        stage,
        read_opinions,
        answers,
        completions,
        key="answer_id",
        of=dict,
        max_failed_share=options.max_failed_share,
    )


def read_opinions(answer: Row, rows: list[Row]) -> Outcome:
    """The verdict on one answer, from the judge's replies if it was asked."""
    if answer["verdict"] is not None:
        return Kept([answer])
    found = {row["part"]: Completion.from_row(row) for row in rows}
    said = {order: opinion(found.get(order)) for order in ORDERS}
    judgement = judge_by_opinions(said)
    model = next((completion.model for completion in found.values()), None)
    decided = {"verdict": str(judgement.verdict), "decided_by": str(judgement.decided_by), "judge_model": model}
    return Kept([{**answer, **decided, **said}])


def mark_answer_pair(row: Row, calls: list[Row]) -> Marked:
    """The mark of the verdict on a gold pair of answers: a judge that says both is wrong."""
    gold = SAME if gold_of(row, JudgedGold).same else DIFFERENT
    outcome = read_opinions(as_answer(row), calls)
    assert isinstance(outcome, Kept), "no answer is left out"  # noqa: S101
    (judged,) = outcome.rows
    said = [judged[order] for order in ORDERS]
    if unreadable := [each for each in said if each not in (SAME, DIFFERENT)]:
        return unparsed(gold, gold, unreadable[0], said)
    label = {Correctness.CORRECT: SAME, Correctness.INCORRECT: DIFFERENT}
    verdict = Correctness(judged["verdict"])
    return mark_label(gold, label.get(verdict, str(verdict)), said)


def _answer_row(votes: Row, number: int, reference: str, each: Row, judgement: Judgement | None) -> Row:
    return {
        "answer_id": content_id(votes["problem_id"], votes["mode"], each["answer"]),
        "problem_id": votes["problem_id"],
        "thread_id": votes["thread_id"],
        "mode": votes["mode"],
        "problem": votes["problem"],
        "reference_answer": reference,
        "answer": each["answer"],
        "answer_class": number,
        "votes": each["votes"],
        "verdict": str(judgement.verdict) if judgement else None,
        "decided_by": str(judgement.decided_by) if judgement else None,
    }
