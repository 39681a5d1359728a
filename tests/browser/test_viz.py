"""A run in Kedro-Viz, seen in a real browser: the whole graph, a stage, previews, the workflow view."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import randrange
from urllib.request import urlopen

import pytest

from tests.support.browser import Page, browser, new_page
from tests.support.project import Project
from tests.support.waiting import PATIENCE_S, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with browser(tmp_path_factory.mktemp("browser")) as port:
        yield port


@pytest.fixture(scope="module")
def viz(chromium: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Kedro-Viz after a run."""
    project = Project.create(tmp_path_factory.mktemp("viz") / "project")
    project.run()
    port = next(filter(_free, iter(partial(randrange, 20_000, 49_000), None)))  # it takes none above
    command = ["viz", "run", "--env", "offline", "--no-browser", "--host", "127.0.0.1", "--port", str(port)]
    kedro = Path(sys.executable).with_name("kedro")
    with (project.path / "viz.log").open("wb") as log:
        # Kedro-Viz serves from a process of its own, which its parent does not take along.
        process = subprocess.Popen(
            [str(kedro), *command], cwd=project.path, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until(lambda: process.poll() is not None or _answers(port), 2 * PATIENCE_S, every_s=0.2)
        assert process.poll() is None, (project.path / "viz.log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/run-status", timeout=PATIENCE_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def drawn(page: Page) -> set[str]:
    """The names of all that the graph shows."""
    names = await page.evaluate("[...document.querySelectorAll('.pipeline-node')].map(node => node.textContent)")
    return set(names)


async def test_the_graph_shows_stages_tables_and_layers_and_what_is_in_them(chromium: int, viz: str) -> None:
    async with new_page(chromium) as page:
        await page.open(viz)
        await page.until("document.querySelectorAll('.pipeline-node').length > 50")
        assert {"extract_problems", "decontaminate", "raw_threads", "problem_model"} <= await drawn(page)
        assert {"solve_cot", "settle_cot", "cot_model", "cot_solutions", "solutions_funnel_plot"} <= await drawn(page)
        assert {"solve_tir", "settle_tir", "tir_model", "python_sandbox", "tir_solutions"} <= await drawn(page)
        layers = await page.evaluate("[...document.querySelectorAll('.pipeline-layer-name')].map(e => e.textContent)")
        assert {"raw", "prompts", "models", "intermediate", "primary", "solutions", "reporting"} <= set(layers)

        await page.click(".pipeline-node", "problem_model")
        await page.until_text('"model":"offline-rules"', '"max_in_flight":16')

        await page.open(f"{viz}/?pid=__default__&sn=distinct_problems")
        await page.until_text("Dataset statistics:", "file size", "expected_answer")
        cells = await page.evaluate(
            "[...document.querySelectorAll('.pipeline-metadata tr')].slice(0, 2).map(row => row.innerText)"
        )
        assert cells[0].startswith("problem\texpected_answer\t")
        assert cells[1].startswith("The real numbers $x$ and $y$ satisfy")
        assert page.errors == []


async def test_a_stage_is_shown_alone(chromium: int, viz: str) -> None:
    async with new_page(chromium) as page:
        await page.open(f"{viz}/?pid=classify_problems")
        await page.until("document.querySelectorAll('.pipeline-node').length > 5")
        shown = await drawn(page)
        assert {"extracted_problems", "classify_problems", "proofs", "valid_problems"} <= shown
        assert "decontaminate" not in shown
        assert page.errors == []


async def test_the_workflow_shows_that_every_node_went_through_and_how_large_tables_are(
    chromium: int, viz: str
) -> None:
    async with new_page(chromium) as page:
        await page.open(f"{viz}/workflow")
        await page.until_text("Run execution completed successfully")
        await page.until("document.querySelectorAll('.pipeline-node--task').length > 30")
        of_nodes = await page.evaluate(
            "[...document.querySelectorAll('.pipeline-node--task')].map(node => node.getAttribute('class'))"
        )
        assert all("status-success" in classes for classes in of_nodes)
        unseen = await page.evaluate(
            "[...document.querySelectorAll('.pipeline-node--data:not([class*=status-success])')]"
            ".map(node => node.textContent)"
        )
        assert unseen == []
        sizes = await page.evaluate("document.querySelector('[data-node-fullname=extracted_problems]').textContent")
        assert "KB" in sizes
        assert page.errors == []
