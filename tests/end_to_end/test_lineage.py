"""`kedro lineage`, as a person types it."""

from __future__ import annotations

import json

import pytest

from tests.support.project import PROBLEMS, Project


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.create(tmp_path_factory.mktemp("lineage") / "project")
    project.run(pipelines=PROBLEMS)
    return project


def test_lineage_prints_calls_replies_and_decisions_into_a_pipe_whole(ran: Project) -> None:
    problem = next(row for row in ran.table("problems") if row["expected_answer"])
    shown = ran.kedro("lineage", problem["problem_id"][:12], "--env", "offline")
    assert shown.returncode == 0, shown.stderr
    said = " ".join(shown.stdout.split())
    assert " ".join(problem["problem"].split()) in said
    for row in ran.table("extract_answers_completions"):
        if row["row_id"] == problem["problem_id"]:
            assert row["call_key"] in said
            assert " ".join(row["text"].split()) in said
    assert f"{problem['problem_id']} kept in problems" in said
    assert "messages of fixed text before it: --full" in said
    full = ran.kedro("lineage", problem["problem_id"], "--env", "offline", "--full").stdout
    assert "You sort mathematics problems." in full
    assert "You sort mathematics problems." not in shown.stdout


def test_lineage_as_json_is_json_and_nothing_else(ran: Project) -> None:
    thread = ran.table("threads")[0]
    shown = ran.kedro("lineage", thread["thread_id"], "--env", "offline", "--json")
    lineage = json.loads(shown.stdout)
    assert lineage["thread"] == thread
    assert lineage["steps"][1]["calls"][0]["messages"][-1]["content"].count(thread["forum_post"].strip()) == 1


def test_an_unknown_id_is_explained_without_a_traceback(project: Project) -> None:
    failed = project.kedro("lineage", "0" * 20, "--env", "offline")
    assert failed.returncode == 1
    assert "Nothing was made yet in" in failed.stderr
    assert "Traceback" not in failed.stderr + failed.stdout
