"""Valid problems -> problems with the answers that their threads give."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.extract_answers.nodes import ask_extract_answers, read_extract_answers


def create_pipeline() -> Pipeline:
    """Ask the discussion for answers, read the replies."""
    return Pipeline(
        [
            Node(
                ask_extract_answers,
                inputs=[
                    "valid_problems",
                    "threads",
                    "extract_answers_prompt",
                    "problem_model",
                    "params:extract_answers",
                ],
                outputs="extract_answers_completions",
                name="ask_extract_answers",
                tags="gpu",
            ),
            Node(
                read_extract_answers,
                inputs=["valid_problems", "extract_answers_completions", "params:extract_answers"],
                outputs=["answered_problems", "extract_answers_dropped"],
                name="read_extract_answers",
                tags="by_shard",
            ),
        ],
        namespace="extract_answers",
        prefix_datasets_with_namespace=False,
    )
