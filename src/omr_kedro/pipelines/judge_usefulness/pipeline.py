"""Solutions that compute -> those whose code was of use."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.judge_usefulness.nodes import (
    ask_judge_usefulness,
    count_fragment_votes,
    extract_fragments,
    read_judge_usefulness,
)
from omr_kedro.pipelines.stages import AskingStage


def create_pipeline() -> Pipeline:
    """Take each solution apart, let a judge vote on what its code found, keep those that found something."""
    stage = AskingStage("judge_usefulness", prompt="judge_novelty_prompt", model="judge_model")
    return Pipeline(
        [
            Node(
                extract_fragments,
                inputs=["tir_solutions", "tir_turns", "params:extract_fragments"],
                outputs=["tir_fragments", "extract_fragments_dropped"],
                name="extract_fragments",
                tags=["by_shard", "of_solution"],
            ),
            stage.ask(ask_judge_usefulness, "tir_fragments", "judge_significance_prompt"),
            Node(
                count_fragment_votes,
                inputs=["tir_fragments", stage.completions, "params:judge_usefulness"],
                outputs="tir_fragment_votes",
                name="count_fragment_votes",
                tags="by_shard",
            ),
            stage.read(
                read_judge_usefulness, "tir_fragments", "tir_fragment_votes", kept=["tir_usefulness"], unit="solution"
            ),
        ],
        namespace="judge_usefulness",
        prefix_datasets_with_namespace=False,
    )
