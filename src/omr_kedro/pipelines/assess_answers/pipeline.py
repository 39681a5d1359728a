"""All problems -> problems whose answer, if they have one, is an answer."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.assess_answers.nodes import ASSESSED_TABLE, assess_answers, drop_faulty, summarise_quality


def create_pipeline() -> Pipeline:
    """Assess every answer, drop the problems with clear faults, count the findings."""
    return Pipeline(
        [
            Node(
                assess_answers,
                inputs=[ASSESSED_TABLE, "threads", "grading_workers", "extract_answers_prompt"],
                outputs="answer_quality",
                name="assess_answers",
                tags="by_shard",
            ),
            Node(
                drop_faulty,
                inputs=[ASSESSED_TABLE, "answer_quality", "params:assess_answers"],
                outputs=["assessed_problems", "assess_answers_dropped"],
                name="drop_faulty",
                tags="by_shard",
            ),
            Node(
                summarise_quality,
                inputs="answer_quality",
                outputs="answer_quality_summary",
                name="summarise_quality",
            ),
        ],
        namespace="assess_answers",
        prefix_datasets_with_namespace=False,
    )
