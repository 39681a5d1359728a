"""Distinct problems -> problems that no benchmark asks."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.decontaminate.nodes import (
    ask_decontaminate,
    read_judgements,
    remove_contaminated,
    retrieve_similar,
)
from omr_kedro.pipelines.decontaminate.report import check_contamination_report, report_contamination
from omr_kedro.pipelines.stages import AskingStage

PROBLEMS = "distinct_problems"
"""The table that is cleaned."""


def create_pipeline() -> Pipeline:
    """Retrieve similar benchmark problems, judge each pair, keep what is clean, report by benchmark."""
    return Pipeline(
        [
            Node(
                retrieve_similar,
                inputs=[PROBLEMS, "benchmarks", "benchmark_index", "params:retrieval"],
                outputs="similar_benchmarks",
                name="retrieve_similar",
                tags="by_shard",
            ),
            AskingStage("decontaminate", prompt="judge_contamination_prompt").ask(
                ask_decontaminate, "similar_benchmarks", PROBLEMS
            ),
            Node(
                read_judgements,
                inputs=["similar_benchmarks", PROBLEMS, "decontaminate_completions", "judge_contamination_prompt"],
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
