from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from kedro.runner import AbstractRunner, SequentialRunner, ThreadRunner

from omr_kedro.hooks import Preflight, RunOpening, RunSummary, StageReport, VizRecord
from omr_kedro.runners import ConfiguredRunner, SlurmRunner
from omr_kedro.runners.errors import RunnerConfigError
from omr_kedro.session import OMRSession, hooks_for
from omr_kedro.shards.names import UnknownNameError
from tests.support.project import Project


@contextmanager
def session(project: Path, env: str = "base") -> Iterator[OMRSession]:
    bootstrap_project(project)
    with settings.SESSION_CLASS.create(project_path=project, env=env, save_on_close=False) as made:
        assert isinstance(made, OMRSession)
        yield made


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Project.create(tmp_path_factory.mktemp("session") / "project").path


@pytest.mark.parametrize(
    ("env", "runner"), [("base", SlurmRunner), ("demo", SequentialRunner), ("offline", SequentialRunner)]
)
def test_the_environment_names_the_runner(project: Path, env: str, runner: type) -> None:
    with session(project, env) as made:
        assert type(made._chosen(None)) is runner
        assert type(made._chosen(ConfiguredRunner())) is runner


def test_a_runner_that_a_person_names_always_wins(project: Path) -> None:
    named = ThreadRunner()
    with session(project) as made:
        assert made._chosen(named) is named


def test_parameters_of_the_command_line_override_those_of_the_file_one_by_one(project: Path) -> None:
    given: dict[str, Any] = {"poll_s": 3, "resources": {"default": {"tasks": 2}}}
    with session(project) as made:
        for runner in (ConfiguredRunner(**given), SlurmRunner(**given)):
            chosen = made._chosen(runner)
            assert isinstance(chosen, SlurmRunner)
            assert chosen.options.poll_s == 3
            assert chosen.options.resources["default"] == {"tasks": 2, "time": "04:00:00"}
            assert chosen.options.resources["decontaminate.retrieve_similar"] == {"gpus_per_node": 1, "tasks": 2}


def test_parameters_that_a_runner_does_not_take_are_named(project: Path) -> None:
    with session(project, "demo") as made, pytest.raises(UnknownNameError, match="pol_s"):
        made._chosen(ConfiguredRunner(pol_s=3))
    with session(project) as made, pytest.raises(RunnerConfigError, match=r"pol_s.*mean poll_s\? Known: .*poll_s"):
        made._chosen(ConfiguredRunner(pol_s=3))


def test_each_environment_has_its_jobs_in_a_folder_of_its_own(project: Path) -> None:
    for env in ("base", "offline"):
        with session(project, env) as made:
            assert made.job_folder == project / "data/08_reporting" / env / "slurm"


@pytest.mark.parametrize(
    ("runner", "served_here", "summary"),
    [
        (SequentialRunner(), True, True),
        (SlurmRunner(where="here"), True, True),
        (SlurmRunner(where="slurm"), False, True),
        (SlurmRunner(where="slurm", dry_run=True), False, False),
        (SlurmRunner(where="here", dry_run=True), False, False),
    ],
    ids=["sequential", "Slurm here", "Slurm", "dry run for Slurm", "dry run here"],
)
def test_checks_and_summary_fit_where_the_runner_serves_models(
    runner: AbstractRunner, served_here: bool, summary: bool
) -> None:
    preflight, *others = hooks_for(runner, StageReport())
    assert isinstance(preflight, Preflight)
    assert preflight._served_here is served_here
    assert [type(hook) for hook in others] == ([RunOpening, StageReport, RunSummary, VizRecord] if summary else [])
