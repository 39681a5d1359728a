from __future__ import annotations

from pathlib import Path

from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from kedro.io import MemoryDataset
from kedro.pipeline import Pipeline

from omr_kedro.pipeline_registry import register_pipelines
from tests.support.project import ROOT


def test_problem_generation_is_every_stage_and_the_default() -> None:
    pipelines = register_pipelines()
    before = {"raw_data", "model_preparation", "benchmarks"}
    stages = {node.name for name, stage in pipelines.items() if name not in before for node in stage.nodes}
    assert {node.name for node in pipelines["problem_generation"].nodes} == stages
    assert pipelines["__default__"] == pipelines["problem_generation"]


def test_the_nodes_that_ask_a_model_and_only_they_want_a_gpu() -> None:
    for node in register_pipelines()["__default__"].nodes:
        assert ("gpu" in node.tags) == node.name.split(".")[1].startswith("ask_")


def test_every_dataset_is_in_the_catalog_with_a_layer_and_none_lives_in_memory() -> None:
    bootstrap_project(Path(ROOT))
    with settings.SESSION_CLASS.create(project_path=ROOT, env="base", save_on_close=False) as session:
        catalog = session.load_context().catalog
        for name in sum(register_pipelines().values(), start=Pipeline([])).datasets():
            if not name.startswith("params:"):
                dataset = catalog.get(name)
                assert dataset is not None, name
                assert not isinstance(dataset, MemoryDataset), name
                assert dataset.metadata["kedro-viz"]["layer"], name
