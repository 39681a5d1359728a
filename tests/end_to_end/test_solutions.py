"""Problems become solutions in a whole run, and a changed prompt of the judge costs judgements alone."""

from __future__ import annotations

from collections import Counter

from tests.support.offline import OfflineModel
from tests.support.project import Project

TABLES = (
    "cot_samples",
    "cot_votes",
    "cot_answers",
    "reference_answers",
    "cot_solutions",
    "cot_rejected",
    "cot_summaries",
)


def test_a_whole_run_gives_each_problem_and_each_sample_its_place_and_a_second_asks_only_what_has_changed(
    project: Project,
) -> None:
    with OfflineModel(project) as model:
        project.run(endpoint=model.base_url, model="offline-rules")
        first = Counter(model.asked)
        tables = {name: project.table(name) for name in TABLES}

        prompt = project.path / "conf/base/prompts/judge_answer.yml"
        prompt.write_text(prompt.read_text().replace("system: |\n", "system: |\n  Take your time.\n"))
        project.run(endpoint=model.base_url, model="offline-rules")
        second = Counter(model.asked) - first
        again = {name: project.table(name) for name in TABLES}

    assert second == Counter(judge_answer=first["judge_answer"])
    assert again == tables
    assert first["solve_cot"] == len(project.table("solve_cot_completions"))

    to_solve = {row["problem_id"] for row in project.table("solve_problems")}
    clean = {row["problem_id"] for row in project.table("problems")}
    assert to_solve == clean
    referenced = [row["problem_id"] for row in tables["reference_answers"]]
    unsolved = [row["row_id"] for row in project.table("solve_cot_dropped")]
    assert sorted([*referenced, *unsolved]) == sorted(clean)

    placed = Counter(row["solution_id"] for name in ("cot_solutions", "cot_rejected") for row in tables[name])
    assert placed == Counter(row["solution_id"] for row in tables["cot_samples"])
    assert max(placed.values()) == 1
    right = Counter(row["problem_id"] for row in tables["cot_solutions"])
    for row in tables["reference_answers"]:
        assert right[row["problem_id"]] == (row["votes_for"] if row["expected_answer"] is not None else 0)
    assert {row["finish_reason"] for row in tables["cot_solutions"]} == {"stop"}
    assert {row["no_vote"] for row in tables["cot_samples"]} >= {
        None,
        "truncated",
        "looping",
        "no_box",
        "unparsed_reply",
    }
    assert {row["reason"] for row in tables["cot_rejected"]} >= {"truncated", "looping", "no_box", "incorrect"}

    answers = {row["solution_id"]: row["predicted_answer"] for row in tables["cot_solutions"]}
    assert tables["cot_summaries"]
    assert {row["solution_id"] for row in tables["cot_summaries"]} <= set(answers)
    unsummarised = {row["row_id"] for row in project.table("summarise_cot_dropped")}
    assert unsummarised | {row["solution_id"] for row in tables["cot_summaries"]} == set(answers)
    assert {row["flaw"] for row in tables["cot_summaries"]} == {None}
