"""Votes -> a judgement on the answer of each class of samples."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.judge_cot.nodes import ask_judge_cot, grade_cot, read_judge_cot
from omr_kedro.pipelines.stages import AskingStage


def create_pipeline() -> Pipeline:
    """Compare each answer with the reference, ask a judge about the rest, read what it says."""
    stage = AskingStage("judge_cot", prompt="judge_answer_prompt", model="judge_model")
    return Pipeline(
        [
            Node(
                grade_cot,
                inputs=["cot_votes", "grading_workers"],
                outputs="cot_graded_answers",
                name="grade_cot",
                tags="by_shard",
            ),
            stage.ask(ask_judge_cot, "cot_graded_answers"),
            stage.read(read_judge_cot, "cot_graded_answers", kept=["cot_answers"], unit="answer"),
        ],
        namespace="judge_cot",
        prefix_datasets_with_namespace=False,
    )
