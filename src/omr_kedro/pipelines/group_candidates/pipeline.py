"""Solutions and wrong samples -> groups of candidates."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.group_candidates.nodes import group_candidates

JUDGED = ("cot_solutions", "cot_rejected")
"""Tables of samples with a verdict."""


def create_pipeline() -> Pipeline:
    """Put right and wrong solutions of each problem together."""
    return Pipeline(
        [
            Node(
                group_candidates,
                inputs=[
                    "solve_problems",
                    "params:group_candidates",
                    "genselect_tokenizer",
                    "cot_summaries",
                    *JUDGED,
                ],
                outputs=["candidate_groups", "group_candidates_dropped"],
                name="group_candidates",
                tags=["by_shard", "per_problem"],
            )
        ],
        namespace="group_candidates",
        prefix_datasets_with_namespace=False,
    )
