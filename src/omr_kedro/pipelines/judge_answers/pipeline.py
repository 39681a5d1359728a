"""Votes -> a judgement on the answer of each class of samples."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.judge_answers.nodes import ask_judge_answers, grade_answers, read_judge_answers
from omr_kedro.pipelines.stages import AskingStage, bound
from omr_kedro.solutions import Mode


def create_pipeline(mode: Mode) -> Pipeline:
    """Compare each answer with the reference, ask a judge about the rest, read what it says."""
    stage = AskingStage(f"judge_{mode}", prompt="judge_answer_prompt", model="judge_model")
    graded = f"{mode}_graded_answers"
    return Pipeline(
        [
            Node(
                grade_answers,
                inputs=[f"{mode}_votes", "grading_workers"],
                outputs=graded,
                name=f"grade_{mode}",
                tags="by_shard",
            ),
            stage.ask(bound(ask_judge_answers, stage=stage.name), graded),
            stage.read(bound(read_judge_answers, stage=stage.name), graded, kept=[f"{mode}_answers"], unit="answer"),
        ],
        namespace=stage.name,
        prefix_datasets_with_namespace=False,
    )
