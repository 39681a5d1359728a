"""The page on adding a stage, followed to the letter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.support.project import ROOT, Project

PAGE = ROOT / "docs" / "adding-a-stage.md"
_FILE = re.compile(r"```(?:yaml|python)\n# (\S+)\n(.*?)```", re.DOTALL)
_DIFF = re.compile(r"```diff\n--- (\S+)\n(.*?)```", re.DOTALL)
_BLOCK = re.compile(r"^```\w+$", re.MULTILINE)
PROBLEMS = "--pipelines=problem_generation"


def follow(page: str, project: Path) -> list[str]:
    """Write files or add to them, insert lines; returns the file of each block."""
    files, diffs = _FILE.findall(page), _DIFF.findall(page)
    for name, text in files:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n{text}" if file.tell() else text)
    for name, text in diffs:
        path = project / name
        before = "".join(line[1:] + "\n" for line in text.splitlines() if line[0] == " ")
        after = "".join(line[1:] + "\n" for line in text.splitlines())
        old = path.read_text(encoding="utf-8")
        assert old.count(before) == 1, f"{name} no longer holds, once:\n{before}"
        path.write_text(old.replace(before, after), encoding="utf-8")
    return [name for name, _ in (*files, *diffs)]


@pytest.fixture
def copy(tmp_path: Path) -> Project:
    """A project with code, tests and pages of its own."""
    project = Project.create(tmp_path / "project")
    for name in ("src/omr_kedro", "docs"):
        shutil.copytree(ROOT / name, project.path / name, ignore=shutil.ignore_patterns("*.pyc"))
    return project


def run(project: Project, *words: str) -> str:
    environment = {"PYTHONPATH": str(project.path / "src"), "OMR_VERBOSE": "1"}
    done = project.kedro("run", "--env", "offline", *words, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def python(project: Project, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(project.path / "src")}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=project.path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_page_gives_a_stage_that_runs_and_is_counted(copy: Project) -> None:
    page = PAGE.read_text(encoding="utf-8")
    run(copy, PROBLEMS)
    touched = follow(page, copy.path)
    assert len(touched) == len(_BLOCK.findall(page)) - 1, "all blocks but that of commands"
    shown = run(copy, PROBLEMS)
    assert "classify_proof_completions: up to date" in shown, "what rests on none of the new code is not made again"
    (funnel,) = re.findall(r"label_topics\W+problem\W+(\d+)\W+(\d+)", shown)
    assert funnel[0] == funnel[1] != "0", "every problem has a topic"
    topics = pd.concat(map(pd.read_parquet, (copy.path / "data/03_primary/offline/problem_topics").glob("*.parquet")))
    assert {row["problem_id"] for row in copy.table("problems")} == set(topics["problem_id"])
    assert "problem_topics: up to date" in run(copy, "--pipelines", "label_topics")

    tables = copy.path / "docs/data-model.md"
    before = tables.read_text(encoding="utf-8")
    python(copy, "docs/render_data_model.py")
    assert "| `topic` * | text | one of the prompt's choices |" in tables.read_text(encoding="utf-8")
    assert tables.read_text(encoding="utf-8") != before
    assert "passed" in python(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/pipelines")

    files = {*touched, "docs/data-model.md"}
    print(f"a new stage touches {len(files)} files:", *sorted(files), sep="\n  ")
    assert len(files) <= 8
