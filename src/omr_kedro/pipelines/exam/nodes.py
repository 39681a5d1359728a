"""Gold rows, and each stage's own questions about them.

A stage is shown a gold row as a row of its input table (`views`), so that prompt and sampling are those of a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from omr_kedro.exam import ExamOptions
from omr_kedro.exam.reading import gold_rows, sampled
from omr_kedro.exam.views import as_answer, as_group, as_pair, as_problem, as_solution, as_thread, shown
from omr_kedro.llm.calls import CallPlan, Model, Prompt
from omr_kedro.pipelines.classify_problems.nodes import ask_label
from omr_kedro.pipelines.controls import JudgeOptions
from omr_kedro.pipelines.convert_proofs.nodes import ConversionOptions, ask_convert_proofs
from omr_kedro.pipelines.decontaminate.nodes import judge_pairs
from omr_kedro.pipelines.extract_answers.nodes import ask_extract_answers
from omr_kedro.pipelines.extract_problems.nodes import ask_extract_problems
from omr_kedro.pipelines.judge_answers.nodes import judge_answers
from omr_kedro.pipelines.llm_stage import CallOptions
from omr_kedro.pipelines.select_solutions.nodes import SelectionOptions, ask_select_solutions
from omr_kedro.pipelines.summarise_cot.nodes import SummaryOptions, ask_summarise_cot
from omr_kedro.shards import Row, Shards, Source, SplitShards, shard_names, split_stream


def read_gold(exam: ExamOptions, **files: Source) -> tuple[SplitShards, ...]:
    """The gold rows of each file, or a sample of them (`tables.EXAM_ROWS`), checked by the fields of their stages."""
    size = exam.sample
    return tuple(split_stream(partial(_rows, file, size), 1, [file.digest(), size]) for file in files.values())


def _rows(file: Source, sample: int | None) -> Iterator[tuple[str, Row]]:
    (shard,) = shard_names(1)
    rows = gold_rows(file)
    return ((shard, row) for row in (rows if sample is None else sampled(rows, sample)))


def ask_exam_extract_problems(gold: Shards, prompt: Prompt, model: Model, options: CallOptions) -> CallPlan:
    """Ask for the problems of each post."""
    return _exam("extract_problems", ask_extract_problems(shown(gold, as_thread), prompt, model, options))


def ask_exam_label(gold: Shards, prompt: Prompt, model: Model, options: CallOptions) -> CallPlan:
    """Ask for the label of every problem, also of those that an earlier label would have taken out of the way."""
    return _exam(prompt.name, ask_label(shown(gold, as_problem), prompt, model, options))


def ask_exam_extract_answers(gold: Shards, prompt: Prompt, model: Model, options: CallOptions) -> CallPlan:
    """Ask what each discussion answers."""
    problems, threads = shown(gold, as_problem), shown(gold, as_thread)
    return _exam("extract_answers", ask_extract_answers(problems, threads, prompt, model, options))


def ask_exam_convert_proofs(gold: Shards, prompt: Prompt, model: Model, options: ConversionOptions) -> CallPlan:
    """Ask for a question in place of each proof, also where a run makes none of them."""
    enabled = options.model_copy(update={"enabled": True})
    return _exam("convert_proofs", ask_convert_proofs(shown(gold, as_problem), prompt, model, enabled))


def ask_exam_decontaminate(gold: Shards, prompt: Prompt, model: Model, options: JudgeOptions) -> CallPlan:
    """Ask of each pair, in both orders, whether it is one problem."""
    pairs, problems = shown(gold, as_pair), shown(gold, as_problem)
    return _exam("decontaminate", judge_pairs(pairs, problems, prompt, model, options))


def ask_exam_judge_answers(gold: Shards, prompt: Prompt, model: Model, options: JudgeOptions) -> CallPlan:
    """Ask of each two answers, in both orders, whether they are one; also where computation could tell."""
    return _exam("judge_answers", judge_answers(shown(gold, as_answer), prompt, model, options, "judge_answers"))


def ask_exam_summarise_solutions(gold: Shards, prompt: Prompt, model: Model, options: SummaryOptions) -> CallPlan:
    """Draw summaries of each solution, however long it is."""
    every = options.model_copy(update={"enabled": True, "longer_than": 0})
    return _exam("summarise_solutions", ask_summarise_cot(shown(gold, as_solution), prompt, model, every))


def ask_exam_select_solutions(gold: Shards, prompt: Prompt, model: Model, options: SelectionOptions) -> CallPlan:
    """Ask which candidate of each group is the best."""
    return _exam("select_solutions", ask_select_solutions(shown(gold, as_group), prompt, model, options))


def _exam(stage: str, plan: CallPlan) -> CallPlan:
    return replace(plan, name=f"exam_{stage}")
