"""The pipelines by the names that `kedro run --pipelines` takes."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

_PROBLEM_GENERATION = (
    "prepare_threads",
    "extract_problems",
    "classify_problems",
    "extract_answers",
    "convert_proofs",
    "merge_problems",
    "decontaminate",
    "report",
)


def register_pipelines() -> dict[str, Pipeline]:
    """Each stage by itself, and `problem_generation`, which is all of them and what `kedro run` does."""
    pipelines: dict[str, Pipeline] = find_pipelines(raise_errors=True)
    problem_generation = sum((pipelines[name] for name in _PROBLEM_GENERATION), start=Pipeline([]))
    return {**pipelines, "problem_generation": problem_generation, "__default__": problem_generation}
