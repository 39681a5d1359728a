"""Replies that a model has no room for are refused before anything is paid for."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.support.offline import OfflineModel
from tests.support.project import PROBLEMS, Project


def limit_context(project: Project, tokens: int) -> None:
    path = project.path / "conf/offline/globals.yml"
    config = yaml.safe_load(path.read_text())
    config["serving"]["model"]["context_tokens"] = tokens
    path.write_text(yaml.safe_dump(config))


def test_all_stages_that_ask_for_too_much_are_named_before_any_work(project: Project) -> None:
    limit_context(project, 4096)
    refused = project.kedro("run", "--env", "offline")
    assert refused.returncode == 1
    for stage in ("extract_problems", "extract_answers", "convert_proofs"):
        assert f"{stage}.max_tokens allows replies of" in refused.stderr
    assert "do not fit into the context of problem_model (offline-rules, 4,096 tokens)" in refused.stderr
    assert "classify_problems.max_tokens" not in refused.stderr, "its short replies have room"
    assert "Traceback" not in refused.stdout + refused.stderr
    assert not (project.path / "data/02_intermediate").exists()


def test_of_another_model_elsewhere_no_context_is_known(project: Project) -> None:
    limit_context(project, 4096)
    with OfflineModel(project) as model:
        project.run(pipelines=PROBLEMS, endpoint=model.base_url, model="mine")
        assert model.asked


def test_a_run_whose_replies_have_room_goes_on(project: Project, tmp_path: Path) -> None:
    limit_context(project, 16384)
    project.run(pipelines=["prepare_threads", "extract_problems"])
    assert project.table("extracted_problems")
