from __future__ import annotations

from itertools import count
from typing import Any

import pandas as pd

from omr_kedro.llm.endpoint import Prices
from omr_kedro.pipeline_registry import register_pipelines
from omr_kedro.pipelines.model_calls.nodes import AskedStage, count_calls
from omr_kedro.pipelines.model_calls.pipeline import asked_stages
from tests.support.tables import shards_of

SOLVE = AskedStage("solve_cot", "solve_cot_completions", "cot_model")
JUDGE = AskedStage("judge_cot", "judge_cot_completions", "judge_model")


KEYS = count()


def call(model: str = "m", prompt: str = "p", **fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": "model", "error_kind": None, "prompt_tokens": 100, "completion_tokens": 50}
    row["call_key"] = f"k{next(KEYS)}"
    return {**row, "model": model, "prompt_hash": prompt, **fields}


def counted(*calls: dict[str, Any], prices: dict[str, Any] | None = None) -> pd.DataFrame:
    known = Prices.model_validate(prices or {})
    tables = {SOLVE.completions: shards_of(list(calls)), JUDGE.completions: shards_of([])}
    return count_calls([SOLVE, JUDGE], tables, lambda model, *tokens: known.of(model).of(*tokens))


def test_calls_are_counted_by_stage_model_and_prompt() -> None:
    found = counted(call(), call(), call("n"), call(prompt="q", error_kind="timeout", completion_tokens=None))
    assert found.drop(columns="money").to_dict("split")["data"] == [
        ["solve_cot", "m", "p", 2, 0, 200, 100],
        ["solve_cot", "n", "p", 1, 0, 100, 50],
        ["solve_cot", "m", "q", 1, 1, 100, 0],
    ]


def test_a_call_that_rows_share_is_paid_for_once() -> None:
    rows = [call(call_key="k", thread_id="t"), call(call_key="k", thread_id="t"), call(thread_id="t")]
    assert counted(*rows)["calls"].tolist() == [2]


def test_code_that_was_run_is_no_call_and_rows_of_earlier_versions_are() -> None:
    found = counted(call(kind="code"), call(kind="end"), call(kind=None))
    assert found["calls"].tolist() == [1]


def test_money_is_counted_where_a_price_is_known() -> None:
    prices = {"cot_model": {"prompt": 2.0, "completion": 10.0}}
    assert counted(call(), prices=prices)["money"].tolist() == [(100 * 2 + 50 * 10) / 1e6]
    assert counted(call())["money"].tolist() == [None]


def test_without_calls_the_columns_are_there() -> None:
    assert list(counted().columns)[:4] == ["stage", "model", "prompt_hash", "calls"]


def test_every_stage_that_asks_a_model_is_counted_once() -> None:
    stages = list(asked_stages(register_pipelines().values()))
    assert len({stage.completions for stage in stages}) == len(stages)
    assert AskedStage("solve_cot", "solve_cot_completions", "cot_model") in stages
    assert AskedStage("decontaminate", "decontaminate_completions", "problem_model") in stages
