"""Marks of gold rows: each stage's own reading of the replies, beside the outcome that is gold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from omr_kedro.exam import ExamOptions, Mark, Marked
from omr_kedro.exam.gold import AnswerGold, ChoiceGold, JudgedGold, LabelGold, PairGold, PostGold, ProofGold
from omr_kedro.exam.marks import (
    mark_answer,
    mark_choice,
    mark_conversion,
    mark_label,
    mark_statements,
    mark_summary,
    unparsed,
)
from omr_kedro.llm.calls import Completion, Prompt
from omr_kedro.pipelines.classify_problems.nodes import sort_by_label
from omr_kedro.pipelines.convert_proofs.nodes import read_conversion
from omr_kedro.pipelines.decontaminate.nodes import read_judgements
from omr_kedro.pipelines.exam.views import as_answer, as_group, as_pair, as_problem, as_solution, gold_of, shown
from omr_kedro.pipelines.extract_answers.nodes import read_answer
from omr_kedro.pipelines.extract_problems.nodes import read_problems
from omr_kedro.pipelines.judge_answers.nodes import read_opinions
from omr_kedro.pipelines.llm_stage import Failed, Kept, Outcome
from omr_kedro.pipelines.select_solutions.nodes import selection_of
from omr_kedro.pipelines.summarise_cot.nodes import summary_of
from omr_kedro.shards import MappedShards, Row, Shard, Shards, map_shards, unless_crashed
from omr_kedro.solutions.judging import DIFFERENT, SAME, Correctness
from omr_kedro.solutions.summaries import chosen

Read = Callable[[Row, list[Row]], Marked]
_REPLY_CHARS = 20_000
_CONTAMINATED, _CLEAN = "contaminated", "clean"


def mark_extract_problems(gold: Shards, completions: Shards, exam: ExamOptions) -> MappedShards:
    """Marks of extracted problems (`tables.EXAM_MARKS`): all that are gold, and no other, in any order."""
    threshold = exam.same_statement

    def read(row: Row, calls: list[Row]) -> Marked:
        statements = gold_of(row, PostGold).statements
        outcome = read_problems({"thread_id": row["row_id"], "problem_source": None}, _completions(calls))
        given = [each["problem"] for each in outcome.rows] if isinstance(outcome, Kept) else []
        marked = mark_statements(statements, given, threshold)
        return _unless_failed(outcome, marked)

    return _marks("extract_problems", read, gold, completions, threshold)


def mark_proof(gold: Shards, completions: Shards, prompt: Prompt) -> MappedShards:
    """Marks of the label `proof`."""
    return _label_marks("proof", gold, completions, prompt)


def mark_mcq(gold: Shards, completions: Shards, prompt: Prompt) -> MappedShards:
    """Marks of the label `mcq`."""
    return _label_marks("mcq", gold, completions, prompt)


def mark_binary(gold: Shards, completions: Shards, prompt: Prompt) -> MappedShards:
    """Marks of the label `binary`."""
    return _label_marks("binary", gold, completions, prompt)


def mark_invalid(gold: Shards, completions: Shards, prompt: Prompt) -> MappedShards:
    """Marks of the label `invalid`."""
    return _label_marks("invalid", gold, completions, prompt)


def _label_marks(label: str, gold: Shards, completions: Shards, prompt: Prompt) -> MappedShards:
    choices = prompt.choices

    def named(is_so: bool) -> str:
        return label if is_so else f"not {label}"

    def read(row: Row, calls: list[Row]) -> Marked:
        is_so = getattr(gold_of(row, LabelGold).labels, label)
        outcome = sort_by_label(label, choices, None, row, _completions(calls))
        return _unless_failed(outcome, mark_label(named(is_so), named(not isinstance(outcome, Kept))))

    return _marks(f"classify_{label}", read, gold, completions, choices)


def mark_extract_answers(gold: Shards, completions: Shards) -> MappedShards:
    """Marks of extracted answers."""

    def read(row: Row, calls: list[Row]) -> Marked:
        asked = gold_of(row, AnswerGold)
        outcome = read_answer({"problem_id": row["row_id"]}, _completions(calls))
        given = outcome.rows[0]["expected_answer"] if isinstance(outcome, Kept) else None
        return _unless_failed(outcome, mark_answer(asked.answer, asked.accept, given))

    return _marks("extract_answers", read, gold, completions)


def mark_convert_proofs(gold: Shards, completions: Shards) -> MappedShards:
    """Marks of conversions."""

    def read(row: Row, calls: list[Row]) -> Marked:
        asked = gold_of(row, ProofGold)
        outcome = read_conversion(as_problem(row), _completions(calls))
        given = outcome.rows[0]["problem"] if isinstance(outcome, Kept) else None
        return _unless_failed(outcome, mark_conversion(asked.problem, asked.convertible, given))

    return _marks("convert_proofs", read, gold, completions)


def mark_decontaminate(gold: Shards, completions: Shards, prompt: Prompt) -> MappedShards:
    """Marks of verdicts on pairs, which take both orders."""
    pairs, *_ = read_judgements(shown(gold, as_pair), shown(gold, as_problem), completions, prompt)

    @cache
    def judged() -> Mapping[str, Row]:
        return {pair["problem_id"]: pair for name in pairs.fingerprints for pair in pairs.make(name)}

    def read(row: Row, calls: list[Row]) -> Marked:
        del calls
        pair = judged()[row["row_id"]]
        gold_class = _CONTAMINATED if gold_of(row, PairGold).same else _CLEAN
        if pair["verdict"] in (_CONTAMINATED, _CLEAN):
            return mark_label(gold_class, pair["verdict"])
        said = [pair[order] or "not_asked" for order in ("forward", "backward")]
        return unparsed(gold_class, gold_class, next(each for each in said if each not in prompt.choices))

    return _marks("decontaminate", read, gold, completions, sorted(pairs.fingerprints.items()))


def mark_judge_answers(gold: Shards, completions: Shards) -> MappedShards:
    """Marks of verdicts on answers, which take both orders: a judge that says both is wrong."""
    said_of = {Correctness.CORRECT: SAME, Correctness.INCORRECT: DIFFERENT}

    def read(row: Row, calls: list[Row]) -> Marked:
        gold_class = SAME if gold_of(row, JudgedGold).same else DIFFERENT
        outcome = read_opinions(as_answer(row), calls)
        if not isinstance(outcome, Kept):
            return _unless_failed(outcome, mark_label(gold_class, str(Correctness.UNDECIDED)))
        (judged,) = outcome.rows
        said = [judged[order] for order in ("forward", "backward")]
        if unreadable := [each for each in said if each not in (SAME, DIFFERENT)]:
            return unparsed(gold_class, gold_class, unreadable[0])
        verdict = Correctness(judged["verdict"])
        return mark_label(gold_class, said_of.get(verdict, str(verdict)))

    return _marks("judge_answers", read, gold, completions)


def mark_summarise_solutions(gold: Shards, completions: Shards) -> MappedShards:
    """Marks of summaries: right where one of those drawn is valid, and states the solution's answer."""

    def read(row: Row, calls: list[Row]) -> Marked:
        solution = as_solution(row)
        summaries = [summary_of(solution, completion) for completion in _completions(calls)]
        place = chosen(summaries)
        flaws = [summary.flaw for summary in summaries if summary.flaw]
        answer = None if place is None else summaries[place].result
        return mark_summary(solution["predicted_answer"], answer, flaws)

    return _marks("summarise_solutions", read, gold, completions)


def mark_select_solutions(gold: Shards, completions: Shards) -> MappedShards:
    """Marks of choices among candidates."""

    def read(row: Row, calls: list[Row]) -> Marked:
        right = gold_of(row, ChoiceGold).right
        if not calls:
            return mark_choice(right, None, "not_asked")
        found = selection_of(as_group(row), calls[0])
        return mark_choice(right, found["chosen"], found["why_unclear"])

    return _marks("select_solutions", read, gold, completions)


def _completions(calls: Sequence[Row]) -> list[Completion]:
    return [Completion.from_row(call) for call in calls]


def _unless_failed(outcome: Outcome, marked: Marked) -> Marked:
    if isinstance(outcome, Failed):
        return unparsed(marked.gold_class, marked.gold, outcome.reason)
    return marked


def _marks(stage: str, read: Read, gold: Shards, completions: Shards, by: object = None) -> MappedShards:
    """The marks of a stage's rows, each with what its calls took.

    Args:
        stage: its name.
        read: the mark of one gold row, from its calls in the order of their samples.
        gold: the gold rows.
        completions: the calls.
        by: whatever else decides the marks.
    """

    def rows(gold: Shard, completions: Shard) -> Iterator[Row]:
        calls: dict[str, list[Row]] = defaultdict(list)
        for call in completions.rows():
            if call["kind"] in (None, "model"):
                calls[call["row_id"]].append(call)
        for row in gold.rows():
            about = sorted(calls[row["row_id"]], key=lambda call: (call["part"], call["sample_index"]))
            yield _mark_row(stage, row, about, unless_crashed(_crashed, read, row, about))

    return map_shards(rows, gold, completions, by=[stage, by])


def _crashed(error: str) -> Marked:
    return Marked(Mark.UNPARSED, "reading_crashed", "", reason=error)


def _mark_row(stage: str, row: Row, calls: Sequence[Row], marked: Marked) -> Row:
    first: Mapping[str, Any] = calls[0] if calls else {}
    return {
        "stage": stage,
        "row_id": row["row_id"],
        "mark": str(marked.mark),
        "trap": row["trap"],
        "gold_class": marked.gold_class,
        "given_class": marked.given_class,
        "gold": marked.gold,
        "given": marked.given,
        "reason": marked.reason,
        "why": row["why"],
        "reply": "\n\n".join(call["text"] or call["error"] or "" for call in calls)[:_REPLY_CHARS],
        "model": first.get("asked_model") or first.get("model"),
        "prompt_hash": first.get("prompt_hash"),
        "calls": len(calls),
        "prompt_tokens": sum(call["prompt_tokens"] or 0 for call in calls),
        "completion_tokens": sum(call["completion_tokens"] or 0 for call in calls),
        "seconds": sum(call["latency_s"] or 0.0 for call in calls),
    }
