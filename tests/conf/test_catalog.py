"""Every dataset of every pipeline is in the catalog of every environment, and none by a slip."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogConfigResolver, DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import BenchmarkDataset, PromptDataset, ShardsDataset
from omr_kedro.pipeline_registry import register_pipelines
from omr_kedro.pipelines.stages import Stage, stages_of
from tests.support.project import ROOT, Project

EVERY = sum(register_pipelines().values(), start=Pipeline([]))
WITH_CODE = {"solve_tir", "solve_tir_tools"}
"""Prompts for solutions with code, of which an environment takes the one of its models' format."""
NAMES = sorted(name for name in EVERY.datasets() if not name.startswith("params:"))


@pytest.fixture(scope="module", params=["base", "demo", "offline"])
def catalog(request: pytest.FixtureRequest) -> DataCatalog:
    bootstrap_project(ROOT)
    with settings.SESSION_CLASS.create(project_path=ROOT, env=request.param, save_on_close=False) as session:
        found: DataCatalog = session.load_context().catalog
        return found


def fits(catalog: DataCatalog, name: str) -> str | None:
    """The pattern that a name is resolved by; None for one that has an entry of its own."""
    resolver = catalog.config_resolver
    return None if name in resolver.config else resolver.match_dataset_pattern(name)


def is_meant(pattern: str | None, name: str, makers: Mapping[str, Node], stages: Sequence[Stage]) -> bool:
    """Whether a name is one that the pattern is there for: as the graph tells, and not the name alone."""
    if pattern is None:
        return True
    own = name.removesuffix(pattern.rpartition("}")[2])
    maker = makers.get(name)
    match pattern:
        case "{stage}_completions" | "{stage}_cot_completions" | "{stage}_tir_completions":
            return maker is not None and maker.name.endswith(f".ask_{name.removesuffix('_completions')}")
        case "{stage}_dropped":
            stage = next((stage.name for stage in stages if stage.dropped == name), "")
            return maker is not None and (
                maker.namespace == stage or maker.name.endswith((f".read_{stage}", f".{stage}"))
            )
        case "{kind}_problems" | "{kind}_proofs":
            # One stage has kept its rows, and another one takes them up.
            return any(name in stage.kept for stage in stages) and any(name in stage.given for stage in stages)
        case "exam_{stage}_rows" | "exam_{stage}_marks":
            return maker is not None and maker.namespace == "exam"
        case "exam_{stage}_gold":
            return f"{name.removesuffix('_gold')}_rows" in makers
        case "published_{config}":
            return maker is not None and maker.name == name.replace("published", "publish.publish", 1)
        case (
            "{stage}_control_rows" | "{stage}_controls" | "{stage}_control_report"
            | "judge_{mode}_control_rows" | "judge_{mode}_controls"
        ):  # fmt: skip
            return maker is not None and maker.name.endswith(f"_{own}_controls")
        case "{stage}_prompt":
            return (ROOT / f"conf/base/prompts/{own}.yml").is_file()
    raise AssertionError(f"{name}: say here what the pattern {pattern} is there for")


def renamed(pipeline: Pipeline, node: str, old: str, new: str) -> Pipeline:
    """The pipeline with another name of a dataset in one of its nodes."""

    def copy(one: Node) -> Node:
        inputs, outputs = ([new if name == old else name for name in names] for names in (one.inputs, one.outputs))
        own_name = one.name.rpartition(".")[2]
        return Node(one.func, inputs, outputs, name=own_name, namespace=one.namespace, tags=one.tags)

    return Pipeline([copy(one) if one.name == node else one for one in pipeline.nodes])


def slips(catalog: DataCatalog, pipeline: Pipeline) -> list[str]:
    makers = {name: node for node in pipeline.nodes for name in node.outputs}
    stages = stages_of([pipeline])
    names = [name for name in pipeline.datasets() if not name.startswith("params:")]
    return sorted(name for name in names if not is_meant(fits(catalog, name), name, makers, stages))


def test_every_dataset_is_in_the_catalog_with_a_layer_and_none_lives_in_memory(catalog: DataCatalog) -> None:
    for name in NAMES:
        dataset = catalog.get(name)
        assert dataset is not None, name
        assert not isinstance(dataset, MemoryDataset), name
        metadata = getattr(dataset, "metadata", None)
        assert metadata, name
        assert metadata["kedro-viz"]["layer"], name


def test_no_two_layers_feed_each_other_or_kedro_viz_would_show_none(catalog: DataCatalog) -> None:
    layers = {name: catalog.get(name).metadata["kedro-viz"]["layer"] for name in NAMES}  # type: ignore[union-attr]
    fed_by: dict[str, set[str]] = {}
    for node in EVERY.nodes:
        given = {layers[name] for name in node.inputs if name in layers}
        for name in node.outputs:
            fed_by.setdefault(layers[name], set()).update(given - {layers[name]})
    assert [*TopologicalSorter(fed_by).static_order()][-2:] == ["reporting", "published"]


def test_every_table_has_a_folder_of_its_name_and_a_preview(catalog: DataCatalog) -> None:
    tables = {name: table for name in NAMES if isinstance(table := catalog.get(name), ShardsDataset)}
    assert len(tables) > 50
    for name, table in tables.items():
        assert table.store.folder.name == ("benchmarks" if name == "benchmark_table" else name)
        assert table.metadata is not None
        assert table.metadata["kedro-viz"]["preview_args"] == {"nrows": 5}, name


@pytest.mark.parametrize(
    ("name", "folder", "columns", "layer"),
    [
        ("classify_mcq_completions", "07_model_output", "row_id", "intermediate"),
        ("solve_cot_completions", "07_model_output", "row_id", "solutions"),
        ("classify_mcq_dropped", "08_reporting", "stage", "reporting"),
        ("valid_problems", "02_intermediate", "problem_id", "intermediate"),
        ("valid_converted_proofs", "02_intermediate", "problem_id", "intermediate"),
        ("all_problems", "03_primary", "problem_id", "intermediate"),
    ],
)
def test_a_table_of_a_pattern_lies_where_its_kind_lies(
    catalog: DataCatalog, name: str, folder: str, columns: str, layer: str
) -> None:
    table: Any = catalog.get(name)
    assert table.store.folder.parts[-3] == folder
    assert table.store.schema.names[0] == columns
    assert table.store.format == "jsonl"
    assert table.metadata["kedro-viz"]["layer"] == layer


def test_prompts_are_filled_with_the_fields_that_they_hold(catalog: DataCatalog) -> None:
    names = {*NAMES, *catalog.config_resolver.config}
    prompts = [prompt for name in names if isinstance(prompt := catalog.get(name), PromptDataset)]
    used = {Path(prompt._describe()["filepath"]).stem for prompt in prompts}
    assert {path.stem for path in (ROOT / "conf/base/prompts").iterdir()} == used | WITH_CODE
    assert len(used & WITH_CODE) == 1
    for prompt in prompts:
        prompt.check()


def test_no_dataset_fits_a_pattern_by_a_slip(catalog: DataCatalog) -> None:
    assert slips(catalog, EVERY) == []


def test_each_pattern_stands_for_something(catalog: DataCatalog) -> None:
    resolver = catalog.config_resolver
    patterns = {pattern for pattern in resolver.list_patterns() if pattern != "{default}"}
    assert {fits(catalog, name) for name in NAMES} == {None, *patterns}
    assert all(CatalogConfigResolver._pattern_specificity(pattern) >= len("_proofs") for pattern in patterns)


@pytest.mark.parametrize(
    ("node", "name", "slip"),
    [
        ("classify_problems.read_classify_binary", "open_problems", "opne_problems"),
        ("classify_problems.read_classify_mcq", "open_problems", "opne_problems"),
        ("convert_proofs.read_convert_proofs", "convert_proofs_dropped", "convert_proof_dropped"),
        ("convert_proofs.read_convert_proofs", "convert_proofs_completions", "convert_completions"),
        ("convert_proofs.ask_convert_proofs", "convert_proofs_completions", "convert_completions"),
        ("convert_proofs.ask_convert_proofs", "convert_proofs_prompt", "convert_proof_prompt"),
    ],
)
def test_a_misspelt_name_is_such_a_slip(catalog: DataCatalog, node: str, name: str, slip: str) -> None:
    assert slip in slips(catalog, renamed(EVERY, node, name, slip))


def test_each_benchmark_that_is_collected_has_an_entry_of_its_own(catalog: DataCatalog) -> None:
    names = {name for name in NAMES if isinstance(catalog.get(name), BenchmarkDataset)}
    assert names == {name for name in EVERY.datasets() if name.startswith("benchmark_")} - {
        "benchmark_table",
        "benchmark_index",
    }


def prompt_of_demo(project: Project, entry: str) -> Any:
    """The prompt of `classify_mcq` in an environment that has an entry for it."""
    (project.path / "conf/demo/catalog_prompts.yml").write_text(entry, encoding="utf-8")
    bootstrap_project(project.path)
    with settings.SESSION_CLASS.create(project_path=project.path, env="demo", save_on_close=False) as session:
        return session.load_context().catalog.get("classify_mcq_prompt")


def test_an_environment_changes_a_prompt_of_the_pattern_by_an_entry_that_is_whole(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    page = (ROOT / "docs/prompts-and-models.md").read_text(encoding="utf-8")
    (entry,) = re.findall(r"```yaml\n# conf/demo/catalog_prompts.yml\n(.*?)```", page, re.DOTALL)
    assert prompt_of_demo(project, entry)._describe()["filepath"].endswith("conf/demo/prompts/classify_mcq.yml")
    with pytest.raises(DatasetError, match="'type' is missing from dataset catalog configuration"):
        prompt_of_demo(project, "classify_mcq_prompt: {filepath: conf/demo/prompts/classify_mcq.yml}")
