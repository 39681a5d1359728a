"""Distinct problems -> problems that no benchmark asks."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.decontaminate.nodes import (
    ask_decontaminate,
    mark_pair,
    needs_judge,
    read_judgements,
    remove_contaminated,
    retrieve_similar,
)
from omr_kedro.pipelines.decontaminate.report import check_contamination_report, report_contamination
from omr_kedro.pipelines.judging_stage import JudgingStage

PROBLEMS = "distinct_problems"
"""The table that is cleaned."""


def create_pipeline() -> Pipeline:
    """Retrieve similar benchmark problems, judge each pair among controls, keep what is clean, report."""
    stage = JudgingStage("decontaminate", prompt="judge_contamination_prompt", gold="decontaminate")
    return Pipeline(
        [
            Node(
                retrieve_similar,
                inputs=[PROBLEMS, "benchmarks", "benchmark_index", "params:retrieval"],
                outputs="similar_benchmarks",
                name="retrieve_similar",
                tags="by_shard",
            ),
            stage.draw(needs_judge, "similar_benchmarks"),
            stage.ask(ask_decontaminate, "similar_benchmarks", PROBLEMS),
            *stage.check(mark_pair),
            Node(
                read_judgements,
                inputs=stage.inputs(read_judgements, ["similar_benchmarks", PROBLEMS]),
                outputs=["contamination", "contaminated_pairs", "contamination_review"],
                name="read_judgements",
                tags="by_shard",
            ),
            Node(
                remove_contaminated,
                inputs=[PROBLEMS, "contamination", "params:decontaminate"],
                outputs=["problems", "decontaminate_dropped"],
                name="remove_contaminated",
                tags="by_shard",
            ),
            Node(
                report_contamination,
                inputs=["contamination", "benchmarks"],
                outputs="contamination_report",
                name="report_contamination",
            ),
            Node(
                check_contamination_report,
                inputs=["contamination_report", PROBLEMS, "problems", "decontaminate_dropped", "contamination"],
                outputs=None,
                name="check_contamination_report",
            ),
        ],
        namespace="decontaminate",
        prefix_datasets_with_namespace=False,
    )
