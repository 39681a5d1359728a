"""Published benchmarks -> one table."""

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.benchmarks.nodes import collect_benchmarks

NAMES = (
    "math",
    "aime24",
    "aime25",
    "amc23",
    "college_math",
    "gaokao2023en",
    "gsm8k",
    "minerva_math",
    "olympiadbench",
    "omni-math",
)
"""Each has an entry `benchmark_<name>` in conf/base/catalog_benchmarks.yml."""


def create_pipeline() -> Pipeline:
    """Collect all benchmarks."""
    return Pipeline(
        [
            Node(
                collect_benchmarks,
                inputs=["params:collect_benchmarks", *(f"benchmark_{name}" for name in NAMES)],
                outputs="benchmark_table",
                name="collect_benchmarks",
            )
        ],
        namespace="benchmarks",
        prefix_datasets_with_namespace=False,
    )
