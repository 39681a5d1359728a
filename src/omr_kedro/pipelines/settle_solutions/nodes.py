"""Every problem gets its reference answer, and every sample its verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict

from omr_kedro.llm.calls import Completion
from omr_kedro.pipelines.sampling import SamplingOptions
from omr_kedro.pipelines.solve_tir.nodes import ToolOptions
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
from omr_kedro.solutions.code_blocks import TAGS
from omr_kedro.solutions.conversations import as_messages, as_text
from omr_kedro.solutions.fragments import pieces_of
from omr_kedro.solutions.judging import Correctness
from omr_kedro.text import ReasonedReply, split_reasoning

SOLUTIONS, REJECTED = "solutions", "rejected"
_DECIDED = frozenset({Correctness.INCORRECT, "no_box", "looping", "truncated", "repetition", "execution_limit"})
_COMPUTED = ("output_tokens", "executions", "execution_errors", "execution_timeouts", "void_turns", "continued")

TextsOf = Callable[[list[Row], Row], Row]
"""Text columns of a sample, of the rows that tell what was said about its problem, and the sample."""


class SettlingOptions(BaseModel):
    """Settings for extracted answers that no sample agrees with."""

    model_config = ConfigDict(extra="forbid")

    suspect_answer: Literal["keep", "replace"] = "keep"
    """`keep` leaves such an answer and marks it, so that its problem has no solutions; `replace` takes the majority's
    in its place, where there is one, as Nemotron-Math-v2 does."""


class ConversationOptions(BaseModel):
    """How conversations stand in a single string."""

    model_config = ConfigDict(extra="forbid")

    tags: Literal["fenced", "tool_call"] = "tool_call"
    """Tags around code; those of OpenMathReasoning are `tool_call`."""


def decide_reference_answers(
    votes: Shards, answers: Shards, options: SettlingOptions, solving: SamplingOptions
) -> SiblingShards:
    """The answer that counts for each problem, decided once (`tables.REFERENCE_ANSWERS`)."""

    def decided(scratch: Scratch, votes: Shard, answers: Shard) -> Iterator[Row]:
        for row, judged in join(votes, "problem_id", answers, "problem_id", scratch):
            reference = reference_answer(row, judged, options)
            yield {**reference, **pass_rates(row, verdicts_of(judged, reference), reference, solving.stop_rule)}

    by = [options.model_dump(), solving.stop_rule.model_dump(mode="json")]
    return map_joined(decided, votes, answers, by=by)


def decide_tir_reference_answers(
    votes: Shards, answers: Shards, references: Shards, solving: ToolOptions
) -> SiblingShards:
    """The answer that counts for each problem that was solved with code (`tables.REFERENCE_ANSWERS`).

    It is the one that chains of thought have decided (`references`), wherever they have: then votes and pass rates are
    of the samples with code, and the answer with its source is theirs.
    """

    def decided(scratch: Scratch, votes: Shard, answers: Shard, references: Shard) -> Iterator[Row]:
        others = [(answers, "problem_id"), (references, "problem_id")]
        for row, (judged, earlier) in join_all(votes, "problem_id", others, scratch):
            reference = reference_answer(row, judged, SettlingOptions())
            rates = pass_rates(row, verdicts_of(judged, reference), reference, solving.stop_rule)
            yield {**reference, **rates, **_decided_before(earlier)}

    return map_joined(decided, votes, answers, references, by=solving.stop_rule.model_dump(mode="json"))


def _decided_before(references: list[Row]) -> Row:
    """The columns of a reference answer that stay as they were decided."""
    kept = ("expected_answer", "answer_source", "extracted_answer")
    return next(({name: row[name] for name in kept} for row in references if row["expected_answer"] is not None), {})


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
    solving: SamplingOptions,
) -> tuple[SiblingShards, ...]:
    """Samples that are solutions (`tables.SOLUTIONS`), and all others with the reason (`tables.REJECTED_SOLUTIONS`)."""
    tables = (problems, samples, votes, answers, references, completions)
    return _settle(tables, "row_id", texts_of_reply, solving, options)


def settle_tir(
    samples: Shards,
    votes: Shards,
    answers: Shards,
    references: Shards,
    problems: Shards,
    turns: Shards,
    options: ConversationOptions,
    solving: ToolOptions,
) -> tuple[SiblingShards, ...]:
    """The same of samples with code (`tables.TIR_SOLUTIONS`, `tables.TIR_REJECTED_SOLUTIONS`)."""
    tables = (problems, samples, votes, answers, references, turns)
    return _settle(tables, "problem_id", partial(texts_of_turns, options=options), solving, options)


def _settle(
    tables: tuple[Shards, ...], key: str, texts: TextsOf, solving: SamplingOptions, options: BaseModel
) -> tuple[SiblingShards, ...]:
    """Sort samples by their verdicts.

    Args:
        tables: problems, samples, votes, judged answers, reference answers, and what was said.
        key: column of the last of them that holds the problem's id.
        texts: of a sample.
        solving: how it was sampled.
        options: what else decides the rows.
    """
    sampling = orjson.dumps(solving.model_dump(mode="json", include={"temperature", "top_p", "max_tokens"})).decode()

    def settled(scratch: Scratch, problems: Shard, *others: Shard) -> Iterator[tuple[str, Row]]:
        columns = ["problem_id"] * (len(others) - 1) + [key]
        joined = join_all(problems, "problem_id", list(zip(others, columns, strict=True)), scratch)
        for problem, (drawn, voted, judged, decided, said) in joined:
            if not decided:  # it has no samples, and stands among the problems that were not solved
                continue
            (reference,), (vote,) = decided, voted
            verdicts = verdicts_of(judged, reference)
            classes = {index: number for number, each in enumerate(vote["classes"]) for index in each["samples"]}
            of_problem = {**_of_problem(problem, reference), "sampling": sampling}
            for sample in drawn:
                number = classes.get(sample["sample_index"])
                judgement = None if number is None else verdicts.get(number)
                row = {**of_problem, **_of_sample(sample, number, judgement), **texts(said, {**problem, **sample})}
                reason = why_rejected(sample, row["verdict"], reference)
                yield (REJECTED, {**row, **reason}) if reason else (SOLUTIONS, row)

    return map_siblings(settled, [SOLUTIONS, REJECTED], *tables, by=[options.model_dump(), sampling])


def verdicts_of(answers: list[Row], reference: Row) -> Mapping[int, Row]:
    """The judgement on each class of answers, by its number.

    A verdict holds for the answer that the class was compared with. Where the majority has replaced that one, its own
    class is right by definition, and nobody has compared the others with it: they are undecided.
    """
    if reference["answer_source"] != "replaced_by_majority" or all(
        row["reference_answer"] == reference["expected_answer"] for row in answers
    ):
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


def _of_sample(sample: Row, number: int | None, judgement: Row | None) -> Row:
    taken = (
        "solution_id", "mode", "sample_index", "seed", "call_key", "prompt_hash", "predicted_answer", "finish_reason",
        "completion_tokens",
    )  # fmt: skip
    judged = judgement or {"verdict": None, "decided_by": None, "judge_model": None}
    return {
        **{name: sample[name] for name in taken},
        **{name: sample[name] for name in _COMPUTED if name in sample},
        "generation_model": sample["model"],
        "answer_class": number,
        "verdict": str(judged["verdict"] or Correctness.UNDECIDED),
        "decided_by": judged["decided_by"],
        "judge_model": judged["judge_model"],
    }


def texts_of_reply(calls: list[Row], sample: Row) -> Row:
    """Reasoning and final text of a sample that is one reply; of one that is not whole, the text as it came."""
    call = next((row for row in calls if row["call_key"] == sample["call_key"]), None)
    if call is None:
        return {"reasoning": None, "solution": None}
    completion = Completion.from_row(call)
    reply = split_reasoning(completion.text, completion.reasoning)
    if completion.cut or not isinstance(reply, ReasonedReply):
        return {"reasoning": completion.reasoning, "solution": completion.text}
    return {"reasoning": reply.reasoning or None, "solution": reply.text}


def texts_of_turns(turns: list[Row], sample: Row, options: ConversationOptions) -> Row:
    """The conversation of a sample in a single string, and as messages."""
    pieces = pieces_of(row for row in turns if row["solution_id"] == sample["solution_id"])
    messages = as_messages(sample["problem"], pieces)
    return {
        "reasoning": None,
        "solution": as_text(pieces, TAGS[options.tags]) or None,
        "messages": orjson.dumps(messages).decode(),
    }
