"""A real model sits the exam, and takes the ten example threads all the way: nothing is lost, and its judge is stopped.

It is a model of 1.5 billion numbers, fit for little; the tables that are printed say for what. What must hold is that
the exam tells, that whatever it writes is read or counted, and that a judge that takes all problems for contaminated
removes none. Replies are kept beside the model (`calls`), so that a changed reader is tried on them without asking
again; whoever wants new ones deletes that folder.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.io import DatasetError

from omr_kedro.exam import Mark
from omr_kedro.exam.gold import FILE_OF
from omr_kedro.shards import READING_CRASHED
from tests.support.project import PROBLEMS, Project
from tests.vllm.real_server import REAL, installed, server

pytestmark = [
    pytest.mark.skipif(
        not installed(REAL), reason="needs a vLLM and a real model: make test-real-model installs them (6 GB)"
    ),
    pytest.mark.xdist_group("real model"),
]

NAME = "Qwen2.5-Coder-1.5B-Instruct"
KEPT = REAL / "calls"
ENV = "real"
SAMPLE = 6
MOST_UNREAD = 0.2
"""Share of gold rows whose reply may say nothing that can be read."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose environment serves the model, and which has the calls of earlier tests."""
    project = Project.create(tmp_path / "project")
    KEPT.mkdir(exist_ok=True)
    (project.path / "data/07_model_output").symlink_to(KEPT)
    conf = project.path / f"conf/{ENV}"
    conf.mkdir()
    for file, values in (("globals", served(project)), ("parameters", SHORT), ("runner", SEQUENTIAL)):
        (conf / f"{file}.yml").write_text(yaml.safe_dump(values))
    return project


def served(project: Project) -> dict[str, Any]:
    """The globals of an environment that starts vLLM with the model."""
    folder = project.path / "server"
    folder.mkdir()
    options: dict[str, Any] = {
        "max-model-len": 8192,
        "max-num-batched-tokens": 8192,
        "max-num-seqs": 16,
        "served-model-name": NAME,
    }
    spec = {**server(folder, **options), "path": str(folder), "log": "vllm.log"}
    spec["command"] = [str(REAL) if word == "{model}" else word for word in spec["command"]]
    del spec["folder"]
    limits = {"max_in_flight": 16, "timeout_s": 3600}
    return {
        "workspace": ENV,
        "benchmarks": "data/01_raw/example_benchmarks.jsonl",
        "tokenizer": {"name": str(REAL), "revision": None},
        "serving": {"model": {"name": NAME}, "server": spec, "constraint": "structured_outputs", "limits": limits},
    }


SEQUENTIAL = {"runner": "SequentialRunner"}
_FAILING: dict[str, Any] = {"max_failed_share": 1.0}
_WRITING = {**_FAILING, "max_tokens": 1024}
_JUDGING = {**_FAILING, "max_tokens": 64}
SHORT = {
    "retrieval": {"kind": "lexical"},
    "prepare_threads": {"shards": 4},
    **dict.fromkeys(("extract_problems", "extract_answers", "convert_proofs"), _WRITING),
    **dict.fromkeys(("summarise_cot", "select_solutions", "summarise_selections"), _WRITING),
    **dict.fromkeys(("classify_problems", "decontaminate", "judge_cot"), _JUDGING),
    "solve_cot": {**_FAILING, "max_tokens": 512, "stop_rule": {"fixed": 2}},
    "solve_tir": {"enabled": False},
}
"""Short replies, few samples, and no run that stops for a model that does badly."""


def test_the_exam_tells_for_what_a_small_model_is_unfit(project: Project) -> None:
    project.run(ENV, ["exam"], exam={"sample": SAMPLE})
    marks = project.table("exam_marks", ENV)
    assert Counter(row["stage"] for row in marks) == dict.fromkeys(FILE_OF, SAMPLE)
    assert READING_CRASHED not in {row["gold_class"] for row in marks}
    assert sum(row["mark"] == Mark.UNPARSED for row in marks) <= MOST_UNREAD * len(marks)
    verdicts = {line["stage"]: line["verdict"] for line in project.load("exam_report", ENV).to_dict("records")}
    assert verdicts["decontaminate"] != "fit"


def test_a_judge_that_finds_everything_contaminated_is_stopped_before_it_removes_a_problem(project: Project) -> None:
    with pytest.raises(DatasetError, match="removed and kept nothing"):
        project.run(ENV, PROBLEMS)
    assert not list(project.path.glob("data/*/*/decontaminate_dropped"))


def test_ten_threads_go_all_the_way_and_every_sample_has_its_place(project: Project) -> None:
    # Beside a problem that shares a word with ours the judge would leave none to solve.
    strange = {"benchmark": "strange", "benchmark_id": "1", "problem": "Πόσα μήλα έχει ο Νίκος;"}
    benchmarks = project.write_threads([strange], "strange.jsonl")
    project.run(ENV, PROBLEMS, benchmarks=benchmarks)
    assert len(project.table("threads", ENV)) == 10
    assert_few_unread(project, "funnel")

    project.run(ENV, ["solution_generation"], benchmarks=benchmarks, judge_cot={"controls": {"threshold": 0}})
    assert_few_unread(project, "solutions_funnel")
    samples = [row["solution_id"] for row in project.table("cot_samples", ENV)]
    ends = [row["solution_id"] for name in ("cot_solutions", "cot_rejected") for row in project.table(name, ENV)]
    assert sorted(ends) == sorted(samples)


def assert_few_unread(project: Project, funnel: str) -> None:
    """Few rows have failed, and none by a fault of this program; the run itself has checked that none is lost."""
    stages, reasons = project.load(funnel, ENV), project.load(f"{funnel}_reasons", ENV)
    assert READING_CRASHED not in set(reasons["reason"])
    assert stages["failed"].sum() <= MOST_UNREAD * stages["rows_in"].sum()
