from __future__ import annotations

from omr_kedro.pipeline_registry import register_pipelines


def test_the_default_is_every_stage_in_the_order_of_making_and_then_what_tells_of_all() -> None:
    pipelines = register_pipelines()
    apart = {"raw_data", "model_preparation", "benchmarks", "exam"}
    stages = {node.name for name, stage in pipelines.items() if name not in apart for node in stage.nodes}
    assert {node.name for node in pipelines["__default__"].nodes} == stages
    problems, solutions = pipelines["problem_generation"], pipelines["solution_generation"]
    others = ("genselect_generation", "publish", "describe_dataset", "report_page")
    telling = {node for name in others for node in pipelines[name].nodes}
    assert set(pipelines["__default__"].nodes) == {*problems.nodes, *solutions.nodes, *telling}
    assert not set(problems.nodes) & set(solutions.nodes)
    assert not problems.inputs() & solutions.all_outputs(), "problems are made without solutions"


def test_the_nodes_that_ask_a_model_and_only_they_want_a_gpu() -> None:
    pipelines = register_pipelines()
    for node in pipelines["__default__"].nodes:
        assert ("gpu" in node.tags) == node.name.split(".")[1].startswith("ask_")
