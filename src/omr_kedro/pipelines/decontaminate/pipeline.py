"""Distinct problems -> problems that no benchmark asks."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.decontaminate.nodes import (
    ask_decontaminate,
    read_judgements,
    remove_contaminated,
    retrieve_similar,
)


def create_pipeline() -> Pipeline:
    """Retrieve similar benchmark problems, judge each pair, keep what is clean."""
    return Pipeline(
        [
            Node(
                retrieve_similar,
                inputs=["distinct_problems", "benchmarks", "params:retrieval"],
                outputs="similar_benchmarks",
                name="retrieve_similar",
                tags="by_shard",
            ),
            Node(
                ask_decontaminate,
                inputs=[
                    "similar_benchmarks",
                    "distinct_problems",
                    "judge_contamination_prompt",
                    "problem_model",
                    "params:decontaminate",
                ],
                outputs="decontaminate_completions",
                name="ask_decontaminate",
                tags="gpu",
            ),
            Node(
                read_judgements,
                inputs=[
                    "similar_benchmarks",
                    "distinct_problems",
                    "decontaminate_completions",
                    "judge_contamination_prompt",
                ],
                outputs="contamination",
                name="read_judgements",
                tags="by_shard",
            ),
            Node(
                remove_contaminated,
                inputs=["distinct_problems", "contamination", "params:decontaminate"],
                outputs=["problems", "decontaminate_dropped"],
                name="remove_contaminated",
                tags="by_shard",
            ),
        ],
        namespace="decontaminate",
        prefix_datasets_with_namespace=False,
    )
