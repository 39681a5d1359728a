"""Votes -> a judgement on the answer of each class of samples."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.judge_answers.nodes import (
    ask_judge_answers,
    grade_answers,
    mark_answer_pair,
    needs_judge,
    read_judge_answers,
)
from omr_kedro.pipelines.judging_stage import JudgingStage
from omr_kedro.pipelines.stages import bound
from omr_kedro.solutions import Mode


def create_pipeline(mode: Mode) -> Pipeline:
    """Compare each answer with the reference, ask a judge about the rest and some controls, read what it says."""
    stage = JudgingStage(f"judge_{mode}", prompt="judge_answer_prompt", model="judge_model", gold="judge_answers")
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
            stage.draw(needs_judge, graded),
            stage.ask(bound(ask_judge_answers, stage=stage.name), graded),
            *stage.check(mark_answer_pair),
            stage.read(bound(read_judge_answers, stage=stage.name), graded, kept=[f"{mode}_answers"], unit="answer"),
        ],
        namespace=stage.name,
        prefix_datasets_with_namespace=False,
    )
