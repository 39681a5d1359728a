"""Samples and judgements -> the reference answer of each problem, solutions, and rejected samples."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.settle_cot.nodes import decide_reference_answers, settle_cot


def create_pipeline() -> Pipeline:
    """Decide the reference answers, and sort the samples by their verdicts."""
    return Pipeline(
        [
            Node(
                decide_reference_answers,
                inputs=["cot_votes", "cot_answers", "params:settle_cot", "params:solve_cot"],
                outputs="reference_answers",
                name="decide_reference_answers",
                tags="by_shard",
            ),
            Node(
                settle_cot,
                inputs=[
                    "cot_samples",
                    "cot_votes",
                    "cot_answers",
                    "reference_answers",
                    "solve_problems",
                    "solve_cot_completions",
                    "params:settle_cot",
                    "params:solve_cot",
                ],
                outputs=["cot_solutions", "cot_rejected"],
                name="settle_cot",
                tags=["by_shard", "of_sample"],
            ),
        ],
        namespace="settle_cot",
        prefix_datasets_with_namespace=False,
    )
