"""`kedro estimate`, as a person types it."""

from __future__ import annotations

import json

from tests.support.project import Project


def test_an_estimate_says_what_is_to_be_paid_what_that_rests_on_and_asks_nothing(project: Project) -> None:
    shown = project.kedro("estimate", "--env", "offline")
    assert shown.returncode == 0, shown.stderr
    said = " ".join(shown.stdout.replace("│", " ").split())
    assert "extract_problems 10 0 10" in said
    assert "counted, from bytes ±15%, assumed" in said
    assert "proofs: 0.48 rows for each of extracted_problems (assumed: 260,000 of 540,000" in said
    assert "set prices.problem_model.prompt" in said
    assert "set estimate.throughput.problem_model" in said
    assert not (project.path / "data/06_models").exists(), "no server was started"


def test_an_estimate_knows_env_parameters_and_pipelines_as_a_run_does(project: Project) -> None:
    threads = project.write_threads([{"forum_post": f"Find ${n} + 1$."} for n in range(7)])
    params = f"raw_threads={threads},prices.problem_model.prompt=1000000,prices.problem_model.completion=0"
    shown = project.kedro("estimate", "--env", "demo", "--json", "--pipelines=extract_problems", f"--params={params}")
    (stage,) = json.loads(shown.stdout)["stages"]
    assert (stage["calls"], stage["served_as"]) == (7, "nvidia/nemotron-3-super-120b-a12b")
    assert stage["money"] == stage["prompt_tokens"]
    assert stage["hours_are"] == "at 35 requests a minute"


def test_a_pipeline_that_does_not_exist_is_named_with_those_that_do(project: Project) -> None:
    refused = project.kedro("estimate", "--env", "offline", "--pipelines=nope")
    assert refused.returncode == 2
    assert "'nope' is no pipeline; there are raw_data" in refused.stderr
