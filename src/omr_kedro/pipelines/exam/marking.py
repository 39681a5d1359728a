"""Marks of gold rows in an exam, stage by stage."""

from __future__ import annotations

from omr_kedro.exam import ExamOptions, Marked
from omr_kedro.exam.gold import AnswerGold, ChoiceGold, LabelGold, PostGold, ProofGold
from omr_kedro.exam.marks import mark_answer, mark_choice, mark_conversion, mark_label, mark_statements, mark_summary
from omr_kedro.exam.views import as_group, as_problem, as_solution, gold_of
from omr_kedro.llm.calls import Prompt
from omr_kedro.pipelines.classify_problems.nodes import sort_by_label
from omr_kedro.pipelines.convert_proofs.nodes import read_conversion
from omr_kedro.pipelines.decontaminate.nodes import mark_pair
from omr_kedro.pipelines.extract_answers.nodes import read_answer
from omr_kedro.pipelines.extract_problems.nodes import read_problems
from omr_kedro.pipelines.judge_answers.nodes import mark_answer_pair
from omr_kedro.pipelines.llm_stage import Kept
from omr_kedro.pipelines.marked_rows import completions_of, mark_rows, unless_failed
from omr_kedro.pipelines.select_solutions.nodes import selection_of
from omr_kedro.pipelines.summarise_cot.nodes import summary_of
from omr_kedro.shards import MappedShards, Row, Shards
from omr_kedro.solutions.summaries import chosen


def mark_extract_problems(gold: Shards, completions: Shards, exam: ExamOptions) -> MappedShards:
    """Marks of extracted problems (`tables.EXAM_MARKS`): all that are gold, and no other, in any order."""
    threshold = exam.same_statement

    def read(row: Row, calls: list[Row]) -> Marked:
        statements = gold_of(row, PostGold).statements
        outcome = read_problems({"thread_id": row["row_id"], "problem_source": None}, completions_of(calls))
        given = [each["problem"] for each in outcome.rows] if isinstance(outcome, Kept) else []
        marked = mark_statements(statements, given, threshold)
        return unless_failed(outcome, marked)

    return mark_rows("extract_problems", read, gold, completions, threshold)


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
        outcome = sort_by_label(label, choices, None, row, completions_of(calls))
        return unless_failed(outcome, mark_label(named(is_so), named(not isinstance(outcome, Kept))))

    return mark_rows(f"classify_{label}", read, gold, completions, choices)


def mark_extract_answers(gold: Shards, completions: Shards) -> MappedShards:
    """Marks of extracted answers."""

    def read(row: Row, calls: list[Row]) -> Marked:
        asked = gold_of(row, AnswerGold)
        outcome = read_answer({"problem_id": row["row_id"]}, completions_of(calls))
        given = outcome.rows[0]["expected_answer"] if isinstance(outcome, Kept) else None
        return unless_failed(outcome, mark_answer(asked.answer, asked.accept, given))

    return mark_rows("extract_answers", read, gold, completions)


def mark_convert_proofs(gold: Shards, completions: Shards) -> MappedShards:
    """Marks of conversions."""

    def read(row: Row, calls: list[Row]) -> Marked:
        asked = gold_of(row, ProofGold)
        outcome = read_conversion(as_problem(row), completions_of(calls))
        given = outcome.rows[0]["problem"] if isinstance(outcome, Kept) else None
        return unless_failed(outcome, mark_conversion(asked.problem, asked.convertible, given, asked.answer))

    return mark_rows("convert_proofs", read, gold, completions)


def mark_decontaminate(gold: Shards, completions: Shards) -> MappedShards:
    """Marks of verdicts on pairs, which take both orders."""
    return mark_rows("decontaminate", mark_pair, gold, completions)


def mark_judge_answers(gold: Shards, completions: Shards) -> MappedShards:
    """Marks of verdicts on answers, which take both orders: a judge that says both is wrong."""
    return mark_rows("judge_answers", mark_answer_pair, gold, completions)


def mark_summarise_solutions(gold: Shards, completions: Shards) -> MappedShards:
    """Marks of summaries: right where one of those drawn is valid, and states the solution's answer."""

    def read(row: Row, calls: list[Row]) -> Marked:
        solution = as_solution(row)
        summaries = [summary_of(solution, completion) for completion in completions_of(calls)]
        place = chosen(summaries)
        flaws = [summary.flaw for summary in summaries if summary.flaw]
        answer = None if place is None else summaries[place].result
        return mark_summary(solution["predicted_answer"], answer, flaws)

    return mark_rows("summarise_solutions", read, gold, completions)


def mark_select_solutions(gold: Shards, completions: Shards) -> MappedShards:
    """Marks of choices among candidates."""

    def read(row: Row, calls: list[Row]) -> Marked:
        right = gold_of(row, ChoiceGold).right
        if not calls:
            return mark_choice(right, None, "not_asked")
        found = selection_of(as_group(row), calls[0])
        return mark_choice(right, found["chosen"], found["why_unclear"])

    return mark_rows("select_solutions", read, gold, completions)
