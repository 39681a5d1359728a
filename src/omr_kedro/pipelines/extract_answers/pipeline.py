"""Valid problems -> problems with the answers that their threads give."""

from kedro.pipeline import Pipeline

from omr_kedro.pipelines.extract_answers.nodes import ask_extract_answers, read_extract_answers
from omr_kedro.pipelines.stages import AskingStage


def create_pipeline() -> Pipeline:
    """Ask the discussion for answers, read the replies."""
    stage = AskingStage("extract_answers")
    return Pipeline(
        [
            stage.ask(ask_extract_answers, "valid_problems", "threads"),
            stage.read(read_extract_answers, "valid_problems", kept=["answered_problems"]),
        ],
        namespace="extract_answers",
        prefix_datasets_with_namespace=False,
    )
