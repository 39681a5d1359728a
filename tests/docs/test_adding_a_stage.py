"""The page on adding a stage, followed to the letter."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.support.project import ROOT, Project

PAGE = ROOT / "docs" / "adding-a-stage.md"
_FILE = re.compile(r"```(?:yaml|python)\n# (\S+)\n(.*?)```", re.DOTALL)
_DIFF = re.compile(r"```diff\n--- (\S+)\n(.*?)```", re.DOTALL)
_BLOCK = re.compile(r"^```\w+$", re.MULTILINE)


def follow(page: str, project: Path) -> int:
    """Write files or add to them, insert lines; returns how many blocks there were."""
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
    return len(files) + len(diffs)


@pytest.fixture
def copy(tmp_path: Path) -> Project:
    """A project with code of its own."""
    project = Project.create(tmp_path / "project")
    shutil.copytree(ROOT / "src/omr_kedro", project.path / "src/omr_kedro", ignore=shutil.ignore_patterns("*.pyc"))
    return project


def run(project: Project, *words: str) -> str:
    done = project.kedro("run", "--env", "offline", *words, env={"PYTHONPATH": str(project.path / "src")})
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def test_the_page_gives_a_stage_that_runs_and_is_counted(copy: Project) -> None:
    page = PAGE.read_text(encoding="utf-8")
    run(copy)
    assert follow(page, copy.path) == len(_BLOCK.findall(page)) - 1, "all blocks but that of commands"
    shown = run(copy)
    assert "classify_proof: 0 calls" in shown, "what was paid for before is not asked again"
    (funnel,) = re.findall(r"label_topics\W+problem\W+(\d+)\W+(\d+)", shown)
    assert funnel[0] == funnel[1] != "0", "every problem has a topic"
    topics = pd.concat(map(pd.read_parquet, (copy.path / "data/03_primary/offline/problem_topics").glob("*.parquet")))
    assert {row["problem_id"] for row in copy.table("problems")} == set(topics["problem_id"])
    assert "problem_topics: up to date" in run(copy, "--pipelines", "label_topics")
