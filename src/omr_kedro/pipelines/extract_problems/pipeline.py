"""Threads -> problems."""

from kedro.pipeline import Pipeline

from omr_kedro.pipelines.extract_problems.nodes import ask_extract_problems, read_extract_problems
from omr_kedro.pipelines.stages import AskingStage


def create_pipeline() -> Pipeline:
    """Ask for the problems of each post, read the replies."""
    stage = AskingStage("extract_problems")
    return Pipeline(
        [
            stage.ask(ask_extract_problems, "threads"),
            stage.read(read_extract_problems, "threads", kept=["extracted_problems"], per="thread"),
        ],
        namespace="extract_problems",
        prefix_datasets_with_namespace=False,
    )
