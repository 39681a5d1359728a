"""Samples and judgements -> the reference answer of each problem, solutions, and rejected samples."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.settle_solutions.nodes import (
    decide_reference_answers,
    decide_tir_reference_answers,
    settle_cot,
    settle_tir,
)
from omr_kedro.solutions import Mode


def create_pipeline(mode: Mode) -> Pipeline:
    """Decide the reference answers, and sort the samples by their verdicts."""
    nodes = {Mode.COT: _chains_of_thought, Mode.TIR: _conversations}[mode]()
    return Pipeline(nodes, namespace=f"settle_{mode}", prefix_datasets_with_namespace=False)


def _chains_of_thought() -> list[Node]:
    return [
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
    ]


def _conversations() -> list[Node]:
    return [
        Node(
            decide_tir_reference_answers,
            inputs=["tir_votes", "tir_answers", "reference_answers", "params:solve_tir"],
            outputs="tir_reference_answers",
            name="decide_tir_reference_answers",
            tags="by_shard",
        ),
        Node(
            settle_tir,
            inputs=[
                "tir_samples",
                "tir_votes",
                "tir_answers",
                "tir_reference_answers",
                "tir_problems",
                "tir_turns",
                "params:settle_tir",
                "params:solve_tir",
            ],
            outputs=["tir_solutions", "tir_rejected"],
            name="settle_tir",
            tags=["by_shard", "of_sample"],
        ),
    ]
