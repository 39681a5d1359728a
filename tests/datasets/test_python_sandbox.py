from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kedro.io import DatasetError

from omr_kedro.datasets import PythonSandboxDataset
from omr_kedro.sandbox import Status


def test_a_sandbox_starts_with_the_first_cell_and_again_after_its_release() -> None:
    dataset = PythonSandboxDataset(isolation="none", nice=0, modules=["sympy"])
    sandbox = dataset.load()
    assert sandbox.metrics.zygotes == 0

    async def ask(text: str) -> str:
        async with sandbox.session("key") as session:
            return (await session.run(text)).stdout

    assert asyncio.run(ask("1 + 1")) == "2\n"
    assert asyncio.run(ask("2 + 2")) == "4\n", "callers come from any event loop"
    assert sandbox.metrics.zygotes == 1
    dataset.release()
    assert asyncio.run(ask("3 + 3")) == "6\n", "whoever comes late starts it again"
    dataset.release()


def test_use_of_a_sandbox_is_counted_over_all_its_starts() -> None:
    dataset = PythonSandboxDataset(isolation="none", nice=0, modules=[])
    sandbox = dataset.load()
    for code in ("1 + 1", "1 / 0", "2 + 2"):
        asyncio.run(sandbox.session("key").run(code))
        dataset.release()
    assert sandbox.metrics.zygotes == 3
    assert (sandbox.metrics.usage.cells, sandbox.metrics.usage.errors) == (3, 1)
    assert sandbox.metrics.usage.seconds > 0
    assert sandbox.metrics.usage.peak_memory_mb > 1, "sessions that were open when it was released count as well"


def test_a_session_that_outlives_its_sandbox_answers_that_it_is_closed() -> None:
    dataset = PythonSandboxDataset(isolation="none", nice=0, modules=[])
    session = dataset.load().session("key")
    assert asyncio.run(session.run("1 + 1")).status is Status.COMPLETED
    dataset.release()
    assert asyncio.run(session.run("1 + 1")).status is Status.UNAVAILABLE


def test_what_decides_answers_is_the_identity_of_a_sandbox_and_its_size_is_not() -> None:
    usual = PythonSandboxDataset().load().identity
    assert PythonSandboxDataset(cores=3, sessions=7, nice=0).load().identity == usual
    assert PythonSandboxDataset(seconds=3).load().identity != usual
    assert PythonSandboxDataset(modules=["sympy"]).load().identity != usual


@pytest.mark.parametrize(
    "settings",
    [{"seconds": 0}, {"characters": 0}, {"memory_mb": 1}, {"cores": 0}, {"nice": 20}, {"isolation": "docker"}],
)
def test_settings_under_which_no_cell_could_run_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match=next(iter(settings))):
        PythonSandboxDataset(**settings)
