"""Checks before any work: a machine that can run no code is told at once, and not after the first paid turn."""

from __future__ import annotations

from importlib import import_module

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import PythonSandboxDataset
from omr_kedro.hooks import Preflight
from omr_kedro.pipelines.solve_tir.nodes import ToolOptions
from omr_kedro.sandbox import Isolation, Report, SandboxRefusedError

REFUSED = {"namespaces": "unshare: Operation not permitted", "landlock": "landlock: Function not implemented"}
WAY_OUT = "--params=solve_tir.enabled=false"


def begin(isolation: Isolation = "auto", *, enabled: bool = True, served_here: bool = True) -> None:
    """The checks of a run whose one stage has code run."""
    datasets = {
        "sandbox": PythonSandboxDataset(isolation=isolation),
        "params:solve_tir": MemoryDataset(ToolOptions(enabled=enabled)),
    }
    asking = Node(lambda sandbox, options: sandbox, ["sandbox", "params:solve_tir"], "done", name="ask_solve_tir")
    Preflight(served_here=served_here).before_pipeline_run(Pipeline([asking]), DataCatalog(datasets))


@pytest.fixture
def without_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("omr_kedro.sandbox.probe"), "probe", lambda _: Report(REFUSED))


@pytest.mark.usefixtures("without_walls")
def test_a_machine_that_refuses_isolation_stops_the_run_and_names_the_ways_out() -> None:
    with pytest.raises(SandboxRefusedError) as refused:
        begin()
    for words in ("unshare: Operation not permitted", "landlock: Function not implemented", WAY_OUT):
        assert words in str(refused.value)


@pytest.mark.usefixtures("without_walls")
def test_it_may_run_what_needs_no_walls_here() -> None:
    begin("none")
    begin(enabled=False)
    begin(served_here=False)


def test_another_system_than_linux_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    for isolation in ("auto", "none"):
        with pytest.raises(SandboxRefusedError, match=f"needs Linux, and this is macOS.*{WAY_OUT}"):
            begin(isolation)
    begin(enabled=False)
