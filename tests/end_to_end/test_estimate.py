"""`kedro estimate`, as a person types it."""

from __future__ import annotations

import json

from tests.support.project import Project


def test_an_estimate_says_what_is_to_be_paid_what_that_rests_on_and_asks_nothing(project: Project) -> None:
    shown = project.kedro("estimate", "--env", "offline")
    assert shown.returncode == 0, shown.stderr
    said = " ".join(shown.stdout.replace("│", " ").split())
    assert "extract_problems 10 0 10" in said
    assert "calls counted, prompts from bytes ±15%, replies assumed (extract_problems)" in said
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
    assert refused.returncode == 1
    assert "nope" in refused.stderr
    assert "extract_problems, genselect_generation" in refused.stderr


def test_a_fresh_project_of_few_threads_is_estimated_without_embeddings_and_in_few_shards(project: Project) -> None:
    threads = project.write_threads([{"forum_post": f"Find ${n} + 1$."} for n in range(20)])
    params = f"--params=raw_threads={threads},benchmarks=data/01_raw/example_benchmarks.jsonl"
    shown = project.kedro("estimate", params)
    assert shown.returncode == 0, shown.stderr
    assert "All 4 shards of threads were looked at (20 rows)." in shown.stdout
    assert "similar_benchmarks: 3 rows for each of distinct_problems (assumed: retrieval.top_k)" in shown.stdout


def test_inputs_of_an_estimate_are_checked_before_anything_is_counted(project: Project) -> None:
    shown = project.kedro("estimate", "--params=raw_threads=nowhere.jsonl")
    assert shown.returncode == 1
    said = " ".join(shown.stderr.split())
    assert "Several things are in the way" in said
    assert "nowhere.jsonl" in said
    assert "kedro run --pipelines benchmarks" in said
    assert "Traceback" not in said


def test_a_dry_run_of_a_fresh_project_plans_from_the_number_of_threads(project: Project) -> None:
    threads = project.write_threads([{"forum_post": f"Find ${n} + 1$."} for n in range(450)])
    params = f"--params=raw_threads={threads},benchmarks=data/01_raw/example_benchmarks.jsonl,retrieval.kind=lexical"
    shown = project.kedro("run", "--runner-params=dry_run=true", params)
    assert shown.returncode == 0, shown.stderr
    said = " ".join(shown.stdout.split())
    assert "extract_problems 5 of 5 5 20 04:00:00" in said, "450 threads, 100 a shard, a task each, 4 GPUs a task"
    assert "waits for its inputs: threads" in said
    assert "submitted nothing" in said
    assert not (project.path / "data/02_intermediate/base/threads").exists()
