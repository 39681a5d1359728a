"""The pipelines by the names that `kedro run --pipelines` takes."""

from kedro.pipeline import Pipeline

from omr_kedro.pipelines import (
    assess_answers,
    benchmarks,
    classify_converted_proofs,
    classify_problems,
    convert_proofs,
    decontaminate,
    deduplicate,
    extract_answers,
    extract_problems,
    merge_problems,
    model_preparation,
    prepare_threads,
    raw_data,
    report,
)

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


def register_pipelines() -> dict[str, Pipeline]:
    """The pipelines of preparation, each stage by itself, and `problem_generation`: all stages, and the default."""
    preparation = {name: module.create_pipeline() for name, module in _PREPARATION.items()}
    stages = {name: module.create_pipeline() for name, module in _PROBLEM_GENERATION.items()}
    parts = {**stages, "report": report.create_pipeline(stages.values())}
    problem_generation = sum(parts.values(), start=Pipeline([]))
    return {**preparation, **parts, "problem_generation": problem_generation, "__default__": problem_generation}
