"""The pipelines by the names that `kedro run --pipelines` takes."""

from collections.abc import Callable
from functools import partial

from kedro.pipeline import Pipeline

from omr_kedro.pipelines import (
    assess_answers,
    benchmarks,
    classify_converted_proofs,
    classify_problems,
    convert_proofs,
    decontaminate,
    deduplicate,
    exam,
    extract_answers,
    extract_problems,
    group_candidates,
    judge_answers,
    judge_usefulness,
    merge_problems,
    model_preparation,
    prepare_threads,
    publish,
    raw_data,
    report,
    select_solutions,
    settle_solutions,
    solve_cot,
    solve_tir,
    split_problems,
    summarise_cot,
    summarise_selections,
)
from omr_kedro.solutions import Mode

_PREPARATION = {"raw_data": raw_data, "model_preparation": model_preparation, "benchmarks": benchmarks}

# In the order of the funnel. Named one by one: Kedro's `find_pipelines` imports only what was asked for by name, and so
# finds no part of a sum.
_PROBLEM_GENERATION = {
    "prepare_threads": prepare_threads,
    "extract_problems": extract_problems,
    "classify_problems": classify_problems,
    "extract_answers": extract_answers,
    "convert_proofs": convert_proofs,
    "classify_converted_proofs": classify_converted_proofs,
    "merge_problems": merge_problems,
    "assess_answers": assess_answers,
    "deduplicate": deduplicate,
    "decontaminate": decontaminate,
}
_SOLUTION_GENERATION: dict[str, Callable[[], Pipeline]] = {
    "split_problems": split_problems.create_pipeline,
    "solve_cot": solve_cot.create_pipeline,
    "judge_cot": partial(judge_answers.create_pipeline, Mode.COT),
    "settle_cot": partial(settle_solutions.create_pipeline, Mode.COT),
    "summarise_cot": summarise_cot.create_pipeline,
    "solve_tir": solve_tir.create_pipeline,
    "judge_tir": partial(judge_answers.create_pipeline, Mode.TIR),
    "settle_tir": partial(settle_solutions.create_pipeline, Mode.TIR),
    "judge_usefulness": judge_usefulness.create_pipeline,
}
_GENSELECT_GENERATION = {
    "group_candidates": group_candidates,
    "select_solutions": select_solutions,
    "summarise_selections": summarise_selections,
}

_MODES = ("cot", "tir", "genselect")
"""Kinds of solutions that are published."""


def register_pipelines() -> dict[str, Pipeline]:
    """The pipelines of preparation, each stage by itself, the exam of the models, and the sums of stages.

    `problem_generation` makes problems of threads, `solution_generation` makes solutions of problems, `publish` makes a
    dataset of both; the default is all three.
    `genselect_generation` makes comparisons of solutions.
    """
    preparation = {name: module.create_pipeline() for name, module in _PREPARATION.items()}
    problems = {name: module.create_pipeline() for name, module in _PROBLEM_GENERATION.items()}
    problems["report"] = report.create_pipeline(problems.values())
    solutions = {name: create_pipeline() for name, create_pipeline in _SOLUTION_GENERATION.items()}
    solutions["solutions_report"] = report.create_pipeline(solutions.values(), prefix="solutions_")
    comparisons = {name: module.create_pipeline() for name, module in _GENSELECT_GENERATION.items()}
    comparisons["genselect_report"] = report.create_pipeline(comparisons.values(), prefix="genselect_")
    problem_generation = sum(problems.values(), start=Pipeline([]))
    solution_generation = sum(solutions.values(), start=Pipeline([]))
    publishing = publish.create_pipeline(_MODES)
    return {
        **preparation,
        **problems,
        **solutions,
        "exam": exam.create_pipeline(),
        **comparisons,
        "problem_generation": problem_generation,
        "solution_generation": solution_generation,
        "genselect_generation": sum(comparisons.values(), start=Pipeline([])),
        "publish": publishing,
        "__default__": problem_generation + solution_generation + publishing,
    }
