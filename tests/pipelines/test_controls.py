"""Judges get pairs whose verdict is known among their own, and are stopped when they are wrong too often."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from pydantic import ValidationError

from omr_kedro import tables
from omr_kedro.exam.reading import gold_rows
from omr_kedro.llm.calls import Completion, Request
from omr_kedro.pipeline_registry import register_pipelines
from omr_kedro.pipelines.controls import (
    ControlOptions,
    JudgeOptions,
    UnfitJudgeError,
    draw_controls,
    mark_controls,
    report_controls,
)
from omr_kedro.pipelines.decontaminate.nodes import ask_decontaminate, mark_pair
from omr_kedro.pipelines.judge_answers.nodes import ask_judge_answers, mark_answer_pair, read_judge_answers
from omr_kedro.pipelines.marked_rows import Read
from omr_kedro.shards import BadInputError, Row, Shards, Source, TableStore
from tests.support.call_plans import requests_of
from tests.support.cot import chat_model
from tests.support.exam import PROMPTS, Examinee
from tests.support.project import ROOT
from tests.support.tables import as_shards, made, rows_made, shards_of

Say = Callable[[Row, str], str]
"""The label that a judge gives to a gold row in an order (`forward`, `backward`)."""


@dataclass(frozen=True)
class Stage:
    """A judge's stage."""

    name: str
    file: str
    yes: str
    no: str
    read: Read

    @property
    def gold(self) -> Source:
        return Source(ROOT / f"data/01_raw/exam/{self.file}.jsonl")


STAGES = [
    Stage("decontaminate", "decontaminate", "True", "False", mark_pair),
    Stage("judge_cot", "judge_answers", "same", "different", mark_answer_pair),
]
of_each_judge = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
ONE_ROW = shards_of([{"asked": True}], 4)


def draw(stage: Stage, rows: Shards = ONE_ROW, **options: Any) -> Shards:
    controls = JudgeOptions(controls=ControlOptions(**options))
    return made(draw_controls(rows, stage.gold, controls, needs_judge=lambda row: row["asked"]))


def plan_of(stage: Stage, control_rows: Shards, base_url: str = "http://127.0.0.1/v1") -> Any:
    nothing, model, options = as_shards(dict.fromkeys(control_rows, ())), chat_model(base_url), JudgeOptions()
    if stage.name == "decontaminate":
        return ask_decontaminate(nothing, nothing, control_rows, PROMPTS["judge_contamination"], model, options)
    return ask_judge_answers(nothing, control_rows, PROMPTS["judge_answer"], model, options, stage=stage.name)


@cache
def requests_about_all_gold_rows(stage: Stage) -> Mapping[str, list[Request]]:
    found: dict[str, list[Request]] = {}
    gold = shards_of(list(gold_rows(stage.gold)), 1)
    for asked in requests_of(plan_of(stage, gold), *gold):
        found.setdefault(asked.row_id, []).append(asked)
    return found


def judged(stage: Stage, control_rows: Shards, say: Say) -> Shards:
    """The judge's replies about the controls."""

    def replies(rows: Iterable[Row]) -> list[Row]:
        return [
            Completion("k", "m", say(orjson.loads(row["gold"]), order), finish_reason="stop").row(asked.identity())
            for row in rows
            for order, asked in zip(
                ("forward", "backward"), requests_about_all_gold_rows(stage)[row["row_id"]], strict=True
            )
        ]

    return as_shards({name: replies(shard.rows()) for name, shard in control_rows.items()})


def marked(stage: Stage, say: Say, **options: Any) -> list[Row]:
    """The marks of a judge that passes.

    Raises:
        UnfitJudgeError: it does not.
    """
    control_rows = draw(stage, **options)
    judge = JudgeOptions(controls=ControlOptions(**options))
    recipe = mark_controls(control_rows, judged(stage, control_rows, say), judge, stage=stage.name, read=stage.read)
    rows = rows_made(recipe)
    recipe.check(iter(rows))
    return rows


def right(stage: Stage) -> Say:
    return lambda row, _: stage.yes if row["same"] else stage.no


@of_each_judge
def test_controls_are_as_many_of_either_class_and_follow_from_ids_and_seed_alone(stage: Stage) -> None:
    drawn = list(draw(stage).rows())
    assert Counter(orjson.loads(row["gold"])["same"] for row in drawn) == {True: 15, False: 15}
    more = shards_of([{"asked": True}] * 1000, 4)
    assert {row["row_id"] for row in drawn} < {row["row_id"] for row in draw(stage, more).rows()}
    reversed_order = as_shards({name: list(ONE_ROW[name].rows()) for name in reversed(list(ONE_ROW))})
    assert {name: list(shard.rows()) for name, shard in draw(stage, reversed_order).items()} == {
        name: list(shard.rows()) for name, shard in draw(stage).items()
    }
    assert {row["row_id"] for row in draw(stage, seed=1).rows()} != {row["row_id"] for row in drawn}


@of_each_judge
@pytest.mark.parametrize(
    ("asked", "options", "number"),
    [
        (0, {}, 0),
        (1, {}, 30),
        (1000, {}, 50),
        (100_000, {"at_most": 80}, 80),
        (1000, {"share": 0}, 0),
        (1000, {"share": 0.001, "at_least": 40}, 40),
    ],
)
def test_their_number_is_a_share_of_what_the_judge_is_asked(
    stage: Stage, asked: int, options: dict[str, Any], number: int
) -> None:
    rows = shards_of([{"asked": True}] * asked + [{"asked": False}] * 50, 3)
    assert draw(stage, rows, **options).count == number


def test_the_settings_of_the_project_fit_its_gold_rows() -> None:
    parameters = yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text())
    rows = shards_of([{"asked": True}] * 10_000, 3)
    for stage in STAGES:
        options = parameters[stage.name]["controls"]
        assert draw(stage, rows, **options).count == options["at_most"]


def test_too_few_gold_rows_are_told(tmp_path: Path) -> None:
    few = tmp_path / "decontaminate.jsonl"
    few.write_bytes(b"".join(STAGES[0].gold.path.read_bytes().splitlines(keepends=True)[:5]))
    options = JudgeOptions()
    with pytest.raises(BadInputError, match=r"decontaminate.jsonl has \d rows .* is to get 15"):
        made(draw_controls(ONE_ROW, Source(few), options, needs_judge=lambda _: True))


@pytest.mark.parametrize("options", [{"at_least": 4}, {"threshold": 0.6}, {"at_least": 50, "at_most": 40}])
def test_settings_by_which_a_judge_of_one_word_could_pass_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"could pass|below at_least"):
        ControlOptions(**options)
    ControlOptions(**{"at_most": 150, **options, "threshold": 0.0, "at_least": 4})


@of_each_judge
def test_a_judge_that_says_one_word_or_goes_by_the_order_is_stopped_whatever_the_seed(stage: Stage) -> None:
    stubborn: list[Say] = [
        lambda *_: stage.yes,
        lambda *_: stage.no,
        lambda _, order: stage.yes if order == "forward" else stage.no,
        lambda *_: "Hm.",
    ]
    for seed in range(100):
        for say in stubborn:
            with pytest.raises(UnfitJudgeError):
                marked(stage, say, seed=seed)


@of_each_judge
def test_one_that_is_wrong_about_5_percent_is_never_stopped(stage: Stage) -> None:
    def mistaken(dice: random.Random) -> Say:
        return lambda row, _: stage.yes if row["same"] is not (dice.random() < 0.05) else stage.no

    for seed in range(200):
        assert len(marked(stage, mistaken(random.Random(seed)), seed=seed)) == 30


@of_each_judge
def test_the_error_tells_judge_figures_wrong_rows_and_ways_out(stage: Stage) -> None:
    with pytest.raises(UnfitJudgeError) as stopped:
        marked(stage, lambda *_: stage.yes)
    said = str(stopped.value)
    for part in (
        f"{stage.name}: the judge m is wrong",
        "15/15",
        "0/15",
        "balanced accuracy 50 %",
        "80 % is required",
        f"it said {stage.yes}, {stage.yes}",
        "Wrong are 15, the first: ",
        f"--params={stage.name}.controls.threshold=0",
        "kedro run --pipelines exam",
    ):
        assert part in said
    assert said.count(f"{stage.file}-") == 5


@of_each_judge
def test_marks_tell_what_was_said_in_each_order_and_the_report_has_the_figures(stage: Stage) -> None:
    rows = marked(stage, right(stage))
    assert all(
        row["mark"] == "right" and row["said"] in (f"{stage.yes}, {stage.yes}", f"{stage.no}, {stage.no}")
        for row in rows
    )
    assert {row["stage"] for row in rows} == {stage.name}
    (line,) = report_controls(shards_of(rows), JudgeOptions(), {}, stage=stage.name, model="judge_model").to_dict(
        "records"
    )
    assert (line["stage"], line["rows"], line["balanced_accuracy"], line["unparsed"]) == (stage.name, 30, 1.0, 0)
    unread = marked(stage, lambda row, order: "Hm." if row["id"].endswith("7") else right(stage)(row, order))
    assert {row["mark"] for row in unread} == {"right", "unparsed"}


@of_each_judge
def test_a_threshold_of_0_lets_every_judge_pass(stage: Stage) -> None:
    assert len(marked(stage, lambda *_: stage.yes, threshold=0.0)) == 30


@of_each_judge
def test_a_judge_cannot_tell_controls_from_its_own_rows_and_is_paid_once(tmp_path: Path, stage: Stage) -> None:
    control_rows = draw(stage)
    gold = [orjson.loads(row["gold"]) for row in gold_rows(stage.gold)]
    with Examinee({stage.file: gold}) as judge:
        store = TableStore(tmp_path / "completions", "jsonl", tables.COMPLETIONS)

        def ask() -> int:
            before = len(judge.calls)
            store.save(plan_of(stage, control_rows, judge.base_url))
            return len(judge.calls) - before

        assert [ask(), ask()] == [60, 0]
        controls = TableStore(tmp_path / "controls", "jsonl", tables.EXAM_MARKS)
        controls.save(mark_controls(control_rows, store.shards(), JudgeOptions(), stage=stage.name, read=stage.read))
        assert {row["mark"] for row in controls.shards().rows()} == {"right"}


def test_the_table_of_an_unfit_judge_is_not_there_until_the_threshold_lets_it_pass(tmp_path: Path) -> None:
    stage = STAGES[1]
    control_rows = draw(stage)
    replies = judged(stage, control_rows, lambda *_: "same")
    store = TableStore(tmp_path / "controls", "jsonl", tables.EXAM_MARKS)

    def save(threshold: float) -> None:
        options = JudgeOptions(controls=ControlOptions(threshold=threshold))
        store.save(mark_controls(control_rows, replies, options, stage=stage.name, read=stage.read))

    with pytest.raises(UnfitJudgeError):
        save(0.8)
    assert not store.complete
    save(0.0)
    assert store.shards().count == 30
    with pytest.raises(UnfitJudgeError):
        save(0.8)
    assert not store.complete, "raised again, it counts again"


def test_controls_are_no_rows_of_the_judges_table() -> None:
    stage = STAGES[1]
    control_rows = draw(stage)
    replies = judged(stage, control_rows, right(stage))
    answers = as_shards(dict.fromkeys(control_rows, ()))
    for table in read_judge_answers(answers, replies, control_rows, JudgeOptions(), stage=stage.name):
        assert rows_made(table) == []


@pytest.mark.parametrize(
    ("pipeline", "reads"),
    [
        ("decontaminate", "decontaminate.read_judgements"),
        ("judge_cot", "judge_cot.read_judge_cot"),
        ("judge_tir", "judge_tir.read_judge_tir"),
    ],
)
def test_nothing_goes_by_verdicts_before_the_judge_has_passed(pipeline: str, reads: str) -> None:
    whole = register_pipelines()[pipeline]
    readers = [node for node in whole.nodes if f"{pipeline}_completions" in node.inputs]
    assert {node.name for node in readers} == {reads, f"{pipeline}.mark_{pipeline}_controls"}
    assert f"{pipeline}_controls" in next(node for node in readers if node.name == reads).inputs
