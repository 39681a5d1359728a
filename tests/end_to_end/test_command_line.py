"""Commands as a person types them, and what the screen shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.support.offline import OfflineModel
from tests.support.project import PROBLEMS, Project
from tests.support.waiting import PATIENCE_S

SECRET = "nvapi-" + "x1Y2z3" * 8


def everything_written(folder: Path) -> str:
    return "\n".join(path.read_text("utf-8", "replace") for path in folder.rglob("*") if path.is_file())


def test_the_offline_run_ends_with_the_funnel_the_results_and_a_word_on_its_model(project: Project) -> None:
    done = project.kedro("run", "--env", "offline")
    assert done.returncode == 0, done.stderr
    assert "Funnel of problems: rows in = kept + dropped + failed" in done.stdout
    assert re.search(r"In data/03_primary/offline:\n +clean problems with answers: +problems\n", done.stdout)
    assert "no language model" not in done.stderr
    assert "simple rules in place of a language model" in done.stdout
    funnel = pd.read_csv(project.path / "data/08_reporting/offline/funnel.csv")
    assert (funnel["rows_in"] == funnel["kept"] + funnel["dropped"] + funnel["failed"]).all()
    assert {row["model"] for row in project.table("problems")} == {"offline-rules"}


def test_a_run_of_one_stage_ends_with_what_it_made_and_where(project: Project) -> None:
    project.run(pipelines=PROBLEMS)
    done = project.kedro("run", "--env", "offline", "--pipelines", "extract_problems")
    assert done.returncode == 0, done.stderr
    problems = len(project.table("extracted_problems"))
    assert f"extracted_problems {problems} rows data/02_intermediate/offline/extracted_problems" in " ".join(
        done.stdout.split()
    )


def test_a_stage_whose_input_was_never_made_says_so_in_a_sentence(project: Project) -> None:
    done = project.kedro("run", "--env", "offline", "--pipelines", "extract_problems")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "--from-nodes" not in done.stdout + done.stderr, "the same command resumes"
    assert "offline/threads is not there, or was not finished. Run the pipeline that makes it" in done.stderr
    assert "Repeat the previous command" not in done.stdout + done.stderr, "Kedro's own advice, where ours is better"


def test_a_run_whose_reader_is_gone_goes_on_to_its_end(project: Project) -> None:
    kedro = Path(sys.executable).with_name("kedro")
    words = (
        f"{kedro} run --env offline --pipelines=problem_generation 2> errors.txt | head -c 1; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", words], cwd=project.path, check=False, timeout=4 * PATIENCE_S)
    assert done.returncode == 0, (project.path / "errors.txt").read_text()
    assert project.table("problems")


def test_converted_proofs_can_be_switched_off_and_are_accounted_for_all_the_same(project: Project) -> None:
    done = project.kedro(
        "run", "--env", "offline", "--pipelines=problem_generation", "--params=convert_proofs.enabled=false"
    )
    assert done.returncode == 0, done.stderr
    assert project.table("convert_proofs_completions") == []
    proofs = {row["problem_id"] for row in project.table("proofs")}
    assert {row["row_id"] for row in project.table("convert_proofs_dropped")} == proofs != set()
    assert {row["reason"] for row in project.table("convert_proofs_dropped")} == {"proofs_switched_off"}
    assert "converted_proof" not in {row["problem_type"] for row in project.table("problems")}


def test_the_offline_run_assesses_every_answer(project: Project) -> None:
    project.run(pipelines=PROBLEMS)
    quality = {row["problem_id"]: row for row in project.table("answer_quality")}
    assert set(quality) == {row["problem_id"] for row in project.table("all_problems")}
    assert {row["answer_parses"] for row in quality.values() if row["expected_answer"]} == {"yes"}
    # The thread about books and shelves has a wrong answer that is corrected.
    assert [row["expected_answer"] for row in quality.values() if row["disagreeing_posts"]] == ["21"]
    summary = pd.read_csv(project.path / "data/08_reporting/offline/answer_quality_summary.csv")
    assert {"answered", "clean", "agreed", "disputed"} <= set(summary["finding"])


def test_a_second_offline_run_starts_no_server(project: Project) -> None:
    project.kedro("run", "--env", "offline", "--pipelines=problem_generation")
    log = project.path / "data/06_models/problem-offline-server.log"
    log.unlink()
    again = project.kedro("run", "--env", "offline", "--pipelines=problem_generation")
    assert again.returncode == 0
    assert not log.exists()


def test_demo_without_a_key_says_so_before_any_work(project: Project) -> None:
    refused = project.kedro("run", "--env", "demo")
    assert refused.returncode == 1
    for word in ("NVIDIA_API_KEY", "https://build.nvidia.com", "--env offline"):
        assert word in refused.stderr
    assert "Traceback" not in refused.stderr + refused.stdout
    assert not (project.path / "data/02_intermediate").exists()


def test_a_machine_without_gpu_is_told_what_else_it_can_do(project: Project) -> None:
    # A machine with Slurm would submit jobs.
    refused = project.kedro("run", "--pipelines", "problem_generation", "--runner-params=where=here")
    assert refused.returncode == 1
    for word in ("vllm", "--env demo", "--env offline", "--params=endpoint="):
        assert word in refused.stderr


def test_one_setting_points_demo_at_another_endpoint_which_never_sees_the_key(project: Project) -> None:
    with OfflineModel(project) as model:
        params = f"endpoint={model.base_url},model=mine"
        words = ("run", "--env", "demo", "--pipelines=problem_generation", f"--params={params}")
        done = project.kedro(*words, env={"NVIDIA_API_KEY": SECRET})
    assert done.returncode == 0, done.stderr
    assert {call.authorization for call in model.calls} == {None}
    assert {row["model"] for row in project.table("problems", "demo")} == {"mine"}


def test_the_key_of_another_endpoint_is_sent_and_written_nowhere(project: Project) -> None:
    with OfflineModel(project, scripted=[400] * 1000) as model:
        params = f"endpoint={model.base_url},model=mine"
        failed = project.kedro("run", "--env", "demo", f"--params={params}", env={"OMR_API_KEY": SECRET})
    assert failed.returncode == 1
    assert {call.authorization for call in model.calls} == {f"Bearer {SECRET}"}
    assert SECRET not in failed.stdout + failed.stderr + everything_written(project.path)


def test_check_shows_each_thing_that_a_run_needs_and_never_a_key(project: Project) -> None:
    with OfflineModel(project) as model:
        words = ("check", "--env", "demo", f"--params=endpoint={model.base_url}", "--params=model=mine")
        done = project.kedro(*words, env={"OMR_API_KEY": SECRET})
    assert done.returncode == 0, done.stderr
    others_than_problem = ("cot", "judge", "tir", "summary", "genselect")
    first, *others = [" ".join(line.split()) for line in done.stdout.splitlines() if "_model" in line]
    assert first.startswith(f"ok problem_model mine at {model.base_url} answered a call of one token in ")
    assert others == [f"ok {name}_model the same model as problem_model" for name in others_than_problem]
    assert [call.authorization for call in model.probes] == [f"Bearer {SECRET}"]
    shown = {name: told for name, *told in (line.split() for line in done.stdout.splitlines()) if name != "ok"}
    assert shown["OMR_API_KEY"] == ["set"]
    assert shown["NVIDIA_API_KEY"] == ["not", "set"]
    assert {"Slurm", "vLLM", "GPU"} <= set(shown)
    assert SECRET not in done.stdout + done.stderr

    gone = project.kedro(*words)
    assert gone.returncode == 1
    assert "Nothing answers there" in gone.stdout
    assert "Traceback" not in gone.stdout + gone.stderr


def test_a_retired_model_is_an_error_that_says_which_setting_to_change(project: Project) -> None:
    with OfflineModel(project, scripted=[410]) as model:
        failed = project.kedro("run", "--env", "demo", f"--params=endpoint={model.base_url},model=old")
    assert failed.returncode == 1
    assert "does not serve the model 'old'" in failed.stderr
    assert "models.problem.name" in failed.stderr
    assert "globals.yml" in failed.stderr


@pytest.mark.slow
def test_viz_builds_for_demo_without_a_key_and_shows_stages_layers_and_previews(project: Project) -> None:
    project.kedro("run", "--env", "offline")
    built = project.kedro("viz", "build", "--include-previews", env={"KEDRO_ENV": "offline"})
    assert built.returncode == 0, built.stderr
    assert project.kedro("viz", "build", env={"KEDRO_ENV": "demo"}).returncode == 0
    graph = json.loads((project.path / "build/api/main").read_text())
    assert {
        "raw",
        "prompts",
        "models",
        "resources",
        "intermediate",
        "primary",
        "solutions",
        "reporting",
        "published",
    } == set(graph["layers"])
    assert {
        "extract_problems",
        "classify_problems",
        "extract_answers",
        "convert_proofs",
        "assess_answers",
        "decontaminate",
        *("split_problems", "solve_cot", "judge_cot", "settle_cot", "summarise_cot", "solutions_report"),
    } <= set(graph["modular_pipelines"])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"forum_post": "Find x"', "threads.jsonl:2: malformed JSON"),
        ('{"forum_discussions": "no post"}', "threads.jsonl:2: the field 'forum_post' is missing"),
        ('{"forum_post": 5}', "threads.jsonl:2: the field 'forum_post' must be text, this is a int"),
        ('{"forum_post": "a\\u0000b"}', "threads.jsonl:2: the field 'forum_post' holds a NUL character"),
        ('{"forum_post": "a\\ud800b"}', "threads.jsonl:2: holds half of a surrogate pair"),
        (
            '{"forum_post": "' + "x" * 5_000_000 + '"}',
            "threads.jsonl:2: the field 'forum_post' has 5,000,000 characters",
        ),
    ],
)
def test_bad_input_stops_the_run_before_any_call_and_names_file_and_line(
    project: Project, content: str, complaint: str
) -> None:
    path = project.path / "threads.jsonl"
    path.write_text('{"forum_post": "Find the value of $2 + 3$."}\n' + content + "\n")
    with OfflineModel(project) as model:
        stopped = project.kedro("run", "--env", "offline", f"--params=endpoint={model.base_url},raw_threads={path}")
    assert stopped.returncode == 1
    assert complaint in stopped.stderr
    assert "Traceback" not in stopped.stderr + stopped.stdout
    assert not model.calls


def test_an_empty_file_is_named(project: Project) -> None:
    path = project.path / "threads.jsonl"
    path.touch()
    stopped = project.kedro("run", "--env", "offline", f"--params=raw_threads={path}")
    assert stopped.returncode == 1
    assert f"{path} is empty" in stopped.stderr


def test_bad_input_loses_nothing_that_was_paid_for(project: Project) -> None:
    path = project.path / "threads.jsonl"
    good = '{"forum_post": "Find the value of $2 + 3$."}\n'
    with OfflineModel(project) as model:
        params = f"--params=endpoint={model.base_url},raw_threads={path}"
        path.write_text(good)
        assert project.kedro("run", "--env", "offline", "--pipelines=problem_generation", params).returncode == 0
        calls = len(model.asked)
        path.write_text(good + "{\n")
        assert project.kedro("run", "--env", "offline", "--pipelines=problem_generation", params).returncode == 1
        path.write_text(good)
        assert project.kedro("run", "--env", "offline", "--pipelines=problem_generation", params).returncode == 0
        assert len(model.asked) == calls


def test_a_broken_prompt_stops_the_run_before_any_call(project: Project) -> None:
    path = project.path / "conf/base/prompts/judge_contamination.yml"
    path.write_text(path.read_text().replace("{{benchmark_problem}}", "{{other_problem}}"))
    with OfflineModel(project) as model:
        stopped = project.kedro("run", "--env", "offline", f"--params=endpoint={model.base_url}")
    assert stopped.returncode == 1
    assert "judge_contamination" in stopped.stderr
    assert not model.calls


def test_a_parameter_out_of_range_is_named_without_a_traceback(project: Project) -> None:
    stopped = project.kedro("run", "--env", "offline", "--params=extract_problems.temperature=9")
    assert stopped.returncode == 1
    assert "temperature" in stopped.stderr
    assert "Traceback" not in stopped.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--env", "offlne"], "There is no environment 'offlne'. Did you mean offline?"),
        (["run", "--env", "offline", "--runner", "ParallelRunner"], "ParallelRunner cannot run this project"),
        (["run", "--env", "offline", "--pipeline", "extract_problms"], "no pipeline 'extract_problms'. Did you mean"),
        (
            ["run", "--env", "demo", "--params=endpoint=http://127.0.0.1:9/v1", "--params=raw_treads=mine.jsonl"],
            "There is no parameter 'raw_treads'. Did you mean raw_threads",
        ),
        (["estimate", "--env", "offlne"], "There is no environment 'offlne'. Did you mean offline?"),
    ],
)
def test_a_typing_error_is_answered_with_one_sentence_before_any_work(
    project: Project, words: list[str], told: str
) -> None:
    stopped = project.kedro(*words)
    assert stopped.returncode == 1
    assert stopped.stderr.startswith("\nStopped. ")
    assert told in stopped.stderr
    assert stopped.stderr.count("\n") == 2
    assert stopped.stdout == ""
    assert not (project.path / "data/02_intermediate").exists()


def test_a_changed_number_of_shards_is_refused_and_loses_nothing(project: Project) -> None:
    assert project.kedro("run", "--env", "offline", "--pipelines=problem_generation").returncode == 0
    before = project.final_tables()
    stopped = project.kedro("run", "--env", "offline", "--params=prepare_threads.shards=7")
    assert stopped.returncode == 1
    assert "but this run makes shard-00000-of-00007" in stopped.stderr
    assert project.final_tables() == before
