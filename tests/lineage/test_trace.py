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
from omr_kedro.lineage.project_tables import ProjectTables, is_completions
from omr_kedro.pipeline_registry import register_pipelines
from omr_kedro.pipelines.stages import stages_of
from omr_kedro.shards import TableStore, shard_of
from tests.support.offline import OfflineModel
from tests.support.project import Project
from tests.support.threads import make_threads

STAGES = stages_of([register_pipelines()["problem_generation"]])


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
    threads = project.write_threads([*make_threads(30), make_threads(1)[0]])
    project.run(pipelines=["problem_generation"], raw_threads=threads)
    return project


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = new_project(tmp_path_factory.mktemp("solved"))
    project.run(split_problems={"shards": 5})
    project.run(pipelines=["genselect_generation"], split_problems={"shards": 5})
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
    assert decisions(lineage) == [*((name, "kept") for name in order), ("split_problems", "open")]


def test_every_call_about_a_problem_is_shown_with_the_messages_that_were_sent(solved: Project) -> None:
    with tables_of(solved) as tables:
        rows = {name: list(store.shards().rows()) for name, store in tables.stores.items() if store.written()}
        made = [row for name, store in tables.stores.items() if is_completions(store) for row in rows.get(name, ())]
        problem = rows["problems"][0]
        shown = [call for step in trace(tables, problem["problem_id"]).steps for call in step.calls]
    names = ("cot_samples", "cot_answers", "tir_samples", "tir_answers")
    parts = [row for name in names for row in rows[name] if row["problem_id"] == problem["problem_id"]]
    about = {problem[key] for key in ("problem_id", "thread_id", "original_problem_id")}
    about |= {row.get("solution_id") or row["answer_id"] for row in parts}
    about |= {row["group_id"] for row in rows["candidate_groups"] if row["problem_id"] == problem["problem_id"]}
    made = [row for row in made if row["row_id"] in about]
    assert sorted(call.call_key for call in shown) == sorted(row["call_key"] for row in made)
    assert {call.table for call in shown} >= {
        "solve_cot_completions", "summarise_cot_completions", "solve_tir_completions", "judge_usefulness_completions"
    }  # fmt: skip
    assert not any(call.note for call in shown)
    assert all(call.messages or call.code or call.part == "output" for call in shown)
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
    step = next(step for step in traced(ran, pair["problem_id"]).steps if step.stage == "decontaminate")
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


def test_a_problem_shows_the_way_of_each_sample_and_a_solution_its_own_alone(solved: Project) -> None:
    rejected = next(row for row in solved.table("cot_rejected") if row["reason"] == "incorrect")
    rows = [row for row in solved.table("cot_samples") if row["problem_id"] == rejected["problem_id"]]
    summed_up = {row["solution_id"] for row in solved.table("cot_summaries")}
    whole = traced(solved, rejected["problem_id"])
    assert [(way.solution_id, way.answer) for way in whole.samples if way.mode == "cot"] == [
        (row["solution_id"], row["predicted_answer"]) for row in sorted(rows, key=lambda row: row["sample_index"])
    ]
    assert {way.solution_id for way in whole.samples if way.summary} == summed_up & {row["solution_id"] for row in rows}
    alone = traced(solved, rejected["solution_id"][:14])
    (way,) = alone.samples
    assert (way.verdict, way.outcome, way.reason) == ("incorrect", "dropped", "incorrect")
    assert way in whole.samples
    assert [step.stage for step in alone.steps][:2] == ["prepare_threads", "extract_problems"]
    drawn = next(step for step in alone.steps if step.stage == "solve_cot")
    assert [call.call_key for call in drawn.calls] == [rejected["call_key"]]
    assert drawn.calls[0] in next(step for step in whole.steps if step.stage == "solve_cot").calls
    (answer,) = next(found for step in alone.steps for found in step.evidence if found.key == "answer_id").rows
    assert (answer["answer_class"], answer["verdict"]) == (rejected["answer_class"], "incorrect")


def test_a_group_shows_its_candidates_and_what_was_chosen_and_a_solution_the_groups_that_show_it(
    solved: Project,
) -> None:
    groups = solved.table("candidate_groups")
    right = solved.table("right_selections")[0]
    lineage = traced(solved, right["group_id"])
    assert lineage.kind == "group"
    candidates = {candidate["solution_id"] for candidate in right["candidates"]}
    assert {way.solution_id for way in lineage.samples} == candidates
    told = {step.stage: step for step in lineage.steps}
    assert [call.call_key for call in told["select_solutions"].calls] == [right["call_key"]]
    (grouped,) = told["group_candidates"].decisions
    assert (grouped.row_id, grouped.became) == (right["problem_id"], [right["group_id"]])
    assert [one.outcome for one in told["select_solutions"].decisions] == ["kept"]
    (evidence,) = told["select_solutions"].evidence
    assert [row["chosen_solution_id"] for row in evidence.rows] == [right["chosen_solution_id"]]

    alone = traced(solved, right["chosen_solution_id"])
    asked = {call.row_id for step in alone.steps if step.stage == "select_solutions" for call in step.calls}
    assert asked == {
        row["group_id"]
        for row in groups
        if right["chosen_solution_id"] in {candidate["solution_id"] for candidate in row["candidates"]}
    }
    dropped = solved.table("select_solutions_dropped")[0]
    step = next(step for step in traced(solved, dropped["row_id"]).steps if step.stage == "select_solutions")
    assert [(one.outcome, one.reason) for one in step.decisions] == [(dropped["outcome"], dropped["reason"])]


def test_an_answer_shows_what_the_judge_said_of_it_and_the_samples_that_have_it(solved: Project) -> None:
    judged = next(row for row in solved.table("cot_answers") if row["decided_by"] == "judge")
    lineage = traced(solved, judged["answer_id"])
    step = next(step for step in lineage.steps if step.stage == "judge_cot")
    assert [(call.row_id, call.part) for call in step.calls] == [
        (judged["answer_id"], "forward"),
        (judged["answer_id"], "backward"),
    ]
    assert all(call.messages and not call.note for call in step.calls)
    assert {way.answer_class for way in lineage.samples} == {judged["answer_class"]}
    assert {way.decided_by for way in lineage.samples} == {"judge"}
    assert {way.mode for way in lineage.samples} == {"cot"}


def test_a_solution_with_code_shows_its_own_conversation_alone(solved: Project) -> None:
    solution = next(row for row in solved.table("tir_solutions") if row["executions"] > 1)
    lineage = traced(solved, solution["solution_id"])
    assert [(way.mode, way.sample_index) for way in lineage.samples] == [("tir", solution["sample_index"])]
    drawn = next(step for step in lineage.steps if step.stage == "solve_tir")
    assert {call.sample_index for call in drawn.calls} == {solution["sample_index"]}
    assert [call.kind for call in drawn.calls].count("code") == solution["executions"]
    assert all(call.code for call in drawn.calls if call.kind == "code")


def test_one_shard_of_each_table_is_read(solved: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    read = set[str]()
    whole: Callable[[TableStore, str], object] = TableStore._read

    def noted(store: TableStore, name: str) -> object:
        read.add(name)
        return whole(store, name)

    problem = solved.table("solve_problems")[0]
    monkeypatch.setattr(TableStore, "_read", noted)
    lineage = traced(solved, problem["problem_id"])
    # What is trained on is decided for all solutions at once, in a table of one shard.
    assert read == {*lineage.shards, "shard-00000-of-00001"}
    assert lineage.shards == [shard_of(problem["thread_id"], 4), shard_of(problem["problem_id"], 5)]


def test_a_changed_prompt_is_said_and_its_text_is_not_made_up(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    project.run(pipelines=["problem_generation"])
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
    (table / ".open" / f"{lineage.shards[0]}.jsonl").write_bytes((table / f"{lineage.shards[0]}.jsonl").read_bytes())
    for path in (
        table / ".complete.json",
        table / ".made" / f"{lineage.shards[0]}.json",
        table / f"{lineage.shards[0]}.jsonl",
    ):
        path.unlink()
    (call,) = traced(project, problem["problem_id"]).steps[-1].calls
    assert call.note == calls.IN_JOURNAL
    assert call.messages
    assert call.reply.startswith("As an adviser")
