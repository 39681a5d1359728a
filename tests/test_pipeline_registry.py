from __future__ import annotations

from omr_kedro.pipeline_registry import register_pipelines


def test_problem_generation_is_every_stage_and_the_default() -> None:
    pipelines = register_pipelines()
    before = {"raw_data", "model_preparation", "benchmarks"}
    stages = {node.name for name, stage in pipelines.items() if name not in before for node in stage.nodes}
    assert {node.name for node in pipelines["problem_generation"].nodes} == stages
    assert pipelines["__default__"] == pipelines["problem_generation"]


def test_the_nodes_that_ask_a_model_and_only_they_want_a_gpu() -> None:
    for node in register_pipelines()["__default__"].nodes:
        assert ("gpu" in node.tags) == node.name.split(".")[1].startswith("ask_")
