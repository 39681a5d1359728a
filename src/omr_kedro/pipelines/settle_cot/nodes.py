"""Every problem gets its reference answer, and every sample its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict

from omr_kedro.llm.calls import Completion
from omr_kedro.pipelines.solve_cot.nodes import SolvingOptions
from omr_kedro.shards import (
    Row,
    Scratch,
    Shard,
    Shards,
    SiblingShards,
    join,
    join_all,
    map_joined,
    map_siblings,
)
from omr_kedro.solutions import StopReason, StopRule, pass_rate, pass_rate_of_first
from omr_kedro.solutions.judging import Correctness
from omr_kedro.text import ReasonedReply, split_reasoning

SOLUTIONS, REJECTED = "solutions", "rejected"
_DECIDED = frozenset({Correctness.INCORRECT, "no_box", "looping", "truncated", "repetition"})


class SettlingOptions(BaseModel):
    """Settings for extracted answers that no sample agrees with."""

    model_config = ConfigDict(extra="forbid")

    suspect_answer: Literal["keep", "replace"] = "keep"
    """`keep` leaves such an answer and marks it, so that its problem has no solutions; `replace` takes the majority's
    in its place, where there is one, as Nemotron-Math-v2 does."""


def decide_reference_answers(
    votes: Shards, answers: Shards, options: SettlingOptions, solving: SolvingOptions
) -> SiblingShards:
    """The answer that counts for each problem, decided once (`tables.REFERENCE_ANSWERS`)."""

    def decided(scratch: Scratch, votes: Shard, answers: Shard) -> Iterator[Row]:
        for row, judged in join(votes, "problem_id", answers, "problem_id", scratch):
            reference = reference_answer(row, judged, options)
            yield {**reference, **pass_rates(row, verdicts_of(judged, reference), reference, solving.stop_rule)}

    by = [options.model_dump(), solving.stop_rule.model_dump(mode="json")]
    return map_joined(decided, votes, answers, by=by)


def reference_answer(votes: Row, answers: list[Row], options: SettlingOptions) -> Row:
    """The answer that counts for one problem, from its votes and the judgements on its answers.

    An extracted answer is suspect where samples have answers, and all of them are known to be other ones: not while one
    is undecided, which may be the same.
    """
    correct = sum(row["votes"] for row in answers if row["verdict"] == Correctness.CORRECT)
    extracted, majority = votes["extracted_answer"], votes["majority_answer"]
    settled = majority is not None and votes["stop_reason"] != StopReason.NO_MAJORITY
    incorrect = sum(row["verdict"] == Correctness.INCORRECT for row in answers)
    suspect = extracted is not None and 0 < incorrect == len(votes["classes"])
    if extracted is None:
        source, answer = ("majority", majority) if settled else ("none", None)
    elif suspect and settled and options.suspect_answer == "replace":
        source, answer, correct = "replaced_by_majority", majority, votes["classes"][0]["votes"]
    else:
        source, answer = "extracted", extracted
    return {
        "problem_id": votes["problem_id"],
        "thread_id": votes["thread_id"],
        "expected_answer": answer,
        "answer_source": source,
        "suspect": suspect,
        "extracted_answer": extracted,
        "majority_answer": majority,
        "votes_for": correct,
        "votes_total": votes["votes_total"],
        "samples_drawn": votes["samples_drawn"],
        "agreement": correct / votes["votes_total"] if votes["votes_total"] else None,
        "stop_reason": votes["stop_reason"],
    }


def pass_rates(votes: Row, verdicts: Mapping[int, Row], reference: Row, rule: StopRule) -> Row:
    """The share of right samples that the model would have of this problem.

    Empty where nobody knows what is right: there is no reference answer, or all that could be right is undecided.
    Beside right samples undecided ones count as tries, so that the rate is none too high.
    """
    right = {number for number, row in verdicts.items() if row["verdict"] == Correctness.CORRECT}
    wrong = {number for number, row in verdicts.items() if row["verdict"] == Correctness.INCORRECT}
    if reference["expected_answer"] is None or (not right and len(wrong) < len(votes["classes"])):
        return {"pass_rate": None, "pass_rate_first8": None}
    correct = {index for number in right for index in votes["classes"][number]["samples"]}
    hits = [index in correct for index in range(votes["samples_drawn"])]
    quota = None if rule.fixed is not None else rule.correct
    give_up_at = None if votes["extracted_answer"] is None else rule.give_up_round
    return {"pass_rate": pass_rate(hits, quota, give_up_at), "pass_rate_first8": pass_rate_of_first(hits)}


def settle_cot(
    samples: Shards,
    votes: Shards,
    answers: Shards,
    references: Shards,
    problems: Shards,
    completions: Shards,
    options: SettlingOptions,
    solving: SolvingOptions,
) -> tuple[SiblingShards, ...]:
    """Samples that are solutions (`tables.SOLUTIONS`), and all others with the reason (`tables.REJECTED_SOLUTIONS`)."""
    sampling = orjson.dumps(solving.model_dump(mode="json", include={"temperature", "top_p", "max_tokens"})).decode()

    def settled(scratch: Scratch, problems: Shard, *others: Shard) -> Iterator[tuple[str, Row]]:
        columns = ["problem_id"] * (len(others) - 1) + ["row_id"]
        joined = join_all(problems, "problem_id", list(zip(others, columns, strict=True)), scratch)
        for problem, (drawn, voted, judged, decided, calls) in joined:
            if not decided:  # it has no samples, and stands among the problems that were not solved
                continue
            (reference,), (vote,) = decided, voted
            verdicts = verdicts_of(judged, reference)
            classes = {index: number for number, each in enumerate(vote["classes"]) for index in each["samples"]}
            replies = {row["call_key"]: row for row in calls}
            of_problem = {**_of_problem(problem, reference), "sampling": sampling}
            for sample in drawn:
                number = classes.get(sample["sample_index"])
                judgement = None if number is None else verdicts.get(number)
                row = {**of_problem, **_of_sample(sample, number, judgement, replies.get(sample["call_key"]))}
                reason = why_rejected(sample, row["verdict"], reference)
                yield (REJECTED, {**row, **reason}) if reason else (SOLUTIONS, row)

    tables = (problems, samples, votes, answers, references, completions)
    return map_siblings(settled, [SOLUTIONS, REJECTED], *tables, by=[options.model_dump(), sampling])


def verdicts_of(answers: list[Row], reference: Row) -> Mapping[int, Row]:
    """The judgement on each class of answers, by its number.

    Where the majority has replaced the extracted answer, its class is right by definition, and nobody has compared the
    others with it: they are undecided.
    """
    if reference["answer_source"] != "replaced_by_majority":
        return {row["answer_class"]: row for row in answers}
    undecided = {"verdict": Correctness.UNDECIDED, "decided_by": None, "judge_model": None}
    right = {"verdict": Correctness.CORRECT, "decided_by": "majority", "judge_model": None}
    return {row["answer_class"]: {**row, **(undecided if row["answer_class"] else right)} for row in answers}


def why_rejected(sample: Row, verdict: str, reference: Row) -> Row | None:
    """Outcome and reason of a sample that is no solution; None for one that is.

    A reason of the sample itself comes first: it holds whatever the answer is worth. Of what nobody could decide the
    outcome is `failed`.
    """
    if sample["no_vote"] is not None:
        return {"outcome": "dropped" if sample["no_vote"] in _DECIDED else "failed", "reason": sample["no_vote"]}
    if reference["expected_answer"] is None:
        return {"outcome": "failed", "reason": "no_reference_answer"}
    if verdict == Correctness.CORRECT:
        return None
    return {"outcome": "dropped" if verdict == Correctness.INCORRECT else "failed", "reason": verdict}


def _of_problem(problem: Row, reference: Row) -> Row:
    taken = ("problem_id", "thread_id", "problem", "problem_type", "problem_source")
    told = (
        "expected_answer", "answer_source", "suspect", "votes_for", "votes_total", "samples_drawn", "stop_reason",
        "pass_rate", "pass_rate_first8",
    )  # fmt: skip
    return {**{name: problem[name] for name in taken}, **{name: reference[name] for name in told}}


def _of_sample(sample: Row, number: int | None, judgement: Row | None, call: Row | None) -> Row:
    taken = ("solution_id", "mode", "sample_index", "seed", "call_key", "predicted_answer", "finish_reason")
    reasoning, text = _texts(call)
    judged = judgement or {"verdict": None, "decided_by": None, "judge_model": None}
    return {
        **{name: sample[name] for name in taken},
        "generation_model": sample["model"],
        "completion_tokens": sample["completion_tokens"],
        "prompt_hash": call["prompt_hash"] if call else None,
        "reasoning": reasoning,
        "solution": text,
        "answer_class": number,
        "verdict": str(judged["verdict"] or Correctness.UNDECIDED),
        "decided_by": judged["decided_by"],
        "judge_model": judged["judge_model"],
    }


def _texts(call: Row | None) -> tuple[str | None, str | None]:
    """Reasoning and final text of a sample; of one that is not whole, the text as it came."""
    if call is None:
        return None, None
    completion = Completion.from_row(call)
    reply = split_reasoning(completion.text, completion.reasoning)
    if completion.cut or not isinstance(reply, ReasonedReply):
        return completion.reasoning, completion.text
    return reply.reasoning or None, reply.text
