"""A run says in one line that its models were not examined, or are unfit; or it does not begin."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from kedro.framework.project import pipelines, settings
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog

from omr_kedro.exam import Mark, Verdict
from omr_kedro.exam.records import ExamRecord
from omr_kedro.hooks.exam_notice import Asked, NotExaminedError, exam_command, exam_notice, notice_line
from tests.support.exam import PROMPTS, STAGES, prompt_of
from tests.support.project import Project

COMMAND = "kedro run --env offline --pipelines exam"


def record(stage: str, verdict: Verdict = Verdict.FIT, model: str = "m", prompt_hash: str = "h") -> ExamRecord:
    return ExamRecord(
        stage=stage, model=model, prompt_hash=prompt_hash, verdict=verdict, balanced_accuracy=0.9, low=0.8, high=1,
        rows=1, marks={"r": ("one", Mark.RIGHT)},
    )  # fmt: skip


def test_the_line_counts_what_is_unknown_and_names_what_is_unfit() -> None:
    asked = [("extract_problems", Asked("m", "h")), ("decontaminate", Asked("m", "k")), ("judge_cot", Asked("n", "h"))]
    assert notice_line(asked, [], COMMAND) == f"3 of 3 stages ask a model that was not examined for them: {COMMAND}"
    unfit = record("decontaminate", Verdict.UNFIT, prompt_hash="k")
    records = [record("extract_problems"), unfit]
    assert notice_line(asked, records, COMMAND) == (
        f"1 of 3 stages ask a model that was not examined for them; the model is unfit for decontaminate: {COMMAND}"
    )
    assert notice_line(asked[1:2], [unfit], COMMAND) == f"The model is unfit for decontaminate: {COMMAND}"


def test_nothing_is_said_of_models_that_are_fit_or_in_doubt() -> None:
    asked = [("extract_problems", Asked("m", "h")), ("decontaminate", Asked("m", "k"))]
    assert notice_line(asked, [record("a"), record("b", Verdict.DOUBTFUL, prompt_hash="k")], COMMAND) == ""


def test_the_command_names_the_environment_and_that_parameters_matter() -> None:
    assert exam_command({"env": None}) == "kedro run --env base --pipelines exam"
    assert exam_command({"env": "demo", "runtime_params": {"model": "x"}}).endswith("exam (with the same --params)")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.create(tmp_path_factory.mktemp("exam") / "project")


@pytest.fixture(scope="module")
def catalog(project: Project) -> DataCatalog:
    bootstrap_project(project.path)
    with settings.SESSION_CLASS.create(project_path=project.path, env="offline", save_on_close=False) as session:
        found: DataCatalog = session.load_context().catalog
        return found


def test_a_run_of_problems_and_solutions_is_told_until_its_models_were_examined(
    project: Project, catalog: DataCatalog
) -> None:
    def notice(pipeline: str, **exam: Any) -> str:
        catalog["params:exam"] = exam
        return exam_notice(pipelines[pipeline], catalog, COMMAND)

    assert notice("problem_generation").startswith("11 of 11 stages ask a model")
    assert notice("judge_cot").startswith("1 of 1 stages ask a model")
    assert "stages ask a model" in notice("solution_generation")
    assert notice("exam") == notice("assess_answers") == ""
    assert notice("solve_cot") == "", "no exam knows its prompt"
    assert notice("problem_generation", before_runs="off") == notice("problem_generation", before_runs=False) == ""
    with pytest.raises(NotExaminedError, match=r"11 of 11 .*Nothing was asked.*exam\.before_runs=warn"):
        notice("problem_generation", before_runs="stop")

    for stage in STAGES:
        verdict = Verdict.UNFIT if stage == "classify_mcq" else Verdict.FIT
        write(project, record(stage, verdict, "offline-rules", PROMPTS[prompt_of(stage)].hash))
    (project.path / "data/08_reporting/offline/exam_records/half.json").write_text('{"stage": ')
    assert notice("solution_generation") == ""
    told = "The model is unfit for classify_mcq, classify_converted_mcq"
    assert notice("problem_generation") == f"{told}: {COMMAND}"


def write(project: Project, one: ExamRecord) -> None:
    folder = project.path / "data/08_reporting/offline/exam_records"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{one.name}.json").write_bytes(orjson.dumps(one.model_dump(mode="json")))
