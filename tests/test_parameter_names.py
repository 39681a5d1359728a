from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import pipelines, settings
from kedro.framework.startup import bootstrap_project

from omr_kedro.parameter_names import Known, check_parameter_names, known_parameters
from omr_kedro.shards.names import UnknownNameError
from tests.support.project import Project


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    project = Project.create(tmp_path_factory.mktemp("names") / "project").path
    bootstrap_project(project)
    return of(project)


def of(project: Path) -> Known:
    return known_parameters(pipelines, conf_source=str(project / "conf"), env="demo", **settings.CONFIG_LOADER_ARGS)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"raw_treads": "a.jsonl"}, "'raw_treads'. Did you mean raw_threads"),
        ({"endpont": "http://host/v1"}, "'endpont'. Did you mean endpoint?"),
        ({"workspace": "mine"}, "'workspace'. It is a setting of conf/<env>/globals.yml"),
        ({"models": {"problm": {"endpoint": "http://host/v1"}}}, "'models.problm'. Did you mean models.problem?"),
        ({"models": {"problem": {"nam": "m"}}}, "'models.problem.nam'. Did you mean models.problem.name?"),
        ({"extract_problems": {"temperatur": 0}}, "'extract_problems.temperatur'. Did you mean extract_problems.temp"),
        ({"raw_data": {"reposts": {"fnd": True}}}, "'raw_data.reposts.fnd'. Did you mean raw_data.reposts.find?"),
        ({"spending": {"monye": 5}}, "'spending.monye'. Did you mean spending.money"),
        ({"estimate": {"smaple": 5}}, "'estimate.smaple'. Did you mean estimate.sample?"),
    ],
)
def test_a_parameter_that_nothing_reads_is_refused_with_the_one_that_was_meant(
    known: Known, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(UnknownNameError) as refused:
        check_parameter_names(given, known)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"raw_threads": "a.jsonl", "benchmarks": "b.jsonl", "endpoint": "http://host/v1", "model": "m"},
        {"models": {"problem": {"endpoint": "http://host/v1", "name": "m"}}, "requests_per_minute": None},
        {"extract_problems": {"seed": 5}},  # A field of its type that no file lists.
        {"prices": {"judge_model": {"prompt": 1}}, "estimate": {"rows": {"mine": {"rate": 1, "source": "me"}}}},
        {"grading_workers": {"workers": 2}, "forum_dump": "dump", "raw_data": {"processes": 2}},
        {"convert_proofs": {"enabled": False}, "retrieval": None},
    ],
)
def test_parameters_of_files_of_types_and_of_the_catalog_are_known(known: Known, given: dict[str, Any]) -> None:
    check_parameter_names(given, known)


def test_a_project_s_own_parameters_are_known_by_its_files_alone(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project").path
    (project / "conf/demo/parameters_mine.yml").write_text("my_stage: {width: 3, open: {}}\nother: 1\n")
    (project / "conf/demo/catalog_mine.yml").write_text(
        "mine: {type: pandas.CSVDataset, filepath: '${runtime_params:my_file}'}\n"
    )
    known = of(project)
    check_parameter_names({"my_stage": {"width": 4, "open": {"any": 1}}, "other": {"a": 1}, "my_file": "x.csv"}, known)
    with pytest.raises(UnknownNameError, match=r"my_stage\.width"):
        check_parameter_names({"my_stage": {"wdith": 4}}, known)
