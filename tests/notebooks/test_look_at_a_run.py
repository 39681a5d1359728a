from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.browser import browser, new_page
from tests.support.project import ROOT, Project

NOTEBOOK = ROOT / "notebooks" / "look_at_a_run.ipynb"
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@dataclass(frozen=True)
class Looked:
    """The notebook after it ran."""

    printed: str
    page: Path


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Looked:
    """A look at a run whose threads hold markup."""
    project = Project.create(tmp_path_factory.mktemp("notebook") / "project")
    threads = (project.path / "data/01_raw/example_threads.jsonl").read_text(encoding="utf-8").splitlines()
    marked = [json.loads(line) for line in threads]
    for thread in marked:
        thread["forum_discussions"] += f"\nPost 99:\n{HOSTILE}"
        thread["problem_source"] = f"forum {HOSTILE}"
    project.write_threads(marked, "example_threads.jsonl")
    project.run()
    folder = project.path / "notebooks"
    folder.mkdir()
    shutil.copy(NOTEBOOK, folder)
    page = folder / "page.html"
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.notebook", NOTEBOOK.name, page.name],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Looked(done.stdout, page)


def test_the_notebook_runs_after_a_first_run_and_shows_what_it_promises(looked: Looked) -> None:
    of_problems = ("extract_problems", "no_problem", "has_answer_extracted", "example_threads.jsonl")
    of_solutions = ("truncated", "█", "equal_text", "samples_drawn", "unparsed_reply")
    with_code = ("completed", "novel_significant")
    of_dataset = ("additional_problems", "every problem has a solution", "<think>", "completion_tokens")
    for shown in (*of_problems, *of_solutions, *with_code, *of_dataset):
        assert shown in looked.printed, looked.printed[-3000:]


async def test_the_notebooks_page_shows_tables_and_no_text_becomes_markup(looked: Looked, tmp_path: Path) -> None:
    with browser(tmp_path) as port:
        async with new_page(port) as page:
            await page.open(looked.page.as_uri())
            await page.until_text("problems: 7 rows in 4 shards, 11 columns", HOSTILE)
            assert await page.evaluate("document.querySelectorAll('img, script').length") == 0
            assert await page.evaluate("document.title") == "A notebook"
            texts = await page.evaluate("document.querySelector('.typeset td').textContent")
            assert texts.startswith("The real numbers $x$ and $y$ satisfy")
            assert page.errors == []


def test_the_notebook_holds_no_output() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)
