"""The lineage of rows of a real run, without a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kedro.framework.project import pipelines, settings
from kedro.framework.startup import bootstrap_project

from omr_kedro.lineage import Lineage, UnknownIdError, calls, trace
from omr_kedro.lineage.project_tables import ProjectTables
from omr_kedro.pipeline_registry import register_pipelines
from omr_kedro.pipelines.stages import stages_of
from omr_kedro.shards import TableStore
from tests.support.offline import OfflineModel
from tests.support.project import Project
from tests.support.threads import make_threads

STAGES = stages_of(register_pipelines().values())


@contextmanager
def tables_of(project: Project) -> Iterator[ProjectTables]:
    bootstrap_project(project.path)
    with settings.SESSION_CLASS.create(project_path=project.path, env="offline", save_on_close=False) as session:
        yield ProjectTables(pipelines.values(), session.load_context().catalog)


def traced(project: Project, given: str) -> Lineage:
    with tables_of(project) as tables:
        return trace(tables, given)


def new_project(folder: Path) -> Project:
    return Project.create(folder / "project")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = new_project(tmp_path_factory.mktemp("lineage"))
    project.run(raw_threads=project.write_threads([*make_threads(30), make_threads(1)[0]]))
    return project


def decisions(lineage: Lineage) -> list[tuple[str, str]]:
    return [(step.stage, decision.outcome) for step in lineage.steps for decision in step.decisions]


def test_a_problem_of_the_result_was_kept_by_every_stage_that_it_came_to(ran: Project) -> None:
    problem = next(row for row in ran.table("problems") if row["problem_type"] == "has_answer_extracted")
    lineage = traced(ran, problem["problem_id"])
    assert lineage.thread is not None
    assert lineage.thread["source"].startswith("mine.jsonl:")
    assert lineage.problems == [problem]
    order = [stage.name for stage in STAGES if not stage.name.startswith(("convert_proofs", "classify_converted"))]
    assert decisions(lineage) == [(name, "kept") for name in order]


def test_every_call_about_a_problem_is_shown_with_the_messages_that_were_sent(ran: Project) -> None:
    names = [
        f"{stage.name}_completions"
        for stage in STAGES
        if (ran.path / f"data/07_model_output/offline/{stage.name}_completions").is_dir()
    ]
    problem = ran.table("problems")[0]
    about = {problem["problem_id"], problem["thread_id"], problem["original_problem_id"]}
    made = [row for name in names for row in ran.table(name) if row["row_id"] in about]
    lineage = traced(ran, problem["problem_id"])
    shown = [call for step in lineage.steps for call in step.calls]
    assert sorted(call.call_key for call in shown) == sorted(row["call_key"] for row in made)
    assert all(call.messages and not call.note for call in shown)
    assert {call.reply for call in shown} == {row["text"] for row in made}


def test_a_converted_proof_tells_of_the_proof_and_the_proof_of_what_it_became(ran: Project) -> None:
    converted = next(row for row in ran.table("problems") if row["problem_type"] == "converted_proof")
    for given in (converted["problem_id"], converted["original_problem_id"]):
        lineage = traced(ran, given)
        step = next(step for step in lineage.steps if step.stage == "convert_proofs")
        (decision,) = step.decisions
        assert (decision.row_id, decision.became) == (converted["original_problem_id"], [converted["problem_id"]])
        assert {row["problem_id"] for row in lineage.problems} == {
            converted["problem_id"],
            converted["original_problem_id"],
        }


def test_each_dropped_row_tells_its_stage_and_reason(ran: Project) -> None:
    for name in ("classify_mcq", "classify_binary", "extract_problems"):
        row = ran.table(f"{name}_dropped")[0]
        lineage = traced(ran, row["row_id"])
        last = lineage.steps[-1]
        assert last.stage == name
        assert (last.decisions[-1].outcome, last.decisions[-1].reason) == (row["outcome"], row["reason"])


def test_verdicts_on_benchmark_pairs_are_evidence(ran: Project) -> None:
    pair = ran.table("contamination")[0]
    step = traced(ran, pair["problem_id"]).steps[-1]
    (judged,) = [evidence for evidence in step.evidence if evidence.table == "contamination"]
    assert pair in judged.rows


def test_a_thread_shows_all_its_problems_and_copies(ran: Project) -> None:
    (copy,) = ran.table("threads_dropped")
    lineage = traced(ran, copy["thread_id"])
    first = lineage.steps[0]
    assert [(item.row_id, item.outcome, item.reason) for item in first.decisions] == [
        (copy["thread_id"], "kept", ""),
        (copy["row_id"], "dropped", "duplicate_thread"),
    ]
    problems = {row["problem_id"] for row in ran.table("extracted_problems") if row["thread_id"] == copy["thread_id"]}
    assert problems <= {row["problem_id"] for row in lineage.problems}
    assert traced(ran, copy["row_id"]).kind == "record"


def test_the_first_digits_are_enough_where_they_are_unique(ran: Project) -> None:
    ids = sorted(
        {row["problem_id"] for row in ran.table("extracted_problems")}
        | {row["thread_id"] for row in ran.table("threads")}
    )
    assert traced(ran, ids[0][:10].upper()).id == ids[0]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [("0" * 20, "Searched: threads, extracted_problems"), ("x" * 20, "is no id"), ("ab", "is no id")],
)
def test_an_id_that_nothing_has_is_an_error_that_says_where_was_searched(
    ran: Project, given: str, complaint: str
) -> None:
    with pytest.raises(UnknownIdError, match=complaint):
        traced(ran, given)


def test_several_ids_that_begin_alike_are_named(ran: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omr_kedro.lineage.find._SHORTEST", 1)
    with pytest.raises(UnknownIdError, match=r"Several ids begin with .: .* \((thread|problem)\), .* Give more digits"):
        traced(ran, ran.table("threads")[0]["thread_id"][:1])


def test_one_shard_of_each_table_is_read(ran: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    read = set[str]()
    whole: Callable[[TableStore, str], object] = TableStore._read

    def noted(store: TableStore, name: str) -> object:
        read.add(name)
        return whole(store, name)

    thread = ran.table("threads")[0]["thread_id"]
    monkeypatch.setattr(TableStore, "_read", noted)
    lineage = traced(ran, thread)
    assert read == {lineage.shard}


def test_a_changed_prompt_is_said_and_its_text_is_not_made_up(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    project.run()
    path = project.path / "conf/base/prompts/classify_mcq.yml"
    path.write_text(path.read_text().replace("system: |\n", "system: |\n  Take your time.\n"))
    parameters = project.path / "conf/base/parameters.yml"
    parameters.write_text(
        parameters.read_text().replace("extract_answers: {temperature: 0.0", "extract_answers: {temperature: 0.5")
    )
    problem = next(row for row in project.table("problems") if row["answer_model"])
    notes = {
        call.prompt: (call.messages is not None, call.note)
        for step in traced(project, problem["problem_id"]).steps
        for call in step.calls
    }
    assert notes["classify_proof"] == (True, "")
    assert not notes["classify_mcq"][0]
    assert re.match(r"the prompt was changed since \(it is now [0-9a-f]{16}\)", notes["classify_mcq"][1])
    assert notes["extract_answers"] == (True, calls.CHANGED_SETTING)


def test_a_run_that_was_stopped_shows_calls_of_the_journal_and_what_is_not_decided_yet(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    threads = project.write_threads(make_threads(12))
    with OfflineModel(project) as model:
        model.replace("classify_proof", "As an adviser I would rather speak of something else today.")
        with pytest.raises(Exception, match="unparsed"):
            project.run(endpoint=model.base_url, model="offline-rules", raw_threads=threads)
    problem = project.table("extracted_problems")[0]
    table = project.path / "data/07_model_output/offline/classify_proof_completions"
    lineage = traced(project, problem["problem_id"])
    assert decisions(lineage)[-1] == ("classify_proof", "failed")
    assert "classify_proof_dropped" in lineage.steps[-1].unfinished
    # As a kill leaves it: calls in the journal, the shard not written.
    (table / ".open" / f"{lineage.shard}.jsonl").write_bytes((table / f"{lineage.shard}.jsonl").read_bytes())
    for path in (table / ".complete.json", table / ".made" / f"{lineage.shard}.json", table / f"{lineage.shard}.jsonl"):
        path.unlink()
    (call,) = traced(project, problem["problem_id"]).steps[-1].calls
    assert call.note == calls.IN_JOURNAL
    assert call.messages
    assert call.reply.startswith("As an adviser")
