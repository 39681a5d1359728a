"""Solutions become comparisons in a whole run: every group has its place, and a second run asks nothing."""

from __future__ import annotations

from collections import Counter

from tests.support.offline import OfflineModel
from tests.support.project import Project


def test_a_whole_run_gives_every_problem_and_every_group_its_place(project: Project) -> None:
    with OfflineModel(project) as model:
        where = {"endpoint": model.base_url, "model": "offline-rules"}
        project.run(pipelines=["problem_generation", "solution_generation"], **where)
        model.asked.clear()
        project.run(pipelines=["genselect_generation"], **where)
        asked = Counter(model.asked)
        project.run(pipelines=["genselect_generation"], **where)
        assert Counter(model.asked) == asked, "nothing is asked again"

    groups, selections = project.table("candidate_groups"), project.table("selections")
    without = {row["row_id"]: row["reason"] for row in project.table("group_candidates_dropped")}
    problems = {row["problem_id"] for row in project.table("solve_problems")}
    assert {row["problem_id"] for row in groups} == problems - set(without)
    assert set(without.values()) == {"no_wrong"}
    assert [row["group_id"] for row in selections] == [row["group_id"] for row in groups]
    assert asked["select_solution"] == len(groups)

    solutions = {row["solution_id"]: row["predicted_answer"] for row in project.table("cot_solutions")}
    wrong = {row["solution_id"] for row in project.table("cot_rejected") if row["reason"] == "incorrect"}
    for row in selections:
        ids = {each["solution_id"]: each["correct"] for each in row["candidates"]}
        assert {one for one, correct in ids.items() if correct} == set(ids) & set(solutions)
        assert {one for one, correct in ids.items() if not correct} == set(ids) & wrong
        chosen = row["chosen_solution_id"]
        assert row["outcome"] == ("unclear" if chosen is None else "right" if chosen in solutions else "wrong")

    outcomes = Counter(row["outcome"] for row in selections)
    assert set(outcomes) == {"right", "wrong", "unclear"}
    assert Counter(row["reason"] for row in project.table("select_solutions_dropped")) == Counter(
        wrong=outcomes["wrong"], unclear=outcomes["unclear"]
    )
    assert {row["group_id"] for row in project.table("selection_summaries")} == {
        row["group_id"] for row in project.table("right_selections")
    }
    assert {row["flaw"] for row in project.table("selection_summary_candidates")} == {
        None,
        "other_choice",
        "no_choice",
    }

    *positions, total = project.load("selection_positions").to_dict("records")
    assert (total["position"], total["shown"]) == ("all", sum(len(row["candidates"]) for row in groups))
    assert total["chosen_right"] == outcomes["right"] == sum(row["chosen_right"] for row in positions)
    assert 0 < total["agreed"] < total["asked_twice"]
