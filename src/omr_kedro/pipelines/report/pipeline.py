"""Every table -> the funnel."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.report.nodes import (
    STAGES,
    check_funnel,
    count_funnel,
    count_reasons,
    dropped_table,
    plot_funnel,
    tables,
)


def create_pipeline() -> Pipeline:
    """Count, check and draw the funnel."""
    return Pipeline(
        [
            Node(
                count_funnel,
                inputs={"raw": "raw_threads", **{name: name for name in tables()}},
                outputs="funnel",
                name="count_funnel",
            ),
            Node(
                count_reasons,
                inputs={dropped_table(stage): dropped_table(stage) for stage in STAGES},
                outputs="funnel_reasons",
                name="count_reasons",
            ),
            Node(check_funnel, inputs="funnel", outputs=None, name="check_funnel"),
            Node(plot_funnel, inputs="funnel", outputs="funnel_plot", name="plot_funnel"),
        ],
        namespace="report",
        prefix_datasets_with_namespace=False,
    )
