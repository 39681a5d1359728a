from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from omr_kedro.cli import cli
from omr_kedro.hooks.terminal import show_errors_explained
from omr_kedro.runners import load_runner, make_runner
from omr_kedro.runners.errors import RunnerConfigError
from omr_kedro.shards.names import UnknownNameError
from tests.support.project import ROOT


def params_of(command: str, *words: str) -> Any:
    bootstrap_project(ROOT)
    return cli.commands[command].make_context(command, list(words)).params["params"]


@pytest.mark.parametrize("command", ["run", "estimate"])
def test_params_that_are_given_twice_are_merged_and_the_later_ones_win(command: str) -> None:
    words = ("--params=spending.money=5,model=one", "--params", "spending.total_tokens=7", "--params=model=two")
    assert params_of(command, *words) == {"spending": {"money": 5, "total_tokens": 7}, "model": "two"}
    assert params_of(command) == {}


@pytest.mark.parametrize("written", ["{model: one}", "'model=one'"])
def test_params_of_a_file_of_options_hold_where_the_command_line_has_none(tmp_path: Path, written: str) -> None:
    file = tmp_path / "options.yml"
    file.write_text(f"run:\n  params: {written}\n")
    assert params_of("run", f"--config={file}") == {"model": "one"}
    assert params_of("run", f"--config={file}", "--params=model=two") == {"model": "two"}


def test_the_former_name_of_pipelines_is_understood_without_a_warning(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    bootstrap_project(ROOT)
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(kedro_run, "callback", lambda **options: asked.append(options))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    cli.commands["run"].main(["--env", "offline", "--pipeline", "report"], standalone_mode=False)
    assert [(options["pipelines"], options["pipeline"], options["env"]) for options in asked] == [
        (["report"], None, "offline")
    ]
    assert not recwarn.list


@pytest.mark.parametrize("name", ["ParalelRunner", "no.such.Runner", "omr_kedro.runners.SessionSpec"])
def test_a_runner_that_is_none_is_answered_with_those_that_there_are(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"SequentialRunner, ThreadRunner, omr_kedro\.runners\.SlurmRunner"):
        load_runner(name)


def test_a_parameter_that_a_runner_cannot_use_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"ThreadRunner .*'max_worker'\. Did you mean max_workers\?"):
        make_runner(load_runner("ThreadRunner"), {"max_worker": 2})
    with pytest.raises(RunnerConfigError, match="ThreadRunner"):
        make_runner(load_runner("ThreadRunner"), {"max_workers": "x"})


def test_kedro_s_advice_on_nodes_is_not_said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    show_errors_explained()
    with caplog.at_level(logging.INFO):
        SequentialRunner()._suggest_resume_scenario(Pipeline([]), [], DataCatalog())
        SequentialRunner()._logger.info("other words of a runner")
    assert [record.getMessage() for record in caplog.records] == ["other words of a runner"]
