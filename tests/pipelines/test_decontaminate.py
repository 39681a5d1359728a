"""Twins are found, judged in both orders, removed, and reported."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from pydantic import ValidationError

from omr_kedro.llm.calls import Completion, Prompt
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.pipelines.controls import JudgeOptions
from omr_kedro.pipelines.decontaminate import nodes
from omr_kedro.pipelines.decontaminate.nodes import (
    RetrievalOptions,
    judge_pair,
    judge_pairs,
    judge_problem,
    read_judgements,
    remove_contaminated,
    retrieve_similar,
)
from omr_kedro.pipelines.decontaminate.report import (
    ContaminationReportError,
    check_contamination_report,
    report_contamination,
)
from omr_kedro.pipelines.llm_stage import Dropped, Failed, Kept
from omr_kedro.resources import Shared
from omr_kedro.shards import BadInputError, MappedShards, Row, Shards, Source
from omr_kedro.text import TwinFinder
from tests.support.call_plans import requests_of
from tests.support.tables import made, rows_made, shards_of

MODEL = ChatModel(ModelEntry("m", base_url="http://127.0.0.1/v1"))
JUDGE = Prompt("judge_contamination", "{{problem}} | {{benchmark_problem}}", choices=("True", "False"))


def problem(number: int = 1, statement: str | None = None) -> Row:
    statement = statement or f"Find $x_{number}$."
    return {"problem_id": f"p{number}", "thread_id": f"t{number}", "problem": statement}


def benchmarks(folder: Path, *statements: str, **named: list[str]) -> Source:
    """A file of benchmark problems; those without a name are of `b`."""
    path = folder / "benchmarks.jsonl"
    rows = [
        {"benchmark": name, "benchmark_id": str(number), "problem": text}
        for name, texts in {"b": list(statements), **named}.items()
        for number, text in enumerate(texts)
    ]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return Source(path)


@dataclass
class Judged:
    """Prompts that were asked, and the tables that came of them."""

    problems: Shards
    benchmarks: Source
    prompts: list[str]
    pairs: list[Row]
    contaminated: list[Row]
    review: list[Row]

    @property
    def table(self) -> Shards:
        return shards_of(self.pairs, 1)

    def removed(self) -> tuple[Shards, Shards]:
        clean, dropped = remove_contaminated(self.problems, self.table, JudgeOptions(max_failed_share=1))
        return made(clean), made(dropped)

    def report(self) -> pd.DataFrame:
        return report_contamination(self.table, self.benchmarks)


def judged(rows: list[Row], known: Source, replies: dict[str, str] | None = None, top_k: int = 3) -> Judged:
    """Decontaminate these problems with a judge that says no, unless told otherwise of a prompt."""
    problems = shards_of(rows, 1)
    similar = made(retrieve_similar(problems, known, Shared(), RetrievalOptions(top_k=top_k)))
    plan = judge_pairs(similar, problems, JUDGE, MODEL, JudgeOptions())
    asked = requests_of(plan, *problems)
    prompts = [request.messages[-1]["content"] for request in asked]
    completions = [
        Completion("k", "m", (replies or {}).get(text, "False"), finish_reason="stop").row(request.identity())
        for request, text in zip(asked, prompts, strict=True)
    ]
    tables = read_judgements(similar, problems, shards_of(completions, 1), Shards([]), JUDGE)
    pairs, contaminated, review = (rows_made(table) for table in tables)
    return Judged(problems, known, prompts, pairs, contaminated, review)


def test_each_pair_is_judged_in_both_orders(tmp_path: Path) -> None:
    result = judged([problem()], benchmarks(tmp_path, "Find the sum of x."))
    assert result.prompts == ["Find $x_1$. | Find the sum of x.", "Find the sum of x. | Find $x_1$."]
    (pair,) = result.pairs
    assert (pair["verdict"], pair["forward"], pair["backward"]) == ("clean", "False", "False")
    assert (pair["rank"], pair["found_by"], pair["ngram_long"]) == (1, "lexical", 0)


def test_equal_statements_need_no_judge(tmp_path: Path) -> None:
    result = judged([problem()], benchmarks(tmp_path, "find x_1"))
    assert result.prompts == []
    (pair,) = result.pairs
    assert (pair["verdict"], pair["exact"], pair["found_by"]) == ("contaminated", True, "exact, lexical")
    assert result.contaminated == [pair]


def test_no_more_than_top_k_benchmark_problems_are_judged(tmp_path: Path) -> None:
    known = benchmarks(tmp_path, *(f"Find x in case {n}" for n in range(9)))
    assert [pair["rank"] for pair in judged([problem()], known, top_k=2).pairs] == [1, 2]


def test_a_problem_whose_twins_cannot_be_looked_for_is_set_aside_and_the_others_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fragile(finder: TwinFinder, queries: list[str], k: int) -> Any:
        if "Find $x_2$." in queries:
            raise RecursionError("deep")
        return whole(finder, queries, k)

    whole = TwinFinder.find
    monkeypatch.setattr(TwinFinder, "find", fragile)
    result = judged([problem(1), problem(2), problem(3)], benchmarks(tmp_path, "Find the sum of x."))
    assert len(result.prompts) == 4, "nothing is asked about it"
    clean, dropped = result.removed()
    assert [row["problem_id"] for row in clean.rows()] == ["p1", "p3"]
    (row,) = dropped.rows()
    assert (row["row_id"], row["outcome"], row["reason"]) == ("p2", "failed", "reading_crashed")
    assert row["detail"].startswith("RecursionError (")
    check_contamination_report(result.report(), result.problems, clean, dropped, result.table)


def test_a_reply_that_crashes_its_reader_is_no_clear_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "parse_label", lambda text, choices: 1 / 0)
    (pair,) = judged([problem()], benchmarks(tmp_path, "Find the sum of x.")).pairs
    assert (pair["verdict"], pair["forward"], pair["backward"]) == ("unclear", "reading_crashed", "reading_crashed")


PASSAGE = "Let a b c d e f g be seven letters that stand in a row in no order at all"


def test_a_shared_long_passage_makes_a_pair_even_if_others_are_more_alike(tmp_path: Path) -> None:
    crowd = [f"Story {number} about cats and dogs" for number in range(30)]
    ours = problem(statement="A story about cats and dogs and cats. " * 9 + PASSAGE)
    pairs = judged([ours], benchmarks(tmp_path, *crowd, other=[PASSAGE])).pairs
    (twin,) = (pair for pair in pairs if pair["benchmark"] == "other")
    assert "ngram" in twin["found_by"]
    assert (twin["ngram_long"], twin["ngram_short"]) == (1, 1)


def test_a_statement_that_several_benchmarks_hold_is_judged_once_and_all_of_them_are_named(tmp_path: Path) -> None:
    known = benchmarks(tmp_path, "Find the sum of $x$.", "Find y", c=["find the sum of x"])
    same = "Find $x_1$. | Find the sum of $x$."
    result = judged([problem()], known, {same: "True"}, top_k=1)
    assert len(result.prompts) == 2
    assert [(pair["benchmark"], pair["rank"], pair["verdict"]) for pair in result.pairs] == [
        ("b", 1, "contaminated"),
        ("c", 1, "contaminated"),
    ]


def test_pairs_without_a_clear_verdict_go_to_review_with_both_replies(tmp_path: Path) -> None:
    known = benchmarks(tmp_path, "Find the sum of x.", "Find the sum of y.")
    result = judged([problem()], known, {"Find $x_1$. | Find the sum of x.": "Hard to say.", "x": ""})
    (pair,) = result.review
    assert (pair["benchmark_id"], pair["forward"], pair["backward"]) == ("0", "unparsed", "False")
    assert (pair["forward_reply"], pair["backward_reply"]) == ("Hard to say.", "False")
    _, dropped = result.removed()
    assert [(row["outcome"], row["reason"]) for row in dropped.rows()] == [("failed", "unclear_judgement")]


@pytest.mark.parametrize(
    ("forward", "backward", "verdict"),
    [
        ("False", "False", "clean"),
        ("True", "False", "contaminated"),
        ("False", "True", "contaminated"),
        ("True", "unparsed", "contaminated"),
        ("False", "unparsed", "unclear"),
        ("unparsed", "timeout", "unclear"),
        ("False", None, "unclear"),
    ],
)
def test_one_yes_is_enough_and_a_no_needs_both(forward: str | None, backward: str | None, verdict: str) -> None:
    assert judge_pair(forward, backward) == verdict


def test_a_problem_stays_only_when_every_pair_is_clean() -> None:
    pair = {"found_by": "lexical", "benchmark": "b", "benchmark_id": "7", "benchmark_problem": "Find x."}
    clean, dirty, unclear = ({**pair, "verdict": verdict} for verdict in ("clean", "contaminated", "unclear"))
    assert judge_problem(problem(), [clean, clean]) == Kept([problem()])
    assert judge_problem(problem(), []) == Kept([problem()])
    assert judge_problem(problem(), [clean, unclear, dirty]) == Dropped("contaminated", "b/7: Find x.")
    assert isinstance(judge_problem(problem(), [clean, unclear]), Failed)


def test_a_removed_problem_names_its_twin(tmp_path: Path) -> None:
    clean, dropped = judged([problem(1), problem(2)], benchmarks(tmp_path, "find x_1")).removed()
    assert [row["problem_id"] for row in clean.rows()] == ["p2"]
    assert [(row["reason"], row["detail"]) for row in dropped.rows()] == [("contaminated", "b/0: find x_1")]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (['{"benchmark": "b", "problem": "Find x."}'], r"benchmarks\.jsonl:1: the field 'benchmark_id' is missing"),
        (
            ['{"benchmark": "b", "benchmark_id": 7, "problem": "Find x."}'] * 2,
            r"jsonl:2: b 7 stands at .*jsonl:1 already",
        ),
        (
            ['{"benchmark": "b", "benchmark_id": 7, "problem": ["Find x."]}'],
            "jsonl:1: the field 'problem' must be text, this is a list",
        ),
        (['{"benchmark": "b", "benchmark_id": 7, "problem": 5}'], "the field 'problem' must be text, this is a int"),
        (
            ['{"benchmark": "b", "benchmark_id": {}, "problem": "x"}'],
            "the field 'benchmark_id' must be text, this is a dict",
        ),
    ],
)
def test_a_benchmark_that_is_incomplete_or_ambiguous_is_refused(
    tmp_path: Path, lines: list[str], complaint: str
) -> None:
    (tmp_path / "benchmarks.jsonl").write_text("\n".join(lines))
    known = Source(tmp_path / "benchmarks.jsonl")
    similar = retrieve_similar(shards_of([problem()], 1), known, Shared(), RetrievalOptions())
    with pytest.raises(BadInputError, match=complaint):
        rows_made(similar)


def test_all_shards_and_later_calls_share_one_index_until_the_benchmarks_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []

    def counting(texts: list[str], *settings: Any) -> TwinFinder:
        built.append(len(texts))
        return TwinFinder(texts, *settings)

    monkeypatch.setattr("omr_kedro.pipelines.decontaminate.nodes.TwinFinder", counting)
    index: Shared[Any] = Shared()
    problems = shards_of([problem(number) for number in range(40)], 16)

    def retrieve() -> MappedShards:
        return retrieve_similar(problems, Source(tmp_path / "benchmarks.jsonl"), index, RetrievalOptions())

    benchmarks(tmp_path, "Find x")
    recipe = retrieve()
    with ThreadPoolExecutor(16) as lanes:
        list(lanes.map(lambda name: list(recipe.make(name)), problems))
    rows_made(retrieve())
    assert built == [1]
    benchmarks(tmp_path, "Find x", "Find y")
    rows_made(retrieve())
    assert built == [1, 2]


@pytest.mark.parametrize("lengths", [(8, 13), (8, 8), (3, 0)])
def test_the_longer_ngram_is_named_first(lengths: tuple[int, int]) -> None:
    with pytest.raises(ValidationError, match="longer n-gram first"):
        RetrievalOptions(ngrams=lengths)


@pytest.fixture
def reported(tmp_path: Path) -> Judged:
    """One problem is equal to one of `b`, one is judged to be in `b` and in `c`, one is unclear, one is clean."""
    known = benchmarks(tmp_path, "find x_1", "find the sum of $x_2$", "Find a", c=["find the product of $x_2$"])
    replies = {f"Find $x_2$. | find the {what} of $x_2$": "True" for what in ("sum", "product")}
    return judged([problem(n) for n in (1, 2, 3, 4)], known, {**replies, "Find $x_3$. | find x_1": "Well."})


def test_the_report_counts_each_benchmark_and_every_problem_once(reported: Judged) -> None:
    report = reported.report().set_index("benchmark")
    columns = ["benchmark_problems", "hit", "removed", "exact", "judged", "unclear"]
    assert report[columns].to_dict("index") == {
        "b": dict(zip(columns, (3, 2, 2, 1, 1, 1), strict=True)),
        "c": dict(zip(columns, (1, 1, 1, 0, 1, 0), strict=True)),
        "(all)": dict(zip(columns, (4, 3, 2, 1, 1, 1), strict=True)),
    }
    kinds = ["pairs_contaminated", "pairs_unclear", "pairs_clean"]
    assert list(report[kinds].sum(axis=1)) == list(report["pairs"])
    assert report.loc["(all)", "pairs"] == len(reported.pairs)


def test_the_report_agrees_with_the_tables(reported: Judged) -> None:
    clean, dropped = reported.removed()
    check_contamination_report(reported.report(), reported.problems, clean, dropped, reported.table)
    with pytest.raises(ContaminationReportError, match="removed problems / rows dropped"):
        check_contamination_report(reported.report(), reported.problems, clean, shards_of([], 1), reported.table)
    with pytest.raises(ContaminationReportError, match="problems in / clean"):
        check_contamination_report(reported.report(), reported.problems, shards_of([], 1), dropped, reported.table)
