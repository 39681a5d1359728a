from __future__ import annotations

from typing import Any

import pandas as pd

from omr_kedro.pipelines.report_page.nodes import ModeTables, write_report_page
from omr_kedro.pipelines.report_page.pipeline import modes_of
from omr_kedro.publishing.facts import FUNNEL_REPORTS, DescriptionOptions, funnels_of, records
from tests.publishing.report.test_page import solution
from tests.support.tables import shards_of

COT = ModeTables("cot", "cot_votes", "reference_answers", "cot_solutions", "cot_summaries")
TIR = ModeTables("tir", "tir_votes", "tir_reference_answers", "tir_solutions")


def tables(solutions: int = 30) -> dict[str, Any]:
    rows = [solution(solution_id=f"s{number:02}", thread_id=f"t{number % 7}") for number in range(solutions)]
    summaries = [{**row, "summary": "In short."} for row in rows]
    votes = [
        {"samples_drawn": 4, "stop_reason": "correct", "agreement": 1.0},
        {"samples_drawn": 8, "stop_reason": "gave_up", "agreement": None},
    ]
    return {
        "cot_votes": shards_of(votes),
        "reference_answers": shards_of([{"pass_rate": 0.31}, {"pass_rate": None}, {"pass_rate": 1.0}]),
        "cot_solutions": shards_of(rows),
        "cot_summaries": shards_of(summaries),
        "tir_votes": shards_of([]),
        "tir_reference_answers": shards_of([]),
        "tir_solutions": shards_of([]),
    }


def page(found: dict[str, Any], seed: int = 0) -> str:
    calls = pd.DataFrame(columns=["stage", "model"])
    return write_report_page(DescriptionOptions(seed=seed), [COT, TIR], found, [], calls)


def shown(html: str) -> list[str]:
    return [part.partition("<")[0] for part in html.split("kedro lineage ")[1:]]


def test_ten_random_solutions_are_shown_the_same_ones_for_a_seed_whatever_their_order() -> None:
    found = tables()
    ids = shown(page(found))
    assert len(set(ids)) == 10
    reverse = {**found, "cot_solutions": shards_of(list(found["cot_solutions"].rows())[::-1])}
    assert shown(page(reverse)) == ids
    assert set(shown(page(found, seed=1))) != set(ids)


def test_where_there_are_fewer_solutions_all_are_shown_with_their_summaries() -> None:
    html = page(tables(solutions=3))
    assert sorted(shown(html)) == ["s00", "s01", "s02"]
    assert html.count("In short.") == 3


def test_votes_and_pass_rates_are_counted_where_there_are_some() -> None:
    html = page(tables())
    assert html.count(">1 problems<") == 2 + 2 + 1 + 2  # drawn, stop reasons, agreement, pass rates
    assert "gave_up" in html


def test_cells_that_a_report_leaves_empty_are_none() -> None:
    frame = pd.DataFrame({"stage": ["a", "b"], "branches": [float("nan"), "1 on"], "rows": [1, 2]})
    assert records(frame)[0] == {"stage": "a", "branches": None, "rows": 1}


def test_a_chain_that_never_ran_has_no_funnel() -> None:
    stages, none = pd.DataFrame({"stage": ["a"], "rows": [1]}), pd.DataFrame()
    reports = dict.fromkeys(FUNNEL_REPORTS, none) | {"funnel": stages}
    (funnel,) = funnels_of(reports)
    assert (funnel.rows, funnel.stages, funnel.reasons) == ("problems", [{"stage": "a", "rows": 1}], [])


def test_each_way_to_solve_is_told_by_its_tables() -> None:
    made = ["cot_votes", "cot_solutions", "cot_summaries", "tir_solutions", "problems"]
    assert list(modes_of(made)) == [COT, TIR]
