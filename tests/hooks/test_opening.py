"""A run says in one line what it will do, and checks whom it asks, but only where it asks somebody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.io import DatasetError

from omr_kedro.hooks.opening import _Checks
from omr_kedro.llm.calls import EndpointError
from omr_kedro.llm.engine import ModelEntry, ModelSession
from tests.support.chat_server import ChatServer, completion
from tests.support.offline import OfflineModel
from tests.support.project import Project
from tests.support.threads import make_threads


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project")


def test_a_run_opens_with_what_it_reads_asks_and_may_spend_and_a_finished_one_asks_nobody(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = project.write_threads(make_threads(3))
    one: dict[str, Any] = {"model": "mine", "pipelines": ["prepare_threads", "extract_problems"]}
    with OfflineModel(project) as model:
        project.run(endpoint=model.base_url, raw_threads=threads, spending={"total_tokens": 5_000_000}, **one)
        (first,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Reads ")]
        calls = len(model.calls)
        assert (len(model.probes), calls > 0) == (1, True)
    assert f"{threads} (3 records, " in first
    assert f"asks mine at {model.base_url}; spends 5,000,000 tokens at most; no step of earlier runs on disk." in first

    project.run(endpoint=model.base_url, raw_threads=threads, **one)  # the server is gone, and nobody misses it
    (second,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Reads ")]
    assert f"without a limit of spending; {calls} steps of earlier runs on disk." in second

    more = project.write_threads(make_threads(5), "more.jsonl")
    with pytest.raises(DatasetError, match="Nothing answers there"):
        project.run(endpoint=model.base_url, raw_threads=more, **one)


async def test_sessions_that_are_asked_alike_are_checked_once(caplog: pytest.LogCaptureFixture) -> None:
    with ChatServer(lambda _: completion("1")) as server:
        check = _Checks()
        for name in ("one", "one", "other"):
            await check(ModelSession(ModelEntry(name, server.base_url)))
        assert len(server.probes) == 2


def test_an_endpoint_that_would_answer_nothing_stops_a_run_before_any_work(project: Project) -> None:
    with OfflineModel(project, scripted=[401]) as model, pytest.raises(EndpointError, match="OMR_API_KEY"):
        project.run(endpoint=model.base_url, model="mine")
    assert not model.calls
    assert not (project.path / "data/02_intermediate").exists()


def test_one_that_is_only_busy_is_told_and_asked_all_the_same(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    threads = project.write_threads(make_threads(2))
    with OfflineModel(project, scripted=[503]) as model:
        project.run(endpoint=model.base_url, pipelines=["prepare_threads", "extract_problems"], raw_threads=threads)
        assert model.calls
    assert "has not answered a call of one token (HTTP 503" in caplog.text
